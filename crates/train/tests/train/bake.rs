//! Whole bakes on a tiny model: what is saved, how often, and the laws that hold between runs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

use lorabake_lora::LoraNetwork;
use lorabake_model::{Bundle, VaeHalves};
use lorabake_ops::WeightDtype;
use lorabake_recipe::parse_train;
use lorabake_testkit::tiny::{SD15, USE_SD15};
use lorabake_train::bake;
use lorabake_train::event::{Command, Event, Outcome};
use lorabake_weights::Checkpoint;
use lorabake_weights::lora::LoraFile;

/// A folder with images of two colours and shapes.
fn images(dir: &Path, sizes: &[(u32, u32)]) {
    let folder = dir.join("train/2_cat");
    std::fs::create_dir_all(&folder).unwrap();
    for (index, (width, height)) in sizes.iter().enumerate() {
        let shade = |x: u32, y: u32| image::Rgb([(x * 3 + 40 * index as u32) as u8, (y * 2) as u8, (x + y) as u8]);
        let picture = image::RgbImage::from_fn(*width, *height, shade);
        picture.save(folder.join(format!("{index}.png"))).unwrap();
        std::fs::write(folder.join(format!("{index}.txt")), format!("cat, tag {index}, grass, sky")).unwrap();
    }
}

#[derive(Debug)]
struct Run {
    outcome: Outcome,
    events: Vec<Event>,
    out: PathBuf,
}

/// Bakes with options that keep it short; `stop` before the first step asks for an early end.
fn run(dir: &Path, out: &str, stop: bool, more: &[&str]) -> Run {
    try_run(dir, out, stop, more).unwrap()
}

fn try_run(dir: &Path, out: &str, stop: bool, more: &[&str]) -> anyhow::Result<Run> {
    let out = dir.join(out);
    let pair = |name: &str, path: &Path| [OsString::from(name), path.into()];
    let mut argv: Vec<OsString> = Vec::new();
    argv.extend(pair("--train_data_dir", &dir.join("train")));
    argv.extend(pair("--output_dir", &out));
    let fixed =
        [USE_SD15, "--resolution=64", "--learning_rate=1e-3", "--seed=7", "--network_dim=2", "--network_alpha=1"];
    argv.extend(fixed.iter().chain(more).map(OsString::from));
    let parsed = parse_train(&argv).unwrap_or_else(|error| panic!("{error}"));
    let (events, heard) = channel();
    let (orders, commands) = channel();
    if stop {
        orders.send(Command::Stop).unwrap();
    }
    let outcome = bake(&parsed, &events, &commands)?;
    drop(events);
    Ok(Run { outcome, events: heard.iter().collect(), out })
}

impl Run {
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.out).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn losses(&self) -> Vec<f64> {
        let loss = |event: &Event| if let Event::Stepped(step) = event { Some(step.loss) } else { None };
        self.events.iter().filter_map(loss).collect()
    }

    fn lora(&self) -> LoraFile {
        LoraFile::open(&self.outcome.file).unwrap()
    }
}

fn far_apart(a: &LoraFile, b: &LoraFile) -> f64 {
    assert_eq!(a.modules.len(), b.modules.len());
    let (mut error, mut size) = (0.0, 0.0);
    for (a, b) in a.modules.iter().zip(&b.modules) {
        for (a, b) in a.tensors.values().zip(b.tensors.values()) {
            error += a.values.iter().zip(&b.values).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
            size += b.values.iter().map(|b| f64::from(*b).powi(2)).sum::<f64>();
        }
    }
    (error / size).sqrt()
}

#[test]
fn a_bake_saves_what_was_asked_for_and_learns() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), &[(64, 64), (96, 64), (80, 80)]);
    let more = ["--max_train_epochs=3", "--output_name=cat", "--save_every_n_epochs=1", "--save_every_n_steps=4"];
    let run = run(dir.path(), "out", false, &more);
    assert_eq!((run.outcome.steps, run.outcome.planned), (18, 18));
    let steps = [4, 8, 12, 16].map(|step| format!("cat-step{step:08}.safetensors"));
    let mut expected = vec!["cat-000001.safetensors".to_string(), "cat-000002.safetensors".into()];
    expected.extend(steps);
    expected.push("cat.safetensors".into());
    expected.sort();
    assert_eq!(run.files(), expected);
    let lora = run.lora();
    assert_eq!(lora.modules.len(), 264);
    assert!(
        lora.modules.iter().any(|module| module.tensors["lora_up.weight"].values.iter().any(|x| x.abs() > 1e-4)),
        "nothing was learned"
    );
    assert_eq!(lora.metadata["ss_steps"], "18");
    assert_eq!(lora.metadata["ss_epoch"], "3");
    assert!(!lora.metadata["lorabake_recipe"].contains(&*dir.path().to_string_lossy()), "folders stay private");
    let bundle =
        Bundle::load(&Checkpoint::open(Path::new(SD15)).unwrap(), VaeHalves::Training, WeightDtype::F32).unwrap();
    assert_eq!(LoraNetwork::from_file(&lora, "cat", &bundle).unwrap().modules.len(), 264);
}

#[test]
fn the_same_seed_gives_the_same_weights() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), &[(64, 64), (70, 64)]);
    let more = ["--max_train_steps=3", "--train_batch_size=2", "--shuffle_caption", "--flip_aug", "--noise_offset=0.1"];
    let [a, b] = ["a", "b"].map(|out| run(dir.path(), out, false, &more));
    assert_eq!(a.losses(), b.losses());
    assert_eq!(far_apart(&a.lora(), &b.lora()), 0.0);
    let other = run(dir.path(), "c", false, &[&more[..], &["--seed=8"]].concat());
    assert!(far_apart(&a.lora(), &other.lora()) > 1e-3);
}

#[test]
fn every_caption_noise_and_loss_option_changes_what_is_learned() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), &[(64, 64), (70, 64)]);
    for image in ["0", "1"] {
        let caption = "cat, {red|blue}, grass;;;sky ||| tree, day\ndog, river, hill, cloud, stone\n";
        std::fs::write(dir.path().join(format!("train/2_cat/{image}.txt")), caption).unwrap();
    }
    // What an option needs before it can act, then the option.
    let options = [
        ("", "--caption_prefix=photo"),
        ("", "--caption_suffix=photo"),
        ("", "--caption_dropout_rate=1"),
        ("", "--caption_dropout_every_n_epochs=1"),
        ("", "--caption_tag_dropout_rate=0.5"),
        ("--caption_tag_dropout_rate=1", "--keep_tokens=1"),
        ("--caption_tag_dropout_rate=1", "--keep_tokens_separator=|||"),
        ("", "--secondary_separator=;;;"),
        ("", "--enable_wildcard"),
        ("", "--token_warmup_step=10"),
        ("--token_warmup_step=10", "--token_warmup_min=0"),
        ("", "--loss_type=l1"),
        ("", "--loss_type=huber"),
        ("--loss_type=huber", "--huber_c=0.3"),
        ("--loss_type=huber", "--huber_schedule=exponential"),
        ("--loss_type=huber --huber_schedule=constant", "--huber_scale=3"),
        ("--loss_type=huber", "--loss_type=smooth_l1"),
        ("", "--debiased_estimation_loss"),
        ("--noise_offset=0.3", "--noise_offset_random_strength"),
        ("--noise_offset=0.3", "--adaptive_noise_scale=0.5"),
        ("", "--multires_noise_iterations=4"),
        ("--multires_noise_iterations=4", "--multires_noise_discount=0.9"),
        ("", "--ip_noise_gamma=0.3"),
        ("--ip_noise_gamma=0.3", "--ip_noise_gamma_random_strength"),
        ("", "--min_timestep=990"),
        ("", "--max_timestep=10"),
        ("", "--v_parameterization"),
        ("--v_parameterization", "--scale_v_pred_loss_like_noise_pred"),
        ("--v_parameterization", "--zero_terminal_snr"),
        ("", "--v_pred_like_loss=0.5"),
    ];
    let losses = |options: &str| {
        let more: Vec<&str> =
            "--max_train_steps=2 --cache_latents".split(' ').chain(options.split_whitespace()).collect();
        run(dir.path(), "out", false, &more).losses()
    };
    let mut known: std::collections::BTreeMap<&str, Vec<f64>> = Default::default();
    for (needs, option) in options {
        let without = known.entry(needs).or_insert_with(|| losses(needs)).clone();
        assert_ne!(without, losses(&format!("{needs} {option}")), "{option} changes nothing");
    }
}

#[test]
fn random_crops_are_drawn_anew_and_only_where_there_is_something_to_crop() {
    let [tall, square] = [(64, 96), (80, 80)].map(|size| {
        let dir = tempfile::tempdir().unwrap();
        images(dir.path(), &[size]);
        dir
    });
    let bake = |dir: &tempfile::TempDir, more: &[&str]| {
        run(dir.path(), "out", false, &[&["--max_train_steps=3", "--flip_aug"], more].concat())
    };
    let told = |run: &Run| {
        let note = |event: &Event| if let Event::Note(text) = event { text.contains("random_crop") } else { false };
        run.events.iter().any(note)
    };
    let (plain, random) = (bake(&tall, &[]), bake(&tall, &["--random_crop"]));
    assert_ne!(plain.losses(), random.losses());
    assert_eq!(random.losses(), bake(&tall, &["--random_crop"]).losses());
    assert!(!told(&random));
    assert_eq!(random.lora().metadata["ss_random_crop"], "True");
    // Nothing of a square image is cropped away.
    let (plain, random) = (bake(&square, &[]), bake(&square, &["--random_crop"]));
    assert_eq!(plain.losses(), random.losses());
    assert!(told(&random));
}

#[test]
fn a_stop_ends_after_the_step_and_saves() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), &[(64, 64)]);
    let run = run(dir.path(), "out", true, &["--max_train_epochs=50", "--output_name=cat"]);
    assert_eq!((run.outcome.steps, run.outcome.planned), (1, 100));
    assert_eq!(run.files(), ["cat.safetensors"]);
    assert_eq!(run.lora().metadata["ss_steps"], "1");
}

#[test]
fn weights_can_be_trained_on() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), &[(64, 64)]);
    let first = run(dir.path(), "a", false, &["--max_train_steps=2", "--network_args", "conv_dim=1"]);
    let file = format!("--network_weights={}", first.outcome.file.display());
    let second =
        run(dir.path(), "b", false, &["--max_train_steps=1", "--learning_rate=1e-9", &file, "--dim_from_weights"]);
    let (first, second) = (first.lora(), second.lora());
    assert!(far_apart(&second, &first) < 1e-5, "the second run begins where the first ended");
    assert_eq!(second.metadata["ss_network_dim"], "2");
    assert_eq!(second.modules.len(), 350);
}

#[test]
fn only_what_is_asked_for_is_trained() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), &[(64, 64)]);
    for (option, prefix, count) in
        [("--network_train_unet_only", "lora_unet_", 192), ("--network_train_text_encoder_only", "lora_te_", 72)]
    {
        let run = run(dir.path(), prefix, false, &["--max_train_steps=2", option]);
        let lora = run.lora();
        assert_eq!(lora.modules.len(), count);
        assert!(lora.modules.iter().all(|module| module.name.starts_with(prefix)));
        assert!(lora.modules.iter().any(|module| module.tensors["lora_up.weight"].values.iter().any(|x| *x != 0.0)));
    }
}

#[test]
fn bf16_weights_give_nearly_the_same_loss() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), &[(64, 64)]);
    let [exact, rounded] =
        ["no", "bf16"].map(|p| run(dir.path(), p, false, &["--max_train_steps=4", &format!("--mixed_precision={p}")]));
    for (a, b) in exact.losses().into_iter().zip(rounded.losses()) {
        assert!(a != b && (a - b).abs() < 0.01 * a, "{a} and {b}");
    }
}

#[test]
fn a_resumed_run_ends_in_the_same_numbers() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), &[(64, 64), (64, 64), (96, 64)]);
    // 6 uses in batches of 2, two batches a step: 2 steps an epoch; step 3 is in the middle of the second.
    let common = [
        "--max_train_steps=5",
        "--output_name=cat",
        "--train_batch_size=2",
        "--gradient_accumulation_steps=2",
        "--shuffle_caption",
        "--flip_aug",
        "--lr_scheduler=cosine",
    ];
    for optimizer in ["AdamW", "AdamW8bit", "Prodigy", "DAdaptAdam"] {
        let name = format!("--optimizer_type={optimizer}");
        let more = [&common[..], &[&name, "--learning_rate=0.5"]].concat();
        let whole = run(dir.path(), &format!("{optimizer}-whole"), false, &more);
        let saving = [&more[..], &["--save_state", "--save_every_n_steps=3"]].concat();
        let out = format!("{optimizer}-first");
        run(dir.path(), &out, false, &saving);
        let resume = format!("--resume={}", dir.path().join(&out).join("cat-step00000003-state").display());
        let rest = run(dir.path(), &format!("{optimizer}-rest"), false, &[&more[..], &[&resume]].concat());
        assert_eq!(rest.losses(), whole.losses()[3..], "{optimizer}");
        assert_eq!(rest.outcome.average, whole.outcome.average, "{optimizer}");
        assert_eq!(far_apart(&rest.lora(), &whole.lora()), 0.0, "{optimizer}");
    }
}

#[test]
fn a_state_that_does_not_fit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), &[(64, 64)]);
    let first = run(dir.path(), "a", false, &["--max_train_steps=1", "--save_state_on_train_end", "--output_name=cat"]);
    assert_eq!(first.files(), ["cat-state", "cat.safetensors"]);
    let state = format!("--resume={}", first.out.join("cat-state").display());
    for (more, said) in [
        (vec!["--max_train_steps=1"], "stands at step 1 and the run ends at 1"),
        (vec!["--max_train_steps=2", "--seed=9"], "has seed 7"),
        (vec!["--max_train_steps=2", "--network_dim=3"], "another rank"),
        (vec!["--max_train_steps=2", "--network_alpha=2"], "another --network_alpha"),
        (vec!["--max_train_steps=2", "--optimizer_type=Lion"], "another optimizer"),
        (vec!["--max_train_steps=2", "--resume=nowhere"], "there is no lorabake_state.safetensors"),
    ] {
        let error = try_run(dir.path(), "b", false, &[&[state.as_str()], &more[..]].concat()).unwrap_err();
        assert!(format!("{error:#}").contains(said), "{error:#}");
        assert!(!dir.path().join("b").exists());
    }
}
