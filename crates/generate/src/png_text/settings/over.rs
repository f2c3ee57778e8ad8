//! Settings from several places: what one leaves open, another fills in.

use super::{HiresSettings, MaskSettings, PictureSettings, SamplingSettings};

/// Fills what is open in `$own` from `$base`, field by field.
macro_rules! fill {
    ($own:expr, $base:expr, $($field:ident),+ $(,)?) => {
        $(if $own.$field.is_none() {
            $own.$field = $base.$field.clone();
        })+
    };
}

impl PictureSettings {
    /// These settings, and those of `base` where these leave something open. What is only told (hashes, what was not
    /// understood) stays as it is here.
    pub fn over(mut self, base: &Self) -> Self {
        fill!(
            self,
            base,
            prompt,
            negative_prompt,
            width,
            height,
            clip_skip,
            emphasis,
            old_prompt_editing,
            pad_conds,
            pad_conds_v0,
            tiling,
            denoising_strength,
        );
        fill!(
            self.sizes,
            base.sizes,
            original_width,
            original_height,
            negative_original_width,
            negative_original_height,
            crop_top,
            crop_left,
        );
        self.sampling = self.sampling.over(&base.sampling);
        self.hires = self.hires.over(&base.hires);
        self.mask = self.mask.over(&base.mask);
        self
    }
}

impl SamplingSettings {
    fn over(mut self, base: &Self) -> Self {
        // Another sampler does not come with the schedule of the one that it replaces.
        if self.sampler.is_none() {
            fill!(self, base, sampler, scheduler);
        }
        fill!(
            self,
            base,
            steps,
            cfg_scale,
            negative_scale,
            seed,
            variation_seed,
            variation_strength,
            seed_resize_width,
            seed_resize_height,
            seed_delta,
            rng,
            eta,
            eta_ddim,
            churn,
            churn_from,
            churn_to,
            churn_noise,
            sigma_min,
            sigma_max,
            rho,
            beta_alpha,
            beta_beta,
            discard_penultimate,
            sgm_noise_multiplier,
        );
        fill!(
            self,
            base,
            noise_schedule,
            downcast_alphas,
            negative_guidance_sigma,
            negative_guidance_all,
            skip_early_cfg,
            noise_multiplier,
            extra_noise,
            unipc_variant,
            unipc_skip_type,
            unipc_order,
            unipc_lower_order_final,
        );
        self
    }
}

impl HiresSettings {
    fn over(mut self, base: &Self) -> Self {
        // A size of one kind replaces a size of the other.
        if self.upscale.is_none() && self.width.is_none() && self.height.is_none() {
            fill!(self, base, upscale, width, height);
        }
        fill!(self, base, steps, upscaler, checkpoint, sampler, scheduler, prompt, negative_prompt, cfg_scale,);
        self
    }
}

impl MaskSettings {
    fn over(mut self, base: &Self) -> Self {
        fill!(self, base, blur, inverted, content, only_masked, padding, conditional_weight, soft);
        for (own, base) in self.soft_numbers.iter_mut().zip(base.soft_numbers) {
            *own = own.or(base);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::png_text::parse;

    #[test]
    fn what_is_typed_wins_over_a_picture() {
        let text = "a cat\nNegative prompt: bad\nSteps: 30, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 5, Seed: 9, \
                    Size: 64x96, Hires upscale: 2, Hires upscaler: Latent";
        let base = PictureSettings::of(&parse(text));
        let mut typed = PictureSettings { prompt: Some("a dog".to_owned()), ..PictureSettings::default() };
        typed.sampling.sampler = Some("Euler".to_owned());
        typed.hires.width = Some(128);
        let both = typed.over(&base);
        assert_eq!(both.prompt.as_deref(), Some("a dog"));
        assert_eq!((both.sampling.steps, both.sampling.seed, both.height), (Some(30), Some(9), Some(96)));
        assert_eq!((both.sampling.sampler.as_deref(), both.sampling.scheduler), (Some("Euler"), None));
        assert_eq!((both.hires.upscale, both.hires.width), (None, Some(128)));
    }
}
