//! Ranks and learning rates of single blocks of the UNet: sd-scripts' lists in `--network_args`, and our own named
//! blocks in `--block_lr_weight`. Rules: `networks/lora.py` of kohya-ss/sd-scripts 48d368fa.
//!
//! The original code numbers the UNet's blocks IN00 to IN11, M00, OUT00 to OUT11, and so do block-weight extensions of
//! web UIs. sd-scripts' lists are in that order. IN00 is the first convolution, which a LoRA leaves alone.

use std::ops::Range;

use crate::lora_plus::LoraPlus;
use crate::network::{Network, RankAlpha, RawNetwork, Scope};
use crate::optimizer::Optimizer;
use crate::pairs::value_of;
use crate::report::Report;

/// Blocks of the UNet of Stable Diffusion 1 and 2.
pub const COUNT: usize = 25;
/// Blocks on the way down, and as many on the way up.
const SIDE: usize = 12;

/// Keys of `--network_args` that are read here.
pub(crate) const KEYS: [&str; 8] = [
    "down_lr_weight",
    "mid_lr_weight",
    "up_lr_weight",
    "block_lr_zero_threshold",
    "block_dims",
    "block_alphas",
    "conv_block_dims",
    "conv_block_alphas",
];

/// What is asked for of single blocks, in the order of [`name`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Blocks {
    /// Factors of the UNet's learning rate; a block at 0 gets no adapter. `None` = one rate for the whole UNet.
    pub lr: Option<[f64; COUNT]>,
    /// Linear layers and 1×1 convolutions; rank 0 = no adapter. `None` = `Network::linear` everywhere.
    pub linear: Option<[RankAlpha; COUNT]>,
    /// 3×3 convolutions; rank 0 = no adapter. `None` = `Network::conv` everywhere.
    pub conv: Option<[RankAlpha; COUNT]>,
}

/// The name of a block, from `IN00` to `OUT11`.
pub fn name(block: usize) -> String {
    match block {
        0..SIDE => format!("IN{block:02}"),
        SIDE => "M00".to_owned(),
        _ => format!("OUT{:02}", block - SIDE - 1),
    }
}

impl Blocks {
    /// Whether ranks or alphas differ from the network's, or blocks are left out.
    pub fn change_sizes(&self) -> bool {
        self.linear.is_some() || self.conv.is_some() || self.lr.is_some_and(|lr| lr.contains(&0.0))
    }

    /// Factor of the UNet's learning rate in `block`.
    pub fn lr(&self, block: usize) -> f64 {
        self.lr.map_or(1.0, |lr| lr[block])
    }

    /// Rank and alpha in `block`, where `usual` is the network's; `None` = no adapter there. `wide` = 3×3 convolutions.
    pub fn size(&self, block: usize, wide: bool, usual: RankAlpha) -> Option<RankAlpha> {
        let own = if wide { &self.conv } else { &self.linear };
        let size = own.map_or(usual, |sizes| sizes[block]);
        (size.rank > 0 && self.lr(block) != 0.0).then_some(size)
    }

    /// The factors as sd-scripts takes them in `--network_args`.
    pub fn lr_args(&self) -> Vec<String> {
        let Some(lr) = self.lr else { return Vec::new() };
        let (down, rest) = lr.split_at(SIDE);
        let (mid, up) = rest.split_at(1);
        [("down", down), ("mid", mid), ("up", up)]
            .map(|(side, list)| format!("{side}_lr_weight={}", joined(list)))
            .into()
    }

    /// Everything as sd-scripts takes it in `--network_args`.
    pub(crate) fn args(&self) -> Vec<String> {
        let sizes = [("block", self.linear), ("conv_block", self.conv)].into_iter();
        let sizes = sizes.filter_map(|(prefix, sizes)| Some((prefix, sizes?))).flat_map(|(prefix, sizes)| {
            let (dims, alphas) = (sizes.map(|size| size.rank), sizes.map(|size| size.alpha));
            [format!("{prefix}_dims={}", joined(&dims)), format!("{prefix}_alphas={}", joined(&alphas))]
        });
        self.lr_args().into_iter().chain(sizes).collect()
    }
}

fn joined<T: ToString>(list: &[T]) -> String {
    list.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

/// Reads the blocks; `args` are the pairs of `--network_args`.
pub(crate) fn resolve(raw: &RawNetwork, args: &[(&str, &str)], report: &mut Report) -> Blocks {
    let lr = factors(raw, args, report);
    let option = "network_args";
    let unused = |keys: &[&str], why: &str, report: &mut Report| {
        for key in keys.iter().filter(|key| value_of(args, key).is_some()) {
            report.note(option, format!("{key} has no effect {why}"));
        }
    };
    if raw.dim_from_weights == Some(true) {
        unused(&KEYS[4..], "with --dim_from_weights: the file decides", report);
        return Blocks { lr, linear: None, conv: None };
    }
    let (dims, alphas) = (list(args, "block_dims", report), list(args, "block_alphas", report));
    let (conv_dims, conv_alphas) = (list(args, "conv_block_dims", report), list(args, "conv_block_alphas", report));
    if dims.is_none() && lr.is_none() {
        unused(&KEYS[5..], "without block_dims or learning rates of blocks, as in sd-scripts", report);
        return Blocks::default();
    }
    let by_hand = dims.is_some() || alphas.is_some();
    let linear = by_hand.then(|| {
        let dims = dims.unwrap_or([raw.network_dim.unwrap_or(4) as usize; COUNT]);
        sizes(dims, alphas.unwrap_or([raw.network_alpha.unwrap_or(1.0); COUNT]))
    });
    if conv_dims.is_none() {
        unused(&["conv_block_alphas"], "without conv_block_dims, as in sd-scripts", report);
    }
    let conv_alpha = value_of(args, "conv_alpha").and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let conv = conv_dims.map(|dims| sizes(dims, conv_alphas.unwrap_or([conv_alpha; COUNT])));
    Blocks { lr, linear, conv }
}

/// Alpha 0 stands for the rank.
fn sizes(dims: [usize; COUNT], alphas: [f64; COUNT]) -> [RankAlpha; COUNT] {
    std::array::from_fn(|block| {
        let (rank, alpha) = (dims[block], alphas[block]);
        RankAlpha { rank, alpha: if alpha == 0.0 { rank as f64 } else { alpha } }
    })
}

/// A list with one number per block.
fn list<T: std::str::FromStr + PartialOrd + Default>(
    args: &[(&str, &str)],
    key: &str,
    report: &mut Report,
) -> Option<[T; COUNT]> {
    let text = value_of(args, key)?;
    let numbers: Option<Vec<T>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    let Some(numbers) = numbers.filter(|numbers| numbers.iter().all(|number| *number >= T::default())) else {
        let what = format!("{key}={text} is not a list of numbers that are 0 or more");
        report.problem("network_args", what, "write for instance 4,4,8 with one number per block, without spaces");
        return None;
    };
    let found = numbers.len();
    let list = numbers.try_into().ok();
    if list.is_none() {
        let whose = match found {
            23 => " (23 is for SDXL)",
            17 | 26 => " (that is for weights in a prompt)",
            _ => "",
        };
        let what = format!("{key} has {found} numbers{whose}, and Stable Diffusion 1.x has {COUNT} blocks");
        report.problem("network_args", what, "give 12 for IN00 to IN11, 1 for M00, 12 for OUT00 to OUT11");
    }
    list
}

/// Factors of the learning rate, from lists, curves or names.
fn factors(raw: &RawNetwork, args: &[(&str, &str)], report: &mut Report) -> Option<[f64; COUNT]> {
    let lists = KEYS[..3].iter().any(|key| value_of(args, key).is_some());
    let threshold = value_of(args, "block_lr_zero_threshold");
    let Some(zero) = threshold.map_or(Some(0.0), |text| text.parse::<f64>().ok().filter(|zero| !zero.is_nan())) else {
        let what = format!("block_lr_zero_threshold={} is not a number", threshold.unwrap_or_default());
        report.problem("network_args", what, "write for instance block_lr_zero_threshold=0.1");
        return None;
    };
    let mut factors = match &raw.block_lr_weight {
        Some(_) if lists => {
            let what = "--network_args sets learning rates of blocks too";
            report.problem("block_lr_weight", what, "leave out one of the two");
            return None;
        }
        Some(text) => named(text, report)?,
        None if lists => {
            let [down, mid, up] = [(0, SIDE), (1, 1), (2, SIDE)].map(|(key, len)| side(args, KEYS[key], len, report));
            [down, mid, up].concat().try_into().ok()?
        }
        None => {
            if threshold.is_some() {
                report.note("network_args", "block_lr_zero_threshold has no effect without learning rates of blocks");
            }
            return None;
        }
    };
    factors.iter_mut().filter(|factor| **factor <= zero).for_each(|factor| *factor = 0.0);
    Some(factors)
}

/// The factors of one side of the UNet: 1 where nothing is said, 0 where nothing stands between two commas.
fn side(args: &[(&str, &str)], key: &str, len: usize, report: &mut Report) -> Vec<f64> {
    let Some(text) = value_of(args, key) else { return vec![1.0; len] };
    let list = |text: &str| -> Option<Vec<f64>> {
        let number = |text: &str| if text.trim().is_empty() { Some(0.0) } else { finite(text) };
        text.split(',').map(number).collect()
    };
    let given = if len == 1 || text.contains(',') { list(text) } else { curve(text, len) };
    let Some(mut factors) = given else {
        let what = format!("{key}={text} is neither a list of factors nor a curve");
        let remedy = match len {
            1 => "give one factor".to_owned(),
            _ => format!("give {len} factors, or sine, cosine, linear, reverse_linear or zeros, also as in zeros+0.5"),
        };
        report.problem("network_args", what, remedy);
        return vec![1.0; len];
    };
    let found = factors.len();
    if found != len {
        let what = if found > len { "the rest is left out" } else { "1 is used for the rest" };
        let sdxl = if [3, 9].contains(&found) { " (the lists for SDXL have 9, 3 and 9)" } else { "" };
        report.note(
            "network_args",
            format!("{key} has {found} factors instead of {len}{sdxl}; {what}, as in sd-scripts"),
        );
    }
    factors.resize(len, 1.0);
    factors
}

/// A named curve from the first to the last block of a side, plus an offset.
fn curve(text: &str, len: usize) -> Option<Vec<f64>> {
    let (name, offset) = text.split_once('+').map_or(Some((text, 0.0)), |(name, plus)| Some((name, finite(plus)?)))?;
    let last = (len - 1) as f64;
    let value = |block: usize| match name {
        "linear" => Some(block as f64 / last),
        "reverse_linear" => Some((len - 1 - block) as f64 / last),
        "sine" => Some((std::f64::consts::PI * (block as f64 / last) / 2.0).sin()),
        "cosine" => Some((std::f64::consts::PI * ((len - 1 - block) as f64 / last) / 2.0).sin()),
        "zeros" => Some(0.0),
        _ => None,
    };
    (0..len).map(|block| Some(value(block)? + offset)).collect()
}

fn finite(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|value: &f64| value.is_finite())
}

/// `IN04=0.2,M00=1,OUT=0.5,OUT03-OUT05=1`: what comes later wins, what is not named keeps 1.
fn named(text: &str, report: &mut Report) -> Option<[f64; COUNT]> {
    let mut factors = [1.0; COUNT];
    let mut good = true;
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let read = entry.split_once('=').and_then(|(blocks, factor)| Some((range(blocks.trim())?, finite(factor)?)));
        match read.filter(|(_, factor)| *factor >= 0.0) {
            Some((blocks, factor)) => factors[blocks].fill(factor),
            None => {
                good = false;
                let remedy = if entry.to_ascii_uppercase().starts_with("BASE") {
                    "BASE is the text encoder, which has --text_encoder_lr"
                } else {
                    "write NAME=FACTOR with IN00 to IN11, M00, OUT00 to OUT11, IN, OUT, ALL or a range such as IN04-IN08"
                };
                report.problem("block_lr_weight", format!("`{entry}` is not a factor of a block"), remedy);
            }
        }
    }
    good.then_some(factors)
}

/// The blocks that a name stands for.
fn range(text: &str) -> Option<Range<usize>> {
    let one = |text: &str| (0..COUNT).find(|block| name(*block).eq_ignore_ascii_case(text));
    match text.to_ascii_uppercase().as_str() {
        "ALL" => Some(0..COUNT),
        "IN" => Some(0..SIDE),
        "M" | "MID" => Some(SIDE..SIDE + 1),
        "OUT" => Some(SIDE + 1..COUNT),
        upper => match upper.split_once('-') {
            Some((first, last)) => Some(one(first)?..one(last)? + 1).filter(|range| !range.is_empty()),
            None => one(upper).map(|block| block..block + 1),
        },
    }
}

/// Refuses or remarks what blocks and LoRA+ cannot do with this scope and optimizer.
pub(crate) fn check(raw: &RawNetwork, network: &Network, optimizer: &Optimizer, report: &mut Report) {
    let Network { blocks, lora_plus, .. } = network;
    let option = if raw.block_lr_weight.is_some() { "block_lr_weight" } else { "network_args" };
    if network.scope == Scope::TextEncoderOnly && *blocks != Blocks::default() {
        let text = "blocks are those of the UNet and have no effect with --network_train_text_encoder_only";
        report.note(option, text);
    }
    let name = optimizer.name();
    let own_rates = format!("{name} with relative_step=True sets its own rates");
    if blocks.lr.is_some_and(|lr| lr.iter().any(|factor| *factor != 0.0 && *factor != 1.0)) {
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
