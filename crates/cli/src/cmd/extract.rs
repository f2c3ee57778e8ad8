//! `lorabake extract`: the difference of two models as a LoRA.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use lorabake_recipe::model::Family;
use lorabake_surgery::block::Block;
use lorabake_surgery::extract::{Distilled, Extract, Extracted, Keep, Kind, extract};
use lorabake_surgery::like::Like;
use lorabake_weights::checkpoint::Purpose;
use lorabake_weights::{Checkpoint, Part};

use crate::surgery_args::{OutputArgs, above_zero, finite, interrupted, no_net, percent, size};
use crate::terminal;

/// What follows `lorabake extract`.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    /// The model that was trained from.
    #[arg(long, value_name = "MODEL", alias = "model_org")]
    base: PathBuf,
    /// The model that came of it.
    #[arg(long, value_name = "MODEL", alias = "model_tuned")]
    tuned: PathBuf,
    /// The highest rank of matrices.
    #[arg(long, value_name = "RANK", alias = "dim", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rank: u32,
    /// The highest rank of convolutions; with it all layers of residual blocks are extracted (a LoCon), without it none.
    #[arg(long, value_name = "RANK", alias = "conv_dim", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    conv_rank: Option<u32>,
    /// The rank of each layer is what keeps this share of its energy (the sum of squares), up to --rank.
    #[arg(long, value_name = "SHARE", conflicts_with_all = ["ratio", "threshold", "size"])]
    energy: Option<f64>,
    /// Keeps singular values above this share of the largest, up to --rank.
    #[arg(long, value_name = "SHARE", conflicts_with_all = ["threshold", "size"])]
    ratio: Option<f64>,
    /// Keeps singular values above this, up to --rank.
    #[arg(long, value_name = "NUMBER", conflicts_with = "size", value_parser = above_zero)]
    threshold: Option<f64>,
    /// Ranks by which the file has this size, with the least error in all, up to --rank.
    #[arg(long, value_name = "64MB", value_parser = size)]
    size: Option<usize>,
    /// lora; lokr (a Kronecker product, its larger matrix of --rank); full (whole differences).
    #[arg(long, value_name = "lora|lokr|full", default_value = "lora", value_parser = ["lora", "lokr", "full"])]
    kind: String,
    /// Size of LoKr's smaller matrix. [default: as square as can be]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=4096))]
    factor: Option<u32>,
    /// Parts of the model, where they differ.
    #[arg(long, value_name = "unet,te1,te2", value_delimiter = ',', default_value = "unet,te1,te2")]
    parts: Vec<String>,
    /// Keeps what no LoRA holds, too, as whole differences: first and last layers, biases, norms.
    #[arg(long)]
    full_difference: bool,
    /// sd-scripts' cut of the largest entries of the factors, which weakens the LoRA; for its numbers only (0.99 there).
    #[arg(long, value_name = "QUANTILE")]
    clamp_quantile: Option<f64>,
    /// sd-scripts' test of text encoders: they count as the same if no entry differs by more (0.01 there).
    #[arg(long, value_name = "NUMBER", value_parser = finite)]
    min_diff: Option<f64>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Extracts what `args` ask for.
///
/// # Errors
/// Whatever is wrong with options or files.
pub fn run(args: &Args) -> Result<ExitCode> {
    no_net("--base", &args.base, "give the model that was trained from")?;
    no_net("--tuned", &args.tuned, "give the model that came of the training; to change a LoRA use `lorabake resize`")?;
    let family = Checkpoint::open_for(Purpose::Painting, &args.base, None)?.family();
    let request = request(args)?;
    let output = args.output.output();
    let metadata = metadata(args, family);
    let done = args.output.run("extracting", |watch| extract(&request, &output, metadata, watch))?;
    let Some(distilled) = done else { return Ok(interrupted()) };
    terminal::say_lines(&table(&distilled, family).join("\n"));
    Ok(args.output.told(&distilled.notes))
}

fn request(args: &Args) -> Result<Extract> {
    for (name, value) in [("--energy", args.energy), ("--ratio", args.ratio), ("--clamp_quantile", args.clamp_quantile)]
    {
        if value.is_some_and(|value| !(value > 0.0 && value <= 1.0)) {
            bail!("{name}: it is a share; write a number above 0 and at most 1");
        }
    }
    let keep = match (args.energy, args.ratio, args.threshold, args.size) {
        (Some(share), ..) => Keep::Energy(share),
        (_, Some(share), ..) => Keep::Ratio(share),
        (_, _, Some(least), _) => Keep::Threshold(least),
        (_, _, _, Some(bytes)) => Keep::Bytes(bytes),
        _ => Keep::Most,
    };
    if args.factor.is_some() && args.kind != "lokr" {
        bail!("--factor: it is LoKr's; give --kind lokr, or leave it out");
    }
    let mut parts = Vec::new();
    for name in &args.parts {
        parts.push(match name.trim() {
            "unet" => Part::Unet,
            "te" | "te1" => Part::TextEncoder,
            "te2" => Part::TextEncoder2,
            other => bail!("--parts: `{other}` is none; there are unet, te1 and te2"),
        });
    }
    Ok(Extract {
        base: args.base.clone(),
        tuned: args.tuned.clone(),
        kind: match args.kind.as_str() {
            "lokr" => Kind::Lokr(args.factor.map(|factor| factor as usize)),
            "full" => Kind::Full,
            _ => Kind::Lora,
        },
        keep,
        keep_conv: None,
        rank: args.rank as usize,
        conv_rank: args.conv_rank.map(|rank| rank as usize),
        parts,
        full_difference: args.full_difference,
        like: if args.clamp_quantile.is_some() { Like::SdScripts } else { Like::Ours },
        clamp_quantile: args.clamp_quantile,
        min_diff: args.min_diff,
        tucker: false,
    })
}

/// sd-scripts' metadata of such a LoRA.
fn metadata(args: &Args, family: Family) -> BTreeMap<String, String> {
    let title = args.output.output.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let rank = if args.size.is_some() { "Dynamic".to_owned() } else { args.rank.to_string() };
    let (version, architecture, v2) = match family {
        Family::Sd1 => ("sd_v1", "stable-diffusion-v1/lora", "False"),
        Family::Sd2 => ("sd_v2", "stable-diffusion-v2-512/lora", "True"),
        Family::Sdxl => ("sdxl_base_v1-0", "stable-diffusion-xl-v1-base/lora", "False"),
    };
    let module = if args.kind == "lora" { "networks.lora" } else { "lycoris.kohya" };
    let mut entries = vec![
        ("ss_v2", v2.to_owned()),
        ("ss_base_model_version", version.to_owned()),
        ("ss_network_module", module.to_owned()),
        ("ss_network_dim", rank.clone()),
        ("ss_network_alpha", rank),
        ("ss_output_name", title.clone()),
        ("modelspec.sai_model_spec", "1.0.1".to_owned()),
        ("modelspec.architecture", architecture.to_owned()),
        ("modelspec.title", title),
    ];
    if let Some(conv) = args.conv_rank {
        let numbers = format!("{{\"conv_dim\": \"{conv}\", \"conv_alpha\": \"{conv}\"}}");
        entries.push(("ss_network_args", numbers));
    }
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// How much of the difference is kept, block by block.
fn table(distilled: &Distilled, family: Family) -> Vec<String> {
    let mut blocks: BTreeMap<(usize, String), Vec<&Extracted>> = BTreeMap::new();
    let order = Block::all(family);
    for layer in &distilled.layers {
        let name = match layer.part {
            Part::TextEncoder => (0, "TE".to_owned()),
            Part::TextEncoder2 => (1, "TE2".to_owned()),
            _ => {
                let block = Block::of_module(&layer.module, family);
                (2 + order.iter().position(|own| *own == block).unwrap_or(0), block.to_string())
            }
        };
        blocks.entry(name).or_default().push(layer);
    }
    let mut lines = vec![format!("  {:<8}{:>8}  {:<12}{:>12}{:>12}", "block", "layers", "ranks", "‖D‖/‖W‖", "kept")];
    let all: Vec<&Extracted> = distilled.layers.iter().collect();
    for ((_, name), layers) in &blocks {
        lines.push(line(name, layers));
    }
    lines.push(line("all", &all));
    let energy: f64 = all.iter().map(|layer| layer.energy).sum();
    let share = distilled.elsewhere / (distilled.elsewhere + energy).max(f64::MIN_POSITIVE);
    if share > 0.0 {
        lines.push(format!(
            "  {} of the whole difference's energy is in norms, biases and other layers, which a LoRA does not hold",
            percent(share)
        ));
    }
    lines
}

fn line(name: &str, layers: &[&Extracted]) -> String {
    let sum = |of: fn(&Extracted) -> f64| layers.iter().map(|layer| of(layer)).sum::<f64>();
    let weight = sum(|layer| layer.weight);
    let energy = sum(|layer| layer.energy);
    let kept = (1.0 - sum(|layer| layer.lost) / energy.max(f64::MIN_POSITIVE)).max(0.0);
    let ranks: Vec<usize> = layers.iter().filter_map(|layer| layer.rank).collect();
    let ranks = match (ranks.iter().min(), ranks.iter().max()) {
        (Some(least), Some(most)) if least == most => least.to_string(),
        (Some(least), Some(most)) => format!("{least} to {most}"),
        _ => "whole".to_owned(),
    };
    let change = (energy / weight.max(f64::MIN_POSITIVE)).sqrt();
    format!("  {name:<8}{:>8}  {ranks:<12}{change:>12.6}{:>12}", layers.len(), percent(kept))
}
