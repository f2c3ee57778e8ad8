//! From settings, as command lines, prompt files and texts of pictures give them, to a [`Request`].

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use lorabake_diffusion::{
    BetaShape, SamplerChoice, SamplerOptions, Scheduler, StepRule, UniPcOptions, UniPcSkip, UniPcVariant,
};
use lorabake_pixels::{Gray, Rgb};

use crate::conditioning::TextOptions;
use crate::conditioning::chunks::COMMA_BACKTRACK;
use crate::conditioning::length::PadPrompts;
use crate::control::ControlUnit;
use crate::hires::{Enlarge, LatentUpscaler};
use crate::inpaint::soft::SoftInpainting;
use crate::inpaint::{Area, Inpaint, MaskedContent};
use crate::limits;
use crate::nets::{self, FoundNetwork};
use crate::noise::Source;
use crate::png_text::{HiresSettings, MaskSettings, PictureSettings, SamplingSettings};
use crate::problems::Problems;
use crate::prompt::block_weights::{Elements, Presets};
use crate::prompt::networks::{self, Known, NetworkKind};
use crate::prompt::{Search, check_length, comments, find_lora, find_network, tags};
use crate::request::{Hires, HiresUpscaler, Init, InpaintRequest, Request, Sampling, Seeds};
use crate::resize_mode::ResizeMode;
use crate::upscale::Resampler;

/// The web UI's strength of img2img.
const IMG2IMG_STRENGTH: f64 = 0.75;
/// The web UI's strength of the second pass.
const HIRES_STRENGTH: f64 = 0.7;

/// Where prompts and settings find what they name.
#[derive(Debug, Clone)]
pub struct Library {
    /// Folders of LoRAs.
    pub loras: Vec<PathBuf>,
    /// Folders of hypernetworks.
    pub hypernetworks: Vec<PathBuf>,
    /// Folders of upscalers.
    pub upscalers: Vec<PathBuf>,
    /// Named block weights.
    pub presets: Presets,
    /// Named rules for layers.
    pub elements: Elements,
}

impl Library {
    /// LoRAs and hypernetworks in `folders`, and what is built in.
    pub fn of_loras(folders: Vec<PathBuf>) -> Self {
        Self {
            hypernetworks: folders.clone(),
            loras: folders,
            upscalers: Vec::new(),
            presets: Presets::built_in(),
            elements: Elements::read(""),
        }
    }

    fn hypernetwork(&self, name: &str) -> Result<PathBuf> {
        let (folders, suffixes) = (&self.hypernetworks, &["pt", "safetensors"]);
        find_network(name, Search { what: "hypernetwork", option: "--hypernetwork_dir", folders, suffixes })
    }
}

/// What a picture begins with beside settings.
#[derive(Debug, Clone, Default)]
pub struct Originals {
    /// The picture of img2img.
    pub image: Option<Rgb>,
    /// What of it is painted anew.
    pub mask: Option<Gray>,
    /// How it comes to the wanted size.
    pub resize_mode: ResizeMode,
    /// What the number of steps means.
    pub step_rule: StepRule,
    /// Whether colours are matched to it.
    pub color_correction: bool,
    /// Whether the mask's edge is blended softly, and how.
    pub soft: Option<SoftInpainting>,
    /// ControlNets with their pictures.
    pub control: Vec<ControlUnit>,
}

/// A request, and what the user should know of it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The request.
    pub request: Request,
    /// What was read otherwise than one may think.
    pub notes: Vec<String>,
}

/// The request that `settings` mean, with the web UI's defaults; `side` is the usual one of the checkpoint in pixels.
///
/// # Errors
/// Names a setting that cannot be, or a file that is not found.
pub fn request(settings: &PictureSettings, library: &Library, originals: &Originals, side: usize) -> Result<Asked> {
    let problems = limits::problems(settings);
    if !problems.is_empty() {
        return Err(Problems(problems).into());
    }
    let width = settings.width.or(settings.height).unwrap_or(side);
    let seed = seeds(&settings.sampling)?;
    let mut notes = Vec::new();
    let prompt = Text::read(settings.prompt.as_deref().unwrap_or_default(), library, seed.seed, &mut notes)?;
    check_length(settings.negative_prompt.as_deref().unwrap_or_default())?;
    let negative = comments::remove(settings.negative_prompt.as_deref().unwrap_or_default());
    notes.extend(networks::negative_notes(&negative));
    let emphasis = match &settings.emphasis {
        Some(name) => name.parse().map_err(|why| anyhow!("--emphasis: {why}"))?,
        None => Default::default(),
    };
    let sampling = sampling(&settings.sampling)?;
    if sampling.negative_scale.is_some() && sampling.negative_weight().is_none() {
        notes.push("--negative_scale has no effect without guidance, at --cfg_scale 1 or less".to_owned());
    }
    if !settings.hires.acts() {
        notes.extend(nets::never_on(&prompt.networks, sampling.prompt_steps()));
    }
    let request = Request {
        prompt: prompt.text,
        negative_prompt: negative,
        networks: prompt.networks,
        text: TextOptions {
            clip_skip: settings.clip_skip.unwrap_or(1).max(1),
            emphasis,
            comma_backtrack: COMMA_BACKTRACK,
            sizes: settings.sizes,
        },
        old_prompt_editing: settings.old_prompt_editing.unwrap_or(false),
        pad_prompts: match (settings.pad_conds, settings.pad_conds_v0) {
            (_, Some(true)) => PadPrompts::PadV0,
            (Some(true), _) => PadPrompts::Pad,
            _ => PadPrompts::Off,
        },
        size: [width, settings.height.unwrap_or(width)],
        sampling,
        seed,
        noise: None,
        tiling: settings.tiling.unwrap_or(false),
        init: originals.image.as_ref().map(|image| init(settings, image, originals)).transpose()?,
        hires: match &originals.image {
            // The second pass belongs to pictures from noise.
            Some(_) => None,
            None => hires(settings, library, seed.seed, &mut notes)?,
        },
        control: originals.control.clone(),
    };
    Ok(Asked { request, notes })
}

/// A prompt without tags and comments, and the networks that it names.
struct Text {
    text: String,
    networks: Vec<FoundNetwork>,
}

impl Text {
    fn read(typed: &str, library: &Library, seed: u64, notes: &mut Vec<String>) -> Result<Self> {
        check_length(typed)?;
        let taken = tags::take(&comments::remove(typed));
        let known = Known { presets: &library.presets, elements: &library.elements, seed };
        let read = networks::read(&taken, known)?;
        notes.extend(read.notes);
        let mut found = Vec::new();
        for used in read.networks {
            let path = match used.kind {
                NetworkKind::Lora => find_lora(&used.name, &library.loras)?,
                NetworkKind::Hypernet => library.hypernetwork(&used.name)?,
            };
            found.push(FoundNetwork { used, path });
        }
        Ok(Self { text: taken.text, networks: found })
    }
}

fn seeds(sampling: &SamplingSettings) -> Result<Seeds> {
    let resize_from = match (sampling.seed_resize_width, sampling.seed_resize_height) {
        (Some(width), Some(height)) if width >= 8 && height >= 8 => Some([width, height]),
        _ => None,
    };
    let source = match sampling.rng.as_deref() {
        // On an NVIDIA card, which most of its users have, this is what the web UI calls GPU.
        None | Some("GPU") => Source::Nv,
        Some(name) => name.parse().map_err(|why| anyhow!("--rng: {why}"))?,
    };
    Ok(Seeds {
        seed: sampling.seed.unwrap_or(0),
        subseed: sampling.variation_seed.unwrap_or(0),
        subseed_strength: sampling.variation_strength.unwrap_or(0.0),
        resize_from,
        eta_noise_seed_delta: sampling.seed_delta.unwrap_or(0).max(0) as u64,
        source,
    })
}

/// The sampler and scheduler of these names.
fn choice(sampler: Option<&str>, scheduler: Option<&str>) -> Result<SamplerChoice> {
    let choice: SamplerChoice = sampler.unwrap_or("DPM++ 2M").parse().map_err(|why| anyhow!("--sampler: {why}"))?;
    match scheduler {
        Some(name) => {
            let scheduler: Scheduler = name.parse().map_err(|why| anyhow!("--scheduler: {why}"))?;
            Ok(choice.with_scheduler(scheduler))
        }
        None => Ok(choice),
    }
}

fn sampling(given: &SamplingSettings) -> Result<Sampling> {
    let SamplerChoice { sampler, scheduler } = choice(given.sampler.as_deref(), given.scheduler.as_deref())?;
    let leaves_out = given.skip_early_cfg.unwrap_or(0.0) > 0.0 || given.negative_guidance_sigma.unwrap_or(0.0) > 0.0;
    if given.negative_scale.is_some() && leaves_out {
        bail!("--negative_scale: --skip_early_cfg and --s_min_uncond leave the negative prompt out; give one of them");
    }
    let positive = |value: Option<f64>| value.filter(|value| *value > 0.0);
    let plain = SamplerOptions::default();
    let options = SamplerOptions {
        eta: None,
        s_churn: given.churn.unwrap_or(plain.s_churn),
        s_tmin: given.churn_from.unwrap_or(plain.s_tmin),
        s_tmax: positive(given.churn_to),
        s_noise: given.churn_noise.unwrap_or(plain.s_noise),
        sigma_min: positive(given.sigma_min),
        sigma_max: positive(given.sigma_max),
        rho: positive(given.rho),
        beta: BetaShape {
            alpha: given.beta_alpha.unwrap_or(plain.beta.alpha),
            beta: given.beta_beta.unwrap_or(plain.beta.beta),
        },
        always_discard: given.discard_penultimate.unwrap_or(false),
        sgm_noise_multiplier: given.sgm_noise_multiplier.unwrap_or(false),
        unipc: unipc(given)?,
    };
    Ok(Sampling {
        sampler,
        scheduler,
        steps: given.steps.unwrap_or(20),
        cfg_scale: given.cfg_scale.unwrap_or(7.0),
        negative_scale: given.negative_scale,
        options,
        eta: given.eta,
        eta_ddim: given.eta_ddim,
        extra_noise: given.extra_noise.unwrap_or(0.0),
        downcast_alphas: given.downcast_alphas.unwrap_or(false),
        zero_terminal_snr: given.noise_schedule.as_deref() == Some("Zero Terminal SNR"),
        skip_early_cfg: given.skip_early_cfg.unwrap_or(0.0),
        s_min_uncond: given.negative_guidance_sigma.unwrap_or(0.0),
        s_min_uncond_all: given.negative_guidance_all.unwrap_or(false),
    })
}

fn unipc(given: &SamplingSettings) -> Result<UniPcOptions> {
    let plain = UniPcOptions::default();
    let variant = match given.unipc_variant.as_deref() {
        None => plain.variant,
        Some("bh1") => UniPcVariant::Bh1,
        Some("bh2") => UniPcVariant::Bh2,
        Some("vary_coeff") => UniPcVariant::VaryCoeff,
        Some(other) => bail!("UniPC variant: there is no `{other}`; use bh1, bh2 or vary_coeff"),
    };
    let skip = match given.unipc_skip_type.as_deref() {
        None => plain.skip,
        Some("time_uniform") => UniPcSkip::TimeUniform,
        Some("time_quadratic") => UniPcSkip::TimeQuadratic,
        Some("logSNR") => UniPcSkip::LogSnr,
        Some(other) => bail!("UniPC skip type: there is no `{other}`; use time_uniform, time_quadratic or logSNR"),
    };
    Ok(UniPcOptions {
        variant,
        skip,
        order: given.unipc_order.unwrap_or(plain.order),
        lower_order_final: given.unipc_lower_order_final.unwrap_or(plain.lower_order_final),
    })
}

fn init(settings: &PictureSettings, image: &Rgb, originals: &Originals) -> Result<Init> {
    let inpaint = match &originals.mask {
        Some(mask) => Some(inpaint(&settings.mask, mask, originals)?),
        None => None,
    };
    Ok(Init {
        image: image.clone(),
        resize_mode: originals.resize_mode,
        denoising_strength: settings.denoising_strength.unwrap_or(IMG2IMG_STRENGTH),
        step_rule: originals.step_rule,
        noise_multiplier: settings.sampling.noise_multiplier.unwrap_or(1.0),
        color_correction: originals.color_correction,
        conditional_mask_weight: settings.mask.conditional_weight.unwrap_or(1.0),
        inpaint,
    })
}

fn inpaint(given: &MaskSettings, mask: &Gray, originals: &Originals) -> Result<InpaintRequest> {
    let blur = given.blur.unwrap_or(4.0);
    let content = match given.content.as_deref() {
        None | Some("original") => MaskedContent::Original,
        Some("fill") => MaskedContent::Fill,
        Some("latent noise") => MaskedContent::LatentNoise,
        Some("latent nothing") => MaskedContent::LatentNothing,
        Some(other) => {
            bail!("--inpainting_fill: there is no `{other}`; use original, fill, latent_noise or latent_nothing")
        }
    };
    let area = if given.only_masked.unwrap_or(false) {
        Area::OnlyMasked { padding: given.padding.unwrap_or(32) as u32 }
    } else {
        Area::WholePicture
    };
    let invert = given.inverted.unwrap_or(false);
    let settings = Inpaint { invert, blur: (blur, blur), content, area, resize: originals.resize_mode };
    let soft = originals.soft.or_else(|| given.soft.unwrap_or(false).then(SoftInpainting::default));
    let soft = soft.map(|mut soft| {
        let [power, scale, detail, influence, threshold, contrast] = &given.soft_numbers;
        soft.power = power.unwrap_or(soft.power);
        soft.scale = scale.unwrap_or(soft.scale);
        soft.detail = detail.unwrap_or(soft.detail);
        soft.influence = influence.unwrap_or(soft.influence);
        soft.threshold = threshold.unwrap_or(soft.threshold);
        soft.contrast = contrast.unwrap_or(soft.contrast);
        soft
    });
    Ok(InpaintRequest { mask: mask.clone(), settings, soft })
}

fn hires(settings: &PictureSettings, library: &Library, seed: u64, notes: &mut Vec<String>) -> Result<Option<Hires>> {
    let given = &settings.hires;
    let Some(size) = enlarge(given) else { return Ok(None) };
    let mut prompt = None;
    let mut networks = None;
    // An empty text stands for that of the first pass.
    if let Some(typed) = given.prompt.as_ref().filter(|text| !text.is_empty()) {
        let text = Text::read(typed, library, seed, notes)?;
        prompt = Some(text.text);
        networks = Some(text.networks);
    }
    let sampler = match &given.sampler {
        Some(name) => Some(choice(Some(name.as_str()), given.scheduler.as_deref())?),
        None => None,
    };
    // Where nothing names one, the first pass's spacing holds ("Use same scheduler").
    let scheduler = match (&sampler, &given.scheduler) {
        (_, Some(name)) => Some(name.parse().map_err(|why| anyhow!("--hr_scheduler: {why}"))?),
        (Some(choice), None) if choice.scheduler != Scheduler::Automatic => Some(choice.scheduler),
        _ => None,
    };
    Ok(Some(Hires {
        size,
        upscaler: upscaler(given.upscaler.as_deref().unwrap_or("Latent"), &library.upscalers)?,
        steps: given.steps.unwrap_or(0),
        denoising_strength: settings.denoising_strength.unwrap_or(HIRES_STRENGTH),
        prompt,
        negative_prompt: given.negative_prompt.as_deref().filter(|text| !text.is_empty()).map(comments::remove),
        networks,
        sampler: sampler.map(|choice| choice.sampler),
        scheduler,
    }))
}

fn enlarge(given: &HiresSettings) -> Option<Enlarge> {
    match (given.width, given.height, given.upscale) {
        (None | Some(0), None | Some(0), None) => None,
        (None | Some(0), None | Some(0), Some(factor)) => Some(Enlarge::By(factor)),
        (width, height, _) => Some(Enlarge::To((width.unwrap_or(0) as u32, height.unwrap_or(0) as u32))),
    }
}

/// The upscaler of a name: the web UI's, or that of a file.
fn upscaler(name: &str, folders: &[PathBuf]) -> Result<HiresUpscaler> {
    if let Some(latent) = LatentUpscaler::of_name(name) {
        return Ok(HiresUpscaler::Latent(latent));
    }
    if let Some(resampler) = Resampler::of_name(name) {
        return Ok(HiresUpscaler::Resampler(resampler));
    }
    if folders.is_empty() {
        bail!(
            "--hr_upscaler: there is no `{name}` without a file; name its folder with --upscaler_dir, or use Latent, \
             Lanczos, Nearest or None"
        );
    }
    let suffixes = &["pth", "safetensors", "pt"];
    let search = Search { what: "upscaler", option: "--upscaler_dir", folders, suffixes };
    Ok(HiresUpscaler::Net(find_network(name, search)?))
}
