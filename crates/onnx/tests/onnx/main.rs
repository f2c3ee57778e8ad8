//! Networks of ONNX files against onnxruntime (`oracle/onnx_golden.py`), and files that are none.

use std::path::{Path, PathBuf};

use lorabake_onnx::{Error, Network, Side, Values};
use lorabake_testkit::Golden;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

#[test]
fn networks_give_what_onnxruntime_gives() {
    let recorded = Golden::open(golden("onnx.safetensors"));
    let picture = recorded.numbers("picture").to_vec();
    for name in ["clip_vision", "dinov2", "dino_vit", "sscd_resnet"] {
        let network = Network::open(&golden(&format!("{name}.onnx"))).unwrap();
        let [input] = network.inputs() else { panic!("{name}: {:?}", network.inputs()) };
        assert_eq!(input.shape.as_deref(), Some(&[Side::Free, Side::Fixed(3), Side::Fixed(56), Side::Fixed(56)][..]));
        assert!(input.is_f32 && network.weights() > 10_000, "{network:?}");
        let values = Values { shape: vec![1, 3, 56, 56], values: picture.clone() };
        let seen = network.run(values, 0).unwrap();
        assert_eq!(seen.shape, recorded.shape(name), "{name}");
        recorded.check(name, &seen.values, 1e-5);
    }
}

#[test]
fn a_picture_of_another_size_is_refused() {
    let network = Network::open(&golden("clip_vision.onnx")).unwrap();
    let error = network.run(Values { shape: vec![1, 3, 8, 8], values: vec![0.0; 192] }, 0).unwrap_err().to_string();
    let said = "its input `pixel_values` wants any × 3 × 56 × 56, and was given 1 × 3 × 8 × 8";
    assert!(error.contains("clip_vision.onnx: ") && error.contains(said), "{error}");
}

#[test]
fn what_cannot_be_computed_is_one_line_with_the_operator() {
    let error = Network::open(&golden("unknown.onnx")).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("unknown.onnx: it uses something that is not built in") && text.contains("Frobnicate"),
        "{text}"
    );
    assert!(!text.contains('\n'), "{text}");
}

#[test]
fn a_file_that_is_none_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let text = write("text.onnx", b"<!doctype html><html>404</html>");
    let error = Network::open(&text).unwrap_err();
    assert!(matches!(error, Error::NotOnnx { .. }), "{error:?}");
    let empty = Network::open(&write("empty.onnx", b"")).unwrap_err();
    assert!(!empty.to_string().contains('\n'), "{empty}");
    let missing = Network::open(&folder.path().join("missing.onnx")).unwrap_err();
    assert!(matches!(missing, Error::Unreadable { .. }), "{missing:?}");
}

/// A download that broke off, or a disk that lies: an error or numbers, never an end of the program.
#[test]
fn damaged_files_end_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(golden("dinov2.onnx")).unwrap();
    let path = folder.path().join("damaged.onnx");
    let mut opened = 0;
    for place in 0..60 {
        let at = place * whole.len() / 60;
        let mut damaged = whole[..at].to_vec();
        if place % 2 == 0 {
            damaged = whole.clone();
            damaged[at] ^= 0x55;
        }
        std::fs::write(&path, damaged).unwrap();
        if let Ok(network) = Network::open(&path) {
            opened += 1;
            let values = Values { shape: vec![1, 3, 56, 56], values: vec![0.1; 3 * 56 * 56] };
            if !network.outputs().is_empty() {
                let _seen = network.run(values, 0);
            }
        }
    }
    assert!(opened > 5, "only {opened} of 30 files with one wrong byte were opened");
}

/// A field of a message.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

fn node(operator: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|name| field(1, name.as_bytes())).collect();
    field(1, &[inputs, field(2, output.as_bytes()), field(4, operator.as_bytes())].concat())
}

/// A file of these nodes, constants of one whole number each, and `x` and `y` as what goes in and comes out.
fn file(nodes: &[Vec<u8>], constants: &[(&str, i64)]) -> Vec<u8> {
    let mut graph = nodes.concat();
    for (name, value) in constants {
        let tensor = [vec![0x10, 7], field(8, name.as_bytes()), field(9, &value.to_le_bytes())].concat();
        graph.extend(field(5, &tensor));
    }
    graph.extend(field(11, &field(1, b"x")));
    graph.extend(field(12, &field(1, b"y")));
    [vec![8, 8], field(8, &[0x10, 17]), field(7, &graph)].concat()
}

#[test]
fn deep_graphs_are_computed_and_endless_ones_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep.onnx");
    let chain = |length: usize| {
        let name = |place: usize| if place == length { "y".to_owned() } else { format!("n{place}") };
        let mut nodes = vec![node("Neg", &["x"], &name(1))];
        nodes.extend((1..length).map(|place| node("Neg", &[&name(place)], &name(place + 1))));
        file(&nodes, &[])
    };
    std::fs::write(&path, chain(40_000)).unwrap();
    let network = Network::open(&path).unwrap();
    let seen = network.run(Values { shape: vec![2], values: vec![3.0, -1.0] }, 0).unwrap();
    assert_eq!(seen.values, [3.0, -1.0], "an even number of turns");
    std::fs::write(&path, chain(100_000)).unwrap();
    let error = Network::open(&path).unwrap_err().to_string();
    assert!(error.ends_with("it has more than 50000 operators, which networks for pictures do not; name another file"));
}

#[test]
fn what_would_fill_all_memory_is_refused_before_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.onnx");
    let range = node("Range", &["start", "limit", "step"], "y");
    let shape = node("ConstantOfShape", &["limit"], "y");
    for (nodes, limit, is_refused) in
        [(&range, 1_i64 << 45, true), (&shape, 1 << 45, true), (&range, 5, false), (&shape, 5, false)]
    {
        std::fs::write(&path, file(std::slice::from_ref(nodes), &[("start", 0), ("limit", limit), ("step", 1)]))
            .unwrap();
        let opened = Network::open(&path);
        assert_eq!(matches!(opened, Err(Error::Excessive { .. })), is_refused, "{limit}: {opened:?}");
    }
}
