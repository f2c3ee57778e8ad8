//! Masks of the loss at the size of latents.
//!
//! Source: sd-scripts `apply_masked_loss`. One difference: a mask goes through the same resizing and cropping as its
//! image. There it is squeezed to the bucket's size, so that it lies beside its image wherever something is cropped away.

use lorabake_pixels::Rgb;

/// Pixels per latent, along each side.
const CELL: usize = 8;

/// The mean of the red channel over the pixels of each latent, 0 to 1, rows from the top: what the loss is multiplied by.
/// `mask` has sides that are multiples of 8.
pub fn weights(mask: &Rgb) -> Vec<f32> {
    let columns = mask.width as usize / CELL;
    let rows = mask.height as usize / CELL;
    let mut weights = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        for column in 0..columns {
            let mut sum = 0.0;
            for y in row * CELL..(row + 1) * CELL {
                for x in column * CELL..(column + 1) * CELL {
                    sum += f32::from(mask.data[3 * (y * mask.width as usize + x)]) / 255.0;
                }
            }
            weights.push(sum / (CELL * CELL) as f32);
        }
    }
    weights
}
