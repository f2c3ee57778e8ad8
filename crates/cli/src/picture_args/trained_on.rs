//! How pictures are sampled that are trained on: those of `reg` and `gachamax`.

use lorabake_diffusion::{SamplerChoice, Scheduler};
use lorabake_generate::png_text::PictureSettings;

/// The guidance up to which pictures suit training, by the guides.
const MILD_GUIDANCE: f64 = 7.0;

/// How they are sampled.
#[derive(Debug, Clone, Copy)]
pub struct TrainedOn<'a> {
    /// What they should not show.
    pub negative_prompt: Option<&'a str>,
    /// Which layer of the text encoder is used, counted from its end.
    pub clip_skip: u32,
    /// Sampling steps.
    pub steps: u16,
    /// Guidance.
    pub cfg_scale: f64,
    /// Sampler and spacing.
    pub sampler: SamplerChoice,
}

impl TrainedOn<'_> {
    /// What all pictures have in common.
    pub fn settings(&self) -> PictureSettings {
        let mut settings = PictureSettings {
            negative_prompt: self.negative_prompt.map(str::to_owned),
            clip_skip: Some(self.clip_skip as usize),
            ..PictureSettings::default()
        };
        settings.sampling.steps = Some(self.steps.into());
        settings.sampling.cfg_scale = Some(self.cfg_scale);
        settings.sampling.sampler = Some(self.sampler.sampler.to_string());
        if self.sampler.scheduler != Scheduler::Automatic {
            settings.sampling.scheduler = Some(self.sampler.scheduler.to_string());
        }
        settings
    }
}

/// A warning about guidance that is too strong for pictures to train on.
pub fn strong_guidance(scale: f64) -> Option<String> {
    if scale <= MILD_GUIDANCE {
        return None;
    }
    Some(format!(
        "warning: --cfg_scale {scale}: above {MILD_GUIDANCE} contrast and saturation carry over into what is trained; 5 to \
         {MILD_GUIDANCE} is usual"
    ))
}
