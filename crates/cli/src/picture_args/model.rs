//! Options of the commands that paint for the checkpoint and how its networks are computed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lorabake_device::Opened;
use lorabake_generate::easel::{Easel, ModelFacts};
use lorabake_generate::open_for_painting;
use lorabake_generate::painter::{Painter, Predicts};
use lorabake_generate::sample::picture_dtypes;
use lorabake_recipe::Parsed;
use lorabake_recipe::model::Checkpoint as Which;
use lorabake_recipe::train::Precision;
use lorabake_recipe::train::device::Device;
use lorabake_weights::{Checkpoint, Family};

use super::values;
use crate::told::Told;

/// The model, and how it is computed.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct ModelArgs {
    /// Checkpoint: a .safetensors or .ckpt file of Stable Diffusion 1.x, 2.x or XL, or a folder in diffusers' layout.
    /// [default: the small model inside the program]
    #[arg(long, value_name = "FILE|FOLDER")]
    pub pretrained_model_name_or_path: Option<PathBuf>,
    /// VAE to use in place of the checkpoint's: a file, or a folder in diffusers' layout.
    #[arg(long, value_name = "FILE|FOLDER")]
    pub vae: Option<PathBuf>,
    /// The checkpoint predicts v, which most of Stable Diffusion 2.x do without saying so.
    #[arg(long)]
    pub v_parameterization: bool,
    /// The checkpoint predicts v and was trained with zero terminal SNR, if it does not say so itself.
    #[arg(long)]
    pub zero_terminal_snr: bool,
    /// Processor threads to work with. [default: all cores]
    #[arg(long, value_name = "THREADS", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Arithmetic of the model: no (32-bit floats throughout), bf16 (weights in half the memory), or fp16, which is bf16 or
    /// fp16 on a GPU and no on the processor.
    #[arg(long, value_name = "no|bf16|fp16", default_value = "no", value_parser = values::precision)]
    pub mixed_precision: Precision,
    /// Where the networks are computed: auto, cpu, wgpu, vulkan, metal, cuda or rocm; cuda:1 is the second of several.
    /// `lorabake doctor` lists them.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub device: Device,
}

/// A checkpoint whose header is read, with the usual side of its pictures.
pub struct OpenModel {
    which: Which,
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Usual side of its pictures in pixels.
    pub side: usize,
}

impl ModelArgs {
    /// The model that a recipe trains from, computed as there.
    pub fn of_recipe(parsed: &Parsed) -> Self {
        let recipe = &parsed.recipe;
        let raw = &parsed.raw.diffusion;
        let says_velocity = raw.v_parameterization == Some(true);
        Self {
            pretrained_model_name_or_path: match &recipe.model.checkpoint {
                Which::Embedded => None,
                Which::File(path) => Some(path.clone()),
            },
            vae: recipe.model.vae.clone(),
            v_parameterization: says_velocity,
            zero_terminal_snr: says_velocity && raw.zero_terminal_snr == Some(true),
            threads: recipe.train.threads.map(|threads| threads.min(usize::from(u16::MAX)) as u16),
            mixed_precision: recipe.train.precision,
            device: recipe.train.device,
        }
    }

    /// The checkpoint that is asked for.
    pub fn which(&self) -> Which {
        self.pretrained_model_name_or_path.clone().map_or(Which::Embedded, Which::File)
    }

    fn predicts(&self) -> Predicts {
        if self.zero_terminal_snr {
            Predicts::VelocityZeroTerminalSnr
        } else if self.v_parameterization {
            Predicts::Velocity
        } else {
            Predicts::AsFile
        }
    }

    /// Reads the header of the checkpoint.
    ///
    /// # Errors
    /// When it is none.
    pub fn open_model(&self, told: &mut Told) -> Result<OpenModel> {
        let which = self.which();
        let checkpoint = open_for_painting(&which, self.vae.as_deref())?;
        for note in checkpoint.notes() {
            told.say(&note.to_string());
        }
        let side = if which == Which::Embedded { 128 } else { checkpoint.family().side() };
        Ok(OpenModel { which, checkpoint, side: side as usize })
    }

    /// Sets how many threads compute.
    ///
    /// # Errors
    /// When that was done before.
    pub fn set_threads(&self) -> Result<()> {
        if let Some(threads) = self.threads {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
            pool.build_global().context("--threads cannot be set")?;
        }
        Ok(())
    }

    /// Reads the networks; with `tiling` pictures fit together at their edges. Embeddings are those of `embedding_dirs`, and
    /// what was `told` is not repeated.
    ///
    /// # Errors
    /// When the device does not work, or a network or a folder cannot be read.
    pub fn easel(&self, model: OpenModel, tiling: bool, embedding_dirs: &[PathBuf], told: &mut Told) -> Result<Easel> {
        let Opened { device, notes } = lorabake_device::open(self.device)?;
        for note in notes {
            told.say(&note.to_string());
        }
        if self.mixed_precision == Precision::Fp16 && lorabake_device::is_host(&device) {
            told.say(
                "--mixed_precision fp16: the processor computes in 32-bit floats then; bf16 takes half the memory",
            );
        }
        let OpenModel { which, checkpoint, .. } = model;
        let says_nothing = checkpoint.prediction().is_none() && checkpoint.family() == Family::Sd2;
        let dtypes = picture_dtypes(self.mixed_precision, self.mixed_precision, &device);
        let mut painter = Painter::open(checkpoint, dtypes, self.predicts(), tiling, device)?;
        if says_nothing && self.predicts() == Predicts::AsFile {
            told.say(
                "this checkpoint of Stable Diffusion 2.x does not say what it predicts, so it is taken for one that \
                 predicts noise; those for 768 pixels predict v and need --v_parameterization",
            );
        }
        for folder in embedding_dirs {
            painter.embeddings.add_folder(folder).with_context(|| format!("--embedding_dir {}", folder.display()))?;
        }
        Ok(Easel::new(painter, ModelFacts::of(&which, self.vae.as_deref())))
    }

    /// What pictures tell of the checkpoint.
    pub fn facts(&self) -> ModelFacts {
        ModelFacts::of(&self.which(), self.vae.as_deref())
    }
}

/// The folder of a path's file, or the path itself if it is a folder; this folder where nothing else is said.
pub fn folder_of(path: &Path) -> &Path {
    let folder = if path.extension().is_some() { path.parent() } else { Some(path) };
    folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
