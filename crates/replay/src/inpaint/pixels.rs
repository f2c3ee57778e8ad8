//! `inpaint/pixels.safetensors`: masks, fill, overlay and resize modes of each image.

use anyhow::{Context, Result};
use lorabake_generate::inpaint::{fill, mask, overlay};
use lorabake_generate::resize_mode::ResizeMode;
use lorabake_pixels::{Gray, Image, Rgb, Rgba};

use crate::pack::Tensors;
use crate::{Case, Pack, close, same};

pub(super) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    if !pack.has(FILE) {
        return Ok(Vec::new());
    }
    let tensors = pack.tensors(FILE)?;
    let mut names = tensors.names()?;
    names.sort();
    let mut cases = Vec::new();
    for name in &names {
        let (image, what) = name.split_once('.').context(FILE)?;
        if let Some(result) = replayed(&tensors, image, what)? {
            cases.push(Case::of(format!("pixels.safetensors {name}"), result));
        }
    }
    Ok(cases)
}

const FILE: &str = "inpaint/pixels.safetensors";

/// The outcome for one tensor; `None` for what only goes in.
fn replayed(tensors: &Tensors, image: &str, what: &str) -> Result<Option<Result<(), String>>> {
    let name = format!("{image}.{what}");
    let own: Gray = read(tensors, &format!("{image}.mask"))?;
    let picture: Rgb = read(tensors, &format!("{image}.image"))?;
    if let Some(radii) = what.strip_prefix("blur_") {
        return Ok(Some(same(&blurred(&own, radii)?.data, &tensors.u8(&name)?)));
    }
    if let Some(radii) = what.strip_prefix("overlay_").filter(|rest| !rest.starts_with("image")) {
        return Ok(Some(same(&mask::for_overlay(&blurred(&own, radii)?).data, &tensors.u8(&name)?)));
    }
    if let Some(radii) = what.strip_prefix("latmask_raw_") {
        return latent_mask(tensors, &name, &blurred(&own, radii)?, true).map(Some);
    }
    if let Some(radii) = what.strip_prefix("latmask_") {
        return latent_mask(tensors, &name, &blurred(&own, radii)?, false).map(Some);
    }
    if let Some(rest) = what.strip_prefix("resize") {
        let (mode, size) = rest.split_once('_').context(name.clone())?;
        let mode = mode.parse().ok().and_then(ResizeMode::of_number).context(name.clone())?;
        let recorded: Rgb = read(tensors, &name)?;
        let resized = if size.starts_with("mask_") {
            mode.apply(&own, recorded.size()).map(|[value]| [value; 3])
        } else {
            mode.apply(&picture, recorded.size())
        };
        return Ok(Some(same(&resized.data, &recorded.data)));
    }
    if let Some(radii) = what.strip_prefix("overlay_image_") {
        return Ok(Some(same(&kept(&picture, &own, radii)?.data, &tensors.u8(&name)?)));
    }
    if let Some(radii) = what.strip_prefix("composite_") {
        let generated: Rgb = read(tensors, &format!("{image}.generated"))?;
        let ours = overlay::laid_over(&generated, &kept(&picture, &own, radii)?, None);
        return Ok(Some(same(&ours.data, &tensors.u8(&name)?)));
    }
    if let Some(rest) = what.strip_prefix("fill") {
        let mask = if rest.is_empty() { own } else { blurred(&own, "4_4")? };
        return Ok(Some(same(&fill(&picture, &mask).data, &tensors.u8(&name)?)));
    }
    Ok(None)
}

/// What is kept of the picture, by a mask blurred with the radii of a name.
fn kept(picture: &Rgb, mask: &Gray, radii: &str) -> Result<Rgba> {
    Ok(overlay::overlay_image(picture, &mask::for_overlay(&blurred(mask, radii)?)))
}

fn latent_mask(tensors: &Tensors, name: &str, mask: &Gray, soft: bool) -> Result<Result<(), String>> {
    let shape = tensors.shape(name)?;
    let ours = mask::of_latent(mask, (shape[1] as u32, shape[0] as u32), soft);
    Ok(close(&ours, &tensors.f32(name)?, 0.0))
}

/// The mask blurred by the radii of a name, `X_Y`.
fn blurred(mask: &Gray, radii: &str) -> Result<Gray> {
    let (x, y) = radii.split_once('_').context("no two radii")?;
    Ok(mask::blurred(mask, x.parse()?, y.parse()?))
}

/// A recorded image.
pub(super) fn read<const C: usize>(tensors: &Tensors, name: &str) -> Result<Image<C>> {
    let shape = tensors.shape(name)?;
    Ok(Image { width: shape[1] as u32, height: shape[0] as u32, data: tensors.u8(name)? })
}
