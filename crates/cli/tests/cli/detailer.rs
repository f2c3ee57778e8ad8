//! `lorabake generate --detailer`: what a detector finds is painted again, and told in the picture; `lorabake faces`.

use std::path::Path;

use lorabake_generate::picture_file::read_text;
use lorabake_pixels::decode;

use crate::sandbox::{Done, Sandbox};

fn detector(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vision/tests/golden/detectors").join(name);
    format!("--detailer={}", path.display())
}

/// A red heart of the small model.
fn heart(sandbox: &Sandbox, out: &str, more: &[&str]) -> Done {
    let out = format!("--out={out}");
    let usual = ["generate", "--prompt=a red heart", "--seed=1", "--steps=6", "--threads=1", &out];
    sandbox.run(&[&usual[..], more].concat())
}

/// The columns and rows in which two pictures differ: from the first to the last.
fn differing(sandbox: &Sandbox, one: &str, other: &str) -> Option<[usize; 4]> {
    let [one, other] = [one, other].map(|name| decode(&sandbox.path(name)).unwrap().image);
    let width = one.width as usize;
    let mut bounds: Option<[usize; 4]> = None;
    for (at, (a, b)) in one.pixels().zip(other.pixels()).enumerate() {
        if a != b {
            let [x, y] = [at % width, at / width];
            let [left, top, right, bottom] = bounds.unwrap_or([x, y, x, y]);
            bounds = Some([left.min(x), top.min(y), right.max(x), bottom.max(y)]);
        }
    }
    bounds
}

#[test]
fn what_is_found_is_painted_again_and_nothing_else() {
    let sandbox = Sandbox::new();
    assert_eq!(heart(&sandbox, "plain.png", &[]).code, 0);
    let warm = detector("warm.onnx");
    let most =
        ["--detailer_most=1", "--ad_confidence=0.2", "--detailer_prompt=a yellow star", "--ad_denoising_strength=0.8"];
    let done = heart(&sandbox, "new.png", &[&[warm.as_str()], &most[..]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("picture 1 of 1, detail 1 of 1 in "), "{}", done.stderr);
    let [left, top, right, bottom] = differing(&sandbox, "plain.png", "new.png").expect("something was painted");
    // A box of 56 pixels at most in the picture, with the growth and the blur of its mask.
    assert!(right - left < 90 && bottom - top < 90, "{left} {top} {right} {bottom}");
    let text = read_text(&sandbox.path("new.png")).unwrap();
    let own = "ADetailer model: warm.onnx, ADetailer prompt: a yellow star, ADetailer confidence: 0.2, ADetailer method to \
               decide top k masks: Area, ADetailer mask only top k: 1, ADetailer dilate erode: 4, ADetailer mask blur: 4, \
               ADetailer denoising strength: 0.8, ADetailer inpaint only masked: True, ADetailer inpaint padding: 32, ADetailer \
               version: lorabake-";
    assert!(text.contains(own), "{text}");
    // The same again is the same.
    assert_eq!(heart(&sandbox, "again.png", &[&[warm.as_str()], &most[..]].concat()).code, 0);
    assert_eq!(differing(&sandbox, "new.png", "again.png"), None);
}

#[test]
fn what_is_not_found_leaves_the_picture() {
    let sandbox = Sandbox::new();
    assert_eq!(heart(&sandbox, "plain.png", &[]).code, 0);
    let warm = detector("warm.onnx");
    let done = heart(&sandbox, "none.png", &[&warm, "--detailer_confidence=1"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("warm.onnx found nothing that is painted again"), "{}", done.stderr);
    assert_eq!(differing(&sandbox, "plain.png", "none.png"), None);
    let skip = heart(&sandbox, "skip.png", &[&warm, "--detailer_prompt=[SKIP]", "--detailer_confidence=0.1"]);
    assert_eq!(skip.code, 0, "{}", skip.stderr);
    assert_eq!(differing(&sandbox, "plain.png", "skip.png"), None);
}

#[test]
fn two_detectors_act_one_after_the_other() {
    let sandbox = Sandbox::new();
    let [warm, outlines] = [detector("warm.onnx"), detector("outlines.onnx")];
    let more = [
        &warm,
        &outlines,
        "--detailer_most=1",
        "--detailer_most=1",
        "--detailer_merge=none",
        "--detailer_merge=merge",
        "--detailer_steps=3",
        "--detailer_width=64",
    ];
    let done = heart(&sandbox, "two.png", &more);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let text = read_text(&sandbox.path("two.png")).unwrap();
    for said in [
        "ADetailer use inpaint width height: True, ADetailer inpaint width: 64, ADetailer inpaint height: 64",
        "ADetailer model 2nd: outlines.onnx",
        "ADetailer mask merge invert 2nd: Merge",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn faces_go_into_the_names_of_images() {
    let sandbox = Sandbox::new();
    assert_eq!(heart(&sandbox, "set/heart.png", &[]).code, 0);
    sandbox.write("set/heart.txt", "heart");
    sandbox.write("set/told_0010_0020_0030_0040.png", std::fs::read(sandbox.path("set/heart.png")).unwrap());
    let warm = detector("warm.onnx").replace("--detailer", "--detector");
    let shown = sandbox.run(&["faces", "set", &warm, "--dry_run"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(shown.stdout.contains("heart.png → ") && sandbox.path("set/heart.png").exists(), "{}", shown.stdout);
    let done = sandbox.run(&["faces", "set", &warm]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("1 image renamed, 1 whose name tells its face already"), "{}", done.stderr);
    let names: Vec<String> = std::fs::read_dir(sandbox.path("set"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().any(|name| name.starts_with("heart_0") && name.ends_with(".png")), "{names:?}");
    assert!(names.contains(&"heart.txt".to_owned()));
    sandbox.run(&["faces", "nowhere", &warm]).refused(1, &["nowhere: there is no such folder; "]);
}

#[test]
fn what_is_wrong_is_told_before_anything_is_painted() {
    let sandbox = Sandbox::new();
    sandbox.write("no.onnx", "nothing");
    heart(&sandbox, "a.png", &["--detailer=no.onnx"]).refused(1, &["--detailer: no.onnx: it is no ONNX file"]);
    heart(&sandbox, "a.png", &["--detailer=gone.pt"]).refused(1, &["--detailer gone.pt: there is no such file; "]);
    heart(&sandbox, "a.png", &["--ad_model=mediapipe_face_full"]).refused(1, &["not built in; name a YOLOv8 file"]);
    heart(&sandbox, "a.png", &["--detailer_prompt=a"]).refused(1, &["--detailer_prompt: there is no detector; "]);
    let two = heart(&sandbox, "a.png", &[&detector("warm.onnx"), "--ad_steps=2", "--ad_steps=3"]);
    two.refused(1, &["--detailer_steps is given 2 times for 1 detectors; "]);
    let class = heart(&sandbox, "a.png", &[&detector("warm.onnx"), "--detailer_classes=dog"]);
    class.refused(1, &["--detailer: the detector finds no `dog`; use warm"]);
    assert!(!sandbox.path("a.png").exists());
}

#[test]
fn a_detailed_picture_is_repeated_from_its_text() {
    let sandbox = Sandbox::new();
    let warm = detector("warm.onnx");
    let most =
        ["--detailer_most=1", "--ad_confidence=0.2", "--detailer_prompt=a yellow star", "--ad_denoising_strength=0.8"];
    assert_eq!(heart(&sandbox, "first.png", &[&[warm.as_str()], &most[..]].concat()).code, 0);
    let folder = format!("--detailer_dir={}", Path::new(&warm[11..]).parent().unwrap().display());
    let again = sandbox.run(&["generate", "--like=first.png", "--threads=1", "--out=again.png", &folder]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(differing(&sandbox, "first.png", "again.png"), None, "{}", again.stderr);
    // A typed option wins, the rest is the picture's.
    let other = sandbox.run(&[
        "generate",
        "--like=first.png",
        "--threads=1",
        "--out=other.png",
        &warm,
        "--detailer_denoise=0.3",
    ]);
    assert_eq!(other.code, 0, "{}", other.stderr);
    let text = read_text(&sandbox.path("other.png")).unwrap();
    assert!(text.contains("ADetailer prompt: a yellow star, ADetailer confidence: 0.2"), "{text}");
    assert!(text.contains("ADetailer denoising strength: 0.3"), "{text}");
    let without = sandbox.run(&["generate", "--like=first.png", "--threads=1", "--out=without.png"]);
    assert!(
        without.stderr.contains("what ADetailer did with warm.onnx is left out: give the folder"),
        "{}",
        without.stderr
    );
    let empty = sandbox.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let none = sandbox.run(&["generate", "--like=first.png", "--out=none.png", "--detailer_dir=empty"]);
    none.refused(1, &["warm.onnx"]);
}

#[test]
fn details_may_have_a_checkpoint_of_their_own() {
    let sandbox = Sandbox::new();
    let warm = detector("warm.onnx");
    let pocket = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/pocket/pocket.safetensors");
    let most = ["--detailer_most=1", "--ad_confidence=0.2", "--ad_denoising_strength=0.8"];
    assert_eq!(heart(&sandbox, "plain.png", &[&[warm.as_str()], &most[..]].concat()).code, 0);
    // The same networks from a file paint the same.
    let own = format!("--detailer_checkpoint={}", pocket.display());
    let done = heart(&sandbox, "own.png", &[&[warm.as_str(), &own], &most[..]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(differing(&sandbox, "plain.png", "own.png"), None);
    let text = read_text(&sandbox.path("own.png")).unwrap();
    let key = "ADetailer use separate checkpoint: True, ADetailer checkpoint: pocket.safetensors";
    assert!(text.contains(key), "{text}");
    heart(&sandbox, "none.png", &[&warm, "--detailer_checkpoint=none.safetensors"])
        .refused(1, &["--detailer_checkpoint", "none.safetensors"]);
    heart(&sandbox, "none.png", &[&warm, "--detailer_control_model=none.safetensors"])
        .refused(1, &["--detailer_control_model none.safetensors: there is no such file; "]);
    // A file that is no net for this checkpoint ends the command before it paints.
    sandbox.write("no-net.safetensors", [&8u64.to_le_bytes()[..], b"{}      "].concat());
    let refused = heart(&sandbox, "fit.png", &[&warm, "--detailer_control_model=no-net.safetensors"]);
    refused.refused(1, &["--detailer_control_model", "no-net.safetensors"]);
    assert!(!sandbox.path("fit.png").exists());
}
