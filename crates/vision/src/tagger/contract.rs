//! What a tagger wants of a picture and what its outputs mean; what of that its network itself tells.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lorabake_onnx::{Network, Port, Side};
use lorabake_pixels::Size;

use super::label::{Category, Label};
use super::stage::{Layout, Numbers, Stage};
use crate::error::Error;

/// The most pictures that a network may take at once.
const MOST_AT_ONCE: usize = 256;

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

/// What a network's input says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input {
    /// Where colours stand, if it is told.
    pub layout: Option<Layout>,
    /// Width and height, if they are fixed.
    pub size: Option<Size>,
}

/// What the input of a tagger's network tells.
///
/// # Errors
/// When it is no picture.
pub(super) fn input(network: &Network) -> Result<Input, Error> {
    let refused = |what: String| Error::of(network.path(), format!("{what}; it is no tagger, name another file"));
    let [input] = network.inputs() else {
        return Err(refused(format!("it has {} inputs, and taggers have one, a picture", network.inputs().len())));
    };
    let Some(shape) = &input.shape else { return Ok(Input { layout: None, size: None }) };
    let words = || refused(format!("its input `{}` is no picture of three colours", crate::error::Name(&input.name)));
    let [first, second, third, fourth] = shape[..] else { return Err(words()) };
    if let Side::Fixed(count) = first
        && !(1..=MOST_AT_ONCE).contains(&count)
    {
        return Err(refused(format!("it takes {count} pictures at once")));
    }
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
