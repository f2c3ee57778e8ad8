//! What is written into a picture: a [`Request`] as the web UI's text says it.

use lorabake_diffusion::{Sampler, SamplerOptions, Scheduler, UniPcOptions, UniPcSkip, UniPcVariant};

use crate::conditioning::ToldSizes;
use crate::conditioning::length::PadPrompts;
use crate::file_hashes;
use crate::hires::Enlarge;
use crate::inpaint::{Area, MaskedContent};
use crate::png_text::{Fields, NamedHash, Value, Variation};
use crate::prompt::emphasis::Emphasis;
use crate::request::{Hires, HiresUpscaler, Init, InpaintRequest, Request};

/// What of a picture is not in its request.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// The prompt as typed, with its tags.
    pub prompt: String,
    /// The negative prompt as typed.
    pub negative_prompt: String,
    /// The second pass's prompt as typed.
    pub hires_prompt: Option<String>,
    /// File name of the checkpoint without suffix.
    pub model: String,
    /// First 10 hex digits of the SHA-256 of its file.
    pub model_hash: Option<String>,
    /// File name of a VAE of its own.
    pub vae: Option<String>,
    /// First 10 hex digits of the SHA-256 of its file.
    pub vae_hash: Option<String>,
    /// Hashes of LoRAs.
    pub loras: Vec<NamedHash>,
    /// Hashes of embeddings.
    pub embeddings: Vec<NamedHash>,
    /// Texts of ControlNet's units.
    pub control: Vec<String>,
    /// How much an inpainting model sees of what the mask hides; none for other models.
    pub conditional_mask_weight: Option<f64>,
}

/// The text of a picture that was painted by `request`.
pub fn fields(request: &Request, told: &Told) -> Fields {
    let sampling = &request.sampling;
    let mut fields = Fields {
        prompt: told.prompt.clone(),
        negative_prompt: told.negative_prompt.clone(),
        steps: sampling.steps as i64,
        sampler: sampling.sampler.to_string(),
        scheduler: Some(schedule_type(sampling.sampler, sampling.scheduler)),
        cfg_scale: Value::short(sampling.cfg_scale),
        seed: request.seed.seed,
        size: request.size,
        model_hash: told.model_hash.clone(),
        model: Some(told.model.clone()),
        vae_hash: told.vae_hash.clone(),
        vae: told.vae.clone(),
        seed_resize_from: request.seed.resize_from,
        clip_skip: request.text.clip_skip as i64,
        seed_delta: request.seed.eta_noise_seed_delta as i64,
        rng: request.seed.source.to_string(),
        tiling: request.tiling,
        ..Fields::default()
    };
    if request.seed.subseed_strength > 0.0 {
        let strength = Value::short(request.seed.subseed_strength);
        fields.variation = Some(Variation { seed: request.seed.subseed, strength });
    }
    fields.conditional_mask_weight = told.conditional_mask_weight.map(Value::short);
    put_control(&mut fields, told);
    if let Some(init) = &request.init {
        put_init(&mut fields, init);
    }
    if let Some(hires) = &request.hires {
        put_hires(&mut fields, request, hires, told);
    }
    if let Some(hashes) = file_hashes::written(&told.loras) {
        fields.extra.put("Lora hashes", hashes);
    }
    if let Some(hashes) = file_hashes::written(&told.embeddings) {
        fields.extra.put("TI hashes", hashes);
    }
    // The web UI mentions it of some samplers only, though it acts with all that draw noise on their way.
    if request.seed.eta_noise_seed_delta > 0 {
        fields.extra.put("ENSD", request.seed.eta_noise_seed_delta as i64);
    }
    put_options(&mut fields, request);
    put_sizes(&mut fields, request.text.sizes);
    put_unipc(&mut fields, request);
    fields
}

/// `Schedule type`: what acted, where the sampler's own is another than the web UI's plain one.
fn schedule_type(sampler: Sampler, scheduler: Scheduler) -> String {
    let acted = if scheduler == Scheduler::Automatic { sampler.default_scheduler() } else { scheduler };
    acted.to_string()
}

fn put_control(fields: &mut Fields, told: &Told) {
    for (index, unit) in told.control.iter().enumerate() {
        fields.extra.put(&format!("ControlNet {index}"), unit.as_str());
    }
}

fn put_init(fields: &mut Fields, init: &Init) {
    fields.denoising_strength = Some(Value::short(init.denoising_strength));
    if let Some(inpaint) = &init.inpaint {
        put_mask(fields, inpaint);
    }
    if init.noise_multiplier != 1.0 {
        fields.extra.put("Noise multiplier", Value::short(init.noise_multiplier));
    }
}

fn put_mask(fields: &mut Fields, inpaint: &InpaintRequest) {
    let settings = &inpaint.settings;
    if settings.invert {
        fields.extra.put("Mask mode", "Inpaint not masked");
    }
    if settings.blur.0 > 0.0 {
        fields.extra.put("Mask blur", Value::short(settings.blur.0));
    }
    let is_empty = inpaint.mask.data.iter().all(|shade| *shade == if settings.invert { 255 } else { 0 });
    if let Area::OnlyMasked { padding } = settings.area
        && !is_empty
    {
        fields.extra.put("Inpaint area", "Only masked");
        fields.extra.put("Masked area padding", Value::Whole(i64::from(padding)));
    }
    let content = match settings.content {
        MaskedContent::Original => None,
        MaskedContent::Fill => Some("fill"),
        MaskedContent::LatentNoise => Some("latent noise"),
        MaskedContent::LatentNothing => Some("latent nothing"),
    };
    if let Some(content) = content {
        fields.extra.put("Masked content", content);
    }
    if let Some(soft) = &inpaint.soft {
        fields.extra.put("Soft inpainting enabled", true);
        for (key, value) in [
            ("schedule bias", soft.power),
            ("preservation strength", soft.scale),
            ("transition contrast boost", soft.detail),
            ("mask influence", soft.influence),
            ("difference threshold", soft.threshold),
            ("difference contrast", soft.contrast),
        ] {
            fields.extra.put(&format!("Soft inpainting {key}"), Value::short(value));
        }
    }
}

fn put_hires(fields: &mut Fields, request: &Request, hires: &Hires, told: &Told) {
    fields.denoising_strength = Some(Value::short(hires.denoising_strength));
    if let Some(sampler) = hires.sampler.filter(|sampler| *sampler != request.sampling.sampler) {
        fields.extra.put("Hires sampler", sampler.to_string().as_str());
    }
    if let Some(scheduler) = hires.scheduler.filter(|scheduler| *scheduler != request.sampling.scheduler) {
        fields.extra.put("Hires schedule type", scheduler.to_string().as_str());
    }
    if let Some(prompt) = told.hires_prompt.as_ref().filter(|prompt| !prompt.is_empty() && **prompt != told.prompt) {
        fields.extra.put("Hires prompt", prompt.as_str());
    }
    if let Some(prompt) = hires.negative_prompt.as_ref().filter(|prompt| **prompt != told.negative_prompt) {
        fields.extra.put("Hires negative prompt", prompt.as_str());
    }
    match hires.size {
        Enlarge::By(factor) => fields.extra.put("Hires upscale", Value::short(factor)),
        Enlarge::To(size) => fields.extra.put("Hires resize", format!("{}x{}", size.0, size.1).as_str()),
    }
    if hires.steps > 0 {
        fields.extra.put("Hires steps", Value::Whole(hires.steps as i64));
    }
    let name = match &hires.upscaler {
        HiresUpscaler::Latent(upscaler) => upscaler.name().to_owned(),
        HiresUpscaler::Resampler(resampler) => format!("{resampler:?}"),
        HiresUpscaler::Net(path) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
    };
    fields.extra.put("Hires upscaler", name.as_str());
}

/// What of UniPC is not its default; the web UI leaves that out, and loses it.
fn put_unipc(fields: &mut Fields, request: &Request) {
    let own = request.sampling.options.unipc;
    let plain = UniPcOptions::default();
    let extra = &mut fields.extra;
    if own.variant != plain.variant {
        extra.put(
            "UniPC variant",
            match own.variant {
                UniPcVariant::Bh1 => "bh1",
                UniPcVariant::Bh2 => "bh2",
                UniPcVariant::VaryCoeff => "vary_coeff",
            },
        );
    }
    if own.skip != plain.skip {
        extra.put(
            "UniPC skip type",
            match own.skip {
                UniPcSkip::TimeUniform => "time_uniform",
                UniPcSkip::TimeQuadratic => "time_quadratic",
                UniPcSkip::LogSnr => "logSNR",
            },
        );
    }
    if own.order != plain.order {
        extra.put("UniPC order", Value::Whole(own.order as i64));
    }
    if own.lower_order_final != plain.lower_order_final {
        extra.put("UniPC lower order final", own.lower_order_final);
    }
}

/// What of the options is not the web UI's default.
fn put_options(fields: &mut Fields, request: &Request) {
    let sampling = &request.sampling;
    let SamplerOptions { s_churn, s_tmin, s_tmax, s_noise, sigma_min, sigma_max, rho, .. } = sampling.options;
    let plain = SamplerOptions::default();
    let extra = &mut fields.extra;
    // What is the web UI's default, 1 and 0, is left out.
    if let Some(eta) = sampling.eta.filter(|eta| *eta != 1.0) {
        extra.put("Eta", Value::short(eta));
    }
    if let Some(eta) = sampling.eta_ddim.filter(|eta| *eta != 0.0) {
        extra.put("Eta DDIM", Value::short(eta));
    }
    let mut put = |key: &str, value: Option<f64>| {
        if let Some(value) = value {
            extra.put(key, Value::short(value));
        }
    };
    put("Sigma churn", Some(s_churn).filter(|value| *value != plain.s_churn));
    put("Sigma tmin", Some(s_tmin).filter(|value| *value != plain.s_tmin));
    put("Sigma tmax", s_tmax);
    put("Sigma noise", Some(s_noise).filter(|value| *value != plain.s_noise));
    put("Schedule max sigma", sigma_max);
    put("Schedule min sigma", sigma_min);
    put("Schedule rho", rho);
    put("Negative CFG scale", sampling.negative_scale);
    put("NGMS", Some(sampling.s_min_uncond).filter(|value| *value > 0.0));
    put("Skip Early CFG", Some(sampling.skip_early_cfg).filter(|value| *value > 0.0));
    put("Extra noise", Some(sampling.extra_noise).filter(|value| *value > 0.0));
    let beta = sampling.options.beta;
    put("Beta schedule alpha", Some(beta.alpha).filter(|value| *value != plain.beta.alpha));
    put("Beta schedule beta", Some(beta.beta).filter(|value| *value != plain.beta.beta));
    for (key, acts) in [
        ("NGMS all steps", sampling.s_min_uncond_all),
        ("SGM noise multiplier", sampling.options.sgm_noise_multiplier),
        ("Downcast alphas_cumprod", sampling.downcast_alphas),
    ] {
        if acts {
            extra.put(key, true);
        }
    }
    if sampling.zero_terminal_snr {
        extra.put("Noise Schedule", "Zero Terminal SNR");
    }
    if sampling.options.always_discard {
        extra.put("Discard penultimate sigma", true);
    }
    match request.pad_prompts {
        PadPrompts::Off => {}
        PadPrompts::Pad => extra.put("Pad conds", true),
        PadPrompts::PadV0 => extra.put("Pad conds v0", true),
    }
    if request.old_prompt_editing {
        extra.put("Old prompt editing timelines", true);
    }
    if request.text.emphasis != Emphasis::Original {
        extra.put("Emphasis", request.text.emphasis.to_string().as_str());
    }
}

/// What SDXL was told of sizes, where that is not the picture's own.
fn put_sizes(fields: &mut Fields, sizes: ToldSizes) {
    for (key, pixels) in [
        ("Original width", sizes.original_width),
        ("Original height", sizes.original_height),
        ("Negative original width", sizes.negative_original_width),
        ("Negative original height", sizes.negative_original_height),
        ("Crop top", sizes.crop_top),
        ("Crop left", sizes.crop_left),
    ] {
        if let Some(pixels) = pixels {
            fields.extra.put(key, Value::Whole(pixels as i64));
        }
    }
}
