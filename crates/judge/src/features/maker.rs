//! Features of pictures by the networks of a painter. Each picture is looked at once, however often it is asked for: what was
//! seen stays in memory, 1.7 MB a picture for SD1.x, SD2.x and SDXL.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Result, bail};
use burn::tensor::Tensor;
use lorabake_diffusion::unit_normal;
use lorabake_generate::painter::Painter;
use lorabake_model::Conditioning;
use lorabake_pixels::pillow::{Filter, resize};
use lorabake_pixels::{Rgb, Size};
use lorabake_recipe::seed::Seed;
use sha2::{Digest, Sha256};

use super::{COARSE, Dift, Features, GRID, LAYOUT, NOISES, Patches, moments, pooled};

/// Sides of pictures are multiples of this many pixels, so that every level of the UNet is whole.
const UNIT: f64 = 64.0;

/// Makes features of pictures.
#[derive(Debug)]
pub struct FeatureMaker<'a> {
    painter: &'a Painter,
    dift: Dift,
    side: usize,
    seed: Seed,
    conditioning: Conditioning,
    known: RefCell<HashMap<[u8; 32], Arc<Features>>>,
}

impl<'a> FeatureMaker<'a> {
    /// For pictures as the networks of `painter` see them when they are told nothing; `side` is the usual one of its
    /// pictures in pixels.
    ///
    /// # Errors
    /// When it is an inpainting model, whose UNet wants a mask too.
    pub fn new(painter: &'a Painter, side: usize) -> Result<Self> {
        if painter.is_inpainting_model() {
            bail!("an inpainting model cannot compare pictures; take the checkpoint that the LoRA is made for");
        }
        let dift = Dift::usual(painter.family(), side);
        let conditioning = painter.conditioning("", [side, side])?;
        Ok(Self { painter, dift, side, seed: Seed(0), conditioning, known: RefCell::default() })
    }

    /// The same, telling the UNet what kind of thing all pictures show, for instance `1girl`.
    ///
    /// # Errors
    /// When the text's emphasis cannot be read.
    pub fn told(self, class: &str) -> Result<Self> {
        let conditioning = self.painter.conditioning(class, [self.side, self.side])?;
        Ok(Self { conditioning, known: RefCell::default(), ..self })
    }

    /// The same with other noise.
    pub fn with_seed(self, seed: Seed) -> Self {
        Self { seed, known: RefCell::default(), ..self }
    }

    /// The same at another place of the UNet.
    pub fn at(self, dift: Dift) -> Self {
        Self { dift, known: RefCell::default(), ..self }
    }

    /// What the networks see in a picture, which is brought to the usual number of pixels with its shape kept. Its noise
    /// depends on the seed and the picture's pixels alone.
    ///
    /// # Errors
    /// When a network cannot be read any more, or gives values that are not numbers.
    pub fn features(&self, picture: &Rgb) -> Result<Arc<Features>> {
        let hash = hash(picture);
        if let Some(known) = self.known.borrow().get(&hash) {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(self.look_at(picture, hash)?);
        self.known.borrow_mut().insert(hash, Arc::clone(&made));
        Ok(made)
    }

    fn look_at(&self, picture: &Rgb, hash: [u8; 32]) -> Result<Features> {
        let size = fitted(picture.size(), self.side);
        let latents = self.painter.encode(&resize(picture, size, Filter::Lanczos));
        let [_, channels, rows, columns] = latents.dims();
        let mut noises = Vec::with_capacity(NOISES);
        let start = u64::from_le_bytes(hash[..8].try_into().expect("eight bytes"));
        for index in 0..NOISES {
            let mut stream = self.seed.stream("dift", &[start, index as u64]);
            noises.push(unit_normal(&mut stream, channels * rows * columns));
        }
        let mut conditioning = self.conditioning.clone();
        if let Some(added) = &mut conditioning.added {
            let [width, height] = [size.0 as f32, size.1 as f32];
            added.time_ids = vec![[height, width, 0.0, 0.0, height, width]];
        }
        let activation = self.dift.activation(self.painter, latents.clone(), &noises, &conditioning)?;
        let [_, width, high, wide] = activation.dims();
        let activation = to_f32_vec(activation);
        Ok(Features {
            global: moments(&activation, [width, high, wide]),
            patches: Patches::of(&activation, [width, high, wide], GRID),
            coarse: Patches::of(&activation, [width, high, wide], COARSE),
            layout: pooled(&to_f32_vec(latents), [channels, rows, columns], LAYOUT),
        })
    }
}

fn to_f32_vec(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("the networks compute in f32")
}

/// SHA-256 of size and pixels.
pub(super) fn hash(picture: &Rgb) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(picture.width.to_le_bytes());
    hash.update(picture.height.to_le_bytes());
    hash.update(&picture.data);
    hash.finalize().into()
}

/// A size of about `side` × `side` pixels in the shape of `size`; what is more than four times as long as wide is squeezed.
fn fitted(size: Size, side: usize) -> Size {
    let [width, height] = [size.0, size.1].map(f64::from);
    let side = side as f64;
    let scale = side / (width * height).sqrt();
    let [width, height] = [width, height].map(|length| {
        let length = (length * scale).clamp(side / 2.0, side * 2.0);
        ((length / UNIT).round().max(1.0) * UNIT) as u32
    });
    (width, height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_keep_their_shape() {
        assert_eq!(fitted((512, 512), 512), (512, 512));
        assert_eq!(fitted((1024, 1024), 512), (512, 512));
        assert_eq!(fitted((832, 1216), 1024), (832, 1216));
        assert_eq!(fitted((100, 130), 128), (128, 128));
        assert_eq!(fitted((10_000, 1), 512), (1024, 256));
    }

    #[test]
    fn a_hash_tells_sizes_apart() {
        let picture = |width, height| Rgb { width, height, data: vec![7; 24] };
        assert_ne!(hash(&picture(4, 2)), hash(&picture(2, 4)));
    }
}
