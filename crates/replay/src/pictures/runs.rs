//! Whole pictures: every call of the network, the last latents, the pixels.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use burn::tensor::Device;
use lorabake_diffusion::{SamplerOptions, Scheduler, StepRule};
use lorabake_generate::conditioning::chunks::COMMA_BACKTRACK;
use lorabake_generate::conditioning::length::PadPrompts;
use lorabake_generate::conditioning::{TextOptions, ToldSizes};
use lorabake_generate::control::{ControlResize, ControlUnit, Preprocessor};
use lorabake_generate::hires::{Enlarge, LatentUpscaler};
use lorabake_generate::nets::{FoundNetwork, Nets};
use lorabake_generate::noise::Source;
use lorabake_generate::painter::{Painter, Predicts};
use lorabake_generate::prompt::block_weights::{Elements, Presets};
use lorabake_generate::prompt::networks::{self, Known};
use lorabake_generate::prompt::{emphasis::Emphasis, tags};
use lorabake_generate::request::{Hires, HiresUpscaler, Init, Painted, Request, Sampling, Seeds};
use lorabake_generate::resize_mode::ResizeMode;
use lorabake_model::WeightDtypes;
use lorabake_model::control::Mode;
use lorabake_ops::WeightDtype;
use lorabake_pixels::Rgb;
use lorabake_weights::lora::ModuleTensor;
use serde_json::Value;

use super::{INDEX, LATENTS, RUNS, models};
use crate::pack::{Pack, Tensors};
use crate::verdict::{Case, close, same};

/// One case a picture of a run.
pub(super) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    if !pack.has(RUNS) {
        return Ok(cases);
    }
    let runs = pack.tensors(RUNS)?;
    for case in pack.cases(INDEX)? {
        let id = case["id"].as_str().context("an id")?;
        if !runs.has(&format!("{id}.final")) {
            continue;
        }
        let painter = painter(pack, &case)?;
        for (index, seed) in case["seeds"].as_array().context("seeds")?.iter().enumerate() {
            let request = request(pack, &case, seed.as_u64().context("a seed")?)?;
            let nets = painter.nets(&request.networks)?;
            let result = compare(&painter, &request, &nets, &runs, id, index)?;
            cases.push(Case::of(format!("{id} picture {index}"), result));
        }
    }
    Ok(cases)
}

/// The painter of a case, with its embeddings and its ControlNet.
pub(super) fn painter(pack: &Pack, case: &Value) -> Result<Painter> {
    let model = case["model"].as_str().context("a model")?;
    let checkpoint = models::checkpoint(pack, model)?;
    let dtypes = WeightDtypes::all(WeightDtype::F32);
    // The tiny checkpoint of SD2.x predicts velocities and does not say so.
    let predicts = if model == "sd2" { Predicts::Velocity } else { Predicts::AsFile };
    let mut painter = Painter::open(checkpoint, dtypes, predicts, false, Device::flex())?;
    if let Some(names) = case["embeddings"].as_object() {
        let inputs = pack.tensors("pictures/inputs.safetensors")?;
        for name in names.keys() {
            painter.embeddings.add_bundled(&embedding(&inputs, model, name)?, "the recording");
        }
    }
    if case["control"].is_object() {
        painter.hold_control_net(Path::new(CONTROL), models::control_net(pack, case)?);
    }
    Ok(painter)
}

/// The name under which a ControlNet is held.
const CONTROL: &str = "controlnet";

fn embedding(inputs: &Tensors, model: &str, name: &str) -> Result<BTreeMap<String, BTreeMap<String, ModuleTensor>>> {
    let mut tensors = BTreeMap::new();
    let names: &[(&str, String)] = if model == "sdxl" {
        &[("clip_l", format!("{name}.clip_l")), ("clip_g", format!("{name}.clip_g"))]
    } else {
        &[("emb_params", format!("{model}.{name}"))]
    };
    for (leaf, recorded) in names {
        let tensor = ModuleTensor { shape: inputs.shape(recorded)?, values: inputs.f32(recorded)? };
        tensors.insert((*leaf).to_owned(), tensor);
    }
    Ok(BTreeMap::from([(name.to_owned(), tensors)]))
}

/// The request of a case for one seed.
pub(super) fn request(pack: &Pack, case: &Value, seed: u64) -> Result<Request> {
    let number = |key: &str| case[key].as_f64();
    let text = |key: &str| case[key].as_str();
    let steps = case["steps"].as_u64().context("steps")? as usize;
    let choice: lorabake_diffusion::SamplerChoice = text("sampler").context("a sampler")?.parse()?;
    let scheduler = text("scheduler").map(str::parse::<Scheduler>).transpose()?;
    let emphasis = text("emphasis").map(str::parse::<Emphasis>).transpose().map_err(|why| anyhow!("{why}"))?;
    Ok(Request {
        prompt: text("prompt").context("a prompt")?.to_owned(),
        negative_prompt: text("negative").unwrap_or_default().to_owned(),
        networks: found_networks(pack, case)?,
        text: TextOptions {
            clip_skip: number("clip_skip").unwrap_or(1.0) as usize,
            emphasis: emphasis.unwrap_or_default(),
            comma_backtrack: COMMA_BACKTRACK,
            sizes: ToldSizes::default(),
        },
        old_prompt_editing: false,
        pad_prompts: PadPrompts::Off,
        size: size(&case["size"]).unwrap_or([128, 128]),
        sampling: Sampling {
            sampler: choice.sampler,
            scheduler: scheduler.unwrap_or(choice.scheduler),
            steps,
            cfg_scale: number("cfg").unwrap_or(7.0),
            negative_scale: None,
            options: SamplerOptions::default(),
            eta: None,
            eta_ddim: None,
            extra_noise: 0.0,
            downcast_alphas: false,
            zero_terminal_snr: false,
            skip_early_cfg: 0.0,
            s_min_uncond: 0.0,
            s_min_uncond_all: false,
        },
        seed: Seeds {
            seed,
            subseed: 0,
            subseed_strength: 0.0,
            resize_from: None,
            eta_noise_seed_delta: 0,
            source: Source::Cpu,
        },
        noise: None,
        tiling: false,
        init: init(pack, case)?,
        hires: hires(case)?,
        control: control(pack, case)?,
    })
}

pub(super) fn size(value: &Value) -> Option<[usize; 2]> {
    let [width, height] = [value.get(0)?.as_u64()?, value.get(1)?.as_u64()?];
    Some([width as usize, height as usize])
}

fn found_networks(pack: &Pack, case: &Value) -> Result<Vec<FoundNetwork>> {
    let lora = &case["lora"];
    let Some(file) = lora["file"].as_str() else { return Ok(Vec::new()) };
    let taken = tags::take(&format!("<lora:recorded:{}:{}>", lora["te"], lora["unet"]));
    let known = Known { presets: &Presets::built_in(), elements: &Elements::read(""), seed: 0 };
    let mut found = Vec::new();
    for used in networks::read(&taken, known)?.networks {
        found.push(FoundNetwork { used, path: pack.path(&format!("pictures/{file}")) });
    }
    Ok(found)
}

fn init(pack: &Pack, case: &Value) -> Result<Option<Init>> {
    let Some(number) = case["init"].as_u64() else { return Ok(None) };
    let inputs = pack.tensors("pictures/inputs.safetensors")?;
    Ok(Some(Init {
        image: picture(&inputs, &format!("init_image_{number}_"))?,
        resize_mode: ResizeMode::JustResize,
        denoising_strength: case["denoise"].as_f64().context("a denoising strength")?,
        step_rule: StepRule::Share,
        noise_multiplier: 1.0,
        color_correction: false,
        conditional_mask_weight: 1.0,
        inpaint: None,
    }))
}

fn hires(case: &Value) -> Result<Option<Hires>> {
    let hires = &case["hires"];
    let Some(name) = hires["upscaler"].as_str() else { return Ok(None) };
    let Some(upscaler) = LatentUpscaler::of_name(name) else { bail!("the upscaler {name}") };
    Ok(Some(Hires {
        size: Enlarge::By(hires["scale"].as_f64().context("a scale")?),
        upscaler: HiresUpscaler::Latent(upscaler),
        steps: hires["steps"].as_u64().unwrap_or(0) as usize,
        denoising_strength: hires["denoise"].as_f64().context("a denoising strength")?,
        prompt: None,
        negative_prompt: None,
        networks: None,
        sampler: None,
        scheduler: None,
    }))
}

fn control(pack: &Pack, case: &Value) -> Result<Vec<ControlUnit>> {
    let control = &case["control"];
    let Some(number) = control["image"].as_u64() else { return Ok(Vec::new()) };
    let inputs = pack.tensors("pictures/inputs.safetensors")?;
    let mode = match control["mode"].as_str() {
        Some("prompt") => Mode::Prompt,
        Some("control") => Mode::Control,
        _ => Mode::Balanced,
    };
    Ok(vec![ControlUnit {
        model: CONTROL.into(),
        image: picture(&inputs, &format!("control_image_{number}_"))?,
        preprocessor: Preprocessor::None,
        processor_res: Some(512),
        resize: ControlResize::CropAndResize,
        weight: control["weight"].as_f64().unwrap_or(1.0),
        start: control["start"].as_f64().unwrap_or(0.0),
        end: control["end"].as_f64().unwrap_or(1.0),
        mode,
    }])
}

/// The recorded picture whose name begins so.
pub(super) fn picture(inputs: &Tensors, start: &str) -> Result<Rgb> {
    let names = inputs.names()?;
    let name = names.iter().find(|name| name.starts_with(start)).with_context(|| start.to_owned())?;
    let shape = inputs.shape(name)?;
    Ok(Rgb { width: shape[1] as u32, height: shape[0] as u32, data: inputs.u8(name)? })
}

/// Paints, and compares what comes out with picture `index` of the recording.
fn compare(
    painter: &Painter,
    request: &Request,
    nets: &Nets,
    runs: &Tensors,
    id: &str,
    index: usize,
) -> Result<Result<(), String>> {
    let painted = painter.paint(request, nets, None, &mut |_| Ok(()))?;
    let recorded = runs.f32(&format!("{id}.final"))?;
    let count = painted.latent.len();
    let latents = close(&painted.latent, &recorded[index * count..(index + 1) * count], LATENTS);
    let pixels = compare_pixels(&painted, runs, id, index)?;
    Ok(latents.map_err(|why| format!("last latents: {why}")).and(pixels))
}

/// Bytes may be off by one.
fn compare_pixels(painted: &Painted, runs: &Tensors, id: &str, index: usize) -> Result<Result<(), String>> {
    let name = format!("{id}.image");
    if !runs.has(&name) {
        return Ok(Ok(()));
    }
    let recorded = runs.u8(&name)?;
    let count = painted.image.data.len();
    let shape = runs.shape(&name)?;
    let size = [painted.image.height as usize, painted.image.width as usize];
    if let Err(why) = same(&size.to_vec(), &shape[1..3].to_vec()) {
        return Ok(Err(format!("size: {why}")));
    }
    let recorded = &recorded[index * count..(index + 1) * count];
    for (place, (own, expected)) in painted.image.data.iter().zip(recorded).enumerate() {
        if own.abs_diff(*expected) > 1 {
            return Ok(Err(format!("byte {place} of the picture: recorded {expected}, ours {own}")));
        }
    }
    Ok(Ok(()))
}
