//! `lorabake convert`: LoRAs in another naming or in part, models as one pruned file or a folder of diffusers.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use lorabake_recipe::count;
use lorabake_recipe::model::Family;
use lorabake_surgery::block::Block;
use lorabake_surgery::convert::bundle::{Added, unbundle};
use lorabake_surgery::convert::models::{Averages, ConvertModel, Pruned, convert_model};
use lorabake_surgery::convert::nets::{Alpha, ConvertNet, Converted, Form, convert_net};
use lorabake_surgery::target::{Layout, Target};
use lorabake_weights::Part;
use lorabake_weights::file_kind::{self, FileKind};
use lorabake_weights::formats::tensor_file::TensorFile;

use crate::surgery_args::{OutputArgs, for_diffusers, interrupted};
use crate::terminal::{self, Shown};

/// What follows `lorabake convert`.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    /// A LoRA; or a model: .safetensors, .ckpt, or a folder of diffusers, which becomes one file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Names of a LoRA's result: kohya (for web UIs), diffusers (for diffusers and PEFT; alphas go into the factors, as all of
    /// its versions read them), comfyui. Of a model: diffusers makes a folder, for which --output is its name. [default: kohya,
    /// one file]
    #[arg(long, value_name = "kohya|diffusers|comfyui", value_parser = ["kohya", "diffusers", "comfyui"])]
    to: Option<String>,
    /// Parts that stay: of a LoRA unet, te1, te2; of a model vae too. [default: all]
    #[arg(long, value_name = "unet,te1,te2,vae", value_delimiter = ',')]
    parts: Vec<String>,
    #[command(flatten)]
    net: NetArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Options of LoRAs alone.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "LoRAs")]
struct NetArgs {
    /// The family, where the file does not tell it.
    #[arg(long, value_name = "sd1|sd2|sdxl", value_parser = ["sd1", "sd2", "sdxl"])]
    family: Option<String>,
    /// Blocks that stay, with commas between: BASE (text encoders), IN00 to OUT11, M00.
    #[arg(long, value_name = "BLOCKS", value_delimiter = ',')]
    blocks: Vec<String>,
    /// Multiplies the strength, so that another number than 1 becomes the usual one.
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    scale: Option<f64>,
    /// Sets alphas, to a number or to the rank of each module; what the LoRA does stays.
    #[arg(long, value_name = "NUMBER|rank", value_parser = alpha)]
    alpha: Option<Alpha>,
    /// Puts an embedding (textual inversion) into the file, so that a prompt with the LoRA knows NAME; may be given several
    /// times. Without NAME= it is called as its file.
    #[arg(long, value_name = "[NAME=]FILE", value_parser = Added::parse)]
    add_embedding: Vec<Added>,
    /// Writes the embeddings that lie in the file as files of their own into this folder, too.
    #[arg(long, value_name = "FOLDER")]
    embeddings_to: Option<PathBuf>,
    /// Leaves out embeddings that lie in the file.
    #[arg(long)]
    without_embeddings: bool,
}

/// Options of models alone.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "Models")]
struct ModelArgs {
    /// A VAE in the place of its own.
    #[arg(long, value_name = "FILE", alias = "vae")]
    vae_file: Option<PathBuf>,
    /// Averages of weights (EMA): drop, keep, or use them in the place of the weights. [default: drop]
    #[arg(long, value_name = "drop|keep|use", value_parser = ["drop", "keep", "use"])]
    ema: Option<String>,
    /// Keeps what belongs to no part of the model.
    #[arg(long)]
    keep_all: bool,
}

fn alpha(text: &str) -> Result<Alpha, String> {
    if text == "rank" {
        return Ok(Alpha::Rank);
    }
    match text.parse::<f64>() {
        Ok(alpha) if alpha > 0.0 && alpha.is_finite() => Ok(Alpha::To(alpha)),
        _ => Err("write a number above 0, or rank".to_owned()),
    }
}

/// Converts what `args` ask for.
///
/// # Errors
/// Whatever is wrong with options or files.
pub fn run(args: &Args) -> Result<ExitCode> {
    let is_folder = args.file.is_dir();
    if is_folder || file_kind::kind(&TensorFile::open(&args.file)?.into()) == FileKind::Checkpoint {
        return model(args);
    }
    net(args)
}

fn parts(args: &Args, all: &[Part]) -> Result<Vec<Part>> {
    if args.parts.is_empty() {
        return Ok(all.to_vec());
    }
    let mut parts = Vec::new();
    for name in &args.parts {
        let part = match name.trim() {
            "unet" => Part::Unet,
            "te" | "te1" => Part::TextEncoder,
            "te2" => Part::TextEncoder2,
            "vae" => Part::Vae,
            other => bail!("--parts: `{other}` is none; there are unet, te1, te2 and vae"),
        };
        if !all.contains(&part) {
            bail!("--parts: a LoRA has no {part}; leave it out");
        }
        parts.push(part);
    }
    Ok(parts)
}

fn model(args: &Args) -> Result<ExitCode> {
    let NetArgs { family, blocks, scale, alpha, add_embedding, embeddings_to, without_embeddings } = &args.net;
    let given = [
        ("--family", family.is_some()),
        ("--blocks", !blocks.is_empty()),
        ("--scale", scale.is_some()),
        ("--alpha", alpha.is_some()),
        ("--add_embedding", !add_embedding.is_empty()),
        ("--embeddings_to", embeddings_to.is_some()),
        ("--without_embeddings", *without_embeddings),
    ];
    if let Some((option, _)) = given.iter().find(|(_, given)| *given) {
        bail!("{option}: it is for LoRAs, and this is a model; leave it out");
    }
    let request = ConvertModel {
        path: args.file.clone(),
        vae: args.model.vae_file.clone(),
        parts: parts(args, &Part::ALL)?,
        prune: !args.model.keep_all,
        averages: match args.model.ema.as_deref() {
            Some("keep") => Averages::Keep,
            Some("use") => Averages::Use,
            _ => Averages::Drop,
        },
    };
    let output = args.output.output();
    let layout = match args.to.as_deref() {
        None => Layout::File,
        Some("diffusers") => for_diffusers(),
        Some(other) => {
            bail!("--to: {other} is for LoRAs, and this is a model; give diffusers for a folder, or leave it out")
        }
    };
    let target = Target { output: &output, layout };
    let done = args.output.run("converting", |watch| convert_model(&request, target, watch))?;
    let Some(Pruned { tensors, left, notes }) = done else { return Ok(interrupted()) };
    terminal::say(&format!("{} written, {left} left out", count(tensors, "tensor")));
    Ok(args.output.told(&notes))
}

fn net(args: &Args) -> Result<ExitCode> {
    let ModelArgs { vae_file, ema, keep_all } = &args.model;
    let given = [("--vae_file", vae_file.is_some()), ("--ema", ema.is_some()), ("--keep_all", *keep_all)];
    if let Some((option, _)) = given.iter().find(|(_, given)| *given) {
        bail!("{option}: it is for models, and this is a LoRA; leave it out");
    }
    let own = &args.net;
    let mut blocks = Vec::new();
    for name in &own.blocks {
        let block = Block::parse(name);
        blocks.push(block.ok_or_else(|| anyhow!("--blocks: `{name}` is none; there are BASE, IN00 to OUT11 and M00"))?);
    }
    let scale = own.scale.unwrap_or(1.0);
    if !scale.is_finite() || scale == 0.0 {
        bail!("--scale: {scale} leaves nothing; give another number");
    }
    let request = ConvertNet {
        path: args.file.clone(),
        form: match args.to.as_deref() {
            Some("diffusers") => Form::Diffusers,
            Some("comfyui") => Form::Comfyui,
            _ => Form::Kohya,
        },
        family: own.family.as_deref().map(|family| match family {
            "sdxl" => Family::Sdxl,
            "sd2" => Family::Sd2,
            _ => Family::Sd1,
        }),
        parts: parts(args, &Part::ADAPTED)?,
        blocks,
        scale,
        alpha: own.alpha.unwrap_or(Alpha::Same),
        embeddings: !own.without_embeddings,
        added: own.add_embedding.clone(),
    };
    let Converted { kept, left, embeddings_left } = convert_net(&request, &args.output.output())?;
    terminal::say(&format!("{} written, {left} left out", count(kept, "module")));
    if let Some(folder) = &own.embeddings_to {
        for file in unbundle(&args.file, folder, args.output.overwrite)? {
            terminal::say(&format!("embedding: {}", Shown(file.display())));
        }
    }
    let mut notes = Vec::new();
    if embeddings_left > 0 {
        let left = count(embeddings_left, "embedding");
        notes.push(format!(
            "{left} of the file left out, since this naming has none; --embeddings_to FOLDER keeps them"
        ));
    }
    Ok(args.output.told(&notes))
}
