//! `controlnet/`: preprocessors.

use anyhow::{Context, Result, bail};
use lorabake_generate::control::Preprocessor;
use lorabake_pixels::Rgb;

use crate::pack::Tensors;
use crate::{Case, Pack};

const FILE: &str = "controlnet/preprocess.safetensors";
/// The share of values that may differ: the pack allows a few pixels.
const FEW: f64 = 1e-3;

pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    if !pack.has(FILE) {
        return Ok(Vec::new());
    }
    let tensors = pack.tensors(FILE)?;
    let mut names = tensors.names()?;
    names.sort();
    let mut cases = Vec::new();
    for name in names.iter().filter(|name| !name.ends_with(".image")) {
        cases.push(Case::of(format!("preprocess.safetensors {name}"), replayed(&tensors, name)?));
    }
    Ok(cases)
}

fn replayed(tensors: &Tensors, name: &str) -> Result<Result<(), String>> {
    let (index, what) = name.split_once('.').context(FILE)?;
    let shape = tensors.shape(&format!("{index}.image"))?;
    let image = Rgb { width: shape[1] as u32, height: shape[0] as u32, data: tensors.u8(&format!("{index}.image"))? };
    let (preprocessor, resolution) = named(what)?;
    let map = match preprocessor.map(&image, resolution) {
        Ok(map) => map,
        Err(why) => return Ok(Err(why)),
    };
    let shape = tensors.shape(name)?;
    let recorded = tensors.u8(name)?;
    if map.size() != (shape[1] as u32, shape[0] as u32) {
        return Ok(Err(format!("recorded {shape:?}, ours {:?}", map.size())));
    }
    let is_grey = shape.len() == 2;
    let ours: Vec<u8> = if is_grey { map.data.iter().copied().step_by(3).collect() } else { map.data };
    let apart = ours.iter().zip(&recorded).filter(|(own, other)| own != other).count();
    if apart as f64 > FEW * recorded.len() as f64 {
        return Ok(Err(format!("{apart} of {} values differ", recorded.len())));
    }
    Ok(Ok(()))
}

/// The preprocessor and the resolution of a name such as `canny_64_100_200`.
fn named(what: &str) -> Result<(Preprocessor, u32)> {
    let parts: Vec<&str> = what.split('_').collect();
    let begin = parts.iter().position(|part| part.parse::<f64>().is_ok()).unwrap_or(parts.len());
    let mut numbers = Vec::new();
    for part in &parts[begin..] {
        numbers.push(part.parse::<f64>()?);
    }
    let name = match parts[..begin].join("_").as_str() {
        "blur" => "blur_gaussian".to_owned(),
        other => other.to_owned(),
    };
    let needs_resolution =
        !matches!(name.as_str(), "invert" | "tile_resample" | "recolor_luminance" | "recolor_intensity");
    let resolution = if needs_resolution && !numbers.is_empty() { numbers.remove(0) as u32 } else { 512 };
    match Preprocessor::of_name(&name, numbers.first().copied(), numbers.get(1).copied()) {
        Some(preprocessor) => Ok((preprocessor, resolution)),
        None => bail!("{FILE}: no preprocessor is called {name}"),
    }
}
