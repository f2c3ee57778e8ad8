//! `inpaint/`: crop regions, masks, fill, overlay, resize modes, soft inpainting, colour correction.

mod crop;
mod pixels;

use anyhow::Result;

use crate::{Case, Pack};

pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = crop::cases(pack)?;
    cases.extend(pixels::cases(pack)?);
    Ok(cases)
}
