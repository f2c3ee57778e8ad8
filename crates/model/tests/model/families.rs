//! Text encoders and UNets of SD2.x and SDXL against transformers and diffusers, forward and gradients, on tiny
//! checkpoints that `testkit` makes.
//!
//! The golden files are written by `oracle/family_golden.py`.

use burn::tensor::{Device, Tensor};
use lorabake_adapter::Adapters;
use lorabake_model::text::{TextEncoder, TextInput};
use lorabake_model::{AddedConditioning, Bundle, Conditioning, Encoded, VaeHalves};
use lorabake_ops::WeightDtype;
use lorabake_testkit::{Golden, tiny};
use lorabake_weights::{Checkpoint, Family};

use crate::golden::{check_gradients, golden, ids, site, tensor, to_f32_vec, tracked};

/// The golden values are computed in f64. torch in f32 is up to 9e-6 from them, most for gradients of keys and queries.
const TOLERANCE: f64 = 2e-5;

fn bundle(bytes: Vec<u8>, halves: VaeHalves) -> Bundle {
    let checkpoint = Checkpoint::from_bytes("tiny", bytes.into()).unwrap();
    assert!(checkpoint.unexpected_tensors().is_empty());
    Bundle::load(&checkpoint, halves, WeightDtype::F32).unwrap()
}

/// Hidden states and pooled output of a text encoder against the golden file's under `name`, without and with adapters.
fn check_text(golden: &Golden, name: &str, state: &str, text: &TextEncoder) {
    let ids = ids(golden, &format!("{name}.ids"));
    let encode = |adapters: &Adapters| text.forward(TextInput::plain(&ids, 1), 1, &Device::flex(), adapters);
    let plain = encode(&Adapters::default());
    golden.check(&format!("{name}.{state}"), &to_f32_vec(plain.context), TOLERANCE);
    let prefix = format!("{name}.lora.");
    let (adapters, loras) = tracked(golden, &prefix, text.sites());
    let Encoded { context, pooled } = encode(&adapters);
    golden.check(&format!("{prefix}{state}"), &to_f32_vec(context.clone().inner()), TOLERANCE);
    let mut loss = (context * tensor(golden, &format!("{name}.grad_{state}"))).sum();
    if let Some(pooled) = pooled {
        golden.check(&format!("{name}.pooled"), &to_f32_vec(plain.pooled.unwrap()), TOLERANCE);
        golden.check(&format!("{prefix}pooled"), &to_f32_vec(pooled.clone().inner()), TOLERANCE);
        loss = loss + (pooled * tensor(golden, &format!("{name}.grad_pooled"))).sum();
    }
    check_gradients(golden, &prefix, loras, loss, TOLERANCE);
}

/// The UNet's prediction and gradients, without and with adapters.
fn check_unet(golden: &Golden, bundle: &Bundle) {
    let mut added = None;
    if golden.has("unet.pooled") {
        let time_ids = golden.numbers("unet.sizes").as_chunks().0.to_vec();
        added = Some(AddedConditioning { pooled: tensor(golden, "unet.pooled"), time_ids });
    }
    let predict = |context: Tensor<3>, adapters: &Adapters| {
        let conditioning = Conditioning { context, added: added.clone() };
        bundle.unet.forward(tensor(golden, "unet.sample"), golden.numbers("unet.timesteps"), conditioning, adapters)
    };
    let context = tensor::<3>(golden, "unet.context").autodiff().require_grad();
    let out = predict(context.clone(), &Adapters::default());
    golden.check("unet.out", &to_f32_vec(out.clone().inner()), TOLERANCE);
    let mut grads = (out * tensor(golden, "unet.grad_out")).sum().backward();
    golden.check("unet.dcontext", &to_f32_vec(context.grad_remove(&mut grads).unwrap()), TOLERANCE);

    let (adapters, loras) = tracked(golden, "lora.", bundle.unet.sites());
    let out = predict(tensor(golden, "unet.context"), &adapters);
    golden.check("lora.out", &to_f32_vec(out.clone().inner()), TOLERANCE);
    let loss = (out * tensor(golden, "unet.grad_out")).sum();
    check_gradients(golden, "lora.", loras, loss, TOLERANCE);
}

#[test]
fn sd2() {
    let golden = golden("sd2");
    let bundle = bundle(tiny::sd2(), VaeHalves::Generating);
    assert_eq!(bundle.family, Family::Sd2);
    assert_eq!(bundle.texts.len(), 1);
    assert_eq!(bundle.texts[0].depth(), 23);
    check_text(&golden, "text", "last", &bundle.texts[0]);
    let ids = ids(&golden, "text.ids");
    let skipped = bundle.texts[0].forward(TextInput::plain(&ids, 1), 2, &Device::flex(), &Adapters::default());
    golden.check("text.skip2", &to_f32_vec(skipped.context), TOLERANCE);
    check_unet(&golden, &bundle);
    // sd-scripts has convolutions here, whatever the file has.
    let sites = bundle.unet.sites();
    let site = sites.get(site(sites, "down_blocks.1.attentions.0.proj_in"));
    assert!(matches!(site.layer, lorabake_adapter::LayerShape::Conv(shape) if shape.kernel == 1));
}

#[test]
fn sdxl() {
    let golden = golden("sdxl");
    let bundle = bundle(tiny::sdxl(), VaeHalves::Generating);
    assert_eq!(bundle.family, Family::Sdxl);
    assert_eq!(bundle.texts.len(), 2);
    check_text(&golden, "text", "penultimate", &bundle.texts[0]);
    check_text(&golden, "text2", "penultimate", &bundle.texts[1]);
    check_unet(&golden, &bundle);
}

/// As sd-scripts reads the file's projection, see `Projection`.
#[test]
fn sdxl_for_training_pools_as_sd_scripts_does() {
    let golden = golden("sdxl");
    let bundle = bundle(tiny::sdxl(), VaeHalves::Training);
    let ids = ids(&golden, "text2.ids");
    let encoded = bundle.texts[1].forward(TextInput::plain(&ids, 1), 1, &Device::flex(), &Adapters::default());
    golden.check("text2.trainer.pooled", &to_f32_vec(encoded.pooled.unwrap()), TOLERANCE);
}
