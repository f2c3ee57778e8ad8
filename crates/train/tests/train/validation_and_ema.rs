//! What is watched and saved beside the training: validation with held-out images, and averaged weights. Neither may
//! change what is learned, and both go on after a stop.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

use lorabake_generate::{LoraUse, Pipeline};
use lorabake_lora::{LoraNetwork, Strength};
use lorabake_model::{Bundle, VaeHalves, WeightDtypes};
use lorabake_ops::WeightDtype;
use lorabake_recipe::parse_train;
use lorabake_recipe::seed::Seed;
use lorabake_testkit::Golden;
use lorabake_testkit::tiny::{SD15, USE_SD15};
use lorabake_train::bake;
use lorabake_train::event::{Event, Painted, Validated};
use lorabake_train::update::ema::Ema;
use lorabake_train::update::max_norm::limit_norms;
use lorabake_weights::Checkpoint;
use lorabake_weights::formats::tensor_file::TensorFile;
use lorabake_weights::lora::LoraFile;

struct Bench {
    dir: tempfile::TempDir,
}

struct Run {
    file: PathBuf,
    events: Vec<Event>,
}

impl Bench {
    /// A folder `name` with so many images.
    fn new(name: &str, images: u32) -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        bench.images(name, images);
        bench
    }

    fn images(&self, name: &str, images: u32) {
        let folder = self.path(name);
        std::fs::create_dir_all(&folder).unwrap();
        for index in 0..images {
            let shade = |x: u32, y: u32| image::Rgb([(x * 3 + 40 * index) as u8, (y * 2) as u8, (x + y * index) as u8]);
            image::RgbImage::from_fn(64, 64, shade).save(folder.join(format!("{index}.png"))).unwrap();
            std::fs::write(folder.join(format!("{index}.txt")), format!("cat, tag {index}, grass, sky")).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn try_bake(&self, out: &str, words: &str) -> anyhow::Result<Run> {
        let train = format!("--train_data_dir={}", self.path("train").display());
        let out = format!("--output_dir={}", self.path(out).display());
        let fixed = "--resolution=64 --seed=7 --learning_rate=1e-2 --network_dim=2 --network_alpha=1 --output_name=cat";
        let words =
            [train.as_str(), out.as_str(), USE_SD15].into_iter().chain(fixed.split(' ')).chain(words.split(' '));
        let words: Vec<OsString> = words.filter(|word| !word.is_empty()).map(OsString::from).collect();
        let parsed = parse_train(&words).unwrap_or_else(|error| panic!("{error}"));
        let ((events, heard), (_orders, commands)) = (channel(), channel());
        let outcome = bake(&parsed, &events, &commands)?;
        drop(events);
        Ok(Run { file: outcome.file, events: heard.iter().collect() })
    }

    fn bake(&self, out: &str, words: &str) -> Run {
        self.try_bake(out, words).unwrap_or_else(|error| panic!("{words}: {error:#}"))
    }

    fn resume(&self, state: &str) -> String {
        format!("--resume={}", self.path(state).display())
    }
}

impl Run {
    fn validated(&self) -> Vec<Validated> {
        let found = |event: &Event| if let Event::Validated(own) = event { Some(*own) } else { None };
        self.events.iter().filter_map(found).collect()
    }

    fn losses(&self) -> Vec<f64> {
        self.validated().iter().map(|own| own.loss).collect()
    }

    fn notes(&self) -> String {
        let text = |event: &Event| if let Event::Note(text) = event { Some(format!("{text}\n")) } else { None };
        self.events.iter().filter_map(text).collect()
    }
}

/// All tensors of a file, bit by bit.
fn tensors(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = TensorFile::open(path).unwrap();
    file.names().into_iter().map(|name| (name.clone(), file.bytes(&name).unwrap().to_vec())).collect()
}

/// Everything that chance has a hand in.
const CHANCE: &str = "--cache_latents --flip_aug --shuffle_caption --caption_tag_dropout_rate=0.3 --noise_offset=0.1 \
                      --network_dropout=0.2 --min_snr_gamma=5 --ip_noise_gamma=0.1 --train_batch_size=2 --max_train_epochs=2";

#[test]
fn training_does_not_know_of_the_validation() {
    let bench = Bench::new("train/2_cat", 5);
    bench.images("reg/1_animal", 2);
    let reg = format!("{CHANCE} --reg_data_dir={}", bench.path("reg").display());
    let with =
        bench.bake("with", &format!("{reg} --validation_split=0.4 --validation_seed=3 --validate_every_n_steps=1"));
    let metadata = LoraFile::open(&with.file).unwrap().metadata;
    assert_eq!((&*metadata["ss_num_validation_images"], &*metadata["ss_num_train_images"]), ("2", "6"));
    // `random.seed(3)` and `random.shuffle` put 4 and 1 last.
    for held in [4, 1] {
        std::fs::remove_file(bench.path(&format!("train/2_cat/{held}.png"))).unwrap();
    }
    let without = bench.bake("without", &reg);
    assert!(without.validated().is_empty());
    assert!(tensors(&with.file) == tensors(&without.file), "other numbers");
}

#[test]
fn the_loss_of_a_validation_depends_on_the_weights_alone() {
    let bench = Bench::new("train/2_cat", 6);
    // Nothing is learned, so that every validation has to find the same.
    let still = "--learning_rate=1e-30 --validation_split=0.5 --max_train_epochs=3";
    let whole = bench.bake("a", &format!("{still} --validate_every_n_steps=4 --noise_offset=0.1"));
    let when: Vec<_> = whole.validated().iter().map(|own| (own.step, own.epoch)).collect();
    assert_eq!(when, [(4, None), (6, Some(1)), (8, None), (12, None), (12, Some(2)), (16, None), (18, Some(3))]);
    let losses = whole.losses();
    assert!(losses[0] > 0.0 && losses.iter().all(|loss| *loss == losses[0]), "{losses:?}");
    // Neither batches nor anything that chance does to the training images matters.
    let other = "--train_batch_size=2 --flip_aug --shuffle_caption --caption_dropout_rate=0.9 --color_aug \
                 --network_dropout=0.5 --noise_offset=0.1 --max_train_steps=3";
    let same = bench.bake("b", &format!("{still} {other}")).losses()[0];
    assert!((same - losses[0]).abs() < 1e-5 * losses[0], "{same} {}", losses[0]);
    let far = |words: &str| {
        let loss = bench.bake("c", &format!("{still} --max_train_epochs=1 {words}")).losses()[0];
        (loss - losses[0]).abs() > 1e-3 * losses[0]
    };
    assert!(far("--noise_offset=0.1 --validation_seed=8"), "another seed, other images and noise");
    assert!(far("--noise_offset=0.1 --max_validation_steps=1"), "fewer images");
    assert!(far("--noise_offset=0.1 --min_timestep=900"), "other timesteps");
    assert!(far(""), "without noise offset");
    let rare = bench.bake("d", &format!("{still} --validate_every_n_epochs=2"));
    assert_eq!(rare.validated().iter().map(|own| own.epoch).collect::<Vec<_>>(), [Some(2)]);
}

#[test]
fn validation_follows_what_is_learned() {
    let bench = Bench::new("train/4_cat", 4);
    let run = bench.bake("a", "--validation_split=0.25 --max_train_epochs=4 --learning_rate=2e-2");
    let losses = run.losses();
    assert!(losses.windows(2).all(|pair| pair[0] != pair[1]), "{losses:?}");
    let average = |event: &Event| if let Event::EpochEnded { average, .. } = event { Some(*average) } else { None };
    let averages: Vec<f64> = run.events.iter().filter_map(average).collect();
    for (own, average) in run.validated().iter().zip(averages) {
        assert!((own.loss - own.divergence - average).abs() < 1e-12);
    }
}

#[test]
fn a_resumed_run_keeps_what_is_held_out() {
    let bench = Bench::new("train/2_cat", 5);
    let words = "--validation_split=0.4 --max_train_steps=5 --ema_decay=0.9 --flip_aug --shuffle_caption";
    let whole = bench.bake("whole", words);
    bench.bake("first", &format!("{words} --save_state --save_every_n_steps=2"));
    let state = bench.resume("first/cat-step00000002-state");
    let rest = bench.bake("rest", &format!("{words} {state}"));
    assert!(tensors(&rest.file) == tensors(&whole.file));
    assert_eq!(rest.losses(), whole.losses());

    let error = |words: &str| format!("{:#}", bench.try_bake("b", &format!("{words} {state}")).err().unwrap());
    let other = error(&format!("{words} --validation_seed=1"));
    assert!(other.contains("was trained on and would be held out now"), "{other}");
    let none = words.replace("--validation_split=0.4", "");
    let told = bench.bake("c", &format!("{none} {state}")).notes();
    assert!(told.contains("2 images that were held out are so no longer"), "{told}");
    let average = words.replace("--ema_decay=0.9", "");
    assert!(error(&average).contains("give the ema_decay of the first run"));
    bench.bake("plain", &format!("{average} --save_state --save_every_n_steps=2"));
    let state = bench.resume("plain/cat-step00000002-state");
    let error = format!("{:#}", bench.try_bake("d", &format!("{words} {state}")).err().unwrap());
    assert!(error.contains("no averaged weights; leave ema_decay out"), "{error}");
}

fn fresh() -> LoraNetwork {
    let bundle =
        Bundle::load(&Checkpoint::open(Path::new(SD15)).unwrap(), VaeHalves::Training, WeightDtype::F32).unwrap();
    let recipe = parse_train(&["--train_data_dir=x", "--output_dir=y", "--max_train_steps=1"].map(OsString::from));
    LoraNetwork::fresh(&recipe.unwrap().recipe.network, &bundle, Seed(3))
}

#[test]
fn averages_are_those_of_diffusers() {
    let golden = Golden::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/ema.safetensors"));
    let mut network = fresh();
    for decay in ["0.5", "0.8", "0.9999"] {
        network.modules[0].values[0][..5].copy_from_slice(golden.numbers("walk.0"));
        let mut ema = Ema::new(&network, decay.parse().unwrap());
        for step in 1..=60 {
            network.modules[0].values[0][..5].copy_from_slice(golden.numbers(&format!("walk.{step}")));
            ema.update(&network, step);
            let name = format!("{decay}.{step}");
            if golden.has(&name) {
                golden.check(&name, &ema.applied_to(&network, None).modules[0].values[0][..5], 1e-7);
            }
        }
    }
}

#[test]
fn averages_keep_the_norm_too() {
    let mut network = fresh();
    let fill = |network: &mut LoraNetwork, signs: [f32; 2]| {
        for module in &mut network.modules {
            module.values[0].fill(signs[0]);
            module.values[1].fill(signs[1]);
        }
        limit_norms(network, 1.0)
    };
    // Long times short and short times long have the limit; the average of both factors has more.
    fill(&mut network, [100.0, 0.01]);
    let mut ema = Ema::new(&network, 0.99);
    ema.update(&network, 1);
    fill(&mut network, [0.01, 100.0]);
    ema.update(&network, 2);
    let free = limit_norms(&mut ema.applied_to(&network, None), f64::MAX);
    let kept = limit_norms(&mut ema.applied_to(&network, Some(1.0)), f64::MAX);
    assert!(free.max > 2.0 && (0.99..1.0001).contains(&kept.max), "{} {}", free.max, kept.max);
}

#[test]
fn pictures_have_the_average_that_is_saved() {
    let bench = Bench::new("train/2_cat", 2);
    let prompts = bench.path("prompts.txt");
    std::fs::write(&prompts, "a cat --w 64 --h 64 --s 2 --d 5\n").unwrap();
    let painted = |decay: &str| {
        let words =
            format!("--max_train_steps=3 {decay} --sample_every_n_steps=3 --sample_prompts={}", prompts.display());
        let run = bench.bake(&format!("out{decay}"), &words);
        let picture = run.events.into_iter().find_map(|event| match event {
            Event::Painted(picture) => Some(*picture),
            _ => None,
        });
        (picture.expect("a picture"), run.file)
    };
    let apart = |a: &[f32], b: &[f32]| {
        let square: f32 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
        square.sqrt() / b.iter().map(|b| b.powi(2)).sum::<f32>().sqrt()
    };
    let (Painted { picture, mut request, .. }, path) = painted("--ema_decay=0.9");
    request.loras = vec![LoraUse { path, strength: Strength::FULL }];
    let painter =
        Pipeline::load(&Checkpoint::open(Path::new(SD15)).unwrap(), WeightDtypes::all(WeightDtype::F32)).unwrap();
    let again = painter.paint(&request, &mut |_, _| ()).unwrap();
    assert!(apart(&picture.latent, &again.latent) < 1e-5);
    assert!(apart(&painted("").0.picture.latent, &again.latent) > 1e-3);
}

/// Averages every kind of adapter: the file holds the mean of the steps' files, weighted as the decay has it.
#[test]
fn files_hold_the_average_of_the_steps() {
    let bench = Bench::new("train/2_cat", 2);
    for (index, kind) in [
        "--network_args conv_dim=1",
        "--network_module=networks.dylora --network_args unit=1",
        "--network_module=lycoris.kohya --network_args algo=loha",
        "--network_module=lycoris.kohya --network_args algo=lokr factor=4",
        "--network_module=lycoris.kohya --network_args algo=ia3",
        "--network_module=lycoris.kohya --network_args algo=lora dora_wd=True",
    ]
    .into_iter()
    .enumerate()
    {
        let words = format!("{kind} --max_train_steps=3 --save_every_n_steps=1");
        let plain = bench.bake(&format!("{index}-plain"), &words);
        let averaged = bench.bake(&format!("{index}-ema"), &format!("{words} --ema_decay=0.1"));
        assert_eq!(LoraFile::open(&averaged.file).unwrap().metadata["lorabake_ema_decay"], "0.1");
        let values = |out: &str, file: &str| {
            let file = LoraFile::open(&bench.path(&format!("{index}-{out}/{file}.safetensors"))).unwrap();
            let tensors = file.modules.into_iter().flat_map(|module| module.tensors.into_values());
            tensors.flat_map(|tensor| tensor.values).collect::<Vec<f32>>()
        };
        let steps = ["cat-step00000001", "cat-step00000002", "cat"].map(|file| values("plain", file));
        assert_eq!(values("ema", "cat-step00000001"), steps[0], "{kind}: the first step is the average of itself");
        let ours = values("ema", "cat");
        // LoHa and its like are stored as they are trained, so that the mean of the files is the file of the mean.
        let (mut error, mut size, mut apart) = (0.0, 0.0, 0.0);
        for (place, ours) in ours.iter().enumerate() {
            let [first, second, third] = std::array::from_fn(|step| f64::from(steps[step][place]));
            let mean = 0.1 * (0.1 * first + 0.9 * second) + 0.9 * third;
            error += (f64::from(*ours) - mean).powi(2);
            (size, apart) = (size + mean.powi(2), apart + (third - mean).powi(2));
        }
        assert!(error < 1e-12 * size && apart > 1e-8 * size, "{kind}: {error} {apart} {size}");
        assert!(plain.file.exists());
    }
}
