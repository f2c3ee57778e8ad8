//! Folders and captions that would train nothing, or not what is meant: found before anything is written.

use crate::sandbox::Sandbox;

#[test]
fn an_earlier_lora_outlives_a_data_set_that_trains_nothing() {
    let sandbox = Sandbox::new();
    sandbox.images("reg", 2);
    sandbox.write(
        "dataset.toml",
        "[[datasets]]\nresolution = 64\n[[datasets.subsets]]\nimage_dir = 'reg'\nis_reg = true\n",
    );
    sandbox.write("out/last.safetensors", "an earlier LoRA");
    let options = ["--dataset_config=dataset.toml", "--output_dir=out", "--max_train_steps=2", "--seed=1"];
    let before = sandbox.files("");
    for command in ["train", "plan"] {
        let done = sandbox.run(&[&[command], &options[..]].concat());
        done.refused(1, &["dataset.toml: all its folders hold regularization images", "leave out is_reg"]);
    }
    assert_eq!(sandbox.files(""), before);
    assert_eq!(std::fs::read(sandbox.path("out/last.safetensors")).unwrap(), b"an earlier LoRA");
}

#[test]
fn what_is_odd_about_images_and_captions_is_told_by_plan() {
    let sandbox = Sandbox::new();
    sandbox.images("set/2_penny", 2);
    sandbox.images("set/.ipynb_checkpoints", 1);
    sandbox.images("set/2_penny/.ipynb_checkpoints", 1);
    sandbox.write("set/__MACOSX/2_penny/._0.png", "a fork");
    sandbox.write("set/2_penny/0.txt", "penny\nhat");
    sandbox.write("set/2_penny/0.PNG", crate::sandbox::png(3));
    let done = sandbox.run(&["plan", "--train_data_dir=set", "--output_dir=out", "--max_train_steps=1"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let told = [
        "left out (2)\n└─ hidden folder\n     set/2_penny/.ipynb_checkpoints\n     set/.ipynb_checkpoints\n",
        "warning: 2 captions have more than one line, of which only the first is read (0.txt, 0.txt); put tags on one",
        "warning: 2_penny: 0.PNG and 0.png have one name, so that they have one caption and one file of latents",
    ];
    for told in told {
        assert!(done.stdout.contains(told), "{told} is missing in: {}", done.stdout);
    }
}

#[test]
fn small_files_that_ask_for_much_end_before_the_run() {
    let sandbox = Sandbox::new();
    sandbox.images("set/2_penny", 1);
    sandbox.write("set/2_penny/0.txt", format!("&{}", "amp;".repeat(22_000)));
    sandbox.train(&[]).refused(1, &["set/2_penny/0.txt: the caption is longer than 64 kB"]);
    // As much as is read, of what took longest.
    sandbox.write("set/2_penny/0.txt", format!("&{}", "amp;".repeat(16_000)));
    assert_eq!(sandbox.train(&["--weighted_captions"]).code, 0);
    sandbox.write("prompts.txt", "<".repeat(1 << 20));
    let generate = sandbox.run(&["generate", "--from_file=prompts.txt", "--out=many"]);
    generate.refused(1, &["--from_file prompts.txt: line 1", "a text of 1048576 bytes", "shorten it"]);
}
