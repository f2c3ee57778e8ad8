//! `lorabake judge`: what is measured and written, and what is refused.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

use crate::sandbox::{Done, Sandbox, png};

fn images(sandbox: &Sandbox) {
    for index in 0..6 {
        sandbox.write(&format!("data/2_dot/{index}.png"), png(40 * index));
        sandbox.write(&format!("data/2_dot/{index}.txt"), format!("zork, thing {index}, white background"));
    }
}

/// A bake of the embedded model that is judged in seconds.
fn baked(sandbox: &Sandbox) {
    bake(sandbox, &["--resolution=64", "--max_train_epochs=2"]);
}

fn bake(sandbox: &Sandbox, more: &[&str]) {
    images(sandbox);
    let usual = [
        "train",
        "--train_data_dir=data",
        "--output_dir=out",
        "--output_name=x",
        "--network_dim=2",
        "--save_every_n_epochs=1",
        "--validation_split=0.34",
        "--unet_lr=1e-3",
    ];
    let done = sandbox.run(&[&usual[..], more].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
}

fn read(sandbox: &Sandbox, name: &str) -> String {
    std::fs::read_to_string(sandbox.path(name)).unwrap()
}

fn judge(sandbox: &Sandbox, more: &[&str]) -> Done {
    sandbox.run(&[&["judge", "out", "--train_data_dir=data", "--budget=quick"], more].concat())
}

#[test]
fn a_run_is_judged_and_the_next_recipe_written() {
    let sandbox = Sandbox::new();
    baked(&sandbox);
    let done = judge(&sandbox, &["--json=j.json", "--apply=next.toml"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("snapshot") && done.stdout.contains("Keep x"), "{}", done.stdout);
    let report: serde_json::Value = serde_json::from_str(&read(&sandbox, "j.json")).unwrap();
    assert_eq!(report["measures"]["snapshots"].as_array().unwrap().len(), 2);
    assert_eq!(report["facts"]["trigger"], "zork");
    assert_eq!(report["measures"]["held_out"], "Split");
    // Without the LoRA errors are those of the checkpoint, exactly.
    let first = &report["measures"]["snapshots"][0]["whole"]["points"][0];
    assert_eq!(first["strength"], 0.0);
    assert!(first["scores"].as_array().unwrap().iter().all(|score| score.as_f64() == Some(0.0)), "{first}");
    let page = read(&sandbox, "out/x.judge.html");
    assert!(page.starts_with("<!doctype html>") && !page.contains("http"), "a page that needs a network");
    let next = read(&sandbox, "next.toml");
    assert!(next.contains("output_name = \"x-next\" # judge: was \"x\""), "{next}");
    let plan = sandbox.run(&["plan", "next.toml"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    // The same measures again, whatever runs beside.
    let again = judge(&sandbox, &["--json=again.json", "--no_html", "--again"]);
    assert_eq!(again.code, 0);
    assert_eq!(read(&sandbox, "again.json"), read(&sandbox, "j.json"));
    // From what was kept: the whole, and where the whole is gone, its parts.
    std::fs::remove_file(sandbox.path("out/x.judge.html")).unwrap();
    let kept = judge(&sandbox, &["--json=kept.json"]);
    assert!(kept.stderr.contains("nothing has changed since it was judged"), "{}", kept.stderr);
    assert_eq!(read(&sandbox, "kept.json"), read(&sandbox, "j.json"));
    assert_eq!(read(&sandbox, "out/x.judge.html"), page);
    for entry in std::fs::read_dir(sandbox.path("out/x.judge")).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.extension().unwrap() != "picture", "pictures are in the page: {}", path.display());
        if std::fs::read_to_string(&path).unwrap().contains("<!doctype html>") {
            std::fs::remove_file(&path).unwrap();
        }
    }
    let parts = judge(&sandbox, &["--json=parts.json", "--no_html"]);
    assert!(!parts.stderr.contains("nothing has changed"), "{}", parts.stderr);
    assert_eq!(read(&sandbox, "parts.json"), read(&sandbox, "j.json"));
    // Another caption is another judgement.
    sandbox.write("data/2_dot/0.txt", "zork, something else, white background");
    let other = judge(&sandbox, &["--json=other.json", "--no_html"]);
    assert!(!other.stderr.contains("nothing has changed") && other.code == 0, "{}", other.stderr);
    assert_ne!(read(&sandbox, "other.json"), read(&sandbox, "j.json"));
    let refused = judge(&sandbox, &["--apply=next.toml"]);
    assert!(
        refused.code != 0 && refused.stderr.contains("--apply next.toml: it is there already"),
        "{}",
        refused.stderr
    );
}

#[test]
fn what_cannot_be_judged_is_one_line() {
    let sandbox = Sandbox::new();
    sandbox.write("empty/notes.txt", "nothing");
    for (args, said) in [
        (vec!["judge", "empty", "--train_data_dir=data"], "empty: there is no .safetensors file in it"),
        (vec!["judge", "missing", "--train_data_dir=data"], "missing"),
    ] {
        let done = sandbox.run(&args);
        assert!(done.code != 0, "{args:?}");
        assert!(done.stderr.contains(said), "{args:?}: {}", done.stderr);
    }
    sandbox.write("out/x.safetensors", "no LoRA");
    let done = sandbox.run(&["judge", "out"]);
    assert!(done.stderr.contains("--config_file: give the recipe of the run, or its images by --train_data_dir"));
}

/// Images of one colour are known by heart soon.
#[test]
fn a_training_is_judged_on_the_way_and_ends_when_it_is_overcooked() {
    let sandbox = Sandbox::new();
    images(&sandbox);
    let train = |more: &[&str]| {
        let line = ["train", "--train_data_dir=data", "--output_name=x", "--resolution=64", "--network_dim=4"];
        sandbox.run(&[&line, &["--validation_split=0.34", "--logging_dir=log"][..], more].concat())
    };
    let watched =
        train(&["--output_dir=out", "--max_train_epochs=2", "--save_every_n_epochs=1", "--judge_every_n_epochs=1"]);
    assert_eq!(watched.code, 0, "{}", watched.stderr);
    let told: Vec<&str> = watched.stderr.lines().filter(|line| line.starts_with("judged: epoch ")).collect();
    assert_eq!(told.len(), 2, "{}", watched.stderr);
    // The same numbers as afterwards; a file is rounded to nothing but its own f32.
    let done = judge(&sandbox, &["--json=j.json", "--no_html"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report: serde_json::Value = serde_json::from_str(&read(&sandbox, "j.json")).unwrap();
    let files = sandbox.files("log");
    let lines = read(&sandbox, files.iter().find(|file| file.ends_with("steps.jsonl")).unwrap());
    let mut judged = Vec::new();
    for line in lines.lines().filter(|line| line.contains("\"event\":\"judge\"")) {
        judged.push(serde_json::from_str::<serde_json::Value>(line).unwrap());
    }
    assert_eq!(judged.len(), 2, "{lines}");
    for (snapshot, line) in report["measures"]["snapshots"].as_array().unwrap().iter().zip(&judged) {
        let pairs = [
            (&snapshot["drift"]["plain"], &line["drift_plain"]),
            (&snapshot["drift"]["trigger"], &line["drift_trigger"]),
            (&snapshot["text_drift"]["trigger"], &line["text_drift_trigger"]),
            (&snapshot["whole"]["best"], &line["best_strength"]),
        ];
        for (after, on_the_way) in pairs {
            let (after, on_the_way) = (after.as_f64().unwrap(), on_the_way.as_f64().unwrap());
            assert!((after - on_the_way).abs() <= 1e-4 * after.abs(), "{after} {on_the_way}");
        }
    }
    let charts = std::fs::read(sandbox.path(files.iter().find(|file| file.contains("tfevents")).unwrap())).unwrap();
    let tag = b"judge/best_strength_low";
    assert_eq!(charts.windows(tag.len()).filter(|bytes| bytes == tag).count(), 2);

    let ended = train(&["--output_dir=hot", "--max_train_epochs=30", "--unet_lr=3e-2", "--stop_when_overcooked=1"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("so the run ends here"), "{}", ended.stderr);
    assert!(ended.stdout.contains("ended as overcooked"), "{}", ended.stdout);
    assert!(ended.stdout.contains("the best that was judged"), "{}", ended.stdout);
}

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models")
}

/// The model inside the program as a file: the same one, and one whose UNet lacks its middle.
fn checkpoints(sandbox: &Sandbox) {
    let mut bytes = std::fs::read(models().join("pocket/pocket.safetensors")).unwrap();
    sandbox.write("same.safetensors", &bytes);
    let (header, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let data = header + 8;
    let mut blanked = 0;
    for (name, info) in metadata.tensors() {
        if name.contains("middle_block") && name.ends_with("weight") {
            let (start, end) = info.data_offsets;
            bytes[data + start..data + end].fill(0);
            blanked += 1;
        }
    }
    assert!(blanked > 5, "only {blanked} tensors are in the middle");
    sandbox.write("other.safetensors", &bytes);
}

#[test]
fn a_lora_is_tried_on_other_checkpoints() {
    let sandbox = Sandbox::new();
    baked(&sandbox);
    checkpoints(&sandbox);
    let done = judge(&sandbox, &["--json=j.json", "--against", "same.safetensors", "other.safetensors"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("For the model card: "), "{}", done.stdout);
    let report: serde_json::Value = serde_json::from_str(&read(&sandbox, "j.json")).unwrap();
    let places = report["elsewhere"]["checkpoints"].as_array().unwrap();
    let names: Vec<&str> = places.iter().map(|place| place["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["pocket", "same", "other"]);
    assert_eq!((&places[0]["is_home"], &places[1]["is_home"]), (&true.into(), &false.into()));
    // The same weights give the same numbers, others do not.
    for measure in ["held_out", "training", "drift", "whole"] {
        assert_eq!(places[1]["measures"][measure], places[0]["measures"][measure], "{measure}");
        assert_ne!(places[2]["measures"][measure], places[0]["measures"][measure], "{measure}");
    }
    let page = read(&sandbox, "out/x.judge.html");
    assert!(page.contains("<h2>Other checkpoints</h2>") && page.contains("pocket (trained on)"));
}

#[test]
fn a_checkpoint_that_cannot_be_tried_is_one_line() {
    let sandbox = Sandbox::new();
    baked(&sandbox);
    let pocket = models().join("pocket/pocket.safetensors");
    let other_family = models().join("tiny/sdxl_tiny.safetensors");
    let [pocket, other_family] = [pocket, other_family].map(|path| path.to_string_lossy().into_owned());
    let done = judge(&sandbox, &["--against", "missing", &pocket, &pocket, &other_family]);
    assert_ne!(done.code, 0);
    let lines: Vec<&str> = done.stderr.lines().filter(|line| line.contains("--against")).collect();
    let said = [
        "missing: there is no such file; write the paths of checkpoints",
        "it is named twice; leave it out once",
        "and the LoRA was trained for SD1.x; name checkpoints of the same family",
    ];
    assert_eq!(lines.len(), said.len(), "{}", done.stderr);
    for (line, said) in lines.iter().zip(said) {
        assert!(line.starts_with("error: --against ") && line.contains(said), "{line}");
    }
}

#[test]
fn pictures_are_compared_by_an_encoder() {
    let sandbox = Sandbox::new();
    baked(&sandbox);
    let onnx = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/tests/golden");
    let encoder = onnx.join("clip_vision.onnx").to_string_lossy().into_owned();
    let args = ["judge", "out", "--train_data_dir=data", "--json=j.json", "--features", &encoder];
    let done = sandbox.run(&args);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report: serde_json::Value = serde_json::from_str(&read(&sandbox, "j.json")).unwrap();
    assert_eq!(report["features"], "clip_vision.onnx");
    assert!(report["pictures"][0][1]["diversity"].is_number(), "{}", report["pictures"]);
    assert!(read(&sandbox, "out/x.judge.html").contains("compared by clip_vision.onnx"));
    sandbox.write("page.onnx", "<!doctype html>");
    for (file, said) in [
        ("page.onnx", "error: --features: page.onnx: it is no ONNX file"),
        ("missing.onnx", "error: --features: missing.onnx: "),
        (&*onnx.join("unknown.onnx").to_string_lossy(), "Frobnicate"),
    ] {
        let done = judge(&sandbox, &["--features", file]);
        assert!(done.code != 0 && done.stderr.contains(said), "{}", done.stderr);
        assert_eq!(done.stderr.lines().filter(|line| line.starts_with("error:")).count(), 1, "{}", done.stderr);
    }
}

#[test]
fn errors_of_large_images_are_measured_at_half_their_size() {
    let sandbox = Sandbox::new();
    let tiny = models().join("tiny/sd15_tiny.safetensors").to_string_lossy().into_owned();
    let model = ["--pretrained_model_name_or_path", &tiny];
    bake(&sandbox, &[&model[..], &["--resolution=512", "--max_train_epochs=1"]].concat());
    let done = judge(&sandbox, &[&model[..], &["--json=j.json", "--no_html"]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report: serde_json::Value = serde_json::from_str(&read(&sandbox, "j.json")).unwrap();
    assert_eq!(report["measures"]["timesteps"], serde_json::json!([200, 600, 900]));
    let first = &report["measures"]["snapshots"][0]["whole"]["points"][0];
    assert!(first["scores"].as_array().unwrap().iter().all(|score| score.as_f64() == Some(0.0)), "{first}");
    let drift = report["measures"]["snapshots"][0]["drift"]["plain"].as_f64().unwrap();
    assert!(drift > 0.0 && drift.is_finite(), "{drift}");
}
