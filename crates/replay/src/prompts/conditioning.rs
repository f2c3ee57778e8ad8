//! Chunks of token ids, weights on vectors, and sides of unequal length.

use anyhow::{Context, Result, anyhow};
use burn::tensor::{Device, Tensor, TensorData};
use lorabake_generate::conditioning::chunks::{Chunk, Layout, lay_out};
use lorabake_generate::conditioning::length::{PadPrompts, Sides, repeat_last};
use lorabake_generate::conditioning::weighting::weigh;
use lorabake_generate::embedding::EmbeddingName;
use lorabake_generate::prompt::emphasis::{Emphasis, parse};
use lorabake_model::tokenizer::{Cleaning, EOS};
use serde_json::Value;

use crate::number::reread;
use crate::pack::{Pack, Tensors};
use crate::verdict::{Case, close, same};

/// Tolerance of vectors.
const VECTORS: f64 = 2e-6;

/// `chunks.json`.
pub(super) fn chunks(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (index, case) in pack.cases("prompts/chunks.json")?.iter().enumerate() {
        cases.push(Case::of(format!("chunks.json {index}"), compare_chunks(case)?));
    }
    Ok(cases)
}

fn compare_chunks(case: &Value) -> Result<Result<(), String>> {
    let text = case["text"].as_str().context("a text")?;
    let emphasis: Emphasis = case["emphasis"].as_str().context("a mode")?.parse().map_err(|why| anyhow!("{why}"))?;
    let (cleaning, padding) = match case["tokenizer"].as_str() {
        Some("open_clip") => (Cleaning::OpenClip, 0),
        _ => (Cleaning::Clip, EOS),
    };
    let recorded = case["chunks"].as_array().context("chunks")?;
    let mut embeddings = Vec::new();
    for (name, vectors) in case["embeddings"].as_object().into_iter().flatten() {
        let vectors = vectors.as_u64().context("vectors")? as usize;
        match EmbeddingName::new(name, vectors, cleaning) {
            Ok(name) => embeddings.push(name),
            // The web UI makes a chunk of it that its network cannot take; ours refuses the embedding.
            Err(_) if recorded.iter().any(|chunk| chunk["ids"].as_array().is_some_and(|ids| ids.len() > 77)) => {
                return Ok(Ok(()));
            }
            Err(why) => return Ok(Err(why.to_string())),
        }
    }
    let comma_backtrack = case["comma_backtrack"].as_u64().context("a number of places")? as usize;
    let layout = Layout { cleaning, padding, comma_backtrack, embeddings: &embeddings };
    let own = lay_out(&parse(text, emphasis)?, &layout);
    let count = case["token_count"].as_u64().context("a count")? as usize;
    let mut result = same(&own.chunks.len(), &recorded.len()).and(same(&own.count, &count));
    for (own, recorded) in own.chunks.iter().zip(recorded) {
        result = result.and(compare_chunk(own, recorded, &embeddings)?);
    }
    Ok(result)
}

fn compare_chunk(own: &Chunk, recorded: &Value, embeddings: &[EmbeddingName]) -> Result<Result<(), String>> {
    let numbers = |key: &str| -> Result<Vec<f64>> {
        let list = recorded[key].as_array().with_context(|| key.to_owned())?;
        Ok(list.iter().filter_map(Value::as_f64).collect())
    };
    let ids: Vec<f64> = own.ids.iter().map(|id| f64::from(*id)).collect();
    let weights: Vec<f64> = own.weights.iter().map(|weight| reread(*weight)).collect();
    let mut fixes = Vec::new();
    for fix in &own.fixes {
        let EmbeddingName { name, vectors, .. } = &embeddings[fix.embedding];
        fixes.push(serde_json::json!([fix.offset, name, vectors]));
    }
    Ok(same(&ids, &numbers("ids")?)
        .and(same(&weights, &numbers("multipliers")?))
        .and(same(&Value::Array(fixes), &recorded["fixes"])))
}

/// `emphasis_math.safetensors`.
pub(super) fn weights(pack: &Pack) -> Result<Vec<Case>> {
    const FILE: &str = "prompts/emphasis_math.safetensors";
    let mut cases = Vec::new();
    if !pack.has(FILE) {
        return Ok(cases);
    }
    let tensors = pack.tensors(FILE)?;
    let listed: Vec<(u32, String, String)> = serde_json::from_str(&tensors.metadata("cases")?)?;
    let mut modes: Vec<(String, Emphasis)> = vec![("batch".to_owned(), Emphasis::Original)];
    for (id, _, mode) in listed {
        modes.push((format!("{id:02}"), mode.parse().map_err(|why| anyhow!("{why}"))?));
    }
    for (id, mode) in modes {
        let own = weigh(tensor(&tensors, &format!("{id}.z"))?, &tensors.f32(&format!("{id}.multipliers"))?, mode);
        let result = close(&values(own), &tensors.f32(&format!("{id}.out"))?, VECTORS);
        cases.push(Case::of(format!("emphasis_math {id}"), result));
    }
    Ok(cases)
}

/// `padding.safetensors`.
pub(super) fn padding(pack: &Pack) -> Result<Vec<Case>> {
    const FILE: &str = "prompts/padding.safetensors";
    let mut cases = Vec::new();
    if !pack.has(FILE) {
        return Ok(cases);
    }
    let tensors = pack.tensors(FILE)?;
    let part = |name: &str| -> Result<Tensor<3>> {
        let shape = tensors.shape(name)?;
        Ok(Tensor::from_data(TensorData::new(tensors.f32(name)?, [1, shape[0], shape[1]]), &Device::flex()))
    };
    let stacked = Tensor::cat(repeat_last(vec![part("a")?, part("b")?]), 0);
    cases.push(Case::of("padding stacked_ab", close(&values(stacked), &tensors.f32("stacked_ab")?, 0.0)));
    let empty = tensor(&tensors, "empty")?;
    for (name, option) in [("pad", PadPrompts::Pad), ("v0", PadPrompts::PadV0)] {
        for (which, cond, uncond) in [("cond_long", "a", "b"), ("uncond_long", "b", "a")] {
            let sides = option.pad(Sides { cond: part(cond)?, uncond: part(uncond)? }, &empty);
            let recorded = |side: &str| tensors.f32(&format!("{name}.{which}.{side}"));
            let result = close(&values(sides.cond), &recorded("cond")?, 0.0).and(close(
                &values(sides.uncond),
                &recorded("uncond")?,
                0.0,
            ));
            cases.push(Case::of(format!("padding {name} {which}"), result));
        }
    }
    Ok(cases)
}

fn tensor(tensors: &Tensors, name: &str) -> Result<Tensor<3>> {
    let shape = tensors.shape(name)?;
    let shape = [shape[0], shape[1], shape[2]];
    Ok(Tensor::from_data(TensorData::new(tensors.f32(name)?, shape), &Device::flex()))
}

fn values(tensor: Tensor<3>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32")
}
