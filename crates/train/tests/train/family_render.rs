//! Pictures of SD2.x with v-prediction and of SDXL with a LoRA against diffusers' own pipelines, which load the same LoRA
//! by its names.
//!
//! The golden files come from `oracle/family_render.py`; `render_sdxl_lora.safetensors` is what `lorabake train` made of
//! the conformance pack's square images in eight steps (rank 1, rate 2e-2), UNet and both text encoders.

use std::path::{Path, PathBuf};

use lorabake_diffusion::Sampler;
use lorabake_generate::sample::{LoraUse, Picture, Pipeline, Request};
use lorabake_lora::Strength;
use lorabake_model::WeightDtypes;
use lorabake_ops::WeightDtype;
use lorabake_testkit::{Golden, relative_error, tiny};
use lorabake_weights::Checkpoint;

/// Relative to the norm; six guided steps in f32 against f64.
const TOLERANCE: f64 = 1e-4;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn painter(checkpoint: Vec<u8>) -> Pipeline {
    let checkpoint = Checkpoint::from_bytes("tiny", checkpoint.into()).unwrap();
    Pipeline::load(&checkpoint, WeightDtypes::all(WeightDtype::F32)).unwrap()
}

/// The picture that the golden file has, with the LoRAs that it had.
fn paint(painter: &Pipeline, golden: &Golden, loras: Vec<LoraUse>) -> Picture {
    let request = Request {
        prompt: "a copper penny, front view".into(),
        negative_prompt: "blurry".into(),
        loras,
        width: 64,
        height: 64,
        steps: 6.try_into().unwrap(),
        cfg_scale: 7.5,
        seed: 0,
        sampler: Sampler::DdimDiffusers,
        clip_skip: 1,
        noise: Some(golden.numbers("start").to_vec()),
    };
    painter.paint(&request, &mut |_, _| ()).unwrap()
}

#[test]
fn sd2_with_v_prediction() {
    let golden = Golden::open(golden("render_sd2.safetensors"));
    let picture = paint(&painter(tiny::sd2()).of_velocities(), &golden, vec![]);
    golden.check("latent", &picture.latent, TOLERANCE);
    golden.check("image", &picture.image, TOLERANCE);
    // A file that says so needs no option.
    let says = painter(tiny::sd2_with_metadata(&[("modelspec.architecture", "stable-diffusion-v2-768-v")]));
    assert_eq!(paint(&says, &golden, vec![]).rgb, picture.rgb);
    let noise = paint(&painter(tiny::sd2()), &golden, vec![]);
    assert!(relative_error(&noise.latent, golden.numbers("latent")) > 0.1);
}

#[test]
fn sdxl_with_a_lora() {
    let file = Golden::open(golden("render_sdxl.safetensors"));
    let painter = painter(tiny::sdxl());
    let strength = Strength { text: 4.0, unet: 4.0 };
    let picture = paint(&painter, &file, vec![LoraUse { path: golden("render_sdxl_lora.safetensors"), strength }]);
    file.check("latent", &picture.latent, TOLERANCE);
    file.check("image", &picture.image, TOLERANCE);
    // The comparison can see the LoRA: diffusers finds that it moves the latent by 7 %.
    assert!(relative_error(&paint(&painter, &file, vec![]).latent, file.numbers("latent")) > 0.05);
}
