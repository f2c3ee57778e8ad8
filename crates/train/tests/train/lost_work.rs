//! What was trained is never lost: disks that fail, numbers that break, names that are taken, states that are damaged.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::SystemTime;

use lorabake_recipe::parse_train;
use lorabake_testkit::tiny::{SD15, USE_SD15};
use lorabake_train::bake;
use lorabake_train::event::{Command, Event, Outcome};
use lorabake_weights::faults;
use lorabake_weights::formats::tensor_file::TensorFile;
use lorabake_weights::lora::{LoraFile, RawTensor, save_raw};
use safetensors::Dtype;

use crate::sandbox::Sandbox;

/// How a run ended, and what it told.
struct Ended {
    outcome: anyhow::Result<Outcome>,
    notes: Vec<String>,
}

impl Ended {
    fn error(&self) -> String {
        format!("{:#}", self.outcome.as_ref().unwrap_err())
    }

    fn told(&self, words: &str) -> bool {
        self.notes.iter().any(|note| note.contains(words))
    }
}

/// Trains two steps of `cat` into `out`, of `stops` orders to stop the first comes before the first step.
fn train(dir: &Path, stops: usize, more: &[&str]) -> Ended {
    let folder = |option: &str, name: &str| format!("--{option}={}", dir.join(name).display());
    let mut argv = vec![folder("train_data_dir", "train"), folder("output_dir", "out")];
    let usual = [USE_SD15, "--resolution=64", "--learning_rate=1e-3", "--seed=7", "--network_dim=1"];
    let rest = ["--network_alpha=1", "--max_train_steps=2", "--output_name=cat"];
    argv.extend(usual.iter().chain(&rest).chain(more).map(ToString::to_string));
    let argv: Vec<OsString> = argv.into_iter().map(Into::into).collect();
    let parsed = parse_train(&argv).unwrap_or_else(|error| panic!("{error}"));
    let (events, heard) = channel();
    let (orders, commands) = channel();
    for _ in 0..stops {
        orders.send(Command::Stop).unwrap();
    }
    let outcome = bake(&parsed, &events, &commands);
    drop(events);
    let mut notes = Vec::new();
    for event in heard {
        if let Event::Note(note) = event {
            notes.push(note);
        }
    }
    Ended { outcome, notes }
}

/// All names in `out`, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir.join("out")).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Every LoRA and every state in `out` is whole, and nothing else is there.
fn all_whole(dir: &Path) {
    for name in names(dir) {
        let path = dir.join("out").join(&name);
        if name.ends_with(".safetensors") {
            LoraFile::open(&path).unwrap();
        } else {
            assert!(name.ends_with("-state"), "{name}");
            let files: Vec<_> = std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().file_name()).collect();
            assert_eq!(files, ["lorabake_state.safetensors"], "{name}");
            TensorFile::open(&path.join("lorabake_state.safetensors")).unwrap();
        }
    }
}

#[test]
fn whatever_write_fails_a_whole_lora_is_where_it_is_said_to_be() {
    let dir = Sandbox::with_images("", &[[64, 64]]);
    let more = ["--save_every_n_steps=1", "--save_state"];
    let last = dir.folder().join("out/cat.safetensors");
    let operations = faults::during(0..0, || drop(train(dir.folder(), 0, &more).outcome.unwrap()));
    assert!(operations > 30, "{operations}");
    for failing in 0..operations {
        std::fs::remove_dir_all(dir.folder().join("out")).unwrap();
        let earlier = train(dir.folder(), 1, &[]);
        assert_eq!(earlier.outcome.unwrap().steps, 1);
        let mut ended = None;
        faults::during(failing..failing + 1, || ended = Some(train(dir.folder(), 0, &more)));
        let ended = ended.unwrap();
        all_whole(dir.folder());
        let lora = LoraFile::open(&last).unwrap();
        match &ended.outcome {
            Ok(outcome) => {
                assert_eq!(outcome.file, last);
                assert_eq!(lora.metadata["ss_steps"], "2", "operation {failing}");
                assert!(ended.told("kept as"), "{:?}", ended.notes);
            }
            Err(error) => {
                assert!(format!("{error:#}").contains("cannot save"), "operation {failing}: {error:#}");
                assert_eq!(lora.metadata["ss_steps"], "1", "operation {failing}");
            }
        }
    }
}

#[test]
fn a_disk_that_takes_nothing_more_is_told_and_the_earlier_file_stays() {
    let dir = Sandbox::with_images("", &[[64, 64]]);
    train(dir.folder(), 0, &[]).outcome.unwrap();
    let first = std::fs::read(dir.folder().join("out/cat.safetensors")).unwrap();
    let mut ended = None;
    // The first operation is to find room.
    faults::during(1..u64::MAX, || ended = Some(train(dir.folder(), 2, &["--save_every_n_steps=1", "--save_state"])));
    let ended = ended.unwrap();
    let error = ended.error();
    assert!(error.contains("cat.safetensors") && error.contains("has room"), "{error}");
    assert!(ended.told("make room") && ended.told("training goes on without it"), "{:?}", ended.notes);
    assert_eq!(std::fs::read(dir.folder().join("out/cat.safetensors")).unwrap(), first);
    assert_eq!(names(dir.folder()), ["cat.safetensors"]);
    // Without any room nothing is begun.
    faults::during(0..u64::MAX, || drop(train(dir.folder(), 0, &[]).outcome.unwrap_err()));
    assert_eq!(names(dir.folder()), ["cat.safetensors"]);
}

#[test]
fn weights_that_are_not_finite_replace_nothing() {
    let dir = Sandbox::with_images("", &[[64, 64]]);
    let ended = train(dir.folder(), 0, &["--learning_rate=1e38"]);
    assert!(ended.error().starts_with("step 1: the update makes weights that are not finite"), "{}", ended.error());
    assert!(!dir.folder().join("out").exists());
    // The first step's rate is 0, so that its weights are those of the beginning.
    let late = ["--learning_rate=1e38", "--lr_scheduler=constant_with_warmup", "--lr_warmup_steps=1"];
    let ended = train(dir.folder(), 0, &[&late[..], &["--max_train_steps=4"]].concat());
    let error = ended.error();
    let file = dir.folder().join("out/cat-step00000001.safetensors");
    assert!(error.contains("ended in step 2") && error.contains(&*file.to_string_lossy()), "{error}");
    assert_eq!(names(dir.folder()), ["cat-step00000001.safetensors"]);
    let lora = LoraFile::open(&file).unwrap();
    let values = lora.modules.iter().flat_map(|module| module.tensors.values().flat_map(|tensor| &tensor.values));
    assert!(values.clone().count() > 1000 && values.clone().all(|value| value.is_finite()));
    // Nor are they begun with.
    let mut tensors = tensors_of(&file);
    tensors[1].bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let broken = dir.folder().join("broken.safetensors");
    save_raw(&broken, tensors, lora.metadata.clone()).unwrap();
    let ended = train(dir.folder(), 0, &[&format!("--network_weights={}", broken.display())]);
    assert!(ended.error().contains("values that are infinite or not a number"), "{}", ended.error());
}

#[test]
fn an_earlier_file_is_kept_unless_the_run_is_its_own_sequel() {
    let dir = Sandbox::with_images("", &[[64, 64]]);
    let more = ["--save_every_n_steps=1", "--save_state"];
    train(dir.folder(), 0, &more).outcome.unwrap();
    let first = names(dir.folder());
    let state = format!("--resume={}", dir.folder().join("out/cat-step00000001-state").display());
    train(dir.folder(), 0, &[&more[..], &[&state, "--no_overwrite"]].concat()).outcome.unwrap();
    assert_eq!(names(dir.folder()), first);
    let ended = train(dir.folder(), 0, &["--no_overwrite"]);
    assert!(ended.error().starts_with("--no_overwrite: "), "{}", ended.error());
    let bytes = std::fs::read(dir.folder().join("out/cat.safetensors")).unwrap();
    let ended = train(dir.folder(), 0, &["--seed=8", "--save_every_n_steps=1"]);
    ended.outcome.unwrap();
    let kept: Vec<String> = names(dir.folder()).into_iter().filter(|name| name.contains(".old-")).collect();
    assert_eq!(kept.len(), 3, "{kept:?}");
    let old = kept.iter().find(|name| name.starts_with("cat.old-")).unwrap();
    assert_eq!(old.len(), "cat.old-20261130-073500.safetensors".len());
    assert_eq!(std::fs::read(dir.folder().join("out").join(old)).unwrap(), bytes);
}

#[test]
fn what_killed_runs_left_is_removed_and_what_others_left_is_not() {
    let dir = Sandbox::with_images("", &[[64, 64]]);
    let out = dir.folder().join("out");
    std::fs::create_dir_all(out.join("cat-step00000001-state")).unwrap();
    std::fs::create_dir_all(out.join("cat-step00000002-state")).unwrap();
    std::fs::create_dir_all(out.join("dog-state")).unwrap();
    let half = [
        ".lorabake-cat.safetensors-Ab12Xy.part",
        "cat-step00000002-state/.lorabake-lorabake_state.safetensors-Ab12Xy.part",
        ".lorabake-dog.safetensors-Ab12Xy.part",
    ];
    for file in half {
        std::fs::write(out.join(file), "half").unwrap();
    }
    let latents = dir.folder().join("train/2_cat/.lorabake-0_0064x0064_sd.npz-Ab12Xy.part");
    std::fs::write(&latents, "half").unwrap();
    let ended = train(dir.folder(), 0, &["--cache_latents_to_disk"]);
    ended.outcome.as_ref().unwrap();
    assert!(ended.told("removed 2 half-written files") && !latents.exists(), "{:?}", ended.notes);
    assert_eq!(names(dir.folder()), [half[2], "cat.safetensors", "dog-state"]);
}

/// The tensors of a file as they lie in it.
fn tensors_of(path: &Path) -> Vec<RawTensor> {
    let file = TensorFile::open(path).unwrap();
    let mut tensors = Vec::new();
    for name in file.names() {
        let dtype = file.dtype(&name).unwrap();
        let shape = file.shape(&name).unwrap().to_vec();
        let bytes = file.bytes(&name).unwrap().to_vec();
        tensors.push(RawTensor { name, dtype, shape, bytes });
    }
    tensors
}

type Change<'c> = &'c dyn Fn(&mut Vec<RawTensor>);

/// The state of a run of two steps with averages, changed and without its checksums.
fn changed(dir: &Path, name: &str, change: impl Fn(&mut Vec<RawTensor>)) -> PathBuf {
    let file = dir.join("out/cat-state/lorabake_state.safetensors");
    let mut tensors = tensors_of(&file);
    change(&mut tensors);
    let mut metadata = TensorFile::open(&file).unwrap().metadata().clone();
    metadata.retain(|key, _| !key.contains("sha256") && !key.starts_with("sshs_"));
    let folder = dir.join(name);
    save_raw(&folder.join("lorabake_state.safetensors"), tensors, metadata).unwrap();
    folder
}

#[test]
fn a_state_that_cannot_be_gone_on_from_is_refused_before_the_first_step() {
    let dir = Sandbox::with_images("", &[[64, 64]]);
    let more = ["--ema_decay=0.9", "--save_state_on_train_end"];
    train(dir.folder(), 0, &more).outcome.unwrap();
    let shorten = |tensor: &mut RawTensor| {
        tensor.shape = vec![1];
        tensor.bytes.truncate(4);
    };
    let nan = f64::NAN.to_le_bytes();
    let cases: [(&str, &str, Change<'_>); 9] = [
        ("patchy", "entries are not all that it had", &|all| {
            all.retain(|tensor| !(tensor.name.starts_with("optimizer.") && tensor.name.ends_with(".3")));
        }),
        ("long", "losses are not all", &|all| {
            let losses = all.iter_mut().find(|tensor| tensor.name == "losses").unwrap();
            losses.bytes.splice(0..0, [0; 8]);
            losses.shape = vec![losses.bytes.len() / 8];
        }),
        ("short", "averages of the state", &|all| {
            all.iter_mut().filter(|tensor| tensor.name.starts_with("ema.")).for_each(shorten);
        }),
        ("fewer", "averages of the state", &|all| {
            let first = all.iter().position(|tensor| tensor.name.starts_with("ema.")).unwrap();
            all.remove(first);
        }),
        ("forgetful", "nothing of the optimizer", &|all| all.retain(|tensor| !tensor.name.starts_with("optimizer."))),
        ("lossless", "losses", &|all| {
            let losses = all.iter_mut().find(|tensor| tensor.name == "losses").unwrap();
            losses.bytes[..8].copy_from_slice(&nan);
        }),
        ("endless", "weights are not finite", &|all| {
            let weights = all.iter_mut().find(|tensor| tensor.name.starts_with("network.")).unwrap();
            weights.bytes[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
        }),
        ("foreign", "nobody knows its tensor what", &|all| {
            all.push(RawTensor { name: "what".into(), dtype: Dtype::F32, shape: vec![1], bytes: vec![0; 4] });
        }),
        ("odd", "no number", &|all| {
            let moment = all.iter_mut().find(|tensor| tensor.name.starts_with("optimizer.exp_avg.")).unwrap();
            moment.bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        }),
    ];
    for (name, said, change) in cases {
        let state = format!("--resume={}", changed(dir.folder(), name, change).display());
        let ended = train(dir.folder(), 0, &[&more[..], &["--max_train_steps=4", &state]].concat());
        assert!(ended.error().contains(said), "{name}: {}", ended.error());
    }
    // Without its checksums, as an earlier version wrote it, it is taken.
    let state = format!("--resume={}", changed(dir.folder(), "plain", |_| ()).display());
    train(dir.folder(), 0, &[&more[..], &["--max_train_steps=3", &state]].concat()).outcome.unwrap();
}

#[test]
fn a_state_that_says_nothing_of_itself_has_to_be_complete() {
    let dir = Sandbox::with_images("", &[[64, 64]]);
    train(dir.folder(), 0, &["--save_state_on_train_end"]).outcome.unwrap();
    let resumed = |name: &str, change: Change<'_>| {
        let folder = changed(dir.folder(), name, change);
        let file = folder.join("lorabake_state.safetensors");
        let tensors = tensors_of(&file);
        let mut metadata = TensorFile::open(&file).unwrap().metadata().clone();
        metadata.retain(|key, _| !["optimizer_tensors", "losses", "epoch"].contains(&key.as_str()));
        save_raw(&file, tensors, metadata).unwrap();
        train(dir.folder(), 0, &["--max_train_steps=4", &format!("--resume={}", folder.display())])
    };
    let ended = resumed("patchy", &|all| {
        all.retain(|tensor| !(tensor.name.starts_with("optimizer.") && tensor.name.ends_with(".3")));
    });
    assert!(ended.error().contains("it has the optimizer's entries of"), "{}", ended.error());
    let ended = resumed("long", &|all| {
        let losses = all.iter_mut().find(|tensor| tensor.name == "losses").unwrap();
        losses.bytes.splice(0..0, [0; 8]);
        losses.shape = vec![losses.bytes.len() / 8];
    });
    assert!(ended.error().contains("losses after 2 steps of epochs of"), "{}", ended.error());
    resumed("plain", &|_| ()).outcome.unwrap();
}

#[test]
fn a_model_that_changes_while_it_is_read_from_is_named_and_the_work_is_kept() {
    let dir = Sandbox::with_images("", &[[64, 64]]);
    let model = dir.folder().join("model.safetensors");
    std::fs::copy(SD15, &model).unwrap();
    let options = format!(
        "--pretrained_model_name_or_path={} --blocks_to_swap=5 --max_train_steps=100000 --learning_rate=1e-4 --save_state",
        model.display()
    );
    let parsed = dir.parse("out", &options);
    let (events, heard) = channel();
    let (_orders, commands) = channel();
    let outcome = std::thread::scope(|scope| {
        let model = &model;
        scope.spawn(move || {
            while !matches!(heard.recv().unwrap(), Event::Stepped(_)) {}
            // As if it had been written to in place.
            File::options().write(true).open(model).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        });
        bake(&parsed, &events, &commands)
    });
    let error = format!("{:#}", outcome.unwrap_err());
    let says = format!("{}: it was changed or removed while it was in use; put the whole file back", model.display());
    assert!(error.contains(&says) && !error.contains("report it"), "{error}");
    assert!(error.contains("what was learned until then is in") && error.contains("--resume"), "{error}");
    let kept = names(dir.folder());
    assert_eq!(kept.len(), 2, "{kept:?}");
    all_whole(dir.folder());
}

#[test]
fn a_flipped_bit_in_a_state_is_found() {
    let dir = Sandbox::with_images("", &[[64, 64]]);
    train(dir.folder(), 0, &["--save_state"]).outcome.unwrap();
    let path = dir.folder().join("out/cat-state/lorabake_state.safetensors");
    let whole = std::fs::read(&path).unwrap();
    let step = whole.windows(10).position(|bytes| bytes == b"\"step\":\"2\"").unwrap() + 8;
    let state = format!("--resume={}", dir.folder().join("out/cat-state").display());
    for place in [step, whole.len() / 2, whole.len() - 3] {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        let ended = train(dir.folder(), 0, &["--max_train_steps=4", &state]);
        assert!(ended.error().contains("checksum does not hold"), "{place}: {}", ended.error());
    }
    std::fs::write(&path, whole).unwrap();
    train(dir.folder(), 0, &["--max_train_steps=4", &state]).outcome.unwrap();
}

#[test]
fn a_run_deletes_only_what_it_wrote() {
    let dir = Sandbox::with_images("", &[[64, 64]]);
    train(dir.folder(), 0, &["--save_every_n_steps=1", "--save_state"]).outcome.unwrap();
    let state = dir.path("out/cat-step00000001-state/lorabake_state.safetensors");
    let before = std::fs::read(&state).unwrap();
    let keeps_one = ["--seed=8", "--max_train_steps=4", "--save_every_n_steps=1", "--save_last_n_steps=1"];
    train(dir.folder(), 0, &keeps_one).outcome.unwrap();
    assert_eq!(std::fs::read(&state).unwrap(), before, "the state of the first run");
    let names = names(dir.folder());
    assert!(!names.contains(&"cat-step00000001.safetensors".to_owned()), "the second run's own is gone: {names:?}");
    let kept = names.iter().filter(|name| name.contains(".old-")).count();
    assert_eq!(kept, 3, "snapshots and result of the first run: {names:?}");
}

#[test]
fn going_on_keeps_what_another_run_has_put_in_its_place() {
    let dir = Sandbox::with_images("", &[[64, 64]]);
    train(dir.folder(), 0, &["--save_state"]).outcome.unwrap();
    train(dir.folder(), 0, &["--learning_rate=5e-3"]).outcome.unwrap();
    let other = LoraFile::open(&dir.path("out/cat.safetensors")).unwrap();
    let resume = format!("--resume={}", dir.path("out/cat-state").display());
    let on = train(dir.folder(), 0, &[&resume, "--max_train_steps=4"]);
    on.outcome.as_ref().unwrap();
    assert!(on.told("kept as"), "{:?}", on.notes);
    let names = names(dir.folder());
    let mut kept = names.iter().filter(|name| name.contains(".old-"));
    assert!(
        kept.any(|name| LoraFile::open(&dir.path("out").join(name)).unwrap().modules == other.modules),
        "{names:?}"
    );
}

#[test]
fn a_run_that_was_killed_behind_its_last_step_saves_its_result() {
    let dir = Sandbox::with_images("", &[[64, 64]]);
    let more = ["--save_every_n_steps=1", "--save_state"];
    train(dir.folder(), 0, &more).outcome.unwrap();
    let last = dir.path("out/cat.safetensors");
    let whole = LoraFile::open(&last).unwrap();
    std::fs::remove_file(&last).unwrap();
    std::fs::remove_dir_all(dir.path("out/cat-state")).unwrap();
    let resume = format!("--resume={}", dir.path("out/cat-step00000002-state").display());
    let ended = train(dir.folder(), 0, &[&more[..], &[&resume]].concat());
    assert_eq!(ended.outcome.as_ref().unwrap().steps, 2, "{:?}", ended.notes);
    let made = LoraFile::open(&last).unwrap();
    assert!(made.modules == whole.modules);
    assert_eq!(made.metadata["ss_epoch"], whole.metadata["ss_epoch"]);
    // Nothing is left to do now.
    let again = train(dir.folder(), 0, &[&more[..], &[&resume]].concat());
    assert!(again.error().contains("stands at step 2 and the run ends at 2"), "{}", again.error());
}
