//! A picture against diffusers' own pipeline, the same LoRA loaded by diffusers and peft.
//!
//! The golden file comes from
//! `python oracle/render_check.py models/tiny/sd15_tiny.safetensors crates/train/tests/golden/render_lora.safetensors
//! "a copper penny, front view" render.png --negative blurry --latent START --steps 6 --multiplier 4
//! --text-heads 2`, where START holds `latent` = `start` of the golden file. `render_lora.safetensors` is the file that
//! sd-scripts saved at the end of the conformance pack's trace `n_fp16save`.

use std::path::{Path, PathBuf};

use lorabake_diffusion::Sampler;
use lorabake_generate::sample::{LoraUse, Picture, Pipeline, Request};
use lorabake_lora::Strength;
use lorabake_ops::WeightDtype;
use lorabake_testkit::{Golden, relative_error};

use crate::sandbox::pipeline;

/// Relative to the norm; f32 on both sides, six guided steps.
const TOLERANCE: f64 = 1e-4;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn request(strength: f64) -> Request {
    let path = here("tests/golden/render_lora.safetensors");
    Request {
        prompt: "a copper penny, front view".into(),
        negative_prompt: "blurry".into(),
        loras: vec![LoraUse { path, strength: Strength { text: strength, unet: strength } }],
        width: 64,
        height: 64,
        steps: 6.try_into().unwrap(),
        cfg_scale: 7.5,
        seed: 0,
        sampler: Sampler::DdimDiffusers,
        clip_skip: 1,
        noise: None,
    }
}

fn paint(painter: &Pipeline, request: &Request) -> Picture {
    painter.paint(request, &mut |_, _| ()).unwrap()
}

#[test]
fn a_picture_with_a_lora_equals_that_of_diffusers() {
    let golden = Golden::open(here("tests/golden/render.safetensors"));
    let painter = pipeline(WeightDtype::F32);
    let noise = Some(golden.numbers("start").to_vec());
    let mut steps = Vec::new();
    let picture = painter
        .paint(&Request { noise: noise.clone(), ..request(4.0) }, &mut |done, total| steps.push((done, total)))
        .unwrap();
    assert_eq!(steps, [(1, 6), (2, 6), (3, 6), (4, 6), (5, 6), (6, 6)]);
    golden.check("latent", &picture.latent, TOLERANCE);
    golden.check("image", &picture.image, TOLERANCE);
    // The comparison can see the LoRA: diffusers finds that it moves the latent by 7 %.
    let plain = paint(&painter, &Request { noise, loras: vec![], ..request(0.0) });
    assert!(relative_error(&plain.latent, golden.numbers("latent")) > 0.05);
}

#[test]
fn a_seed_gives_the_same_picture_again() {
    let painter = pipeline(WeightDtype::F32);
    for sampler in [Sampler::DdimDiffusers, Sampler::EulerA] {
        let first = paint(&painter, &Request { sampler, ..request(1.0) });
        let again = paint(&painter, &Request { sampler, ..request(1.0) });
        let other = paint(&painter, &Request { sampler, seed: 1, ..request(1.0) });
        assert_eq!(first.rgb, again.rgb);
        assert!(relative_error(&other.latent, &first.latent) > 0.1, "{sampler:?}");
        assert_eq!(first.rgb.len(), 64 * 64 * 3);
    }
}

#[test]
fn strength_zero_is_no_lora_and_two_halves_are_one_whole() {
    let painter = pipeline(WeightDtype::F32);
    let plain = paint(&painter, &Request { loras: vec![], ..request(0.0) });
    assert_eq!(paint(&painter, &request(0.0)).rgb, plain.rgb);
    let whole = paint(&painter, &request(4.0));
    let half = request(2.0);
    let loras = [half.loras.clone(), half.loras.clone()].concat();
    let halves = paint(&painter, &Request { loras, ..half });
    assert!(relative_error(&whole.latent, &plain.latent) > 0.05);
    assert!(relative_error(&halves.latent, &whole.latent) < 1e-4);
}

/// sd-scripts and the web UI skip layers for both prompts; diffusers' pipeline does not for the negative one, so that it
/// is no reference here.
#[test]
fn clip_skip_is_for_both_prompts() {
    let painter = pipeline(WeightDtype::F32);
    let same = Request { negative_prompt: request(1.0).prompt, clip_skip: 2, ..request(1.0) };
    let guided = paint(&painter, &same);
    let plain = paint(&painter, &Request { cfg_scale: 1.0, ..same.clone() });
    assert!(relative_error(&guided.latent, &plain.latent) < 1e-4);
    assert!(relative_error(&paint(&painter, &Request { clip_skip: 1, ..same }).latent, &guided.latent) > 0.01);
}

#[test]
fn long_prompts_are_read_to_token_225() {
    let painter = pipeline(WeightDtype::F32);
    let prompt = |words: usize, end: &str| format!("{}{end}", "penny ".repeat(words));
    let paint = |words: usize, end: &str| paint(&painter, &Request { prompt: prompt(words, end), ..request(1.0) });
    for words in [70, 120, 200] {
        assert_ne!(paint(words, "red").latent, paint(words, "blue").latent, "{words}");
    }
    assert_eq!(paint(225, "red").latent, paint(225, "blue").latent);
    assert_eq!(painter.cut_off(&prompt(225, "red")), 1);
}

#[test]
fn bf16_storage_changes_a_picture_little() {
    let exact = paint(&pipeline(WeightDtype::F32), &request(1.0));
    let rounded = paint(&pipeline(WeightDtype::Bf16), &request(1.0));
    let error = relative_error(&rounded.latent, &exact.latent);
    // The tiny checkpoint is stored in f16, so bf16 has to round; eight bits of mantissa move each weight by 0.4 %.
    assert!(error > 0.0 && error < 0.1, "{error}");
}

#[test]
fn contradictions_are_refused() {
    let painter = pipeline(WeightDtype::F32);
    for (request, said) in [
        (Request { width: 60, ..request(1.0) }, "--width 60 --height 64"),
        (Request { clip_skip: 13, ..request(1.0) }, "--clip_skip 13"),
        (Request { noise: Some(vec![0.0; 3]), ..request(1.0) }, "--latent has 3 values"),
    ] {
        let error = painter.paint(&request, &mut |_, _| ()).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
