//! Checkpoints as one file of safetensors in the original layout: from `.ckpt`, from a folder of diffusers, without what is not
//! needed, in another type.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lorabake_weights::checkpoint::Purpose;
use lorabake_weights::keys::{self, net_forms};
use lorabake_weights::stream::{self, PlannedTensor};
use lorabake_weights::{Checkpoint, Part};
use safetensors::Dtype;

use crate::error::Result;
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

/// Where a tensor of the result comes from.
enum Source {
    /// One tensor.
    One(String),
    /// Three, one under another: OpenCLIP's queries, keys and values.
    Joined([String; 3]),
    /// The numbers 0, 1, 2, …
    Positions,
}

/// Converts.
///
/// # Errors
/// When the model cannot be read, or the result cannot be written.
pub fn convert_model(request: &ConvertModel, output: &Output, watch: Watch<'_>) -> Result<Pruned> {
    let mut inputs: Vec<&Path> = vec![&request.path];
    inputs.extend(request.vae.as_deref());
    output.check(&inputs)?;
    let model = Checkpoint::open_for(Purpose::Painting, &request.path, request.vae.as_deref())?;
    let mut pruned = Pruned::default();
    let mut planned: BTreeMap<String, (PlannedTensor, Source)> = BTreeMap::new();
    for name in model.names() {
        if !stays(request, name) {
            pruned.left += 1;
            continue;
        }
        if let Some((tensor, source)) = plan(request, &model, output, name) {
            planned.insert(tensor.name.clone(), (tensor, source));
        }
    }
    let mut tensors: Vec<PlannedTensor> = planned.values().map(|(tensor, _)| tensor.clone()).collect();
    stream::in_order(&mut tensors);
    pruned.tensors = tensors.len();
    let mut metadata = model.metadata().clone();
    metadata.retain(|key, _| !key.starts_with("sshs_") && !key.starts_with("modelspec.hash"));
    let plan = Plan { path: &output.path, tensors, metadata };
    plan.write(watch, |index| {
        let tensor = &plan.tensors[index];
        content(&model, tensor, &planned[&tensor.name].1)
    })?;
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
fn plan(request: &ConvertModel, model: &Checkpoint, output: &Output, name: &str) -> Option<(PlannedTensor, Source)> {
    let dtype = output.dtype(written(model.dtype(name)?));
    let shape = model.shape(name)?.to_vec();
    let planned = |name: String, shape, dtype| PlannedTensor { name, dtype, shape };
    if name.ends_with("embeddings.position_ids") {
        return Some((planned(name.to_string(), shape, Dtype::I64), Source::Positions));
    }
    // A folder's OpenCLIP has transformers' names behind the checkpoint's prefix.
    let prefixes = ["cond_stage_model.model.", "conditioner.embedders.1.model."];
    if let Some((prefix, rest)) = prefixes.iter().find_map(|prefix| Some((*prefix, name.strip_prefix(prefix)?)))
        && (rest.starts_with("text_model.") || rest == "text_projection.weight")
        && let Some((key, third)) = net_forms::open_clip_key(rest)
    {
        let key = format!("{prefix}{key}");
        return match third {
            None => Some((planned(key, shape, dtype), Source::One(name.to_string()))),
            Some(0) => {
                let of = |part: &str| name.replace(".q_proj.", &format!(".{part}."));
                let mut joined = shape;
                *joined.first_mut()? *= 3;
                Some((planned(key, joined, dtype), Source::Joined(["q_proj", "k_proj", "v_proj"].map(of))))
            }
            Some(_) => None,
        };
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

fn content(model: &Checkpoint, tensor: &PlannedTensor, source: &Source) -> Result<Content> {
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
        Source::Joined(names) => {
            let same = names.iter().all(|name| model.dtype(name) == Some(tensor.dtype));
            let mut bytes = Vec::new();
            let mut values = Vec::new();
            for name in names {
                if same {
                    bytes.extend(model.copied(name)?);
                } else {
                    values.extend(model.read_f32(name)?);
                }
            }
            Ok(if same { Content::Bytes(bytes) } else { Content::Values(values) })
        }
    }
}
