//! The maths between latents and loss, and back from noise to latents: schedule, noise, targets, loss, samplers.
//!
//! It takes closures and tensors, never a UNet, and draws nothing by itself: every random number comes from a generator
//! or a closure of the caller. Shapes: B samples, C latent channels, H and W latent rows and columns (pixels / 8).

mod noise_table;
mod schedule;
mod step;

mod noise;
mod timestep;

mod loss;
mod target;

mod guidance;
mod img2img;
mod levels;
mod names;
mod options;
mod sampler;
mod spacing;

pub use guidance::{GuidanceSkips, GuidedPart, KeptLatents, guide, guide_by_parts, parts_alone};
pub use img2img::{Img2ImgSteps, StepRule};
pub use levels::Levels;
pub use loss::{Loss, LossInputs, Weighting, loss};
pub use names::UnknownName;
pub use noise::{
    MultiresLevel, add_multires_noise, add_noise_offset, draw_multires_levels, offset_strengths, unit_normal,
};
pub use noise_table::NoiseTable;
pub use options::{BadSamplerOption, SamplerOptions, UniPcOptions, UniPcSkip, UniPcVariant};
pub use sampler::{Answer, BrownianSource, Call, Model, NoiseSource, Run, Sampler, SamplerChoice, Wanted};
pub use schedule::{Schedule, TRAIN_STEPS};
pub use spacing::{BetaShape, Scheduler};
pub use step::{NoiseLevel, StepCount, StepsOutOfRange};
pub use target::{Prediction, add_noise};
pub use timestep::draw_timesteps;
