//! Checkpoints as one file of safetensors in the original layout: from `.ckpt`, from a folder of diffusers, without what is not
//! needed, in another type.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lorabake_weights::Part;
use lorabake_weights::keys;
use lorabake_weights::stream::{self, PlannedTensor};
use safetensors::Dtype;

use crate::error::Result;
use crate::model::Model;
use crate::output::{Output, is_float};
use crate::writer::{Content, Plan, Watch, written};

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

/// A tensor of the result, and where it comes from.
pub(super) struct Planned {
    /// The tensor.
    pub tensor: PlannedTensor,
    /// Where its numbers are.
    pub source: Source,
}

/// Where a tensor of the result comes from.
pub(super) enum Source {
    /// One tensor.
    One(String),
    /// The numbers 0, 1, 2, …
    Positions,
}

/// Converts to one file.
///
/// # Errors
/// When the model cannot be read, or the result cannot be written.
pub fn convert_model(request: &ConvertModel, output: &Output, watch: Watch<'_>) -> Result<Pruned> {
    let mut inputs: Vec<&Path> = vec![&request.path];
    inputs.extend(request.vae.as_deref());
    output.check(&inputs)?;
    let model = Model::open(&request.path, request.vae.as_deref())?;
    let mut pruned = Pruned::default();
    let planned = planned(request, &model, output, &mut pruned);
    let mut tensors: Vec<PlannedTensor> = planned.values().map(|planned| planned.tensor.clone()).collect();
    stream::in_order(&mut tensors);
    pruned.tensors = tensors.len();
    let mut metadata = model.metadata().clone();
    metadata.retain(|key, _| !key.starts_with("sshs_") && !key.starts_with("modelspec.hash"));
    let plan = Plan { path: &output.path, tensors, metadata };
    plan.write(watch, |index| {
        let tensor = &plan.tensors[index];
        content(&model, tensor, &planned[&tensor.name].source)
    })?;
    Ok(pruned)
}

/// The tensors of the result as one file has them, by their keys.
pub(super) fn planned(
    request: &ConvertModel,
    model: &Model,
    output: &Output,
    pruned: &mut Pruned,
) -> BTreeMap<String, Planned> {
    let mut all = BTreeMap::new();
    for name in model.names() {
        if !stays(request, name) {
            pruned.left += 1;
            continue;
        }
        if let Some((tensor, source)) = plan(request, model, output, name) {
            all.insert(tensor.name.clone(), Planned { tensor, source });
        }
    }
    all
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
fn plan(request: &ConvertModel, model: &Model, output: &Output, name: &str) -> Option<(PlannedTensor, Source)> {
    let dtype = output.dtype(written(model.dtype(name)?));
    let shape = model.shape(name)?.to_vec();
    let planned = |name: String, shape, dtype| PlannedTensor { name, dtype, shape };
    if name.ends_with("embeddings.position_ids") {
        return Some((planned(name.to_string(), shape, Dtype::I64), Source::Positions));
    }
    if request.averages == Averages::Use
        && let Some(rest) = name.strip_prefix("model.")
    {
        let average = format!("model_ema.{}", rest.replace('.', ""));
        if model.shape(&average) == Some(shape.as_slice()) {
            let dtype = output.dtype(written(model.dtype(&average)?));
            return Some((planned(name.to_string(), shape, dtype), Source::One(average)));
        }
    }
    Some((planned(name.to_string(), shape, dtype), Source::One(name.to_string())))
}

/// The numbers of a tensor of the result.
pub(super) fn content(model: &Model, tensor: &PlannedTensor, source: &Source) -> Result<Content> {
    match source {
        Source::Positions => {
            let count = tensor.shape.iter().product::<usize>() as i64;
            Ok(Content::Bytes((0..count).flat_map(i64::to_le_bytes).collect()))
        }
        Source::One(name) => {
            let same = model.dtype(name) == Some(tensor.dtype) || !is_float(tensor.dtype);
            Ok(match same {
                true => Content::Bytes(model.copied(name)?),
                false => Content::Values(model.read_f32(name)?),
            })
        }
    }
}
