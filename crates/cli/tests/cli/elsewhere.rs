//! What users of other trainers bring along: their files, their words, and how they write paths.

use crate::sandbox::{Sandbox, lora_tensors};

const RECIPE: &str = "train_data_dir = 'set'\noutput_dir = 'out'\nresolution = 64\nmax_train_steps = 1\nseed = 1\n\
                      network_dim = 2\nlearning_rate = 1e-2\n";

#[test]
fn a_recipe_alone_may_follow_train() {
    let sandbox = Sandbox::new();
    sandbox.images("set/1_penny", 1);
    sandbox.write("penny.toml", RECIPE);
    let done = sandbox.run(&["train", "penny.toml", "--output_name=a"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(sandbox.path("out/a.safetensors").is_file());
    let two = sandbox.run(&["train", "penny.toml", "--config_file=b.toml"]);
    two.refused(2, &["--config_file: two recipe files are given; give one"]);
    sandbox
        .run(&["train", "set"])
        .refused(2, &["--config_file: set is no recipe file; give a folder of images with --train_data_dir"]);
    sandbox.run(&["plan", "out/a.safetensors"]).refused(2, &["is no recipe file", "--like"]);
}

#[test]
fn a_command_that_was_forgotten_is_named() {
    let sandbox = Sandbox::new();
    for (word, said) in [
        ("--train_data_dir", "--train_data_dir: it belongs to a command; begin with `lorabake train`"),
        ("--train-data-dir=images", "begin with `lorabake train`"),
        ("--prompt=fox", "begin with `lorabake generate`"),
        ("penny.toml", "penny.toml: it is no command; begin with `lorabake train penny.toml`"),
    ] {
        sandbox.run(&[word]).refused(2, &[said]);
    }
}

#[test]
fn a_seed_of_web_uis_is_told_from_a_number() {
    let sandbox = Sandbox::new();
    for words in [["--seed", "-1"], ["--seed=-1", "--steps=2"]] {
        let told = ["-1", "--seed", "leave it out for a random one"];
        sandbox.run(&[&["generate", "--prompt=fox"], &words[..]].concat()).refused(2, &told);
        let train = sandbox.run(&["train", words[0], words[1]]);
        assert!(train.code == 2 && train.stderr.contains("leave --seed out for a random one"), "{}", train.stderr);
    }
    sandbox.run(&["generate", "--prompt=fox", "--cfg_scale", "-1"]).refused(2, &["'-1'", "--cfg_scale"]);
}

#[test]
fn a_tilde_is_the_home_folder() {
    let sandbox = Sandbox::new();
    let home = sandbox.path("home");
    sandbox.images("home/set/1_penny", 1);
    sandbox.write("penny.toml", RECIPE.replace("'set'", "'~/set'").replace("'out'", "'~/loras'"));
    let done = sandbox.run_at_home(&home, &["train", "--config_file=penny.toml"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let saved = home.join("loras").join("last.safetensors");
    assert!(saved.is_file() && !sandbox.path("~").exists());
    assert!(done.stdout.contains(&saved.display().to_string()), "{}", done.stdout);
    let generate =
        ["generate", "--prompt=a <lora:last:1>", "--steps=2", "--width=64", "--lora_dir=~/loras", "--out=~/a.png"];
    let done = sandbox.run_at_home(&home, &generate);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(home.join("a.png").is_file());
    // A folder of that name is meant if there is one.
    sandbox.images("~/set/1_penny", 1);
    let done = sandbox.run_at_home(&home, &["train", "--config_file=penny.toml"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(sandbox.path("~/loras/last.safetensors").is_file());
    sandbox
        .run_at_home(&home, &["train", "penny.toml", "--logging_dir=~bob/logs"])
        .refused(2, &["--logging_dir: `~bob/logs`"]);
}

/// The file that the kohya GUI writes for Stable Diffusion 1.x has the rate twice.
#[test]
fn two_equal_rates_of_one_text_encoder_train_as_one() {
    let sandbox = Sandbox::new();
    sandbox.images("set/1_penny", 2);
    sandbox.write("one.toml", format!("{RECIPE}text_encoder_lr = 5e-5\n"));
    sandbox.write("two.toml", format!("{RECIPE}text_encoder_lr = [ 5e-5, 5e-5,]\n"));
    for name in ["one", "two"] {
        let done = sandbox.run(&["train", name, "--output_name", name]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(!done.stderr.contains("text_encoder_lr"), "{}", done.stderr);
    }
    let [one, two] = ["out/one.safetensors", "out/two.safetensors"].map(|name| lora_tensors(&sandbox.path(name)));
    assert_eq!(one, two);
}

#[test]
fn a_plan_tells_when_memory_will_not_do() {
    let sandbox = Sandbox::new();
    sandbox.images("set/1_penny", 1);
    let warned = |option: &str| {
        let mut words = Sandbox::training(&[option]);
        words[0] = "plan";
        let plan = sandbox.run(&words);
        assert_eq!(plan.code, 0, "{}", plan.stderr);
        plan.stderr.lines().any(|line| line.starts_with("note: this run needs about ") && line.contains(" are free"))
    };
    assert!(!warned("--network_dim=2"));
    // Some terabytes.
    assert!(warned("--train_batch_size=1000000"));
}
