//! The adapter that is trained: rank, alpha and where it attaches.

use std::path::PathBuf;

use serde::Serialize;

use crate::blocks::{self, Blocks};
use crate::lora_plus::{self, LoraPlus};
use crate::pairs::{Pairs, value_of};
use crate::report::Report;

/// Which networks get adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// UNet and text encoder.
    Both,
    /// `--network_train_unet_only`
    UnetOnly,
    /// `--network_train_text_encoder_only`
    TextEncoderOnly,
}

/// Rank and alpha of one kind of layer; the adapter's output is scaled by alpha ÷ rank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankAlpha {
    /// Inner dimension (`--network_dim`).
    pub rank: usize,
    /// Numerator of the scale (`--network_alpha`).
    pub alpha: f64,
}

/// Network section of a recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Linear layers and 1×1 convolutions of the transformers.
    pub linear: RankAlpha,
    /// 3×3 convolutions too (C3Lier), by `--network_args conv_dim=… conv_alpha=…` or `conv_block_dims=…`.
    pub conv: Option<RankAlpha>,
    /// What differs in single blocks of the UNet.
    pub blocks: Blocks,
    /// Faster up factors.
    pub lora_plus: LoraPlus,
    /// No layer's change of its weight grows beyond this L2 norm (`--scale_weight_norms`).
    pub max_norm: Option<f64>,
    /// UNet, text encoder or both.
    pub scope: Scope,
    /// Start from this LoRA file (`--network_weights`).
    pub weights: Option<PathBuf>,
    /// Take rank and alpha from `weights` (`--dim_from_weights`); `linear` and `conv` mean nothing then.
    pub dim_from_weights: bool,
}

/// What may be typed about the adapter; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "LoRA", rename_all = "verbatim")]
pub struct RawNetwork {
    /// Kind of adapter; only networks.lora for now. [default: networks.lora]
    #[arg(long, value_name = "MODULE")]
    pub network_module: Option<String>,
    /// Rank: how much the LoRA can learn, and how large its file is. 32 to 64 suits characters, 64 to 128 styles.
    /// [default: 4]
    #[arg(long, value_name = "RANK")]
    pub network_dim: Option<u32>,
    /// Learning brake: the LoRA's effect is scaled by alpha divided by rank. Between 1 and the rank; 0 means the same
    /// as the rank, that is no brake. [default: 1]
    #[arg(long, value_name = "ALPHA")]
    pub network_alpha: Option<f64>,
    /// More settings of the adapter: conv_dim=RANK conv_alpha=ALPHA also trains the 3x3 convolutions (LoCon);
    /// block_dims, block_alphas, conv_block_dims, conv_block_alphas, down_lr_weight, mid_lr_weight, up_lr_weight and
    /// block_lr_zero_threshold for single blocks; loraplus_lr_ratio=16 for LoRA+.
    #[arg(long, value_name = "NAME=VALUE")]
    pub network_args: Option<Vec<String>>,
    /// Factors of the learning rate in single blocks of the UNet, such as IN=0,IN04-IN08=0.2,M00=1,OUT=0.5; what comes
    /// later wins, what is not named has 1, and a block at 0 gets no LoRA. Blocks are IN00 to IN11, M00, OUT00 to OUT11.
    #[arg(long, value_name = "NAME=FACTOR,...")]
    pub block_lr_weight: Option<String>,
    /// Shrink the LoRA of a layer whenever its norm grows beyond this number; 1 is usual. It holds back layers that
    /// overtrain, and helps several LoRAs to get along. [default: off]
    #[arg(long, value_name = "NORM")]
    pub scale_weight_norms: Option<f64>,
    /// Go on training this LoRA file instead of starting from nothing.
    #[arg(long, value_name = "FILE")]
    pub network_weights: Option<PathBuf>,
    /// With --network_weights: take rank and alpha from that file.
    #[arg(long)]
    pub dim_from_weights: Option<bool>,
    /// Train the UNet (what things look like) and leave the text encoder alone; faster.
    #[arg(long)]
    pub network_train_unet_only: Option<bool>,
    /// Train the text encoder (what words mean) and leave the UNet alone.
    #[arg(long)]
    pub network_train_text_encoder_only: Option<bool>,
}

/// Other adapters that sd-scripts and LyCORIS bring.
const OTHER_MODULES: [&str; 7] = [
    "lycoris.kohya",
    "networks.dylora",
    "networks.lora_fa",
    "networks.loha",
    "networks.lokr",
    "networks.oft",
    "locon.locon_kohya",
];

impl RawNetwork {
    pub(crate) fn resolve(&self, report: &mut Report) -> Network {
        self.check_module(report);
        let dim_from_weights = self.dim_from_weights == Some(true);
        if dim_from_weights && self.network_weights.is_none() {
            let remedy = "give the LoRA file with --network_weights, or leave this out";
            report.problem("dim_from_weights", "there is no file to take the rank from", remedy);
        }
        let args = self.args(report);
        let blocks = blocks::resolve(self, &args, report);
        Network {
            linear: if dim_from_weights { self.unused_rank(report) } else { self.linear(report) },
            conv: self.conv(&args, &blocks, report),
            blocks,
            lora_plus: LoraPlus::resolve(&args, report),
            max_norm: Some(report.amount("scale_weight_norms", self.scale_weight_norms, 0.0))
                .filter(|norm| *norm > 0.0),
            scope: self.scope(report),
            weights: self.network_weights.clone(),
            dim_from_weights,
        }
    }

    fn check_module(&self, report: &mut Report) {
        let Some(module) = &self.network_module else { return };
        if module == "networks.lora" {
            return;
        }
        let what = if OTHER_MODULES.contains(&module.as_str()) {
            format!("{module} is known to sd-scripts, but lorabake does not support it yet")
        } else {
            format!("there is no adapter called `{module}`")
        };
        report.problem("network_module", what, "use networks.lora; --network_args conv_dim=8 makes it a LoCon");
    }

    fn linear(&self, report: &mut Report) -> RankAlpha {
        if self.network_dim.is_none() {
            let text = "not given, so rank 4 is used, as in sd-scripts; 32 to 128 is usual";
            report.note("network_dim", text);
        }
        let rank = report.count("network_dim", self.network_dim, 4) as usize;
        let alpha = alpha("network_alpha", self.network_alpha, rank, report);
        if self.network_alpha.is_none() && rank > 1 {
            let text = format!(
                "not given, so 1 is used, as in sd-scripts: the LoRA's effect is scaled by 1/{rank}, which slows \
                 learning; give {rank} for no brake"
            );
            report.note("network_alpha", text);
        }
        RankAlpha { rank, alpha }
    }

    /// With `--dim_from_weights` the file decides; the numbers here are placeholders.
    fn unused_rank(&self, report: &mut Report) -> RankAlpha {
        let typed = [("network_dim", self.network_dim.is_some()), ("network_alpha", self.network_alpha.is_some())];
        for (option, _) in typed.into_iter().filter(|(_, typed)| *typed) {
            report.note(option, "has no effect with --dim_from_weights: the file decides");
        }
        RankAlpha { rank: 4, alpha: 1.0 }
    }

    /// The pairs of `--network_args`.
    fn args(&self, report: &mut Report) -> Vec<(&str, &str)> {
        let known = [&["conv_dim", "conv_alpha"], &blocks::KEYS[..], &lora_plus::KEYS].concat();
        let pairs = Pairs { option: "network_args", owner: "networks.lora", known: &known, later: &LATER_ARGS };
        pairs.read(self.network_args.as_ref(), report)
    }

    fn conv(&self, args: &[(&str, &str)], blocks: &Blocks, report: &mut Report) -> Option<RankAlpha> {
        let option = "network_args";
        let (dim, alpha_text) = (value_of(args, "conv_dim"), value_of(args, "conv_alpha"));
        if self.dim_from_weights == Some(true) {
            if dim.or(alpha_text).is_some() {
                let text = "conv_dim and conv_alpha have no effect with --dim_from_weights: the file decides";
                report.note(option, text);
            }
            return None;
        }
        let Some(dim) = dim else {
            if alpha_text.is_some() && blocks.conv.is_none() {
                report.problem(option, "conv_alpha means nothing without conv_dim", "add conv_dim=8, or leave it out");
            }
            // The blocks' own sizes count; this one says that there are any.
            let first = |sizes: [RankAlpha; blocks::COUNT]| sizes.into_iter().find(|size| size.rank > 0);
            return blocks.conv.map(|sizes| first(sizes).unwrap_or(RankAlpha { rank: 1, alpha: 1.0 }));
        };
        let Some(rank) = dim.parse::<usize>().ok().filter(|rank| *rank > 0) else {
            report.problem(option, format!("conv_dim={dim} is not a rank"), "use a whole number, 1 or more");
            return None;
        };
        let given = alpha_text.map(|text| text.parse::<f64>().unwrap_or(f64::NAN));
        Some(RankAlpha { rank, alpha: alpha(option, given, rank, report) })
    }

    fn scope(&self, report: &mut Report) -> Scope {
        match (self.network_train_unet_only == Some(true), self.network_train_text_encoder_only == Some(true)) {
            (false, false) => Scope::Both,
            (true, false) => Scope::UnetOnly,
            (false, true) => Scope::TextEncoderOnly,
            (true, true) => {
                let what = "together with --network_train_text_encoder_only nothing is left to train";
                report.problem("network_train_unet_only", what, "leave one of the two out, or both to train both");
                Scope::Both
            }
        }
    }
}

/// Keys of `--network_args` that `networks.lora` of sd-scripts or LyCORIS take, and that are not built yet.
const LATER_ARGS: [&str; 14] = [
    "rank_dropout",
    "module_dropout",
    "dropout",
    "algo",
    "preset",
    "factor",
    "unit",
    "block_size",
    "use_tucker",
    "use_scalar",
    "decompose_both",
    "dora_wd",
    "train_norm",
    "verbose",
];

/// Alpha as sd-scripts reads it: 1 unless given, and 0 stands for the rank.
fn alpha(option: &str, given: Option<f64>, rank: usize, report: &mut Report) -> f64 {
    let alpha = report.amount(option, given, 1.0);
    if alpha > rank as f64 {
        let scale = alpha / rank as f64;
        let text = format!(
            "alpha {alpha} is more than rank {rank}: the LoRA's effect is scaled up {scale} times, which tends to \
             burn; {rank} or less is usual"
        );
        report.note(option, text);
    }
    if alpha == 0.0 { rank as f64 } else { alpha }
}

impl From<&Network> for RawNetwork {
    fn from(network: &Network) -> Self {
        let conv = network.conv.map(|conv| [format!("conv_dim={}", conv.rank), format!("conv_alpha={}", conv.alpha)]);
        let args = conv.into_iter().flatten().chain(network.blocks.args()).chain(network.lora_plus.args());
        let args: Vec<String> = args.collect();
        let by_hand = (!network.dim_from_weights).then_some(network.linear);
        Self {
            network_module: Some("networks.lora".to_owned()),
            network_dim: by_hand.map(|linear| linear.rank as u32),
            network_alpha: by_hand.map(|linear| linear.alpha),
            network_args: (!args.is_empty()).then_some(args),
            block_lr_weight: None,
            scale_weight_norms: network.max_norm,
            network_weights: network.weights.clone(),
            dim_from_weights: Some(network.dim_from_weights),
            network_train_unet_only: Some(network.scope == Scope::UnetOnly),
            network_train_text_encoder_only: Some(network.scope == Scope::TextEncoderOnly),
        }
    }
}
