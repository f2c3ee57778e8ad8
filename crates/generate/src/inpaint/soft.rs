//! Soft inpainting: the mask's shades act, by how much is painted anew at each step, and the result decides what is kept.
//!
//! Source: the script of that name in AUTOMATIC1111's stable-diffusion-webui 1.8 and later.

use lorabake_pixels::pillow::{gaussian_blur, opaque, paste};
use lorabake_pixels::{Gray, Rgb, Rgba, Size};

use super::crop_region::Region;
use super::overlay::masked;
use super::weighted_percentile::{Window, filter};
use crate::resize_mode::ResizeMode;

/// Settings of soft inpainting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoftInpainting {
    /// How the mask's strength falls with the noise (`Soft inpainting schedule bias`).
    pub power: f64,
    /// How strongly the original is kept (`Soft inpainting preservation strength`).
    pub scale: f64,
    /// How sharp transitions are (`Soft inpainting transition contrast boost`).
    pub detail: f64,
    /// How much the mask decides what is laid over the result (`Soft inpainting mask influence`).
    pub influence: f64,
    /// The difference between original and result at which half of the original is seen (`Soft inpainting difference
    /// threshold`).
    pub threshold: f64,
    /// How sudden that is (`Soft inpainting difference contrast`).
    pub contrast: f64,
}

impl Default for SoftInpainting {
    fn default() -> Self {
        Self { power: 1.0, scale: 0.5, detail: 4.0, influence: 0.0, threshold: 0.5, contrast: 2.0 }
    }
}

impl SoftInpainting {
    /// The latent's mask (1 is painted) as it acts at a noise level.
    pub fn mask_at(&self, mask: &[f32], sigma: f32) -> Vec<f32> {
        let exponent = sigma.powf(self.power as f32) * self.scale as f32;
        mask.iter().map(|share| share.powf(exponent)).collect()
    }

    /// A denoised latent blended with the original: `original` where `mask` is 0, `denoised` where it is 1. In between
    /// vectors are mixed, and so are their lengths, the longer one favoured.
    ///
    /// Both latents are planes of `mask.len()` values each, of one picture.
    ///
    /// # Panics
    /// If the sizes do not fit.
    pub fn blend(&self, original: &[f32], denoised: &[f32], mask: &[f32]) -> Vec<f32> {
        assert!(original.len() == denoised.len() && original.len().is_multiple_of(mask.len()), "sizes differ");
        let mut blended = vec![0.0; original.len()];
        let stride = mask.len();
        for (at, share) in mask.iter().enumerate() {
            let own = original.iter().skip(at).step_by(stride);
            let new = denoised.iter().skip(at).step_by(stride);
            let mixed: Vec<f32> = own.clone().zip(new.clone()).map(|(a, b)| a * (1.0 - share) + b * share).collect();
            let powered = |length: f64| length.powf(self.detail);
            let wanted = powered(length(own)) * f64::from(1.0 - share) + powered(length(new)) * f64::from(*share);
            let factor = wanted.powf(1.0 / self.detail) / (length(mixed.iter()) + 0.00001);
            for (target, value) in blended.iter_mut().skip(at).step_by(stride).zip(mixed) {
                *target = (f64::from(value) * factor) as f32;
            }
        }
        blended
    }

    /// How much of the result is seen, at the latent's size: 255 where it differs much from the original. `mask` is the
    /// latent's mask, `before` and `after` are one picture's latents, planes of the mask's size.
    ///
    /// # Panics
    /// If the sizes do not fit.
    pub fn seen(&self, mask: &[f32], before: &[f32], after: &[f32], latent: Size) -> Gray {
        assert!(before.len() == after.len() && before.len().is_multiple_of(mask.len()), "sizes differ");
        let mut distances = Vec::with_capacity(mask.len());
        for at in 0..mask.len() {
            let pairs = after.iter().zip(before).skip(at).step_by(mask.len());
            let differences: Vec<f32> = pairs.map(|(new, own)| new - own).collect();
            distances.push(length(differences.iter()) as f32);
        }
        let distances = filter(&distances, latent, Window { from: 0.9, to: 1.0 });
        let distances = filter(&distances, latent, Window { from: 0.25, to: 0.75 });
        let mut data = Vec::with_capacity(mask.len());
        for (distance, share) in distances.iter().zip(mask) {
            let half_seen = self.threshold as f32 * self.tolerance(*share);
            let kept = smootherstep(1.0 / (1.0 + (distance / half_seen).powf(self.contrast as f32)));
            data.push((255.0 * (1.0 - kept)) as u8);
        }
        Gray { width: latent.0, height: latent.1, data }
    }

    /// By how much the threshold is multiplied at a place of the mask.
    fn tolerance(&self, share: f32) -> f32 {
        let influence = self.influence as f32;
        let kept = 1.0 - share.clamp(0.0, 1.0).powf((self.scale / 2.0) as f32);
        let scalar = 0.5 * (1.0 - influence) + kept * influence;
        scalar / (1.00001 - scalar)
    }
}

/// What is laid over the result: the original, made transparent where the result is to be seen (as [`SoftInpainting::seen`]
/// says). `painted` is the size that was painted, `paste_to` the part of the original that it shows, if not all.
///
/// # Panics
/// If the result of a whole picture has another size than `original`.
pub fn overlay_image(original: &Rgb, seen: &Gray, painted: Size, paste_to: Option<Region>) -> Rgba {
    let mask = gaussian_blur(&ResizeMode::ResizeAndFill.apply(seen, painted), 4.0);
    let Some(region) = paste_to else { return masked(&opaque(original), &mask) };
    let mut whole = Gray::filled(original.size(), [0]);
    let part = ResizeMode::CropAndResize.apply(&mask, region.size());
    paste(&mut whole, &part, (region.left.into(), region.top.into()));
    masked(&opaque(original), &whole)
}

/// The length of a vector, as torch tells it of f32.
fn length<'a>(vector: impl Iterator<Item = &'a f32>) -> f64 {
    let squares: f64 = vector.map(|value| f64::from(*value) * f64::from(*value)).sum();
    f64::from(squares.sqrt() as f32)
}

fn smootherstep(x: f32) -> f32 {
    x * x * x * (x * (6.0 * x - 15.0) + 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_mask_is_0_there_is_the_original_and_where_1_the_result() {
        let soft = SoftInpainting::default();
        let original = [1.0, 2.0, -3.0, 4.0];
        let denoised = [5.0, -6.0, 7.0, 8.0];
        let blended = soft.blend(&original, &denoised, &[0.0, 1.0]);
        for (value, wanted) in blended.iter().zip([1.0_f32, -6.0, -3.0, 8.0]) {
            assert!((value - wanted).abs() < 1e-4, "{blended:?}");
        }
        let nothing = soft.blend(&[0.0; 4], &[0.0; 4], &[0.5, 0.5]);
        assert!(nothing.iter().all(|value| *value == 0.0), "{nothing:?}");
    }

    #[test]
    fn what_did_not_change_is_the_original_and_what_did_is_the_result() {
        let soft = SoftInpainting::default();
        let before = vec![0.0; 4 * 72];
        let mut after = before.clone();
        for plane in after.chunks_exact_mut(72) {
            for row in plane.chunks_exact_mut(12) {
                row[6..].fill(9.0);
            }
        }
        let seen = soft.seen(&[1.0; 72], &before, &after, (12, 6));
        assert!(seen.data.chunks_exact(12).all(|row| row[0] == 0 && row[11] == 255), "{:?}", seen.data);
        let strict = SoftInpainting { threshold: 0.0, influence: 1.0, ..soft };
        assert_eq!(strict.seen(&[0.0; 72], &before, &after, (12, 6)).size(), (12, 6));
        let original = Rgb::filled((80, 60), [1, 2, 3]);
        let region = Region { left: 8, top: 4, right: 72, bottom: 36 };
        let overlay = overlay_image(&original, &seen, (96, 48), Some(region));
        assert_eq!(overlay.size(), (80, 60));
        assert_eq!(overlay.data[..4], [1, 2, 3, 255]);
        assert!(overlay.pixels().any(|pixel| pixel[3] == 0));
    }
}
