//! Options that would have no effect: they are refused, with what they need.

use anyhow::Result;
use lorabake_diffusion::Sampler;
use lorabake_generate::png_text::PictureSettings;
use lorabake_generate::problems::Problems;

use super::PictureArgs;

/// What typed options do not do with the sampler: a note for each.
pub fn notes(args: &PictureArgs, sampler: Sampler) -> Vec<String> {
    let mut notes = Vec::new();
    if sampler.goes_by_timesteps() && args.sampling.has_scheduler() {
        notes.push(format!("--scheduler has no effect on {sampler}, which goes by timesteps"));
    }
    let churns = ["Euler", "Heun", "DPM2"].contains(&sampler.to_string().as_str());
    if !churns && args.sampling.has_churn() {
        notes.push(format!(
            "--s_churn, --s_tmin and --s_tmax have no effect on {sampler}; Euler, Heun and DPM2 heed them"
        ));
    }
    if sampler.to_string() == "DPM adaptive" {
        notes.push("--steps has no effect on DPM adaptive, which chooses its own".to_owned());
    }
    notes
}

/// Refuses options whose subject is not there; `settings` are those of the command line and of `--like`.
///
/// # Errors
/// All such options, one a line.
pub fn check(args: &PictureArgs, settings: &PictureSettings) -> Result<()> {
    let mut problems = Vec::new();
    let has_hires =
        settings.hires.upscale.is_some() || settings.hires.width.is_some() || settings.hires.height.is_some();
    let has_image = args.init.init_image.is_some();
    if !has_hires {
        for option in args.hires.typed() {
            problems.push(format!("{option}: there is no second pass; give --hr_scale or --hr_resize"));
        }
    }
    if !has_image && !has_hires && args.init.has_extra_noise() {
        problems.push("--extra_noise: there is no picture to begin with; give --init_image or --hr_scale".to_owned());
    }
    if !has_image {
        for option in args.init.typed_for_image() {
            problems.push(format!("{option}: there is no picture to begin with; give --init_image"));
        }
        if settings.denoising_strength.is_some() && !has_hires && args.like.is_none() && args.from_file.is_none() {
            problems
                .push("--denoising_strength: there is nothing to change; give --init_image or --hr_scale".to_owned());
        }
    }
    if !args.init.has_mask() {
        for option in args.init.typed_for_mask() {
            problems.push(format!("{option}: there is no mask; give --mask or --sketch"));
        }
    }
    if settings.sampling.variation_seed.is_some() && settings.sampling.variation_strength.unwrap_or(0.0) == 0.0 {
        problems.push("--subseed: it acts with --subseed_strength; give that, for instance 0.2".to_owned());
    }
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems).into()) }
}
