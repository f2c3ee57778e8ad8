//! YOLOv8 detectors, as ultralytics names their layers; other detectors are called by their names.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use lorabake_recipe::model::Family;

use super::{NetworkFile, check_shapes, not_the, wrong};
use crate::Error;
use crate::formats::tensor_file::TensorFile;
use crate::tensors::Tensors;

/// What is said of all others.
const WANTED: &str = "a YOLOv8 detector (such as face_yolov8n)";
/// What the names have in front: nothing, or the objects that ultralytics saves, of which the averages count.
const PREFIXES: [&str; 3] = ["ema.", "model.model.", ""];
/// The last layer, by number.
const HEAD: &str = "model.22.";
/// Layers of the head that only say what is known, or find more than boxes: the bins of distances, outlines.
const BESIDE: [&str; 3] = ["model.22.dfl.", "model.22.cv4.", "model.22.proto."];

/// Opens the detector at `path`, a file of safetensors or PyTorch.
///
/// # Errors
/// When it cannot be read, or is no YOLOv8 detector.
pub fn open(path: &Path) -> Result<NetworkFile, Error> {
    recognise(TensorFile::open(path)?.into())
}

/// Takes a whole file from memory; `name` stands for its path.
///
/// # Errors
/// As for [`open`].
pub fn from_bytes(name: &str, bytes: Cow<'static, [u8]>) -> Result<NetworkFile, Error> {
    recognise(TensorFile::from_bytes(name, bytes)?.into())
}

fn recognise(tensors: Tensors) -> Result<NetworkFile, Error> {
    let names = names(&tensors);
    let has = |start: &str| names.iter().any(|(_, name)| name.starts_with(start));
    if !has("model.0.conv.weight") || !has("model.2.cv1.conv.weight") {
        return Err(not_the(WANTED, &tensors));
    }
    let other = if has("model.23.") {
        Some("a newer or another YOLO (such as YOLO11)")
    } else if has("model.22.cv4.") && !has("model.22.proto.") {
        Some("a YOLOv8 that finds other things than boxes (YOLO-World, poses, turned boxes)")
    } else if !has("model.22.cv2.") || !has("model.22.cv3.") {
        Some("a YOLO that finds no boxes")
    } else {
        None
    };
    if let Some(is) = other {
        return Err(wrong(tensors.label(), format!("it is {is}, which is not supported; give {WANTED}")));
    }
    check_shapes(&tensors, &names)?;
    let names = names.into_iter().filter(|(_, name)| !is_left(name)).collect();
    Ok(NetworkFile { names, tensors: Arc::new(tensors), kind: "detector", family: Family::Sd1, base: None })
}

/// Whether no use is made of a tensor.
fn is_left(name: &str) -> bool {
    name.ends_with(".num_batches_tracked")
        || name == format!("{HEAD}stride")
        || BESIDE.iter().any(|start| name.starts_with(start))
}

/// The (key in the file, name) pairs of the network.
fn names(tensors: &Tensors) -> Vec<(String, String)> {
    for prefix in PREFIXES {
        let first = format!("{prefix}model.0.conv.weight");
        // The object `model` has a row of layers of that name.
        let first = if prefix == "model.model." { format!("{prefix}0.conv.weight") } else { first };
        if tensors.shape(&first).is_none() {
            continue;
        }
        let mut names = Vec::new();
        for key in tensors.names() {
            if let Some(rest) = key.strip_prefix(prefix) {
                let name = if prefix == "model.model." { format!("model.{rest}") } else { rest.to_string() };
                names.push((key.clone(), name));
            }
        }
        return names;
    }
    Vec::new()
}

/// What the classes of a detector are called, by number; `class N` where the file does not say.
pub fn class_names(file: &NetworkFile, classes: usize) -> Vec<String> {
    let metadata = file.metadata();
    let text = metadata.get("yolov8.names").or_else(|| metadata.get("names"));
    let known: serde_json::Value = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mut names = Vec::new();
    for class in 0..classes {
        let name = known.get(class.to_string()).or_else(|| known.get(class)).and_then(serde_json::Value::as_str);
        names.push(name.map_or_else(|| format!("class {class}"), str::to_string));
    }
    names
}
