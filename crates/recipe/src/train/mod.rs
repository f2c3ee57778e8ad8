//! Length, accumulation, precision and seed of a run.

pub mod device;

use std::hash::{BuildHasher, Hasher, RandomState};

use serde::{Deserialize, Serialize};

use crate::report::{Report, count};
use device::{Device, Kind};

/// How long to train; exactly one of the two decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Duration {
    /// `--max_train_epochs`
    Epochs(u64),
    /// `--max_train_steps`
    Steps(u64),
}

/// More processor threads than this cannot be meant.
const MOST_THREADS: u32 = 4096;

/// Arithmetic of the frozen networks (`--mixed_precision`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precision {
    /// f32 throughout.
    No,
    /// 16-bit floats on a GPU; on the processor as [`Precision::No`].
    Fp16,
    /// Frozen weights in bf16, the rest in f32.
    Bf16,
}

impl Precision {
    /// The name as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Fp16 => "fp16",
            Self::Bf16 => "bf16",
        }
    }
}

/// What of the frozen networks is held in 8 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fp8 {
    /// Nothing.
    No,
    /// The UNet (`--fp8_base_unet`).
    Unet,
    /// UNet and text encoders (`--fp8_base`).
    All,
}

/// How much of the UNet is computed twice, to keep less for the backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recompute {
    /// Nothing.
    No,
    /// Every block (`--gradient_checkpointing`).
    All,
    /// So many blocks, from both ends of the network (`--gradient_checkpointing_blocks`).
    Blocks(usize),
}

/// Train section of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Train {
    /// When the run ends.
    pub duration: Duration,
    /// Batches per optimizer step (`--gradient_accumulation_steps`).
    pub accumulation: usize,
    /// `--mixed_precision`
    pub precision: Precision,
    /// Arithmetic of the VAE: the same unless `--no_half_vae` is given.
    pub vae: Precision,
    /// `--fp8_base`, `--fp8_base_unet`
    pub fp8: Fp8,
    /// Blocks of the UNet that are read from the file whenever they are used (`--blocks_to_swap`).
    pub swapped: usize,
    /// `--gradient_checkpointing`
    pub recompute: Recompute,
    /// The seed of all random streams (`--seed`).
    pub seed: u64,
    /// Worker threads; `None` = all cores (`--threads`).
    pub threads: Option<usize>,
    /// Where the networks are computed (`--device`).
    pub device: Device,
}

/// What may be typed about the run as a whole; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Run", rename_all = "verbatim")]
pub struct RawTrain {
    /// How many times the training set is gone through. Aim for 1000 steps or more in all, where an epoch has images
    /// times repeats divided by batch size steps.
    #[arg(long, value_name = "EPOCHS")]
    pub max_train_epochs: Option<u32>,
    /// How many steps to train, instead of --max_train_epochs. [default: 1600]
    #[arg(long, value_name = "STEPS")]
    pub max_train_steps: Option<u32>,
    /// Batches that are summed up before the weights change: the effect of a larger batch in the memory of a small one.
    /// [default: 1]
    #[arg(long, value_name = "BATCHES")]
    pub gradient_accumulation_steps: Option<u32>,
    /// Arithmetic of the frozen model: no (32-bit floats throughout), bf16 (half the memory), or fp16, which is bf16 or
    /// fp16 on a GPU and no on the processor. [default: no]
    #[arg(long, value_name = "no|bf16|fp16")]
    pub mixed_precision: Option<String>,
    /// With --mixed_precision bf16 or fp16: compute the VAE in 32-bit floats all the same, which takes longer.
    #[arg(long)]
    pub no_half_vae: Option<bool>,
    /// Hold the frozen UNet and text encoders in 8 bits: half the memory of bf16. Each number is off by some 0.6 %,
    /// less than in sd-scripts' 8-bit floats. For computing they are widened to bf16.
    #[arg(long)]
    pub fp8_base: Option<bool>,
    /// As --fp8_base, but the UNet only.
    #[arg(long)]
    pub fp8_base_unet: Option<bool>,
    /// Leave the weights of so many blocks of the UNet in the file, the largest first, and read them whenever they are
    /// used: less memory, the same result, slower. SD1.x has 25, SDXL 23.
    #[arg(long, value_name = "BLOCKS")]
    pub blocks_to_swap: Option<u32>,
    /// Compute each block of the UNet twice and keep only its input in between: less memory and the same result, for a
    /// third more time.
    #[arg(long)]
    pub gradient_checkpointing: Option<bool>,
    /// As --gradient_checkpointing, but only so many blocks, counted in from both ends of the UNet, where most memory
    /// is needed. SD1.x has 25.
    #[arg(long, value_name = "BLOCKS")]
    pub gradient_checkpointing_blocks: Option<u32>,
    /// Where randomness starts: the same seed and options give the same result. If all else fails, try another.
    /// [default: drawn at random, and printed]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u32>,
    /// Processor threads to work with; one per physical core is usual. [default: all cores]
    #[arg(long, value_name = "THREADS")]
    pub threads: Option<u32>,
    /// Where the networks are computed: auto (a GPU if this program can use one, else the processor), cpu, wgpu, vulkan,
    /// metal, cuda or rocm; cuda:1 is the second of several. `lorabake doctor` lists them. [default: auto]
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
}

impl RawTrain {
    pub(crate) fn resolve(&self, report: &mut Report) -> Train {
        let fp8 = self.fp8(report);
        let precision = self.precision(fp8, report);
        Train {
            duration: self.duration(report),
            accumulation: report.count("gradient_accumulation_steps", self.gradient_accumulation_steps, 1) as usize,
            precision,
            vae: self.vae(precision, report),
            fp8,
            swapped: self.blocks_to_swap.unwrap_or(0) as usize,
            recompute: self.recompute(report),
            seed: self.seed.map_or_else(|| draw_seed(report), u64::from),
            threads: self.threads(report),
            device: self.device(report),
        }
    }

    fn duration(&self, report: &mut Report) -> Duration {
        match (self.max_train_epochs, self.max_train_steps) {
            (Some(epochs), steps) => {
                if steps.is_some() {
                    let epochs_in_words = count(epochs, "epoch");
                    let text = format!("has no effect, because --max_train_epochs is given too: {epochs_in_words}");
                    report.note("max_train_steps", text);
                }
                Duration::Epochs(report.count("max_train_epochs", Some(epochs), 1).into())
            }
            (None, Some(steps)) => Duration::Steps(report.count("max_train_steps", Some(steps), 1).into()),
            (None, None) => {
                let text = "neither it nor --max_train_epochs is given, so 1600 steps are trained, as in sd-scripts";
                report.note("max_train_steps", text);
                Duration::Steps(1600)
            }
        }
    }

    fn threads(&self, report: &mut Report) -> Option<usize> {
        let threads = report.count("threads", Some(self.threads?), 1);
        if threads > MOST_THREADS {
            let what = format!("{threads} is more than any processor has");
            report.problem("threads", what, "use the number of its cores, or leave it out");
        }
        Some(threads as usize)
    }

    fn device(&self, report: &mut Report) -> Device {
        let Some(text) = &self.device else { return Device::default() };
        text.parse().unwrap_or_else(|wrong| {
            let names = Kind::NAMED.map(|(name, _)| name).join(", ");
            report.problem("device", wrong, format!("use one of {names}, or cuda:1 for the second of several"));
            Device::default()
        })
    }

    fn recompute(&self, report: &mut Report) -> Recompute {
        match (self.gradient_checkpointing.unwrap_or(false), self.gradient_checkpointing_blocks) {
            (false, None) => Recompute::No,
            (true, None) => Recompute::All,
            (all, Some(blocks)) => {
                if all {
                    let text = format!("only {blocks} blocks, because --gradient_checkpointing_blocks is given too");
                    report.note("gradient_checkpointing", text);
                }
                Recompute::Blocks(report.count("gradient_checkpointing_blocks", Some(blocks), 1) as usize)
            }
        }
    }

    fn fp8(&self, report: &mut Report) -> Fp8 {
        match (self.fp8_base.unwrap_or(false), self.fp8_base_unet.unwrap_or(false)) {
            (false, false) => Fp8::No,
            (false, true) => Fp8::Unet,
            (true, unet) => {
                if unet {
                    report.note("fp8_base_unet", "has no effect, because --fp8_base holds the UNet in 8 bits too");
                }
                Fp8::All
            }
        }
    }

    fn precision(&self, fp8: Fp8, report: &mut Report) -> Precision {
        let text = self.mixed_precision.as_deref().unwrap_or("no");
        let of_fp8 = match (text.to_ascii_lowercase().as_str(), fp8) {
            ("bf16", _) => return Precision::Bf16,
            ("no", Fp8::No) => return Precision::No,
            ("no" | "fp16", Fp8::Unet) => "fp8_base_unet",
            ("no" | "fp16", Fp8::All) => "fp8_base",
            ("fp16", Fp8::No) => {
                let text = "processors have no fp16 arithmetic worth using, so there 32-bit floats are used, which is \
                            more exact; bf16 takes less memory";
                report.note("mixed_precision", text);
                return Precision::Fp16;
            }
            _ => {
                report.problem("mixed_precision", format!("`{text}` is not a precision"), "use no, bf16 or fp16");
                return Precision::No;
            }
        };
        let why = format!("bf16, because weights in 8 bits (--{of_fp8}) are computed with in bf16");
        report.note("mixed_precision", why);
        Precision::Bf16
    }

    fn vae(&self, precision: Precision, report: &mut Report) -> Precision {
        let whole = self.no_half_vae == Some(true);
        if whole && precision == Precision::No {
            report.note("no_half_vae", "has no effect: without --mixed_precision nothing works in half precision");
        }
        if whole { Precision::No } else { precision }
    }
}

/// A seed that differs from run to run, in the range of sd-scripts' own; std's hasher is seeded by the system.
fn draw_seed(report: &mut Report) -> u64 {
    let seed = RandomState::new().build_hasher().finish() & u64::from(u32::MAX);
    report.note("seed", format!("not given; {seed} was drawn, give --seed {seed} to repeat this run"));
    seed
}

impl From<&Train> for RawTrain {
    fn from(train: &Train) -> Self {
        let (max_train_epochs, max_train_steps) = match train.duration {
            Duration::Epochs(epochs) => (Some(epochs as u32), None),
            Duration::Steps(steps) => (None, Some(steps as u32)),
        };
        Self {
            max_train_epochs,
            max_train_steps,
            gradient_accumulation_steps: Some(train.accumulation as u32),
            mixed_precision: Some(train.precision.name().to_owned()),
            no_half_vae: Some(train.vae != train.precision),
            fp8_base: Some(train.fp8 == Fp8::All),
            fp8_base_unet: Some(train.fp8 == Fp8::Unet),
            blocks_to_swap: Some(train.swapped as u32),
            gradient_checkpointing: Some(train.recompute == Recompute::All),
            gradient_checkpointing_blocks: match train.recompute {
                Recompute::Blocks(blocks) => Some(blocks as u32),
                _ => None,
            },
            seed: Some(train.seed as u32),
            threads: train.threads.map(|threads| threads as u32),
            device: Some(train.device.to_string()),
        }
    }
}
