//! `adetailer/` without its network: which boxes count, their masks, prompts and denoising.

use anyhow::{Context, Result};
use lorabake_generate::adetailer::{
    AreaMask, Choice, Detection, KeepBy, MaskShape, Merge, Order, Region, choose, dynamic_denoise, prompts, regions,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::pack::{Pack, Tensors};
use crate::verdict::{Case, same};

/// All cases of these files.
pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    if pack.has("adetailer/select.json") {
        let file = serde_json::from_value(pack.json("adetailer/select.json")?).context("select.json")?;
        selected(&file, &mut cases)?;
    }
    if pack.has("adetailer/masks.safetensors") {
        masked(&pack.tensors("adetailer/masks.safetensors")?, &mut cases)?;
    }
    for (index, case) in pack.cases("adetailer/prompts.json")?.iter().enumerate() {
        cases.push(Case::of(format!("prompts.json {index}"), said(case)));
    }
    for (index, case) in pack.cases("adetailer/dynamic_denoise.json")?.iter().enumerate() {
        let strength: Strength = serde_json::from_value(case.clone()).context("dynamic_denoise.json")?;
        let Strength { power, denoise, bbox, image_size, result } = strength;
        let ours = dynamic_denoise(denoise, power, bbox, image_size);
        let near = (ours - result).abs() <= 1e-12 * result.abs();
        let outcome = if near { Ok(()) } else { Err(format!("recorded {result}, ours {ours}")) };
        cases.push(Case::of(format!("dynamic_denoise.json {index}"), outcome));
    }
    Ok(cases)
}

#[derive(Deserialize)]
struct Strength {
    power: f64,
    denoise: f64,
    bbox: [f64; 4],
    image_size: [usize; 2],
    result: f64,
}

#[derive(Deserialize)]
struct Selections {
    boxes: Vec<[f64; 4]>,
    confidences: Vec<f64>,
    image_size: [usize; 2],
    cases: Vec<Selection>,
}

#[derive(Deserialize)]
struct Selection {
    min_ratio: f64,
    max_ratio: f64,
    k: usize,
    by: String,
    sort: String,
    kept: Vec<usize>,
}

fn selected(file: &Selections, cases: &mut Vec<Case>) -> Result<()> {
    let pairs = file.boxes.iter().zip(&file.confidences);
    let found: Vec<Detection> =
        pairs.map(|(bounds, confidence)| Detection { bounds: *bounds, confidence: *confidence }).collect();
    for (index, case) in file.cases.iter().enumerate() {
        let by = match case.by.as_str() {
            "Area" => KeepBy::Area,
            "Confidence" => KeepBy::Confidence,
            other => anyhow::bail!("select.json: by {other}"),
        };
        let order = match case.sort.as_str() {
            "None" => Order::None,
            "Position (left to right)" => Order::LeftToRight,
            "Position (center to edge)" => Order::CenterToEdge,
            "Area (large to small)" => Order::Area,
            other => anyhow::bail!("select.json: sort {other}"),
        };
        let choice = Choice { least_area: case.min_ratio, largest_area: case.max_ratio, most: case.k, by, order };
        let ours = choose(&found, file.image_size, &choice);
        cases.push(Case::of(format!("select.json {index}"), same(&ours, &case.kept)));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Masking {
    dilate_erode: i32,
    x_offset: i64,
    y_offset: i64,
    merge_invert: String,
    masks: usize,
}

fn masked(tensors: &Tensors, cases: &mut Vec<Case>) -> Result<()> {
    let boxes: Vec<[f64; 4]> = serde_json::from_str(&tensors.metadata("boxes")?)?;
    let all: Vec<Masking> = serde_json::from_str(&tensors.metadata("cases")?)?;
    let mut found = Vec::new();
    for (index, bounds) in boxes.iter().enumerate() {
        let name = format!("mask.{index}");
        let &[height, width] = tensors.shape(&name)?.as_slice() else { anyhow::bail!("{name} is no mask") };
        let mask = AreaMask::rectangle(width, height, *bounds);
        cases.push(Case::of(format!("masks.safetensors {name}"), equal(&mask.values, &tensors.u8(&name)?)));
        found.push(Region { mask, bounds: *bounds });
    }
    for (index, case) in all.iter().enumerate() {
        let merge = match case.merge_invert.as_str() {
            "None" => Merge::None,
            "Merge" => Merge::Merge,
            "Merge and Invert" => Merge::MergeAndInvert,
            other => anyhow::bail!("masks.safetensors: merge_invert {other}"),
        };
        let shape = MaskShape { right: case.x_offset, up: case.y_offset, grow: case.dilate_erode, merge };
        let ours = regions(&found, shape);
        let mut result = same(&ours.len(), &case.masks);
        for (number, region) in ours.iter().enumerate().take(case.masks) {
            let recorded = tensors.u8(&format!("case{index}.{number}"))?;
            result = result.and_then(|()| equal(&region.mask.values, &recorded));
        }
        cases.push(Case::of(format!("masks.safetensors case{index}"), result));
    }
    Ok(())
}

fn equal(ours: &[u8], recorded: &[u8]) -> Result<(), String> {
    let apart = ours.iter().zip(recorded).filter(|(a, b)| a != b).count();
    same(&(ours.len(), apart), &(recorded.len(), 0))
}

fn said(case: &Value) -> Result<(), String> {
    let text = |key: &str| case[key].as_str().unwrap_or_default();
    let ours = prompts(text("ad_prompt"), text("main"));
    let shown: Vec<&str> = ours.iter().map(|prompt| prompt.as_deref().unwrap_or("[SKIP]")).collect();
    let mut recorded = Vec::new();
    for prompt in case["prompts"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        recorded.push(if prompt.trim() == "[SKIP]" { "[SKIP]" } else { prompt });
    }
    same(&shown, &recorded)?;
    for (mask, recorded) in case["per_mask"].as_array().into_iter().flatten().enumerate() {
        same(&json!(ours.get(mask).or(ours.last())), recorded)?;
    }
    Ok(())
}
