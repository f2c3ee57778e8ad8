//! `inpaint/soft.safetensors`: masks and blends of soft inpainting at some noise levels, its filter and kernel.

use anyhow::{Context, Result};
use lorabake_generate::inpaint::SoftInpainting;
use lorabake_generate::inpaint::weighted_percentile::{Window, filter, weight};

use crate::pack::Tensors;
use crate::{Case, Pack, close};

const FILE: &str = "inpaint/soft.safetensors";
/// Of the largest value; f32 in another order.
const TOLERANCE: f64 = 1e-5;

pub(super) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    if !pack.has(FILE) {
        return Ok(Vec::new());
    }
    let tensors = pack.tensors(FILE)?;
    let mut cases = vec![Case::of("soft.safetensors kernel", kernel(&tensors)?)];
    let mut names = tensors.names()?;
    names.sort();
    for name in &names {
        let result = if let Some(percents) = name.strip_prefix("filter.").filter(|rest| *rest != "in") {
            filtered(&tensors, name, percents)?
        } else if let Some((settings, sigma)) = name.strip_suffix(".nmask").and_then(|id| id.split_once('.')) {
            blended(&tensors, settings, sigma)?
        } else {
            continue;
        };
        cases.push(Case::of(format!("soft.safetensors {name}"), result));
    }
    Ok(cases)
}

fn kernel(tensors: &Tensors) -> Result<Result<(), String>> {
    let mut ours = Vec::new();
    for y in 0..5_usize {
        for x in 0..5_usize {
            ours.push(weight(x.abs_diff(2), y.abs_diff(2)) as f32);
        }
    }
    Ok(close(&ours, &tensors.f32("kernel")?, TOLERANCE))
}

fn filtered(tensors: &Tensors, name: &str, percents: &str) -> Result<Result<(), String>> {
    let (from, to) = percents.split_once('_').context(name.to_owned())?;
    let window = Window { from: from.parse::<f64>()? / 100.0, to: to.parse::<f64>()? / 100.0 };
    let shape = tensors.shape("filter.in")?;
    let ours = filter(&tensors.f32("filter.in")?, (shape[1] as u32, shape[0] as u32), window);
    Ok(close(&ours, &tensors.f32(name)?, TOLERANCE))
}

/// The mask at a noise level and the blend by it; all channels of the recorded mask are alike.
fn blended(tensors: &Tensors, index: &str, sigma: &str) -> Result<Result<(), String>> {
    let settings: Vec<[f64; 6]> = serde_json::from_str(&tensors.metadata("settings")?)?;
    let [power, scale, detail, influence, threshold, contrast] = settings[index.parse::<usize>()?];
    let soft = SoftInpainting { power, scale, detail, influence, threshold, contrast };
    let mut mask = tensors.f32("nmask")?;
    mask.truncate(mask.len() / 4);
    let ours = soft.mask_at(&mask, sigma.parse()?);
    let mut recorded = tensors.f32(&format!("{index}.{sigma}.nmask"))?;
    recorded.truncate(mask.len());
    let blend = soft.blend(&tensors.f32("orig")?, &tensors.f32("current")?, &ours);
    let recorded_blend = tensors.f32(&format!("{index}.{sigma}.blend"))?;
    Ok(close(&ours, &recorded, TOLERANCE).and_then(|()| close(&blend, &recorded_blend, TOLERANCE)))
}
