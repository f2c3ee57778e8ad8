//! Recipes from elsewhere, advice, and what `plan` foretells, as the program shows them.

use crate::sandbox::Sandbox;

const GUI: &str = r#"{"LoRA_type": "Standard", "network_dim": 3, "network_alpha": 1, "max_resolution": "64,64",
    "learning_rate": 0.01, "optimizer": "AdamW", "lr_scheduler": "constant", "epoch": 1, "seed": "7",
    "model_list": "custom"}"#;

/// The number before `word` in a line that begins with `start`.
fn number(text: &str, start: &str, word: &str) -> u64 {
    let line = text.lines().find(|line| line.trim_start().starts_with(start)).unwrap_or_else(|| panic!("{text}"));
    let before = line.split(word).next().unwrap().trim_end();
    before.rsplit([' ', '(']).next().unwrap().parse().unwrap_or_else(|_| panic!("{line}"))
}

#[test]
fn a_plan_foretells_the_run_and_trains_nothing() {
    let sandbox = Sandbox::new();
    sandbox.images("set/3_penny", 2);
    let options = ["--lr_scheduler=cosine", "--save_precision=fp16", "--save_every_n_steps=1"];
    let mut words = Sandbox::training(&options);
    words[0] = "plan";
    let plan = sandbox.run(&words);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    for told in [
        "2 images × 3 repeats",
        "learning rate: cosine; 6 steps per epoch, 1 epoch, 2 steps",
        "×1 ┤",
        "effective learning rate = rate × alpha ÷ rank",
        "UNet          0.01 × 1 ÷ 2 = 5.000e-3",
        "network_alpha 1",
        "memory: about ",
        "3 files with the snapshots",
        "264 modules",
    ] {
        assert!(plan.stdout.contains(told), "{told}: {}", plan.stdout);
    }
    assert_eq!(sandbox.files("out"), Vec::<String>::new());

    let done = sandbox.train(&options);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let written = std::fs::metadata(sandbox.path("out/last.safetensors")).unwrap().len();
    let foretold = number(&plan.stdout, "file: last.safetensors", "bytes");
    // Times in the metadata have a few digits more or less.
    assert!(written.abs_diff(foretold) <= 24, "{written} bytes, {foretold} foretold");
    assert_eq!(sandbox.files("out").len(), 3, "{:?}", sandbox.files("out"));
}

#[test]
fn a_plan_foretells_the_file_of_every_kind_of_adapter() {
    let sandbox = Sandbox::new();
    sandbox.images("set/1_penny", 1);
    let kinds: [&[&str]; 5] = [
        &["--network_module=networks.dylora", "--network_args", "unit=1"],
        &["--network_module=lycoris.kohya", "--network_args", "algo=lokr", "factor=4", "dora_wd=True"],
        &["--network_module=lycoris.kohya", "--network_args", "algo=loha", "preset=attn-mlp"],
        &["--network_module=lycoris.kohya", "--network_args", "algo=ia3"],
        &[
            "--network_module=networks.lora",
            "--network_args",
            "block_dims=2,2,2,2,2,2,2,2,2,2,2,2,4,1,1,1,1,1,1,1,1,1,1,1,1",
        ],
    ];
    for (index, kind) in kinds.into_iter().enumerate() {
        let name = format!("--output_name=kind{index}");
        let options = [&["--max_train_steps=1", "--save_precision=fp16", &name], kind].concat();
        let mut words = Sandbox::training(&options);
        words[0] = "plan";
        let plan = sandbox.run(&words);
        assert_eq!(plan.code, 0, "{kind:?}: {}", plan.stderr);
        let done = sandbox.train(&options);
        assert_eq!(done.code, 0, "{kind:?}: {}", done.stderr);
        let written = std::fs::metadata(sandbox.path(&format!("out/kind{index}.safetensors"))).unwrap().len();
        let foretold = number(&plan.stdout, &format!("file: kind{index}.safetensors"), "bytes");
        assert!(written.abs_diff(foretold) <= 24, "{kind:?}: {written} bytes, {foretold} foretold");
    }
}

/// The guide's own script, with its author's folder moved and, of what it does, only the launch line replaced.
#[cfg(unix)]
#[test]
fn the_guides_script_bakes() {
    let sandbox = Sandbox::new();
    let tiny = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny/sd15_tiny.safetensors");
    let model = std::fs::read(tiny).unwrap();
    sandbox.write("AI/stable-diffusion-models/Stable-diffusion/animefinal-full-pruned.ckpt", model);
    sandbox.write("AI/sd-scripts/venv/bin/activate", "");
    sandbox.images("AI/sd-scripts/SETS/penny/1_penny", 1);
    sandbox.images("AI/sd-scripts/SETS/penny/reg/1_girl", 1);
    let script = include_str!("../../../recipe/tests/recipe/guide_script.sh");
    let launcher = "accelerate launch --num_cpu_threads_per_process 8 train_network.py";
    let ours = format!("\"{}\" train", env!("CARGO_BIN_EXE_lorabake"));
    let script = script.replace(launcher, &ours).replace("/mnt/DATA", sandbox.path("").to_str().unwrap());
    let done = sandbox.bash(&format!("{script}\n}}\ntraining_Kohya_lora"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    for told in ["1_penny", "1_girl", "6 epochs"] {
        assert!(done.stderr.contains(told), "{told}: {}", done.stderr);
    }
    let files = sandbox.files("AI/stable-diffusion-models/LORA");
    let expected = ["-000002", "-000004", ""]
        .map(|epoch| format!("AI/stable-diffusion-models/LORA/penny_last_e6_n160{epoch}.safetensors"));
    assert_eq!(files, expected);
}

#[test]
fn a_plan_takes_a_recipe_file_and_refuses_what_training_refuses() {
    let sandbox = Sandbox::new();
    sandbox.images("set/1_penny", 1);
    sandbox.write("penny.toml", "train_data_dir = 'set'\noutput_dir = 'out'\nresolution = 64\nnetwork_dim = 2\n");
    let plan = sandbox.run(&["plan", "penny.toml", "--max_train_epochs=3"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert!(plan.stdout.contains("1 step per epoch, 3 epochs, 3 steps"), "{}", plan.stdout);
    sandbox.run(&["plan", "penny.toml", "--clip_skip=99"]).refused(2, &["--clip_skip: 99 is not a layer"]);
    sandbox.run(&["plan", "penny.toml", "--train_data_dir=nowhere"]).refused(1, &["nowhere"]);
}

#[test]
fn a_preset_of_the_gui_is_imported_and_trained() {
    let sandbox = Sandbox::new();
    sandbox.images("set/2_penny", 1);
    sandbox.write("gui.json", GUI);
    let told = "model_list = custom: it concerns the GUI itself";
    let imported = sandbox.run(&["import", "gui.json"]);
    assert_eq!(imported.code, 0, "{}", imported.stderr);
    assert!(imported.stderr.contains(&format!("left out: {told}")), "{}", imported.stderr);
    assert!(imported.stderr.contains("to be added: --train_data_dir: "), "{}", imported.stderr);
    assert!(imported.stdout.contains("\nnetwork_dim = 3\n"), "{}", imported.stdout);
    let places = "train_data_dir = 'set'\noutput_dir = 'a'\n";
    sandbox.write("gui.toml", format!("{}{places}", imported.stdout));
    assert_eq!(sandbox.run(&["train", "--config_file=gui.toml"]).code, 0);
    let direct = sandbox.run(&["train", "--config_file=gui.json", "--train_data_dir=set", "--output_dir=b"]);
    assert_eq!(direct.code, 0, "{}", direct.stderr);
    assert!(direct.stderr.contains(&format!("note: --config_file: {told}")), "{}", direct.stderr);
    let [a, b] =
        ["a/last.safetensors", "b/last.safetensors"].map(|name| crate::sandbox::lora_tensors(&sandbox.path(name)));
    assert_eq!(a, b);
    // A LoRA made like that one is that one.
    let like = ["train", "--like=a/last.safetensors", "--train_data_dir=set", "--output_dir=c", "--output_name=last"];
    let done = sandbox.run(&like);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(crate::sandbox::lora_tensors(&sandbox.path("c/last.safetensors")), a);
    sandbox.run(&["import", "gui.toml"]).refused(2, &["gui.toml: it is not JSON"]);
}

#[test]
fn advice_is_a_recipe() {
    let sandbox = Sandbox::new();
    let advice = sandbox.run(&["advise", "--category", "c", "--images", "60"]);
    assert_eq!(advice.code, 0, "{}", advice.stderr);
    assert!(advice.stdout.starts_with("# for a character of category C"), "{}", advice.stdout);
    sandbox.write("advice.toml", &advice.stdout);
    sandbox.images("my_images/1_penny", 1);
    let plan = sandbox.run(&["plan", "advice", "--max_train_epochs=2"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert!(plan.stdout.contains("× d, which is found while training"), "{}", plan.stdout);
    sandbox.run(&["advise", "--category", "J", "--images", "60"]).refused(2, &["use style, concept, vehicle"]);
}
