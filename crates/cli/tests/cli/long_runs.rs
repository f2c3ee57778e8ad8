//! A long run as its owner meets it: it is killed and goes on, it keeps few snapshots, paints while it trains, and
//! ends with what it had when numbers break.

use crate::sandbox::{Sandbox, lora_tensors, png_text};

#[test]
fn a_killed_run_goes_on_to_the_same_tensors() {
    let sandbox = Sandbox::new();
    sandbox.images("set/4_penny", 3);
    let runs = [
        ("adamw8bit", "--optimizer_type=AdamW8bit"),
        ("prodigy", "--optimizer_type=Prodigy"),
        ("dylora", "--network_module=networks.dylora"),
        ("average", "--ema_decay=0.9"),
    ];
    for (name, option) in runs {
        // 12 uses in batches of 2: 6 steps an epoch. Step 8 is in the middle of the second.
        let usual = [option, "--max_train_steps=14", "--train_batch_size=2", "--shuffle_caption", "--flip_aug"];
        let out = |folder: &str| format!("--output_dir={name}-{folder}");
        let whole = sandbox.train(&[&usual[..], &[&out("whole")]].concat());
        assert_eq!(whole.code, 0, "{}", whole.stderr);
        let killed = out("killed");
        let saving = [&usual[..], &[&killed, "--save_state", "--save_every_n_steps=8"]].concat();
        let mut child = sandbox.start(&Sandbox::training(&saving));
        sandbox.wait_for(&mut child, "last-step00000008-state\n");
        child.kill().unwrap();
        assert_eq!(sandbox.finish(child).code, -1);
        assert!(!sandbox.path(&format!("{name}-killed/last.safetensors")).exists(), "it was killed too late");
        let state = format!("--resume={name}-killed/last-step00000008-state");
        let rest = sandbox.train(&[&usual[..], &[&out("rest"), &state]].concat());
        assert_eq!(rest.code, 0, "{}", rest.stderr);
        let tensors = |folder: &str| lora_tensors(&sandbox.path(&format!("{name}-{folder}/last.safetensors")));
        assert!(tensors("whole") == tensors("rest"), "{name}: other numbers");
    }
}

#[test]
fn only_the_last_snapshots_and_states_stay() {
    let sandbox = Sandbox::new();
    sandbox.images("set/1_penny", 2);
    let by_epochs = ["--max_train_epochs=5", "--save_every_n_epochs=1", "--save_state", "--save_last_n_epochs=2"];
    let line = ["train", "--train_data_dir=set", "--resolution=64", "--network_dim=1", "--output_name=a", "--seed=1"];
    let run = |more: &[&str]| {
        let done = sandbox.run(&[&line[..], more].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
    };
    run(&[&by_epochs[..], &["--output_dir=epochs", "--save_last_n_epochs_state=1"]].concat());
    let state = |folder: &str, name: &str| format!("{folder}/{name}/lorabake_state.safetensors");
    let mut expected = vec![state("epochs", "a-000004-state"), state("epochs", "a-state")];
    expected.extend(["a-000003", "a-000004", "a"].map(|name| format!("epochs/{name}.safetensors")));
    expected.sort();
    assert_eq!(sandbox.files("epochs"), expected);
    run(&["--max_train_steps=9", "--save_every_n_steps=2", "--save_last_n_steps=3", "--output_dir=steps"]);
    assert_eq!(
        sandbox.files("steps"),
        ["a-step00000006", "a-step00000008", "a"].map(|n| format!("steps/{n}.safetensors"))
    );
    run(&["--max_train_epochs=6", "--save_n_epoch_ratio=3", "--output_dir=share"]);
    assert_eq!(sandbox.files("share"), ["a-000002", "a-000004", "a"].map(|n| format!("share/{n}.safetensors")));
}

#[test]
fn it_paints_while_it_trains() {
    let sandbox = Sandbox::new();
    sandbox.images("set/1_penny", 2);
    sandbox
        .write("prompts.txt", "# two\na cat --n dog --w 64 --h 64 --s 2 --d 5\na hat --w 70 --h 64 --s 2 --ss k_lms\n");
    let watch = ["--sample_prompts=prompts.txt", "--sample_at_first", "--sample_every_n_epochs=1"];
    let done = sandbox.train(&[&watch[..], &["--max_train_steps=4", "--network_alpha=2", "--output_name=p"]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stderr.contains("sampler k_lms is not built in; pictures during training use ddim"),
        "{}",
        done.stderr
    );
    let pictures: Vec<String> = sandbox.files("out").into_iter().filter(|file| file.ends_with(".png")).collect();
    let begins = ["000000_00", "000000_01", "e000001_00", "e000001_01", "e000002_00", "e000002_01"];
    assert_eq!(pictures.len(), begins.len(), "{pictures:?}");
    for (picture, begin) in pictures.iter().zip(begins) {
        assert!(picture.starts_with(&format!("out/sample/p_{begin}_20")), "{picture}");
    }
    assert!(pictures[0].ends_with("_5.png"), "{pictures:?}");
    assert!(png_text(&sandbox.path(&pictures[0])).starts_with("a cat\nNegative prompt: dog\nSteps: 2, Sampler: DDIM"));
    // Before training, the picture is the one that `generate` paints without a LoRA; after it, another.
    let plain = ["generate", "--prompt=a cat", "--negative_prompt=dog", "--width=64", "--steps=2", "--seed=5"];
    let like_training = ["--sampler=ddim_diffusers", "--cfg_scale=7.5", "--out=plain.png"];
    assert_eq!(sandbox.run(&[&plain[..], &like_training[..]].concat()).code, 0);
    let (width, height, painted) = sandbox.pixels(&pictures[0]);
    let (other_width, other_height, generated) = sandbox.pixels("plain.png");
    assert_eq!((width, height), (other_width, other_height));
    // The web UI cuts values down to bytes, sd-scripts rounds them.
    assert!(painted.iter().zip(&generated).all(|(one, other)| one.abs_diff(*other) <= 1));
    assert_ne!(sandbox.pixels(&pictures[4]), sandbox.pixels("plain.png"));
    // What is trained does not depend on whether somebody watches.
    let unseen = sandbox.train(&["--max_train_steps=4", "--network_alpha=2", "--output_name=p", "--output_dir=unseen"]);
    assert_eq!(unseen.code, 0, "{}", unseen.stderr);
    assert!(lora_tensors(&sandbox.path("out/p.safetensors")) == lora_tensors(&sandbox.path("unseen/p.safetensors")));
    sandbox.write("wrong.txt", "a cat --w wide\n");
    sandbox
        .train(&["--sample_prompts=wrong.txt", "--sample_at_first"])
        .refused(1, &["wrong.txt", "line 1", "--w wide"]);
}

#[test]
fn validation_is_told_and_logged() {
    let sandbox = Sandbox::new();
    sandbox.images("set/2_penny", 4);
    let line = ["--validation_split=0.5", "--max_train_epochs=2", "--validate_every_n_steps=3", "--logging_dir=logs"];
    let plan =
        sandbox.run(&[&["plan", "--train_data_dir=set", "--resolution=64", "--output_dir=x"], &line[..]].concat());
    assert!(plan.stdout.contains("× 2 = 4, 2 held out for validation"), "{}", plan.stdout);
    assert!(plan.stdout.contains("2 images × 2 repeats = 4 →"), "{}", plan.stdout);
    let done = sandbox.run(
        &[&["train", "--train_data_dir=set", "--resolution=64", "--output_dir=out", "--ema_decay=0.9"], &line[..]]
            .concat(),
    );
    assert_eq!(done.code, 0, "{}", done.stderr);
    let told: Vec<&str> = done.stderr.lines().filter(|line| line.contains("validation loss")).collect();
    let begins = ["step 3: validation loss ", "epoch 1: validation loss ", "step 6: ", "epoch 2: "];
    assert_eq!(told.len(), begins.len(), "{}", done.stderr);
    for (told, begin) in told.iter().zip(begins) {
        assert!(told.starts_with(begin), "{told}");
        assert!(told.contains(", training "), "{told}");
    }
    let loss = |told: &str| told.split("loss ").nth(1).unwrap()[..6].to_owned();
    assert!(!told[0].contains("was") && told[1].contains(&format!("(was {})", loss(told[0]))), "{told:?}");
    assert!(done.stderr.contains("have the averaged weights (ema_decay 0.9)"), "{}", done.stderr);

    let files = sandbox.files("logs");
    let lines = files.iter().find(|file| file.ends_with("steps.jsonl")).unwrap();
    let lines = std::fs::read_to_string(sandbox.path(lines)).unwrap();
    assert_eq!(lines.matches("{\"event\":\"validation\",\"step\":").count(), 4, "{lines}");
    assert!(lines.contains("{\"event\":\"validation\",\"step\":4,\"epoch\":1,\"loss\":"), "{lines}");
    let charts = files.iter().find(|file| file.contains("tfevents")).unwrap();
    let charts = std::fs::read(sandbox.path(charts)).unwrap();
    for tag in ["step_average", "step_divergence", "epoch_average", "epoch_divergence"] {
        let tag = format!("loss/validation/{tag}");
        assert_eq!(charts.windows(tag.len()).filter(|bytes| *bytes == tag.as_bytes()).count(), 2, "{tag}");
    }
    sandbox.train(&["--validation_split=1"]).refused(1, &["all images are held out", "such as 0.1"]);
}

#[test]
fn broken_numbers_end_the_run_and_keep_what_was_before() {
    let sandbox = Sandbox::new();
    sandbox.images("set/4_penny", 1);
    let done = sandbox.train(&["--max_train_steps=9", "--learning_rate=1e18", "--output_name=hot"]);
    done.refused(1, &["not finite", "0.png", "--resume", "most likely of no use", "lower the learning rates"]);
    let files = sandbox.files("out");
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(files[0].starts_with("out/hot-step0000000") && files[0].ends_with("-state/lorabake_state.safetensors"));
    assert_eq!(files[0].replace("-state/lorabake_state", ""), files[1]);
}

#[test]
fn stages_go_on_from_one_another() {
    let sandbox = Sandbox::new();
    sandbox.images("set/2_penny", 1);
    sandbox.images("finer/1_penny", 2);
    let common = "output_dir = 'out'\noutput_name = 'p'\nresolution = 64\nnetwork_dim = 2\nseed = 3\n\
                  max_train_steps = 2\nlearning_rate = 1e-3\n";
    sandbox
        .write("one.toml", format!("{common}train_data_dir = 'set'\n[[stage]]\n[[stage]]\ntrain_data_dir = 'finer'\n"));
    let done = sandbox.run(&["train", "--config_file=one.toml"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stderr.contains("stage 1 of 2: p-stage1") && done.stderr.contains("stage 2 of 2: p\n"),
        "{}",
        done.stderr
    );
    assert_eq!(sandbox.files("out"), ["out/p-stage1.safetensors", "out/p.safetensors"]);
    // The second stage is what a run by hand makes of the first one's file.
    sandbox.write("two.toml", format!("{}train_data_dir = 'finer'\n", common.replace("seed = 3", "seed = 4")));
    let by_hand =
        ["train", "--config_file=two.toml", "--network_weights=out/p-stage1.safetensors", "--output_dir=hand"];
    let done = sandbox.run(&by_hand);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(lora_tensors(&sandbox.path("out/p.safetensors")) == lora_tensors(&sandbox.path("hand/p.safetensors")));
}

#[test]
fn a_plan_looks_at_the_output_folder_as_a_training_does() {
    let sandbox = Sandbox::new();
    sandbox.images("set/2_penny", 1);
    let plan = |more: &[&str]| {
        let usual = ["plan", "--train_data_dir=set", "--output_dir=out", "--resolution=64", "--network_dim=2"];
        sandbox.run(&[&usual[..], &["--max_train_steps=2", "--learning_rate=1e-2"], more].concat())
    };
    let fresh = plan(&["--seed=1"]);
    assert_eq!(fresh.code, 0, "{}", fresh.stderr);
    assert!(!fresh.stderr.contains("kept as") && !sandbox.path("out").exists(), "{}", fresh.stderr);
    assert!(fresh.stdout.contains("2 steps per epoch, 1 epoch, 2 steps"), "{}", fresh.stdout);
    assert_eq!(sandbox.train(&["--save_state", "--save_every_n_steps=1"]).code, 0);
    let again = plan(&["--save_state", "--save_every_n_steps=1"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    for told in [
        "out/last-step00000001.safetensors: it is there already, and will be kept as last-step00000001.old-DATE",
        "and so are 2 more of this name",
        "out/last-state: the state of an earlier run",
    ] {
        assert!(again.stderr.contains(told), "{told}: {}", again.stderr);
    }
    plan(&["--no_overwrite"]).refused(1, &["--no_overwrite: out/last"]);
    plan(&["--network_weights=nowhere.safetensors"]).refused(1, &["cannot read nowhere.safetensors"]);
    plan(&["--resume=nowhere"]).refused(1, &["--resume nowhere", "there is no lorabake_state.safetensors in it"]);
    plan(&["--resume=out/last-state"]).refused(1, &["the state stands at step 2 and the run ends at 2"]);
    plan(&["--resume=out/last-state", "--max_train_steps=4", "--network_dim=4"]).refused(1, &["another rank"]);
    let resumed = plan(&["--resume=out/last-state", "--max_train_steps=4"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    assert!(
        resumed.stderr.contains("going on after step 2") && !resumed.stderr.contains("kept as"),
        "{}",
        resumed.stderr
    );
    let bytes = |text: &str| text.split('(').find_map(|part| Some(part.split_once(" bytes,")?.0.to_owned())).unwrap();
    assert_eq!(bytes(&resumed.stdout).len(), bytes(&fresh.stdout).len());
    // What the state itself is.
    let state = sandbox.run(&["inspect", "out/last-step00000001-state"]);
    for told in
        ["state of a training of lorabake", "step                    1\n", "epoch                   1\n", "seed "]
    {
        assert!(state.stdout.contains(told), "{told}: {}", state.stdout);
    }
    let windows = sandbox.run(&["plan", "--train_data_dir=C:\\images", "--output_dir=out", "--max_train_steps=2"]);
    assert_eq!(windows.stderr.contains("is a path of Windows"), cfg!(not(windows)), "{}", windows.stderr);
    sandbox.write("out2", "");
    let usual = ["plan", "--train_data_dir=set", "--output_dir=out2", "--resolution=64", "--max_train_steps=2"];
    sandbox.run(&usual).refused(1, &["--output_dir out2: cannot be written to"]);
}
