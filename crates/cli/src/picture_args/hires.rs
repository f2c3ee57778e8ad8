//! Options of the commands that paint for a second pass at a larger size.

use lorabake_diffusion::{SamplerChoice, Scheduler};
use lorabake_generate::png_text::PictureSettings;

/// The second pass (hires fix).
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "Hires fix")]
pub struct HiresArgs {
    /// Paints a second time, so many times as large (hires fix).
    #[arg(long, value_name = "TIMES", conflicts_with_all = ["hr_resize", "init_image"])]
    hr_scale: Option<f64>,
    /// The same by size in pixels; 0 = as the other side wants it.
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = super::values::size, conflicts_with = "init_image")]
    hr_resize: Option<[usize; 2]>,
    /// How the first picture is enlarged: Latent, "Latent (bicubic)", Lanczos, Nearest, None, or a file of --upscaler_dir.
    /// [default: Latent]
    #[arg(long, value_name = "NAME")]
    hr_upscaler: Option<String>,
    /// Steps of the second pass; 0 = as many as in the first. [default: 0]
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u16).range(0..=500))]
    hr_steps: Option<u16>,
    /// Prompt of the second pass. [default: that of the first]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    hr_prompt: Option<String>,
    /// Negative prompt of the second pass. [default: that of the first]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    hr_negative_prompt: Option<String>,
    /// Sampler of the second pass. [default: that of the first]
    #[arg(long, value_name = "NAME")]
    hr_sampler: Option<SamplerChoice>,
    /// Spacing of the second pass. [default: that of the first]
    #[arg(long, value_name = "NAME")]
    hr_scheduler: Option<Scheduler>,
}

impl HiresArgs {
    /// Puts what was typed into `settings`.
    pub fn put(&self, settings: &mut PictureSettings) {
        let hires = &mut settings.hires;
        hires.upscale = self.hr_scale;
        hires.width = self.hr_resize.map(|size| size[0]);
        hires.height = self.hr_resize.map(|size| size[1]);
        hires.upscaler = self.hr_upscaler.clone();
        hires.steps = self.hr_steps.map(usize::from);
        hires.prompt = self.hr_prompt.clone();
        hires.negative_prompt = self.hr_negative_prompt.clone();
        if let Some(choice) = self.hr_sampler {
            hires.sampler = Some(choice.sampler.to_string());
            // A name such as "DPM++ 2M Karras" brings one; else it is that of the first pass.
            if choice.scheduler != Scheduler::Automatic {
                hires.scheduler = Some(choice.scheduler.to_string());
            }
        }
        if let Some(scheduler) = self.hr_scheduler {
            hires.scheduler = Some(scheduler.to_string());
        }
    }

    /// Options that were typed and need a second pass.
    pub fn typed(&self) -> Vec<&'static str> {
        let mut typed = Vec::new();
        for (option, is_typed) in [
            ("--hr_upscaler", self.hr_upscaler.is_some()),
            ("--hr_steps", self.hr_steps.is_some()),
            ("--hr_prompt", self.hr_prompt.is_some()),
            ("--hr_negative_prompt", self.hr_negative_prompt.is_some()),
            ("--hr_sampler", self.hr_sampler.is_some()),
            ("--hr_scheduler", self.hr_scheduler.is_some()),
        ] {
            if is_typed {
                typed.push(option);
            }
        }
        typed
    }
}
