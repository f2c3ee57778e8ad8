//! `tagger.toml`: a classifier of pictures that its user describes.

use std::collections::BTreeMap;
use std::path::Path;

use lorabake_onnx::Network;
use serde::Deserialize;

use super::contract::{Activation, Contract, Input, output};
use super::label::{self, Category, Label};
use super::stage::{Colors, Layout, Numbers, Parts, Resampling, Stage};
use super::stage_file::SIDES;
use crate::error::{Error, Name};
use crate::read_text::read_text;

/// The file, as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    labels: Option<String>,
    #[serde(default)]
    names: Vec<String>,
    category: Option<String>,
    layout: Option<String>,
    colors: Option<String>,
    size: Option<u32>,
    fit: Option<String>,
    resize: Option<String>,
    resize_to: Option<u32>,
    background: Option<[u8; 3]>,
    divisor: Option<f32>,
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
    output: Option<String>,
    activation: Option<String>,
    #[serde(default)]
    thresholds: BTreeMap<String, f32>,
}

/// The contract that the file at `path` describes for `network`.
///
/// # Errors
/// When it cannot be read, has an entry that is not known or makes no sense.
pub(super) fn contract(path: &Path, network: &Network, input: Input) -> Result<Contract, Error> {
    let text = read_text(path)?;
    let written: Written = toml::from_str(&text).map_err(|why| Error::of(path, first_line(&why)))?;
    let labels = labels(&written, path)?;
    let said = |what: String| Error::of(path, what);
    let size = match (input.size, written.size) {
        (Some(size), _) => size,
        (None, Some(side)) if SIDES.contains(&u64::from(side)) => (side, side),
        (None, Some(side)) => return Err(said(format!("size: {side} pixels make no sense; use 16 to 2048"))),
        (None, None) => return Err(said("size: the network takes any; give the side in pixels".to_owned())),
    };
    let layout = match (written.layout.as_deref(), input.layout) {
        (_, Some(layout)) => layout,
        (Some("nhwc"), None) => Layout::ColorsLast,
        (Some("nchw"), None) => Layout::ColorsFirst,
        (Some(other), None) => return Err(said(format!("layout: `{}` is not known; use nchw or nhwc", Name(other)))),
        (None, None) => return Err(said("layout: the network does not tell; give nchw or nhwc".to_owned())),
    };
    let background = written.background.unwrap_or([255; 3]);
    let numbers = numbers(&written, layout).map_err(said)?;
    let stages = stages(&written, size, background).map_err(said)?;
    let activation = match written.activation.as_deref() {
        None | Some("auto") => Activation::ByRange,
        Some("none") => Activation::None,
        Some("sigmoid") => Activation::Sigmoid,
        Some("softmax") => Activation::Softmax,
        Some(other) => {
            return Err(said(format!(
                "activation: `{}` is not known; use none, sigmoid, softmax or auto",
                Name(other)
            )));
        }
    };
    let thresholds = thresholds(&written).map_err(said)?;
    let output = output(network, labels.len(), written.output.as_deref())?;
    let by = path.to_owned();
    let family = "a tagger with a description";
    Ok(Contract { family, by, labels, stages, numbers, size, background, output, activation, thresholds })
}

fn first_line(why: &toml::de::Error) -> String {
    let message = why.message().lines().next().unwrap_or_default().to_owned();
    format!("{}; correct it", Name(&message))
}

fn labels(written: &Written, path: &Path) -> Result<Vec<Label>, Error> {
    let category = match &written.category {
        None => None,
        Some(name) => Some(Category::of_name(name).ok_or_else(|| {
            Error::of(path, format!("category: `{}` is not known; use general, character, rating or so", Name(name)))
        })?),
    };
    let mut labels = match (&written.labels, written.names.is_empty()) {
        (Some(file), true) => {
            let is_name = Path::new(file).components().count() == 1 && !file.contains(['/', '\\', ':']);
            if !is_name {
                return Err(Error::of(path, "labels: it leads out of the folder; name a file beside it"));
            }
            label::read(&path.with_file_name(file))?
        }
        (None, false) => written.names.iter().map(|name| Label::new(name, Category::General)).collect(),
        _ => return Err(Error::of(path, "labels: give either labels, a file of tags, or names, a list of them")),
    };
    if let Some(category) = category {
        labels.iter_mut().for_each(|label| label.category = category);
    }
    Ok(labels)
}

fn numbers(written: &Written, layout: Layout) -> Result<Numbers, String> {
    let colors = match written.colors.as_deref() {
        None | Some("rgb") => Colors::Rgb,
        Some("bgr") => Colors::Bgr,
        Some(other) => return Err(format!("colors: `{}` is not known; use rgb or bgr", Name(other))),
    };
    let divisor = written.divisor.unwrap_or(1.0);
    let std = written.std.unwrap_or([1.0; 3]);
    let mean = written.mean.unwrap_or([0.0; 3]);
    if [divisor, std[0], std[1], std[2]].iter().any(|by| !by.is_finite() || *by == 0.0) {
        return Err("divisor, std: they cannot be divided by; use numbers other than 0".to_owned());
    }
    if mean.iter().any(|mean| !mean.is_finite()) {
        return Err("mean: it holds what is no number; use three numbers".to_owned());
    }
    Ok(Numbers { layout, colors, divisor, mean, std })
}

fn stages(written: &Written, size: (u32, u32), background: [u8; 3]) -> Result<Vec<Stage>, String> {
    let name = written.resize.as_deref().unwrap_or("bicubic");
    let by = Resampling::of_name(name).ok_or_else(|| {
        format!("resize: `{}` is not known; use bicubic, bilinear, lanczos, box, nearest or area", Name(name))
    })?;
    let first = written.resize_to.unwrap_or(size.0.max(size.1));
    if !SIDES.contains(&u64::from(first)) {
        return Err(format!("resize_to: {first} pixels make no sense; use 16 to 2048"));
    }
    Ok(match written.fit.as_deref() {
        None | Some("pad") => vec![Stage::Square(background), Stage::To(size, by)],
        Some("within") => vec![Stage::Within { size, color: background, by, parts: Parts::Rounded }],
        Some("stretch") if written.resize_to.is_some() => vec![Stage::To((first, first), by), Stage::Middle(size)],
        Some("stretch") => vec![Stage::To(size, by)],
        Some("crop") => vec![Stage::ShorterSide(first, by), Stage::Middle(size)],
        Some(other) => return Err(format!("fit: `{}` is not known; use pad, within, stretch or crop", Name(other))),
    })
}

fn thresholds(written: &Written) -> Result<BTreeMap<Category, f32>, String> {
    let mut thresholds = BTreeMap::from(Category::ALL.map(|category| (category, 0.35)));
    for (name, threshold) in &written.thresholds {
        let Some(category) = Category::of_name(name) else {
            return Err(format!(
                "thresholds: the category `{}` is not known; use general, character or so",
                Name(name)
            ));
        };
        if !(0.0..=1.0).contains(threshold) {
            return Err(format!("thresholds: {threshold} is no score; use 0 to 1"));
        }
        thresholds.insert(category, *threshold);
    }
    Ok(thresholds)
}
