//! LyCORIS' presets: which layers get an adapter, and what differs for some of them.
//!
//! A preset is one of the built-in ones or a TOML file with LyCORIS' keys. The built-in ones are those of LyCORIS 4.1 as
//! they are meant: there `full` fails with Stable Diffusion 1.x, since it names the time embedding twice, and `ia3`
//! names no layer, since its names are compared with the start of whole paths.

use super::algo::{Algo, Lokr, RankBlocks};
use super::layer_pattern::Pattern;
use super::rank_alpha::MOST;
use crate::parse::{home, text};
use crate::report::{LARGEST, shown};

/// Names of the presets that need no file.
pub const BUILT_IN: [&str; 8] =
    ["full", "full-lin", "attn-mlp", "attn-only", "unet-only", "unet-transformer-only", "unet-convblock-only", "ia3"];

/// Whether one of `--network_args` names a preset that is none of the built-in ones, and so a file.
pub(crate) fn names_a_preset_file(pair: &str) -> bool {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    key.trim() == "preset" && !BUILT_IN.contains(&value.trim())
}

/// Longest regular expressions of a preset together, in bytes; names count nothing.
const LONGEST: usize = 1 << 16;

/// Which layers get an adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset {
    /// 3×3 convolutions too (`enable_conv`).
    pub enable_conv: bool,
    /// Layers of the UNet.
    pub unet: Targets,
    /// Layers of the text encoder.
    pub text: Targets,
    /// What differs for layers of certain names (`name_algo_map`).
    pub changes: Vec<(Pattern, Change)>,
}

/// Layers of one network.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Targets {
    /// All layers inside modules of these classes.
    pub classes: Vec<Class>,
    /// Layers of these names.
    pub names: Vec<Pattern>,
}

/// A class of modules, as diffusers and transformers name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// `Transformer2DModel`
    Transformer,
    /// `BasicTransformerBlock`
    Block,
    /// `CrossAttention`, `Attention`
    Attention,
    /// `FeedForward`
    FeedForward,
    /// `ResnetBlock2D`
    Resnet,
    /// `Downsample2D`
    Downsample,
    /// `Upsample2D`
    Upsample,
    /// `TimestepEmbedding`
    TimeEmbedding,
    /// `CLIPAttention`
    TextAttention,
    /// `CLIPMLP`
    TextMlp,
    /// `CLIPEncoderLayer`
    TextLayer,
}

/// What differs for some layers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Change {
    /// Another algorithm.
    pub algo: Option<Algo>,
    /// Another rank.
    pub dim: Option<usize>,
    /// Another alpha.
    pub alpha: Option<f64>,
    /// IA3 along inputs (`train_on_input`).
    pub on_input: bool,
}

/// The file's keys, which are LyCORIS' own.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "yes")]
    enable_conv: bool,
    #[serde(default)]
    unet_target_module: Vec<String>,
    #[serde(default)]
    unet_target_name: Vec<String>,
    #[serde(default)]
    text_encoder_target_module: Vec<String>,
    #[serde(default)]
    text_encoder_target_name: Vec<String>,
    #[serde(default)]
    name_algo_map: toml::Table,
    #[serde(default)]
    use_fnmatch: bool,
}

fn yes() -> bool {
    true
}

impl File {
    fn pattern(&self, text: &str) -> Result<Pattern, String> {
        if self.use_fnmatch { Pattern::shell(text) } else { Pattern::regex(text) }
    }

    fn targets(&self, classes: &[String], names: &[String]) -> Result<Targets, String> {
        let mut targets = Targets::default();
        targets.classes.extend(classes.iter().filter_map(|name| class(name)));
        for name in names {
            targets.names.push(self.pattern(name)?);
        }
        Ok(targets)
    }
}

/// What `name_algo_map` may say about a layer.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct FileChange {
    algo: Option<String>,
    dim: Option<usize>,
    alpha: Option<f64>,
    factor: Option<i64>,
    #[serde(default)]
    train_on_input: bool,
}

impl Preset {
    /// The preset of this name, or in this file; `algo` is that of the other layers.
    pub(crate) fn read(name: &str, algo: &Algo) -> Result<Self, String> {
        if let Some(preset) = built_in(name) {
            return Ok(preset);
        }
        let path = home::expanded(name.into()).map_err(|unknown| unknown.to_string())?;
        if path.extension().is_none_or(|suffix| !suffix.eq_ignore_ascii_case("toml")) {
            return Err("there is no such preset".into());
        }
        let text = text::read(&path).map_err(|unread| unread.to_string().replacen("it ", "the file ", 1))?;
        let file: File = toml::from_str(&text).map_err(|error| error.message().to_string())?;
        Self::of_file(file, &text, algo)
    }

    fn of_file(file: File, text: &str, algo: &Algo) -> Result<Self, String> {
        let mut changes = Vec::new();
        for (name, table) in &file.name_algo_map {
            let change: FileChange = table
                .clone()
                .try_into()
                .map_err(|error: toml::de::Error| format!("name_algo_map of `{name}`: {}", error.message().trim()))?;
            changes.push((file.pattern(&as_python_reads(name, text))?, change.resolve(algo)?));
        }
        let unet = file.targets(&file.unet_target_module, &file.unet_target_name)?;
        let text = file.targets(&file.text_encoder_target_module, &file.text_encoder_target_name)?;
        let names = unet.names.iter().chain(&text.names);
        let length: usize = names.chain(changes.iter().map(|(pattern, _)| pattern)).map(Pattern::cost).sum();
        if length > LONGEST {
            return Err(format!("its patterns are {length} bytes long together, and {LONGEST} are the most"));
        }
        Ok(Self { enable_conv: file.enable_conv, unet, text, changes })
    }

    /// Patterns with doubled backslashes, which match no layer.
    pub(crate) fn idle(&self) -> impl Iterator<Item = &str> {
        self.changes.iter().map(|(pattern, _)| pattern.text.as_str()).filter(|text| text.contains(r"\\"))
    }

    /// What differs for a layer.
    pub fn change_of(&self, path: &str) -> Option<&Change> {
        self.changes.iter().find(|(pattern, _)| pattern.matches(path)).map(|(_, change)| change)
    }
}

/// A key of a table as Python's `toml` library gives it to LyCORIS: backslashes between double quotes stay doubled.
fn as_python_reads(key: &str, text: &str) -> String {
    let doubled = key.replace('\\', r"\\");
    if text.contains(&format!("\"{doubled}\"")) { doubled } else { key.into() }
}

impl FileChange {
    fn resolve(self, others: &Algo) -> Result<Change, String> {
        let factor = self.factor.and_then(|factor| usize::try_from(factor).ok()).filter(|factor| *factor > 0);
        let lokr = match *others {
            Algo::Lokr(lokr) => lokr,
            _ => Lokr::default(),
        };
        let lokr = Lokr { factor: factor.or(lokr.factor), ..lokr };
        let algo = match self.algo.as_deref().map(str::to_lowercase).as_deref() {
            None if factor.is_some() => Some(Algo::Lokr(lokr)),
            None => None,
            Some("lora" | "locon") => Some(Algo::Lora),
            Some("loha") => Some(Algo::Loha),
            Some("lokr") => Some(Algo::Lokr(lokr)),
            Some("ia3") => Some(Algo::Ia3),
            Some(other) => return Err(format!("algo `{other}` is not supported")),
        };
        if let (Algo::DyLora(RankBlocks { size, .. }), None, Some(dim)) = (others, &algo, self.dim)
            && !dim.is_multiple_of(*size)
        {
            return Err(format!("dim {dim} is no multiple of block_size {size}"));
        }
        if self.dim == Some(0) {
            return Err("dim 0 makes no sense".into());
        }
        if let Some(dim) = self.dim.filter(|dim| *dim > MOST) {
            return Err(format!("dim {dim} is more than any layer of the model has"));
        }
        if let Some(alpha) = self.alpha.filter(|alpha| !(0.0..=LARGEST).contains(alpha)) {
            return Err(format!("alpha {} makes no sense", shown(alpha)));
        }
        Ok(Change { algo, dim: self.dim, alpha: self.alpha, on_input: self.train_on_input })
    }
}

/// The class of this name; classes of other models match nothing here.
fn class(name: &str) -> Option<Class> {
    Some(match name {
        "Transformer2DModel" => Class::Transformer,
        "BasicTransformerBlock" => Class::Block,
        "CrossAttention" | "Attention" => Class::Attention,
        "FeedForward" => Class::FeedForward,
        "ResnetBlock2D" => Class::Resnet,
        "Downsample2D" => Class::Downsample,
        "Upsample2D" => Class::Upsample,
        "TimestepEmbedding" => Class::TimeEmbedding,
        "CLIPAttention" | "CLIPSdpaAttention" => Class::TextAttention,
        "CLIPMLP" => Class::TextMlp,
        "CLIPEncoderLayer" => Class::TextLayer,
        _ => return None,
    })
}

fn built_in(name: &str) -> Option<Preset> {
    use Class::{Attention, Downsample, Resnet, TextAttention, TextMlp, Transformer, Upsample};
    const TIME: [&str; 2] = [r"time_embedding\.linear_1", r"time_embedding\.linear_2"];
    const STEM: [&str; 4] = ["conv_in", "conv_out", TIME[0], TIME[1]];
    let text = targets(&[TextAttention, TextMlp], &[]);
    let none = Targets::default();
    let whole = targets(&[Transformer, Resnet, Downsample, Upsample], &STEM);
    Some(match name {
        "full" => preset(true, whole, text),
        "full-lin" => preset(false, targets(&[Transformer, Resnet], &TIME), text),
        "attn-mlp" => preset(false, targets(&[Transformer], &[]), text),
        "attn-only" => preset(false, targets(&[Attention], &[]), targets(&[TextAttention], &[])),
        "unet-only" => preset(true, whole, none),
        "unet-transformer-only" => preset(false, targets(&[Transformer], &[]), none),
        "unet-convblock-only" => preset(true, targets(&[Resnet, Downsample, Upsample], &STEM[..2]), none),
        "ia3" => {
            let unet = [r".*\.to_k$", r".*\.to_v$", r".*\.ff\.net\.2$"];
            let text = [r".*\.k_proj$", r".*\.v_proj$", r".*\.mlp\.fc2$"];
            let mut ia3 = preset(false, targets(&[], &unet), targets(&[], &text));
            for name in [unet[2], text[2]] {
                ia3.changes.push((built_in_pattern(name), Change { on_input: true, ..Change::default() }));
            }
            ia3
        }
        _ => return None,
    })
}

fn preset(enable_conv: bool, unet: Targets, text: Targets) -> Preset {
    Preset { enable_conv, unet, text, changes: Vec::new() }
}

fn targets(classes: &[Class], names: &[&str]) -> Targets {
    Targets { classes: classes.to_vec(), names: names.iter().map(|name| built_in_pattern(name)).collect() }
}

fn built_in_pattern(text: &str) -> Pattern {
    Pattern::regex(text).expect("the patterns of built-in presets are regular expressions")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_without_end_are_refused_and_long_names_cost_nothing() {
        let read = |text: &str| {
            let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
            Preset::of_file(file, text, &Algo::Lora)
        };
        let many = vec!["'.*to_q|.*to_k|.*to_v|.*ff'"; 1000].join(", ");
        let refused = [
            format!("unet_target_name = ['{}']", "a.*b|".repeat(8000)),
            "unet_target_name = ['(?:(?:a?){100}){100}']".to_owned(),
            format!("unet_target_name = [{many}]"),
        ];
        for text in refused {
            let error = read(&text).unwrap_err();
            assert!(error.len() < 300 && !error.is_empty(), "{error}");
        }
        let names = vec!["'down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q'"; 2000].join(", ");
        let preset = read(&format!("unet_target_name = [{names}]")).unwrap();
        assert_eq!(preset.unet.names.len(), 2000);
    }
}
