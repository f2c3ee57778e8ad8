//! `hires/`: sizes of the second pass, latent upscalers.

use anyhow::{Context, Result};
use lorabake_generate::hires::{Enlarge, LatentUpscaler, resize_latent, target};
use serde::Deserialize;

use crate::{Case, Pack, close, same};

/// Of the largest value; f32 in another order.
const TOLERANCE: f64 = 1e-5;
const LATENTS: &str = "hires/latent_upscale.safetensors";

/// A first pass and what the second one is.
#[derive(Debug, Deserialize)]
struct Recorded {
    width: u32,
    height: u32,
    scale: f64,
    resize_x: u32,
    resize_y: u32,
    upscale_to: (u32, u32),
    latent_after_upscale: (u32, u32),
    latent_crop: [u32; 4],
}

pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (index, case) in pack.cases("hires/sizes.json")?.into_iter().enumerate() {
        let recorded: Recorded = serde_json::from_value(case)?;
        cases.push(Case::of(format!("sizes.json {index}"), replayed(&recorded)));
    }
    if pack.has(LATENTS) {
        cases.extend(latents(pack)?);
    }
    Ok(cases)
}

fn replayed(recorded: &Recorded) -> Result<(), String> {
    let size = (recorded.width, recorded.height);
    let enlarge = match (recorded.resize_x, recorded.resize_y) {
        (0, 0) => Enlarge::By(recorded.scale),
        wanted => Enlarge::To(wanted),
    };
    let ours = target(size, enlarge)?;
    same(&ours.upscaled, &recorded.upscale_to)?;
    same(&ours.latent, &recorded.latent_after_upscale)?;
    let (left, top) = ours.crop_at;
    same(&[left, top, left + ours.kept.0, top + ours.kept.1], &recorded.latent_crop)
}

fn latents(pack: &Pack) -> Result<Vec<Case>> {
    let tensors = pack.tensors(LATENTS)?;
    let latent = tensors.f32("latent")?;
    let shape = tensors.shape("latent")?;
    let from = (shape[3] as u32, shape[2] as u32);
    let mut names = tensors.names()?;
    names.sort();
    let mut cases = Vec::new();
    for name in names.iter().filter(|name| *name != "latent") {
        let (upscaler, _) = name.rsplit_once('.').context(LATENTS)?;
        let upscaler = LatentUpscaler::of_name(upscaler).context(LATENTS)?;
        let shape = tensors.shape(name)?;
        let ours = resize_latent(&latent, from, (shape[3] as u32, shape[2] as u32), upscaler);
        cases
            .push(Case::of(format!("latent_upscale.safetensors {name}"), close(&ours, &tensors.f32(name)?, TOLERANCE)));
    }
    Ok(cases)
}
