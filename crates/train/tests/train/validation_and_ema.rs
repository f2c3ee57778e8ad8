//! What is watched and saved beside the training: validation with held-out images, and averaged weights. Neither may
//! change what is learned, and both go on after a stop.

use lorabake_generate::sample::LoraUse;
use lorabake_lora::{LoraNetwork, Strength};
use lorabake_ops::WeightDtype;
use lorabake_recipe::seed::Seed;
use lorabake_testkit::{Golden, relative_error};
use lorabake_train::event::{Event, Painted};
use lorabake_train::update::ema::Ema;
use lorabake_train::update::max_norm::limit_norms;
use lorabake_weights::lora::LoraFile;

use crate::sandbox::{Baked, Sandbox, bundle, numbers, pipeline, recipe};

/// A sandbox with so many images.
fn images(count: usize) -> Sandbox {
    Sandbox::with_images("--learning_rate=1e-2 --network_alpha=1", &vec![[64, 64]; count])
}

/// The loss of each validation.
fn held_out_losses(run: &Baked) -> Vec<f64> {
    run.validations().iter().map(|own| own.loss).collect()
}

/// Everything that chance has a hand in.
const CHANCE: &str = "--cache_latents --flip_aug --shuffle_caption --caption_tag_dropout_rate=0.3 --noise_offset=0.1 \
                      --network_dropout=0.2 --min_snr_gamma=5 --ip_noise_gamma=0.1 --train_batch_size=2 --max_train_epochs=2";

#[test]
fn training_does_not_know_of_the_validation() {
    let sandbox = images(5);
    sandbox.images("reg/1_animal", &[[64, 64]; 2]);
    let reg = format!("{CHANCE} --reg_data_dir=HERE/reg");
    let with =
        sandbox.bake("with", &format!("{reg} --validation_split=0.4 --validation_seed=3 --validate_every_n_steps=1"));
    let metadata = &with.lora.metadata;
    assert_eq!((&*metadata["ss_num_validation_images"], &*metadata["ss_num_train_images"]), ("2", "6"));
    // `random.seed(3)` and `random.shuffle` put 4 and 1 last.
    for held in [4, 1] {
        std::fs::remove_file(sandbox.path(&format!("train/2_cat/{held}.png"))).unwrap();
    }
    let without = sandbox.bake("without", &reg);
    assert!(without.validations().is_empty());
    assert!(with.tensors == without.tensors, "other numbers");
}

#[test]
fn the_loss_of_a_validation_depends_on_the_weights_alone() {
    let sandbox = images(6);
    // Nothing is learned, so that every validation has to find the same.
    let still = "--learning_rate=1e-30 --validation_split=0.5 --max_train_epochs=3";
    let whole = sandbox.bake("a", &format!("{still} --validate_every_n_steps=4 --noise_offset=0.1"));
    let when: Vec<_> = whole.validations().iter().map(|own| (own.step, own.epoch)).collect();
    assert_eq!(when, [(4, None), (6, Some(1)), (8, None), (12, None), (12, Some(2)), (16, None), (18, Some(3))]);
    let losses = held_out_losses(&whole);
    assert!(losses[0] > 0.0 && losses.iter().all(|loss| *loss == losses[0]), "{losses:?}");
    // Neither batches nor anything that chance does to the training images matters.
    let other = "--train_batch_size=2 --flip_aug --shuffle_caption --caption_dropout_rate=0.9 --color_aug \
                 --network_dropout=0.5 --noise_offset=0.1 --max_train_steps=3";
    let same = held_out_losses(&sandbox.bake("b", &format!("{still} {other}")))[0];
    assert!((same - losses[0]).abs() < 1e-5 * losses[0], "{same} {}", losses[0]);
    let far = |words: &str| {
        let run = sandbox.bake("c", &format!("{still} --max_train_epochs=1 {words}"));
        let loss = held_out_losses(&run)[0];
        (loss - losses[0]).abs() > 1e-3 * losses[0]
    };
    assert!(far("--noise_offset=0.1 --validation_seed=8"), "another seed, other images and noise");
    assert!(far("--noise_offset=0.1 --max_validation_steps=1"), "fewer images");
    assert!(far("--noise_offset=0.1 --min_timestep=900"), "other timesteps");
    assert!(far(""), "without noise offset");
    let rare = sandbox.bake("d", &format!("{still} --validate_every_n_epochs=2"));
    assert_eq!(rare.validations().iter().map(|own| own.epoch).collect::<Vec<_>>(), [Some(2)]);
}

#[test]
fn validation_follows_what_is_learned() {
    let sandbox = images(4);
    let run = sandbox.bake("a", "--validation_split=0.25 --max_train_epochs=4 --learning_rate=2e-2");
    let losses = held_out_losses(&run);
    assert!(losses.windows(2).all(|pair| pair[0] != pair[1]), "{losses:?}");
    let average = |event: &Event| if let Event::EpochEnded { average, .. } = event { Some(*average) } else { None };
    let averages: Vec<f64> = run.events.iter().filter_map(average).collect();
    for (own, average) in run.validations().iter().zip(averages) {
        assert!((own.loss - own.divergence - average).abs() < 1e-12);
    }
}

#[test]
fn a_resumed_run_keeps_what_is_held_out() {
    let sandbox = images(5);
    let words = "--validation_split=0.4 --max_train_steps=5 --ema_decay=0.9 --flip_aug --shuffle_caption";
    let whole = sandbox.bake("whole", words);
    sandbox.bake("first", &format!("{words} --save_state --save_every_n_steps=2"));
    let state = "--resume=HERE/first/cat-step00000002-state";
    let rest = sandbox.bake("rest", &format!("{words} {state}"));
    assert!(rest.tensors == whole.tensors);
    assert_eq!(held_out_losses(&rest), held_out_losses(&whole));

    let other = sandbox.error("b", &format!("{words} --validation_seed=1 {state}"));
    assert!(other.contains("was trained on and would be held out now"), "{other}");
    let none = words.replace("--validation_split=0.4", "");
    let told = sandbox.bake("c", &format!("{none} {state}")).notes();
    assert!(told.contains("2 images that were held out are so no longer"), "{told}");
    let plain = words.replace("--ema_decay=0.9", "");
    let error = sandbox.error("b", &format!("{plain} {state}"));
    assert!(error.contains("give the --ema_decay of the first run"), "{error}");
    sandbox.bake("plain", &format!("{plain} --save_state --save_every_n_steps=2"));
    let error = sandbox.error("d", &format!("{words} --resume=HERE/plain/cat-step00000002-state"));
    assert!(error.contains("no averaged weights; leave --ema_decay out"), "{error}");
}

fn fresh() -> LoraNetwork {
    LoraNetwork::fresh(&recipe("").network, &bundle(), Seed(3))
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
    let sandbox = images(2);
    sandbox.write("prompts.txt", "a cat --w 64 --h 64 --s 2 --d 5\n");
    let painted = |decay: &str| {
        let sampling = "--sample_every_n_steps=3 --sample_prompts=HERE/prompts.txt";
        let run = sandbox.bake(&format!("out{decay}"), &format!("--max_train_steps=3 {decay} {sampling}"));
        (run.pictures()[0].clone(), run.outcome.file)
    };
    let (Painted { picture, mut request, .. }, path) = painted("--ema_decay=0.9");
    request.loras = vec![LoraUse { path, strength: Strength::FULL }];
    let again = pipeline(WeightDtype::F32).paint(&request, &mut |_, _| ()).unwrap();
    assert!(relative_error(&picture.latent, &again.latent) < 1e-5);
    assert!(relative_error(&painted("").0.picture.latent, &again.latent) > 1e-3);
}

/// Averages every kind of adapter: the file holds the mean of the steps' files, weighted as the decay has it.
#[test]
fn files_hold_the_average_of_the_steps() {
    let sandbox = images(2);
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
        let plain = sandbox.bake(&format!("{index}-plain"), &words);
        let averaged = sandbox.bake(&format!("{index}-ema"), &format!("{words} --ema_decay=0.1"));
        assert_eq!(averaged.lora.metadata["lorabake_ema_decay"], "0.1");
        let values = |out: &str, file: &str| {
            let path = sandbox.path(&format!("{index}-{out}/{file}.safetensors"));
            numbers(&LoraFile::open(&path).unwrap())
        };
        let steps = ["cat-step00000001", "cat-step00000002", "cat"].map(|file| values("plain", file));
        assert_eq!(values("ema", "cat-step00000001"), steps[0], "{kind}: the first step is the average of itself");
        let ours = values("ema", "cat");
        // LoHa and its like are stored as they are trained, so that the mean of the files is the file of the mean.
        let mut means = Vec::new();
        for (place, third) in steps[2].iter().enumerate() {
            let first = 0.1 * f64::from(steps[0][place]);
            let second = 0.9 * f64::from(steps[1][place]);
            means.push(0.1 * (first + second) + 0.9 * f64::from(*third));
        }
        let error = relative_error(&ours, &means);
        let apart = relative_error(&steps[2], &means);
        assert!(error < 1e-6 && apart > 1e-4, "{kind}: {error} {apart}");
        assert!(plain.outcome.file.exists());
    }
}
