//! Detectors: the image as the network sees it, what it says, and the boxes that stay.

use anyhow::{Context, Result};
use burn::tensor::Device;
use lorabake_model::detector::{Candidate, Detector, Pixels, Search, Shape, letterboxed};
use serde_json::Value;

use crate::pack::{Pack, Tensors};
use crate::verdict::{Case, close, same};

/// Tolerance of what the network says and of boxes.
const NUMBERS: f64 = 2e-4;
const SHAPES: [(&str, Shape); 2] = [("rect", Shape::Rectangle), ("square", Shape::Square)];

/// All cases of the folder.
pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    if !pack.has("adetailer/yolov8.safetensors") {
        return Ok(cases);
    }
    let recorded = pack.tensors("adetailer/yolov8.safetensors")?;
    let detector = Detector::open(&pack.path("adetailer/yolov8_tiny.safetensors"))?;
    let searches = pack.cases("adetailer/yolov8.json")?;
    let mut sizes: Vec<[u64; 2]> = Vec::new();
    for case in &searches {
        let image = case["image"].as_u64().context("an image")?;
        if sizes.iter().all(|[known, _]| *known != image) {
            sizes.push([image, case["size"].as_u64().context("a size")?]);
        }
    }
    for [image, size] in sizes {
        let pixels = pixels(&recorded, &format!("{image}.image"))?;
        for (name, shape) in SHAPES {
            let start = format!("{image}.{name}");
            let boxed = letterboxed(&pixels, size as usize, shape);
            cases.extend(network(&recorded, &start, &boxed, &detector)?);
        }
    }
    for (number, case) in searches.iter().enumerate() {
        cases.push(Case::of(format!("yolov8.json {number}"), search(&recorded, case, &detector)?));
    }
    Ok(cases)
}

/// The input and the outputs of the network that were recorded under names that begin so.
fn network(recorded: &Tensors, start: &str, boxed: &Pixels, detector: &Detector) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    let input = format!("{start}.input");
    if recorded.has(&input) {
        let expected = pixels(recorded, &input)?;
        let size = same(&[boxed.height, boxed.width], &[expected.height, expected.width]);
        let differing = boxed.rgb.iter().zip(&expected.rgb).filter(|(own, other)| own != other).count();
        cases.push(Case::of(input, size.and(same(&differing, &0).map_err(|_| format!("{differing} bytes differ")))));
    }
    let levels = detector.levels(boxed, &Device::flex());
    for (index, level) in levels.iter().enumerate() {
        let name = format!("{start}.raw{index}");
        if recorded.has(&name) {
            let own: Vec<f32> = level.clone().into_data().try_into_vec().expect("f32");
            cases.push(Case::of(&name, close(&own, &recorded.f32(&name)?, NUMBERS)));
        }
    }
    let name = format!("{start}.decoded");
    if recorded.has(&name) {
        let own = rows(&detector.candidates(levels));
        cases.push(Case::of(&name, close(&own, &recorded.f32(&name)?, NUMBERS)));
    }
    Ok(cases)
}

/// Candidates as the recording has them: across, down, width, height and each class, row by row.
fn rows(candidates: &[Candidate]) -> Vec<f32> {
    let mut rows = Vec::new();
    for [index, of] in [[0, 0], [1, 0], [0, 1], [1, 1]] {
        rows.extend(candidates.iter().map(|own| if of == 0 { own.center[index] } else { own.size[index] }));
    }
    for class in 0..candidates.first().map_or(0, |own| own.scores.len()) {
        rows.extend(candidates.iter().map(|own| own.scores[class]));
    }
    rows
}

/// The boxes of a search.
fn search(recorded: &Tensors, case: &Value, detector: &Detector) -> Result<Result<(), String>> {
    let number = |name: &str| case[name].as_f64().with_context(|| name.to_owned());
    let shape = if case["letterbox"] == "square" { Shape::Square } else { Shape::Rectangle };
    let search = Search {
        size: number("size")? as usize,
        shape,
        confidence: number("confidence")? as f32,
        iou: number("iou")? as f32,
    };
    let image = pixels(recorded, &format!("{}.image", case["image"]))?;
    let found = detector.detect(&image, &search, &Device::flex());
    let boxes = case["boxes"].as_array().context("boxes")?;
    if found.len() != boxes.len() {
        return Ok(Err(format!("{} boxes recorded, ours are {}", boxes.len(), found.len())));
    }
    let mut result = Ok(());
    for (index, (own, recorded)) in found.iter().zip(boxes).enumerate() {
        let recorded: Vec<f32> = recorded.as_array().context("a box")?.iter().map(number_of).collect();
        let [left, top, right, bottom] = own.sides;
        let sides = close(&[left, top, right, bottom], &recorded[..4], NUMBERS);
        let rest = close(&[own.score], &recorded[4..5], NUMBERS).and(same(&(own.class as f32), &recorded[5]));
        result = result.and(sides.and(rest).map_err(|why| format!("box {index}: {why}")));
    }
    Ok(result)
}

/// A JSON number; not a number where it is none.
fn number_of(value: &Value) -> f32 {
    value.as_f64().map_or(f32::NAN, |value| value as f32)
}

/// An image of bytes.
fn pixels(recorded: &Tensors, name: &str) -> Result<Pixels> {
    let [height, width, _]: [usize; 3] = recorded.shape(name)?.try_into().ok().context("an image")?;
    Ok(Pixels { width, height, rgb: recorded.u8(name)? })
}
