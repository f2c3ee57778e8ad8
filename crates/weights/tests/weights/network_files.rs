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
fn a_plus_is_named() {
    let first = ("model.0.weight", &[8, 3, 3, 3][..]);
    let block = ("model.1.sub.0.RDB1.conv1.0.weight", &[8][..]);
    let message = as_upscaler(&[first, block, ("model.1.sub.0.RDB1.conv1x1.weight", &[8])]).unwrap_err().to_string();
    assert!(message.contains("it is an ESRGAN+"), "{message}");
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

/// A detector as ultralytics saves it, an object in a dictionary (oracle/yolo_objects.py).
#[test]
fn detectors_that_were_saved_as_objects_are_read_without_their_classes() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/torch/yolo_objects.pt");
    let opened = detector::open(&path).unwrap();
    let own: Vec<String> = names(&opened).into_iter().filter(|name| name.starts_with("model.0.")).collect();
    assert_eq!(
        own,
        [
            "model.0.bn.bias",
            "model.0.bn.running_mean",
            "model.0.bn.running_var",
            "model.0.bn.weight",
            "model.0.conv.weight",
        ]
    );
    assert_eq!(detector::class_names(&opened, 3), ["face", "hand", "class 2"]);
}

/// One object that is in itself over and over.
#[test]
fn a_network_that_holds_itself_ends() {
    let own = b"ctorch.nn.modules.container\nSequential\n)\x81q\x01}(U\x08_modules}(U\x01ah\x01U\x01bh\x01uub";
    let pickle = [b"\x80\x02}U\x05model".as_slice(), own, b"s."].concat();
    let mut archive = rawzip::ZipArchiveWriter::new(Vec::new());
    let store = rawzip::CompressionMethod::STORE;
    let (mut entry, config) = archive.new_file("a/data.pkl").compression_method(store).start().unwrap();
    let mut out = config.wrap(&mut entry);
    std::io::Write::write_all(&mut out, &pickle).unwrap();
    let (_, descriptor) = out.finish().unwrap();
    entry.finish(descriptor).unwrap();
    let message = detector::from_bytes("a.pt", archive.finish().unwrap().into()).unwrap_err().to_string();
    assert!(message.contains("far too many layers"), "{message}");
}
