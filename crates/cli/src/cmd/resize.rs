//! `lorabake resize`: a LoRA of another rank or size, and plain LoRAs of other kinds.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use lorabake_surgery::rank::RankRule;
use lorabake_surgery::resize::importance::Importance;
use lorabake_surgery::resize::{DyloraScale, Resize, Resized, Target, cut_dylora, resize};

use crate::surgery_args::{OutputArgs, above_zero, interrupted, no_model, no_net, percent, size};
use crate::terminal;

/// What follows `lorabake resize`.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    /// The LoRA, of any kind: LoHa, LoKr and others become plain LoRAs, exactly if the rank allows it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The rank, or with --dynamic_method the highest one.
    #[arg(long, value_name = "RANK", alias = "new_rank", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rank: Option<u32>,
    /// The same for convolutions. [default: --rank]
    #[arg(long, value_name = "RANK", alias = "new_conv_rank", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    conv_rank: Option<u32>,
    /// Finds the rank of each module as sd-scripts does: sv_ratio (singular values above the largest divided by
    /// --dynamic_param), sv_fro, sv_cumulative (as many as keep that share of the norm, or of the sum).
    #[arg(long, value_name = "NAME", value_parser = ["sv_ratio", "sv_fro", "sv_cumulative"], requires = "dynamic_param")]
    dynamic_method: Option<String>,
    /// The number of --dynamic_method.
    #[arg(long, value_name = "NUMBER", requires = "dynamic_method")]
    dynamic_param: Option<f64>,
    /// Ranks by which the file has this size, with the least error in all.
    #[arg(long, value_name = "64MB", value_parser = size, conflicts_with_all = ["rank", "conv_rank", "dynamic_method"])]
    size: Option<usize>,
    /// Keeps what matters against the model, as elias-gaeros' resize_lora has it: every singular direction has a score,
    /// log10 of it less those of fro_ckpt, spn_ckpt, subspace, fro_lora, spn_lora or params with their weights, and stays
    /// from thr on, or until size (MiB) is reached: "fro_ckpt=1,thr=-3.5".
    #[arg(long, value_name = "RECIPE", conflicts_with_all = ["rank", "conv_rank", "dynamic_method", "size"])]
    importance: Option<Importance>,
    /// The model that the LoRA was made for; kinds that change weights in proportion need it (DoRA, IA3, OFT, GLoRA).
    #[arg(long, value_name = "MODEL")]
    base: Option<PathBuf>,
    /// The largest norm that a module's change may have; larger ones are made smaller.
    #[arg(long, value_name = "NORM", value_parser = above_zero)]
    max_norm: Option<f64>,
    /// Cuts a DyLoRA to its first ranks, which were trained for that. How strong they are then: train (as the training ran
    /// them), file (as inside the whole), kohya (as sd-scripts cuts them, R/r times as strong as inside).
    #[arg(long, value_name = "train|file|kohya", num_args = 0..=1, default_missing_value = "train", require_equals = true)]
    dylora: Option<DyloraScale>,
    /// Prints a line for each module.
    #[arg(long)]
    verbose: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Resizes what `args` ask for.
///
/// # Errors
/// Whatever is wrong with options or files.
pub fn run(args: &Args) -> Result<ExitCode> {
    no_model(&args.file, "a model is made smaller by `lorabake convert --save_precision fp16`")?;
    if let Some(base) = &args.base {
        no_net("--base", base, "give the model that the LoRA was made for")?;
    }
    let output = args.output.output();
    if let Some(scale) = args.dylora {
        let Some(rank) = args.rank else { bail!("--dylora: it cuts to a rank; give it by --rank") };
        if args.size.is_some() || args.dynamic_method.is_some() || args.base.is_some() || args.max_norm.is_some() {
            bail!("--dylora: it only cuts; leave --dynamic_method, --size, --base and --max_norm out");
        }
        let notes = cut_dylora(&args.file, rank as usize, scale, &output)?;
        return Ok(args.output.told(&notes));
    }
    let request =
        Resize { path: args.file.clone(), target: target(args)?, base: args.base.clone(), max_norm: args.max_norm };
    let Some(rows) = args.output.run("resizing", |watch| resize(&request, &output, watch))? else {
        return Ok(interrupted());
    };
    if args.verbose {
        for row in &rows {
            terminal::say(&line(row));
        }
    }
    terminal::say(&summary(&rows));
    Ok(args.output.told(&[]))
}

fn target(args: &Args) -> Result<Target> {
    if let Some(importance) = &args.importance {
        if importance.reads_model() && args.base.is_none() {
            bail!("--importance: it is measured by the model; give it by --base");
        }
        return Ok(Target::Importance(importance.clone()));
    }
    if let Some(bytes) = args.size {
        return Ok(Target::Bytes(bytes));
    }
    let (rule, most) = match (args.dynamic_method.as_deref(), args.dynamic_param) {
        (Some(method), Some(number)) => {
            let is_ratio = method == "sv_ratio";
            if !number.is_finite() || number <= 0.0 || (is_ratio && number < 1.0) || (!is_ratio && number > 1.0) {
                let range = if is_ratio { "1 or more" } else { "more than 0 and at most 1" };
                bail!("--dynamic_param: {method} takes {range}, not {number}");
            }
            let rule = match method {
                "sv_fro" => RankRule::Frobenius(number),
                "sv_cumulative" => RankRule::Cumulative(number),
                _ => RankRule::Ratio(number),
            };
            (rule, args.rank.map_or(usize::MAX, |rank| rank as usize))
        }
        _ => match args.rank {
            Some(rank) => (RankRule::Fixed, rank as usize),
            None => bail!("resize: how large? give --rank, --size, --importance or --dynamic_method"),
        },
    };
    let conv_rank = args.conv_rank.map_or(most, |rank| rank as usize);
    Ok(Target::Rule { rule, rank: most, conv_rank })
}

/// A module in a line, in sd-scripts' words.
fn line(row: &Resized) -> String {
    format!(
        "{:75} | sum(S) retained: {:.1}%, fro retained: {:.1}%, max(S) ratio: {:.1}, dim: {} -> {}, alpha: {:.4}",
        row.module,
        row.kept_sum * 100.0,
        row.kept_norm * 100.0,
        row.ratio,
        row.old_rank,
        row.rank,
        row.alpha
    )
}

/// All modules in a line.
fn summary(rows: &[Resized]) -> String {
    let energy: f64 = rows.iter().map(|row| row.norm * row.norm).sum();
    let lost: f64 = rows.iter().map(|row| row.lost * row.lost).sum();
    let kept = if energy > 0.0 { (1.0 - lost / energy).max(0.0).sqrt() } else { 1.0 };
    let least = rows.iter().map(|row| row.rank).min().unwrap_or(0);
    let most = rows.iter().map(|row| row.rank).max().unwrap_or(0);
    let worst = rows.iter().min_by(|a, b| a.kept_norm.total_cmp(&b.kept_norm));
    let worst = worst.map_or(String::new(), |row| format!("; least of {}: {}", row.module, percent(row.kept_norm)));
    format!("{} modules, ranks {least} to {most}; {} of the norm is kept{worst}", rows.len(), percent(kept))
}
