//! Unit normal noise and the noise offset. Plain numbers: the caller puts them on a device.

use rand::Rng;
use rand_distr::StandardNormal;

/// `count` independent values of mean 0 and variance 1.
pub fn unit_normal(rng: &mut impl Rng, count: usize) -> Vec<f32> {
    rng.sample_iter(StandardNormal).take(count).collect()
}

/// Adds one constant per channel of each sample, `strength` · unit normal, so that brightness is learned too.
///
/// `noise` is (B, C, H, W) in row-major order and `plane` is H · W. What sd-scripts does for `--noise_offset`; from
/// Nicholas Guttenberg, "Diffusion with Offset Noise", 2023.
///
/// # Panics
/// If `noise` is not a whole number of planes.
pub fn add_noise_offset(noise: &mut [f32], plane: usize, strength: f64, rng: &mut impl Rng) {
    assert!(noise.len().is_multiple_of(plane), "{} values are not planes of {plane}", noise.len());
    for channel in noise.chunks_exact_mut(plane) {
        let offset = strength as f32 * rng.sample::<f32, _>(StandardNormal);
        channel.iter_mut().for_each(|value| *value += offset);
    }
}
