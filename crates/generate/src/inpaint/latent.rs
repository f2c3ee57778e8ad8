//! Inpainting on latents. All are planes of `mask.len()` values; the mask is 1 where it is painted, 0 where it is kept.
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui (`modules/processing.py`).

use super::fill::MaskedContent;

/// Puts into an encoded picture what sampling starts from; `noise` is the first draw of the picture's seed, as large as the
/// latent.
///
/// # Panics
/// If the sizes do not fit.
pub fn start(latent: &mut [f32], noise: &[f32], mask: &[f32], content: MaskedContent) {
    match content {
        MaskedContent::Fill | MaskedContent::Original => {}
        MaskedContent::LatentNoise => blend(latent, noise, mask),
        MaskedContent::LatentNothing => {
            for plane in latent.chunks_exact_mut(mask.len()) {
                for (value, share) in plane.iter_mut().zip(mask) {
                    *value *= 1.0 - share;
                }
            }
        }
    }
}

/// Brings back in `original` where the mask is 0: what is done to each denoised latent, and to the last one.
///
/// # Panics
/// If the sizes do not fit.
pub fn keep(latent: &mut [f32], original: &[f32], mask: &[f32]) {
    assert_eq!(latent.len(), original.len(), "sizes differ");
    for (plane, kept) in latent.chunks_exact_mut(mask.len()).zip(original.chunks_exact(mask.len())) {
        for ((value, own), share) in plane.iter_mut().zip(kept).zip(mask) {
            *value = own * (1.0 - share) + share * *value;
        }
    }
}

/// `latent` where the mask is 0, `painted` where it is 1.
fn blend(latent: &mut [f32], painted: &[f32], mask: &[f32]) {
    assert_eq!(latent.len(), painted.len(), "sizes differ");
    for (plane, other) in latent.chunks_exact_mut(mask.len()).zip(painted.chunks_exact(mask.len())) {
        for ((value, new), share) in plane.iter_mut().zip(other).zip(mask) {
            *value = *value * (1.0 - share) + new * share;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_content_starts_from_its_own() {
        let mask = [0.0, 1.0, 0.5];
        let encoded = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
        let noise = [0.5; 6];
        let started = |content| {
            let mut latent = encoded.to_vec();
            start(&mut latent, &noise, &mask, content);
            latent
        };
        assert_eq!(started(MaskedContent::Original), encoded);
        assert_eq!(started(MaskedContent::Fill), encoded);
        assert_eq!(started(MaskedContent::LatentNoise), [1.0, 0.5, 2.25, 8.0, 0.5, 16.25]);
        assert_eq!(started(MaskedContent::LatentNothing), [1.0, 0.0, 2.0, 8.0, 0.0, 16.0]);
        let mut painted = noise.to_vec();
        keep(&mut painted, &encoded, &mask);
        assert_eq!(painted, [1.0, 0.5, 2.25, 8.0, 0.5, 16.25]);
    }
}
