//! `lorabake tag`: what is written beside images, what stays, and the words of sd-scripts' own script.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::sandbox::{Done, Sandbox, png};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vision/tests/golden").join(name)
}

fn wd() -> String {
    format!("--model={}", golden("wd").display())
}

fn tag(sandbox: &Sandbox, more: &[&str]) -> Done {
    let model = wd();
    sandbox.run(&[&["tag", "set", &model], more].concat())
}

fn read(sandbox: &Sandbox, name: &str) -> String {
    fs::read_to_string(sandbox.path(name)).unwrap()
}

/// Three pictures, of which the first has a caption and the second an empty one.
fn three() -> Sandbox {
    let sandbox = Sandbox::new();
    for index in 0..3 {
        sandbox.write(&format!("set/{index}.png"), png(index));
    }
    sandbox.write("set/0.txt", "penny, own tag\n");
    sandbox.write("set/1.txt", "\n");
    sandbox
}

/// A caption with each word once.
fn once(text: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in text.trim_end().split(", ") {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(", ") + "\n"
}

#[test]
fn captions_are_those_of_sd_scripts_byte_by_byte() {
    let cases: Value = serde_json::from_slice(&fs::read(golden("sd_scripts.json")).unwrap()).unwrap();
    let cases = cases.as_array().unwrap();
    assert!(cases.len() >= 40);
    for case in cases {
        let sandbox = Sandbox::new();
        for entry in fs::read_dir(golden("pictures")).unwrap() {
            let path = entry.unwrap().path();
            sandbox.write(&format!("images/{}", path.file_name().unwrap().to_str().unwrap()), fs::read(&path).unwrap());
        }
        sandbox.write("images/wide.txt", "penny, solo, own tag\n");
        let options: Vec<&str> =
            case["options"].as_array().unwrap().iter().map(|option| option.as_str().unwrap()).collect();
        let kind = case["model"].as_str().unwrap();
        let model = format!("--model={}", golden(kind).display());
        let mut line = vec!["tag", "images", &model, "--resize=area"];
        line.extend(&options);
        let has = |name: &str| options.contains(&name);
        if !has("--remove_underscore") {
            line.push("--keep_underscore");
        }
        if !has("--append_tags") {
            line.push("--existing=replace");
        }
        // sd-scripts writes WD's tags in the order of their list, and others by their scores; one threshold for all.
        if kind == "wd" {
            line.push("--tag_order=list");
        }
        if !has("--thresh") {
            line.push("--thresh=0.35");
        }
        let done = sandbox.run(&line);
        assert_eq!(done.code, 0, "{}", done.stderr);
        for (name, text) in case["texts"].as_object().unwrap() {
            // A series of two characters is written once here, as any word.
            let text = if has("--character_tag_expand") {
                once(text.as_str().unwrap())
            } else {
                text.as_str().unwrap().to_owned()
            };
            assert_eq!(read(&sandbox, &format!("images/{name}")), text, "{kind} {options:?} {name}");
        }
        for text in case["output"].as_array().unwrap() {
            let name = if has("out.json") { "out.json" } else { "out.jsonl" };
            let own = read(&sandbox, name).replace("images/", "IMAGES/").replace("images\\\\", "IMAGES/");
            assert_eq!(own, text.as_str().unwrap(), "{options:?}");
        }
        if has("--frequency_tags") {
            let printed = case["printed"].as_str().unwrap();
            let sorted = |text: &str| {
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                lines.sort();
                lines
            };
            assert_eq!(sorted(&done.stdout), sorted(printed), "{kind}");
        }
    }
}

#[test]
fn captions_that_are_there_stay_unless_asked() {
    let sandbox = three();
    let done = tag(&sandbox, &[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("2 of 3 images have captions, which stay as they are"), "{}", done.stderr);
    assert_eq!(read(&sandbox, "set/0.txt"), "penny, own tag\n");
    assert_eq!(read(&sandbox, "set/1.txt"), "\n");
    let new = read(&sandbox, "set/2.txt");
    assert!(new.ends_with('\n') && new.contains("long hair") && new.contains("^_^"), "{new}");

    assert_eq!(tag(&sandbox, &["--existing", "only_empty"]).code, 0);
    assert_eq!(read(&sandbox, "set/0.txt"), "penny, own tag\n");
    assert!(read(&sandbox, "set/1.txt").len() > 5);

    assert_eq!(tag(&sandbox, &["--existing", "append"]).code, 0);
    let appended = read(&sandbox, "set/0.txt");
    assert!(appended.starts_with("penny, own tag, ") && appended.ends_with('\n'), "{appended}");
    assert_eq!(read(&sandbox, "set/2.txt"), new);

    assert_eq!(tag(&sandbox, &["--existing=replace", "--activation_tag=penny", "--thresh=0.6"]).code, 0);
    let replaced = read(&sandbox, "set/0.txt");
    assert!(!replaced.contains("own tag"), "{replaced}");
    assert!(!sandbox.path("set").join(".originals").exists());
    assert!(fs::read_dir(sandbox.path("set")).unwrap().count() == 6, "nothing but captions is put into the folder");
}

#[test]
fn new_captions_begin_with_the_activation_tag() {
    let sandbox = three();
    let done = tag(&sandbox, &["--activation_tag", "penny"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(read(&sandbox, "set/2.txt").starts_with("penny, "));
}

#[test]
fn one_tag_for_each_thing_if_asked() {
    let sandbox = three();
    let all = ["--thresh=0.05", "--existing=replace", "--tag_replacement=solo,red boots"];
    assert_eq!(tag(&sandbox, &all).code, 0);
    let has = |name: &str, wanted: &str| read(&sandbox, name).trim_end().split(", ").any(|word| word == wanted);
    assert!(has("set/2.txt", "boots") && has("set/2.txt", "red boots"), "{}", read(&sandbox, "set/2.txt"));
    assert_eq!(tag(&sandbox, &[&all[..], &["--consolidate"]].concat()).code, 0);
    assert!(!has("set/2.txt", "boots") && has("set/2.txt", "red boots"), "{}", read(&sandbox, "set/2.txt"));
    // Beside a caption that says more, nothing is added, and what it has stays.
    sandbox.write("set/2.txt", "penny, red boots, hair, long hair\n");
    let append = ["--thresh=0.05", "--existing=append", "--consolidate"];
    assert_eq!(tag(&sandbox, &append).code, 0);
    let caption = read(&sandbox, "set/2.txt");
    assert!(caption.starts_with("penny, red boots, hair, long hair, ") && !has("set/2.txt", "boots"), "{caption}");
}

#[test]
fn a_dry_run_writes_nothing() {
    let sandbox = three();
    let done = tag(&sandbox, &["--dry_run", "--existing", "replace"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.stdout.lines().count(), 3, "{}", done.stdout);
    assert!(done.stderr.contains("3 captions would be written"), "{}", done.stderr);
    assert!(!sandbox.path("set/2.txt").exists() && !sandbox.path("set.lorabake").exists());
}

#[test]
fn thresholds_move_without_looking_again() {
    let sandbox = three();
    let all = ["--existing=replace", "--scores=scores.jsonl"];
    assert_eq!(tag(&sandbox, &all).code, 0);
    let kept = read(&sandbox, "scores.jsonl");
    assert_eq!(kept.lines().count(), 3);
    let before = read(&sandbox, "set/2.txt");
    assert_eq!(tag(&sandbox, &[&all[..], &["--thresh=0.9"]].concat()).code, 0);
    assert_eq!(read(&sandbox, "scores.jsonl"), kept, "nothing was asked again");
    assert!(read(&sandbox, "set/2.txt").len() < before.len());
    assert_eq!(tag(&sandbox, &all).code, 0);
    assert_eq!(read(&sandbox, "set/2.txt"), before);
    // Another picture of the same name is looked at.
    sandbox.write("set/2.png", png(9));
    assert_eq!(tag(&sandbox, &all).code, 0);
    assert_eq!(read(&sandbox, "scores.jsonl").lines().count(), 4);
}

#[test]
fn several_taggers_act_together() {
    let sandbox = three();
    let joytag = format!("--model={}", golden("joytag").display());
    let words = |combine: &str| {
        let done = tag(&sandbox, &[&joytag, "--existing=replace", "--dry_run", combine, "--thresh=0.3"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        done.stdout.lines().map(|line| line.split(", ").count()).sum::<usize>()
    };
    assert!(words("--combine=intersection") < words("--combine=union"));
    assert!(words("--combine=mean") > 0);
}

#[test]
fn rare_tags_may_be_left_out() {
    let sandbox = three();
    let done = tag(&sandbox, &["--existing=replace", "--min_images=3", "--thresh=0.3", "--frequency_tags"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let first = read(&sandbox, "set/0.txt");
    for name in ["set/1.txt", "set/2.txt"] {
        let mut tags: Vec<String> = read(&sandbox, name).trim().split(", ").map(str::to_owned).collect();
        let mut others: Vec<String> = first.trim().split(", ").map(str::to_owned).collect();
        tags.sort();
        others.sort();
        assert_eq!(tags, others);
    }
}

#[test]
fn what_is_wrong_is_told_in_one_line() {
    let sandbox = three();
    sandbox.run(&["tag", "set"]).refused(1, &["--model: there is no tagger; name the folder of one"]);
    let blip = sandbox.path("blip");
    fs::create_dir(&blip).unwrap();
    fs::write(blip.join("text_decoder_model.onnx"), "").unwrap();
    sandbox.run(&["tag", "set", "--model=blip"]).refused(1, &["writes sentences", "NAME.txt beside each NAME.png"]);
    sandbox.run(&["tag", "set", "--model=set/0.png"]).refused(1, &["0.png: it is no ONNX file"]);
    sandbox.run(&["tag", "nowhere", &wd()]).refused(1, &["nowhere: there is no such folder; "]);
    sandbox.run(&["tag", "blip", &wd()]).refused(1, &["blip: there are no images in it; "]);
    tag(&sandbox, &["--scores=set/0.txt"]).refused(1, &["something else than scores; "]);
    tag(&sandbox, &["--tag_replacement=a"]).refused(1, &["--tag_replacement: `a` is no pair; "]);
    tag(&sandbox, &["--thresh=0.01"]).refused(2, &["0.01 is below 0.05"]);
    sandbox.run(&["tag", "set", "--repo_id=../x"]).refused(1, &["--repo_id ../x: it is no name"]);
    sandbox.run(&["tag", "set", "--repo_id=a/b"]).refused(1, &["nothing is downloaded; put model.onnx"]);
    let unknown = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/tests/golden/unknown.onnx");
    let line = format!("--self_test={}", unknown.display());
    sandbox.run(&["tag", &line]).refused(1, &["Frobnicate", "export it again"]);
}

#[test]
fn an_image_that_cannot_be_read_is_named_and_the_rest_goes_on() {
    let sandbox = three();
    sandbox.write("set/broken.png", "no picture");
    let done = tag(&sandbox, &[]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("left out: ") && done.stderr.contains("broken.png"), "{}", done.stderr);
    assert!(sandbox.path("set/2.txt").exists() && !sandbox.path("set/broken.txt").exists());
}

#[test]
fn a_self_test_tells_what_a_file_is() {
    let sandbox = Sandbox::new();
    let done = sandbox.run(&["tag", "--self_test", golden("swinv2").to_str().unwrap()]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for said in ["WD, by ", "opset", "input: input_1", "tags: 22", "scores of a drawn picture"] {
        assert!(done.stdout.contains(said), "{said}: {}", done.stdout);
    }
}
