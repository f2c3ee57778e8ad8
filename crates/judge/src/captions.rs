//! Whether captions belong to their images, by what the checkpoint alone knows of both (M13 without a tagger).
//!
//! Definition: M[i, j] is the mean over timesteps of the logarithm of the checkpoint's error on image i told the caption of
//! image j, always with the same noise. The gain of image i is how much lower M[i, i] is than what its row and its column
//! say: above 0 = its own caption explains it better than others' do. From diffusion models as classifiers (Li et al.
//! 2023, arXiv 2303.16203).
//! Misleads: words that the checkpoint does not know explain nothing, so captions in such words look like mixed-up ones.

use anyhow::Result;
use lorabake_lora::Attached;

use crate::losses::{Job, LossMeter};
use crate::material::Sample;
use crate::told::Caption;

/// Images whose captions are compared, where pictures are large, and where they are small.
const IMAGES: [usize; 2] = [6, 12];
/// Latent values of a small one.
const SMALL: usize = 4 * 64 * 64;

/// How much better each image's own caption explains it to the checkpoint alone than those of the others, for the first of
/// `samples`; empty where all captions are the same.
///
/// # Errors
/// When a caption is much too long.
pub fn caption_gains(meter: &LossMeter<'_>, samples: &[&Sample]) -> Result<Vec<f64>> {
    let Some(first) = samples.first() else { return Ok(Vec::new()) };
    if samples.iter().all(|sample| sample.caption == first.caption) {
        return Ok(Vec::new());
    }
    let is_small = first.latents.dims().iter().product::<usize>() < SMALL;
    let samples = &samples[..samples.len().min(IMAGES[usize::from(is_small)])];
    let mut rows = Vec::with_capacity(samples.len());
    for sample in samples {
        let mut jobs = Vec::with_capacity(samples.len());
        for other in samples {
            let told = Caption { text: &other.caption, ..sample.told() };
            let condition = meter.told(&[told], &Attached::default())?.remove(0);
            jobs.push(Job { latents: &sample.latents, key: sample.key, condition });
        }
        rows.push(meter.log_losses(&jobs));
    }
    Ok(diagonal(&rows))
}

/// How much lower each value of the diagonal is than its row and its column say.
fn diagonal(rows: &[Vec<f64>]) -> Vec<f64> {
    let count = rows.len() as f64;
    let all = rows.iter().flatten().sum::<f64>() / (count * count);
    let mut gains = Vec::with_capacity(rows.len());
    for (place, row) in rows.iter().enumerate() {
        let of_row = row.iter().sum::<f64>() / count;
        let of_column = rows.iter().map(|row| row[place]).sum::<f64>() / count;
        gains.push(of_row + of_column - all - row[place]);
    }
    gains
}

#[cfg(test)]
mod tests {
    use super::diagonal;

    #[test]
    fn what_an_image_or_a_caption_has_in_all_pairs_counts_nothing() {
        let rows = [[1.0, 4.0, 2.0], [11.0, 14.0, 12.0], [6.0, 9.0, 7.0]].map(Vec::from);
        assert!(diagonal(&rows).iter().all(|gain| gain.abs() < 1e-12));
        let mut fits = rows;
        fits[1][1] -= 0.9;
        // Of which its row and its column take a third each, and all together give a ninth back.
        assert!((diagonal(&fits)[1] - 0.4).abs() < 1e-12);
        assert!((diagonal(&fits)[0] - 0.1).abs() < 1e-12);
    }
}
