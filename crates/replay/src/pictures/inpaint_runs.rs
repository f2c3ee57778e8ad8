//! Whole pictures from masked pictures: the last latents, and the result with what is kept laid over it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use lorabake_diffusion::StepRule;
use lorabake_generate::inpaint::{Area, Inpaint, MaskedContent};
use lorabake_generate::painter::Painter;
use lorabake_generate::request::{Init, InpaintRequest, Painted};
use lorabake_generate::resize_mode::ResizeMode;
use lorabake_pixels::{Gray, Rgb, Size};
use serde_json::Value;

use super::LATENTS;
use super::runs::{painter, picture, request, size};
use crate::pack::{Pack, Tensors};
use crate::verdict::{Case, close};

/// The runs.
const INDEX: &str = "pictures/inpaint.json";
/// Their tensors.
const RUNS: &str = "pictures/inpaint_runs.safetensors";
/// Their pictures.
const INPUTS: &str = "pictures/inpaint_inputs.safetensors";

/// Of so many bytes one may be off by more than 1 where colours are corrected: a byte that is off by 1 before has another
/// rank in its histogram, and so takes on the colour of another pixel.
const CORRECTED: usize = 1000;

/// One case a picture of a run.
pub(super) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    if !pack.has(RUNS) {
        return Ok(cases);
    }
    let runs = pack.tensors(RUNS)?;
    let inputs = pack.tensors(INPUTS)?;
    let mut painters: BTreeMap<String, Painter> = BTreeMap::new();
    for case in pack.cases(INDEX)? {
        let id = case["id"].as_str().context("an id")?;
        let model = case["model"].as_str().context("a model")?.to_owned();
        if !painters.contains_key(&model) {
            painters.insert(model.clone(), painter(pack, &case)?);
        }
        let painter = painters.get_mut(&model).context("a painter")?;
        for (index, seed) in case["seeds"].as_array().context("seeds")?.iter().enumerate() {
            let mut request = request(pack, &case, seed.as_u64().context("a seed")?)?;
            request.size = size(&case["size"]).context("a size")?;
            request.init = Some(init(&case, &inputs)?);
            let nets = painter.nets(&request.networks)?;
            let painted = painter.paint(&request, &nets, None, &mut |_| Ok(()))?;
            let is_corrected = case["color_correction"].as_bool().unwrap_or(false);
            let allowed = if is_corrected { painted.image.data.len() / CORRECTED } else { 0 };
            let result = compare(&painted, &runs, id, index, allowed)?;
            cases.push(Case::of(format!("inpaint {id} picture {index}"), result));
        }
    }
    Ok(cases)
}

fn init(case: &Value, inputs: &Tensors) -> Result<Init> {
    let image: Rgb = picture(inputs, &format!("image_{}_", case["image"]))?;
    let number = |key: &str| case[key].as_f64();
    let content = match case["fill"].as_u64() {
        Some(0) => MaskedContent::Fill,
        Some(2) => MaskedContent::LatentNoise,
        Some(3) => MaskedContent::LatentNothing,
        _ => MaskedContent::Original,
    };
    let blur = number("blur").unwrap_or(4.0);
    let area = if case["only_masked"].as_bool().unwrap_or(false) {
        Area::OnlyMasked { padding: number("padding").unwrap_or(32.0) as u32 }
    } else {
        Area::WholePicture
    };
    let resize = ResizeMode::of_number(number("resize_mode").unwrap_or(0.0) as u8).context("a resize mode")?;
    let settings = Inpaint { invert: number("invert") == Some(1.0), blur: (blur, blur), content, area, resize };
    let mask = mask(case, image.size())?;
    Ok(Init {
        image,
        resize_mode: resize,
        denoising_strength: number("denoise").context("a denoising strength")?,
        step_rule: StepRule::Share,
        noise_multiplier: 1.0,
        color_correction: case["color_correction"].as_bool().unwrap_or(false),
        conditional_mask_weight: number("conditional_mask_weight").unwrap_or(1.0),
        inpaint: Some(InpaintRequest { mask, settings, soft: None }),
    })
}

/// Black with white rectangles, whose right and lower ends are excluded.
fn mask(case: &Value, size: Size) -> Result<Gray> {
    let mut mask = Gray::filled(size, [0]);
    for rect in case["rects"].as_array().context("rectangles")? {
        let side = |index: usize| rect[index].as_u64().unwrap_or(0) as usize;
        for row in side(1)..side(3) {
            let start = row * size.0 as usize;
            mask.data[start + side(0)..start + side(2)].fill(255);
        }
    }
    Ok(mask)
}

fn compare(painted: &Painted, runs: &Tensors, id: &str, index: usize, allowed: usize) -> Result<Result<(), String>> {
    let recorded = runs.f32(&format!("{id}.final"))?;
    let count = painted.latent.len();
    let latents = close(&painted.latent, &recorded[index * count..(index + 1) * count], LATENTS);
    let recorded = runs.u8(&format!("{id}.result"))?;
    let count = painted.image.data.len();
    if recorded.len() < (index + 1) * count {
        return Ok(Err(format!("{} bytes recorded, ours are {count} a picture", recorded.len())));
    }
    let recorded = &recorded[index * count..(index + 1) * count];
    let mut further = 0;
    for (own, expected) in painted.image.data.iter().zip(recorded) {
        further += usize::from(own.abs_diff(*expected) > 1);
    }
    let pixels =
        if further > allowed { Err(format!("{further} bytes of the picture are off by more than 1")) } else { Ok(()) };
    Ok(latents.map_err(|why| format!("last latents: {why}")).and(pixels))
}
