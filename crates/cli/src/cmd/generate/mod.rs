//! `lorabake generate`: pictures from prompts, as the AUTOMATIC1111 web UI makes them.

mod control;
mod effect;
mod hires;
mod init;
mod jobs;
mod output;
mod pictures;
mod sampling;
mod show;
mod texts;
mod values;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use lorabake_device::Opened;
use lorabake_generate::open_for_painting;
use lorabake_generate::painter::{Painter, Predicts};
use lorabake_generate::png_text::PictureSettings;
use lorabake_generate::sample::picture_dtypes;
use lorabake_recipe::model::{Checkpoint, Family};
use lorabake_recipe::train::Precision;
use lorabake_recipe::train::device::Device;

use crate::terminal;
use jobs::Jobs;

/// The options; their comments are the texts of `--help`.
#[derive(Debug, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    /// Checkpoint: a .safetensors or .ckpt file of Stable Diffusion 1.x, 2.x or XL, or a folder in diffusers' layout.
    /// [default: the small model inside the program]
    #[arg(long, value_name = "FILE|FOLDER")]
    pretrained_model_name_or_path: Option<PathBuf>,
    /// VAE to use in place of the checkpoint's: a file, or a folder in diffusers' layout.
    #[arg(long, value_name = "FILE|FOLDER")]
    vae: Option<PathBuf>,
    /// The checkpoint predicts v, which most of Stable Diffusion 2.x do without saying so.
    #[arg(long)]
    v_parameterization: bool,
    /// The checkpoint predicts v and was trained with zero terminal SNR, if it does not say so itself.
    #[arg(long)]
    zero_terminal_snr: bool,
    /// What the picture should show, written as for the web UI; <lora:NAME:STRENGTH> adds a LoRA. May be given several
    /// times.
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["from_file", "like"], allow_hyphen_values = true)]
    prompt: Vec<String>,
    /// A file of prompts, one a line with --n, --w, --h, --d, --s, --l and so on as sd-scripts' gen_img.py reads them, or
    /// TOML or JSON.
    #[arg(long, value_name = "FILE", conflicts_with = "latent")]
    from_file: Option<PathBuf>,
    /// What it should not show.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    negative_prompt: Option<String>,
    /// Takes prompt, seed and all settings from this picture, of lorabake or the web UI; options that are typed win.
    #[arg(long, value_name = "FILE")]
    like: Option<PathBuf>,
    /// Width in pixels, a multiple of 8. [default: 512, for SD2.x 768, for SDXL 1024; 128 with the model inside the
    /// program]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(64..=4096))]
    width: Option<u32>,
    /// Height in pixels, a multiple of 8. [default: as the width]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(64..=4096))]
    height: Option<u32>,
    /// Makes the picture's edges fit together.
    #[arg(long)]
    tiling: bool,
    /// Begin with the tensor `latent` (1, 4, height/8, width/8), unit normal, of a safetensors file, to compare programs.
    #[arg(long, value_name = "FILE", conflicts_with = "init_image")]
    latent: Option<PathBuf>,
    /// Processor threads to work with. [default: all cores]
    #[arg(long, value_name = "THREADS", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Arithmetic of the model: no (32-bit floats throughout), bf16 (weights in half the memory), or fp16, which is bf16 or
    /// fp16 on a GPU and no on the processor.
    #[arg(long, value_name = "no|bf16|fp16", default_value = "no", value_parser = values::precision)]
    mixed_precision: Precision,
    /// Where the networks are computed: auto, cpu, wgpu, vulkan, metal, cuda or rocm; cuda:1 is the second of several.
    /// `lorabake doctor` lists them.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: Device,
    #[command(flatten)]
    output: output::OutputArgs,
    #[command(flatten)]
    texts: texts::TextArgs,
    #[command(flatten)]
    sampling: sampling::SamplingArgs,
    #[command(flatten)]
    init: init::InitArgs,
    #[command(flatten)]
    hires: hires::HiresArgs,
    #[command(flatten)]
    control: control::ControlArgs,
}

/// Paints what `args` ask for.
///
/// # Errors
/// Whatever is wrong with options, prompts or files.
pub fn run(args: &Args) -> Result<ExitCode> {
    let which = args.checkpoint();
    let checkpoint = open_for_painting(&which, args.vae.as_deref())?;
    checkpoint.notes().iter().for_each(|note| terminal::say(&format!("note: {note}")));
    let side = if which == Checkpoint::Embedded { 128 } else { checkpoint.family().side() };
    let jobs = Jobs::of(args, side as usize)?;
    if args.texts.explain {
        return show::explain(&jobs);
    }
    let target = args.output.target(jobs.pictures.len())?;
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
        pool.build_global().context("--threads cannot be set")?;
    }
    let Opened { device, notes } = lorabake_device::open(args.device)?;
    notes.iter().for_each(|note| terminal::say(&format!("note: {note}")));
    if args.mixed_precision == Precision::Fp16 && lorabake_device::is_host(&device) {
        terminal::say(
            "note: --mixed_precision fp16: the processor computes in 32-bit floats then; bf16 takes half the memory",
        );
    }
    let says_nothing = checkpoint.prediction().is_none() && checkpoint.family() == Family::Sd2;
    let dtypes = picture_dtypes(args.mixed_precision, args.mixed_precision, &device);
    let tiling = jobs.pictures.iter().any(|picture| picture.request.tiling);
    let mut painter = Painter::open(checkpoint, dtypes, args.predicts(), tiling, device)?;
    if says_nothing && args.predicts() == Predicts::AsFile {
        terminal::say(
            "note: this checkpoint of Stable Diffusion 2.x does not say what it predicts, so it is taken for one that \
             predicts noise; those for 768 pixels predict v and need --v_parameterization",
        );
    }
    for folder in &args.texts.embedding_dir {
        painter.embeddings.add_folder(folder).with_context(|| format!("--embedding_dir {}", folder.display()))?;
    }
    pictures::paint_all(args, &painter, &jobs, &target)
}

impl Args {
    fn checkpoint(&self) -> Checkpoint {
        self.pretrained_model_name_or_path.clone().map_or(Checkpoint::Embedded, Checkpoint::File)
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

    /// What was typed, but for the prompt.
    fn typed(&self) -> PictureSettings {
        let mut settings = PictureSettings {
            negative_prompt: self.negative_prompt.clone(),
            width: self.width.map(|side| side as usize),
            height: self.height.map(|side| side as usize),
            tiling: self.tiling.then_some(true),
            ..PictureSettings::default()
        };
        self.sampling.put(&mut settings);
        self.texts.put(&mut settings);
        self.init.put(&mut settings);
        self.hires.put(&mut settings);
        settings
    }
}

/// File name without suffix, as the web UI calls a model.
pub fn model_name(checkpoint: &Checkpoint) -> String {
    let path = match checkpoint {
        Checkpoint::Embedded => Path::new(lorabake_generate::embedded::NAME),
        Checkpoint::File(path) => path,
    };
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
