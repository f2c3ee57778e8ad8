//! `lorabake judge`: what is measured and written, and what is refused.

use crate::sandbox::{Done, Sandbox, png};

fn images(sandbox: &Sandbox) {
    for index in 0..6 {
        sandbox.write(&format!("data/2_dot/{index}.png"), png(40 * index));
        sandbox.write(&format!("data/2_dot/{index}.txt"), format!("zork, thing {index}, white background"));
    }
}

/// A bake of the embedded model that is judged in seconds.
fn baked(sandbox: &Sandbox) {
    images(sandbox);
    let done = sandbox.run(&[
        "train",
        "--train_data_dir=data",
        "--output_dir=out",
        "--output_name=x",
        "--resolution=64",
        "--network_dim=2",
        "--max_train_epochs=2",
        "--save_every_n_epochs=1",
        "--validation_split=0.34",
        "--unet_lr=1e-3",
    ]);
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
    let again = judge(&sandbox, &["--json=again.json", "--no_html"]);
    assert_eq!(again.code, 0);
    assert_eq!(read(&sandbox, "again.json"), read(&sandbox, "j.json"));
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
