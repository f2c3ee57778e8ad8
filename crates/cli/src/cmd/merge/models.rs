//! Models with each other.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use lorabake_recipe::count;
use lorabake_recipe::model::Family;
use lorabake_surgery::block::BlockWeights;
use lorabake_surgery::merge::into_model::Merged;
use lorabake_surgery::merge::models::modes::Mode;
use lorabake_surgery::merge::models::presets as model_presets;
use lorabake_surgery::merge::models::ratio::{Choice, Chosen, Ratio, elements};
use lorabake_surgery::merge::models::{How, MergeModels, VaeChoice, merge_models};
use lorabake_surgery::spec::Spec;
use lorabake_surgery::target::Target;
use lorabake_weights::Checkpoint;
use lorabake_weights::checkpoint::Purpose;

use super::{Args, files, recipe};
use crate::surgery_args::{finite, interrupted};
use crate::terminal;

/// Options of models alone.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "Models")]
pub struct ModelArgs {
    /// How models A, B and C become one: sum A(1−α)+Bα; add A+(B−C)α; triple A(1−α−β)+Bα+Cβ; twice (A(1−α)+Bα)(1−β)+Cβ;
    /// cosine_a, cosine_b: A where it is like B; train: A + what B learnt since C; smooth: add, smoothed; extract: what B and
    /// C share of their differences from A (β 0), or do not (β 1); tensor, tensor2: rows or columns of B. [default: sum]
    #[arg(long, value_name = "NAME")]
    pub mode: Option<ModeName>,
    /// α. [default: 0.5; 1 for add, train and smooth]
    #[arg(long, value_name = "RATIO", allow_negative_numbers = true, value_parser = finite)]
    pub alpha: Option<f64>,
    /// β. [default: 0]
    #[arg(long, value_name = "RATIO", allow_negative_numbers = true, value_parser = finite)]
    pub beta: Option<f64>,
    /// How much likeness counts in --mode extract. [default: 1]
    #[arg(long, value_name = "POWER", value_parser = finite)]
    pub gamma: Option<f64>,
    /// α by block: 20 (SDXL) or 26 numbers, the text encoders' first, or a preset: GRAD_V, GRAD_A, FLAT_25, WRAP12, MID12_50,
    /// OUT07, SMOOTHSTEP and so on.
    #[arg(long, value_name = "PRESET|NUMBERS", allow_hyphen_values = true)]
    pub alpha_blocks: Option<String>,
    /// β by block.
    #[arg(long, value_name = "PRESET|NUMBERS", allow_hyphen_values = true)]
    pub beta_blocks: Option<String>,
    /// α of single tensors, as supermerger has it: BLOCKS:ELEMENTS:RATIO, several with commas, such as
    /// "IN05-OUT05:attn1 attn2:0.3,M00:NOT attn1:0".
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub elements: Option<String>,
    /// Merges only these blocks and parts of names, several with commas: "M00,attn2".
    #[arg(long, value_name = "TEXT", conflicts_with = "exclude")]
    pub include: Option<String>,
    /// Leaves these blocks and parts of names to A.
    #[arg(long, value_name = "TEXT")]
    pub exclude: Option<String>,
    /// supermerger's eight numbers for detail, contrast, brightness and colours: "1,0,0,0.5,0,0,0,0".
    #[arg(long, value_name = "NUMBERS", allow_hyphen_values = true)]
    pub adjust: Option<String>,
    /// A VAE for the result: its file or folder. Without it the result has A's.
    #[arg(long, value_name = "FILE", alias = "vae")]
    pub vae_file: Option<PathBuf>,
    /// Merges the VAE too, which greys pictures if the two are different ones.
    #[arg(long, conflicts_with = "vae_file")]
    pub merge_vae: bool,
    /// Keeps averaged weights (EMA) of the model that LoRAs are merged into; they know nothing of the LoRAs.
    #[arg(long)]
    pub keep_ema: bool,
}

/// The name of a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeName(&'static str);

/// All names.
const MODES: [&str; 11] =
    ["sum", "add", "triple", "twice", "cosine_a", "cosine_b", "train", "smooth", "extract", "tensor", "tensor2"];

impl FromStr for ModeName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let name = name.replace('-', "_").to_lowercase();
        let known = MODES.iter().find(|known| **known == name);
        known.map(|name| Self(name)).ok_or_else(|| format!("there are {}", MODES.join(", ")))
    }
}

impl ModeName {
    /// The name, as it is typed.
    pub fn name(self) -> &'static str {
        self.0
    }

    fn mode(self, gamma: f64) -> Mode {
        match self.0 {
            "add" => Mode::AddDifference,
            "triple" => Mode::TripleSum,
            "twice" => Mode::SumTwice,
            "cosine_a" => Mode::CosineA,
            "cosine_b" => Mode::CosineB,
            "train" => Mode::TrainDifference,
            "smooth" => Mode::SmoothAdd,
            "extract" => Mode::Extract { gamma },
            "tensor" => Mode::Tensor,
            "tensor2" => Mode::TensorColumns,
            _ => Mode::WeightedSum,
        }
    }
}

impl ModelArgs {
    /// Refuses what LoRAs have no use for.
    ///
    /// # Errors
    /// When such an option was given.
    pub fn refuse_for_nets(&self) -> Result<()> {
        let given = [
            ("--mode", self.mode.is_some()),
            ("--alpha", self.alpha.is_some() || self.alpha_blocks.is_some()),
            ("--beta", self.beta.is_some() || self.beta_blocks.is_some()),
            ("--gamma", self.gamma.is_some()),
            ("--elements", self.elements.is_some()),
            ("--include", self.include.is_some()),
            ("--exclude", self.exclude.is_some()),
            ("--adjust", self.adjust.is_some()),
            ("--merge_vae", self.merge_vae),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((option, _)) => bail!("{option}: it is for models, and these are LoRAs; leave it out"),
            None => Ok(()),
        }
    }

    fn chosen(&self) -> Chosen {
        match (&self.include, &self.exclude) {
            (Some(text), _) => Chosen::parse(Choice::Include, text),
            (None, Some(text)) => Chosen::parse(Choice::Exclude, text),
            (None, None) => Chosen::default(),
        }
    }
}

/// Reads numbers with commas between.
fn numbers(option: &str, text: &str) -> Result<Vec<f64>> {
    let numbers: Result<Vec<f64>, _> = text.split(',').map(finite).collect();
    numbers.map_err(|_| anyhow!("{option}: `{text}` is no list of numbers; write them with commas"))
}

/// Numbers by block: a preset's, or a list.
fn blocks(option: &str, text: &str, args: &Args, family: Family) -> Result<BlockWeights> {
    let list = if text.contains(',') {
        numbers(option, text)?
    } else if let Some(numbers) = model_presets::preset(text, family) {
        numbers
    } else if args.presets.is_some() {
        files::presets(args)?.get(text).map_err(|what| anyhow!("{option}: {what}"))?.to_vec()
    } else {
        let names = model_presets::NAMES.join(", ");
        bail!("{option}: `{text}` is no preset; there are {names}, and those of --presets FILE");
    };
    BlockWeights::of_list(&list, family, 0.0).map_err(|what| anyhow!("{option}: {what}"))
}

/// Merges models.
///
/// # Errors
/// Whatever is wrong with options or files.
pub fn with_each_other(args: &Args, specs: &[Spec]) -> Result<ExitCode> {
    let own = &args.models;
    let paths: Vec<PathBuf> = specs.iter().map(|spec| spec.path.clone()).collect();
    let family = Checkpoint::open_for(Purpose::Painting, &paths[0], None)?.family();
    let how = how(args, specs, family)?;
    let adjust = match &own.adjust {
        None => None,
        Some(text) => {
            let numbers = <[f64; 8]>::try_from(numbers("--adjust", text)?);
            Some(numbers.map_err(|_| anyhow!("--adjust: it takes eight numbers; look at --help"))?)
        }
    };
    let vae = match &own.vae_file {
        Some(path) => VaeChoice::From(path.clone()),
        None if own.merge_vae => VaeChoice::Merged,
        None => VaeChoice::First,
    };
    let metadata = recipe::of_model(args, &paths[0])?;
    let request =
        MergeModels { models: paths, how, chosen: own.chosen(), vae, adjust, like: args.like.unwrap_or_default() };
    let output = args.output.output();
    let target = Target { output: &output, layout: args.layout() };
    let merged = args.output.run("merging", |watch| merge_models(&request, target, metadata, watch))?;
    let Some(Merged { changed, tensors, notes }) = merged else { return Ok(interrupted()) };
    terminal::say(&format!("{changed} of {} merged", count(tensors, "tensor")));
    Ok(args.output.told(&notes))
}

/// The formula, or the shares.
fn how(args: &Args, specs: &[Spec], family: Family) -> Result<How> {
    let own = &args.models;
    if !args.ratios.is_empty() {
        if own.mode.is_some() || own.alpha.is_some() || own.alpha_blocks.is_some() {
            bail!("--ratios: they are the shares of a sum; leave --mode and --alpha out, or --ratios");
        }
        return Ok(How::Shares(args.ratios.clone()));
    }
    if let Some(spec) = specs.iter().find(|spec| spec.ratio != 1.0 || spec.blocks.is_some()) {
        bail!("{}: a model has no ratio behind a colon; give --alpha, or --ratios for all", spec.path.display());
    }
    let mode = own.mode.unwrap_or(ModeName("sum")).mode(own.gamma.unwrap_or(1.0));
    let needed = if mode.needs_third() { 3 } else { 2 };
    if specs.len() != needed {
        let name = own.mode.map_or("sum", ModeName::name);
        bail!(
            "--mode {name}: it takes {needed} models, there are {}; give --ratios for a sum of any number",
            specs.len()
        );
    }
    if (own.beta.is_some() || own.beta_blocks.is_some()) && !mode.reads_beta() {
        bail!("--beta: --mode {} has none; leave it out", own.mode.map_or("sum", ModeName::name));
    }
    let usual = if matches!(mode, Mode::AddDifference | Mode::TrainDifference | Mode::SmoothAdd) { 1.0 } else { 0.5 };
    let mut alpha = Ratio::everywhere(own.alpha.unwrap_or(usual));
    let mut beta = Ratio::everywhere(own.beta.unwrap_or(0.0));
    if let Some(text) = &own.alpha_blocks {
        alpha.blocks = Some(blocks("--alpha_blocks", text, args, family)?);
    }
    if let Some(text) = &own.beta_blocks {
        beta.blocks = Some(blocks("--beta_blocks", text, args, family)?);
    }
    if let Some(text) = &own.elements {
        alpha.elements = elements(text, family).map_err(|what| anyhow!("--elements: {what}"))?;
    }
    Ok(How::Formula { mode, alpha, beta })
}
