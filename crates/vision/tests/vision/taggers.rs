//! Every kind of tagger: what a picture becomes, and its scores.

use std::path::PathBuf;

use lorabake_pixels::{Rgba, decode_rgba};
use lorabake_testkit::{Golden, relative_error};
use lorabake_vision::tagger::{Category, Resampling, Scores, SelfTest, Tagger, find};

use crate::golden;

const PICTURES: [&str; 3] = ["drawing.png", "seen_through.png", "wide.png"];
const FAMILIES: [&str; 6] = ["wd", "cl_tagger", "joytag", "deepdanbooru", "mldanbooru", "stages"];

fn pictures() -> Vec<Rgba> {
    PICTURES.map(|name| decode_rgba(&golden("pictures").join(name)).unwrap()).to_vec()
}

fn open(name: &str, resize: Option<Resampling>) -> Tagger {
    Tagger::open(&golden(name), resize).unwrap()
}

#[test]
fn pictures_become_what_each_program_makes_of_them() {
    let known = Golden::open(golden("taggers.safetensors"));
    let cases = FAMILIES.map(|family| (family, family));
    for (family, expected) in cases.into_iter().chain([("wd", "wd_area")]) {
        // sd-scripts' own way to resize is the one that it feeds cl_tagger with.
        let is_kohya = expected == "wd_area" || family == "cl_tagger";
        let tagger = open(family, is_kohya.then_some(Resampling::Kohya));
        let mut values = Vec::new();
        for picture in pictures() {
            values.extend_from_slice(tagger.prepare(&picture).values());
        }
        let wanted = known.numbers(&format!("prepared.{expected}"));
        assert_eq!(values.len(), wanted.len(), "{expected}");
        let differing = values.iter().zip(wanted).filter(|(own, wanted)| (*own - *wanted).abs() > 2e-6).count();
        let first = values.iter().zip(wanted).position(|(own, wanted)| (own - wanted).abs() > 2e-6);
        let shown = first.map(|at| (at, values[at], wanted[at]));
        assert_eq!(differing, 0, "{expected}: of {} values, first {shown:?}", values.len());
    }
}

#[test]
fn scores_are_those_of_onnxruntime() {
    let known = Golden::open(golden("taggers.safetensors"));
    let architectures = ["vit", "vit_half", "swinv2", "convnext", "convnextv2", "eva02", "moat"];
    for name in architectures.into_iter().chain(["wd", "joytag", "deepdanbooru", "mldanbooru", "stages", "cl_tagger"]) {
        let tagger = open(name, (name == "cl_tagger").then_some(Resampling::Kohya));
        let prepared: Vec<_> = pictures().iter().map(|picture| tagger.prepare(picture)).collect();
        let scores = tagger.scores(&prepared).unwrap();
        let key = format!("scores.{name}");
        let mut wanted = known.numbers(&key).to_vec();
        if wanted.iter().any(|value| !(0.0..=1.0).contains(value)) {
            wanted.iter_mut().for_each(|value| *value = 1.0 / (1.0 + (-*value).exp()));
        }
        assert_eq!(known.shape(&key), [3, tagger.contract().labels.len()]);
        assert!(relative_error(&scores.concat(), &wanted) < 1e-5, "{name}");
        // Together and one by one are the same.
        let alone: Vec<f32> =
            prepared.iter().flat_map(|one| tagger.scores(std::slice::from_ref(one)).unwrap().concat()).collect();
        assert!(relative_error(&alone, &scores.concat()) < 1e-5, "{name}");
    }
}

#[test]
fn families_are_told_by_their_files() {
    for (name, family) in FAMILIES.into_iter().zip([
        "WD",
        "cl_tagger",
        "JoyTag",
        "ML-Danbooru",
        "DeepDanbooru",
        "a tagger with preprocess.json",
    ]) {
        let family = match name {
            "deepdanbooru" => "DeepDanbooru",
            "mldanbooru" => "ML-Danbooru",
            _ => family,
        };
        assert_eq!(open(name, None).contract().family, family, "{name}");
    }
    let wd = open("wd", None);
    assert_eq!(wd.contract().thresholds[&Category::Character], 0.85);
    assert_eq!(wd.fixed_batch(), None);
    assert_eq!(open("vit", None).fixed_batch(), Some(1));
    let picture = &pictures()[0];
    let scores = wd.scores(&[wd.prepare(picture)]).unwrap().remove(0);
    let kept = Scores::of(&wd.contract().labels, &scores);
    assert!(kept.best(Category::Rating).is_some() && kept.cuts.contains_key(&Category::General));
}

/// A folder with the files of `from`, without or with another text in one of them.
fn copied(from: &str, changed: &str, text: Option<&str>) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden(from)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let file = folder.path().join(changed);
    match text {
        Some(text) => std::fs::write(&file, text).unwrap(),
        None => std::fs::remove_file(&file).unwrap(),
    }
    let path = folder.path().to_owned();
    (folder, path)
}

#[test]
fn what_is_no_tagger_is_told_in_one_line() {
    for (file, text, said) in [
        ("selected_tags.csv", None, "there is no list of tags beside it; put selected_tags.csv"),
        ("selected_tags.csv", Some("name,category\na,0\n"), "22 scores and its list has 1 tags; take both"),
        ("model.onnx", None, "there is no .onnx file in it; put"),
        ("model.onnx", Some("<html>"), "it is no ONNX file"),
        ("tagger.toml", Some("labels = \"../x\""), "labels: it leads out of the folder; "),
        ("tagger.toml", Some("names = [\"a\"]\nresize_to = 3"), "resize_to: 3 pixels make no sense; "),
        ("tagger.toml", Some("what = 1"), "unknown field `what`"),
        ("preprocess.json", Some("{\"stages\": [{\"type\": \"spin\"}]}"), "its stage `spin` is not known; "),
        ("text_decoder.onnx", Some(""), ""),
    ] {
        let (_folder, path) = copied("wd", file, text);
        let error = Tagger::open(&path, None).err().map(|error| error.to_string());
        match error {
            Some(error) => {
                assert!(!said.is_empty() && error.contains(said) && !error.contains('\n'), "{file}: {error}")
            }
            None => assert!(said.is_empty(), "{file}: {said}"),
        }
    }
    let (_folder, path) = copied("wd", "model.onnx", None);
    std::fs::write(path.join("text_decoder.onnx"), "").unwrap();
    let error = find(&path).unwrap_err().to_string();
    assert!(error.contains("writes sentences") && error.contains("NAME.txt"), "{error}");
    for name in ["model.safetensors", "model.h5", "list.csv"] {
        std::fs::write(path.join(name), "").unwrap();
        assert!(find(&path.join(name)).unwrap_err().to_string().contains("; name model.onnx"));
    }
}

#[test]
fn a_described_classifier_is_fed_as_it_says() {
    let text = "names = [\"sfw\", \"nsfw\"]\ncategory = \"rating\"\ncolors = \"bgr\"\nfit = \"stretch\"\nresize_to = 30\n\
                resize = \"bilinear\"\nmean = [104, 117, 123]\nactivation = \"softmax\"\n[thresholds]\ngeneral = 0.5\n";
    let (_folder, path) = copied("wd", "tagger.toml", Some(text));
    let error = Tagger::open(&path, None).unwrap_err().to_string();
    assert!(error.contains("has no output") || error.contains("scores and its list"), "{error}");
    let names: Vec<String> = (0..22).map(|number| format!("\"t{number}\"")).collect();
    let text = text.replace("\"sfw\", \"nsfw\"", &names.join(", "));
    std::fs::write(path.join("tagger.toml"), text).unwrap();
    let tagger = Tagger::open(&path, None).unwrap();
    let values = tagger.prepare(&pictures()[2]);
    // The middle of 30 pixels squeezed, blue first: a bright picture minus its mean.
    assert_eq!(values.values().len(), 24 * 24 * 3);
    let scores = tagger.scores(&[values]).unwrap().remove(0);
    let sum: f32 = scores.iter().sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
}

#[test]
fn a_self_test_tells_what_a_report_needs() {
    let lines = SelfTest::of(&golden("eva02")).unwrap().lines.join("\n");
    for said in [
        "WD, by ",
        "made by: pytorch",
        "opset 17",
        "ai.onnx.ml 4",
        "MatMul",
        "input: input_1, any × 56 × 56 × 3",
        "tags: 22 (14 general, 4 character, 4 rating)",
    ] {
        assert!(lines.contains(said), "{said}: {lines}");
    }
}
