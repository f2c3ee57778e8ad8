//! Results beside what was recorded: samples of a checkpoint's tensors, and the products of a LoRA's factors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use lorabake_surgery::kind::Module;
use lorabake_surgery::matrix::{Matrix, norm};
use lorabake_surgery::spectrum::Spectrum;
use lorabake_weights::formats::tensor_file::TensorFile;
use lorabake_weights::lora::NetTensors;

use super::Verdict;

/// Values of a tensor that are recorded.
const SAMPLES: usize = 64;

/// ‖got − want‖ ÷ ‖want‖.
pub fn apart(got: &[f32], want: &[f32]) -> f64 {
    if got.len() != want.len() {
        return f64::INFINITY;
    }
    let difference: Vec<f32> = got.iter().zip(want).map(|(got, want)| got - want).collect();
    let whole = norm(want);
    if whole == 0.0 { norm(&difference) } else { norm(&difference) / whole }
}

/// Every `n`/64th value of a tensor.
fn samples(values: &[f32]) -> Vec<f32> {
    let count = values.len();
    if count <= SAMPLES {
        return values.to_vec();
    }
    (0..SAMPLES).map(|place| values[place * count / SAMPLES]).collect()
}

/// Compares a checkpoint with a digest of another program's; `before` is what both were made from, of which only what the
/// digest names may have changed. `named` gives the key of what the digest calls a tensor.
///
/// # Errors
/// When files cannot be read.
pub fn digest(
    ours: &Path,
    recorded: &Path,
    before: &Path,
    tolerance: f64,
    named: &dyn Fn(&str) -> Option<Key>,
) -> Result<Verdict> {
    let ours = TensorFile::open(ours)?;
    let before = TensorFile::open(before)?;
    let recorded = TensorFile::open(recorded)?;
    let keys: Vec<String> = serde_json::from_str(recorded.metadata().get("keys").context("a digest without keys")?)?;
    let norms = recorded.read_f32("norms")?;
    let mut worst = (0.0, String::new());
    let mut listed = BTreeSet::new();
    for (index, name) in keys.iter().enumerate() {
        let Some(key) = named(name) else { bail!("{name} has no key in the checkpoint") };
        let read = |file: &TensorFile| -> Result<Vec<f32>> {
            let values = file.read_f32(&key.name)?;
            Ok(match key.third {
                Some(third) => values[third * values.len() / 3..(third + 1) * values.len() / 3].to_vec(),
                None => values,
            })
        };
        let values = read(&ours)?;
        let mut error = apart(&samples(&values), &recorded.read_f32(name)?);
        error = error.max((norm(&values) - f64::from(norms[2 * index])).abs() / f64::from(norms[2 * index]).max(1e-30));
        if error > worst.0 {
            worst = (error, name.clone());
        }
        listed.insert(key.name);
    }
    if worst.0 > tolerance {
        return Ok(Verdict::Differs(format!("{} is {:.1e} apart, {tolerance:.0e} is allowed", worst.1, worst.0)));
    }
    for name in ours.names() {
        if listed.contains(&name) || before.shape(&name).is_none() || before.check_numbers(&name).is_err() {
            continue;
        }
        let error = apart(&ours.read_f32(&name)?, &before.read_f32(&name)?);
        if error > tolerance {
            return Ok(Verdict::Differs(format!("{name} changed by {error:.1e}, theirs did not")));
        }
    }
    Ok(Verdict::Same)
}

/// Compares a checkpoint with a digest, or with all tensors that another program changed, which have the keys of `before`.
///
/// # Errors
/// When files cannot be read.
pub fn model(ours: &Path, recorded: &Path, before: &Path, tolerance: f64) -> Result<Verdict> {
    let theirs = TensorFile::open(recorded)?;
    if theirs.metadata().contains_key("keys") {
        return digest(ours, recorded, before, tolerance, &|name| Some(Key { name: name.to_string(), third: None }));
    }
    let ours = TensorFile::open(ours)?;
    let before = TensorFile::open(before)?;
    for name in ours.names() {
        if before.check_numbers(&name).is_err() {
            continue;
        }
        let want = if theirs.shape(&name).is_some() { theirs.read_f32(&name)? } else { before.read_f32(&name)? };
        let error = apart(&ours.read_f32(&name)?, &want);
        if error > tolerance {
            return Ok(Verdict::Differs(format!("{name} is {error:.1e} apart, {tolerance:.0e} is allowed")));
        }
    }
    Ok(Verdict::Same)
}

/// Where a tensor of a digest is in a checkpoint.
pub struct Key {
    /// The key.
    pub name: String,
    /// Which third of its rows.
    pub third: Option<usize>,
}

/// How near a LoRA has to be.
#[derive(Debug, Clone, Copy)]
pub struct Nearness {
    /// For each module.
    pub module: f64,
    /// For all together.
    pub whole: f64,
    /// Ranks and alphas have to be the same.
    pub ranks: bool,
}

impl Nearness {
    /// The same for a module and all, ranks as recorded.
    pub fn exact(tolerance: f64) -> Self {
        Self { module: tolerance, whole: tolerance, ranks: true }
    }
}

/// ΔW of every module of a LoRA with its rank and alpha ÷ rank.
pub struct Product {
    /// The product.
    pub delta: Matrix,
    /// The rank.
    pub rank: usize,
    /// alpha.
    pub alpha: f32,
}

/// The products of a LoRA's factors.
///
/// # Errors
/// When it cannot be read.
pub fn products(path: &Path) -> Result<BTreeMap<String, Product>> {
    let net = NetTensors::open(path)?;
    let mut products = BTreeMap::new();
    for name in net.modules() {
        let mut tensors = net.read(name)?;
        // What is left over of LyCORIS' factors is not compared, nor are magnitudes here.
        tensors.retain(|leaf, _| !leaf.starts_with("bias_") && leaf != "dora_scale");
        let rank = tensors.get("lora_down.weight").and_then(|down| down.shape.first()).copied().unwrap_or(0);
        let alpha = tensors.get("alpha").and_then(|alpha| alpha.values.first()).copied().unwrap_or(rank as f32);
        let module = Module::fit(&tensors, None).map_err(|reason| anyhow::anyhow!("{name}: {reason}"))?;
        if let Some(delta) = module.delta(None).map_err(|reason| anyhow::anyhow!("{name}: {reason}"))? {
            products.insert(name.to_string(), Product { delta, rank, alpha });
        }
    }
    Ok(products)
}

/// Compares tensors of a LoRA with a digest of them.
///
/// # Errors
/// When files cannot be read.
pub fn parts(ours: &Path, recorded: &Path, tolerance: f64) -> Result<Verdict> {
    let ours = TensorFile::open(ours)?;
    let recorded = TensorFile::open(recorded)?;
    let keys: Vec<String> = serde_json::from_str(recorded.metadata().get("keys").context("a digest without keys")?)?;
    for name in keys {
        let want = recorded.read_f32(&name)?;
        let Ok(values) = ours.read_f32(&name) else {
            // Theirs writes what did not change, too.
            if norm(&want) == 0.0 {
                continue;
            }
            return Ok(Verdict::Differs(format!("{name} is missing")));
        };
        let error = apart(&samples(&values), &want);
        if error > tolerance {
            return Ok(Verdict::Differs(format!("{name} is {error:.1e} apart, {tolerance:.0e} is allowed")));
        }
    }
    Ok(Verdict::Same)
}

/// Compares the modules of two LoRAs that are of low rank.
///
/// # Errors
/// When files cannot be read.
pub fn low_rank(ours: &Path, recorded: &Path, near: Nearness) -> Result<Verdict> {
    let mut ours = products(ours)?;
    ours.retain(|_, product| product.rank > 0);
    compare(&ours, &products(recorded)?, near)
}

/// Compares two LoRAs. What was recorded may leave modules out that are zero.
///
/// # Errors
/// When files cannot be read.
pub fn loras(ours: &Path, recorded: &Path, near: Nearness) -> Result<Verdict> {
    compare(&products(ours)?, &products(recorded)?, near)
}

/// Compares our factors, cut as sd-scripts and supermerger cut them, with theirs. Which entries are cut depends on the sign
/// of each pair of singular vectors, which is a matter of taste: theirs are taken.
///
/// # Errors
/// When files cannot be read.
pub fn clamped(ours: &Path, recorded: &Path, quantile: f64, near: Nearness) -> Result<Verdict> {
    let (mine, theirs) = (NetTensors::open(ours)?, NetTensors::open(recorded)?);
    let mut cut = products(ours)?;
    for (name, product) in &mut cut {
        let factors = |net: &NetTensors| -> Result<Option<[Matrix; 2]>> {
            let tensors = net.read(name)?;
            let matrix = |leaf: &str| tensors.get(leaf).map(Matrix::of);
            Ok(match (matrix("lora_up.weight"), matrix("lora_down.weight")) {
                (Some(up), Some(down)) => Some([up, down]),
                _ => None,
            })
        };
        let (Some([up, down]), Some([_, other])) = (factors(&mine)?, factors(&theirs)?) else { continue };
        if other.columns != down.columns {
            continue;
        }
        let mut spectrum = Spectrum { u: up.transposed(), s: Vec::new(), v: down };
        for place in 0..spectrum.v.rows {
            let lengths = [norm(spectrum.u.row(place)), norm(spectrum.v.row(place))];
            spectrum.s.push(lengths[0] * lengths[1]);
            let dot: f32 = if place < other.rows {
                spectrum.v.row(place).iter().zip(other.row(place)).map(|(one, other)| one * other).sum()
            } else {
                1.0
            };
            for (matrix, length) in [(&mut spectrum.u, lengths[0]), (&mut spectrum.v, lengths[1])] {
                let factor = (1.0 / length.max(1e-30)) as f32 * 1.0_f32.copysign(dot);
                let columns = matrix.columns;
                matrix.values[place * columns..(place + 1) * columns].iter_mut().for_each(|value| *value *= factor);
            }
        }
        spectrum.u = spectrum.u.transposed();
        product.delta = spectrum.clamped(other.rows, quantile).whole();
        if other.values.iter().all(|value| *value == other.values[0]) {
            // All was cut to one number, which tells no sign: that choice of signs is theirs which gives it.
            product.delta = cut_to(&spectrum, other.values[0], other.rows, quantile).unwrap_or(product.delta.clone());
        }
    }
    compare(&cut, &products(recorded)?, near)
}

/// The product of factors whose every entry is cut to one number: with signs by which that is `limit`.
fn cut_to(spectrum: &Spectrum, limit: f32, rank: usize, quantile: f64) -> Option<Matrix> {
    let count = spectrum.s.len().min(rank).min(12);
    for choice in 0..1_u32 << count {
        let mut turned = spectrum.clone();
        for place in (0..count).filter(|place| choice >> place & 1 == 1) {
            for row in turned.u.values.chunks_exact_mut(spectrum.u.columns) {
                row[place] = -row[place];
            }
            let columns = spectrum.v.columns;
            turned.v.values[place * columns..(place + 1) * columns].iter_mut().for_each(|value| *value = -*value);
        }
        let factors = turned.clamped(rank, quantile);
        if factors.down.values.iter().all(|value| (value - limit).abs() <= 1e-4 * limit.abs()) {
            return Some(factors.whole());
        }
    }
    None
}

fn compare(ours: &BTreeMap<String, Product>, recorded: &BTreeMap<String, Product>, near: Nearness) -> Result<Verdict> {
    let mut squares = [0.0_f64; 2];
    for (name, want) in recorded {
        let Some(got) = ours.get(name) else {
            if want.delta.norm() == 0.0 {
                continue;
            }
            return Ok(Verdict::Differs(format!("{name} is missing")));
        };
        if near.ranks && (got.rank, got.alpha) != (want.rank, want.alpha) {
            let theirs = format!("{} and {}", want.rank, want.alpha);
            return Ok(Verdict::Differs(format!(
                "{name} has rank {} and alpha {}, theirs {theirs}",
                got.rank, got.alpha
            )));
        }
        let error = apart(&got.delta.values, &want.delta.values);
        if error > near.module {
            let allowed = near.module;
            return Ok(Verdict::Differs(format!("{name} is {error:.1e} apart, {allowed:.0e} is allowed")));
        }
        squares[0] += (error * want.delta.norm()).powi(2);
        squares[1] += want.delta.norm().powi(2);
    }
    for (name, got) in ours {
        if !recorded.contains_key(name) && got.delta.norm() > 0.0 {
            return Ok(Verdict::Differs(format!("{name} is not in theirs")));
        }
    }
    let whole = (squares[0] / squares[1].max(1e-30)).sqrt();
    if whole > near.whole {
        return Ok(Verdict::Differs(format!("all together {whole:.1e} apart, {:.0e} is allowed", near.whole)));
    }
    Ok(Verdict::Same)
}
