//! What a picture's settings may be, whoever says them: a command line, a prompt file, the text of a stranger's picture.

use std::ops::RangeInclusive;

use crate::png_text::PictureSettings;
use crate::request::{LARGEST_SCALE, SIDES};

/// Pixels of a side of what is only resized.
const LARGEST_SIDE: f64 = 8192.0;
/// Pixels of a size that is only told to the network.
const LARGEST_TOLD: f64 = 65_536.0;
/// Most sampling steps.
const MOST_STEPS: f64 = 1000.0;
/// Noise levels far above those of any model.
const LARGEST_SIGMA: f64 = 100_000.0;

/// How many times as large the second pass may be.
const UPSCALE: RangeInclusive<f64> = 1.0..=16.0;

/// What is wrong with `settings`, a line each.
pub fn problems(settings: &PictureSettings) -> Vec<String> {
    let whole = |value: Option<usize>| value.map(|value| value as f64);
    let sides = f64::from(*SIDES.start())..=f64::from(*SIDES.end());
    let share = 0.0..=1.0;
    let sigma = 0.0..=LARGEST_SIGMA;
    let sampling = &settings.sampling;
    let hires = &settings.hires;
    let mut found = Found(Vec::new());
    found.check("--width", whole(settings.width), sides.clone());
    found.check("--height", whole(settings.height), sides);
    found.check("--steps", whole(sampling.steps), 1.0..=MOST_STEPS);
    found.check("--cfg_scale", sampling.cfg_scale, 0.0..=LARGEST_SCALE);
    found.check("--negative_scale", sampling.negative_scale, 0.0..=LARGEST_SCALE);
    for (option, pixels) in [
        ("--original_width", settings.sizes.original_width),
        ("--original_height", settings.sizes.original_height),
        ("--negative_original_width", settings.sizes.negative_original_width),
        ("--negative_original_height", settings.sizes.negative_original_height),
        ("--crop_top", settings.sizes.crop_top),
        ("--crop_left", settings.sizes.crop_left),
    ] {
        found.check(option, whole(pixels), 0.0..=LARGEST_TOLD);
    }
    found.check("--clip_skip", whole(settings.clip_skip), 0.0..=23.0);
    found.check("--denoising_strength", settings.denoising_strength, share.clone());
    found.check("--subseed_strength", sampling.variation_strength, share.clone());
    found.check("--skip_early_cfg", sampling.skip_early_cfg, share.clone());
    found.check("--conditional_mask_weight", settings.mask.conditional_weight, share);
    found.check("--seed_resize_from", whole(sampling.seed_resize_width), 0.0..=LARGEST_SIDE);
    found.check("--seed_resize_from", whole(sampling.seed_resize_height), 0.0..=LARGEST_SIDE);
    found.check("--s_min_uncond", sampling.negative_guidance_sigma, sigma.clone());
    found.check("--sigma_min", sampling.sigma_min, sigma.clone());
    found.check("--sigma_max", sampling.sigma_max, sigma);
    if sampling.sigma_min.is_some_and(|sigma| sigma > 0.0 && sigma < 1e-4) {
        found.0.push("--sigma_min is below 0.0001, which no model knows; leave it out".to_owned());
    }
    found.check("--rho", sampling.rho, 0.0..=100.0);
    found.check("--s_tmin", sampling.churn_from, 0.0..=LARGEST_SIGMA);
    found.check("--s_tmax", sampling.churn_to, 0.0..=LARGEST_SIGMA);
    found.check("--s_noise", sampling.churn_noise, 0.0..=10.0);
    found.check("--initial_noise_multiplier", sampling.noise_multiplier, 0.0..=10.0);
    found.check("--extra_noise", sampling.extra_noise, 0.0..=10.0);
    found.check("--mask_blur", settings.mask.blur, 0.0..=64.0);
    found.check("--inpaint_padding", whole(settings.mask.padding), 0.0..=256.0);
    found.check("--hr_scale", hires.upscale, UPSCALE);
    found.check("--hr_resize", whole(hires.width), 0.0..=LARGEST_SIDE);
    found.check("--hr_resize", whole(hires.height), 0.0..=LARGEST_SIDE);
    found.check("--hr_steps", whole(hires.steps), 0.0..=MOST_STEPS);
    let side = settings.width.unwrap_or(0).max(settings.height.unwrap_or(0));
    let times = hires.upscale.filter(|times| UPSCALE.contains(times)).unwrap_or(0.0);
    let larger = side as f64 * times;
    if larger > LARGEST_SIDE {
        found.0.push(format!("--hr_scale leads to a side of {larger:.0} pixels; {LARGEST_SIDE} are the most"));
    }
    found.0
}

struct Found(Vec<String>);

impl Found {
    fn check(&mut self, option: &str, value: Option<f64>, range: RangeInclusive<f64>) {
        let Some(value) = value.filter(|value| !range.contains(value)) else { return };
        let (least, most) = (range.start(), range.end());
        self.0.push(format!("{option} {} is out of range; use {least} to {most}", plain(value)));
    }
}

/// A number as people write it; with an exponent only where it would have many digits.
fn plain(value: f64) -> String {
    let is_long = value != 0.0 && !(1e-6..1e16).contains(&value.abs());
    if is_long { format!("{value:e}") } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::png_text::parse;

    #[test]
    fn numbers_are_told_as_people_write_them() {
        for (value, text) in
            [(4_294_967_296.0, "4294967296"), (700.0, "700"), (-0.5, "-0.5"), (1e300, "1e300"), (1e-300, "1e-300")]
        {
            let mut settings = PictureSettings::default();
            settings.sampling.cfg_scale = Some(value);
            settings.sampling.sigma_max = Some(-value.abs());
            let told = problems(&settings);
            assert!(
                told.contains(&format!(
                    "--sigma_max -{} is out of range; use 0 to 100000",
                    text.trim_start_matches('-')
                ))
            );
            if !(0.0..=100.0).contains(&value) {
                assert!(told.contains(&format!("--cfg_scale {text} is out of range; use 0 to 100")), "{told:?}");
            }
        }
    }

    #[test]
    fn a_strangers_text_asks_for_no_more_than_a_command_line() {
        let told = |settings: &str| {
            let text = format!("a\nSteps: 2, Sampler: Euler, Seed: 1, {settings}");
            problems(&PictureSettings::of(&parse(&text)))
        };
        assert!(told("CFG scale: 7, Size: 512x768, Hires upscale: 2, Denoising strength: 0.5").is_empty());
        for (settings, option) in [
            ("Size: 100000x100000", "--width"),
            ("Seed resize from: 100000x8", "--seed_resize_from"),
            ("Size: 64x64, Hires upscale: 100", "--hr_scale"),
            ("Size: 4096x64, Hires upscale: 4", "--hr_scale"),
            ("Size: 64x64, Hires resize: 4294967304x8", "--hr_resize"),
            ("Negative CFG scale: 1e9", "--negative_scale"),
            ("Original width: 100000", "--original_width"),
            ("CFG scale: -7", "--cfg_scale"),
            ("Denoising strength: 1e9", "--denoising_strength"),
            ("Schedule min sigma: 1e-300", "--sigma_min"),
            ("Clip skip: 1000000000000", "--clip_skip"),
        ] {
            let told = told(settings);
            let lines = told.iter().filter(|line| line.starts_with(option)).count();
            assert_eq!(lines, 1, "{settings}: {told:?}");
        }
    }
}
