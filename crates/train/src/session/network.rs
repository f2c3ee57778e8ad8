//! What is trained at the beginning of a run: fresh modules, or those of `--network_weights`.

use anyhow::{Result, bail};
use lorabake_device::free_memory;
use lorabake_lora::{LoraNetwork, NetworkModule};
use lorabake_model::Bundle;
use lorabake_recipe::network::RankAlpha;
use lorabake_recipe::seed::Seed;
use lorabake_recipe::{Recipe, count};
use lorabake_weights::lora::{self, LoraFile};
use lorabake_weights::{Family, Part};

use crate::event::{Emit, Event};

/// A fresh network, or one that starts from a file.
///
/// # Errors
/// When the file cannot be read or fits nothing here, or there is no memory for so much.
pub(crate) fn make_network(recipe: &mut Recipe, bundle: &Bundle, seed: Seed, emit: &Emit<'_>) -> Result<LoraNetwork> {
    let Some(path) = recipe.network.weights.clone() else {
        return fresh_network(recipe, bundle, seed);
    };
    let label = path.display().to_string();
    if let Some(note) = lora::note(&path)? {
        emit(Event::Note(note));
    }
    let mut from_file = LoraNetwork::from_file(&LoraFile::open(&path)?, &label, bundle)?;
    if recipe.network.dim_from_weights {
        from_file.keep(recipe.network.scope);
        from_file.in_blocks(&recipe.network.adapter, bundle)?;
        let Some(first) = from_file.modules.first() else {
            bail!("--network_weights {label}: it has no modules for the part that is trained");
        };
        if let Some(size) = first.spec.method.size() {
            recipe.network.linear = size;
        }
        recipe.network.conv = wide_size(&from_file);
        return Ok(from_file);
    }
    let mut network = fresh_network(recipe, bundle, seed)?;
    let (taken, left) = network.take_values(&from_file)?;
    if taken == 0 {
        bail!("--network_weights {label}: none of its modules is among those that are trained");
    }
    if let Some(first) = left.first() {
        let unused = left.len();
        emit(Event::Note(format!("--network_weights {label}: {} not used (first: {first})", are(unused, "module"))));
    }
    let fresh = network.modules.len() - taken;
    if fresh > 0 {
        emit(Event::Note(format!(
            "--network_weights {label}: {} not in the file, to start from zero",
            are(fresh, "module")
        )));
    }
    Ok(network)
}

fn fresh_network(recipe: &Recipe, bundle: &Bundle, seed: Seed) -> Result<LoraNetwork> {
    refuse_beyond_memory(recipe, bundle)?;
    let mut network = LoraNetwork::fresh(&recipe.network, bundle, seed);
    let idle = |part: Part| match part {
        Part::TextEncoder => recipe.optim.text_encoder_lr == 0.0,
        Part::TextEncoder2 => recipe.optim.text_encoder2_lr == 0.0,
        Part::Unet | Part::Vae => false,
    };
    if bundle.family == Family::Sdxl {
        network.modules.retain(|module| !idle(module.part));
    }
    if network.modules.is_empty() {
        bail!("network_args: nothing is left to train: the preset or the blocks leave out every layer");
    }
    Ok(network)
}

/// Refuses a LoRA for which there is no memory, before it takes any.
///
/// # Errors
/// How much it needs, and how much there is.
fn refuse_beyond_memory(recipe: &Recipe, bundle: &Bundle) -> Result<()> {
    let needed = LoraNetwork::fresh_bytes(&recipe.network, bundle);
    let Some(free) = free_memory().filter(|free| *free < needed) else { return Ok(()) };
    let gb = |bytes: u64| bytes as f64 / 1e9;
    bail!("--network_dim: the LoRA alone takes {:.1} GB, and {:.1} are free; use a lower rank", gb(needed), gb(free))
}

/// `1 module is`, `2 modules are`.
fn are(number: usize, noun: &str) -> String {
    format!("{} {}", count(number, noun), if number == 1 { "is" } else { "are" })
}

/// Rank and alpha of the file's 3×3 convolutions, if it has any.
fn wide_size(network: &LoraNetwork) -> Option<RankAlpha> {
    let wide = |module: &&NetworkModule| module.part == Part::Unet && module.spec.layer.kernel() == 3;
    network.modules.iter().find(wide).and_then(|module| module.spec.method.size())
}
