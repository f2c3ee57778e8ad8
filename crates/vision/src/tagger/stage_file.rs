//! `preprocess.json`: a tagger's stages by name, as dghs-imgutils (`stages`) and animetimm (`test`) write them.

use std::path::Path;

use serde_json::Value;

use super::stage::{Colors, Layout, Numbers, Parts, Resampling, Stage};
use crate::error::{Error, Name};
use crate::read_text::read_text;

/// Sides that stages may have.
pub(super) const SIDES: std::ops::RangeInclusive<u64> = 16..=2048;

/// What the file says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Preprocessing {
    pub stages: Vec<Stage>,
    pub numbers: Numbers,
}

/// Reads the stages at `path`.
///
/// # Errors
/// When the file cannot be read, or has a stage that is not known.
pub(super) fn read(path: &Path) -> Result<Preprocessing, Error> {
    let text = read_text(path)?;
    let value: Value =
        serde_json::from_str(&text).map_err(|why| Error::of(path, format!("{why}; download it again")))?;
    of_value(&value).map_err(|what| Error::of(path, what))
}

fn of_value(value: &Value) -> Result<Preprocessing, String> {
    let list = ["stages", "test", "val"].iter().find_map(|key| value.get(key)).unwrap_or(value);
    let list = list.as_array().ok_or("it has no list of stages; download it again")?;
    let numbers =
        Numbers { layout: Layout::ColorsFirst, colors: Colors::Rgb, divisor: 255.0, mean: [0.0; 3], std: [1.0; 3] };
    let mut read = Preprocessing { stages: Vec::new(), numbers };
    for stage in list {
        let kind = stage.get("type").and_then(Value::as_str).ok_or("a stage has no `type`; download it again")?;
        match kind {
            "pad_to_size" => {
                let color = background(stage.get("background_color"))?;
                read.stages.push(Stage::Within {
                    size: size(stage)?,
                    color,
                    by: filter(stage)?,
                    parts: Parts::Rounded,
                });
            }
            "resize" => read.stages.push(resize(stage)?),
            "center_crop" => {
                // Height and width, in this order.
                let (height, width) = size(stage)?;
                read.stages.push(Stage::Middle((width, height)));
            }
            "to_tensor" | "maybe_to_tensor" | "convert_rgb" => {}
            "normalize" => {
                read.numbers.mean = three(stage.get("mean"))?;
                read.numbers.std = three(stage.get("std"))?;
                if read.numbers.std.contains(&0.0) {
                    return Err("a stage divides by 0; download it again".to_owned());
                }
            }
            other => {
                return Err(format!("its stage `{}` is not known; describe the model by tagger.toml", Name(other)));
            }
        }
    }
    Ok(read)
}

fn resize(stage: &Value) -> Result<Stage, String> {
    let by = filter(stage)?;
    match stage.get("size") {
        Some(Value::Array(sides)) if sides.len() == 2 => {
            let (height, width) = size(stage)?;
            Ok(Stage::To((width, height), by))
        }
        _ => Ok(Stage::ShorterSide(size(stage)?.0, by)),
    }
}

/// The two numbers of a stage, or its one number twice.
fn size(stage: &Value) -> Result<(u32, u32), String> {
    let sides = match stage.get("size") {
        Some(Value::Array(sides)) => sides.clone(),
        Some(side) => vec![side.clone()],
        None => return Err("a stage has no `size`; download it again".to_owned()),
    };
    let mut numbers = Vec::new();
    for side in &sides {
        match side.as_u64().filter(|side| SIDES.contains(side)) {
            Some(side) => numbers.push(side as u32),
            None => {
                return Err(format!("a stage has the size {side}; {} to {} make sense", SIDES.start(), SIDES.end()));
            }
        }
    }
    match numbers[..] {
        [side] => Ok((side, side)),
        [first, second] => Ok((first, second)),
        _ => Err("a stage has a size that is not one or two numbers; download it again".to_owned()),
    }
}

fn filter(stage: &Value) -> Result<Resampling, String> {
    let name = match stage.get("interpolation") {
        None => "bilinear",
        Some(Value::Number(number)) => match number.as_u64() {
            Some(0) => "nearest",
            Some(1) => "lanczos",
            Some(2) => "bilinear",
            Some(3) => "bicubic",
            Some(4) => "box",
            _ => "",
        },
        Some(name) => name.as_str().unwrap_or_default(),
    };
    let known = if name == "area" { None } else { Resampling::of_name(&name.to_lowercase()) };
    known.ok_or_else(|| format!("its interpolation `{}` is not known; use bicubic, bilinear or lanczos", Name(name)))
}

/// A colour by name, or by three bytes.
fn background(value: Option<&Value>) -> Result<[u8; 3], String> {
    match value {
        None => Ok([255; 3]),
        Some(Value::String(name)) if name == "white" => Ok([255; 3]),
        Some(Value::String(name)) if name == "black" => Ok([0; 3]),
        other => {
            let bytes = three(other)?;
            Ok(bytes.map(|byte| byte as u8))
        }
    }
}

/// Three numbers, or one three times.
fn three(value: Option<&Value>) -> Result<[f32; 3], String> {
    let wrong = || "a stage wants three numbers; download it again".to_owned();
    let number = |value: &Value| value.as_f64().map(|number| number as f32).filter(|number| number.is_finite());
    match value {
        Some(Value::Array(list)) if list.len() == 3 => {
            let mut numbers = [0.0; 3];
            for (own, value) in numbers.iter_mut().zip(list) {
                *own = number(value).ok_or_else(wrong)?;
            }
            Ok(numbers)
        }
        Some(value) => Ok([number(value).ok_or_else(wrong)?; 3]),
        None => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use lorabake_pixels::pillow::Filter;

    use super::*;

    #[test]
    fn stages_of_animetimm_are_understood() {
        let text = r#"{"test": [
            {"type": "pad_to_size", "size": [512, 512], "background_color": "white", "interpolation": "bilinear"},
            {"type": "resize", "size": 448, "interpolation": "bicubic", "max_size": null, "antialias": true},
            {"type": "center_crop", "size": [448, 448]}, {"type": "maybe_to_tensor"},
            {"type": "normalize", "mean": [0.5, 0.4, 0.3], "std": 0.5}], "train": []}"#;
        let read = of_value(&serde_json::from_str(text).unwrap()).unwrap();
        let bicubic = Resampling::Pillow(Filter::Bicubic);
        let bilinear = Resampling::Pillow(Filter::Bilinear);
        let expected = [
            Stage::Within { size: (512, 512), color: [255; 3], by: bilinear, parts: Parts::Rounded },
            Stage::ShorterSide(448, bicubic),
            Stage::Middle((448, 448)),
        ];
        assert_eq!(read.stages, expected);
        assert_eq!(read.numbers.mean, [0.5, 0.4, 0.3]);
        assert_eq!(read.numbers.std, [0.5; 3]);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "3",
            "{}",
            r#"[{"size": 3}]"#,
            r#"[{"type": "resize"}]"#,
            r#"[{"type": "resize", "size": 99999999}]"#,
            r#"[{"type": "resize", "size": 64, "interpolation": "magic"}]"#,
            r#"[{"type": "center_crop", "size": [1, 2, 3]}]"#,
            r#"[{"type": "normalize", "mean": 0, "std": 0}]"#,
            r#"[{"type": "rotate"}]"#,
        ] {
            assert!(of_value(&serde_json::from_str(text).unwrap()).unwrap_err().contains("; "), "{text}");
        }
    }
}
