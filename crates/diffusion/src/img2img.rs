//! How many of its steps a run makes that begins with a picture (the web UI's `setup_img2img_steps`).

/// The largest denoising strength that counts.
const MOST: f64 = 0.999;

/// What the number of steps of img2img means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StepRule {
    /// The schedule has them, and a share of it is run.
    #[default]
    Share,
    /// As many are run, and the schedule has more ("do exactly the amount of steps the slider specifies", and hires
    /// passes whose number of steps is given).
    Exactly,
}

/// The steps of a run that begins with a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Img2ImgSteps {
    /// Steps of the schedule; 0 at strength 0 and [`StepRule::Exactly`], where nothing is to be done.
    pub schedule: usize,
    /// How many of them are run: k-diffusion's samplers run one more, the DDIM family makes one call less.
    pub encode: usize,
}

impl Img2ImgSteps {
    /// Whether the picture stays as it is: no sampler has levels for a schedule of no steps.
    pub fn is_nothing(self) -> bool {
        self.schedule == 0
    }

    /// Those of `steps` at a denoising strength from 0 to 1.
    pub fn new(steps: usize, strength: f64, rule: StepRule) -> Self {
        let strength = strength.clamp(0.0, 1.0);
        match rule {
            StepRule::Share => Self { schedule: steps, encode: (strength.min(MOST) * steps as f64) as usize },
            StepRule::Exactly => {
                let schedule = if strength > 0.0 { (steps as f64 / strength.min(MOST)) as usize } else { 0 };
                Self { schedule, encode: steps.saturating_sub(1) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_strengths_give_steps_that_can_be_run_or_none() {
        for rule in [StepRule::Share, StepRule::Exactly] {
            for strength in [-1.0, 0.0, 1e-300, 0.3, 1.0, 7.0, f64::NAN] {
                let steps = Img2ImgSteps::new(20, strength, rule);
                assert!(steps.is_nothing() || steps.encode < steps.schedule, "{rule:?}, {strength}: {steps:?}");
            }
        }
        assert!(Img2ImgSteps::new(20, 0.0, StepRule::Exactly).is_nothing());
        assert_eq!(Img2ImgSteps::new(20, 1.0, StepRule::Share), Img2ImgSteps { schedule: 20, encode: 19 });
    }
}
