//! Whole pictures, from prompt to pixels, and what is on their way.

mod call;
mod control;
mod first_calls;
mod inpaint_runs;
mod models;
mod runs;

use anyhow::Result;

use crate::pack::Pack;
use crate::verdict::Case;

/// Tolerance of latents in f32.
const LATENTS: f64 = 2e-4;
/// The runs.
const INDEX: &str = "pictures/index.json";
/// Their tensors.
const RUNS: &str = "pictures/runs.safetensors";

/// All cases of the folder.
pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = control::cases(pack)?;
    cases.extend(first_calls::cases(pack)?);
    cases.extend(runs::cases(pack)?);
    cases.extend(inpaint_runs::cases(pack)?);
    Ok(cases)
}
