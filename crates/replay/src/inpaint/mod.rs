//! `inpaint/`: crop regions, masks, fill, overlay, resize modes, soft inpainting, colour correction.

mod color;
mod crop;
mod pixels;
mod soft;

use anyhow::Result;

use crate::{Case, Pack};

pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = crop::cases(pack)?;
    cases.extend(pixels::cases(pack)?);
    cases.extend(soft::cases(pack)?);
    cases.extend(color::cases(pack)?);
    Ok(cases)
}
