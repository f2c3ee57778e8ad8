//! What networks trained for inpainting see beside the latent: the mask, and the picture without its masked part.
//!
//! Their 9 channels are: latent 4, mask 1, masked picture 4 (encoded). Source: AUTOMATIC1111's stable-diffusion-webui
//! (`modules/processing.py`).

use lorabake_pixels::{Gray, Size};

/// The mask's channel: 0 or 1 for each position of the latent, rows from the top; between them if `soft`.
pub fn mask_channel(mask: &Gray, latent: Size, soft: bool) -> Vec<f32> {
    let column = |x: u32| (u64::from(x) * u64::from(mask.width) / u64::from(latent.0)) as usize;
    let mut channel = Vec::with_capacity(latent.0 as usize * latent.1 as usize);
    for y in 0..latent.1 {
        let row = (u64::from(y) * u64::from(mask.height) / u64::from(latent.1)) as usize;
        for x in 0..latent.0 {
            channel.push(share(soft, mask.data[row * mask.width as usize + column(x)]));
        }
    }
    channel
}

/// The picture to be encoded: 0 (grey) where the mask is. `weight` is the strength of that, 1 in full.
///
/// `chw`: 3 × height × width values in [-1, 1], as large as the mask.
///
/// # Panics
/// If picture and mask differ in size.
pub fn masked_picture(chw: &[f32], mask: &Gray, weight: f32, soft: bool) -> Vec<f32> {
    assert_eq!(chw.len(), 3 * mask.data.len(), "sizes differ");
    let mut masked = Vec::with_capacity(chw.len());
    for plane in chw.chunks_exact(mask.data.len()) {
        for (value, shade) in plane.iter().zip(&mask.data) {
            masked.push(lerp(*value, value * (1.0 - share(soft, *shade)), weight));
        }
    }
    masked
}

/// How much a shade of the mask counts: 0 or 1 unless it is soft. Half goes to the even neighbour.
fn share(soft: bool, shade: u8) -> f32 {
    let share = f32::from(shade) / 255.0;
    if soft { share } else { share.round_ties_even() }
}

/// As torch interpolates: exact at both ends.
fn lerp(from: f32, to: f32, weight: f32) -> f32 {
    if weight < 0.5 { from + weight * (to - from) } else { to - (to - from) * (1.0 - weight) }
}
