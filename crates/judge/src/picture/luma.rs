//! The brightness of a picture: 0.299 R + 0.587 G + 0.114 B (Rec. 601), 0 to 1.

use lorabake_pixels::Rgb;

/// Sides in pixels of the cells in which edges are compared.
const CELL: usize = 8;
/// Directions that edges are sorted into.
const DIRECTIONS: usize = 8;

/// Brightness, pixel by pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct Luma {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// height × width values, 0 to 1.
    pub values: Vec<f64>,
}

impl Luma {
    /// The brightness of a picture.
    pub fn of(picture: &Rgb) -> Self {
        let mut values = Vec::with_capacity(picture.data.len() / 3);
        for [red, green, blue] in picture.pixels() {
            let [red, green, blue] = [*red, *green, *blue].map(f64::from);
            values.push((0.299 * red + 0.587 * green + 0.114 * blue) / 255.0);
        }
        Self { width: picture.width as usize, height: picture.height as usize, values }
    }

    /// The largest square in the middle.
    pub fn middle_square(&self) -> Self {
        let side = self.width.min(self.height);
        let [left, top] = [(self.width - side) / 2, (self.height - side) / 2];
        let mut values = Vec::with_capacity(side * side);
        for row in top..top + side {
            values.extend_from_slice(&self.values[row * self.width + left..][..side]);
        }
        Self { width: side, height: side, values }
    }

    fn at(&self, column: usize, row: usize) -> f64 {
        self.values[row * self.width + column]
    }

    /// The mean of all values.
    pub fn mean(&self) -> f64 {
        self.values.iter().sum::<f64>() / self.values.len() as f64
    }

    /// The standard deviation: contrast.
    pub fn contrast(&self) -> f64 {
        let mean = self.mean();
        let squares: f64 = self.values.iter().map(|value| (value - mean).powi(2)).sum();
        (squares / self.values.len() as f64).sqrt()
    }

    /// How sharp it is: the mean of |4 × a pixel − its four neighbours| over all pixels that have four.
    pub fn sharpness(&self) -> f64 {
        let mut sum = 0.0;
        let mut count = 0.0;
        for row in 1..self.height.saturating_sub(1) {
            for column in 1..self.width.saturating_sub(1) {
                let beside = self.at(column - 1, row) + self.at(column + 1, row);
                let above_and_below = self.at(column, row - 1) + self.at(column, row + 1);
                sum += (4.0 * self.at(column, row) - beside - above_and_below).abs();
                count += 1.0;
            }
        }
        if count > 0.0 { sum / count } else { 0.0 }
    }

    /// How alike neighbours are: the correlation of pixels with their right neighbours and of pixels with those below them,
    /// the mean of both. Pictures are above 0.9, white noise is at 0.
    pub fn autocorrelation(&self) -> f64 {
        let mut right = Pairs::default();
        let mut below = Pairs::default();
        for row in 0..self.height {
            for column in 0..self.width {
                if column + 1 < self.width {
                    right.add(self.at(column, row), self.at(column + 1, row));
                }
                if row + 1 < self.height {
                    below.add(self.at(column, row), self.at(column, row + 1));
                }
            }
        }
        (right.correlation() + below.correlation()) / 2.0
    }

    /// How mixed the directions of edges are within cells of 8 × 8 pixels: the entropy of directions (8 between 0 and 180
    /// degrees, each edge with its strength), divided by that of all directions alike; a mean over cells, each with the
    /// strength of its edges. Lines and outlines are low, noise is near 1.
    pub fn mixed_directions(&self) -> f64 {
        let [down, across] = [self.height / CELL, self.width / CELL];
        let mut sum = 0.0;
        let mut weight = 0.0;
        for row in 0..down {
            for column in 0..across {
                let strengths = self.directions(column * CELL, row * CELL);
                let strength: f64 = strengths.iter().sum();
                sum += strength * entropy(&strengths);
                weight += strength;
            }
        }
        if weight > 0.0 { sum / weight } else { 0.0 }
    }

    /// The strength of edges in each direction, in the cell that begins at a pixel.
    fn directions(&self, left: usize, top: usize) -> [f64; DIRECTIONS] {
        let mut strengths = [0.0; DIRECTIONS];
        for row in top.max(1)..(top + CELL).min(self.height - 1) {
            for column in left.max(1)..(left + CELL).min(self.width - 1) {
                let across = (self.at(column + 1, row) - self.at(column - 1, row)) / 2.0;
                let down = (self.at(column, row + 1) - self.at(column, row - 1)) / 2.0;
                let angle = down.atan2(across).rem_euclid(std::f64::consts::PI);
                // Upright and level edges lie in the middle of their directions, so that rounding moves none.
                let direction = (angle / std::f64::consts::PI * DIRECTIONS as f64).round() as usize;
                strengths[direction % DIRECTIONS] += across.hypot(down);
            }
        }
        strengths
    }
}

/// The entropy of shares, 0 = all in one, 1 = all alike.
fn entropy(strengths: &[f64; DIRECTIONS]) -> f64 {
    let total: f64 = strengths.iter().sum();
    let mut sum = 0.0;
    for strength in strengths {
        if *strength > 0.0 {
            sum -= strength / total * (strength / total).ln();
        }
    }
    sum / (DIRECTIONS as f64).ln()
}

/// Sums for a correlation.
#[derive(Debug, Default)]
struct Pairs {
    count: f64,
    sums: [f64; 2],
    squares: [f64; 2],
    product: f64,
}

impl Pairs {
    fn add(&mut self, one: f64, other: f64) {
        self.count += 1.0;
        self.sums[0] += one;
        self.sums[1] += other;
        self.squares[0] += one * one;
        self.squares[1] += other * other;
        self.product += one * other;
    }

    /// Pearson's correlation; 1 where nothing varies.
    fn correlation(&self) -> f64 {
        let [one, other] = self.sums.map(|sum| sum / self.count);
        let spreads = [self.squares[0] / self.count - one * one, self.squares[1] / self.count - other * other];
        let product = (spreads[0].max(0.0) * spreads[1].max(0.0)).sqrt();
        if product > 1e-12 { (self.product / self.count - one * other) / product } else { 1.0 }
    }
}
