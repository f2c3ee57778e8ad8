//! The noise of the pictures of a batch: what they begin with, and what ancestral samplers add on their way.
//!
//! After the web UI's `ImageRNG`: a generator for each picture, variation seeds, seed resize, eta noise seed delta.

use crate::noise::generator::{Generator, Source};
use crate::noise::slerp::slerp;

/// The seeds of a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseSeeds {
    /// The picture's seed.
    pub seed: u64,
    /// Another seed towards whose noise the first noise goes.
    pub variation: Option<Variation>,
}

/// A variation of a seed's noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variation {
    /// The other seed ("subseed").
    pub seed: u64,
    /// How far the noise goes towards that of the other seed, 0 to 1.
    pub strength: f64,
}

/// The size of the picture whose composition a seed should keep ("Resize seed from").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeedResize {
    /// Rows of its latents (pixels / 8).
    pub height: usize,
    /// Columns of its latents (pixels / 8).
    pub width: usize,
}

/// The noise of a batch of pictures, draw by draw.
#[derive(Debug, Clone)]
pub struct ImageNoise {
    source: Source,
    shape: [usize; 3],
    pictures: Vec<NoiseSeeds>,
    resize: Option<SeedResize>,
    /// Eta noise seed delta, added to the seeds of all draws but the first.
    seed_delta: u64,
    generators: Vec<Generator>,
    begun: bool,
}

impl ImageNoise {
    /// The noise of `pictures`, each of `shape` (C, H, W).
    pub fn new(source: Source, shape: [usize; 3], pictures: Vec<NoiseSeeds>) -> Self {
        let generators = pictures.iter().map(|picture| Generator::new(source, picture.seed)).collect();
        Self { source, shape, pictures, resize: None, seed_delta: 0, generators, begun: false }
    }

    /// The same with the first noise made for pictures of another size; a side of 0 is none.
    pub fn resized_from(self, resize: SeedResize) -> Self {
        let is_size = resize.height > 0 && resize.width > 0;
        Self { resize: if is_size { Some(resize) } else { None }, ..self }
    }

    /// The same with `delta` ("Eta noise seed delta") added to the seeds after the first draw; one below 0 as `u64`.
    pub fn with_seed_delta(self, delta: u64) -> Self {
        Self { seed_delta: delta, ..self }
    }

    /// How many pictures there are.
    pub fn pictures(&self) -> usize {
        self.pictures.len()
    }

    /// The next noise of all pictures, (B, C, H, W): first what they begin with, then what a sampler adds.
    pub fn next_draw(&mut self) -> Vec<f32> {
        if self.begun {
            let count = self.shape.iter().product();
            return self.generators.iter_mut().flat_map(|generator| generator.normal(count)).collect();
        }
        self.begun = true;
        let mut noise = Vec::new();
        for index in 0..self.pictures.len() {
            noise.extend(self.first(index));
        }
        if self.seed_delta != 0 {
            for (generator, picture) in self.generators.iter_mut().zip(&self.pictures) {
                *generator = Generator::new(self.source, picture.seed.wrapping_add(self.seed_delta));
            }
        }
        noise
    }

    /// The first noise of a picture.
    fn first(&mut self, index: usize) -> Vec<f32> {
        let NoiseSeeds { seed, variation } = self.pictures[index];
        let generator = &mut self.generators[index];
        let count = self.shape.iter().product();
        let [channels, height, width] = self.shape;
        let from = self.resize.unwrap_or(SeedResize { height, width });
        let shape = [channels, from.height, from.width];
        let resized = shape != self.shape;
        let mut noise = if resized {
            Generator::new(self.source, seed).normal(shape.iter().product())
        } else {
            generator.normal(count)
        };
        if let Some(Variation { seed, strength }) = variation
            && strength != 0.0
        {
            let other = Generator::new(self.source, seed).normal(noise.len());
            noise = slerp(strength, &noise, &other, shape);
        }
        if !resized {
            return noise;
        }
        let mut whole = generator.normal(count);
        paste(&mut whole, self.shape, &noise, shape);
        whole
    }
}

/// Lays the middle of `patch` over the middle of `whole`, both (C, H, W).
fn paste(whole: &mut [f32], whole_shape: [usize; 3], patch: &[f32], patch_shape: [usize; 3]) {
    let [channels, whole_height, whole_width] = whole_shape;
    let [_, patch_height, patch_width] = patch_shape;
    let rows = Overlap::new(whole_height, patch_height);
    let columns = Overlap::new(whole_width, patch_width);
    for channel in 0..channels {
        for row in 0..rows.length {
            let to = (channel * whole_height + rows.to + row) * whole_width + columns.to;
            let from = (channel * patch_height + rows.from + row) * patch_width + columns.from;
            whole[to..to + columns.length].copy_from_slice(&patch[from..from + columns.length]);
        }
    }
}

/// Where a side of a patch meets that of a whole whose middle it shares.
struct Overlap {
    to: usize,
    from: usize,
    length: usize,
}

impl Overlap {
    fn new(whole: usize, patch: usize) -> Self {
        if whole >= patch {
            return Self { to: (whole - patch) / 2, from: 0, length: patch };
        }
        // As in the web UI, which cuts as much from both ends: a patch that is larger by one loses two.
        let cut = (patch - whole).div_ceil(2);
        Self { to: 0, from: cut, length: patch - (2 * cut).min(patch) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [4, 6, 5];

    fn plain(seed: u64) -> NoiseSeeds {
        NoiseSeeds { seed, variation: None }
    }

    #[test]
    fn a_batch_equals_its_pictures_made_alone() {
        let seeds = vec![plain(7), plain(8)];
        let mut batch = ImageNoise::new(Source::Cpu, SHAPE, seeds).with_seed_delta(31337);
        let mut alone = ImageNoise::new(Source::Cpu, SHAPE, vec![plain(8)]).with_seed_delta(31337);
        for _ in 0..3 {
            let both = batch.next_draw();
            assert_eq!(both[both.len() / 2..], alone.next_draw());
        }
    }

    #[test]
    fn odd_sizes_and_strengths_give_finite_noise() {
        for height in [0, 1, 2, 5, 6, 7, 64] {
            for strength in [0.0, 1e-9, 0.5, 1.0, 7.0] {
                let variation = Some(Variation { seed: u64::MAX, strength });
                let seeds = vec![NoiseSeeds { seed: u64::MAX, variation }];
                let noise = ImageNoise::new(Source::Nv, SHAPE, seeds);
                let drawn = noise.resized_from(SeedResize { height, width: 1 }).next_draw();
                assert_eq!(drawn.len(), SHAPE.iter().product::<usize>());
                assert!(drawn.iter().all(|value| value.is_finite()), "{height}, {strength}");
            }
        }
    }

    #[test]
    fn a_size_of_zero_is_no_other_size() {
        let mut usual = ImageNoise::new(Source::Cpu, SHAPE, vec![plain(1)]);
        let none = SeedResize { height: 64, width: 0 };
        let mut resized = ImageNoise::new(Source::Cpu, SHAPE, vec![plain(1)]).resized_from(none);
        assert_eq!(usual.next_draw(), resized.next_draw());
    }
}
