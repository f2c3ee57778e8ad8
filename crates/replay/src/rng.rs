//! `rng/`: draws of both generators, the noise of a batch's pictures, and Brownian trees.

use anyhow::{Context, Result};
use lorabake_generate::noise::{
    BrownianTree, Generator, ImageNoise, NoiseSeeds, SeedResize, SeedSequence, Source, Variation, slerp,
};
use serde_json::{Value, json};

use crate::pack::{Pack, Tensors};
use crate::verdict::{Case, close, same};

/// How far a value may be off, since builds of torch differ in last bits.
const TOLERANCE: f64 = 2e-6;
/// The web UI's sizes are in pixels.
const PIXELS: u64 = 8;

/// Every recorded case of `rng/`.
pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (number, case) in pack.cases("rng/draws.json")?.iter().enumerate() {
        cases.push(Case::of(format!("draws {number}"), draws(case)?));
    }
    if pack.has("rng/image_rng.json") {
        let tensors = pack.tensors("rng/image_rng.safetensors")?;
        for case in pack.cases("rng/image_rng.json")? {
            let id = text(&case, "id")?;
            cases.push(Case::of(format!("image_rng {id}"), image_noise(&case, &id, &tensors)?));
        }
    }
    if pack.has("rng/slerp.safetensors") {
        cases.extend(slerps(&pack.tensors("rng/slerp.safetensors")?)?);
    }
    if pack.has("rng/brownian.json") {
        for sequence in pack.json("rng/brownian.json")?["seed_sequence"].as_array().into_iter().flatten() {
            let name = format!("seed_sequence {}", sequence["entropy"]);
            cases.push(Case::of(name, seed_sequence(sequence)?));
        }
        let tensors = pack.tensors("rng/brownian.safetensors")?;
        for case in pack.cases("rng/brownian.json")? {
            let id = text(&case, "id")?;
            cases.push(Case::of(format!("brownian {id}"), brownian(&case, &id, &tensors)?));
        }
    }
    Ok(cases)
}

fn draws(case: &Value) -> Result<Result<(), String>> {
    let mut generator = Generator::new(source(case)?, unsigned(&case["seed"])?);
    for draw in case["draws"].as_array().context("draws")? {
        let values = generator.normal(lengths(&draw["shape"])?.iter().product());
        let recorded = numbers(&draw["first"])?;
        let verdict = close(&values[..recorded.len().min(values.len())], &recorded, TOLERANCE)
            .and_then(|()| statistics(&values, draw));
        if verdict.is_err() {
            return Ok(verdict);
        }
    }
    Ok(Ok(()))
}

/// The mean and the standard deviation of a whole draw, of which only the beginning was recorded value by value.
fn statistics(values: &[f32], draw: &Value) -> Result<(), String> {
    let count = values.len() as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    let square = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>();
    let std = (square / (count - 1.0)).sqrt();
    for (own, recorded) in [(mean, &draw["mean"]), (std, &draw["std"])] {
        if let Some(recorded) = recorded.as_f64()
            && (own - recorded).abs() > TOLERANCE
        {
            return Err(format!("mean or std: recorded {recorded}, ours {own}"));
        }
    }
    Ok(())
}

fn image_noise(case: &Value, id: &str, tensors: &Tensors) -> Result<Result<(), String>> {
    let source: Source = match case["source"].as_str() {
        Some(name) => name.parse()?,
        None => id.split('.').next().unwrap_or_default().parse()?,
    };
    let shape = lengths(&case["shape"])?.try_into().ok().context("a shape of three")?;
    let strength = case["subseed_strength"].as_f64().unwrap_or(0.0);
    let mut pictures = Vec::new();
    for (index, seed) in case["seeds"].as_array().context("seeds")?.iter().enumerate() {
        let variation = match case["subseeds"].get(index) {
            Some(seed) => Some(Variation { seed: unsigned(seed)?, strength }),
            None => None,
        };
        pictures.push(NoiseSeeds { seed: unsigned(seed)?, variation });
    }
    let mut noise = ImageNoise::new(source, shape, pictures).with_seed_delta(case["ensd"].as_i64().unwrap_or(0) as u64);
    let height = case["seed_resize_from_h"].as_u64().unwrap_or(0) / PIXELS;
    let width = case["seed_resize_from_w"].as_u64().unwrap_or(0) / PIXELS;
    if height > 0 && width > 0 {
        noise = noise.resized_from(SeedResize { height: height as usize, width: width as usize });
    }
    for draw in 0..2 {
        let verdict = close(&noise.next_draw(), &tensors.f32(&format!("{id}.{draw}"))?, TOLERANCE);
        if verdict.is_err() {
            return Ok(verdict);
        }
    }
    Ok(Ok(()))
}

/// Names are `slerp.SHARE`, from `low` to `high`, and `slerp_NAME.SHARE`, from `low` to `NAME`.
fn slerps(tensors: &Tensors) -> Result<Vec<Case>> {
    let low = tensors.f32("low")?;
    let shape = tensors.shape("low")?.try_into().ok().context("low has three axes")?;
    let mut names = tensors.names()?;
    names.sort();
    let mut cases = Vec::new();
    for name in names {
        let Some((kind, share)) = name.split_once('.') else { continue };
        let high = tensors.f32(kind.strip_prefix("slerp_").unwrap_or("high"))?;
        let ours = slerp(share.parse()?, &low, &high, shape);
        cases.push(Case::of(name.clone(), close(&ours, &tensors.f32(&name)?, TOLERANCE)));
    }
    Ok(cases)
}

fn seed_sequence(sequence: &Value) -> Result<Result<(), String>> {
    let entropy = unsigned(&sequence["entropy"])?;
    let top: [u32; 3] = SeedSequence::new(entropy).state();
    let mut ours = vec![json!(top)];
    let mut recorded = vec![sequence["top"].clone()];
    for node in sequence["nodes"].as_array().into_iter().flatten() {
        let key = [unsigned(&node["spawn_key"])?, unsigned(&node["depth"])?];
        let state: [u32; 4] = SeedSequence::spawned(entropy, &key).state();
        ours.push(json!(state));
        recorded.push(node["state"].clone());
    }
    Ok(same(&ours, &recorded))
}

fn brownian(case: &Value, id: &str, tensors: &Tensors) -> Result<Result<(), String>> {
    let recorded = tensors.f32(id)?;
    let range = numbers(&case["range"])?;
    let queries = case["queries"].as_array().context("queries")?;
    let seeds = case["seeds"].as_array().context("seeds")?;
    let count = recorded.len() / (queries.len() * seeds.len()).max(1);
    let mut trees = Vec::new();
    for seed in seeds {
        trees.push(BrownianTree::new(source(case)?, unsigned(seed)?, count, range[0], range[1]));
    }
    let mut ours = Vec::new();
    for query in queries {
        let ends = numbers(query)?;
        for tree in &mut trees {
            ours.extend(tree.noise(ends[0], ends[1]));
        }
    }
    Ok(close(&ours, &recorded, TOLERANCE))
}

fn source(case: &Value) -> Result<Source> {
    Ok(text(case, "source")?.parse()?)
}

fn text(case: &Value, key: &str) -> Result<String> {
    Ok(case[key].as_str().with_context(|| format!("no {key} in {case}"))?.to_owned())
}

fn unsigned(value: &Value) -> Result<u64> {
    value.as_u64().with_context(|| format!("{value} is no whole number"))
}

fn numbers(value: &Value) -> Result<Vec<f32>> {
    let list = value.as_array().with_context(|| format!("{value} is no list"))?;
    Ok(list.iter().map(|number| number.as_f64().map_or(f32::NAN, |number| number as f32)).collect())
}

fn lengths(value: &Value) -> Result<Vec<usize>> {
    let list = value.as_array().with_context(|| format!("{value} is no list"))?;
    list.iter().map(|number| Ok(unsigned(number)? as usize)).collect()
}
