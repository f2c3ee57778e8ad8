//! What sd-scripts' `gen_img.py` adds to guidance: a scale of its own for the negative prompt, and sizes that SDXL is told.

use lorabake_diffusion::{Sampler, Scheduler};
use lorabake_generate::conditioning::ToldSizes;
use lorabake_generate::nets::Nets;
use lorabake_generate::painter::Painter;
use lorabake_generate::request::Request;
use lorabake_testkit::relative_max_error;

use crate::asked::{painter_of, request};

/// Rounding of 32-bit floats in sums of three predictions.
const TOLERANCE: f64 = 1e-4;

/// A picture of one step, whose latents are what the guided network foresees.
fn one_step(texts: [&str; 2], cfg_scale: f64) -> Request {
    let mut request = request("pocket", "ddim", [64, 64]);
    request.prompt = texts[0].to_owned();
    request.negative_prompt = texts[1].to_owned();
    request.sampling.sampler = Sampler::Euler;
    request.sampling.scheduler = Scheduler::Automatic;
    request.sampling.steps = 1;
    request.sampling.cfg_scale = cfg_scale;
    request
}

fn latent(painter: &Painter, request: &Request) -> Vec<f32> {
    painter.paint(request, &Nets::default(), None, &mut |_| Ok(())).unwrap().latent
}

#[test]
fn a_negative_scale_leads_away_from_the_negative_prompt_by_itself() {
    let painter = painter_of("pocket");
    let toward = latent(&painter, &one_step(["fox", ""], 5.0));
    let negative = latent(&painter, &one_step(["blurry", ""], 1.0));
    let empty = latent(&painter, &one_step(["", ""], 1.0));
    let mut own_scale = one_step(["fox", "blurry"], 5.0);
    own_scale.sampling.negative_scale = Some(2.0);
    // U + 5·(C − U) − 2·(N − U)
    let expected: Vec<f32> =
        toward.iter().zip(negative.iter().zip(&empty)).map(|(own, (away, from))| own - 2.0 * (away - from)).collect();
    let error = relative_max_error(&latent(&painter, &own_scale), &expected);
    assert!(error <= TOLERANCE, "{error:e}");
    own_scale.sampling.negative_scale = Some(0.0);
    assert_eq!(latent(&painter, &own_scale), toward);
    // Without guidance it does nothing.
    let mut unguided = one_step(["fox", "blurry"], 1.0);
    let plain = latent(&painter, &unguided);
    unguided.sampling.negative_scale = Some(2.0);
    assert_eq!(latent(&painter, &unguided), plain);
}

#[test]
fn sdxl_is_told_sizes() {
    let painter = painter_of("sdxl");
    let mut request = request("sdxl", "ddim", [64, 64]);
    request.sampling.steps = 2;
    let plain = latent(&painter, &request);
    request.text.sizes = ToldSizes { original_width: Some(64), crop_top: Some(0), ..ToldSizes::default() };
    assert_eq!(latent(&painter, &request), plain);
    for sizes in [
        ToldSizes { original_height: Some(512), ..ToldSizes::default() },
        ToldSizes { negative_original_width: Some(512), ..ToldSizes::default() },
        ToldSizes { crop_left: Some(32), ..ToldSizes::default() },
    ] {
        request.text.sizes = sizes;
        assert_ne!(latent(&painter, &request), plain, "{sizes:?}");
    }
}
