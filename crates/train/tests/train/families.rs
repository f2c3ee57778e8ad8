//! SD2.x and SDXL from the command line to a file and pictures, on tiny checkpoints that `testkit` makes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

use image::{Rgb, RgbImage};
use lorabake_recipe::parse_train;
use lorabake_testkit::tiny;
use lorabake_train::bake;
use lorabake_train::estimate::plan_run;
use lorabake_train::event::Event;
use lorabake_weights::formats::tensor_file::TensorFile;
use lorabake_weights::lora::LoraFile;

/// A training set of three images of two sizes, and both checkpoints.
struct Bench(tempfile::TempDir);

struct Run {
    file: PathBuf,
    losses: Vec<f64>,
    notes: Vec<String>,
    pictures: Vec<(usize, usize)>,
}

impl Bench {
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        let folder = bench.path("train/2_cat");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, width, height) in [("a", 96, 64), ("b", 64, 64), ("c", 64, 64)] {
            let pixel = |x: u32, y: u32| Rgb([(x * 3) as u8, (y * 2 + x * y / 7) as u8, (x + 3 * y + width) as u8]);
            RgbImage::from_fn(width, height, pixel).save(folder.join(format!("{name}.png"))).unwrap();
            std::fs::write(folder.join(format!("{name}.txt")), format!("cat, {name}, grass")).unwrap();
        }
        std::fs::write(bench.path("sd2.safetensors"), tiny::sd2()).unwrap();
        std::fs::write(bench.path("sdxl.safetensors"), tiny::sdxl()).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn words(&self, model: &str, more: &str) -> Vec<OsString> {
        let path = |option: &str, name: &str| format!("--{option}={}", self.path(name).display());
        let fixed =
            "--resolution=64 --seed=7 --learning_rate=1e-2 --network_dim=2 --output_name=cat --max_train_steps=3";
        let model = path("pretrained_model_name_or_path", &format!("{model}.safetensors"));
        let words = [path("train_data_dir", "train"), path("output_dir", "out"), model];
        let more = fixed.split(' ').chain(more.split_whitespace());
        words.into_iter().map(OsString::from).chain(more.map(OsString::from)).collect()
    }

    fn try_run(&self, model: &str, more: &str) -> anyhow::Result<Run> {
        let parsed = parse_train(&self.words(model, more)).unwrap_or_else(|error| panic!("{more}: {error}"));
        let (events, heard) = channel();
        let (_orders, commands) = channel();
        let outcome = bake(&parsed, &events, &commands)?;
        drop(events);
        let (mut losses, mut notes, mut pictures) = (Vec::new(), Vec::new(), Vec::new());
        for event in heard.iter() {
            match event {
                Event::Stepped(step) => losses.push(step.loss),
                Event::Note(note) => notes.push(note),
                Event::Painted(painted) => pictures.push((painted.picture.width, painted.picture.height)),
                _ => {}
            }
        }
        Ok(Run { file: outcome.file, losses, notes, pictures })
    }

    fn run(&self, model: &str, more: &str) -> Run {
        self.try_run(model, more).unwrap_or_else(|error| panic!("{more}: {error:#}"))
    }
}

/// What the modules of a file are called before their layer, each once.
fn parts(file: &Path) -> Vec<String> {
    let names = TensorFile::open(file).unwrap().names();
    let part = |name: &String| name.split('_').take(2).collect::<Vec<_>>().join("_");
    names.iter().map(part).collect::<BTreeSet<_>>().into_iter().collect()
}

fn said(file: &Path, key: &str) -> String {
    TensorFile::open(file).unwrap().metadata().get(key).cloned().unwrap_or_default()
}

/// Sum of the squares of the up factors of modules whose names begin so; they start at zero.
fn learnt(file: &Path, start: &str) -> f32 {
    let file = TensorFile::open(file).unwrap();
    let ups = file.names().into_iter().filter(|name| name.starts_with(start) && name.ends_with("lora_up.weight"));
    ups.flat_map(|name| file.read_f32(&name).unwrap()).map(|value| value * value).sum()
}

#[test]
fn sdxl_trains_the_unet_alone_and_each_text_encoder() {
    let bench = Bench::new();
    let unet = bench.run("sdxl", "--network_train_unet_only --cache_text_encoder_outputs --cache_latents");
    assert_eq!(parts(&unet.file), ["lora_unet"]);
    let name = "lora_unet_input_blocks_4_1_transformer_blocks_1_attn1_to_k";
    assert!(LoraFile::open(&unet.file).unwrap().modules.iter().any(|module| module.name == name));
    let same = bench.run("sdxl", "--network_train_unet_only --cache_latents");
    assert_eq!(unet.losses, same.losses, "text states that are kept are those that are computed");

    let both = bench.run("sdxl", "--text_encoder_lr 1e-2 1e-3");
    assert_eq!(parts(&both.file), ["lora_te1", "lora_te2", "lora_unet"]);
    assert_eq!(said(&both.file, "ss_text_encoder_lr"), "[0.01, 0.001]");
    let first = learnt(&both.file, "lora_te1_text_model_encoder_layers_0_");
    let second = learnt(&both.file, "lora_te2_text_model_encoder_layers_0_");
    assert!(first > 10.0 * second && second > 0.0, "{first} {second}");
    // Nobody reads what the first one's last layer gives.
    assert_eq!(learnt(&both.file, "lora_te1_text_model_encoder_layers_2_"), 0.0);
    assert!(learnt(&both.file, "lora_te2_text_model_encoder_layers_3_") > 0.0, "it is part of the summary");

    let second = bench.run("sdxl", "--network_train_text_encoder_only --text_encoder_lr 0 1e-2");
    assert_eq!(parts(&second.file), ["lora_te2"]);
}

#[test]
fn metadata_says_what_it_was_trained_for() {
    let bench = Bench::new();
    let said_of = |run: &Run| {
        let keys = ["ss_base_model_version", "ss_v2", "modelspec.architecture", "modelspec.prediction_type"];
        keys.map(|key| said(&run.file, key))
    };
    let xl = bench.run("sdxl", "--network_train_unet_only");
    assert_eq!(said_of(&xl), ["sdxl_base_v1-0", "False", "stable-diffusion-xl-v1-base/lora", "epsilon"]);
    let v = bench.run("sd2", "--v_parameterization --zero_terminal_snr");
    assert_eq!(said_of(&v), ["sd_v2_v", "True", "stable-diffusion-v2-768-v/lora", "v"]);
    assert_eq!(parts(&v.file), ["lora_te", "lora_unet"]);
    let epsilon = bench.run("sd2", "--v2");
    assert_eq!(said_of(&epsilon), ["sd_v2", "True", "stable-diffusion-v2-512/lora", "epsilon"]);
    assert!(epsilon.notes.iter().any(|note| note.contains("does not say what it predicts")));
    assert_ne!(v.losses, epsilon.losses);
    let module = TensorFile::open(&v.file).unwrap();
    let shape = module.shape("lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight").unwrap();
    assert_eq!(shape, [2, 32, 1, 1]);
}

#[test]
fn v_prediction_of_sdxl_is_in_the_file() {
    let bench = Bench::new();
    std::fs::write(bench.path("v.safetensors"), tiny::sdxl_with(&["v_pred", "ztsnr"])).unwrap();
    let run = bench.run("v", "--network_train_unet_only");
    assert_eq!([said(&run.file, "modelspec.prediction_type"), said(&run.file, "ss_zero_terminal_snr")], ["v", "True"]);
    let typed = bench.run("sdxl", "--network_train_unet_only --v_parameterization --zero_terminal_snr");
    assert_eq!(run.losses, typed.losses);
}

#[test]
fn what_belongs_to_another_family_is_refused_by_name() {
    let bench = Bench::new();
    let refused = |model: &str, more: &str| bench.try_run(model, more).err().unwrap().to_string();
    assert!(refused("sdxl", "--v2").contains("--v2: the checkpoint is SDXL"));
    assert!(refused("sd2", "--text_encoder_lr 1e-3 1e-4").contains("Stable Diffusion 2.x has one text encoder"));
    let lora = bench.run("sdxl", "--network_train_unet_only");
    let from = format!("--network_weights={}", lora.file.display());
    assert!(refused("sd2", &from).contains("it was trained for SDXL, and this checkpoint is SD2.x"));
    let on = bench.run("sdxl", &format!("--network_train_unet_only {from}"));
    assert_ne!(on.losses[0], lora.losses[0], "it begins where that one ended");
}

#[test]
fn blocks_of_sdxl_are_those_of_sd_scripts() {
    let bench = Bench::new();
    let only = "--network_args down_lr_weight=zeros mid_lr_weight=0,1,0 up_lr_weight=zeros";
    let run = bench.run("sdxl", &format!("--network_train_unet_only {only}"));
    let names = TensorFile::open(&run.file).unwrap().names();
    assert!(!names.is_empty() && names.iter().all(|name| name.starts_with("lora_unet_middle_block_1_")), "{names:?}");
    let named = bench.run("sdxl", "--network_train_unet_only --block_lr_weight ALL=0,M01=1");
    assert_eq!(run.losses, named.losses);
}

#[test]
fn buckets_in_steps_of_32_and_pictures_while_it_trains() {
    let bench = Bench::new();
    std::fs::write(bench.path("prompts.txt"), "a cat --w 96 --h 64 --s 2\n").unwrap();
    let prompts = format!("--sample_prompts={} --sample_every_n_steps=3", bench.path("prompts.txt").display());
    let buckets = "--resolution=96 --enable_bucket --min_bucket_reso=32 --max_bucket_reso=128 --bucket_reso_steps=32";
    let xl = bench.run("sdxl", &format!("--network_train_unet_only {buckets} {prompts}"));
    assert!(said(&xl.file, "ss_bucket_info").contains("[96, 96]"), "{}", said(&xl.file, "ss_bucket_info"));
    assert_eq!(xl.pictures, [(96, 64)]);
    let v = bench.run("sd2", &format!("--v_parameterization {prompts}"));
    assert_eq!(v.pictures, [(96, 64)]);
    assert!(xl.losses.iter().chain(&v.losses).all(|loss| loss.is_finite()));
}

#[test]
fn a_plan_foretells_the_files_of_both() {
    let bench = Bench::new();
    for (model, more) in [
        ("sd2", "--v_parameterization"),
        ("sdxl", ""),
        ("sdxl", "--network_args conv_dim=1"),
        ("sdxl", "--text_encoder_lr 0 1e-3"),
    ] {
        let parsed = parse_train(&bench.words(model, more)).unwrap();
        let foreseen = plan_run(&parsed, 10).unwrap().lora;
        let run = bench.run(model, more);
        let file = LoraFile::open(&run.file).unwrap();
        assert_eq!(foreseen.modules, file.modules.len(), "{model} {more}");
        let values = file.modules.iter().flat_map(|module| module.tensors.values()).map(|tensor| tensor.values.len());
        assert_eq!(foreseen.parameters, values.sum::<usize>() as u64, "{model} {more}");
    }
}
