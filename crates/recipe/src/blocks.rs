//! Ranks and learning rates of single blocks of the UNet: sd-scripts' lists in `--network_args`, and our own named
//! blocks in `--block_lr_weight`. Rules: `networks/lora.py` of kohya-ss/sd-scripts 48d368fa.
//!
//! The original code numbers the UNet's blocks IN00 to IN11, M00, OUT00 to OUT11, and so do block-weight extensions of
//! web UIs. sd-scripts' lists are in that order. IN00 is the first convolution, which a LoRA leaves alone.

use std::ops::Range;

use crate::lora_plus::LoraPlus;
use crate::model::Family;
use crate::network::{Network, RankAlpha, RawNetwork, Scope};
use crate::optimizer::Optimizer;
use crate::pairs::value_of;
use crate::report::Report;

/// The blocks of a UNet, as sd-scripts counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Numbering {
    /// Of SD1.x and SD2.x: IN00 to IN11, M00, OUT00 to OUT11.
    #[default]
    Sd,
    /// Of SDXL: IN00 to IN08, M00 to M02, OUT00 to OUT08; and around these two that a LoRA leaves alone, the embeddings
    /// and the last convolution.
    Sdxl,
}

impl Numbering {
    fn of(family: Family) -> Self {
        if family == Family::Sdxl { Self::Sdxl } else { Self::Sd }
    }

    /// How many there are, also in a list such as `block_dims`.
    pub fn count(self) -> usize {
        let ([down, mid, up], outer) = (self.sides(), self.outer());
        down + mid + up + 2 * outer
    }

    /// Blocks on the way down, in the middle, on the way up: those that have factors of the learning rate.
    fn sides(self) -> [usize; 3] {
        if self == Self::Sdxl { [9, 3, 9] } else { [12, 1, 12] }
    }

    /// Blocks that stand before, and behind, all others.
    fn outer(self) -> usize {
        usize::from(self == Self::Sdxl)
    }

    /// The name of a block, such as `IN00`.
    pub fn name(self, block: usize) -> String {
        let [down, mid, up] = self.sides();
        let Some(inner) = block.checked_sub(self.outer()) else { return "BASE".to_owned() };
        match inner {
            _ if inner < down => format!("IN{inner:02}"),
            _ if inner < down + mid => format!("M{:02}", inner - down),
            _ if inner < down + mid + up => format!("OUT{:02}", inner - down - mid),
            _ => "END".to_owned(),
        }
    }

    /// The blocks that have names of their own.
    pub fn named(self) -> Range<usize> {
        self.outer()..self.count() - self.outer()
    }

    /// In words, for messages.
    fn spelled(self) -> &'static str {
        match self {
            Self::Sd => "12 for IN00 to IN11, 1 for M00, 12 for OUT00 to OUT11",
            Self::Sdxl => {
                "1 for the embeddings, 9 for IN00 to IN08, 3 for M00 to M02, 9 for OUT00 to OUT08, 1 for the end"
            }
        }
    }
}

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
    /// What the blocks are.
    pub numbering: Numbering,
    /// Factors of the UNet's learning rate; a block at 0 gets no adapter. `None` = one rate for the whole UNet.
    pub lr: Option<Vec<f64>>,
    /// Linear layers and 1×1 convolutions; rank 0 = no adapter. `None` = `Network::linear` everywhere.
    pub linear: Option<Vec<RankAlpha>>,
    /// 3×3 convolutions; rank 0 = no adapter. `None` = `Network::conv` everywhere.
    pub conv: Option<Vec<RankAlpha>>,
}

impl Blocks {
    /// Whether anything is asked for of single blocks.
    pub fn differ(&self) -> bool {
        self.lr.is_some() || self.linear.is_some() || self.conv.is_some()
    }

    /// Whether ranks or alphas differ from the network's, or blocks are left out.
    pub fn change_sizes(&self) -> bool {
        self.linear.is_some() || self.conv.is_some() || self.lr.as_ref().is_some_and(|lr| lr.contains(&0.0))
    }

    /// Factor of the UNet's learning rate in `block`.
    pub fn lr(&self, block: usize) -> f64 {
        self.lr.as_ref().map_or(1.0, |lr| lr[block])
    }

    /// Rank and alpha in `block`, where `usual` is the network's; `None` = no adapter there. `wide` = 3×3 convolutions.
    pub fn size(&self, block: usize, wide: bool, usual: RankAlpha) -> Option<RankAlpha> {
        let own = if wide { &self.conv } else { &self.linear };
        let size = own.as_ref().map_or(usual, |sizes| sizes[block]);
        (size.rank > 0 && self.lr(block) != 0.0).then_some(size)
    }

    /// The factors as sd-scripts takes them in `--network_args`.
    pub fn lr_args(&self) -> Vec<String> {
        let Some(lr) = &self.lr else { return Vec::new() };
        let [down, mid, _] = self.numbering.sides();
        let (down, rest) = lr[self.numbering.named()].split_at(down);
        let (mid, up) = rest.split_at(mid);
        [("down", down), ("mid", mid), ("up", up)]
            .map(|(side, list)| format!("{side}_lr_weight={}", joined(list)))
            .into()
    }
}

fn joined<T: ToString>(list: &[T]) -> String {
    list.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

/// Reads the blocks; `args` are the pairs of `--network_args`. Where the family is not known yet, the lists' lengths
/// tell: what is wrong with them is said once it is known.
pub(crate) fn resolve(raw: &RawNetwork, args: &[(&str, &str)], family: Option<Family>, report: &mut Report) -> Blocks {
    let numbering = family.map_or_else(|| guess(raw, args), Numbering::of);
    let lr = factors(raw, args, numbering, report);
    let option = "network_args";
    let unused = |keys: &[&str], why: &str, report: &mut Report| {
        for key in keys.iter().filter(|key| value_of(args, key).is_some()) {
            report.note(option, format!("{key} has no effect {why}"));
        }
    };
    if raw.dim_from_weights == Some(true) {
        unused(&KEYS[4..], "with --dim_from_weights: the file decides", report);
        return Blocks { numbering, lr, linear: None, conv: None };
    }
    let count = numbering.count();
    let dims: Option<Vec<usize>> = list(args, "block_dims", numbering, report);
    let alphas: Option<Vec<f64>> = list(args, "block_alphas", numbering, report);
    let conv_dims: Option<Vec<usize>> = list(args, "conv_block_dims", numbering, report);
    let conv_alphas: Option<Vec<f64>> = list(args, "conv_block_alphas", numbering, report);
    if dims.is_none() && lr.is_none() {
        unused(&KEYS[5..], "without block_dims or learning rates of blocks, as in sd-scripts", report);
        return Blocks { numbering, ..Blocks::default() };
    }
    let by_hand = dims.is_some() || alphas.is_some();
    let linear = by_hand.then(|| {
        let dims = dims.unwrap_or_else(|| vec![raw.network_dim.unwrap_or(4) as usize; count]);
        sizes(&dims, &alphas.unwrap_or_else(|| vec![raw.network_alpha.unwrap_or(1.0); count]))
    });
    if conv_dims.is_none() {
        unused(&["conv_block_alphas"], "without conv_block_dims, as in sd-scripts", report);
    }
    let conv_alpha = value_of(args, "conv_alpha").and_then(|text| text.parse().ok()).unwrap_or(1.0);
    let conv = conv_dims.map(|dims| sizes(&dims, &conv_alphas.unwrap_or_else(|| vec![conv_alpha; count])));
    Blocks { numbering, lr, linear, conv }
}

/// Which family the lists are for, going by the lengths of those that only SDXL has.
fn guess(raw: &RawNetwork, args: &[(&str, &str)]) -> Numbering {
    let long = |key: &&str| value_of(args, key).map_or(0, |text| text.split(',').count());
    let [down, mid, up] = Numbering::Sdxl.sides();
    let sides = [(KEYS[0], down), (KEYS[1], mid), (KEYS[2], up)].iter().any(|(key, count)| long(key) == *count);
    let lists = KEYS[4..].iter().any(|key| long(key) == Numbering::Sdxl.count());
    let named = raw.block_lr_weight.as_deref().is_some_and(|text| {
        named(text, Numbering::Sd, &mut Report::default()).is_none()
            && named(text, Numbering::Sdxl, &mut Report::default()).is_some()
    });
    if sides || lists || named { Numbering::Sdxl } else { Numbering::Sd }
}

/// Alpha 0 stands for the rank.
fn sizes(dims: &[usize], alphas: &[f64]) -> Vec<RankAlpha> {
    let size = |(rank, alpha): (&usize, &f64)| RankAlpha {
        rank: *rank,
        alpha: if *alpha == 0.0 { *rank as f64 } else { *alpha },
    };
    dims.iter().zip(alphas).map(size).collect()
}

/// A list with one number per block.
fn list<T: std::str::FromStr + PartialOrd + Default>(
    args: &[(&str, &str)],
    key: &str,
    numbering: Numbering,
    report: &mut Report,
) -> Option<Vec<T>> {
    let text = value_of(args, key)?;
    let numbers: Option<Vec<T>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    let Some(numbers) = numbers.filter(|numbers| numbers.iter().all(|number| *number >= T::default())) else {
        let what = format!("{key}={text} is not a list of numbers that are 0 or more");
        report.problem("network_args", what, "write for instance 4,4,8 with one number per block, without spaces");
        return None;
    };
    let (found, count) = (numbers.len(), numbering.count());
    if found == count {
        return Some(numbers);
    }
    let whose = match found {
        23 => " (23 is for SDXL)",
        25 => " (25 is for Stable Diffusion 1.x and 2.x)",
        17 | 26 => " (that is for weights in a prompt)",
        _ => "",
    };
    let model = if numbering == Numbering::Sdxl { "SDXL" } else { "Stable Diffusion 1.x" };
    let what = format!("{key} has {found} numbers{whose}, and {model} has {count} blocks");
    report.problem("network_args", what, format!("give {}", numbering.spelled()));
    None
}

/// Factors of the learning rate, from lists, curves or names.
fn factors(raw: &RawNetwork, args: &[(&str, &str)], numbering: Numbering, report: &mut Report) -> Option<Vec<f64>> {
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
        Some(text) => named(text, numbering, report)?,
        None if lists => {
            let [down, mid, up] = numbering.sides();
            let sides = [(0, down), (1, mid), (2, up)].map(|(key, len)| side(args, KEYS[key], len, report));
            let outer = vec![1.0; numbering.outer()];
            [&outer[..], &sides.concat(), &outer].concat()
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
    // The middle has no curves.
    let given = if key == KEYS[1] || text.contains(',') { list(text) } else { curve(text, len) };
    let Some(mut factors) = given else {
        let what = format!("{key}={text} is neither a list of factors nor a curve");
        let remedy = match len {
            1 => "give one factor".to_owned(),
            3 => "give three factors".to_owned(),
            _ => format!("give {len} factors, or sine, cosine, linear, reverse_linear or zeros, also as in zeros+0.5"),
        };
        report.problem("network_args", what, remedy);
        return vec![1.0; len];
    };
    let found = factors.len();
    if found != len {
        let what = if found > len { "the rest is left out" } else { "1 is used for the rest" };
        let whose = match found {
            3 | 9 => " (the lists for SDXL have 9, 3 and 9)",
            12 => " (the lists for Stable Diffusion 1.x and 2.x have 12, 1 and 12)",
            _ => "",
        };
        report.note(
            "network_args",
            format!("{key} has {found} factors instead of {len}{whose}; {what}, as in sd-scripts"),
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
fn named(text: &str, numbering: Numbering, report: &mut Report) -> Option<Vec<f64>> {
    let mut factors = vec![1.0; numbering.count()];
    let mut good = true;
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let read = entry
            .split_once('=')
            .and_then(|(blocks, factor)| Some((range(blocks.trim(), numbering)?, finite(factor)?)));
        match read.filter(|(_, factor)| *factor >= 0.0) {
            Some((blocks, factor)) => factors[blocks].fill(factor),
            None => {
                good = false;
                let remedy = if entry.to_ascii_uppercase().starts_with("BASE") {
                    "BASE is the text encoder, which has --text_encoder_lr"
                } else if numbering == Numbering::Sdxl {
                    "write NAME=FACTOR with IN00 to IN08, M00 to M02, OUT00 to OUT08, IN, M, OUT, ALL or a range such \
                     as IN04-IN08"
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
fn range(text: &str, numbering: Numbering) -> Option<Range<usize>> {
    let all = numbering.named();
    let one = |text: &str| all.clone().find(|block| numbering.name(*block).eq_ignore_ascii_case(text));
    let [down, mid, _] = numbering.sides();
    let (middle, up) = (all.start + down, all.start + down + mid);
    match text.to_ascii_uppercase().as_str() {
        "ALL" => Some(all.clone()),
        "IN" => Some(all.start..middle),
        "M" | "MID" => Some(middle..up),
        "OUT" => Some(up..all.end),
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
