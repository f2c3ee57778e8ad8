//! `lorabake merge`: LoRAs into a model, LoRAs with each other, models with each other.

mod files;
mod models;
mod nets;
mod recipe;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use lorabake_surgery::like::Like;
use lorabake_surgery::target::Layout;
use lorabake_weights::file_kind::{self, FileKind};
use lorabake_weights::formats::tensor_file::TensorFile;

use crate::surgery_args::{OutputArgs, finite, for_diffusers, no_model, no_net};

/// What follows `lorabake merge`.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    /// LoRAs of any kind, each with its strength and maybe blocks, or two or three models. Blocks are a preset (MIDD, OUTS and
    /// so on; it multiplies the strength) or 12, 17, 20 or 26 numbers (which stand for themselves). te=0.5 and unet=1 set
    /// the strength of each part. Several may stand in one word with commas, as supermerger has them.
    #[arg(value_name = "FILE[:RATIO[:BLOCKS]]", required_unless_present = "recipe")]
    pub files: Vec<String>,
    /// The model that LoRAs are merged into: a file or a folder of diffusers. Without it they are merged with each other.
    #[arg(long, value_name = "MODEL", alias = "sd_model")]
    pub into: Option<PathBuf>,
    /// Writes a model as a folder that diffusers opens, for which --output is its name. [default: one file]
    #[arg(long, value_name = "diffusers", value_parser = ["diffusers"])]
    pub to: Option<String>,
    /// Strengths of all files, in their order, instead of those behind colons; of models their shares of a sum.
    #[arg(long, value_name = "RATIO", num_args = 1.., allow_negative_numbers = true, value_parser = finite)]
    pub ratios: Vec<f64>,
    /// A file with presets of blocks, one a line: NAME:1,0.5,…
    #[arg(long, value_name = "FILE")]
    pub presets: Option<PathBuf>,
    /// Reproduces another tool's numbers with what is wrong in them: sd-scripts (LoRAs with each other: ratios squared, factors
    /// mixed), lycoris (LoHa and LoKr scaled twice), supermerger (biases in full).
    #[arg(long, value_name = "sd-scripts|lycoris|supermerger")]
    pub like: Option<Like>,
    /// Runs a merge that a file says: TOML with these options, as a merged file keeps it (`lorabake inspect --recipe`).
    /// Options of the command line win.
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    #[command(flatten)]
    pub nets: nets::NetArgs,
    #[command(flatten)]
    pub models: models::ModelArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Merges what `args` ask for.
///
/// # Errors
/// Whatever is wrong with options or files.
pub fn run(args: &Args) -> Result<ExitCode> {
    let args = match &args.recipe {
        Some(path) => recipe::with_recipe(args, path)?,
        None => args.clone(),
    };
    if let Some(model) = &args.into {
        no_net("--into", model, "give the model here and LoRAs without an option in front")?;
        for spec in files::specs(&args)? {
            no_model(&spec.path, "with --into only LoRAs are merged; leave --into out to merge models")?;
        }
        args.models.refuse_for_nets()?;
        return nets::into_model(&args);
    }
    let specs = files::specs(&args)?;
    let models = specs.iter().filter(|spec| is_model(&spec.path)).count();
    if models == 0 {
        args.models.refuse_for_nets()?;
        if args.to.is_some() {
            bail!(
                "--to: it is for models, and these are LoRAs; merge them, then use `lorabake convert --to diffusers`"
            );
        }
        return nets::with_each_other(&args);
    }
    if specs.len() == 1 {
        bail!("merge: there is one model and nothing to merge with it; give another, or LoRAs and the model by --into");
    }
    if models < specs.len() {
        bail!("merge: some of the files are models and some LoRAs; give the model by --into");
    }
    args.nets.refuse_for_models()?;
    models::with_each_other(&args, &specs)
}

impl Args {
    /// How a model lies where it goes.
    fn layout(&self) -> Layout<'static> {
        if self.to.is_some() { for_diffusers() } else { Layout::File }
    }
}

/// Whether a path is that of a model: a folder, or a file with one in it.
fn is_model(path: &Path) -> bool {
    if path.is_dir() {
        return true;
    }
    TensorFile::open(path).is_ok_and(|file| file_kind::kind(&file.into()) == FileKind::Checkpoint)
}
