//! `lbw/`: tags, and block weights.
//!
//! Where lora-block-weight acts (`active`), its numbers are wanted; else the web UI's. A tag that names block weights and
//! is left alone all the same is one that either program drops without a word: we refuse it. Where a program fails, we
//! refuse, or read the tag with a note.

use anyhow::{Context, Result};
use lorabake_generate::prompt::block_weights::{BLOCKS, Block, BlockWeights, ElementRule, Elements, Presets};
use lorabake_generate::prompt::networks::{self, Known, Networks};
use lorabake_generate::prompt::tags;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::number::reread;
use crate::verdict::same;
use crate::{Case, Pack};

/// All cases of the folder.
pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = tag_cases(pack)?;
    for (number, case) in pack.cases("lbw/modules.json")?.into_iter().enumerate() {
        let name = format!("modules {number}");
        let case = serde_json::from_value(case).with_context(|| name.clone())?;
        cases.push(Case::of(name, modules(&case)));
    }
    Ok(cases)
}

#[derive(Deserialize)]
struct Head {
    blocks26: Vec<String>,
    presets_file: String,
    elemental_file: String,
    presets_that_load: Vec<String>,
    cases: Vec<TagCase>,
}

#[derive(Deserialize)]
struct TagCase {
    tag: String,
    text_left: String,
    nets: Vec<Net>,
    lbw: Extension,
}

#[derive(Deserialize)]
struct Net {
    kind: String,
    items: Vec<String>,
    positional: Vec<String>,
    named: Map<String, Value>,
    webui: WebUi,
}

#[derive(Deserialize)]
struct WebUi {
    error: Option<String>,
    #[serde(default)]
    name: String,
    te: Option<f64>,
    unet: Option<f64>,
    #[serde(rename = "dyn")]
    dyn_dim: Option<usize>,
}

#[derive(Deserialize)]
struct Extension {
    error: Option<String>,
    #[serde(default)]
    active: bool,
    #[serde(default)]
    nets: Vec<ExtensionNet>,
}

#[derive(Deserialize)]
struct ExtensionNet {
    name: String,
    te: f64,
    unet: f64,
    ratios26: Vec<Option<f64>>,
    #[serde(default)]
    random: Map<String, Value>,
    elemental: String,
    start: Option<u32>,
    stop: Option<u32>,
}

fn tag_cases(pack: &Pack) -> Result<Vec<Case>> {
    const FILE: &str = "lbw/tags.json";
    if !pack.has(FILE) {
        return Ok(Vec::new());
    }
    let head: Head = serde_json::from_value(pack.json(FILE)?).context(FILE)?;
    let presets = Presets::read(&head.presets_file);
    let elements = Elements::read(&head.elemental_file);
    let names: Vec<String> = presets.names().map(ToOwned::to_owned).collect();
    let mut cases = vec![
        Case::of("tags: names of blocks", same(&BLOCKS.map(ToOwned::to_owned).to_vec(), &head.blocks26)),
        Case::of("tags: presets that load", same(&names, &head.presets_that_load)),
    ];
    for (number, case) in head.cases.iter().enumerate() {
        cases.push(Case::of(format!("tags {number}"), tag(case, &presets, &elements)));
    }
    Ok(cases)
}

fn tag(case: &TagCase, presets: &Presets, elements: &Elements) -> Result<(), String> {
    let taken = tags::take(&case.tag);
    same(&taken.text, &case.text_left)?;
    same(&taken.tags.len(), &case.nets.len())?;
    for (tag, net) in taken.tags.iter().zip(&case.nets) {
        same(&tag.kind, &net.kind)?;
        same(&tag.items, &net.items)?;
        same(&tag.positional().into_iter().map(ToOwned::to_owned).collect(), &net.positional)?;
        let named = tag.named().into_iter().map(|item| (item.key.to_owned(), Value::from(item.value)));
        same(&named.collect(), &net.named)?;
    }
    let failed = case.lbw.error.is_some() || case.nets.iter().any(|net| net.webui.error.is_some());
    let ignored = case.nets.iter().any(is_ignored);
    match networks::read(&taken, Known { presets, elements, seed: 0 }) {
        Ok(read) if case.lbw.active => by_extension(&read, &case.lbw),
        Ok(read) if failed || ignored => {
            if read.notes.is_empty() {
                Err("it is neither refused nor noted".to_owned())
            } else {
                Ok(())
            }
        }
        Ok(read) => by_web_ui(&read, &case.nets),
        Err(_) if !case.lbw.active && (failed || ignored) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether a tag asks for what is not done where the extension is not active, or names nothing.
fn is_ignored(net: &Net) -> bool {
    ["lbw", "w", "lwb", "lbwe", "start", "stop", "step"].iter().any(|key| net.named.contains_key(*key))
        || net.webui.name.trim().is_empty()
}

fn by_web_ui(read: &Networks, nets: &[Net]) -> Result<(), String> {
    same(&read.networks.len(), &nets.len())?;
    for (network, net) in read.networks.iter().zip(nets) {
        same(&network.name, &net.webui.name)?;
        same(&network.te.constant().map(reread), &net.webui.te)?;
        same(&network.unet.constant().map(reread), &net.webui.unet)?;
        same(&network.dyn_dim, &net.webui.dyn_dim)?;
        same(&network.blocks, &BlockWeights::default())?;
    }
    Ok(())
}

fn by_extension(read: &Networks, recorded: &Extension) -> Result<(), String> {
    same(&read.networks.len(), &recorded.nets.len())?;
    for (network, net) in read.networks.iter().zip(&recorded.nets) {
        same(&network.name, &net.name)?;
        same(&network.te.constant().map(reread), &Some(net.te))?;
        same(&network.unet.constant().map(reread), &Some(net.unet))?;
        same(&network.window.start, &net.start)?;
        same(&network.window.stop, &net.stop)?;
        let rules = ElementRule::list(&net.elemental).map_err(|error| error.to_string())?;
        same(&network.blocks.elements, &rules)?;
        ratios(&network.blocks, net)?;
    }
    Ok(())
}

/// Numbers are the same, and what was random is in its range.
fn ratios(blocks: &BlockWeights, net: &ExtensionNet) -> Result<(), String> {
    for (index, ratio) in blocks.ratios.iter().enumerate() {
        let block = BLOCKS[index];
        let Some(recorded) = net.ratios26[index] else {
            let range: (f64, f64) = serde_json::from_value(net.random[block].clone()).map_err(|e| e.to_string())?;
            if *ratio < range.0 || *ratio > range.1 {
                return Err(format!("{block}: {ratio} is not within {range:?}"));
            }
            continue;
        };
        same(&reread(*ratio), &recorded).map_err(|why| format!("{block}: {why}"))?;
    }
    Ok(())
}

#[derive(Deserialize)]
struct ModulesCase {
    ratios26: Vec<f64>,
    elemental: String,
    modules: Vec<(String, f64, bool)>,
}

fn modules(case: &ModulesCase) -> Result<(), String> {
    let Ok(ratios) = <[f64; 26]>::try_from(case.ratios26.as_slice()) else {
        return Err(format!("{} ratios are recorded", case.ratios26.len()));
    };
    let elements = ElementRule::list(&case.elemental).map_err(|error| error.to_string())?;
    let weights = BlockWeights { ratios, elements };
    for (module, ratio, in_a_block) in &case.modules {
        same(&Block::of(module).is_some(), in_a_block).map_err(|why| format!("{module}: {why}"))?;
        same(&reread(weights.ratio(module)), ratio).map_err(|why| format!("{module}: {why}"))?;
    }
    Ok(())
}
