//! Taggers that are known by the files in their folder.
//!
//! Source: what each family's own program does with a picture (SmilingWolf's space and dghs-imgutils for WD, kohya's
//! sd-scripts for tag_mapping.json, fpgaminer's JoyTag, dghs-imgutils for DeepDanbooru, ML-Danbooru and Camie).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lorabake_onnx::Network;
use lorabake_pixels::Size;
use lorabake_pixels::pillow::Filter;
use serde_json::Value;

use super::contract::{Activation, Contract, Input, output};
use super::label::{self, Category};
use super::stage::{Colors, Layout, Numbers, Parts, Resampling, Stage};
use super::stage_file;
use crate::error::Error;
use crate::read_text::read_text;

const BICUBIC: Resampling = Resampling::Pillow(Filter::Bicubic);
const WHITE: [u8; 3] = [255; 3];
/// CLIP's mean and spread of red, green and blue, with which JoyTag was trained.
const CLIP: [[f32; 3]; 2] = [[0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_6, 0.275_777_1]];

/// A kind of tagger that is known by the names of its files.
struct Known {
    family: &'static str,
    /// The list of tags.
    list: &'static str,
    build: fn(Size, Layout) -> Preparation,
    side: u32,
    /// Where colours stand if the network does not tell.
    layout: Layout,
    general: f32,
    character: f32,
}

/// What is done to a picture, and what comes of it.
struct Preparation {
    stages: Vec<Stage>,
    numbers: Numbers,
    background: [u8; 3],
    activation: Activation,
}

const LAST: Layout = Layout::ColorsLast;
const FIRST: Layout = Layout::ColorsFirst;

const KNOWN: [Known; 7] = [
    known("WD", "selected_tags.csv", wd, LAST, [0.35, 0.85]),
    known("WD for e621", "tags-selected.csv", wd, LAST, [0.35, 0.85]),
    known("cl_tagger", "tag_mapping.json", cl, FIRST, [0.35, 0.35]),
    known("JoyTag", "top_tags.txt", joytag, FIRST, [0.4, 0.4]),
    known("ML-Danbooru", "mldanbooru_tags.csv", mldanbooru, FIRST, [0.7, 0.7]),
    Known { side: 512, ..known("DeepDanbooru", "deepdanbooru_tags.csv", deepdanbooru, LAST, [0.5, 0.5]) },
    Known { side: 512, ..known("DeepDanbooru", "tags.txt", deepdanbooru, LAST, [0.5, 0.5]) },
];

/// A family whose networks see 448 pixels, with its thresholds for what is seen and for characters.
const fn known(
    family: &'static str,
    list: &'static str,
    build: fn(Size, Layout) -> Preparation,
    layout: Layout,
    thresholds: [f32; 2],
) -> Known {
    Known { family, list, build, side: 448, layout, general: thresholds[0], character: thresholds[1] }
}

/// The contract of `network`, whose input tells `input`, by the files beside it.
///
/// # Errors
/// When there is no list of tags, a file makes no sense, or the network is of another kind.
pub(super) fn contract(network: &Network, input: Input) -> Result<Contract, Error> {
    let path = network.path();
    let (known, list) = list_of(path)?;
    let size = input.size.unwrap_or((known.side, known.side));
    let stages = path.with_file_name("preprocess.json");
    let has_stages = stages.is_file() && list.extension().is_some_and(|suffix| suffix == "csv");
    let layout = input.layout.unwrap_or(if has_stages { FIRST } else { known.layout });
    let mut prepared = (known.build)(size, layout);
    let mut family = known.family;
    if has_stages {
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
    Ok(Contract { family, by: list, labels, stages, numbers, size, background, output, activation, thresholds })
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
