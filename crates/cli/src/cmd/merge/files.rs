//! The files of a merge, as they are typed.

use anyhow::{Context, Result, anyhow, bail};
use lorabake_recipe::count;
use lorabake_surgery::spec::{Presets, Spec};

use super::Args;

/// The files with what stands behind their colons, and --ratios.
///
/// # Errors
/// When they are not understood, or not there.
pub fn specs(args: &Args) -> Result<Vec<Spec>> {
    let mut specs = Vec::new();
    for text in &args.files {
        specs.extend(Spec::parse(text).map_err(|what| anyhow!("merge: {what}"))?);
    }
    if !args.ratios.is_empty() {
        if args.ratios.len() != specs.len() {
            let files = count(specs.len(), "file");
            bail!("--ratios: there are {} for {files}; give one for each", args.ratios.len());
        }
        for (spec, ratio) in specs.iter_mut().zip(&args.ratios) {
            spec.ratio = *ratio;
        }
    }
    for spec in &specs {
        if !spec.path.exists() {
            bail!("{}: there is no such file; look at its name", spec.path.display());
        }
    }
    Ok(specs)
}

/// The presets of blocks.
///
/// # Errors
/// When the file of presets cannot be read.
pub fn presets(args: &Args) -> Result<Presets> {
    let mut presets = Presets::usual();
    if let Some(path) = &args.presets {
        let text = std::fs::read_to_string(path).with_context(|| format!("--presets {}", path.display()))?;
        presets.add(&text).map_err(|what| anyhow!("--presets {}: {what}", path.display()))?;
    }
    Ok(presets)
}
