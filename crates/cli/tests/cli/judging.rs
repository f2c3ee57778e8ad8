//! `lorabake judge`: what is measured and written, and what is refused.

use crate::sandbox::{Done, Sandbox, png};

/// A bake of the embedded model that is judged in seconds.
fn baked(sandbox: &Sandbox) {
    for index in 0..6 {
        sandbox.write(&format!("data/2_dot/{index}.png"), png(40 * index));
        sandbox.write(&format!("data/2_dot/{index}.txt"), format!("zork, thing {index}, white background"));
    }
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
