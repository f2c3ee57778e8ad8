//! Whole bakes on a tiny model: what is saved, how often, and the laws that hold between runs.

use std::collections::BTreeMap;

use lorabake_lora::LoraNetwork;

use crate::sandbox::{Baked, Sandbox, bundle, lora_error};

const BASE: &str = "--learning_rate=1e-3 --network_alpha=1";

#[test]
fn a_bake_saves_what_was_asked_for_and_learns() {
    let sandbox = Sandbox::with_images(BASE, &[[64, 64], [96, 64], [80, 80]]);
    let run = sandbox.bake("out", "--max_train_epochs=3 --save_every_n_epochs=1 --save_every_n_steps=4");
    assert_eq!((run.outcome.steps, run.outcome.planned), (18, 18));
    let steps = [4, 8, 12, 16].map(|step| format!("cat-step{step:08}.safetensors"));
    let mut expected = vec!["cat-000001.safetensors".to_string(), "cat-000002.safetensors".into()];
    expected.extend(steps);
    expected.push("cat.safetensors".into());
    expected.sort();
    assert_eq!(sandbox.files("out"), expected);
    let lora = run.lora;
    assert_eq!(lora.modules.len(), 264);
    assert!(
        lora.modules.iter().any(|module| module.tensors["lora_up.weight"].values.iter().any(|x| x.abs() > 1e-4)),
        "nothing was learned"
    );
    assert_eq!(lora.metadata["ss_steps"], "18");
    assert_eq!(lora.metadata["ss_epoch"], "3");
    let out = sandbox.path("out");
    let folder = out.parent().unwrap().to_string_lossy();
    assert!(!lora.metadata["lorabake_recipe"].contains(&*folder), "folders stay private");
    assert_eq!(LoraNetwork::from_file(&lora, "cat", &bundle()).unwrap().modules.len(), 264);
}

#[test]
fn the_same_seed_gives_the_same_weights() {
    let sandbox = Sandbox::with_images(BASE, &[[64, 64], [70, 64]]);
    let more = "--max_train_steps=3 --train_batch_size=2 --shuffle_caption --flip_aug --noise_offset=0.1";
    let [a, b] = ["a", "b"].map(|out| sandbox.bake(out, more));
    assert_eq!(a.losses(), b.losses());
    assert_eq!(lora_error(&a.lora, &b.lora), 0.0);
    let other = sandbox.bake("c", &format!("{more} --seed=8"));
    assert!(lora_error(&a.lora, &other.lora) > 1e-3);
}

#[test]
fn every_caption_noise_and_loss_option_changes_what_is_learned() {
    let sandbox = Sandbox::with_images(BASE, &[[64, 64], [70, 64]]);
    for image in ["0", "1"] {
        let caption = "cat, {red|blue}, grass;;;sky ||| tree, day\ndog, river, hill, cloud, stone\n";
        sandbox.write(&format!("train/2_cat/{image}.txt"), caption);
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
    let losses =
        |options: &str| sandbox.bake("out", &format!("--max_train_steps=2 --cache_latents {options}")).losses();
    let mut known: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (needs, option) in options {
        let without = known.entry(needs).or_insert_with(|| losses(needs)).clone();
        assert_ne!(without, losses(&format!("{needs} {option}")), "{option} changes nothing");
    }
}

#[test]
fn random_crops_are_drawn_anew_and_only_where_there_is_something_to_crop() {
    let bake = |sandbox: &Sandbox, more: &str| sandbox.bake("out", &format!("--max_train_steps=3 --flip_aug {more}"));
    let told = |run: &Baked| run.notes().contains("random_crop");
    let tall = Sandbox::with_images(BASE, &[[64, 96]]);
    let (plain, random) = (bake(&tall, ""), bake(&tall, "--random_crop"));
    assert_ne!(plain.losses(), random.losses());
    assert_eq!(random.losses(), bake(&tall, "--random_crop").losses());
    assert!(!told(&random));
    assert_eq!(random.lora.metadata["ss_random_crop"], "True");
    // Nothing of a square image is cropped away.
    let square = Sandbox::with_images(BASE, &[[80, 80]]);
    let (plain, random) = (bake(&square, ""), bake(&square, "--random_crop"));
    assert_eq!(plain.losses(), random.losses());
    assert!(told(&random));
}

#[test]
fn a_stop_ends_after_the_step_and_saves() {
    let sandbox = Sandbox::with_images(BASE, &[[64, 64]]);
    let run = sandbox.bake_and_stop("out", "--max_train_epochs=50");
    assert_eq!((run.outcome.steps, run.outcome.planned), (1, 100));
    assert_eq!(sandbox.files("out"), ["cat.safetensors"]);
    assert_eq!(run.lora.metadata["ss_steps"], "1");
}

#[test]
fn weights_can_be_trained_on() {
    let sandbox = Sandbox::with_images(BASE, &[[64, 64]]);
    let first = sandbox.bake("a", "--max_train_steps=2 --network_args conv_dim=1").lora;
    let from = "--network_weights=HERE/a/cat.safetensors --dim_from_weights";
    let second = sandbox.bake("b", &format!("--max_train_steps=1 --learning_rate=1e-9 {from}")).lora;
    assert!(lora_error(&second, &first) < 1e-5, "the second run begins where the first ended");
    assert_eq!(second.metadata["ss_network_dim"], "2");
    assert_eq!(second.modules.len(), 350);
}

#[test]
fn only_what_is_asked_for_is_trained() {
    let sandbox = Sandbox::with_images(BASE, &[[64, 64]]);
    for (option, prefix, count) in
        [("--network_train_unet_only", "lora_unet_", 192), ("--network_train_text_encoder_only", "lora_te_", 72)]
    {
        let lora = sandbox.bake(prefix, &format!("--max_train_steps=2 {option}")).lora;
        assert_eq!(lora.modules.len(), count);
        assert!(lora.modules.iter().all(|module| module.name.starts_with(prefix)));
        assert!(lora.modules.iter().any(|module| module.tensors["lora_up.weight"].values.iter().any(|x| *x != 0.0)));
    }
}

#[test]
fn bf16_weights_give_nearly_the_same_loss() {
    let sandbox = Sandbox::with_images(BASE, &[[64, 64]]);
    let [exact, rounded] =
        ["no", "bf16"].map(|p| sandbox.bake(p, &format!("--max_train_steps=4 --mixed_precision={p}")).losses());
    for (a, b) in exact.into_iter().zip(rounded) {
        assert!(a != b && (a - b).abs() < 0.01 * a, "{a} and {b}");
    }
}

#[test]
fn a_resumed_run_ends_in_the_same_numbers() {
    let sandbox = Sandbox::with_images(BASE, &[[64, 64], [64, 64], [96, 64]]);
    // 6 uses in batches of 2, two batches a step: 2 steps an epoch; step 3 is in the middle of the second.
    let common = "--max_train_steps=5 --train_batch_size=2 --gradient_accumulation_steps=2 --shuffle_caption \
                  --flip_aug --lr_scheduler=cosine";
    for optimizer in ["AdamW", "AdamW8bit", "Prodigy", "DAdaptAdam"] {
        let more = format!("{common} --optimizer_type={optimizer} --learning_rate=0.5");
        let whole = sandbox.bake(&format!("{optimizer}-whole"), &more);
        sandbox.bake(&format!("{optimizer}-first"), &format!("{more} --save_state --save_every_n_steps=3"));
        let resume = format!("--resume=HERE/{optimizer}-first/cat-step00000003-state");
        let rest = sandbox.bake(&format!("{optimizer}-rest"), &format!("{more} {resume}"));
        assert_eq!(rest.losses(), whole.losses()[3..], "{optimizer}");
        assert_eq!(rest.outcome.average, whole.outcome.average, "{optimizer}");
        assert_eq!(lora_error(&rest.lora, &whole.lora), 0.0, "{optimizer}");
    }
}

#[test]
fn a_state_that_does_not_fit_is_refused() {
    let sandbox = Sandbox::with_images(BASE, &[[64, 64]]);
    sandbox.bake("a", "--max_train_steps=1 --save_state_on_train_end");
    assert_eq!(sandbox.files("a"), ["cat-state", "cat.safetensors"]);
    for (more, said) in [
        ("--max_train_steps=1", "stands at step 1 and the run ends at 1"),
        ("--max_train_steps=2 --seed=9", "has seed 7"),
        ("--max_train_steps=2 --network_dim=3", "another rank"),
        ("--max_train_steps=2 --network_alpha=2", "another --network_alpha"),
        ("--max_train_steps=2 --optimizer_type=Lion", "another optimizer"),
        ("--max_train_steps=2 --resume=nowhere", "there is no lorabake_state.safetensors"),
    ] {
        let error = sandbox.error("b", &format!("--resume=HERE/a/cat-state {more}"));
        assert!(error.contains(said), "{error}");
        assert!(!sandbox.path("b").exists());
    }
}
