//! Checkpoints with each other, tensor by tensor, in f32 and rounded once.
//!
//! Merged are the weights of the UNet and the text encoders that all models have. The VAE stays the first model's, since a
//! mixed one paints grey pictures, and so does what is no weight. Averages (EMA) are left out: they are of one model.

pub mod adjust;
pub mod cosine;
pub mod modes;
pub mod presets;
pub mod ratio;
mod smooth;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lorabake_recipe::model::Family;
use lorabake_weights::keys::{self, Part};
use lorabake_weights::stream::{self, PlannedTensor};
use safetensors::Dtype;

use adjust::Adjust;
use cosine::Range;
use modes::{Mode, Ratios};
use ratio::{Chosen, Ratio};

use super::into_model::Merged;
use crate::block::is_vae;
use crate::bounded;
use crate::convert::folder::Whole;
use crate::convert::models::positions;
use crate::error::{Error, Result};
use crate::like::Like;
use crate::metadata::Metadata;
use crate::model::Model;
use crate::output::is_float;
use crate::target::Target;
use crate::writer::{Content, Source, Watch, written};

/// How models become one.
#[derive(Debug, Clone, PartialEq)]
pub enum How {
    /// By a formula for two or three.
    Formula {
        /// Which.
        mode: Mode,
        /// α
        alpha: Ratio,
        /// β
        beta: Ratio,
    },
    /// Each of them times a number, in their order.
    Shares(Vec<f64>),
}

/// Which VAE the result has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VaeChoice {
    /// The first model's.
    First,
    /// It is merged as the rest.
    Merged,
    /// That of a file or folder.
    From(PathBuf),
}

/// What is to be merged.
#[derive(Debug, Clone, PartialEq)]
pub struct MergeModels {
    /// The models A, B and, for some formulas, C.
    pub models: Vec<PathBuf>,
    /// How they become one.
    pub how: How,
    /// Which tensors are merged.
    pub chosen: Chosen,
    /// Which VAE the result has.
    pub vae: VaeChoice,
    /// Changes of the first and last layers.
    pub adjust: Option<Adjust>,
    /// Whose numbers: of supermerger also which tensors take part.
    pub like: Like,
}

/// All that is open.
struct Open<'r> {
    request: &'r MergeModels,
    models: Vec<Model>,
    family: Family,
    /// Tensors that are merged.
    merged: BTreeSet<String>,
    /// The range of likeness, for the cosine modes.
    range: Option<Range>,
}

/// Merges.
///
/// # Errors
/// When files cannot be read, do not fit together, or the result cannot be written.
pub fn merge_models<'o>(
    request: &MergeModels,
    to: impl Into<Target<'o>>,
    metadata: impl Into<Metadata>,
    watch: Watch<'_>,
) -> Result<Merged> {
    let to = to.into();
    let mut inputs: Vec<&Path> = request.models.iter().map(PathBuf::as_path).collect();
    if let VaeChoice::From(vae) = &request.vae {
        inputs.push(vae);
    }
    to.check(&inputs)?;
    let mut report = Merged::default();
    let mut open = Open::new(request, &mut report.notes)?;
    open.range = open.statistics(watch)?;
    let mut tensors = Vec::new();
    for name in open.names() {
        let Some(model) = open.models.iter().find(|model| model.shape(&name).is_some()) else { continue };
        let (Some(dtype), Some(shape)) = (model.dtype(&name), model.shape(&name)) else { continue };
        let computed = open.merged.contains(&name) || (request.adjust.is_some() && adjust::concerns(&name));
        let dtype = match dtype {
            _ if is_positions(&name) => Dtype::I64,
            dtype if computed => to.output.dtype(written(dtype)),
            dtype => to.output.dtype(dtype),
        };
        report.changed += usize::from(computed);
        tensors.push(PlannedTensor { name, dtype, shape: shape.to_vec() });
    }
    stream::in_order(&mut tensors);
    let (family, prediction) = (open.family, open.models[0].prediction());
    let written = to.write(Whole { family, prediction, tensors, metadata: metadata.into(), source: &open }, watch)?;
    report.tensors = written.tensors;
    report.notes.extend(written.notes);
    Ok(report)
}

/// Whether a tensor numbers the positions of a text encoder: 0 to 76, whatever a file says after many merges.
fn is_positions(name: &str) -> bool {
    name.ends_with("embeddings.position_ids")
}

impl<'r> Open<'r> {
    fn new(request: &'r MergeModels, notes: &mut Vec<String>) -> Result<Self> {
        let vae = match &request.vae {
            VaeChoice::From(path) => Some(path.as_path()),
            VaeChoice::First | VaeChoice::Merged => None,
        };
        let mut models = Vec::new();
        for (index, path) in request.models.iter().enumerate() {
            let model = Model::open(path, vae.filter(|_| index == 0))?;
            models.push(model);
        }
        let Some(first) = models.first() else {
            return Err(Error::wrong("merge", "there is no model", "give two or three"));
        };
        let family = first.family();
        for model in &models[1..] {
            if model.family() != family {
                let what = format!("it is of {}, {} of {}", model.family().name(), first.label(), family.name());
                return Err(Error::wrong(model.label(), what, "give models of one family"));
            }
        }
        let mut open = Self { request, models, family, merged: BTreeSet::new(), range: None };
        open.choose(notes)?;
        Ok(open)
    }

    /// Finds the tensors that are merged, and says which cannot be.
    fn choose(&mut self, notes: &mut Vec<String>) -> Result<()> {
        let first = &self.models[0];
        let mut missing: Vec<Vec<&str>> = vec![Vec::new(); self.models.len()];
        let difference = self.is_difference();
        for name in first.names() {
            if !self.takes_part(name) || !self.request.chosen.has(name, self.family) {
                continue;
            }
            let mut all = true;
            for (index, model) in self.models.iter().enumerate().skip(1) {
                match model.shape(name) {
                    Some(shape) if fits(first.shape(name).unwrap_or_default(), shape, name) => {}
                    Some(shape) => {
                        let own = first.shape(name).unwrap_or_default();
                        let what = format!("{name} has shape {shape:?}, in {} it has {own:?}", first.label());
                        let remedy = "give models of one kind; one for inpainting has to be the first";
                        return Err(Error::wrong(model.label(), what, remedy));
                    }
                    // No difference, as supermerger has it.
                    None if difference && index == 2 => {}
                    None => {
                        missing[index].push(name);
                        all = false;
                    }
                }
            }
            if all {
                self.merged.insert(name.clone());
            }
        }
        for (index, missing) in missing.iter().enumerate() {
            let Some(name) = missing.first() else { continue };
            let label = self.models[index].label();
            let count = missing.len();
            notes.push(format!("{label}: {count} tensors are not in it and stay the first model's (first: {name})"));
        }
        if self.merged.is_empty() {
            let what = "none of its tensors is merged";
            return Err(Error::wrong(first.label(), what, "look at what --include and --exclude leave"));
        }
        Ok(())
    }

    fn is_difference(&self) -> bool {
        matches!(self.request.how, How::Formula { mode: Mode::AddDifference, .. })
    }

    /// Whether a tensor is a weight that may be merged.
    fn takes_part(&self, name: &str) -> bool {
        let dtype = self.models[0].dtype(name);
        if !dtype.is_some_and(is_float) || is_positions(name) || keys::is_average(name) {
            return false;
        }
        let skips_vae = matches!(self.request.how, How::Formula { mode: Mode::CosineA | Mode::CosineB, .. });
        if is_vae(name) && (skips_vae || self.request.vae != VaeChoice::Merged) {
            return false;
        }
        if self.request.like == Like::Supermerger {
            return name.contains("model") && (name.contains("weight") || name.contains("bias"));
        }
        keys::part_of(name).is_some() && !keys::is_harmless(name)
    }

    /// The tensors of the result: the first model's, and of the parts that it has also those which only others have.
    fn names(&self) -> Vec<String> {
        let first = &self.models[0];
        let mut names: Vec<String> = first.names().iter().filter(|name| !keys::is_average(name)).cloned().collect();
        let parts: BTreeSet<Part> = names.iter().filter_map(|name| keys::part_of(name)).collect();
        for name in self.models.get(1).into_iter().flat_map(|model| model.names()) {
            let part = keys::part_of(name);
            if first.shape(name).is_none() && part.is_some_and(|part| parts.contains(&part)) && !keys::is_average(name)
            {
                names.push(name.clone());
            }
        }
        names
    }

    /// The range of likeness of the whole model.
    fn statistics(&self, watch: Watch<'_>) -> Result<Option<Range>> {
        let How::Formula { mode: mode @ (Mode::CosineA | Mode::CosineB), .. } = self.request.how else {
            return Ok(None);
        };
        let names: Vec<&String> = self.merged.iter().collect();
        let numbers = |name: &&String| self.models[0].shape(name).map_or(0, |shape| shape.iter().product());
        let sizes: Vec<usize> = names.iter().map(numbers).collect();
        let found = bounded::each(&sizes, &|_, total| watch(0, total), |index| {
            let name = names[index];
            let rows = self.models[0].shape(name).and_then(|shape| shape.first()).copied().unwrap_or(1);
            let a = self.models[0].read_f32(name)?;
            let b = self.seen(1, name)?;
            Ok(cosine::statistics(mode, &a, &b, rows))
        })?;
        Ok(Some(Range::of(found.concat())))
    }

    /// A tensor of another model in the size of the first's: its channels for inpainting are the first's.
    fn seen(&self, index: usize, name: &str) -> Result<Vec<f32>> {
        let values = self.models[index].read_f32(name)?;
        let own = self.models[0].shape(name).unwrap_or_default();
        let shape = self.models[index].shape(name).unwrap_or_default();
        if own == shape || own.iter().product::<usize>() == values.len() {
            return Ok(values);
        }
        let mut widened = self.models[0].read_f32(name)?;
        let columns: usize = own[1..].iter().product();
        let narrow: usize = shape[1..].iter().product();
        for (to, from) in widened.chunks_exact_mut(columns).zip(values.chunks_exact(narrow)) {
            to[..narrow].copy_from_slice(from);
        }
        Ok(widened)
    }

    /// The first model that has a tensor.
    fn source(&self, name: &str) -> &Model {
        self.models.iter().find(|model| model.shape(name).is_some()).unwrap_or(&self.models[0])
    }

    fn merge(&self, name: &str, values: &mut [f32], shape: &[usize]) -> Result<()> {
        match &self.request.how {
            How::Shares(shares) => {
                values.iter_mut().for_each(|value| *value *= shares[0] as f32);
                for (index, share) in shares.iter().enumerate().skip(1) {
                    let more = self.seen(index, name)?;
                    values.iter_mut().zip(more).for_each(|(value, more)| *value += *share as f32 * more);
                }
            }
            How::Formula { mode, alpha, beta } => {
                let ratios = Ratios { alpha: alpha.of(name, self.family), beta: beta.of(name, self.family) };
                let b = self.seen(1, name)?;
                if let Some(range) = self.range {
                    let rows = shape.first().copied().unwrap_or(1);
                    cosine::merge(*mode, ratios.alpha, values, &b, rows, range);
                    return Ok(());
                }
                let c = match self.models.get(2) {
                    Some(model) if mode.needs_third() && model.shape(name).is_some() => self.seen(2, name)?,
                    _ if mode.needs_third() => b.clone(),
                    _ => Vec::new(),
                };
                let tensors = modes::Tensors { shape, b: &b, c: &c };
                modes::merge(*mode, ratios, values, tensors, self.request.like == Like::Supermerger);
            }
        }
        Ok(())
    }
}

impl Source for Open<'_> {
    fn content(&self, tensor: &PlannedTensor) -> Result<Content<'_>> {
        let name = tensor.name.as_str();
        if is_positions(name) {
            return Ok(positions(tensor));
        }
        let source = self.source(name);
        let is_merged = self.merged.contains(name);
        let adjusted = self.request.adjust.filter(|_| adjust::concerns(name));
        if !is_merged && adjusted.is_none() {
            return source.content(name, tensor.dtype);
        }
        let mut values = source.read_f32(name)?;
        if is_merged {
            self.merge(name, &mut values, &tensor.shape)?;
        }
        if let Some(numbers) = &adjusted {
            adjust::adjust(numbers, name, &mut values, self.family);
        }
        Ok(Content::Values(values))
    }

    fn done(&self, tensor: &PlannedTensor) {
        self.source(&tensor.name).release(&tensor.name);
    }
}

/// Whether a tensor of another model fits the first's: its shape, or fewer inputs in the first convolution of a UNet for
/// inpainting, or a matrix for a convolution of one pixel.
fn fits(own: &[usize], other: &[usize], name: &str) -> bool {
    if own == other {
        return true;
    }
    let is_first = name == "model.diffusion_model.input_blocks.0.0.weight";
    let narrower = match (own, other) {
        ([o, i, h, w], [p, j, k, l]) => is_first && (o, h, w) == (p, k, l) && j < i && *j == 4,
        _ => false,
    };
    let ones = |shape: &[usize]| shape.iter().copied().filter(|extent| *extent != 1).collect::<Vec<_>>();
    narrower || ones(own) == ones(other)
}
