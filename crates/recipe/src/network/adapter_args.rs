//! The words of `--network_args`, module by module.

use super::adapter::{AdapterSettings, Dropout, Lycoris, Side};
use super::algo::{Algo, Dialect, Lokr, RankBlocks};
use super::blocks::Blocks;
use super::lycoris_preset::{BUILT_IN, Preset};
use super::rank_alpha::{RankAlpha, alpha};
use super::{block_args, lora_plus};
use crate::report::{LARGEST, Report};

/// The option under which everything here is typed.
const OPTION: &str = "network_args";

const LORA_ARGS: [&str; 5] = ["conv_dim", "conv_alpha", "dropout", "rank_dropout", "module_dropout"];
const DYLORA_ARGS: [&str; 3] = ["conv_dim", "conv_alpha", "unit"];
const LYCORIS_ARGS: [&str; 20] = [
    "algo",
    "preset",
    "conv_dim",
    "conv_alpha",
    "dropout",
    "rank_dropout",
    "module_dropout",
    "use_tucker",
    "use_cp",
    "use_conv_cp",
    "factor",
    "decompose_both",
    "full_matrix",
    "unbalanced_factorization",
    "block_size",
    "dora_wd",
    "wd_on_output",
    "rs_lora",
    "bypass_mode",
    "use_scalar",
];
/// Keys that sd-scripts or LyCORIS take, and that not every module here has.
const UNSUPPORTED_ARGS: [&str; 17] = [
    "block_dims",
    "block_alphas",
    "conv_block_dims",
    "conv_block_alphas",
    "down_lr_weight",
    "mid_lr_weight",
    "up_lr_weight",
    "block_lr_zero_threshold",
    "loraplus_lr_ratio",
    "loraplus_unet_lr_ratio",
    "loraplus_text_encoder_lr_ratio",
    "train_norm",
    "constraint",
    "rescaled",
    "disable_conv_cp",
    "train_t5xxl",
    "verbose",
];

/// The keys that a module takes.
pub(crate) fn known(module: &str) -> Vec<&'static str> {
    // Learning rates of blocks are for every module here: `--block_lr_weight` is kept as these lists.
    match module {
        "lycoris.kohya" => [&LYCORIS_ARGS[..], &block_args::KEYS[..4]].concat(),
        "networks.dylora" => [&DYLORA_ARGS[..], &block_args::KEYS[..4]].concat(),
        _ => [&LORA_ARGS[..], &block_args::KEYS, &lora_plus::KEYS].concat(),
    }
}

/// The keys that sd-scripts or LyCORIS take, and that this module does not have here.
pub(crate) fn unsupported(module: &str) -> Vec<&'static str> {
    let known = known(module);
    UNSUPPORTED_ARGS.into_iter().filter(|key| !known.contains(key)).collect()
}

/// What `--network_args` say.
pub(crate) struct Read {
    pub adapter: AdapterSettings,
    pub conv: Option<RankAlpha>,
    pub dropout: Dropout,
    pub args: Vec<(String, String)>,
}

/// The typed pairs with their keys known to the module.
struct Args<'a> {
    pairs: Vec<(&'a str, &'a str)>,
}

/// What stands beside the arguments.
pub(crate) struct Beside<'a> {
    /// Rank and alpha of linear layers.
    pub linear: RankAlpha,
    /// `--network_dropout`
    pub dropout: Option<f64>,
    /// `--dim_from_weights`
    pub from_file: bool,
    /// What differs in single blocks of the UNet.
    pub blocks: &'a Blocks,
}

/// Reads what the module's arguments say of the adapter; `pairs` hold known keys only.
pub(crate) fn read(module: &str, pairs: Vec<(&str, &str)>, beside: &Beside<'_>, report: &mut Report) -> Read {
    let args = Args { pairs };
    let adapter = match module {
        "lycoris.kohya" => AdapterSettings::Lycoris(Box::new(lycoris(&args, beside, report))),
        "networks.dylora" => {
            let size = args.count("unit", 1, report);
            AdapterSettings::DyLora(rank_blocks(size, Dialect::Kohya, "unit", beside, report))
        }
        _ => AdapterSettings::Lora,
    };
    let conv = match module {
        "lycoris.kohya" => args.lycoris_conv(beside, report),
        _ => args.kohya_conv(beside, report),
    };
    if let (AdapterSettings::DyLora(_), Some(conv)) = (&adapter, conv)
        && conv.rank != beside.linear.rank
    {
        report.problem(OPTION, "networks.dylora takes one rank for all layers", "make conv_dim equal to network_dim");
    }
    if let (AdapterSettings::Lycoris(lycoris), Some(conv)) = (&adapter, conv)
        && let Algo::DyLora(RankBlocks { size, .. }) = lycoris.algo
        && !conv.rank.is_multiple_of(size)
        && conv.rank != beside.linear.rank
    {
        let what = format!("block_size={size} does not divide conv_dim={}", conv.rank);
        report.problem(OPTION, what, format!("choose conv_dim as a multiple of {size}"));
    }
    let dropout = args.dropout(beside, &adapter, report);
    let args = args.pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    Read { adapter, conv, dropout, args }
}

fn rank_blocks(size: usize, dialect: Dialect, key: &str, beside: &Beside<'_>, report: &mut Report) -> RankBlocks {
    if !beside.from_file && !beside.linear.rank.is_multiple_of(size) {
        let what = format!("{key}={size} does not divide the rank {}", beside.linear.rank);
        report.problem(OPTION, what, format!("choose network_dim as a multiple of {size}"));
    }
    RankBlocks { size, dialect }
}

fn lycoris(args: &Args<'_>, beside: &Beside<'_>, report: &mut Report) -> Lycoris {
    let algo = algo(args, beside, report);
    let preset = args.get("preset").unwrap_or("full");
    let preset = Preset::read(preset, &algo).unwrap_or_else(|what| {
        let remedy = format!("give a preset file (TOML), or one of {}", BUILT_IN.join(", "));
        report.problem(OPTION, format!("preset={preset}: {what}"), remedy);
        Preset::read("full", &Algo::Lora).expect("built in")
    });
    for pattern in preset.idle() {
        let text = format!(
            "the preset's name_algo_map `{pattern}` matches nothing, since LyCORIS reads doubled backslashes as they are; \
             write it between single quotes, with single backslashes"
        );
        report.note(OPTION, text);
    }
    for key in ["bypass_mode", "use_scalar"] {
        if args.flag(key, false, report) {
            report.problem(OPTION, format!("{key}=True is not supported"), "leave it out");
        }
    }
    let tucker = ["use_tucker", "use_cp", "use_conv_cp"].iter().any(|key| args.flag(key, false, report));
    let dora = args.flag("dora_wd", false, report);
    let side = if args.flag("wd_on_output", true, report) { Side::Outputs } else { Side::Inputs };
    let rs = args.flag("rs_lora", false, report);
    if matches!(algo, Algo::Ia3 | Algo::DyLora(_)) {
        for (key, is_on) in [("dora_wd", dora), ("use_tucker", tucker), ("rs_lora", rs)] {
            if is_on {
                report.problem(OPTION, format!("{key} means nothing with this algo"), "leave it out");
            }
        }
    }
    if args.get("wd_on_output").is_some() && !dora {
        report.note(OPTION, "wd_on_output has no effect without dora_wd=True");
    }
    Lycoris { algo, preset, tucker, dora: if dora { Some(side) } else { None }, rs }
}

fn algo(args: &Args<'_>, beside: &Beside<'_>, report: &mut Report) -> Algo {
    let name = args.get("algo").unwrap_or("lora").to_lowercase();
    let lokr = Lokr {
        factor: args.factor(report),
        decompose_both: args.flag("decompose_both", false, report),
        full_matrix: args.flag("full_matrix", false, report),
        unbalanced: args.flag("unbalanced_factorization", false, report),
    };
    if name != "lokr" && lokr != Lokr::default() {
        let text =
            "factor, decompose_both, full_matrix and unbalanced_factorization have an effect with algo=lokr only";
        report.note(OPTION, text);
    }
    if name != "dylora" && args.get("block_size").is_some() {
        report.note(OPTION, "block_size has an effect with algo=dylora only");
    }
    match name.as_str() {
        "lora" | "locon" => Algo::Lora,
        "loha" => Algo::Loha,
        "lokr" => Algo::Lokr(lokr),
        "ia3" => Algo::Ia3,
        "dylora" => {
            let size = args.count("block_size", 4, report);
            Algo::DyLora(rank_blocks(size, Dialect::Lycoris, "block_size", beside, report))
        }
        _ => {
            let known = ["full", "glora", "diag-oft", "boft", "tlora", "abba"].contains(&name.as_str());
            let what = if known { "lorabake does not support it yet" } else { "there is no such algorithm" };
            report.problem(OPTION, format!("algo={name}: {what}"), "use lora, locon, loha, lokr, ia3 or dylora");
            Algo::Lora
        }
    }
}

impl Args<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }

    fn flag(&self, key: &str, default: bool, report: &mut Report) -> bool {
        match self.get(key).map(str::to_lowercase).as_deref() {
            None => default,
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            Some(other) => {
                report.problem(OPTION, format!("{key}={other} is neither True nor False"), "write True or False");
                default
            }
        }
    }

    /// A whole number of 1 or more.
    fn count(&self, key: &str, default: usize, report: &mut Report) -> usize {
        let Some(text) = self.get(key) else { return default };
        match text.parse::<u32>() {
            Ok(count) if count > 0 => count as usize,
            _ => {
                report.problem(OPTION, format!("{key}={text} makes no sense"), "use a whole number, 1 or more");
                default
            }
        }
    }

    fn factor(&self, report: &mut Report) -> Option<usize> {
        match self.get("factor") {
            None | Some("-1") => None,
            Some(_) => Some(self.count("factor", 8, report)),
        }
    }

    /// A share from 0 up to, but not including, 1.
    fn share(&self, key: &str, report: &mut Report) -> f64 {
        let Some(text) = self.get(key).filter(|text| *text != "None") else { return 0.0 };
        match text.parse() {
            Ok(share) if (0.0..1.0).contains(&share) => share,
            _ => {
                report.problem(OPTION, format!("{key}={text} makes no sense"), "use a share such as 0.1, less than 1");
                0.0
            }
        }
    }

    fn dropout(&self, beside: &Beside<'_>, adapter: &AdapterSettings, report: &mut Report) -> Dropout {
        let mut neuron = beside.dropout.unwrap_or(0.0);
        if !(0.0..1.0).contains(&neuron) {
            report.problem("network_dropout", format!("{neuron} makes no sense"), "use a share such as 0.1");
            neuron = 0.0;
        }
        if self.get("dropout").is_some() {
            neuron = self.share("dropout", report);
        }
        let mut rank = self.share("rank_dropout", report);
        let module = self.share("module_dropout", report);
        if neuron > 0.0 && *adapter != AdapterSettings::Lora {
            let text = "has no effect with this network_module, as in the original; use rank_dropout or module_dropout of \
                        networks.lora or lycoris.kohya";
            report.note("network_dropout", text);
            neuron = 0.0;
        }
        let algo = match adapter {
            AdapterSettings::Lycoris(lycoris) => Some(&lycoris.algo),
            _ => None,
        };
        if rank > 0.0 && matches!(algo, Some(Algo::Ia3 | Algo::DyLora(_))) {
            report.note(OPTION, "rank_dropout has no effect with this algo, as in LyCORIS");
            rank = 0.0;
        }
        Dropout { neuron, rank, module }
    }

    /// sd-scripts: only with `conv_dim`, or with sizes of single blocks.
    fn kohya_conv(&self, beside: &Beside<'_>, report: &mut Report) -> Option<RankAlpha> {
        if beside.from_file {
            self.note_from_file(report);
            return None;
        }
        let typed_alpha = self.get("conv_alpha");
        if self.get("conv_dim").is_none() {
            if typed_alpha.is_some() && beside.blocks.conv.is_none() {
                report.problem(OPTION, "conv_alpha means nothing without conv_dim", "add conv_dim=8, or leave it out");
            }
            // The blocks' own sizes count; this one says that there are any.
            let sizes = beside.blocks.conv.as_ref()?;
            let first = sizes.iter().find(|size| size.rank > 0);
            return Some(first.copied().unwrap_or(RankAlpha { rank: 1, alpha: 1.0 }));
        }
        let rank = self.rank("conv_dim", report)?;
        let given = self.conv_alpha(report);
        Some(RankAlpha { rank, alpha: alpha(OPTION, given, rank, report) })
    }

    /// LyCORIS: network_dim and network_alpha unless given; `conv_dim=0` leaves 3×3 convolutions out.
    fn lycoris_conv(&self, beside: &Beside<'_>, report: &mut Report) -> Option<RankAlpha> {
        if beside.from_file {
            self.note_from_file(report);
            return None;
        }
        let rank = match self.get("conv_dim") {
            Some("0") => return None,
            Some(_) => self.rank("conv_dim", report)?,
            None => beside.linear.rank,
        };
        let alpha = match self.conv_alpha(report) {
            Some(given) => alpha(OPTION, Some(given), rank, report),
            None => beside.linear.alpha,
        };
        Some(RankAlpha { rank, alpha })
    }

    /// The alpha of 3×3 convolutions as it was typed.
    fn conv_alpha(&self, report: &mut Report) -> Option<f64> {
        let text = self.get("conv_alpha")?;
        let alpha = text.parse().ok().filter(|alpha| (0.0..=LARGEST).contains(alpha));
        if alpha.is_none() {
            report.problem(OPTION, format!("conv_alpha={text} makes no sense"), "use a number from 0 to conv_dim");
        }
        alpha
    }

    fn note_from_file(&self, report: &mut Report) {
        if self.get("conv_dim").or(self.get("conv_alpha")).is_some() {
            report.note(OPTION, "conv_dim and conv_alpha have no effect with --dim_from_weights: the file decides");
        }
    }

    fn rank(&self, key: &str, report: &mut Report) -> Option<usize> {
        let text = self.get(key)?;
        let rank = text.parse::<u32>().ok().filter(|rank| *rank > 0).map(|rank| rank as usize);
        if rank.is_none() {
            report.problem(OPTION, format!("{key}={text} is not a rank"), "use a whole number, 1 or more");
        }
        rank
    }
}
