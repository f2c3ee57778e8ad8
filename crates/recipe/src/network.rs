//! The adapter that is trained: rank, alpha and where it attaches.

use std::path::PathBuf;

use serde::Serialize;

use crate::adapter::{Adapter, Algo, Dropout};
use crate::adapter_args::{self, Beside};
use crate::blocks::{self, Blocks};
use crate::lora_plus::LoraPlus;
use crate::model::Family;
use crate::pairs::Pairs;
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
    /// What is trained on each layer.
    pub adapter: Adapter,
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
    /// What chance leaves out.
    pub dropout: Dropout,
    /// `--network_args` as they were typed.
    pub args: Vec<(String, String)>,
}

impl Network {
    /// `--network_module`
    pub fn module(&self) -> &'static str {
        match self.adapter {
            Adapter::Lora => MODULES[0],
            Adapter::DyLora(_) => MODULES[1],
            Adapter::Lycoris(_) => MODULES[2],
        }
    }
}

/// What may be typed about the adapter; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "LoRA", rename_all = "verbatim")]
pub struct RawNetwork {
    /// Kind of adapter: networks.lora, networks.dylora, or lycoris.kohya with algo=loha, lokr, ... in --network_args.
    /// [default: networks.lora]
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
    /// block_lr_zero_threshold for single blocks; loraplus_lr_ratio=16 for LoRA+; rank_dropout, module_dropout; algo,
    /// preset and others of lycoris.kohya; unit of networks.dylora.
    #[arg(long, value_name = "NAME=VALUE")]
    pub network_args: Option<Vec<String>>,
    /// Factors of the learning rate in single blocks of the UNet, such as IN=0,IN04-IN08=0.2,M00=1,OUT=0.5; what comes
    /// later wins, what is not named has 1, and a block at 0 gets no LoRA. Blocks are IN00 to IN11, M00, OUT00 to OUT11, for SDXL
    /// IN00 to IN08, M00 to M02, OUT00 to OUT08.
    #[arg(long, value_name = "NAME=FACTOR,...")]
    pub block_lr_weight: Option<String>,
    /// Shrink the LoRA of a layer whenever its norm grows beyond this number; 1 is usual. It holds back layers that
    /// overtrain, and helps several LoRAs to get along. [default: off]
    #[arg(long, value_name = "NORM")]
    pub scale_weight_norms: Option<f64>,
    /// Share of the values inside each LoRA that is left out by chance in every step, 0.1 to 0.5; with networks.lora.
    #[arg(long, value_name = "SHARE")]
    pub network_dropout: Option<f64>,
    /// Continue training this LoRA file instead of starting from nothing.
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

/// Adapters that lorabake trains.
const MODULES: [&str; 3] = ["networks.lora", "networks.dylora", "lycoris.kohya"];
/// Other adapters that sd-scripts and LyCORIS bring.
const OTHER_MODULES: [&str; 5] =
    ["networks.lora_fa", "networks.loha", "networks.lokr", "networks.oft", "locon.locon_kohya"];

impl RawNetwork {
    pub(crate) fn resolve(&self, family: Option<Family>, report: &mut Report) -> Network {
        self.check_module(report);
        let dim_from_weights = self.dim_from_weights == Some(true);
        if dim_from_weights && self.network_weights.is_none() {
            let remedy = "give the LoRA file with --network_weights, or leave this out";
            report.problem("dim_from_weights", "there is no file to take the rank from", remedy);
        }
        let module = self.network_module.as_deref().unwrap_or(MODULES[0]);
        let args = Pairs {
            option: "network_args",
            owner: module,
            known: &adapter_args::known(module),
            later: &adapter_args::later(module),
        };
        let args = args.read(self.network_args.as_ref(), report);
        let blocks = blocks::resolve(self, &args, family, report);
        let linear = if dim_from_weights { self.unused_rank(report) } else { self.linear(report) };
        let beside = Beside { linear, dropout: self.network_dropout, from_file: dim_from_weights };
        let lora_plus = LoraPlus::resolve(&args, report);
        // Named blocks as the lists that sd-scripts has for them.
        let named = self.block_lr_weight.as_ref().map(|_| blocks.lr_args()).unwrap_or_default();
        let read = adapter_args::read(module, args, (&beside, &blocks), report);
        let is_ia3 = matches!(&read.adapter, Adapter::Lycoris(lycoris) if lycoris.algo == Algo::Ia3);
        if is_ia3 && self.scale_weight_norms.is_some_and(|norm| norm > 0.0) {
            report.note("scale_weight_norms", "has no effect with algo=ia3, whose change is a share of the layer");
        }
        let typed = read.args.into_iter().chain(named.iter().filter_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        }));
        Network {
            adapter: read.adapter,
            linear,
            conv: read.conv,
            blocks,
            lora_plus,
            max_norm: Some(report.amount("scale_weight_norms", self.scale_weight_norms, 0.0))
                .filter(|norm| *norm > 0.0),
            scope: self.scope(report),
            weights: self.network_weights.clone(),
            dim_from_weights,
            dropout: read.dropout,
            args: typed.collect(),
        }
    }

    fn check_module(&self, report: &mut Report) {
        let Some(module) = &self.network_module else { return };
        if MODULES.contains(&module.as_str()) {
            return;
        }
        let what = if OTHER_MODULES.contains(&module.as_str()) {
            format!("{module} is known to sd-scripts, but lorabake does not support it yet")
        } else {
            format!("there is no adapter called `{module}`")
        };
        report.problem("network_module", what, format!("use {}", MODULES.join(", ")));
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

/// Alpha as sd-scripts reads it: 1 unless given, and 0 stands for the rank.
pub(crate) fn alpha(option: &str, given: Option<f64>, rank: usize, report: &mut Report) -> f64 {
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
        let typed: Vec<String> = network.args.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let by_hand = (!network.dim_from_weights).then_some(network.linear);
        Self {
            network_module: Some(network.module().to_owned()),
            network_dim: by_hand.map(|linear| linear.rank as u32),
            network_alpha: by_hand.map(|linear| linear.alpha),
            network_args: (!typed.is_empty()).then_some(typed),
            block_lr_weight: None,
            scale_weight_norms: network.max_norm,
            network_dropout: (network.dropout.neuron > 0.0).then_some(network.dropout.neuron),
            network_weights: network.weights.clone(),
            dim_from_weights: Some(network.dim_from_weights),
            network_train_unet_only: Some(network.scope == Scope::UnetOnly),
            network_train_text_encoder_only: Some(network.scope == Scope::TextEncoderOnly),
        }
    }
}
