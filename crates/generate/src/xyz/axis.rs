//! The axes by name, and what is typed for them.

use super::list::split_list;
use super::range::{self, By};
use super::{Rule, numbers};
use crate::png_text::float_text;

/// Something that may vary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    /// Its name in the web UI.
    pub name: &'static str,
    /// What is typed for it.
    pub kind: Kind,
    /// How its values are written beside the pictures.
    pub label: Label,
    /// How long a change takes, 0 to 1: the dearest goes outermost.
    pub cost: f64,
}

/// What is typed for an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Nothing,
    /// Whole numbers and ranges of them.
    Whole,
    /// Numbers and ranges of them.
    Float,
    /// Texts.
    Text,
    /// Texts of which every order is a value.
    Orders,
}

/// How values are written beside the pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// `Axis: value`.
    Named,
    /// The value alone.
    Value,
    /// The parts of an order, joined by commas.
    Joined,
    /// A path's last part.
    FileName,
    /// Nothing.
    Nothing,
}

/// The values of an axis.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Whole numbers.
    Whole(Vec<i64>),
    /// Numbers.
    Float(Vec<f64>),
    /// Texts.
    Text(Vec<String>),
    /// Orders of texts.
    Orders(Vec<Vec<String>>),
}

const fn axis(name: &'static str, kind: Kind) -> Axis {
    Axis { name, kind, label: Label::Named, cost: 0.0 }
}

/// All axes of the web UI, in its order.
pub const AXES: &[Axis] = &[
    Axis { label: Label::Nothing, ..axis("Nothing", Kind::Nothing) },
    axis("Seed", Kind::Whole),
    axis("Var. seed", Kind::Whole),
    axis("Var. strength", Kind::Float),
    axis("Steps", Kind::Whole),
    axis("Hires steps", Kind::Whole),
    axis("CFG Scale", Kind::Float),
    axis("Image CFG Scale", Kind::Float),
    Axis { label: Label::Value, ..axis("Prompt S/R", Kind::Text) },
    Axis { label: Label::Joined, ..axis("Prompt order", Kind::Orders) },
    Axis { label: Label::Value, ..axis("Sampler", Kind::Text) },
    Axis { label: Label::Value, ..axis("Hires sampler", Kind::Text) },
    Axis { label: Label::FileName, cost: 1.0, ..axis("Checkpoint name", Kind::Text) },
    axis("Negative Guidance minimum sigma", Kind::Float),
    axis("Sigma Churn", Kind::Float),
    axis("Sigma min", Kind::Float),
    axis("Sigma max", Kind::Float),
    axis("Sigma noise", Kind::Float),
    axis("Schedule type", Kind::Text),
    axis("Schedule min sigma", Kind::Float),
    axis("Schedule max sigma", Kind::Float),
    axis("Schedule rho", Kind::Float),
    axis("Beta schedule alpha", Kind::Float),
    axis("Beta schedule beta", Kind::Float),
    axis("Eta", Kind::Float),
    axis("Clip skip", Kind::Whole),
    axis("Denoising", Kind::Float),
    axis("Initial noise multiplier", Kind::Float),
    axis("Extra noise", Kind::Float),
    axis("Hires upscaler", Kind::Text),
    axis("Cond. Image Mask Weight", Kind::Float),
    Axis { cost: 0.7, ..axis("VAE", Kind::Text) },
    axis("Styles", Kind::Text),
    Axis { cost: 0.5, ..axis("UniPC Order", Kind::Whole) },
    Axis { label: Label::Value, ..axis("Face restore", Kind::Text) },
    axis("Token merging ratio", Kind::Float),
    axis("Token merging ratio high-res", Kind::Float),
    axis("Always discard next-to-last sigma", Kind::Text),
    axis("SGM noise multiplier", Kind::Text),
    Axis { label: Label::FileName, cost: 1.0, ..axis("Refiner checkpoint", Kind::Text) },
    axis("Refiner switch at", Kind::Float),
    axis("RNG source", Kind::Text),
    Axis { cost: 0.9, ..axis("FP8 mode", Kind::Text) },
    axis("Size", Kind::Text),
];

/// Most parts whose orders are tried: seven have 5040.
const MOST_PARTS: usize = 7;

impl Axis {
    /// The axis of that name, capital letters or not.
    pub fn named(name: &str) -> Option<&'static Self> {
        AXES.iter().find(|axis| axis.name.eq_ignore_ascii_case(name.trim()))
    }
}

impl Kind {
    /// The values that `text` stands for.
    ///
    /// # Errors
    /// What cannot be read, what to write instead; by the strict rule also where no value comes of it.
    pub fn values(self, text: &str, rule: Rule) -> Result<Values, String> {
        let list = split_list(text, rule);
        let values = match self {
            Self::Nothing => return Ok(Values::Text(vec![String::new()])),
            Self::Whole => Values::Whole(whole_numbers(&list)?),
            Self::Float => Values::Float(floats(&list, rule)?),
            Self::Text => Values::Text(list),
            Self::Orders if list.len() > MOST_PARTS => {
                return Err(format!("{} parts have too many orders; use {MOST_PARTS} at most", list.len()));
            }
            Self::Orders => Values::Orders(orders(&list)),
        };
        if values.is_empty() && rule == Rule::Strict {
            return Err(format!(
                "`{text}` gives no value at all; write for instance 1-5, 1-10 (+2), 10-1 (-3) or 1-9 [3]"
            ));
        }
        Ok(values)
    }
}

impl Values {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Whole(values) => values.len(),
            Self::Float(values) => values.len(),
            Self::Text(values) => values.len(),
            Self::Orders(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is written beside the pictures of the axis called `name`.
    pub fn labels(&self, name: &str, label: Label) -> Vec<String> {
        let texts: Vec<String> = match self {
            Self::Whole(values) => values.iter().map(ToString::to_string).collect(),
            Self::Float(values) => values.iter().map(|value| float_text(rounded(*value))).collect(),
            Self::Text(values) => values.clone(),
            Self::Orders(values) => values.iter().map(|parts| parts.join(", ")).collect(),
        };
        let written = |text: String| match label {
            Label::Named => format!("{name}: {text}"),
            Label::Value | Label::Joined => text,
            Label::FileName => text.rsplit(['/', '\\']).next().unwrap_or_default().to_owned(),
            Label::Nothing => String::new(),
        };
        texts.into_iter().map(written).collect()
    }
}

/// To eight places behind the point.
fn rounded(value: f64) -> f64 {
    format!("{value:.8}").parse().unwrap_or(value)
}

fn whole_numbers(list: &[String]) -> Result<Vec<i64>, String> {
    let mut values = Vec::new();
    for text in list.iter().filter(|text| !text.is_empty()) {
        let needed = || format!("`{text}` is no whole number; write one, or a range such as 1-10 (+2) or 1-9 [3]");
        let Some(range) = range::parse(text) else {
            values.push(numbers::whole(text).ok_or_else(needed)?);
            continue;
        };
        let from = numbers::whole(range.from).ok_or_else(needed)?;
        let to = numbers::whole(range.to).ok_or_else(needed)?;
        match range.by {
            By::Step(step) => values.extend(range::whole_steps(from, to, numbers::whole(step).ok_or_else(needed)?)?),
            By::Count(count) => {
                let spaced = range::spaced(from as f64, to as f64, count.parse().map_err(|_| needed())?)?;
                values.extend(spaced.into_iter().map(|value| value as i64));
            }
        }
    }
    Ok(values)
}

fn floats(list: &[String], rule: Rule) -> Result<Vec<f64>, String> {
    let mut values = Vec::new();
    for text in list.iter().filter(|text| !text.is_empty()) {
        let needed = || format!("`{text}` is no number; write one, or a range such as 0-1 (+0.25) or 0-1 [5]");
        let Some(range) = range::parse(text) else {
            values.push(numbers::float(text).ok_or_else(needed)?);
            continue;
        };
        let from = numbers::float(range.from).ok_or_else(needed)?;
        let to = numbers::float(range.to).ok_or_else(needed)?;
        match range.by {
            By::Step(step) => {
                values.extend(range::float_steps(from, to, numbers::float(step).ok_or_else(needed)?, rule)?)
            }
            By::Count(count) => values.extend(range::spaced(from, to, count.parse().map_err(|_| needed())?)?),
        }
    }
    Ok(values)
}

/// All orders, those that begin with the first part first.
fn orders(parts: &[String]) -> Vec<Vec<String>> {
    let Some(_) = parts.first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for first in 0..parts.len() {
        let mut others = parts.to_vec();
        let part = others.remove(first);
        for mut order in orders(&others) {
            order.insert(0, part.clone());
            all.push(order);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_without_values_is_refused_by_the_strict_rule() {
        assert_eq!(Kind::Whole.values("10-1", Rule::WebUi), Ok(Values::Whole(vec![])));
        let error = Kind::Whole.values("10-1", Rule::Strict).unwrap_err();
        assert!(error.starts_with("`10-1` gives no value at all; write "), "{error}");
        assert!(Kind::Whole.values("1-3 (+0)", Rule::WebUi).is_err());
        assert!(Kind::Float.values("nan", Rule::Strict).is_err());
        assert!(Kind::Orders.values("1,2,3,4,5,6,7,8", Rule::WebUi).is_err());
        assert_eq!(Kind::Nothing.values("", Rule::Strict).unwrap().len(), 1);
    }

    #[test]
    fn axes_are_found_by_name() {
        assert_eq!(AXES.len(), 44);
        assert_eq!(Axis::named("cfg scale").unwrap().kind, Kind::Float);
        assert_eq!(Axis::named("LoRA"), None);
        let names = Values::Text(vec!["a/b.safetensors".into()]);
        assert_eq!(names.labels("Checkpoint name", Label::FileName), ["b.safetensors"]);
    }
}
