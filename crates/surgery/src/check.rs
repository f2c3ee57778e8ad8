//! What is wrong, or odd, with a file of weights: numbers that are none, modules that do nothing or far too much, alphas and
//! keys that programs stumble over.

use std::collections::BTreeMap;
use std::path::Path;

use lorabake_weights::checkpoint::Purpose;
use lorabake_weights::file_kind::{self, FileKind};
use lorabake_weights::formats::tensor_file::TensorFile;
use lorabake_weights::lora::NetTensors;
use lorabake_weights::{Checkpoint, keys};
use rayon::prelude::*;
use safetensors::Dtype;

use crate::bounded;
use crate::error::Result;
use crate::kind::Module;
use crate::lowered::{self, BaseModel};
use crate::matrix::norm;
use crate::model::Model;
use crate::output::is_float;

/// The largest number of f16.
const LARGEST_HALF: f32 = 65504.0;
/// A change so many times the usual one is odd.
const OUTLIER: f64 = 10.0;

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file is damaged by it, or does not do what it should.
    pub is_grave: bool,
    /// What it is and what to do, in a line.
    pub what: String,
}

impl Finding {
    fn grave(what: String) -> Self {
        Self { is_grave: true, what }
    }

    fn odd(what: String) -> Self {
        Self { is_grave: false, what }
    }
}

/// Looks at every number of a file; the model that a net was made for tells more of kinds that need it.
///
/// # Errors
/// When a file cannot be read.
pub fn check(path: &Path, base: Option<&Path>) -> Result<Vec<Finding>> {
    if path.is_file() {
        let plain = TensorFile::open(path)?;
        if file_kind::kind(&plain.into()) != FileKind::Checkpoint {
            return net(path, base);
        }
    }
    model(path)
}

/// The first name of some, and how many there are.
fn first_of(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

/// What a module of a net is found to be.
#[derive(Default)]
struct Seen {
    name: String,
    rank: usize,
    alpha: Option<f64>,
    /// Type and shape of the alpha are such as some programs do not read.
    odd_alpha: bool,
    not_finite: usize,
    misfit: Option<String>,
    /// The norm of the change; `None` where it is not known.
    norm: Option<f64>,
}

fn net(path: &Path, base: Option<&Path>) -> Result<Vec<Finding>> {
    let net = NetTensors::open(path)?;
    let base = match base {
        Some(base) => Some(BaseModel::of(Model::open(base, None)?)),
        None => None,
    };
    let names: Vec<&str> = net.modules().collect();
    let seen: Result<Vec<Seen>> = names.par_iter().map(|name| module(&net, name, base.as_ref())).collect();
    let seen = seen?;
    let mut findings = Vec::new();
    let named = |which: &dyn Fn(&Seen) -> bool| -> Vec<String> {
        seen.iter().filter(|seen| which(seen)).map(|seen| seen.name.clone()).collect()
    };
    let broken = named(&|seen| seen.not_finite > 0);
    if !broken.is_empty() {
        let count: usize = seen.iter().map(|seen| seen.not_finite).sum();
        let what = format!(
            "{count} values are infinite or not a number: {}; the training failed, take an earlier snapshot",
            first_of(&broken)
        );
        findings.push(Finding::grave(what));
    }
    if let Some(first) = seen.iter().find(|seen| seen.misfit.is_some() && seen.not_finite == 0) {
        let count = seen.iter().filter(|seen| seen.misfit.is_some() && seen.not_finite == 0).count();
        let reason = first.misfit.as_deref().unwrap_or_default();
        findings.push(Finding::grave(format!("{count} modules cannot be used: {}: {reason}", first.name)));
    }
    for problem in net.problems().iter().take(1) {
        let count = net.problems().len();
        findings.push(Finding::grave(format!("{count} tensors that no program reads: {problem}")));
    }
    findings.extend(norms(&seen));
    let above = named(&|seen| seen.alpha.is_some_and(|alpha| seen.rank > 0 && alpha > seen.rank as f64));
    if !above.is_empty() {
        findings.push(Finding::odd(format!(
            "alpha is above the rank, so that the change is multiplied: {}",
            first_of(&above)
        )));
    }
    let without = named(&|seen| seen.alpha.is_none() && seen.rank > 0);
    if !without.is_empty() && without.len() < seen.len() {
        let what = format!("no alpha, while others have one, for which diffusers takes theirs: {}", first_of(&without));
        findings.push(Finding::odd(what));
    }
    let odd = named(&|seen| seen.odd_alpha);
    if !odd.is_empty() {
        let what = format!(
            "alpha is a whole number or a list, which some programs do not read: {}; `lorabake convert` mends it",
            first_of(&odd)
        );
        findings.push(Finding::odd(what));
    }
    Ok(findings)
}

fn module(net: &NetTensors, name: &str, base: Option<&BaseModel>) -> Result<Seen> {
    let tensors = net.read(name)?;
    let mut seen = Seen { name: name.to_string(), ..Seen::default() };
    for tensor in tensors.values() {
        seen.not_finite += tensor.values.iter().filter(|value| !value.is_finite()).count();
    }
    let down = ["lora_down.weight", "hada_w1_b", "lokr_w2_b"];
    seen.rank = down.iter().find_map(|leaf| tensors.get(*leaf)?.shape.first().copied()).unwrap_or(0);
    if let Some(alpha) = tensors.get("alpha") {
        seen.alpha = alpha.values.first().map(|alpha| f64::from(*alpha));
        let is_list = net.shape(name, "alpha").is_some_and(|shape| !shape.is_empty());
        seen.odd_alpha = is_list || net.dtype(name, "alpha") == Some(Dtype::I64);
    }
    let size = base.and_then(|base| base.size(name));
    match Module::fit(&tensors, size.map(|size| size.shape)) {
        Err(reason) if reason.ends_with("which is needed") => {}
        Err(reason) => seen.misfit = Some(reason),
        Ok(module) => {
            seen.norm = lowered::delta(net, name, &module, base).ok().flatten().map(|delta| delta.norm());
        }
    }
    Ok(seen)
}

/// Modules that do nothing, and such that do far more than others of their part.
fn norms(seen: &[Seen]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut parts: BTreeMap<&str, Vec<(&str, f64)>> = BTreeMap::new();
    let mut idle = Vec::new();
    for module in seen {
        let Some(norm) = module.norm else { continue };
        if norm == 0.0 {
            idle.push(module.name.clone());
            continue;
        }
        let part = if module.name.starts_with("lora_te") { "text encoder" } else { "UNet" };
        parts.entry(part).or_default().push((&module.name, norm));
    }
    if !idle.is_empty() {
        let all = if idle.len() == seen.len() { "all modules add nothing" } else { "modules that add nothing" };
        let finding = format!("{all}: {}", first_of(&idle));
        findings.push(if idle.len() == seen.len() { Finding::grave(finding) } else { Finding::odd(finding) });
    }
    for (part, mut modules) in parts {
        modules.sort_by(|a, b| a.1.total_cmp(&b.1));
        let usual = modules[modules.len() / 2].1;
        let far: Vec<String> = modules
            .iter()
            .rev()
            .filter(|(_, norm)| *norm > OUTLIER * usual)
            .map(|(name, norm)| format!("{name} ({:.0} times the usual)", norm / usual))
            .collect();
        if !far.is_empty() {
            findings.push(Finding::odd(format!("far larger changes than others of the {part}: {}", first_of(&far))));
        }
    }
    findings
}

/// What a tensor of a model is found to be.
struct TensorSeen {
    name: String,
    not_finite: usize,
    beyond_half: usize,
    bent_positions: bool,
}

fn model(path: &Path) -> Result<Vec<Finding>> {
    let model = Checkpoint::open_for(Purpose::Painting, path, None)?;
    let names = model.names();
    let numbers = |name: &String| model.shape(name).map_or(0, |shape| shape.iter().product());
    let sizes: Vec<usize> = names.iter().map(numbers).collect();
    let seen = bounded::each(&sizes, &|_, _| true, |index| tensor(&model, &names[index]))?;
    let mut findings = Vec::new();
    let named = |which: &dyn Fn(&TensorSeen) -> bool| -> Vec<String> {
        seen.iter().filter(|seen| which(seen)).map(|seen| seen.name.clone()).collect()
    };
    let broken = named(&|seen| seen.not_finite > 0);
    if !broken.is_empty() {
        let count: usize = seen.iter().map(|seen| seen.not_finite).sum();
        findings.push(Finding::grave(format!("{count} values are infinite or not a number: {}", first_of(&broken))));
    }
    let bent = named(&|seen| seen.bent_positions);
    if !bent.is_empty() {
        let what = format!(
            "numbers of positions are not 0 to 76, which weakens prompts: {}; `lorabake convert` mends it",
            first_of(&bent)
        );
        findings.push(Finding::grave(what));
    }
    let large = named(&|seen| seen.beyond_half > 0);
    if !large.is_empty() {
        findings.push(Finding::odd(format!("values that fp16 does not hold: {}", first_of(&large))));
    }
    let mut types: BTreeMap<String, usize> = BTreeMap::new();
    for name in names {
        if let Some(dtype) = model.dtype(name).filter(|dtype| is_float(*dtype)) {
            *types.entry(format!("{dtype:?}")).or_default() += 1;
        }
    }
    if types.len() > 1 {
        let told: Vec<String> = types.iter().map(|(name, count)| format!("{name} × {count}")).collect();
        let what = format!(
            "numbers of several types ({}), which old loaders stumble over; `lorabake convert --save_precision fp16` mends it",
            told.join(", ")
        );
        findings.push(Finding::odd(what));
    }
    if model.averages() > 0 {
        let count = model.averages();
        findings.push(Finding::odd(format!(
            "{count} averages (EMA) that only training reads; `lorabake convert` leaves them out"
        )));
    }
    let unknown: Vec<String> = model.unexpected_tensors().into_iter().map(str::to_string).collect();
    if !unknown.is_empty() {
        findings.push(Finding::odd(format!("tensors that belong to no part of the model: {}", first_of(&unknown))));
    }
    Ok(findings)
}

fn tensor(model: &Checkpoint, name: &str) -> Result<TensorSeen> {
    let mut seen = TensorSeen { name: name.to_string(), not_finite: 0, beyond_half: 0, bent_positions: false };
    let Some(dtype) = model.dtype(name) else { return Ok(seen) };
    let is_positions = name.ends_with("embeddings.position_ids");
    let is_read = is_float(dtype) || is_positions && dtype == Dtype::I64;
    if !is_read {
        return Ok(seen);
    }
    let values = model.read_f32(name)?;
    if is_positions {
        seen.bent_positions = values.iter().enumerate().any(|(place, value)| *value != place as f32);
        return Ok(seen);
    }
    // Nearly always nothing is wrong, which the norm tells at once.
    if !norm(&values).is_finite() {
        seen.not_finite = values.iter().filter(|value| !value.is_finite()).count();
    }
    if keys::part_of(name).is_some() && dtype != Dtype::F16 {
        seen.beyond_half = values.iter().filter(|value| value.is_finite() && value.abs() > LARGEST_HALF).count();
    }
    Ok(seen)
}

/// One tensor of a net in numbers, as sd-scripts' `check_lora_weights.py` lists them.
#[derive(Debug, Clone, PartialEq)]
pub struct Statistics {
    /// Module and tensor.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The mean of absolute values.
    pub mean: f64,
    /// The smallest absolute value.
    pub least: f32,
}

/// The numbers of all up and down factors of a net.
///
/// # Errors
/// When it cannot be read.
pub fn statistics(path: &Path) -> Result<Vec<Statistics>> {
    let net = NetTensors::open(path)?;
    let mut all = Vec::new();
    for module in net.modules() {
        for (leaf, tensor) in net.read(module)? {
            if leaf != "lora_down.weight" && leaf != "lora_up.weight" {
                continue;
            }
            let sum: f64 = tensor.values.iter().map(|value| f64::from(value.abs())).sum();
            all.push(Statistics {
                name: format!("{module}.{leaf}"),
                mean: sum / tensor.values.len().max(1) as f64,
                least: tensor.values.iter().fold(f32::INFINITY, |least, value| least.min(value.abs())),
                shape: tensor.shape,
            });
        }
    }
    Ok(all)
}
