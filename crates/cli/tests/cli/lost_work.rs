//! Nothing that was trained is lost: names are tried before training, two runs of one name notice each other, and a
//! result whose folder is gone goes elsewhere.

use crate::sandbox::Sandbox;

#[test]
fn names_that_cannot_be_written_are_found_before_training() {
    let sandbox = Sandbox::new();
    sandbox.images("set/1_penny", 1);
    let longest = "n".repeat(243);
    let refused = |more: &[&str], said: &[&str]| {
        let before = sandbox.files("");
        sandbox.train(more).refused(1, said);
        assert_eq!(sandbox.files(""), before);
    };
    let too_long = format!("--output_name={longest}n");
    refused(&[&too_long], &["--output_name: ", "a shorter one"]);
    assert!(!sandbox.path("out").exists());
    let named = format!("--output_name={longest}");
    refused(&[&named, "--save_every_n_steps=1"], &["--output_name: ", "a shorter one"]);
    refused(&[&format!("--output_dir={longest}/{longest}nnnnnnnnnnnnn")], &["output_dir ", "cannot be written to"]);
    let done = sandbox.train(&[&named]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    // Its earlier file is kept under a shorter name.
    let done = sandbox.train(&[&named]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(sandbox.files("out").len(), 2);

    let in_the_way = [
        ("out/a.safetensors/", "--output_name=a", "is a folder"),
        ("out/b-step00000002.safetensors/", "--output_name=b", "is a folder"),
        ("out/c-state", "--output_name=c", "is a file"),
        ("out/d-state/lorabake_state.safetensors/", "--output_name=d", "is a folder"),
    ];
    for (place, option, said) in in_the_way {
        if place.ends_with('/') {
            std::fs::create_dir_all(sandbox.path(place)).unwrap();
        } else {
            sandbox.write(place, "in the way");
        }
        refused(&[option, "--save_every_n_steps=1", "--save_state"], &["--output_name: ", said]);
    }
    sandbox.write("recipe.toml", "output_name = \"a\\u0000b\"\n");
    sandbox.train(&["--config_file=recipe.toml"]).refused(2, &["output_name", "control character"]);
    sandbox.write("recipe.toml", "output_dir = \"a\\u0000b\"\n");
    let without_dir = ["train", "--train_data_dir=set", "--resolution=64", "--config_file=recipe.toml"];
    sandbox.run(&without_dir).refused(2, &["output_dir", "control character"]);
}

#[test]
fn the_base_model_is_not_replaced() {
    let sandbox = Sandbox::new();
    sandbox.images("set/1_penny", 1);
    let tiny = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny/sd15_tiny.safetensors");
    sandbox.write("out/base.safetensors", std::fs::read(tiny).unwrap());
    let options = ["--pretrained_model_name_or_path=out/base.safetensors", "--output_name=base"];
    sandbox.train(&options).refused(1, &["--output_name: ", "--pretrained_model_name_or_path"]);
}

#[cfg(unix)]
#[test]
fn two_runs_of_one_name_notice_each_other() {
    let sandbox = Sandbox::new();
    sandbox.images("set/1_penny", 1);
    let mut first = sandbox.start(&Sandbox::training(&["--max_train_steps=100000"]));
    sandbox.wait_for(&mut first, "Ctrl-C saves");
    sandbox.train(&[]).refused(1, &["--output_name: ", "another run"]);
    let other = sandbox.train(&["--output_name=other"]);
    assert_eq!(other.code, 0, "{}", other.stderr);
    sandbox.interrupt(&first);
    assert_eq!(sandbox.finish(first).code, 0);
    assert_eq!(sandbox.files("out"), ["out/last.safetensors", "out/other.safetensors"]);
    // A lock that a killed run left is nobody's.
    sandbox.write("out/.lorabake-last.lock", "");
    let done = sandbox.train(&[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(sandbox.files("out").len(), 3);
}

#[cfg(unix)]
#[test]
fn a_result_whose_folder_is_gone_goes_elsewhere() {
    let sandbox = Sandbox::new();
    sandbox.images("set/1_penny", 1);
    let mut child = sandbox.start(&Sandbox::training(&["--max_train_steps=100000"]));
    sandbox.wait_for(&mut child, "Ctrl-C saves");
    std::fs::remove_dir_all(sandbox.path("out")).unwrap();
    sandbox.write("out", "in the way");
    sandbox.interrupt(&child);
    sandbox.finish(child).refused(1, &["cannot save out/last.safetensors", "./last.safetensors instead"]);
    assert!(sandbox.path("last.safetensors").is_file());
}

/// A state is larger than a LoRA: the limit lies between the two.
#[cfg(unix)]
#[test]
fn what_cannot_be_saved_on_the_way_does_not_end_the_run() {
    let sandbox = Sandbox::new();
    sandbox.images("set/1_penny", 1);
    let lorabake = env!("CARGO_BIN_EXE_lorabake");
    let words = Sandbox::training(&["--save_every_n_steps=1", "--save_state"]).join(" ");
    let done = sandbox.bash(&format!("ulimit -f 700; exec {lorabake} {words}"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.stderr.matches("training goes on without it").count(), 2, "{}", done.stderr);
    assert!(done.stderr.contains("cannot be gone on with"), "{}", done.stderr);
    assert_eq!(
        sandbox.files("out"),
        ["last-step00000001", "last-step00000002", "last"].map(|n| format!("out/{n}.safetensors"))
    );
}
