//! `inpaint/color_correction.safetensors`.

use anyhow::Result;
use lorabake_generate::color_correction::ColorTarget;
use lorabake_pixels::{Image, Rgb, opencv};

use super::pixels::read;
use crate::{Case, Pack, same};

const FILE: &str = "inpaint/color_correction.safetensors";

pub(super) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    if !pack.has(FILE) {
        return Ok(Vec::new());
    }
    let tensors = pack.tensors(FILE)?;
    let image: Rgb = read(&tensors, "image")?;
    let target: Rgb = read(&tensors, "target")?;
    let lab: Image<3> = read(&tensors, "lab_target")?;
    let result: Rgb = read(&tensors, "result")?;
    let corrected = ColorTarget::of(&target).apply(&image);
    Ok(vec![
        Case::of("color_correction.safetensors lab_target", same(&opencv::rgb_to_lab(&target), &lab)),
        Case::of("color_correction.safetensors result", same(&corrected, &result)),
    ])
}
