//! Nets of other ranks: by a number, by sd-scripts' rules, by the size of the file. Any kind becomes a plain LoRA, exactly
//! where it has such a form, else by its best approximation.
//!
//! Rules and metadata: sd-scripts `resize_lora.py`. Scales stay: alpha ÷ rank of a module is what it was.

mod dylora;
pub mod importance;

use std::collections::BTreeMap;
use std::path::PathBuf;

use lorabake_weights::lora::NetTensors;
use safetensors::Dtype;

use crate::bounded;
use crate::error::{Error, Result};
use crate::kind::Factors;
use crate::lora_file::{self, Form, Ready};
use crate::lowered::{self, BaseModel, Changes, Lowered};
use crate::model::Model;
use crate::net;
use crate::output::Output;
use crate::rank::{self, Offer, RankRule};
use crate::spectrum::Spectrum;
use crate::writer::Watch;

pub use dylora::{DyloraScale, cut_dylora};
use importance::Importance;

/// How ranks are found.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// By a rule, for each module by itself.
    Rule {
        /// The rule.
        rule: RankRule,
        /// The highest rank of matrices.
        rank: usize,
        /// The highest rank of convolutions, those of one pixel included.
        conv_rank: usize,
    },
    /// By the size of the file in bytes.
    Bytes(usize),
    /// By importance against the model.
    Importance(Importance),
}

/// What is to be resized.
#[derive(Debug, Clone, PartialEq)]
pub struct Resize {
    /// The net.
    pub path: PathBuf,
    /// How ranks are found.
    pub target: Target,
    /// The model that it was made for, which kinds need whose change is in proportion to the weight.
    pub base: Option<PathBuf>,
    /// The largest norm that a module's change may have; larger ones are made smaller.
    pub max_norm: Option<f64>,
}

/// What became of a module.
#[derive(Debug, Clone, PartialEq)]
pub struct Resized {
    /// Its name.
    pub module: String,
    /// Its rank before; of what has none, the smaller side of its weight.
    pub old_rank: usize,
    /// Its rank now.
    pub rank: usize,
    /// Its alpha now.
    pub alpha: f64,
    /// The share of the sum of singular values that was kept.
    pub kept_sum: f64,
    /// The share of the Frobenius norm that was kept.
    pub kept_norm: f64,
    /// The largest singular value over the smallest that was kept.
    pub ratio: f64,
    /// The norm of the change, and of what was lost of it.
    pub norm: f64,
    /// The norm of what was lost.
    pub lost: f64,
}

/// What is known of a module before its rank is.
struct Seen {
    spectrum: Spectrum,
    scale: f64,
    old_rank: usize,
    form: Form,
    bias: Option<Vec<f32>>,
    /// Rows and columns of the weight.
    side: usize,
    sizes: usize,
}

/// Resizes.
///
/// # Errors
/// When files cannot be read, a module cannot be resized, or the result cannot be written.
pub fn resize(request: &Resize, output: &Output, watch: Watch<'_>) -> Result<Vec<Resized>> {
    let mut inputs = vec![request.path.as_path()];
    inputs.extend(request.base.as_deref());
    output.check(&inputs)?;
    let net = net::open(&request.path, None)?;
    let base = match &request.base {
        Some(path) => Some(BaseModel::of(Model::open(path, None)?)),
        None => None,
    };
    let names: Vec<&str> = net.modules().collect();
    let sizes = names.iter().map(|name| lowered::load(&net, name, base.as_ref())).collect();
    let work = Work { request, net: &net, base: base.as_ref(), dtype: dtype_of(&net, output), sizes, watch };
    let ranks = match &request.target {
        Target::Bytes(bytes) => Some(work.ranks_within(&names, *bytes)?),
        Target::Importance(importance) => Some(work.ranks_by_importance(&names, importance)?),
        Target::Rule { .. } => None,
    };
    let made =
        bounded::each(&work.sizes, watch, |index| work.module(names[index], ranks.as_ref().map(|ranks| ranks[index])))?;
    let mut ready = Vec::new();
    let mut rows = Vec::new();
    for (module, row) in made {
        ready.push(module);
        rows.extend(row);
    }
    ready.push(embeddings(&net, work.dtype)?);
    lora_file::save(output, ready, metadata(request, &net, &rows))?;
    Ok(rows)
}

/// The type of the result's numbers.
fn dtype_of(net: &NetTensors, output: &Output) -> Dtype {
    let mut sources = Vec::new();
    for module in net.modules() {
        for leaf in net.leaves(module).filter(|leaf| *leaf != "alpha") {
            sources.extend(net.dtype(module, leaf));
        }
    }
    lora_file::dtype(output, sources)
}

/// Embeddings that lie in the file, as they are.
pub(crate) fn embeddings(net: &NetTensors, dtype: Dtype) -> Result<Ready> {
    let mut ready = Ready::default();
    for (name, tensors) in net.read_embeddings()? {
        for (leaf, tensor) in tensors {
            ready.push_same(format!("bundle_emb.{name}.{leaf}"), &tensor, dtype);
        }
    }
    Ok(ready)
}

struct Work<'w> {
    request: &'w Resize,
    net: &'w NetTensors,
    base: Option<&'w BaseModel>,
    dtype: Dtype,
    /// Numbers that are in memory for each module.
    sizes: Vec<usize>,
    watch: Watch<'w>,
}

/// What a module offers for a rank.
struct Wanting {
    /// Singular values at its strength.
    values: Vec<f64>,
    /// Bytes of a rank.
    bytes: usize,
    /// The most ranks.
    side: usize,
}

impl Work<'_> {
    /// Reads a module; `None` for one that stays as it is: a norm, a bias alone.
    fn seen(&self, name: &str) -> Result<Option<Seen>> {
        let Changes { weight, bias, form, is_norm } = lowered::changes(self.net, name, self.base)?;
        let Some(weight) = weight else { return Ok(None) };
        if is_norm {
            return Ok(None);
        }
        let failed = |what: String| Error::wrong(self.net.label(), format!("{name}: {what}"), "give an undamaged file");
        let (rows, columns) = match &weight {
            Lowered::Factors(factors) => (factors.up.rows, factors.down.columns),
            Lowered::Whole(matrix) => (matrix.rows, matrix.columns),
        };
        let side = rows.min(columns);
        let (scale, old_rank) = match &weight {
            Lowered::Factors(factors) => (factors.scale, factors.rank()),
            Lowered::Whole(_) => (1.0, side),
        };
        let spectrum = match weight {
            // As sd-scripts, which has the scale in alpha alone.
            Lowered::Factors(factors) if factors.rank() <= side => {
                Spectrum::of_product(&Factors { scale: 1.0, ..factors })
            }
            Lowered::Factors(factors) => Spectrum::of_matrix(&Factors { scale: 1.0, ..factors }.whole(), side),
            Lowered::Whole(matrix) => Spectrum::of_matrix(&matrix, side),
        };
        let spectrum = spectrum.map_err(failed)?;
        Ok(Some(Seen { spectrum, scale, old_rank, form, bias, side, sizes: rows + columns }))
    }

    fn module(&self, name: &str, rank: Option<usize>) -> Result<(Ready, Option<Resized>)> {
        let Some(seen) = self.seen(name)? else {
            let mut ready = Ready::default();
            for (leaf, tensor) in self.net.read(name)? {
                ready.push_same(format!("{name}.{leaf}"), &tensor, self.dtype);
            }
            return Ok((ready, None));
        };
        let rank = match (rank, &self.request.target) {
            (Some(rank), _) => rank,
            (None, Target::Rule { rule, rank, conv_rank }) => {
                let most = if seen.form.kernel.is_some() { *conv_rank } else { *rank };
                rule.rank(&seen.spectrum.s, seen.side, most)
            }
            (None, Target::Bytes(_) | Target::Importance(_)) => unreachable!("ranks are found before"),
        };
        let mut row = seen.resized(name, rank);
        let mut scale = seen.scale;
        if let Target::Importance(importance) = &self.request.target {
            scale *= importance.rescale;
        }
        if let Some(most) = self.request.max_norm {
            let norm = (row.norm.powi(2) - row.lost.powi(2)).max(0.0).sqrt();
            if norm > most {
                scale *= most / norm;
            }
        }
        row.alpha = scale * rank as f64;
        if rank == 0 {
            return Ok((Ready::default(), Some(row)));
        }
        let factors = Factors { scale, ..seen.spectrum.factors(rank) };
        let mut ready = Ready::low_rank(name, &factors, seen.form, self.dtype);
        if let Some(bias) = &seen.bias {
            ready.push(format!("{name}.diff_b"), vec![bias.len()], bias, self.dtype);
        }
        Ok((ready, Some(row)))
    }

    /// Ranks by the scores of all directions.
    fn ranks_by_importance(&self, names: &[&str], importance: &Importance) -> Result<Vec<usize>> {
        let width = self.dtype.bitsize() / 8;
        let weight_of = |name: &str| match self.base {
            Some(base) if importance.reads_model() => base.weight(name),
            _ => Ok(None),
        };
        let in_model = |name: &str| self.base.and_then(|base| base.size(name)).map_or(0, |size| size.shape.numbers());
        let sizes: Vec<usize> = names.iter().zip(&self.sizes).map(|(name, own)| (*own).max(in_model(name))).collect();
        let found = bounded::each(&sizes, &|_, total| (self.watch)(0, total), |index| {
            let name = names[index];
            let Some(seen) = self.seen(name)? else { return Ok((Vec::new(), 0)) };
            let scores = importance.scores(&seen.spectrum, seen.scale, weight_of(name)?.as_ref());
            let scores = scores.map_err(|what| {
                let remedy = "give the model that it was made for by --base";
                Error::wrong(self.net.label(), format!("{name}: {what}"), remedy)
            })?;
            Ok((scores, seen.sizes * width))
        })?;
        let (scores, bytes): (Vec<Vec<f64>>, Vec<usize>) = found.into_iter().unzip();
        let ranks = importance.ranks(&scores, &bytes);
        if ranks.iter().all(|rank| *rank == 0) {
            return Err(Error::wrong(
                "--importance",
                "no direction is important enough",
                "lower thr, or give more size",
            ));
        }
        Ok(ranks)
    }

    /// Ranks by which the factors take at most so many bytes.
    fn ranks_within(&self, names: &[&str], bytes: usize) -> Result<Vec<usize>> {
        let width = self.dtype.bitsize() / 8;
        let seen = bounded::each(&self.sizes, &|_, total| (self.watch)(0, total), |index| {
            let Some(seen) = self.seen(names[index])? else { return Ok(None) };
            let values = seen.spectrum.s.iter().map(|value| value * seen.scale.abs()).collect();
            Ok(Some(Wanting { values, bytes: seen.sizes * width, side: seen.side }))
        })?;
        let mut offers = Vec::new();
        for found in &seen {
            offers.push(match found {
                Some(Wanting { values, bytes, side }) => Offer { values, bytes: *bytes, most: *side },
                None => Offer { values: &[], bytes: 0, most: 0 },
            });
        }
        let room = lora_file::header_room(names.iter().copied(), self.net.metadata());
        let ranks = rank::within(&offers, bytes.saturating_sub(room));
        if ranks.iter().all(|rank| *rank == 0) && offers.iter().any(|offer| offer.most > 0) {
            let what = format!("{bytes} bytes are not enough for one rank of one module");
            return Err(Error::wrong("--size", what, "give more"));
        }
        Ok(ranks)
    }
}

impl Seen {
    fn resized(&self, name: &str, rank: usize) -> Resized {
        let values = &self.spectrum.s;
        let sum: f64 = values.iter().sum();
        let kept: f64 = values.iter().take(rank).sum();
        let energy = self.spectrum.energy();
        let lost = self.spectrum.lost(rank);
        let last = values.get(rank.wrapping_sub(1)).copied().unwrap_or(0.0);
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 1.0 };
        Resized {
            module: name.to_string(),
            old_rank: self.old_rank,
            rank,
            alpha: self.scale * rank as f64,
            kept_sum: share(kept, sum),
            kept_norm: share((energy - lost).max(0.0), energy).sqrt(),
            ratio: if last > 0.0 { values[0] / last } else { 0.0 },
            norm: self.scale.abs() * energy.sqrt(),
            lost: self.scale.abs() * lost.sqrt(),
        }
    }
}

/// sd-scripts' words about a file that was resized.
fn metadata(request: &Resize, net: &NetTensors, rows: &[Resized]) -> BTreeMap<String, String> {
    let mut metadata = net.metadata().clone();
    metadata.retain(|key, _| !key.starts_with("sshs_") && key != "modelspec.hash_sha256");
    let old: usize = rows.iter().map(|row| row.old_rank).max().unwrap_or(0);
    let comment = metadata.get("ss_training_comment").cloned().unwrap_or_default();
    let (how, size, alpha) = match &request.target {
        Target::Rule { rule: RankRule::Fixed, rank, .. } => {
            let alpha = rows.iter().find(|row| row.rank == *rank).map_or(*rank as f64, |row| row.alpha);
            (format!("dimension is resized from {old} to {rank}"), rank.to_string(), format!("{alpha:?}"))
        }
        Target::Rule { rule, .. } => {
            let method = match rule {
                RankRule::Ratio(value) => format!("sv_ratio: {value:?}"),
                RankRule::Frobenius(value) => format!("sv_fro: {value:?}"),
                RankRule::Cumulative(value) => format!("sv_cumulative: {value:?}"),
                RankRule::Fixed => String::new(),
            };
            (format!("Dynamic resize with {method} from {old}"), "Dynamic".into(), "Dynamic".into())
        }
        Target::Bytes(bytes) => (format!("resized to {bytes} bytes from {old}"), "Dynamic".into(), "Dynamic".into()),
        Target::Importance(_) => (format!("resized by importance from {old}"), "Dynamic".into(), "Dynamic".into()),
    };
    metadata.insert("ss_training_comment".into(), format!("{how}; {comment}"));
    metadata.insert("ss_network_module".into(), "networks.lora".into());
    metadata.insert("ss_network_dim".into(), size);
    metadata.insert("ss_network_alpha".into(), alpha);
    metadata
}
