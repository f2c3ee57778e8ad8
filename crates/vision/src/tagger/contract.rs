//! What a tagger wants of a picture and what its outputs mean, by the files that lie in its folder.
//!
//! Source: what each family's own program does with a picture (SmilingWolf's space and dghs-imgutils for WD, kohya's
//! sd-scripts for tag_mapping.json, fpgaminer's JoyTag, dghs-imgutils for DeepDanbooru, ML-Danbooru and Camie).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lorabake_onnx::{Network, Port, Side};
use lorabake_pixels::Size;
use lorabake_pixels::pillow::Filter;
use serde_json::Value;

use super::described;
use super::label::{self, Category, Label};
use super::stage::{Colors, Layout, Numbers, Parts, Resampling, Stage};
use super::stage_file;
use crate::error::Error;
use crate::read_text::read_text;

const BICUBIC: Resampling = Resampling::Pillow(Filter::Bicubic);
const WHITE: [u8; 3] = [255; 3];
/// CLIP's mean and spread of red, green and blue, with which JoyTag was trained.
const CLIP: [[f32; 3]; 2] = [[0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_6, 0.275_777_1]];

/// What a tagger wants, and what it gives.
#[derive(Debug, Clone)]
pub struct Contract {
    /// The kind of tagger, for people.
    pub family: &'static str,
    /// The file that says so.
    pub by: PathBuf,
    /// What each output means.
    pub labels: Vec<Label>,
    /// What is done to a picture.
    pub stages: Vec<Stage>,
    /// How its pixels become numbers.
    pub numbers: Numbers,
    /// Width and height that the network sees.
    pub size: Size,
    /// Behind which colour transparent pictures are laid.
    pub background: [u8; 3],
    /// The output with the scores, by number.
    pub output: usize,
    /// What the numbers there are.
    pub activation: Activation,
    /// From which score on tags of a category count, if nobody says otherwise.
    pub thresholds: BTreeMap<Category, f32>,
}

/// What a network's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Probabilities as they are.
    None,
    /// Logits, one by one.
    Sigmoid,
    /// Logits of which one is true.
    Softmax,
    /// Logits if one is below 0 or above 1, else probabilities.
    ByRange,
}

/// A kind of tagger that is known by the names of its files.
struct Known {
    family: &'static str,
    /// The list of tags.
    list: &'static str,
    build: fn(Size, Layout) -> Preparation,
    side: u32,
    general: f32,
    character: f32,
}

/// What is done to a picture, and what comes of it.
pub(super) struct Preparation {
    pub stages: Vec<Stage>,
    pub numbers: Numbers,
    pub background: [u8; 3],
    pub activation: Activation,
}

const KNOWN: [Known; 7] = [
    Known { family: "WD", list: "selected_tags.csv", build: wd, side: 448, general: 0.35, character: 0.85 },
    Known { family: "WD for e621", list: "tags-selected.csv", build: wd, side: 448, general: 0.35, character: 0.85 },
    Known { family: "cl_tagger", list: "tag_mapping.json", build: cl, side: 448, general: 0.35, character: 0.35 },
    Known { family: "JoyTag", list: "top_tags.txt", build: joytag, side: 448, general: 0.4, character: 0.4 },
    Known {
        family: "ML-Danbooru",
        list: "mldanbooru_tags.csv",
        build: mldanbooru,
        side: 448,
        general: 0.7,
        character: 0.7,
    },
    Known {
        family: "DeepDanbooru",
        list: "deepdanbooru_tags.csv",
        build: deepdanbooru,
        side: 512,
        general: 0.5,
        character: 0.5,
    },
    Known { family: "DeepDanbooru", list: "tags.txt", build: deepdanbooru, side: 512, general: 0.5, character: 0.5 },
];

impl Contract {
    /// The contract of `network`, by the files beside it.
    ///
    /// # Errors
    /// When there is no list of tags, a file makes no sense, or the network is of another kind.
    pub fn of(network: &Network) -> Result<Self, Error> {
        let path = network.path();
        let input = input(network)?;
        for name in ["tagger.toml", "lorabake-tagger.toml"] {
            let file = path.with_file_name(name);
            if file.is_file() {
                return described::contract(&file, network, input);
            }
        }
        let own = path.with_extension("toml");
        if own.is_file() {
            return described::contract(&own, network, input);
        }
        let (known, list) = list_of(path)?;
        let size = input.size.unwrap_or((known.side, known.side));
        let layout = input.layout.unwrap_or(Layout::ColorsLast);
        let mut prepared = (known.build)(size, layout);
        let mut family = known.family;
        let stages = path.with_file_name("preprocess.json");
        if stages.is_file() && list.extension().is_some_and(|suffix| suffix == "csv") {
            let read = stage_file::read(&stages)?;
            prepared.stages = read.stages;
            prepared.stages.push(Stage::Middle(size));
            prepared.numbers = Numbers { layout, ..read.numbers };
            prepared.activation = Activation::ByRange;
            family = "a tagger with preprocess.json";
        }
        let labels = label::read(&list)?;
        let output = output(network, labels.len(), None)?;
        let mut thresholds = BTreeMap::new();
        for category in Category::ALL {
            let usual = if category == Category::Character { known.character } else { known.general };
            thresholds.insert(category, usual);
        }
        balanced(&path.with_file_name("threshold.json"), &mut thresholds);
        let Preparation { stages, numbers, background, activation } = prepared;
        Ok(Self { family, by: list, labels, stages, numbers, size, background, output, activation, thresholds })
    }
}

/// The network's list of tags: one with its own name, as ComfyUI's node keeps them, or that of a family.
fn list_of(path: &Path) -> Result<(&'static Known, PathBuf), Error> {
    for (suffix, family) in [("csv", 0), ("json", 2), ("txt", 3)] {
        let own = path.with_extension(suffix);
        if own.is_file() {
            return Ok((&KNOWN[family], own));
        }
    }
    for known in &KNOWN {
        let list = path.with_file_name(known.list);
        if list.is_file() {
            return Ok((known, list));
        }
    }
    let what = "there is no list of tags beside it; put selected_tags.csv (WD), tag_mapping.json (cl_tagger), \
                top_tags.txt (JoyTag) or tags.txt (DeepDanbooru) from the model's page there, or describe it by tagger.toml";
    Err(Error::of(path, what))
}

/// What a network's input says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input {
    /// Where colours stand, if it is told.
    pub layout: Option<Layout>,
    /// Width and height, if they are fixed.
    pub size: Option<Size>,
}

fn input(network: &Network) -> Result<Input, Error> {
    let refused = |what: String| Error::of(network.path(), format!("{what}; it is no tagger, name another file"));
    let [input] = network.inputs() else {
        return Err(refused(format!("it has {} inputs, and taggers have one, a picture", network.inputs().len())));
    };
    let Some(shape) = &input.shape else { return Ok(Input { layout: None, size: None }) };
    let words = || refused(format!("its input `{}` is no picture of three colours", crate::error::Name(&input.name)));
    let [_, second, third, fourth] = shape[..] else { return Err(words()) };
    let (layout, sides) = match (second, fourth) {
        (_, Side::Fixed(3)) => (Some(Layout::ColorsLast), [third, second]),
        (Side::Fixed(3), _) => (Some(Layout::ColorsFirst), [fourth, third]),
        (Side::Free, Side::Free) => (None, [Side::Free; 2]),
        _ => return Err(words()),
    };
    let size = match sides {
        [Side::Fixed(width), Side::Fixed(height)] if width.max(height) <= 4096 && width.min(height) > 0 => {
            Some((width as u32, height as u32))
        }
        [Side::Fixed(_), Side::Fixed(_)] => return Err(words()),
        _ => None,
    };
    Ok(Input { layout, size })
}

/// The output with scores for `labels` tags: the one that is named, or by its name and length.
///
/// # Errors
/// When there is none, or none is as long.
pub(super) fn output(network: &Network, labels: usize, named: Option<&str>) -> Result<usize, Error> {
    let outputs = network.outputs();
    let length = |port: &Port| match port.shape.as_ref().and_then(|shape| shape.last()) {
        Some(Side::Fixed(length)) => Some(*length),
        _ => None,
    };
    if let Some(named) = named {
        let found = outputs.iter().position(|port| port.name == named);
        let known: Vec<&str> = outputs.iter().map(|port| port.name.as_str()).collect();
        let what = || format!("it has no output `{named}`; use one of {}", known.join(", "));
        return found.ok_or_else(|| Error::of(network.path(), what()));
    }
    let fits = |port: &&Port| length(port).is_none_or(|length| length == labels);
    for name in ["prediction", "output", "tags", "logits"] {
        if let Some(index) = outputs.iter().position(|port| port.name == name && fits(&port)) {
            return Ok(index);
        }
    }
    if let Some(index) = outputs.iter().position(|port| fits(&port)) {
        return Ok(index);
    }
    let lengths: Vec<String> = outputs.iter().filter_map(length).map(|length| length.to_string()).collect();
    let what = format!(
        "it gives {} scores and its list has {labels} tags; take both from the same model's page",
        lengths.join(" or ")
    );
    Err(Error::of(network.path(), what))
}

/// Camie's own thresholds: those of its mode `balanced`, for the categories that it has.
fn balanced(path: &Path, thresholds: &mut BTreeMap<Category, f32>) {
    let Ok(text) = read_text(path) else { return };
    let Ok(value) = serde_json::from_str::<Value>(&text) else { return };
    for (category, threshold) in thresholds.iter_mut() {
        let own = value.get(category.name()).and_then(|own| own.get("balanced")).and_then(|own| own.get("threshold"));
        if let Some(own) = own.and_then(Value::as_f64) {
            *threshold = own as f32;
        }
    }
}

/// WD 1.4 to v3: padded with white, blue first, bytes as they are.
fn wd(size: Size, layout: Layout) -> Preparation {
    Preparation {
        stages: vec![Stage::Square(WHITE), Stage::To(size, BICUBIC)],
        numbers: Numbers { layout, colors: Colors::Bgr, divisor: 1.0, mean: [0.0; 3], std: [1.0; 3] },
        background: WHITE,
        activation: Activation::ByRange,
    }
}

/// cl_tagger, as sd-scripts feeds it: blue first, from −1 to 1.
fn cl(size: Size, layout: Layout) -> Preparation {
    let numbers = Numbers { layout, colors: Colors::Bgr, divisor: 127.5, mean: [1.0; 3], std: [1.0; 3] };
    Preparation { numbers, ..wd(size, layout) }
}

fn joytag(size: Size, layout: Layout) -> Preparation {
    let [mean, std] = CLIP;
    let numbers = Numbers { layout, colors: Colors::Rgb, divisor: 255.0, mean, std };
    Preparation { numbers, ..wd(size, layout) }
}

/// Padded with black, from 0 to 1.
fn deepdanbooru(size: Size, layout: Layout) -> Preparation {
    let numbers = Numbers { layout, colors: Colors::Rgb, divisor: 255.0, mean: [0.0; 3], std: [1.0; 3] };
    Preparation {
        stages: vec![Stage::Within { size, color: [0; 3], by: BICUBIC, parts: Parts::Cut }],
        numbers,
        ..wd(size, layout)
    }
}

/// Stretched, from 0 to 1.
fn mldanbooru(size: Size, layout: Layout) -> Preparation {
    let stages = vec![Stage::To(size, Resampling::Pillow(Filter::Bilinear))];
    Preparation { stages, ..deepdanbooru(size, layout) }
}
