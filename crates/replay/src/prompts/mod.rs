//! `prompts/`: what a prompt's text says.

mod text;

use anyhow::Result;

use crate::{Case, Pack};

/// Files that nothing replays yet.
const NOT_YET: [&str; 3] = ["prompts/chunks.json", "prompts/emphasis_math.safetensors", "prompts/padding.safetensors"];

/// All cases of the folder.
pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = text::cases(pack)?;
    for file in NOT_YET {
        if pack.has(file) {
            cases.push(Case::unsupported(file, "nothing replays this file yet"));
        }
    }
    Ok(cases)
}
