//! Distilling: the difference of two checkpoints as a net of low rank.
//!
//! Nothing is clamped, and a part of the model counts as different by its difference against what rounding explains, not by
//! one number for all. Which layers: those of sd-scripts' `networks.lora`; the rest may be kept as whole differences.

mod layer;
mod module;
mod peers;
mod request;

use std::collections::BTreeMap;

use lorabake_weights::Part;
use lorabake_weights::keys::layers::LayerKeys;
use safetensors::Dtype;

use crate::bounded;
use crate::error::{Error, Result};
use crate::like::Like;
use crate::lora_file::{self, Ready};
use crate::model::Model;
use crate::net::Layers;
use crate::output::{Output, dtype_of};
use crate::rank::{self, Offer};
use crate::writer::Watch;

pub use layer::{Group, group};
use layer::{Layer, Weights};
pub use request::{Extract, Keep, Kind};

/// What became of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Extracted {
    /// kohya's name.
    pub module: String,
    /// The part of the model.
    pub part: Part,
    /// Its rank; `None` if its difference is kept whole, or left out.
    pub rank: Option<usize>,
    /// Whether it is in the file.
    pub is_kept: bool,
    /// ‖W‖², ‖D‖², and what of ‖D‖² was lost.
    pub weight: f64,
    /// ‖D‖²
    pub energy: f64,
    /// What of it is not in the file.
    pub lost: f64,
}

/// What came of an extraction.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Distilled {
    /// All layers that differ.
    pub layers: Vec<Extracted>,
    /// ‖D‖² of norms, biases and embeddings, of which no module of a LoRA is.
    pub elsewhere: f64,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Extracts.
///
/// # Errors
/// When files cannot be read, are of different families, do not differ, or the result cannot be written.
pub fn extract(
    request: &Extract,
    output: &Output,
    metadata: BTreeMap<String, String>,
    watch: Watch<'_>,
) -> Result<Distilled> {
    output.check(&[&request.base, &request.tuned])?;
    let work = Work::open(request, output, &metadata)?;
    let mut report = Distilled { notes: work.notes(), ..Distilled::default() };
    let layers = work.layers(&mut report, watch)?;
    if layers.is_empty() {
        let what = format!("no layer of it differs from {}", request.base.display());
        return Err(Error::wrong(request.tuned.display(), what, "give the model that was trained from it"));
    }
    let ranks = match request.keep {
        Keep::Bytes(bytes) => Some(work.ranks_within(&layers, bytes, watch)?),
        _ => None,
    };
    let sizes: Vec<usize> = layers.iter().map(|layer| layer.numbers).collect();
    let made =
        bounded::each(&sizes, watch, |index| work.module(&layers[index], ranks.as_ref().map(|ranks| ranks[index])))?;
    let mut modules = Vec::new();
    for (ready, row) in made {
        modules.push(ready);
        report.layers.push(row);
    }
    if request.full_difference || request.kind == Kind::Full {
        modules.push(work.small_differences()?);
    }
    report.elsewhere = work.elsewhere()?;
    lora_file::save(output, modules, metadata)?;
    Ok(report)
}

struct Work<'r> {
    request: &'r Extract,
    base: Model,
    tuned: Model,
    base_layers: Layers,
    dtype: Dtype,
    metadata: &'r BTreeMap<String, String>,
}

impl<'r> Work<'r> {
    fn open(request: &'r Extract, output: &Output, metadata: &'r BTreeMap<String, String>) -> Result<Self> {
        let base = Model::open(&request.base, None)?;
        let tuned = Model::open(&request.tuned, None)?;
        if base.family() != tuned.family() {
            let what = format!("it is of {}, {} of {}", tuned.family().name(), base.label(), base.family().name());
            return Err(Error::wrong(tuned.label(), what, "give models of one family"));
        }
        let base_layers = Layers::of(&base);
        let dtype = output.precision.map_or(Dtype::F16, dtype_of);
        Ok(Self { request, base, tuned, base_layers, dtype, metadata })
    }

    fn weights(&self) -> Weights<'_> {
        Weights { base: &self.base, tuned: &self.tuned }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let of = |model: &Model| {
            let key = model.names().iter().find(|name| name.starts_with("model.diffusion_model.")).cloned();
            key.and_then(|key| model.dtype(&key))
        };
        if let (Some(one), Some(other)) = (of(&self.base), of(&self.tuned))
            && one != other
        {
            let how = match (one, other) {
                (Dtype::BF16, _) | (_, Dtype::BF16) => {
                    "the other's weights are rounded to bf16 before they are compared"
                }
                _ => "differences that rounding explains are among those that are found",
            };
            notes.push(format!("one model is in {one:?}, the other in {other:?}: {how}"));
        }
        notes
    }

    /// The layers that differ and are wanted, the largest first.
    fn layers(&self, report: &mut Distilled, watch: Watch<'_>) -> Result<Vec<Layer>> {
        let wanted: Vec<&LayerKeys> = self
            .base_layers
            .all
            .iter()
            .filter(|layer| self.request.parts.contains(&layer.part) && self.wants(layer))
            .collect();
        let mut missing = Vec::new();
        let mut found = Vec::new();
        for keys in wanted {
            match self.weights().shape(keys) {
                Ok(Some(shape)) => found.push((keys, shape)),
                Ok(None) => missing.push(keys.weight.as_str()),
                Err(what) => return Err(Error::wrong(self.tuned.label(), what, "give models of one kind")),
            }
        }
        if let Some(first) = missing.first() {
            let label = self.tuned.label();
            report.notes.push(format!("{label}: {} layers are not in it (first: {first})", missing.len()));
        }
        let sizes: Vec<usize> = found.iter().map(|(_, shape)| shape.outputs * shape.columns()).collect();
        // What is done counts from the extraction on.
        let compared = bounded::each(&sizes, &|_, total| watch(0, total), |index| {
            self.weights().compare(found[index].0, found[index].1, self.request.like)
        })?;
        let mut layers: Vec<Layer> = compared.into_iter().flatten().collect();
        for part in Part::ADAPTED {
            if let Some(note) = self.rounding_explains(part, &layers) {
                report.notes.push(note);
                layers.retain(|layer| layer.keys.part != part);
            }
        }
        layers.sort_by(|a, b| b.numbers.cmp(&a.numbers).then_with(|| a.keys.module.cmp(&b.keys.module)));
        Ok(layers)
    }

    /// Whether a layer is one for a LoRA, or kept whole.
    fn wants(&self, keys: &LayerKeys) -> bool {
        let all = self.request.full_difference || self.request.kind == Kind::Full;
        match group(keys) {
            Group::Attention => true,
            Group::Residual => all || self.request.conv_rank.is_some(),
            Group::Outer => all || self.request.like == Like::Lycoris,
            Group::Norm => false,
        }
    }

    /// Why a part is left out: no more differs than rounding explains.
    fn rounding_explains(&self, part: Part, layers: &[Layer]) -> Option<String> {
        let own: Vec<&Layer> = layers.iter().filter(|layer| layer.keys.part == part).collect();
        if own.is_empty() {
            return None;
        }
        if let (Some(least), true) = (self.request.min_diff, part.is_text()) {
            // sd-scripts has one answer for all text encoders.
            let largest = layers.iter().filter(|layer| layer.keys.part.is_text()).map(|layer| layer.largest);
            let same = largest.fold(0.0, f32::max) <= least as f32;
            return same.then(|| "Text encoder is same. Extract U-Net only.".to_string());
        }
        let rounded = own.iter().filter(|layer| layer.energy.sqrt() <= layer.rounding * layer.weight.sqrt()).count();
        if rounded < own.len() {
            return None;
        }
        let name = part.name();
        Some(format!("the {name} differs by no more than the rounding of its numbers explains; it is left out"))
    }

    fn module(&self, layer: &Layer, rank: Option<usize>) -> Result<(Ready, Extracted)> {
        let difference = self.weights().difference(layer)?;
        let mut row = Extracted {
            module: layer.keys.module.clone(),
            part: layer.keys.part,
            rank: None,
            is_kept: true,
            weight: layer.weight,
            energy: layer.energy,
            lost: 0.0,
        };
        let made = module::made(self.request, layer, difference, rank, self.dtype);
        let made = made.map_err(|what| Error::wrong(self.tuned.label(), what, "give undamaged models"))?;
        row.rank = made.rank;
        row.lost = made.lost;
        row.is_kept = !made.ready.tensors.is_empty();
        let mut ready = made.ready;
        if (self.request.full_difference
            || (made.rank.is_none() && self.request.like == Like::Lycoris)
            || self.request.kind == Kind::Full)
            && let Some(bias) = self.weights().bias(layer)?
        {
            ready.push(format!("{}.diff_b", layer.keys.module), vec![bias.len()], &bias, self.dtype);
        }
        Ok((ready, row))
    }

    /// Ranks by which the whole file takes at most so many bytes.
    fn ranks_within(&self, layers: &[Layer], bytes: usize, watch: Watch<'_>) -> Result<Vec<usize>> {
        let width = self.dtype.bitsize() / 8;
        let sizes: Vec<usize> = layers.iter().map(|layer| layer.numbers).collect();
        let values = bounded::each(&sizes, &|_, total| watch(0, total), |index| {
            if module::is_whole(self.request, &layers[index]) {
                return Ok(Vec::new());
            }
            let difference = self.weights().difference(&layers[index])?;
            let spectrum = crate::spectrum::Spectrum::of_matrix(&difference, 0);
            Ok(spectrum.map_err(|what| Error::wrong(self.tuned.label(), what, "give undamaged models"))?.s)
        })?;
        let mut whole = 0;
        let mut offers = Vec::new();
        for (layer, values) in layers.iter().zip(&values) {
            if values.is_empty() {
                whole += layer.numbers * width;
            }
            let most = if layer.is_wide() { self.request.conv_rank.unwrap_or(0) } else { self.request.rank };
            let bytes = (layer.shape.outputs + layer.shape.columns()) * width;
            offers.push(Offer { values, bytes, most: most.min(values.len()) });
        }
        let names = layers.iter().map(|layer| layer.keys.module.as_str());
        let room = lora_file::header_room(names, self.metadata);
        let ranks = rank::within(&offers, bytes.saturating_sub(room + whole));
        if ranks.iter().all(|rank| *rank == 0) {
            let what = format!("{bytes} bytes are not enough for one rank of one layer");
            return Err(Error::wrong("--size", what, "give more"));
        }
        Ok(ranks)
    }

    /// Differences of norms, as LyCORIS' modules of them.
    fn small_differences(&self) -> Result<Ready> {
        let mut ready = Ready::default();
        for keys in &self.base_layers.all {
            if group(keys) != Group::Norm || !self.request.parts.contains(&keys.part) {
                continue;
            }
            for (key, leaf) in [(&keys.weight, "w_norm"), (&keys.bias, "b_norm")] {
                let Some(difference) = self.weights().of_key(key)? else { continue };
                ready.push(format!("{}.{leaf}", keys.module), vec![difference.len()], &difference, self.dtype);
            }
        }
        Ok(ready)
    }

    /// ‖D‖² of what is no weight of a layer.
    fn elsewhere(&self) -> Result<f64> {
        let weights: std::collections::BTreeSet<&str> = self
            .base_layers
            .all
            .iter()
            .filter(|keys| group(keys) != Group::Norm)
            .map(|keys| keys.weight.as_str())
            .collect();
        let mut sum = 0.0;
        for name in self.base.names() {
            let part = lorabake_weights::keys::part_of(name);
            let counts = part.is_some_and(|part| self.request.parts.contains(&part));
            if !counts || weights.contains(name.as_str()) || lorabake_weights::keys::is_harmless(name) {
                continue;
            }
            if let Some(difference) = self.weights().of_key(name)? {
                sum += crate::matrix::norm(&difference).powi(2);
            }
        }
        Ok(sum)
    }
}
