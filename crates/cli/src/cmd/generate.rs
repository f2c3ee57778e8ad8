//! `lorabake generate`: pictures from prompts.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lorabake_device::{self, Opened};
use lorabake_diffusion::{Sampler, StepCount};
use lorabake_generate::open_checkpoint;
use lorabake_generate::picture_file::{Target, save};
use lorabake_generate::prompt::{LoraTag, Prompt, find_lora};
use lorabake_generate::prompt_file::{self, SamplePrompt};
use lorabake_generate::read_noise;
use lorabake_generate::sample::picture_dtypes;
use lorabake_generate::sample::{LARGEST_SCALE, LoraUse, Pipeline, Request, SIDES};
use lorabake_recipe::model::{Checkpoint, Family};
use lorabake_recipe::train::Precision;
use lorabake_recipe::train::device::Device;
use lorabake_weights::lora;

use crate::paint::{self, Job};
use crate::terminal::{self, Shown};

/// The options; their comments are the texts of `--help`.
#[derive(clap::Args)]
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
    /// What the picture should show; <lora:NAME:STRENGTH> adds a LoRA. May be given several times.
    #[arg(long, value_name = "TEXT", required_unless_present = "from_file", allow_hyphen_values = true)]
    prompt: Vec<String>,
    /// A file of prompts, one a line with --n, --w, --h, --d, --s, --l, --ss as sd-scripts reads them, or TOML or JSON.
    #[arg(long, value_name = "FILE", conflicts_with = "latent")]
    from_file: Option<PathBuf>,
    /// What it should not show.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, allow_hyphen_values = true)]
    negative_prompt: String,
    /// Folder in which LoRAs are looked up by name; may be given several times. [default: that of --out, and this one]
    #[arg(long, value_name = "FOLDER")]
    lora_dir: Vec<PathBuf>,
    /// Width in pixels, a multiple of 8. [default: 512, for SD2.x 768, for SDXL 1024; 128 with the model inside the
    /// program]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(sides()))]
    width: Option<u32>,
    /// Height in pixels, a multiple of 8. [default: as the width]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(sides()))]
    height: Option<u32>,
    /// Sampling steps: more take longer and may look finer.
    #[arg(long, value_name = "STEPS", default_value = "30", value_parser = steps)]
    steps: StepCount,
    /// How closely the prompt is followed; 1 = no guidance, and no use of the negative prompt.
    #[arg(long, value_name = "SCALE", default_value = "7.5", value_parser = scale)]
    cfg_scale: f64,
    /// Where randomness starts: the same seed and options give the same picture. [default: drawn at random]
    #[arg(long, value_name = "NUMBER", value_parser = seed)]
    seed: Option<u32>,
    /// Way from noise to picture, by its name in the web UI or in sd-scripts; ddim_diffusers is sd-scripts' ddim.
    #[arg(long, value_name = "NAME", default_value = "ddim_diffusers")]
    sampler: Sampler,
    /// Which layer of the text encoder is used, counted from its end: 2 for NAI and most anime models.
    #[arg(long, value_name = "1-23", default_value = "1", value_parser = clap::value_parser!(u8).range(1..=23))]
    clip_skip: u8,
    /// A .png file, numbered if there are several pictures, or a folder.
    #[arg(long, value_name = "PATH", default_value = "out")]
    out: PathBuf,
    /// Pictures per prompt, each with the next seed.
    #[arg(long, value_name = "PICTURES", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=10000))]
    count: u32,
    /// Paint every picture without and with its LoRAs, and write one labelled grid of them.
    #[arg(long)]
    compare: bool,
    /// Begin with the tensor `latent` (1, 4, height/8, width/8), unit normal, of a safetensors file, to compare programs.
    #[arg(long, value_name = "FILE")]
    latent: Option<PathBuf>,
    /// Processor threads to work with. [default: all cores]
    #[arg(long, value_name = "THREADS", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Arithmetic of the model: no (32-bit floats throughout), bf16 (weights in half the memory), or fp16, which is bf16 or
    /// fp16 on a GPU and no on the processor.
    #[arg(long, value_name = "no|bf16|fp16", default_value = "no", value_parser = precision)]
    mixed_precision: Precision,
    /// Where the networks are computed: auto, cpu, wgpu, vulkan, metal, cuda or rocm; cuda:1 is the second of several.
    /// `lorabake doctor` lists them.
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: Device,
}

/// Paints what `args` ask for.
///
/// # Errors
/// Whatever is wrong with options, prompts or files.
pub fn run(args: &Args) -> Result<ExitCode> {
    let which = args.checkpoint();
    let checkpoint = open_checkpoint(&which, args.vae.as_deref())?;
    checkpoint.notes().iter().for_each(|note| terminal::say(&format!("note: {note}")));
    let side = if which == Checkpoint::Embedded { 128 } else { checkpoint.family().side() };
    let shots = args.shots(side)?;
    let target = Target::new(&args.out, if args.compare { 1 } else { shots.len() })?;
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
        pool.build_global().context("--threads cannot be set")?;
    }
    let Opened { device, notes } = lorabake_device::open(args.device)?;
    notes.iter().for_each(|note| terminal::say(&format!("note: {note}")));
    let mut painter =
        Pipeline::load(&checkpoint, picture_dtypes(args.mixed_precision, args.mixed_precision, &device))?.on(device);
    if args.zero_terminal_snr {
        painter = painter.of_zero_terminal_snr();
    } else if args.v_parameterization {
        painter = painter.of_velocities();
    } else if checkpoint.family() == Family::Sd2 && checkpoint.prediction().is_none() {
        terminal::say(
            "note: this checkpoint of Stable Diffusion 2.x does not say what it predicts, so it is taken for one that \
             predicts noise; those for 768 pixels predict v and need --v_parameterization",
        );
    }
    let texts = shots.iter().flat_map(|shot| [&shot.request.prompt, &shot.request.negative_prompt]);
    for text in texts.collect::<BTreeSet<_>>() {
        if let cut @ 1.. = painter.cut_off(text) {
            terminal::say(&format!("note: the last {cut} tokens of \"{text}\" are not seen; 225 fit"));
        }
    }
    let loras = shots.iter().flat_map(|shot| shot.request.loras.iter().map(|lora| &lora.path));
    for path in loras.collect::<BTreeSet<_>>() {
        if let Some(note) = lora::note(path)? {
            terminal::say(&format!("note: {note}"));
        }
    }
    let model = model_name(&which);
    if args.compare {
        let sheet = paint::compare(&painter, &shots)?;
        let path = target.path(1, shots[0].request.seed);
        save(&path, &sheet, &paint::parameters(&shots[0], &model))?;
        terminal::result(&Shown(path.display()).to_string());
        return Ok(ExitCode::SUCCESS);
    }
    for (index, shot) in shots.iter().enumerate() {
        let picture = paint::paint(&painter, shot, &format!("picture {} of {}", index + 1, shots.len()))?;
        let path = target.path(index + 1, shot.request.seed);
        save(&path, &picture, &paint::parameters(shot, &model))?;
        terminal::result(&Shown(path.display()).to_string());
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn checkpoint(&self) -> Checkpoint {
        self.pretrained_model_name_or_path.clone().map_or(Checkpoint::Embedded, Checkpoint::File)
    }

    /// Every prompt with every seed.
    fn shots(&self, side: u32) -> Result<Vec<Job>> {
        let (noise, [width, height]) = self.start(side)?;
        let seed = self.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish() as u32);
        let base = Request {
            prompt: String::new(),
            negative_prompt: self.negative_prompt.clone(),
            loras: Vec::new(),
            width,
            height,
            steps: self.steps,
            cfg_scale: self.cfg_scale,
            seed: seed.into(),
            sampler: self.sampler,
            clip_skip: self.clip_skip.into(),
            noise,
        };
        let mut shots = Vec::new();
        for sample in self.prompts()? {
            let prompt = Prompt::parse(&sample.prompt)?;
            let (request, note) = sample.over(&base)?;
            prompt.note().into_iter().chain(note).for_each(|note| terminal::say(&format!("note: {note}")));
            if !Prompt::parse(&request.negative_prompt)?.loras.is_empty() {
                bail!("--negative_prompt: a LoRA there has no effect; put its <lora:…> into the prompt");
            }
            let loras = prompt.loras.iter().map(|tag| self.find(tag)).collect::<Result<_>>()?;
            let request = Request { prompt: prompt.text, loras, ..request };
            shots.extend((0..u64::from(self.count)).map(|index| {
                let seed = request.seed.wrapping_add(index);
                Job { typed: sample.prompt.clone(), request: Request { seed, ..request.clone() } }
            }));
        }
        Ok(shots)
    }

    /// Those of the command line, then those of the file.
    fn prompts(&self) -> Result<Vec<SamplePrompt>> {
        let typed = self.prompt.iter().map(|text| SamplePrompt { prompt: text.clone(), ..SamplePrompt::default() });
        let mut all: Vec<_> = typed.collect();
        if let Some(path) = &self.from_file {
            all.extend(prompt_file::read(path, "--from_file")?);
        }
        Ok(all)
    }

    /// The given noise, if any, and the size in pixels.
    fn start(&self, side: u32) -> Result<(Option<Vec<f32>>, [usize; 2])> {
        let width = self.width.or(self.height).unwrap_or(side) as usize;
        let height = self.height.map_or(width, |height| height as usize);
        let Some(path) = &self.latent else {
            if !width.is_multiple_of(8) || !height.is_multiple_of(8) {
                bail!("--width {width} --height {height}: both must be multiples of 8");
            }
            return Ok((None, [width, height]));
        };
        if self.count > 1 {
            bail!("--count {} with --latent: all pictures begin with the same noise; leave --count out", self.count);
        }
        let (noise, [rows, columns]) = read_noise(path)?;
        let size = [columns * 8, rows * 8];
        if (self.width.is_some() || self.height.is_some()) && size != [width, height] {
            bail!(
                "--latent {} is for {} by {} pixels; leave --width and --height out",
                path.display(),
                size[0],
                size[1]
            );
        }
        Ok((Some(noise), size))
    }

    fn find(&self, tag: &LoraTag) -> Result<LoraUse> {
        let beside = if self.out.extension().is_some() { self.out.parent() } else { Some(self.out.as_path()) };
        let beside = beside.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folders = match self.lora_dir.is_empty() {
            true => vec![beside.to_owned(), PathBuf::from(".")],
            false => self.lora_dir.clone(),
        };
        Ok(LoraUse { path: find_lora(&tag.name, &folders)?, strength: tag.strength })
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

fn sides() -> RangeInclusive<i64> {
    i64::from(*SIDES.start())..=i64::from(*SIDES.end())
}

fn seed(text: &str) -> Result<u32, String> {
    if text.starts_with('-') {
        return Err("leave --seed out for a random one".to_owned());
    }
    text.parse().map_err(|_| format!("it is not a whole number from 0 to {}", u32::MAX))
}

fn steps(text: &str) -> Result<StepCount, String> {
    let count: usize = text.parse().map_err(|_| "it is not a whole number".to_owned())?;
    StepCount::try_from(count).map_err(|error| error.to_string())
}

fn scale(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| (0.0..=LARGEST_SCALE).contains(value));
    value.ok_or_else(|| "it is not a number from 0 to 100".to_owned())
}

fn precision(text: &str) -> Result<Precision, String> {
    match text {
        "no" => Ok(Precision::No),
        "fp16" => Ok(Precision::Fp16),
        "bf16" => Ok(Precision::Bf16),
        _ => Err("use no, bf16 or fp16".to_owned()),
    }
}
