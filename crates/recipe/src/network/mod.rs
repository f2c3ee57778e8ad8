//! The adapter that is trained: rank, alpha and where it attaches.

pub mod adapter;
pub(crate) mod adapter_args;
pub mod algo;
pub(crate) mod block_args;
pub mod blocks;
pub mod layer_pattern;
pub mod lora_plus;
pub mod lycoris_preset;
pub mod options;
mod rank_alpha;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::Family;
use crate::optim::optimizer::Optimizer;
use crate::parse::pairs::Pairs;
use crate::report::Report;
use adapter::{AdapterSettings, Dropout};
use adapter_args::{Beside, Read};
use algo::Algo;
use blocks::Blocks;
use lora_plus::LoraPlus;
use options::RawNetwork;
pub use rank_alpha::RankAlpha;
use rank_alpha::{alpha, check_rank};

/// Which networks get adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// UNet and text encoder.
    Both,
    /// `--network_train_unet_only`
    UnetOnly,
    /// `--network_train_text_encoder_only`
    TextEncoderOnly,
}

/// Network section of a recipe.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// What is trained on each layer.
    pub adapter: AdapterSettings,
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
            AdapterSettings::Lora => MODULES[0],
            AdapterSettings::DyLora(_) => MODULES[1],
            AdapterSettings::Lycoris(_) => MODULES[2],
        }
    }
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
            unsupported: &adapter_args::unsupported(module),
        };
        let args = args.read(self.network_args.as_ref(), report);
        let blocks = block_args::resolve(self, &args, family, report);
        let linear = if dim_from_weights { self.unused_rank(report) } else { self.linear(report) };
        let beside = Beside { linear, dropout: self.network_dropout, from_file: dim_from_weights, blocks: &blocks };
        let lora_plus = LoraPlus::resolve(&args, report);
        // Named blocks as the lists that sd-scripts has for them.
        let named = if self.block_lr_weight.is_some() { blocks.lr_args() } else { Vec::new() };
        let read = adapter_args::read(module, args, &beside, report);
        let is_ia3 = matches!(&read.adapter, AdapterSettings::Lycoris(lycoris) if lycoris.algo == Algo::Ia3);
        if is_ia3 && self.scale_weight_norms.is_some_and(|norm| norm > 0.0) {
            report.note("scale_weight_norms", "has no effect with algo=ia3, whose change is a share of the layer");
        }
        if !dim_from_weights {
            check_ranks(linear, &read, &blocks, report);
        }
        let mut typed = read.args;
        typed.extend(named);
        Network {
            adapter: read.adapter,
            linear,
            conv: read.conv,
            blocks,
            lora_plus,
            max_norm: report.amount_above_zero("scale_weight_norms", self.scale_weight_norms),
            scope: self.scope(report),
            weights: self.network_weights.clone(),
            dim_from_weights,
            dropout: read.dropout,
            args: typed,
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
        for (option, is_typed) in typed {
            if is_typed {
                report.note(option, "has no effect with --dim_from_weights: the file decides");
            }
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

/// Refuses or remarks ranks that are more than any layer has.
fn check_ranks(linear: RankAlpha, read: &Read, blocks: &Blocks, report: &mut Report) {
    if let AdapterSettings::Lycoris(lycoris) = &read.adapter
        && lycoris.has_no_product()
    {
        return;
    }
    check_rank("network_dim", "", linear.rank, report);
    if let Some(conv) = read.conv
        && conv.rank != linear.rank
        && blocks.conv.is_none()
    {
        check_rank("network_args", "conv_dim=", conv.rank, report);
    }
    for (name, sizes) in [("block_dims: ", &blocks.linear), ("conv_block_dims: ", &blocks.conv)] {
        let most = sizes.iter().flatten().map(|size| size.rank).max();
        check_rank("network_args", name, most.unwrap_or(0), report);
    }
}

/// Refuses or remarks what blocks and LoRA+ cannot do with this scope and optimizer.
pub(crate) fn check_rates(raw: &RawNetwork, network: &Network, optimizer: &Optimizer, report: &mut Report) {
    let Network { blocks, lora_plus, .. } = network;
    let option = if raw.block_lr_weight.is_some() { "block_lr_weight" } else { "network_args" };
    if network.scope == Scope::TextEncoderOnly && blocks.differ() {
        let text = "blocks are those of the UNet and have no effect with --network_train_text_encoder_only";
        report.note(option, text);
    }
    let name = optimizer.name();
    let own_rates = format!("{name} with relative_step=True sets its own rates");
    if blocks.lr.as_ref().is_some_and(|lr| lr.iter().any(|factor| *factor != 0.0 && *factor != 1.0)) {
        if optimizer.adapts() {
            let what = format!("{name} has one rate for all, so that blocks cannot have their own");
            report.problem(option, what, "use only the factors 0 and 1, or another optimizer");
        } else if optimizer.sets_own_rates() {
            report.note(option, format!("factors of blocks other than 0 have no effect: {own_rates}"));
        }
    }
    if *lora_plus != LoraPlus::default() {
        if optimizer.adapts() {
            let what = format!("{name} has one rate for all, so that LoRA+ cannot act");
            report.problem("network_args", what, "leave it out, or use another optimizer");
        } else if optimizer.sets_own_rates() {
            report.note("network_args", format!("LoRA+ has no effect: {own_rates}"));
        }
    }
}

impl From<&Network> for RawNetwork {
    fn from(network: &Network) -> Self {
        let typed: Vec<String> = network.args.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let by_hand = if network.dim_from_weights { None } else { Some(network.linear) };
        Self {
            network_module: Some(network.module().to_owned()),
            network_dim: by_hand.map(|linear| linear.rank as u32),
            network_alpha: by_hand.map(|linear| linear.alpha),
            network_args: if typed.is_empty() { None } else { Some(typed) },
            block_lr_weight: None,
            scale_weight_norms: network.max_norm,
            network_dropout: Some(network.dropout.neuron).filter(|share| *share > 0.0),
            network_weights: network.weights.clone(),
            dim_from_weights: Some(network.dim_from_weights),
            network_train_unet_only: Some(network.scope == Scope::UnetOnly),
            network_train_text_encoder_only: Some(network.scope == Scope::TextEncoderOnly),
        }
    }
}
