//! What a LoRA of a recipe will take on disk and in memory, from a checkpoint's names and shapes alone.
//!
//! Which layers are adapted follows sd-scripts' `networks.lora`; it is checked against files that it made. No weights
//! are read, so this answers at once, also for models that would not fit into memory.

use std::collections::BTreeMap;

use lorabake_recipe::Recipe;
use lorabake_recipe::model::Family;
use lorabake_recipe::network::adapter::AdapterSettings;
use lorabake_recipe::network::algo::Algo;
use lorabake_recipe::network::{Network, Scope};
use lorabake_recipe::output::SavePrecision;
use lorabake_recipe::train::{Fp8, Precision, Recompute};
use safetensors::Dtype;

use crate::checkpoint::Checkpoint;
use crate::keys::kohya::Names;
use crate::keys::text::{FUSED, JOINED};
use crate::keys::{Part, diffusers_names, encodes_images, family_of, part_of};
use crate::lora_save;

/// A tensor of a LoRA file: its key and shape.
pub type LoraTensor = (String, Vec<usize>);

/// The tensors of the LoRA that `network` asks for, given a checkpoint's keys with their shapes.
///
/// With `--dim_from_weights` the file of those weights says it instead.
pub fn lora_tensors(keys: &[(&str, &[usize])], network: &Network) -> Vec<LoraTensor> {
    let names: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
    let mut tensors = Vec::new();
    let modules = Names::of(&names);
    let family = family_of(names.iter().copied());
    let unused = |path: &str| family == Family::Sd2 && path.starts_with(SD2_UNUSED);
    for part in Part::ADAPTED {
        let left_alone = if part == Part::Unet { Scope::TextEncoderOnly } else { Scope::UnetOnly };
        if network.scope == left_alone {
            continue;
        }
        for (key, name) in diffusers_names(part, &names) {
            let shape = keys.iter().find(|(own, _)| *own == key).map_or(&[][..], |(_, shape)| *shape);
            let path = name.as_deref().and_then(|name| name.strip_suffix(".weight"));
            let Some((path, rank)) = path.and_then(|path| Some((path, rank(path, shape, network)?))) else { continue };
            // SD2.x' trainer has these two as 1×1 convolutions, whatever the file has.
            let kernel = family == Family::Sd2 && (path.ends_with(".proj_in") || path.ends_with(".proj_out"));
            let fused = path.ends_with(FUSED);
            let (down, up) = match *shape {
                [outputs, inputs] if kernel => (vec![rank, inputs, 1, 1], vec![outputs, rank, 1, 1]),
                [outputs, inputs] => (vec![rank, inputs], vec![if fused { outputs / 3 } else { outputs }, rank]),
                [outputs, inputs, a, b] => (vec![rank, inputs, a, b], vec![outputs, rank, 1, 1]),
                _ => continue,
            };
            let paths =
                if fused { JOINED.map(|own| path.replace(FUSED, own)).to_vec() } else { vec![path.to_string()] };
            for path in paths.iter().filter(|path| !unused(path)) {
                let Some(module) = modules.module(part, path) else { continue };
                tensors.push((format!("{module}.alpha"), Vec::new()));
                tensors.push((format!("{module}.lora_down.weight"), down.clone()));
                tensors.push((format!("{module}.lora_up.weight"), up.clone()));
            }
        }
    }
    tensors
}

/// The last layer of SD2.x' text encoder, whose output nobody reads.
const SD2_UNUSED: &str = "text_model.encoder.layers.23.";

/// The rank of the layer at a diffusers path, if it gets a LoRA.
fn rank(path: &str, shape: &[usize], network: &Network) -> Option<usize> {
    if shape.len() < 2 {
        return None;
    }
    let has = |words: &[&str]| words.iter().any(|word| path.contains(word));
    if has(&[".attentions.", ".self_attn.", ".mlp."]) {
        return Some(network.linear.rank);
    }
    let conv = network.conv.filter(|_| has(&[".resnets.", ".downsamplers.", ".upsamplers."]))?;
    Some(if shape.get(2).is_some_and(|kernel| *kernel > 1) { conv.rank } else { network.linear.rank })
}

/// Bytes of a LoRA file with these tensors and this metadata (without the two hashes, which are added).
///
/// Times and random numbers in the metadata are a few digits longer or shorter from run to run; the rest is exact.
pub fn file_bytes(tensors: &[LoraTensor], precision: SavePrecision, metadata: &BTreeMap<String, String>) -> u64 {
    let dtype = match precision {
        SavePrecision::F32 => Dtype::F32,
        SavePrecision::F16 => Dtype::F16,
        SavePrecision::Bf16 => Dtype::BF16,
    };
    let numbers: usize = tensors.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    lora_save::header_bytes(tensors, dtype, metadata) + (numbers * dtype.bitsize() / 8) as u64
}

/// How large a checkpoint's networks are, in values; the file in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Matrices and kernels of UNet and text encoder.
    pub matrices: u64,
    /// Norms and biases of both.
    pub others: u64,
    /// All of the UNet.
    pub unet: u64,
    /// Matrices of the text encoders.
    pub texts: u64,
    /// Those of them that are tables of words and places.
    pub embeddings: u64,
    /// The VAE without its decoder.
    pub encoder: u64,
    /// Channels of the VAE's outermost level.
    pub vae_width: u64,
    /// The tensors' bytes.
    pub file: u64,
}

impl Sizes {
    /// Counts a checkpoint's tensors.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let mut sizes = Self::default();
        for name in checkpoint.names() {
            let shape = checkpoint.shape(name).unwrap_or_default();
            let values = shape.iter().product::<usize>() as u64;
            sizes.file += values * checkpoint.dtype(name).map_or(4, |dtype| dtype.bitsize() as u64 / 8);
            match part_of(name) {
                Some(Part::Vae) if encodes_images(name) => {
                    sizes.encoder += values;
                    if name.ends_with("encoder.conv_in.weight") {
                        sizes.vae_width = shape.first().map_or(0, |channels| *channels as u64);
                    }
                }
                Some(Part::Vae) => {}
                Some(part) => {
                    *(if shape.len() > 1 { &mut sizes.matrices } else { &mut sizes.others }) += values;
                    sizes.unet += if part == Part::Unet { values } else { 0 };
                    let text = part.is_text() && shape.len() > 1;
                    sizes.texts += if text { values } else { 0 };
                    sizes.embeddings += if text && name.contains("embedding") { values } else { 0 };
                }
                None => {}
            }
        }
        sizes
    }
}

/// Memory that a run takes, in bytes.
///
/// - frozen: for each number of a matrix 4 bytes, with bf16 2, in 8 bits 1; tables of words and everything else 4.
/// - step: 1.6 GB (with bf16 1.2) × batch × pixels ÷ 512², scaled by the root of the UNet's size, because width counts
///   once in what is kept and twice in the weights. Attention keeps no scores, so it grows with the pixels and not with their square.
///   When every block is run twice, 0.4 GB × batch × pixels ÷ 512², scaled by the fourth root: what is left is mostly in the
///   outermost level, which is as wide in SDXL.
///   LoKr, LoHa and DoRA form whole changes of weight, 4 bytes a number of the UNet, which the tape keeps.
/// - trained: 4 bytes × (value, gradient), and the optimizer's state.
/// - preparing: VAE and text encoders come into memory one after the other, and the UNet after them. Pages of a mapped
///   file go as soon as they are read. Encoding holds two images in the encoder's outermost level, f32, whose
///   convolutions go by bands of rows; a tenth more is for these.
///
/// - picture, if any are asked for while training: three images in the decoder's outermost level, f32, and gaps between them.
///   Its weights stay in the file, and the UNet needs less than half of that for prompt and negative prompt.
///
/// The constants are what was measured in runs of SD1.5, SD2 and SDXL, rank 16, on 2 cores in November 2026;
/// `tests/forecast.rs` compares. With blocks left in the file it is a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// UNet and text encoder, with the program itself.
    pub frozen: u64,
    /// What a step keeps and needs for a moment.
    pub step: u64,
    /// The LoRA, its gradients and what the optimizer keeps.
    pub trained: u64,
    /// While latents and captions are encoded.
    pub preparing: u64,
    /// What a picture needs for a moment; 0 if there is none.
    pub picture: u64,
}

/// The program itself, latents and what the allocator holds back; measured.
const PROGRAM: u64 = 130_000_000;
/// What a step of SD1.5 keeps for one image of 512 × 512; measured.
const STEP_512: f64 = 1.6e9;
/// The share of that where weights are held in less than 32 bits, since the tape rounds most of what it keeps; measured.
const ROUNDED: f64 = 0.74;
/// What is left of it when every block is run twice; measured.
const RECOMPUTED: f64 = 0.25;
/// The share of LoKr's, LoHa's and DoRA's changes of weight that are there at a time when every block is run twice; measured
/// with SDXL.
const CHANGES: f64 = 0.13;
/// Pieces of SD1.5's UNet that can be run twice.
const SD15_BLOCKS: f64 = 25.0;
/// Bytes for each pixel and channel that the VAE's encoder holds: two images, and a tenth more.
const ENCODED: f64 = 8.8;
/// The same for its decoder; measured: 16.6 at 512 × 512, 14 at 1024 × 1024.
const DECODED: f64 = 15.5;
/// Values of SD1.5's UNet, by which that is scaled to other models.
const SD15_UNET: f64 = 859_520_964.0;

/// What a run's memory depends on that neither the model nor the recipe says by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demands {
    /// Whether the text encoders' matrices stay in memory; not if the states of all captions are kept.
    pub texts: bool,
    /// The share of the UNet's that does not stay in the file.
    pub unet: f64,
    /// Pixels of the largest picture that is painted; 0 if there is none.
    pub picture: u64,
}

impl Memory {
    /// What training `trained` values from a model of these sizes will take.
    pub fn of(sizes: Sizes, trained: u64, recipe: &Recipe, demands: Demands) -> Self {
        let (data, train) = (&recipe.data, &recipe.train);
        // With 8 bits a scale of 4 bytes belongs to 128 numbers.
        let held =
            |values: u64, in_8_bits| if in_8_bits { values + values / 32 } else { bytes(train.precision) * values };
        let texts = held(sizes.texts - sizes.embeddings, train.fp8 == Fp8::All) + 4 * sizes.embeddings;
        let unet = held(sizes.matrices - sizes.texts, train.fp8 != Fp8::No);
        let base = PROGRAM + 4 * sizes.others;
        let pixels = f64::from(data.resolution.0) * f64::from(data.resolution.1);
        let scale = sizes.unet as f64 / SD15_UNET;
        let own = recipe.optim.optimizer.state_bytes() + recipe.optim.ema_decay.map_or(0.0, |_| 4.0);
        let image = (ENCODED * sizes.vae_width as f64 * pixels) as u64;
        let encoding = bytes(train.vae) * sizes.encoder + image;
        let tape = if train.fp8 == Fp8::No && bytes(train.precision) == 4 { 1.0 } else { ROUNDED };
        let [step, changes] =
            [(STEP_512 * tape * scale.sqrt(), least(scale)), (1.0, CHANGES)].map(|pair| kept(train.recompute, pair));
        let step = data.batch_size as f64 * step * pixels / (512.0 * 512.0);
        let adapted = if forms_changes(&recipe.network) { 4 * (sizes.matrices - sizes.texts) } else { 0 };
        Self {
            frozen: base + if demands.texts { texts } else { 0 } + (unet as f64 * demands.unet) as u64,
            step: (step + changes * adapted as f64) as u64,
            trained: (trained as f64 * (8.0 + own)) as u64,
            preparing: base + encoding.max(texts),
            picture: (DECODED * (sizes.vae_width * demands.picture) as f64) as u64,
        }
    }

    /// The most while training, pictures included.
    pub fn training(&self) -> u64 {
        self.frozen + self.trained + self.step.max(self.picture)
    }

    /// The most at any time.
    pub fn peak(&self) -> u64 {
        self.preparing.max(self.training())
    }
}

/// Bytes of a number in a matrix.
fn bytes(precision: Precision) -> u64 {
    if precision == Precision::Bf16 { 2 } else { 4 }
}

/// What a step keeps for one image of 512 × 512 when every block is run twice, in a UNet `scale` times as large as SD1.5's.
fn least(scale: f64) -> f64 {
    RECOMPUTED * STEP_512 * scale.sqrt().min(scale.powf(0.25))
}

/// What is kept, given what it is without blocks that are run twice and what it is if all are.
fn kept(recompute: Recompute, (most, least): (f64, f64)) -> f64 {
    match recompute {
        Recompute::No => most,
        Recompute::All => least,
        // The outermost hold most.
        Recompute::Blocks(blocks) => most - (most - least) * (blocks as f64 / SD15_BLOCKS).min(1.0),
    }
}

/// Whether a step forms the change of whole weights.
fn forms_changes(network: &Network) -> bool {
    match &network.adapter {
        AdapterSettings::Lycoris(own) => own.dora.is_some() || matches!(own.algo, Algo::Loha | Algo::Lokr(_)),
        _ => false,
    }
}
