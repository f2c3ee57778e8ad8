//! The memory that a run takes, from a checkpoint's names and shapes alone.
//!
//! No weights are read, so this answers at once, also for models that would not fit into memory.

use lorabake_recipe::Recipe;
use lorabake_recipe::network::Network;
use lorabake_recipe::network::adapter::AdapterSettings;
use lorabake_recipe::network::algo::Algo;
use lorabake_recipe::train::{Fp8, Precision, Recompute};
use lorabake_weights::Checkpoint;
use lorabake_weights::keys::{Part, encodes_images, part_of};

/// How large a checkpoint's networks are, in values; the file in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ParameterCounts {
    /// Matrices and kernels of UNet and text encoder.
    pub matrices: u64,
    /// Norms and biases of both.
    pub others: u64,
    /// All of the UNet.
    pub unet: u64,
    /// Matrices of the text encoders.
    pub texts: u64,
    /// Those of them that are token and position embeddings.
    pub embeddings: u64,
    /// The VAE without its decoder.
    pub encoder: u64,
    /// Channels of the VAE's outermost level.
    pub vae_width: u64,
    /// The tensors' bytes.
    pub file: u64,
}

impl ParameterCounts {
    /// Counts a checkpoint's tensors.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let mut counts = Self::default();
        for name in checkpoint.names() {
            let shape = checkpoint.shape(name).unwrap_or_default();
            let values = shape.iter().product::<usize>() as u64;
            counts.file += values * checkpoint.dtype(name).map_or(4, |dtype| dtype.bitsize() as u64 / 8);
            match part_of(name) {
                Some(Part::Vae) if encodes_images(name) => {
                    counts.encoder += values;
                    if name.ends_with("encoder.conv_in.weight") {
                        counts.vae_width = shape.first().map_or(0, |channels| *channels as u64);
                    }
                }
                Some(Part::Vae) => {}
                Some(part) => {
                    let is_matrix = shape.len() > 1;
                    if is_matrix {
                        counts.matrices += values;
                    } else {
                        counts.others += values;
                    }
                    if part == Part::Unet {
                        counts.unet += values;
                    }
                    if part.is_text() && is_matrix {
                        counts.texts += values;
                        if name.contains("embedding") {
                            counts.embeddings += values;
                        }
                    }
                }
                None => {}
            }
        }
        counts
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
///   The update that follows keeps the values from before it, 4 bytes each, when the rest of the step is gone.
/// - trained: 4 bytes × (value, gradient), and the optimizer's state.
/// - preparing: VAE and text encoders come into memory one after the other, and the UNet after them. Pages of a mapped
///   file go as soon as they are read. Encoding holds two images in the encoder's outermost level, f32, whose
///   convolutions go by bands of rows; a tenth more is for these.
///
/// - picture, if any are asked for while training: three images in the decoder's outermost level, f32, and gaps between them.
///   Its weights stay in the file, and the UNet needs less than half of that for prompt and negative prompt.
///
/// The constants are what was measured in runs of SD1.5, SD2 and SDXL, rank 16, on 2 cores in November 2026;
/// `tests/train/memory.rs` compares. With blocks left in the file it is a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
    /// What training `trained` values from a model with these counts will take.
    pub fn of(counts: ParameterCounts, trained: u64, recipe: &Recipe, demands: Demands) -> Self {
        let (data, train) = (&recipe.data, &recipe.train);
        // With 8 bits a scale of 4 bytes belongs to 128 numbers.
        let held =
            |values: u64, in_8_bits| if in_8_bits { values + values / 32 } else { bytes(train.precision) * values };
        let texts = held(counts.texts - counts.embeddings, train.fp8 == Fp8::All) + 4 * counts.embeddings;
        let unet = held(counts.matrices - counts.texts, train.fp8 != Fp8::No);
        let base = PROGRAM + 4 * counts.others;
        let pixels = f64::from(data.resolution.0) * f64::from(data.resolution.1);
        let scale = counts.unet as f64 / SD15_UNET;
        let own = recipe.optim.optimizer.state_bytes() + recipe.optim.ema_decay.map_or(0.0, |_| 4.0);
        let image = (ENCODED * counts.vae_width as f64 * pixels) as u64;
        let encoding = bytes(train.vae) * counts.encoder + image;
        let tape = if train.fp8 == Fp8::No && bytes(train.precision) == 4 { 1.0 } else { ROUNDED };
        let step = kept(train.recompute, STEP_512 * tape * scale.sqrt(), least(scale));
        let changes = kept(train.recompute, 1.0, CHANGES);
        let step = data.batch_size as f64 * step * pixels / (512.0 * 512.0);
        let adapted = if forms_changes(&recipe.network) { 4 * (counts.matrices - counts.texts) } else { 0 };
        Self {
            frozen: base + if demands.texts { texts } else { 0 } + (unet as f64 * demands.unet) as u64,
            step: ((step + changes * adapted as f64) as u64).max(4 * trained),
            trained: (trained as f64 * (8.0 + own)) as u64,
            preparing: base + encoding.max(texts),
            picture: (DECODED * (counts.vae_width * demands.picture) as f64) as u64,
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
fn kept(recompute: Recompute, most: f64, least: f64) -> f64 {
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
