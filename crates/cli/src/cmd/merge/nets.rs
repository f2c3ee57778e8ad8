//! LoRAs into a model, or with each other.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use lorabake_recipe::count;
use lorabake_recipe::model::Family;
use lorabake_surgery::like::Like;
use lorabake_surgery::merge::into_model::{self, IntoModel, Merged};
use lorabake_surgery::merge::nets::{Accuracy, MergeNets, Ranks, merge_nets};
use lorabake_surgery::merge::peers::{PeerSum, merge_like_peers};
use lorabake_surgery::net::NetUse;
use lorabake_surgery::spec::BlockList;
use lorabake_surgery::target::Target;
use lorabake_weights::Checkpoint;
use lorabake_weights::checkpoint::Purpose;
use lorabake_weights::lora::NetTensors;

use super::files::{presets, specs};
use super::{Args, recipe};
use crate::surgery_args::{finite, interrupted, no_net, percent, size};
use crate::terminal;

/// Options of LoRAs alone.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "LoRAs")]
pub struct NetArgs {
    /// Multiplies all strengths in the UNet.
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true, value_parser = finite)]
    pub unet_ratio: Option<f64>,
    /// Multiplies all strengths in the text encoders.
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true, value_parser = finite)]
    pub te_ratio: Option<f64>,
    /// Rank of LoRAs merged with each other, by singular values. Without it all ranks stand side by side, which is exact.
    #[arg(long, value_name = "RANK", alias = "new_rank", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rank: Option<u32>,
    /// The same for convolutions over more than one pixel. [default: --rank]
    #[arg(long, value_name = "RANK", alias = "new_conv_rank", requires = "rank", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub conv_rank: Option<u32>,
    /// Ranks by which the file has this size, with the least error in all.
    #[arg(long, value_name = "64MB", value_parser = size, conflicts_with = "rank")]
    pub size: Option<usize>,
    /// The model that the LoRAs were made for; kinds that change weights in proportion need it (DoRA, IA3, OFT, GLoRA).
    #[arg(long, value_name = "MODEL")]
    pub base: Option<PathBuf>,
    /// With --like sd-scripts: as its --concat, with the alpha of the first file.
    #[arg(long, requires = "like")]
    pub concat: bool,
}

impl NetArgs {
    /// Refuses what models have no use for.
    ///
    /// # Errors
    /// When such an option was given.
    pub fn refuse_for_models(&self) -> Result<()> {
        let Self { unet_ratio, te_ratio, rank, conv_rank, size, base, concat } = self;
        let given = [
            ("--unet_ratio", unet_ratio.is_some()),
            ("--te_ratio", te_ratio.is_some()),
            ("--rank", rank.is_some() || conv_rank.is_some()),
            ("--size", size.is_some()),
            ("--base", base.is_some()),
            ("--concat", *concat),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((option, _)) => bail!("{option}: it is for LoRAs, and these are models; leave it out"),
            None => Ok(()),
        }
    }

    fn ranks(&self) -> Ranks {
        match (self.size, self.rank) {
            (Some(bytes), _) => Ranks::Bytes(bytes),
            (None, Some(rank)) => Ranks::AtMost(rank as usize, self.conv_rank.unwrap_or(rank) as usize),
            (None, None) => Ranks::Joined,
        }
    }
}

/// The nets with their strengths for models of a family.
fn nets(args: &Args, family: Family) -> Result<Vec<NetUse>> {
    let presets = presets(args)?;
    // sd-scripts leaves blocks that a list does not name as they are, the web UI's extensions leave them out.
    let others = if args.like == Some(Like::SdScripts) { 1.0 } else { 0.0 };
    let mut nets = Vec::new();
    for spec in specs(args)? {
        let label = spec.path.display().to_string();
        if matches!(spec.blocks, Some(BlockList::Numbers(_))) && spec.ratio != 1.0 {
            let ratio = spec.ratio;
            terminal::say(&format!(
                "note: {label}: the numbers of its blocks stand for themselves, {ratio} is without effect; a preset would be \
                 multiplied"
            ));
        }
        let mut net = spec.resolved(&presets, family, others).map_err(|what| anyhow!("{label}: {what}"))?;
        net.strength.unet *= args.nets.unet_ratio.unwrap_or(1.0);
        net.strength.text *= args.nets.te_ratio.unwrap_or(1.0);
        nets.push(net);
    }
    Ok(nets)
}

/// Merges LoRAs into a model.
///
/// # Errors
/// Whatever is wrong with options or files.
pub fn into_model(args: &Args) -> Result<ExitCode> {
    if args.nets.rank.is_some() || args.nets.size.is_some() || args.nets.base.is_some() {
        bail!("--into: a model has no rank, so that --rank, --size and --base say nothing; leave them out");
    }
    let model = args.into.clone().expect("it was asked for");
    let family = Checkpoint::open_for(Purpose::Painting, &model, None)?.family();
    let request = IntoModel {
        model: model.clone(),
        vae: args.models.vae_file.clone(),
        nets: nets(args, family)?,
        like: args.like.unwrap_or_default(),
        without_averages: !args.models.keep_ema,
    };
    let metadata = recipe::of_model(args, &model)?;
    let output = args.output.output();
    let target = Target { output: &output, layout: args.layout() };
    let merged = args.output.run("merging", |watch| into_model::into_model(&request, target, metadata, watch))?;
    let Some(Merged { changed, tensors, notes }) = merged else { return Ok(interrupted()) };
    terminal::say(&format!("{changed} of {} changed", count(tensors, "tensor")));
    Ok(args.output.told(&notes))
}

/// Merges LoRAs with each other.
///
/// # Errors
/// Whatever is wrong with options or files.
pub fn with_each_other(args: &Args) -> Result<ExitCode> {
    let specs = specs(args)?;
    if let Some(base) = &args.nets.base {
        no_net("--base", base, "give the model that the LoRAs were made for")?;
    }
    let mut family = None;
    for spec in &specs {
        family = family.or(NetTensors::open(&spec.path)?.family());
    }
    let nets = nets(args, family.unwrap_or(Family::Sd1))?;
    let output = args.output.output();
    let metadata = recipe::of_nets(args, &nets)?;
    let sum = match args.like {
        None => None,
        Some(Like::SdScripts) if args.nets.concat => Some(PeerSum::Concatenated),
        Some(Like::SdScripts) => Some(PeerSum::Added),
        Some(Like::Supermerger) => Some(PeerSum::SameToStrength),
        Some(Like::Lycoris | Like::Ours) => bail!("--like: LyCORIS merges no nets with each other; leave it out"),
    };
    if let Some(sum) = sum {
        if args.nets.ranks() != Ranks::Joined {
            bail!("--like: its sums keep the rank of the files; leave --rank and --size out");
        }
        let done = args.output.run("merging", |_| merge_like_peers(&nets, sum, &output, metadata))?;
        return Ok(if done.is_some() { args.output.told(&[]) } else { interrupted() });
    }
    let request = MergeNets { nets, ranks: args.nets.ranks(), base: args.nets.base.clone() };
    let done = args.output.run("merging", |watch| merge_nets(&request, &output, metadata, watch))?;
    let Some(Accuracy { energy, lost }) = done else { return Ok(interrupted()) };
    match request.ranks {
        Ranks::Joined => terminal::say("exact: all ranks stand side by side"),
        _ if energy > 0.0 => {
            terminal::say(&format!("{} of the sum's norm is kept", percent((1.0 - lost / energy).max(0.0).sqrt())));
        }
        _ => {}
    }
    Ok(args.output.told(&[]))
}
