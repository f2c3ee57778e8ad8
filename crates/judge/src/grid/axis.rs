//! What may vary in a grid: our axes by their short names, and all those of the web UI, one a row.

use lorabake_diffusion::{Sampler, SamplerChoice};
use lorabake_generate::png_text::PictureSettings;
use lorabake_generate::prompt::meant;
use lorabake_generate::xyz::{Kind, Label};

/// Something that may vary.
pub struct Axis {
    /// Its short name.
    pub name: &'static str,
    /// Its name in the web UI, or the same name again.
    pub web_ui: &'static str,
    /// What is typed for it.
    pub kind: Kind,
    /// How its values are written beside the pictures.
    pub label: Label,
    /// What a value does.
    pub put: Put,
    /// What it needs to have an effect, and what to do.
    pub needs: &'static str,
}

/// What a value of an axis does.
#[derive(Clone, Copy)]
pub enum Put {
    /// Sets a number.
    Number(fn(&mut PictureSettings, f64)),
    /// Sets a whole number of 0 or more.
    Whole(fn(&mut PictureSettings, usize)),
    /// Sets a text.
    Text(fn(&mut PictureSettings, &str)),
    /// Switches something on or off.
    Flag(fn(&mut PictureSettings, bool)),
    /// Sets width and height.
    Size,
    /// Replaces the first value by each.
    Replace,
    /// Puts parts of the prompt into another order.
    Order,
    /// Another LoRA in the prompt.
    Lora,
    /// Another snapshot of a run in the prompt.
    Epoch,
    /// Another strength of the prompt's LoRA.
    Strength(Acts),
    /// Other block weights of the prompt's LoRA.
    Block,
    /// Another checkpoint.
    Checkpoint,
    /// Another VAE.
    Vae,
}

/// Where a strength acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acts {
    /// In text encoders and UNet.
    Both,
    /// In the text encoders.
    Text,
    /// In the UNet.
    Unet,
}

/// A name of the web UI that is refused, and why.
pub struct Refused {
    /// The name.
    pub name: &'static str,
    /// Why, and what to do.
    pub why: &'static str,
}

const HIRES: &str = "there is no second pass; give --hr_scale or --hr_resize";
const IMAGE: &str = "there is no picture to begin with; give --init_image";
const EITHER: &str = "there is nothing to change; give --init_image or --hr_scale";
const CHURN: &str = "Euler, Heun and DPM2 heed it; give --sampler, and for the other churn settings --s_churn";
const LORA: &str = "there is no LoRA for it to act on; write one into the prompt";
const LEVELS: &str = "DDIM, PLMS and UniPC go by timesteps; give another --sampler";

const fn row(name: &'static str, web_ui: &'static str, kind: Kind, put: Put) -> Axis {
    Axis { name, web_ui, kind, label: Label::Named, put, needs: "leave it out" }
}

const fn needing(axis: Axis, needs: &'static str) -> Axis {
    Axis { needs, ..axis }
}

const fn bare(axis: Axis) -> Axis {
    Axis { label: Label::Value, ..axis }
}

/// All axes: those of LoRAs first, then those of the web UI in its order, then the rest.
pub const AXES: &[Axis] = &[
    needing(bare(row("epoch", "epoch", Kind::Text, Put::Epoch)), LORA),
    needing(bare(row("lora", "lora", Kind::Text, Put::Lora)), LORA),
    needing(row("strength", "strength", Kind::Float, Put::Strength(Acts::Both)), LORA),
    needing(row("te", "te", Kind::Float, Put::Strength(Acts::Text)), LORA),
    needing(row("unet", "unet", Kind::Float, Put::Strength(Acts::Unet)), LORA),
    needing(bare(row("block", "block", Kind::Text, Put::Block)), LORA),
    row("seed", "Seed", Kind::Whole, Put::Whole(|all, value| all.sampling.seed = Some(value as u64))),
    needing(
        row(
            "var_seed",
            "Var. seed",
            Kind::Whole,
            Put::Whole(|all, value| all.sampling.variation_seed = Some(value as u64)),
        ),
        "it acts with --subseed_strength; give that, for instance 0.2",
    ),
    row(
        "var_strength",
        "Var. strength",
        Kind::Float,
        Put::Number(|all, value| all.sampling.variation_strength = Some(value)),
    ),
    needing(
        row("steps", "Steps", Kind::Whole, Put::Whole(|all, value| all.sampling.steps = Some(value))),
        "DPM adaptive chooses its own steps; give another --sampler",
    ),
    needing(
        row("hires_steps", "Hires steps", Kind::Whole, Put::Whole(|all, value| all.hires.steps = Some(value))),
        HIRES,
    ),
    row("cfg", "CFG Scale", Kind::Float, Put::Number(|all, value| all.sampling.cfg_scale = Some(value))),
    bare(row("prompt", "Prompt S/R", Kind::Text, Put::Replace)),
    Axis { label: Label::Joined, ..row("order", "Prompt order", Kind::Orders, Put::Order) },
    bare(row("sampler", "Sampler", Kind::Text, Put::Text(put_sampler))),
    needing(
        bare(row(
            "hires_sampler",
            "Hires sampler",
            Kind::Text,
            Put::Text(|all, value| all.hires.sampler = Some(value.to_owned())),
        )),
        HIRES,
    ),
    Axis { label: Label::FileName, ..row("checkpoint", "Checkpoint name", Kind::Text, Put::Checkpoint) },
    row(
        "negative_guidance",
        "Negative Guidance minimum sigma",
        Kind::Float,
        Put::Number(|all, value| all.sampling.negative_guidance_sigma = Some(value)),
    ),
    needing(
        row("churn", "Sigma Churn", Kind::Float, Put::Number(|all, value| all.sampling.churn = Some(value))),
        CHURN,
    ),
    needing(
        row("churn_from", "Sigma min", Kind::Float, Put::Number(|all, value| all.sampling.churn_from = Some(value))),
        CHURN,
    ),
    needing(
        row("churn_to", "Sigma max", Kind::Float, Put::Number(|all, value| all.sampling.churn_to = Some(value))),
        CHURN,
    ),
    needing(
        row(
            "churn_noise",
            "Sigma noise",
            Kind::Float,
            Put::Number(|all, value| all.sampling.churn_noise = Some(value)),
        ),
        CHURN,
    ),
    needing(
        bare(row(
            "scheduler",
            "Schedule type",
            Kind::Text,
            Put::Text(|all, value| all.sampling.scheduler = Some(value.to_owned())),
        )),
        LEVELS,
    ),
    row("sigma_min", "Schedule min sigma", Kind::Float, Put::Number(|all, value| all.sampling.sigma_min = Some(value))),
    row("sigma_max", "Schedule max sigma", Kind::Float, Put::Number(|all, value| all.sampling.sigma_max = Some(value))),
    row("rho", "Schedule rho", Kind::Float, Put::Number(|all, value| all.sampling.rho = Some(value))),
    row(
        "beta_alpha",
        "Beta schedule alpha",
        Kind::Float,
        Put::Number(|all, value| all.sampling.beta_alpha = Some(value)),
    ),
    row("beta_beta", "Beta schedule beta", Kind::Float, Put::Number(|all, value| all.sampling.beta_beta = Some(value))),
    row(
        "eta",
        "Eta",
        Kind::Float,
        Put::Number(|all, value| {
            all.sampling.eta = Some(value);
            all.sampling.eta_ddim = Some(value);
        }),
    ),
    row("clip_skip", "Clip skip", Kind::Whole, Put::Whole(|all, value| all.clip_skip = Some(value))),
    needing(
        row("denoise", "Denoising", Kind::Float, Put::Number(|all, value| all.denoising_strength = Some(value))),
        EITHER,
    ),
    needing(
        row(
            "noise_multiplier",
            "Initial noise multiplier",
            Kind::Float,
            Put::Number(|all, value| all.sampling.noise_multiplier = Some(value)),
        ),
        IMAGE,
    ),
    needing(
        row(
            "extra_noise",
            "Extra noise",
            Kind::Float,
            Put::Number(|all, value| all.sampling.extra_noise = Some(value)),
        ),
        EITHER,
    ),
    needing(
        bare(row(
            "upscaler",
            "Hires upscaler",
            Kind::Text,
            Put::Text(|all, value| all.hires.upscaler = Some(value.to_owned())),
        )),
        HIRES,
    ),
    needing(
        row(
            "mask_weight",
            "Cond. Image Mask Weight",
            Kind::Float,
            Put::Number(|all, value| all.mask.conditional_weight = Some(value)),
        ),
        IMAGE,
    ),
    Axis { label: Label::FileName, ..row("vae", "VAE", Kind::Text, Put::Vae) },
    row("unipc_order", "UniPC Order", Kind::Whole, Put::Whole(|all, value| all.sampling.unipc_order = Some(value))),
    row(
        "discard",
        "Always discard next-to-last sigma",
        Kind::Text,
        Put::Flag(|all, value| all.sampling.discard_penultimate = Some(value)),
    ),
    row(
        "sgm_noise",
        "SGM noise multiplier",
        Kind::Text,
        Put::Flag(|all, value| all.sampling.sgm_noise_multiplier = Some(value)),
    ),
    row("rng", "RNG source", Kind::Text, Put::Text(|all, value| all.sampling.rng = Some(value.to_lowercase()))),
    row("size", "Size", Kind::Text, Put::Size),
    row("width", "width", Kind::Whole, Put::Whole(|all, value| all.width = Some(value))),
    row("height", "height", Kind::Whole, Put::Whole(|all, value| all.height = Some(value))),
    needing(
        row("hires_scale", "hires_scale", Kind::Float, Put::Number(|all, value| all.hires.upscale = Some(value))),
        "it is the size of the second pass; leave --hr_resize out",
    ),
];

/// Axes of the web UI that cannot be.
pub const REFUSED: &[Refused] = &[
    Refused { name: "Nothing", why: "it varies nothing; leave it out" },
    Refused { name: "Image CFG Scale", why: "models of that kind (InstructPix2Pix) are not built in; leave it out" },
    Refused { name: "Styles", why: "styles are not built in here; put their words into --x prompt=OLD,NEW" },
    Refused { name: "Face restore", why: "face restoration is not built in; leave it out" },
    Refused { name: "Token merging ratio", why: "token merging is not built in; leave it out" },
    Refused { name: "Token merging ratio high-res", why: "token merging is not built in; leave it out" },
    Refused { name: "Refiner checkpoint", why: "refiners are not built in; leave it out" },
    Refused { name: "Refiner switch at", why: "refiners are not built in; leave it out" },
    Refused { name: "FP8 mode", why: "weights of 8 bits are not built in for pictures; leave it out" },
];

/// A sampler; a name such as "DPM++ 2M Karras" brings a spacing.
fn put_sampler(all: &mut PictureSettings, value: &str) {
    all.sampling.sampler = Some(value.to_owned());
    if let Ok(choice) = value.parse::<SamplerChoice>() {
        all.sampling.sampler = Some(choice.sampler.to_string());
        if value.parse::<Sampler>().is_err() {
            all.sampling.scheduler = Some(choice.scheduler.to_string());
        }
    }
}

impl Axis {
    /// The axis of that name, ours or the web UI's, capital letters or not.
    ///
    /// # Errors
    /// Why there is none.
    pub fn named(name: &str) -> Result<&'static Self, String> {
        let short = name.to_lowercase().replace([' ', '-'], "_");
        if let Some(axis) = AXES.iter().find(|axis| axis.name == short || axis.web_ui.eq_ignore_ascii_case(name)) {
            return Ok(axis);
        }
        if let Some(refused) = REFUSED.iter().find(|refused| refused.name.eq_ignore_ascii_case(name)) {
            return Err(refused.why.to_owned());
        }
        let names: Vec<&str> = AXES.iter().map(|axis| axis.name).collect();
        match meant(&short, names.iter().copied()) {
            Some(near) => Err(format!("there is no such axis; did you mean {near}?")),
            None => Err(format!("there is no such axis; use {}", names.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use lorabake_generate::xyz;

    use super::*;

    #[test]
    fn every_axis_of_the_web_ui_is_known_or_refused_with_a_reason() {
        for axis in xyz::AXES {
            match Axis::named(&axis.name.to_uppercase()) {
                Ok(ours) => assert_eq!((ours.kind, ours.label == Label::Nothing), (axis.kind, false), "{}", axis.name),
                Err(why) => assert!(REFUSED.iter().any(|refused| refused.name == axis.name), "{}: {why}", axis.name),
            }
        }
        assert_eq!(Axis::named("clip-skip").ok().map(|axis| axis.web_ui), Some("Clip skip"));
        for (typed, said) in [
            ("cgf", "did you mean cfg?"),
            ("Strenght", "did you mean strength?"),
            ("clip skips", "did you mean clip_skip?"),
            ("colour", "use epoch, lora, strength, te"),
        ] {
            let error = Axis::named(typed).err().unwrap();
            assert!(error.contains(said), "{typed}: {error}");
        }
    }

    #[test]
    fn a_sampler_may_bring_its_spacing() {
        let mut all = PictureSettings::default();
        all.sampling.scheduler = Some("Exponential".to_owned());
        put_sampler(&mut all, "Euler a");
        assert_eq!(all.sampling.scheduler.as_deref(), Some("Exponential"));
        put_sampler(&mut all, "DPM++ 2M Karras");
        assert_eq!(all.sampling.sampler.as_deref(), Some("DPM++ 2M"));
        // Which is that sampler's own.
        assert_eq!(all.sampling.scheduler.as_deref(), Some("Automatic"));
        put_sampler(&mut all, "Euler Karras");
        assert_eq!(all.sampling.scheduler.as_deref(), Some("Karras"));
    }
}
