//! Upscalers and detectors: recognised in every naming, and what is none is called by its name.

use lorabake_weights::network_file::{detector, upscaler};
use lorabake_weights::{Error, NetworkFile};
use safetensors::Dtype;

use crate::golden::safetensors;

/// A file of tensors of these shapes, all zeros.
fn file(tensors: &[(&str, &[usize])]) -> Vec<u8> {
    let mut zeros = Vec::new();
    for (_, shape) in tensors {
        zeros.push(vec![0; 4 * shape.iter().product::<usize>()]);
    }
    let mut all = Vec::new();
    for ((name, shape), bytes) in tensors.iter().zip(&zeros) {
        all.push((*name, Dtype::F32, *shape, bytes.as_slice()));
    }
    safetensors(&all)
}

fn names(file: &NetworkFile) -> Vec<String> {
    file.loader().names().map(str::to_string).collect()
}

fn as_upscaler(tensors: &[(&str, &[usize])]) -> Result<NetworkFile, Error> {
    upscaler::from_bytes("a.safetensors", file(tensors).into())
}

fn as_detector(tensors: &[(&str, &[usize])]) -> Result<NetworkFile, Error> {
    detector::from_bytes("a.safetensors", file(tensors).into())
}

#[test]
fn upscalers_of_every_naming_are_read() {
    for tensors in [
        [("conv_first.weight", &[8, 3, 3, 3][..]), ("body.0.rdb1.conv1.weight", &[8][..])],
        [("params.conv_first.weight", &[8, 3, 3, 3]), ("params.body.0.rdb1.conv1.weight", &[8])],
        [("conv_first.weight", &[8, 3, 3, 3]), ("RRDB_trunk.0.RDB1.conv1.weight", &[8])],
        [("model.0.weight", &[8, 3, 3, 3]), ("model.1.sub.0.RDB1.conv1.0.weight", &[8])],
    ] {
        let opened = as_upscaler(&tensors).unwrap();
        assert_eq!(names(&opened), ["body.0.rdb1.conv1.weight", "conv_first.weight"]);
        assert_eq!(opened.kind(), "upscaler");
    }
}

#[test]
fn other_upscalers_are_named() {
    let first = ("conv_first.weight", &[8, 3, 3, 3][..]);
    for (other, said) in [
        ("layers.0.residual_group.blocks.0.norm1.weight", "of the SwinIR family"),
        ("layers.0.residual_group.overlap_attn.norm1.weight", "of the HAT family"),
        ("before_RG.1.weight", "of the DAT family"),
        ("m_head.0.weight", "a ScuNET"),
        ("first_stage_model.encoder.conv_in.weight", "LDSR"),
        ("body.1.weight", "SRVGGNetCompact"),
        ("vision_model.encoder.a", "CLIP vision"),
        ("x", "a file of other tensors"),
    ] {
        let message = as_upscaler(&[first, (other, &[8])]).unwrap_err().to_string();
        assert!(message.contains(said) && message.contains("; give an upscaler of the ESRGAN family"), "{message}");
    }
}

#[test]
fn impossible_shapes_are_refused_before_anything_is_read() {
    let block = ("body.0.rdb1.conv1.weight", &[8][..]);
    let message = as_upscaler(&[("conv_first.weight", &[0, 1 << 40, 3, 3]), block]).unwrap_err().to_string();
    assert!(message.contains("conv_first.weight has the impossible shape"), "{message}");
}

#[test]
fn detectors_are_read_and_what_they_find_beside_boxes_is_left() {
    for prefix in ["", "ema.", "model."] {
        let own = [
            "model.0.conv.weight",
            "model.0.bn.num_batches_tracked",
            "model.2.cv1.conv.weight",
            "model.22.cv2.0.0.conv.weight",
            "model.22.cv3.0.0.conv.weight",
            "model.22.cv4.0.0.conv.weight",
            "model.22.proto.cv1.conv.weight",
            "model.22.dfl.conv.weight",
        ];
        let named = own.map(|name| format!("{prefix}{name}"));
        let tensors: Vec<(&str, &[usize])> = named.iter().map(|name| (name.as_str(), [1].as_slice())).collect();
        let read = [own[0], own[2], own[3], own[4]];
        assert_eq!(names(&as_detector(&tensors).unwrap()), read, "{prefix}");
    }
}

#[test]
fn other_detectors_are_named() {
    let own = [("model.0.conv.weight", &[1][..]), ("model.2.cv1.conv.weight", &[1])];
    for (more, said) in [
        (&["model.23.cv2.0.0.conv.weight"][..], "such as YOLO11"),
        (&["model.22.cv2.0.0.conv.weight", "model.22.cv3.0.0.conv.weight", "model.22.cv4.0.bias"], "YOLO-World"),
        (&["model.9.linear.weight"], "a YOLO that finds no boxes"),
    ] {
        let mut tensors = own.to_vec();
        tensors.extend(more.iter().map(|name| (*name, [1].as_slice())));
        let message = as_detector(&tensors).unwrap_err().to_string();
        assert!(message.contains(said) && message.contains("give a YOLOv8 detector"), "{message}");
    }
    let message = as_detector(&[("conv_first.weight", &[1]), ("body.0.a", &[1])]).unwrap_err().to_string();
    assert!(message.contains("it is an upscaler (ESRGAN), not a YOLOv8 detector"), "{message}");
}
