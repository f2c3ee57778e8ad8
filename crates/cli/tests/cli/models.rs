//! Checkpoints and LoRAs of other programs as a user gives them: what is used, with a note or without, and what is named.

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::sandbox::{Done, Sandbox, lora_tensors};

const SD15: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny/sd15_tiny.safetensors");

/// What is changed in the small checkpoint of SD1.x.
#[derive(Default)]
struct Changes<'c> {
    /// Tensors are left out whose names begin so.
    without: &'c [&'c str],
    /// Tensors of zeros are added.
    with: &'c [(&'c str, &'c [usize])],
    /// The first value of this tensor is not a number.
    nan: &'c str,
}

fn changed(changes: &Changes<'_>) -> Vec<u8> {
    let bytes = std::fs::read(SD15).unwrap();
    let whole = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = Vec::new();
    for (name, view) in whole.tensors() {
        if changes.without.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        let mut data = view.data().to_vec();
        if name == changes.nan {
            let nan: &[u8] = if view.dtype() == Dtype::F32 { &[0, 0, 0xc0, 0x7f] } else { &[0xff, 0xff] };
            data[..nan.len()].copy_from_slice(nan);
        }
        tensors.push((name, view.dtype(), view.shape().to_vec(), data));
    }
    for (name, shape) in changes.with {
        let data = vec![0; 4 * shape.iter().product::<usize>()];
        tensors.push((name.to_string(), Dtype::F32, shape.to_vec(), data));
    }
    let mut views = Vec::new();
    for (name, dtype, shape, data) in &tensors {
        views.push((name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
    }
    safetensors::serialize(views, None).unwrap()
}

/// A folder with two images and the checkpoint `m.safetensors`.
fn sandbox(changes: &Changes<'_>) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.images("set/1_penny", 2);
    sandbox.write("m.safetensors", changed(changes));
    sandbox
}

fn train(sandbox: &Sandbox, more: &[&str]) -> Done {
    let fixed = ["--pretrained_model_name_or_path=m.safetensors", "--max_train_steps=1"];
    sandbox.train(&[&fixed[..], more].concat())
}

/// The same for `plan` and for `generate`.
fn plan_and_generate(sandbox: &Sandbox, more: &[&str]) -> [Done; 2] {
    let model = "--pretrained_model_name_or_path=m.safetensors";
    let mut plan = Sandbox::training(&[&[model][..], more].concat());
    plan[0] = "plan";
    let generate =
        ["generate", "--prompt=x", "--out=x.png", "--width=64", "--height=64", "--steps=2", "--seed=1", model];
    [sandbox.run(&plan), sandbox.run(&[&generate[..], more].concat())]
}

/// Marks of v-prediction have any shape, most often none.
#[test]
fn empty_marks_of_v_prediction_are_as_good_as_others() {
    let lora = |shape: &[usize]| {
        let sandbox = sandbox(&Changes { with: &[("v_pred", shape), ("ztsnr", shape)], ..Changes::default() });
        let done = train(&sandbox, &[]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stderr.contains("the checkpoint says that it predicts v"), "{}", done.stderr);
        assert!(done.stderr.contains("zero_terminal_snr"), "{}", done.stderr);
        for done in plan_and_generate(&sandbox, &[]) {
            assert_eq!(done.code, 0, "{}", done.stderr);
        }
        lora_tensors(&sandbox.path("out/last.safetensors"))
    };
    let expected = lora(&[1]);
    assert!(lora(&[0]) == expected && lora(&[]) == expected);
}

/// Whole or half, what `--vae` gives need not be in the checkpoint.
#[test]
fn a_checkpoint_without_vae_trains_with_another() {
    let whole = sandbox(&Changes::default());
    assert_eq!(train(&whole, &[]).code, 0);
    let expected = lora_tensors(&whole.path("out/last.safetensors"));
    for (without, said) in [
        ("first_stage_model.", "it has no VAE; give one by --vae FILE"),
        ("first_stage_model.encoder.", "its VAE has no encoder (only the decoder); give a whole VAE by --vae FILE"),
        ("first_stage_model.decoder.", "its VAE has no decoder (only the encoder); give a whole VAE by --vae FILE"),
    ] {
        let sandbox = sandbox(&Changes { without: &[without], ..Changes::default() });
        train(&sandbox, &[]).refused(1, &["m.safetensors", said]);
        for done in plan_and_generate(&sandbox, &[]) {
            done.refused(1, &["m.safetensors", said]);
        }
        let done = train(&sandbox, &["--vae", SD15]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(lora_tensors(&sandbox.path("out/last.safetensors")) == expected, "{without}");
        for done in plan_and_generate(&sandbox, &["--vae", SD15]) {
            assert_eq!(done.code, 0, "{}", done.stderr);
        }
    }
}

/// A piece that is no part of a VAE makes none.
#[test]
fn a_left_over_is_no_half_of_a_vae() {
    let changes = Changes { without: &["first_stage_model."], with: &[("first_stage_model.x", &[1])], nan: "" };
    let sandbox = sandbox(&changes);
    train(&sandbox, &[]).refused(1, &["m.safetensors", "it has no VAE; give one by --vae FILE"]);
}

#[test]
fn a_checkpoint_without_text_encoder_is_named() {
    for (without, said) in [
        (&["cond_stage_model."][..], "it has no text encoder; use a whole checkpoint of SD1.x"),
        (&["cond_stage_model.", "first_stage_model."], "it has no VAE and no text encoder; use a whole checkpoint"),
        (&["model.diffusion_model."], "it is of SD1.x and has no UNet; use a whole checkpoint"),
        (&["model.diffusion_model.", "cond_stage_model."], "it is a VAE, not a checkpoint (it has no UNet)"),
    ] {
        let sandbox = sandbox(&Changes { without, ..Changes::default() });
        train(&sandbox, &["--vae", SD15]).refused(1, &["m.safetensors", said.split(" no VAE and").next().unwrap()]);
        train(&sandbox, &[]).refused(1, &["m.safetensors", said]);
    }
}

#[test]
fn left_overs_in_a_checkpoint_are_a_note() {
    let with: &[(&str, &[usize])] = &[("merge_recipe", &[3]), ("first_stage_model.old", &[0])];
    let sandbox = sandbox(&Changes { with, ..Changes::default() });
    let said = "m.safetensors: 2 tensors belong to no part of the model and are not used";
    for done in plan_and_generate(&sandbox, &[]).into_iter().chain([train(&sandbox, &[])]) {
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stderr.contains(said), "{}", done.stderr);
    }
}

/// What is not a number in the model is blamed on the model, where it is used.
#[test]
fn a_weight_that_is_not_a_number_is_named() {
    let unet = "model.diffusion_model.middle_block.0.in_layers.2.weight";
    let norm = "model.diffusion_model.out.0.weight";
    let text = "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight";
    let encoder = "first_stage_model.encoder.conv_in.weight";
    let decoder = "first_stage_model.decoder.conv_out.weight";
    let damaged = "holds values that are not finite; the file is damaged, or was merged wrongly; use another copy";
    for (nan, in_training, in_pictures) in [
        (unet, true, true),
        (norm, true, true),
        (text, true, true),
        (encoder, true, false),
        (decoder, false, true),
        ("first_stage_model.decoder.norm_out.bias", false, true),
    ] {
        let sandbox = sandbox(&Changes { nan, ..Changes::default() });
        let said = format!("m.safetensors: {nan} {damaged}");
        let advice = if nan.starts_with("first_stage_model.") { "or another VAE by --vae FILE" } else { "" };
        let [_, painted] = plan_and_generate(&sandbox, &[]);
        for (done, is_used) in [(train(&sandbox, &[]), in_training), (painted, in_pictures)] {
            if is_used {
                done.refused(1, &[&said, advice]);
            } else {
                assert_eq!(done.code, 0, "{nan}: {}", done.stderr);
            }
        }
    }
}

/// A LoRA with embeddings beside it, as OneTrainer writes it, is used like one without.
#[test]
fn a_lora_with_bundled_embeddings_is_used() {
    let layer = "lora_te_text_model_encoder_layers_0_self_attn_k_proj";
    let values: Vec<u8> = (0..40).flat_map(|n| (n as f32 / 10.0 - 2.0).to_le_bytes()).collect();
    let file = |embeddings: &[&str]| {
        let names = [format!("{layer}.lora_down.weight"), format!("{layer}.lora_up.weight")];
        let view = |shape: [usize; 2]| TensorView::new(Dtype::F32, shape.to_vec(), &values).unwrap();
        let mut views = vec![(names[0].as_str(), view([1, 40])), (names[1].as_str(), view([40, 1]))];
        views.extend(embeddings.iter().map(|name| (*name, view([1, 40]))));
        safetensors::serialize(views, None).unwrap()
    };
    let sandbox = Sandbox::new();
    sandbox.images("set/1_penny", 1);
    sandbox.write("plain.safetensors", file(&[]));
    sandbox.write("bundled.safetensors", file(&["bundle_emb.penny.string_to_param.*"]));
    sandbox.write(
        "two.safetensors",
        file(&["bundle_emb.penny.clip_l", "bundle_emb.penny.clip_g", "bundle_emb.cat.clip_l"]),
    );
    // Training does without them, and says so.
    for (name, note) in [
        ("plain", ""),
        ("bundled", "bundled.safetensors: the embedding penny in it is not used, the LoRA is"),
        ("two", "two.safetensors: the embeddings cat, penny in it are not used, the LoRA is"),
    ] {
        let prompt = format!("--prompt=fox <lora:{name}:1>");
        let out = format!("--out={name}.png");
        let options = ["generate", &prompt, "--lora_dir=.", "--width=64", "--height=64", "--steps=2", "--seed=1", &out];
        let done = sandbox.run(&options);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(sandbox.pixels(&format!("{name}.png")), sandbox.pixels("plain.png"));
        let weights = format!("--network_weights={name}.safetensors");
        let done = sandbox.train(&[&weights, "--dim_from_weights", "--max_train_steps=1"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(done.stderr.contains(note), "{}", done.stderr);
    }
}
