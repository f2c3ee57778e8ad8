//! `prompts/`: what a prompt's text says, and what the text encoders and the UNet are given of it.

mod conditioning;
mod text;

use anyhow::Result;

use crate::{Case, Pack};

/// All cases of the folder.
pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = text::cases(pack)?;
    cases.extend(conditioning::chunks(pack)?);
    cases.extend(conditioning::weights(pack)?);
    cases.extend(conditioning::padding(pack)?);
    Ok(cases)
}
