//! The maths between latents and loss, and back from noise to latents: schedule, noise, targets, loss, samplers.
//!
//! It takes closures and tensors, never a UNet, and draws nothing by itself: every random number comes from a generator
//! or a closure of the caller. Shapes: B samples, C latent channels, H and W latent rows and columns (pixels / 8).

mod schedule;
mod step;

mod noise;
mod timestep;

mod loss;
mod target;

mod guidance;
mod sampler;
mod spacing;

pub use guidance::guide;
pub use loss::{Loss, LossInputs, Weighting, loss};
pub use noise::{
    MultiresLevel, add_multires_noise, add_noise_offset, draw_multires_levels, offset_strengths, unit_normal,
};
pub use sampler::{Model, NoiseSource, Run, Sampler, UnknownSampler};
pub use schedule::{Schedule, TRAIN_STEPS};
pub use step::{NoiseLevel, Step, StepCount, StepsOutOfRange};
pub use target::{Prediction, add_noise};
pub use timestep::draw_timesteps;
