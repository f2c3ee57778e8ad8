//! How much detail there is.
//!
//! The variance of the Laplacian (kernel 0 1 0 / 1 −4 1 / 0 1 0) is the usual measure of blur for photographs; it
//! says more of what is shown than of its sharpness, so it is good for ranks only. The test by half the size asks
//! what blur means for a trainer: halve by area, enlarge by Lanczos, compare. What has no detail above half its size
//! stays as it is. Only blocks of 16 × 16 in which there is something to see take part, since a drawing on white
//! would else always be like itself.

use lorabake_pixels::pillow::{Filter, resize};
use lorabake_pixels::{Gray, opencv};

/// Side of the blocks that are looked at one by one.
const BLOCK: u32 = 16;
/// Least difference of luma in a block with something to see.
const SEEN: u8 = 24;
/// Least number of such blocks.
const FEWEST: usize = 4;
/// What is told of a picture that does not change at all, in dB.
const MOST: f64 = 99.0;

/// Variance of the Laplacian.
pub fn laplacian_variance(luma: &Gray) -> f64 {
    let width = luma.width as usize;
    let height = luma.height as usize;
    if width < 3 || height < 3 {
        return 0.0;
    }
    let mut sum = 0_i64;
    let mut squares = 0_i64;
    for y in 1..height - 1 {
        let above = &luma.data[(y - 1) * width..][..width];
        let row = &luma.data[y * width..][..width];
        let below = &luma.data[(y + 1) * width..][..width];
        for x in 1..width - 1 {
            let around = i64::from(above[x]) + i64::from(below[x]) + i64::from(row[x - 1]) + i64::from(row[x + 1]);
            let value = around - 4 * i64::from(row[x]);
            sum += value;
            squares += value * value;
        }
    }
    let count = ((width - 2) * (height - 2)) as f64;
    let mean = sum as f64 / count;
    squares as f64 / count - mean * mean
}

/// How like itself a picture is after it was made `factor` times smaller and enlarged again, in dB, over blocks with
/// something to see; `None` where there are few of these.
pub fn likeness(luma: &Gray, factor: u32) -> Option<f64> {
    let small = (luma.width / factor, luma.height / factor);
    if small.0 < BLOCK || small.1 < BLOCK {
        return None;
    }
    let back = resize(&opencv::area(luma, small), luma.size(), Filter::Lanczos);
    let mut error = 0_u64;
    let mut blocks = 0;
    for y in (0..luma.height - luma.height % BLOCK).step_by(BLOCK as usize) {
        for x in (0..luma.width - luma.width % BLOCK).step_by(BLOCK as usize) {
            if let Some(squares) = block_error(luma, &back, (x, y)) {
                error += squares;
                blocks += 1;
            }
        }
    }
    if blocks < FEWEST {
        return None;
    }
    let mean = error as f64 / (blocks as f64 * f64::from(BLOCK * BLOCK));
    Some((10.0 * (255.0 * 255.0 / mean.max(1e-12)).log10()).min(MOST))
}

/// The squared differences of a block; `None` if it is plain.
fn block_error(luma: &Gray, back: &Gray, at: (u32, u32)) -> Option<u64> {
    let width = luma.width as usize;
    let mut low = u8::MAX;
    let mut high = 0;
    let mut squares = 0;
    for y in at.1..at.1 + BLOCK {
        let start = y as usize * width + at.0 as usize;
        let own = &luma.data[start..][..BLOCK as usize];
        for (one, other) in own.iter().zip(&back.data[start..][..BLOCK as usize]) {
            low = low.min(*one);
            high = high.max(*one);
            let step = u64::from(one.abs_diff(*other));
            squares += step * step;
        }
    }
    if high - low >= SEEN { Some(squares) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture with waves of this length in pixels.
    fn waves(length: f64) -> Gray {
        let mut image = Gray::filled((128, 128), [0]);
        for (index, value) in image.data.iter_mut().enumerate() {
            let x = (index % 128) as f64;
            let y = (index / 128) as f64;
            *value = (128.0 + 100.0 * ((x + 0.3 * y) * std::f64::consts::TAU / length).sin()) as u8;
        }
        image
    }

    #[test]
    fn only_what_is_finer_than_half_the_size_gets_lost() {
        let fine = likeness(&waves(3.0), 2).unwrap();
        let coarse = likeness(&waves(24.0), 2).unwrap();
        assert!(fine < 15.0 && coarse > 40.0, "{fine} {coarse}");
        assert!(likeness(&waves(6.0), 4).unwrap() < 20.0);
        assert_eq!(likeness(&Gray::filled((128, 128), [7]), 2), None);
        assert!(laplacian_variance(&waves(3.0)) > 20.0 * laplacian_variance(&waves(24.0)));
    }

    #[test]
    fn the_laplacian_is_that_of_the_kernel() {
        let mut image = Gray::filled((5, 5), [0]);
        image.data[12] = 10;
        // −40 once and 10 four times among nine places.
        let expected = (1600.0 + 400.0) / 9.0;
        assert!((laplacian_variance(&image) - expected).abs() < 1e-9);
    }
}
