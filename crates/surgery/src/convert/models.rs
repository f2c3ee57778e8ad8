//! Checkpoints as one file of safetensors in the original layout: from `.ckpt`, from a folder of diffusers, without what is not
//! needed, in another type.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lorabake_weights::Part;
use lorabake_weights::keys;
use lorabake_weights::stream::{self, PlannedTensor};
use safetensors::Dtype;

use super::folder::Whole;
use crate::error::Result;
use crate::model::Model;
use crate::output::Output;
use crate::target::Target;
use crate::writer::{Content, Source, Watch, written};

/// What becomes of averages of weights (EMA).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Averages {
    /// They are left out.
    #[default]
    Drop,
    /// They stay.
    Keep,
    /// They take the place of the weights.
    Use,
}

/// What is to be converted.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvertModel {
    /// The checkpoint: a file, or a folder of diffusers.
    pub path: PathBuf,
    /// A VAE in the place of its own.
    pub vae: Option<PathBuf>,
    /// Parts that stay.
    pub parts: Vec<Part>,
    /// What belongs to no part is left out.
    pub prune: bool,
    /// What becomes of averages.
    pub averages: Averages,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Pruned {
    /// Tensors in the result.
    pub tensors: usize,
    /// Tensors that were left out.
    pub left: usize,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Where a tensor of the result comes from.
enum Origin {
    /// One tensor.
    One(String),
    /// The numbers 0, 1, 2, …
    Positions,
}

/// The model, and where the tensors of the result come from.
struct Open {
    model: Model,
    origins: BTreeMap<String, Origin>,
}

/// Converts to one file, or to a folder.
///
/// # Errors
/// When the model cannot be read, or the result cannot be written.
pub fn convert_model<'o>(request: &ConvertModel, to: impl Into<Target<'o>>, watch: Watch<'_>) -> Result<Pruned> {
    let to = to.into();
    let mut inputs: Vec<&Path> = vec![&request.path];
    inputs.extend(request.vae.as_deref());
    to.check(&inputs)?;
    let model = Model::open(&request.path, request.vae.as_deref())?;
    let mut pruned = Pruned::default();
    let mut tensors = Vec::new();
    let mut origins = BTreeMap::new();
    for name in model.names() {
        if !stays(request, name) {
            pruned.left += 1;
            continue;
        }
        if let Some((tensor, origin)) = plan(request, &model, to.output, name) {
            origins.insert(tensor.name.clone(), origin);
            tensors.push(tensor);
        }
    }
    stream::in_order(&mut tensors);
    let mut metadata = model.metadata().clone();
    metadata.retain(|key, _| !key.starts_with("sshs_") && !key.starts_with("modelspec.hash"));
    let open = Open { model, origins };
    let (family, prediction) = (open.model.family(), open.model.prediction());
    let written = to.write(Whole { family, prediction, tensors, metadata: metadata.into(), source: &open }, watch)?;
    pruned.tensors = written.tensors;
    pruned.notes.extend(written.notes);
    Ok(pruned)
}

fn stays(request: &ConvertModel, name: &str) -> bool {
    if keys::is_average(name) {
        return request.averages == Averages::Keep;
    }
    match keys::part_of(name) {
        Some(part) => request.parts.contains(&part) && !(request.prune && is_left_over(name)),
        None => !request.prune || ["v_pred", "ztsnr", "alphas_cumprod"].contains(&name),
    }
}

/// Whether a key stands in a part and no network has it; what other programs ask for stays.
fn is_left_over(name: &str) -> bool {
    let asked = ["text_projection", "logit_scale", "position_ids"].iter().any(|word| name.contains(word));
    keys::is_harmless(name) && !asked
}

/// The tensor of the result that `name` becomes, or a part of; `None` if another name stands for it.
fn plan(request: &ConvertModel, model: &Model, output: &Output, name: &str) -> Option<(PlannedTensor, Origin)> {
    let dtype = output.dtype(written(model.dtype(name)?));
    let shape = model.shape(name)?.to_vec();
    let planned = |name: String, shape, dtype| PlannedTensor { name, dtype, shape };
    if name.ends_with("embeddings.position_ids") {
        return Some((planned(name.to_string(), shape, Dtype::I64), Origin::Positions));
    }
    if request.averages == Averages::Use
        && let Some(rest) = name.strip_prefix("model.")
    {
        let average = format!("model_ema.{}", rest.replace('.', ""));
        if model.shape(&average) == Some(shape.as_slice()) {
            let dtype = output.dtype(written(model.dtype(&average)?));
            return Some((planned(name.to_string(), shape, dtype), Origin::One(average)));
        }
    }
    Some((planned(name.to_string(), shape, dtype), Origin::One(name.to_string())))
}

impl Source for Open {
    fn content(&self, tensor: &PlannedTensor) -> Result<Content<'_>> {
        match &self.origins[&tensor.name] {
            Origin::Positions => Ok(positions(tensor)),
            Origin::One(name) => self.model.content(name, tensor.dtype),
        }
    }

    fn done(&self, tensor: &PlannedTensor) {
        if let Origin::One(name) = &self.origins[&tensor.name] {
            self.model.release(name);
        }
    }
}

/// The numbers 0, 1, 2, … as long as a tensor is.
pub(crate) fn positions(tensor: &PlannedTensor) -> Content<'static> {
    let count = tensor.shape.iter().product::<usize>() as i64;
    Content::Bytes(Cow::Owned((0..count).flat_map(i64::to_le_bytes).collect()))
}
