//! How much of a picture is in coarse and how much in fine detail: the power of its frequencies.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

use super::Luma;

/// The lowest frequency of the slope, in periods a side: what is coarser is composition.
const COARSEST: usize = 4;

/// The power of the frequencies of the largest square in the middle, which a Hann window fades at its edges.
#[derive(Debug, Clone)]
pub struct Spectrum {
    /// The mean power at 0, 1, 2 … periods a side, up to the Nyquist frequency.
    radial: Vec<f64>,
    /// The share of all power but the mean's that lies beyond half the Nyquist frequency.
    fine: f64,
}

impl Spectrum {
    /// The frequencies of a picture.
    pub fn of(luma: &Luma) -> Self {
        let square = luma.middle_square();
        let side = square.width;
        let power = power(&square);
        let half = side / 2;
        let mut radial = vec![0.0; half + 1];
        let mut counts = vec![0.0; half + 1];
        let [mut fine, mut all] = [0.0, 0.0];
        for row in 0..side {
            for column in 0..side {
                let radius = frequency(column, side).hypot(frequency(row, side));
                let own = power[row * side + column];
                let ring = radius.round() as usize;
                if ring <= half {
                    radial[ring] += own;
                    counts[ring] += 1.0;
                }
                if ring > 0 {
                    all += own;
                }
                if radius > side as f64 / 4.0 {
                    fine += own;
                }
            }
        }
        for (sum, count) in radial.iter_mut().zip(counts) {
            *sum /= count;
        }
        Self { radial, fine: if all > 0.0 { fine / all } else { 0.0 } }
    }

    /// How fast power falls: the slope of its logarithm over that of the frequency, least squares from 4 periods a side to
    /// the Nyquist frequency. Photographs are near −2 (Field 1987), white noise is at 0. No number for a flat picture.
    pub fn slope(&self) -> f64 {
        let points = self.radial.iter().enumerate().skip(COARSEST);
        let points: Vec<[f64; 2]> = points.map(|(ring, power)| [(ring as f64).ln(), power.ln()]).collect();
        let count = points.len() as f64;
        let [mut x, mut y] = [0.0, 0.0];
        for [own_x, own_y] in &points {
            x += own_x / count;
            y += own_y / count;
        }
        let [mut product, mut square] = [0.0, 0.0];
        for [own_x, own_y] in &points {
            product += (own_x - x) * (own_y - y);
            square += (own_x - x).powi(2);
        }
        product / square
    }

    /// The share of all power but the mean's that lies beyond half the Nyquist frequency, 0 to 1.
    pub fn fine(&self) -> f64 {
        self.fine
    }
}

/// Periods a side of the index of a transform, negative ones behind.
fn frequency(index: usize, side: usize) -> f64 {
    if index <= side / 2 { index as f64 } else { index as f64 - side as f64 }
}

/// The squares of the two-dimensional transform of a square, less its mean, under a Hann window.
fn power(square: &Luma) -> Vec<f64> {
    let side = square.width;
    let mean = square.mean();
    let window = hann(side);
    let mut values = Vec::with_capacity(side * side);
    for (row, line) in square.values.chunks_exact(side).enumerate() {
        for (column, value) in line.iter().enumerate() {
            values.push(Complex::new((value - mean) * window[row] * window[column], 0.0));
        }
    }
    let fft = FftPlanner::new().plan_fft_forward(side);
    // Rows, then columns as rows; the power of a transposed transform has the same rings.
    fft.process(&mut values);
    let mut turned = vec![Complex::new(0.0, 0.0); values.len()];
    for row in 0..side {
        for column in 0..side {
            turned[column * side + row] = values[row * side + column];
        }
    }
    fft.process(&mut turned);
    turned.iter().map(Complex::norm_sqr).collect()
}

/// A window that rises from 0 to 1 and falls to 0 (numpy's `hanning`).
fn hann(length: usize) -> Vec<f64> {
    let last = (length.max(2) - 1) as f64;
    (0..length).map(|index| 0.5 - 0.5 * (2.0 * std::f64::consts::PI * index as f64 / last).cos()).collect()
}
