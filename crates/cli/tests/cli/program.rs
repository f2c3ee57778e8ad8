//! The program as a user meets it: its commands from end to end, on the small model inside it.

use crate::sandbox::{Sandbox, lora_tensors, png_text};

#[test]
fn without_arguments_it_shows_its_commands() {
    let sandbox = Sandbox::new();
    let done = sandbox.run(&[]);
    assert_eq!(done.code, 2);
    for command in ["train", "generate", "demo"] {
        assert!(done.stderr.contains(&format!("\n  {command} ")), "{}", done.stderr);
    }
    let help = sandbox.run(&["--help"]);
    assert_eq!(help.code, 0);
    assert!(help.stdout.contains("train"));
    assert!(sandbox.run(&["train", "--help"]).stdout.contains("--network_dim"));
    assert!(sandbox.run(&["help", "train"]).stdout.contains("--network_dim"));
}

#[test]
fn a_lora_is_baked_and_used() {
    let sandbox = Sandbox::new();
    sandbox.images("set/3_penny", 2);
    let done = sandbox.train(&["--logging_dir", "logs", "--log_prefix", "first-"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for told in ["3_penny", "2 images × 3 repeats", "training 2 steps", "saved out/last.safetensors"] {
        assert!(done.stderr.contains(told), "{told}: {}", done.stderr);
    }
    assert!(done.stdout.starts_with("out/last.safetensors  2 steps in "), "{}", done.stdout);
    assert!(done.stdout.contains("<lora:last:1>") && done.stdout.contains("lorabake generate"), "{}", done.stdout);
    let tensors = lora_tensors(&sandbox.path("out/last.safetensors"));
    assert_eq!(tensors.len(), 3 * (192 + 72));
    assert!(tensors.iter().any(|(name, values)| name.ends_with("lora_up.weight") && values.iter().any(|v| *v != 0.0)));
    let logs = sandbox.files("logs");
    assert_eq!(logs.len(), 2, "{logs:?}");
    assert!(
        logs[0].starts_with("logs/first-20") && logs[0].contains("/network_train/events.out.tfevents."),
        "{logs:?}"
    );
    let lines = std::fs::read_to_string(sandbox.path(&logs[1])).unwrap();
    let steps: Vec<&str> = lines.lines().filter(|line| line.starts_with("{\"event\":\"step\"")).collect();
    assert_eq!(steps.len(), 2, "{lines}");
    assert!(steps[1].starts_with("{\"event\":\"step\",\"step\":2,") && steps[1].contains("\"unet\":"), "{lines}");

    let prompt = "a penny <lora:last:4>";
    let generate = ["generate", "--steps", "2", "--width", "64", "--seed", "7", "--prompt"];
    let with = sandbox.run(&[&generate[..], &[prompt, "--out", "with.png", "--lora_dir", "out"]].concat());
    assert_eq!((with.code, with.stdout.as_str()), (0, "with.png\n"), "{}", with.stderr);
    let without = sandbox.run(&[&generate[..], &["a penny", "--out=without.png"]].concat());
    assert_eq!(without.code, 0, "{}", without.stderr);
    assert_ne!(sandbox.pixels("with.png"), sandbox.pixels("without.png"));
    let text = png_text(&sandbox.path("with.png"));
    let begin = "a penny <lora:last:4>\nSteps: 2, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 7, \
                 Size: 64x64, Model hash: e1db9478b5, Model: pocket, RNG: NV, Lora hashes: \"last: ";
    assert!(text.starts_with(begin), "{text}");
    assert!(text.ends_with(concat!("\", Version: lorabake-", env!("CARGO_PKG_VERSION"))), "{text}");
    let again = sandbox.run(&[&generate[..], &[prompt, "--out", "again.png", "--lora-dir=out"]].concat());
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(sandbox.pixels("with.png"), sandbox.pixels("again.png"));
}

#[test]
fn pictures_are_numbered_and_compared() {
    let sandbox = Sandbox::new();
    sandbox.images("set/3_penny", 1);
    assert_eq!(sandbox.train(&[]).code, 0);
    let generate = ["generate", "--steps", "2", "--width", "64", "--seed", "7", "--sampler", "euler_a"];
    let run = |more: &[&str]| sandbox.run(&[&generate[..], more].concat());
    let folder = run(&["--prompt", "a", "--prompt", "b", "--count", "2", "--out", "many"]);
    assert_eq!(folder.stdout, "many/00001-7.png\nmany/00002-8.png\nmany/00003-7.png\nmany/00004-8.png\n");
    assert_eq!(run(&["--prompt", "a", "--out", "many"]).stdout, "many/00005-7.png\n");
    assert_eq!(run(&["--prompt", "a", "--count", "2", "--out", "a.png"]).stdout, "a-1.png\na-2.png\n");
    let grid = run(&["--prompt", "a <lora:last>", "--count", "2", "--out", "out/grid.png", "--compare"]);
    assert_eq!(grid.stdout, "out/grid.png\n", "{}", grid.stderr);
    let (width, height, _) = sandbox.pixels("out/grid.png");
    assert!(width > 2 * 64 && height > 2 * 64, "{width} by {height}");
}

#[test]
fn prompts_come_from_a_file() {
    let sandbox = Sandbox::new();
    sandbox.write("prompts.txt", "# two\na cat --n dog --d 5 --w 70\na hat\n");
    let generate = ["generate", "--steps=2", "--width=64", "--height=64", "--seed=7", "--from_file=prompts.txt"];
    let done = sandbox.run(&[&generate[..], &["--prompt=a cat", "--negative_prompt=none", "--out=many"]].concat());
    assert_eq!(done.stdout, "many/00001-7.png\nmany/00002-5.png\nmany/00003-7.png\n", "{}", done.stderr);
    let said = png_text(&sandbox.path("many/00002-5.png"));
    assert!(said.starts_with("a cat\nNegative prompt: dog\n") && said.contains("Size: 64x64"), "{said}");
    assert!(png_text(&sandbox.path("many/00003-7.png")).starts_with("a hat\nNegative prompt: none\n"));
    sandbox.write("wrong.txt", "a cat --w wide\n");
    sandbox.run(&["generate", "--from_file=wrong.txt"]).refused(1, &["--from_file wrong.txt", "line 1", "--w wide"]);
    sandbox.run(&["generate", "--from_file=none.txt"]).refused(1, &["--from_file none.txt", "cannot be read"]);
}

#[test]
fn a_recipe_is_written_and_read_back() {
    let sandbox = Sandbox::new();
    sandbox.images("set/3_penny", 1);
    let written = sandbox.train(&["--config_file", "r.toml", "--output_config"]);
    assert_eq!((written.code, written.stdout.as_str()), (0, "r.toml\n"), "{}", written.stderr);
    assert!(!sandbox.path("out").exists());
    assert_eq!(sandbox.run(&["train", "--config_file", "r.toml"]).code, 0);
    assert!(sandbox.path("out/last.safetensors").exists());
    let twice = sandbox.train(&["--config_file", "r.toml", "--output_config"]);
    assert_eq!(twice.code, 2);
    assert!(twice.stderr.contains("r.toml exists already"), "{}", twice.stderr);
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_what_is_there() {
    let sandbox = Sandbox::new();
    sandbox.images("set/9_penny", 2);
    let mut child = sandbox.start(&Sandbox::training(&["--max_train_steps", "100000"]));
    sandbox.wait_for(&mut child, "training 100000 steps");
    sandbox.interrupt(&child);
    let done = sandbox.finish(child);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("of 100000, stopped early"), "{}", done.stdout);
    assert_eq!(lora_tensors(&sandbox.path("out/last.safetensors")).len(), 3 * (192 + 72));
}

#[test]
fn the_demo_brings_its_example_along() {
    let sandbox = Sandbox::new();
    sandbox.images("set/1_sticker", 1);
    sandbox.write("examples/sticker.prompts.txt", "sticker border, fox --s 2");
    sandbox.write("examples/sticker.plain.prompts.txt", "fox --s 2");
    let short = ["--train_data_dir=set", "--trigger_dropout_rate=0", "--max_train_epochs=1", "--resolution=64"];
    let done = sandbox.run(&[&["demo", "sticker"], &short[..]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("training 1 step"), "{}", done.stderr);
    assert!(sandbox.path("examples/sticker.toml").is_file() && !sandbox.path("examples/penny.toml").exists());
    assert!(done.stdout.contains("out/sticker_before_after.png"), "{}", done.stdout);
    let (width, height, _) = sandbox.pixels("out/sticker_before_after.png");
    assert!(width > 2 * 64 && height > 2 * 64, "{width} by {height}");
}
