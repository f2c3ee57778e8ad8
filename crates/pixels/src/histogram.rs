//! Images whose values are spread as another's.
//!
//! Source: scikit-image 0.22 (`exposure.match_histograms`) on 8 bits, whose interpolation is numpy's.

use crate::image::Image;

/// `image` with each channel changed so that its values are as frequent as those of `reference`, which may be of another
/// size. Values between whole numbers are cut.
pub fn match_histograms<const C: usize>(image: &Image<C>, reference: &Image<C>) -> Image<C> {
    let mut tables = Vec::with_capacity(C);
    for channel in 0..C {
        tables.push(table(&Shares::of(image, channel), &Shares::of(reference, channel)));
    }
    image.map(|pixel| {
        let mut matched = pixel;
        for (value, table) in matched.iter_mut().zip(&tables) {
            *value = table[usize::from(*value)];
        }
        matched
    })
}

/// For each value, the share of pixels that have it or less.
struct Shares([f64; 256]);

impl Shares {
    fn of<const C: usize>(image: &Image<C>, channel: usize) -> Self {
        let mut counts = [0_u64; 256];
        for pixel in image.pixels() {
            counts[usize::from(pixel[channel])] += 1;
        }
        let all = (image.data.len() / C) as f64;
        let mut sum = 0;
        Self(counts.map(|count| {
            sum += count;
            sum as f64 / all
        }))
    }

    /// Values that occur, with their shares.
    fn occurring(&self) -> Vec<Quantile> {
        let mut quantiles = Vec::new();
        let mut below = 0.0;
        for (value, share) in (0..).zip(self.0) {
            if share > below {
                quantiles.push(Quantile { value: f64::from(value), share });
                below = share;
            }
        }
        quantiles
    }
}

struct Quantile {
    value: f64,
    share: f64,
}

/// What each value becomes.
fn table(own: &Shares, wanted: &Shares) -> [u8; 256] {
    let quantiles = wanted.occurring();
    own.0.map(|share| interpolated(&quantiles, share) as u8)
}

fn interpolated(quantiles: &[Quantile], share: f64) -> f64 {
    let after = quantiles.partition_point(|quantile| quantile.share <= share);
    let Some(left) = quantiles[..after].last() else { return quantiles[0].value };
    match quantiles.get(after) {
        Some(right) if left.share != share => {
            let slope = (right.value - left.value) / (right.share - left.share);
            slope * (share - left.share) + left.value
        }
        _ => left.value,
    }
}
