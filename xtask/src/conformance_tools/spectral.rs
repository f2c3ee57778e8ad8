//! elias-gaeros' resize_lora: ranks by importance against the model.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};
use lorabake_recipe::output::SavePrecision;
use lorabake_surgery::resize::importance::Importance;
use lorabake_surgery::resize::{Resize, Target, resize};
use serde_json::Value;

use super::Verdict;
use super::check::{self, Nearness};
use super::pack::Pack;

/// Replays a case.
///
/// # Errors
/// When files cannot be read, or what is done here is refused.
pub fn case(pack: &Pack, _name: &str, value: &Value) -> Result<Verdict> {
    let recipe = value["recipe"].as_str().context("a recipe")?;
    let importance: Importance = recipe.parse().map_err(|what| anyhow!("{recipe}: {what}"))?;
    let output = pack.output(Some(SavePrecision::F32));
    let request = Resize {
        path: pack.file(value["model"].as_str().context("a LoRA")?),
        target: Target::Importance(importance),
        base: Some(pack.model(value["base"].as_str().context("a model")?)?),
        max_norm: None,
    };
    let rows = resize(&request, &output, &|_, _| true)?;
    let wanted: BTreeMap<String, usize> = serde_json::from_value(value["ranks"].clone())?;
    for row in &rows {
        let theirs = wanted.get(&row.module).copied().unwrap_or(0);
        if row.rank != theirs {
            return Ok(Verdict::Differs(format!("{} has rank {}, theirs {theirs}", row.module, row.rank)));
        }
    }
    match value["file"].as_str() {
        Some(file) => check::loras(&output.path, &pack.file(file), Nearness::exact(2e-6)),
        None => Ok(Verdict::Same),
    }
}
