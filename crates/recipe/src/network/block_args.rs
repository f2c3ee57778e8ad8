//! Reads ranks and learning rates of single blocks: sd-scripts' lists in `--network_args`, and our own named blocks in
//! `--block_lr_weight`. Rules: `networks/lora.py` of kohya-ss/sd-scripts 48d368fa.

use std::f64::consts::PI;
use std::ops::Range;

use super::blocks::{Blocks, Numbering};
use super::options::RawNetwork;
use super::rank_alpha::RankAlpha;
use crate::model::Family;
use crate::parse::pairs::value_of;
use crate::report::{LARGEST, Report, shown};

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

/// Reads the blocks; `args` are the pairs of `--network_args`. Where the family is not known yet, the lists' lengths
/// decide, and what is wrong with them is reported once it is known.
pub(crate) fn resolve(raw: &RawNetwork, args: &[(&str, &str)], family: Option<Family>, report: &mut Report) -> Blocks {
    let numbering = family.map_or_else(|| guess(raw, args), Numbering::of);
    let lr = factors(raw, args, numbering, report);
    if raw.dim_from_weights == Some(true) {
        note_unused(args, &KEYS[4..], "with --dim_from_weights: the file decides", report);
        return Blocks { numbering, lr, linear: None, conv: None };
    }
    let count = numbering.count();
    let dims: Option<Vec<usize>> = list(args, "block_dims", numbering, report);
    let alphas: Option<Vec<f64>> = list(args, "block_alphas", numbering, report);
    let conv_dims: Option<Vec<usize>> = list(args, "conv_block_dims", numbering, report);
    let conv_alphas: Option<Vec<f64>> = list(args, "conv_block_alphas", numbering, report);
    for (key, alphas) in [("block_alphas", &alphas), ("conv_block_alphas", &conv_alphas)] {
        let most = alphas.iter().flatten().copied().fold(0.0, f64::max);
        if most > LARGEST {
            let what = format!("{key}: {} is too large", shown(most));
            report.problem("network_args", what, "use numbers between 0 and the rank");
        }
    }
    if dims.is_none() && lr.is_none() {
        note_unused(args, &KEYS[5..], "without block_dims or learning rates of blocks, as in sd-scripts", report);
        return Blocks { numbering, ..Blocks::default() };
    }
    let mut linear = None;
    if dims.is_some() || alphas.is_some() {
        let dims = dims.unwrap_or_else(|| vec![raw.network_dim.unwrap_or(4) as usize; count]);
        let alphas = alphas.unwrap_or_else(|| vec![raw.network_alpha.unwrap_or(1.0); count]);
        linear = Some(sizes(&dims, &alphas));
    }
    if conv_dims.is_none() {
        note_unused(args, &["conv_block_alphas"], "without conv_block_dims, as in sd-scripts", report);
    }
    let mut conv = None;
    if let Some(dims) = conv_dims {
        let conv_alpha = value_of(args, "conv_alpha").and_then(|text| text.parse().ok()).unwrap_or(1.0);
        let alphas = conv_alphas.unwrap_or_else(|| vec![conv_alpha; count]);
        conv = Some(sizes(&dims, &alphas));
    }
    Blocks { numbering, lr, linear, conv }
}

/// Notes those of `keys` that are given for nothing.
fn note_unused(args: &[(&str, &str)], keys: &[&str], why: &str, report: &mut Report) {
    for key in keys {
        if value_of(args, key).is_some() {
            report.note("network_args", format!("{key} has no effect {why}"));
        }
    }
}

/// Which family the lists are for, going by the lengths of those that only SDXL has.
fn guess(raw: &RawNetwork, args: &[(&str, &str)]) -> Numbering {
    let length = |key: &str| value_of(args, key).map_or(0, |text| text.split(',').count());
    let [down, mid, up] = Numbering::Sdxl.sides();
    let has_sides = length(KEYS[0]) == down || length(KEYS[1]) == mid || length(KEYS[2]) == up;
    let has_lists = KEYS[4..].iter().any(|key| length(key) == Numbering::Sdxl.count());
    let has_names = raw.block_lr_weight.as_deref().is_some_and(|text| {
        named(text, Numbering::Sd, &mut Report::default()).is_none()
            && named(text, Numbering::Sdxl, &mut Report::default()).is_some()
    });
    if has_sides || has_lists || has_names { Numbering::Sdxl } else { Numbering::Sd }
}

/// Ranks with their alphas, of which 0 stands for the rank.
fn sizes(dims: &[usize], alphas: &[f64]) -> Vec<RankAlpha> {
    let mut sizes = Vec::with_capacity(dims.len());
    for (rank, alpha) in dims.iter().zip(alphas) {
        let alpha = if *alpha == 0.0 { *rank as f64 } else { *alpha };
        sizes.push(RankAlpha { rank: *rank, alpha });
    }
    sizes
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
    let found = numbers.len();
    let count = numbering.count();
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
    let mut zero = 0.0;
    if let Some(text) = threshold {
        zero = text.parse::<f64>().unwrap_or(f64::NAN);
        if !zero.is_finite() {
            let what = format!("block_lr_zero_threshold={text} is not a number");
            report.problem("network_args", what, "write for instance block_lr_zero_threshold=0.1");
            return None;
        }
    }
    let mut factors = match &raw.block_lr_weight {
        Some(_) if lists => {
            let what = "--network_args sets learning rates of blocks too";
            report.problem("block_lr_weight", what, "leave out one of the two");
            return None;
        }
        Some(text) => named(text, numbering, report)?,
        None if lists => {
            let [down, mid, up] = numbering.sides();
            let down = side(args, KEYS[0], down, report);
            let mid = side(args, KEYS[1], mid, report);
            let up = side(args, KEYS[2], up, report);
            let outer = vec![1.0; numbering.outer()];
            [outer.clone(), down, mid, up, outer].concat()
        }
        None => {
            if threshold.is_some() {
                report.note("network_args", "block_lr_zero_threshold has no effect without learning rates of blocks");
            }
            return None;
        }
    };
    for factor in &mut factors {
        if *factor <= zero {
            *factor = 0.0;
        }
    }
    Some(factors)
}

/// The factors of one side of the UNet: 1 where nothing is said, 0 where nothing stands between two commas.
fn side(args: &[(&str, &str)], key: &str, len: usize, report: &mut Report) -> Vec<f64> {
    let Some(text) = value_of(args, key) else { return vec![1.0; len] };
    // The middle has no curves.
    let given = if key == KEYS[1] || text.contains(',') { listed(text) } else { curve(text, len) };
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

/// Factors between commas.
fn listed(text: &str) -> Option<Vec<f64>> {
    let mut factors = Vec::new();
    for number in text.split(',') {
        factors.push(if number.trim().is_empty() { 0.0 } else { finite(number)? });
    }
    Some(factors)
}

/// A named curve from the first to the last block of a side, plus an offset.
fn curve(text: &str, len: usize) -> Option<Vec<f64>> {
    let (name, offset) = match text.split_once('+') {
        Some((name, plus)) => (name, finite(plus)?),
        None => (text, 0.0),
    };
    let mut factors = Vec::with_capacity(len);
    for block in 0..len {
        let rising = block as f64 / (len - 1) as f64;
        let falling = (len - 1 - block) as f64 / (len - 1) as f64;
        let value = match name {
            "linear" => rising,
            "reverse_linear" => falling,
            "sine" => (PI * rising / 2.0).sin(),
            "cosine" => (PI * falling / 2.0).sin(),
            "zeros" => 0.0,
            _ => return None,
        };
        factors.push(value + offset);
    }
    Some(factors)
}

fn finite(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|value: &f64| value.abs() <= LARGEST)
}

/// `IN04=0.2,M00=1,OUT=0.5,OUT03-OUT05=1`: what comes later wins, what is not named keeps 1.
fn named(text: &str, numbering: Numbering, report: &mut Report) -> Option<Vec<f64>> {
    let mut factors = vec![1.0; numbering.count()];
    let mut all_good = true;
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        if let Some((blocks, factor)) = named_factor(entry, numbering) {
            factors[blocks].fill(factor);
            continue;
        }
        all_good = false;
        let remedy = if entry.to_ascii_uppercase().starts_with("BASE") {
            "BASE is the text encoder, which has --text_encoder_lr"
        } else if numbering == Numbering::Sdxl {
            "write NAME=FACTOR with IN00 to IN08, M00 to M02, OUT00 to OUT08, IN, M, OUT, ALL or a range such as IN04-IN08"
        } else {
            "write NAME=FACTOR with IN00 to IN11, M00, OUT00 to OUT11, IN, OUT, ALL or a range such as IN04-IN08"
        };
        report.problem("block_lr_weight", format!("`{entry}` is not a factor of a block"), remedy);
    }
    if all_good { Some(factors) } else { None }
}

/// `IN04=0.2` as the blocks that it names and a factor of 0 or more.
fn named_factor(entry: &str, numbering: Numbering) -> Option<(Range<usize>, f64)> {
    let (name, factor) = entry.split_once('=')?;
    let blocks = range(name.trim(), numbering)?;
    let factor = finite(factor)?;
    if factor >= 0.0 { Some((blocks, factor)) } else { None }
}

/// The blocks that a name stands for.
fn range(text: &str, numbering: Numbering) -> Option<Range<usize>> {
    let all = numbering.named();
    let one = |text: &str| all.clone().find(|block| numbering.name(*block).eq_ignore_ascii_case(text));
    let [down, mid, _] = numbering.sides();
    let middle = all.start + down;
    let up = middle + mid;
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
