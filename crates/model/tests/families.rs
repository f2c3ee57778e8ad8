//! Text encoders and UNets of SD2.x and SDXL against transformers and diffusers, forward and gradients, on tiny
//! checkpoints that `testkit` makes.
//!
//! The golden files are written by `oracle/family_golden.py`.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::{Adapters, Lora, Sites};
use lorabake_model::conditioning::Added;
use lorabake_model::text::TextEncoder;
use lorabake_model::{Bundle, Conditioning, Encoded, Parts};
use lorabake_ops::Storage;
use lorabake_testkit::{Golden, tiny};
use lorabake_weights::{Checkpoint, Family};

/// The golden values are computed in f64. torch in f32 is up to 9e-6 from them, most for gradients of keys and queries.
const TOLERANCE: f64 = 2e-5;

fn golden(name: &str) -> Golden {
    Golden::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}_tiny.safetensors")))
}

fn bundle(bytes: Vec<u8>, parts: Parts) -> Bundle {
    let checkpoint = Checkpoint::from_bytes("tiny", bytes.into()).unwrap();
    assert!(checkpoint.unexpected_tensors().is_empty());
    Bundle::load(&checkpoint, parts, Storage::F32).unwrap()
}

fn tensor<const D: usize>(golden: &Golden, name: &str) -> Tensor<D> {
    let shape: [usize; D] = golden.shape(name).try_into().unwrap();
    Tensor::from_data(TensorData::new(golden.numbers(name).to_vec(), shape), &Device::flex())
}

/// A factor as our layers take it: everything behind the first dimension flattened.
fn factor(golden: &Golden, name: &str) -> Tensor<2> {
    let (rows, numbers) = (golden.shape(name)[0], golden.numbers(name).to_vec());
    let columns = numbers.len() / rows;
    Tensor::from_data(TensorData::new(numbers, [rows, columns]), &Device::flex())
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// The golden file's adapters under `prefix`, tracked, with their paths.
fn tracked(golden: &Golden, prefix: &str, sites: &Sites) -> (Adapters, Vec<(String, Lora)>) {
    let (mut adapters, mut loras) = (Adapters::default(), Vec::new());
    for name in golden.names() {
        let Some(path) = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(".down")) else { continue };
        let leaf = |part| factor(golden, &format!("{prefix}{path}.{part}")).autodiff().require_grad();
        let lora = Lora { down: leaf("down"), up: leaf("up"), mid: None, scale: 0.5 };
        let site = sites.iter().find(|(_, site)| site.path == path).unwrap_or_else(|| panic!("no layer {path}")).0;
        adapters.attach(site, lora.clone());
        loras.push((path.to_string(), lora));
    }
    assert!(loras.len() > 1);
    (adapters, loras)
}

/// Checks the gradients that `loss` gives all factors.
fn check_gradients(golden: &Golden, prefix: &str, loras: Vec<(String, Lora)>, loss: Tensor<1>) {
    let mut grads = loss.backward();
    for (path, lora) in loras {
        let down = lora.down.grad_remove(&mut grads).unwrap();
        golden.check(&format!("{prefix}{path}.ddown"), &numbers(down), TOLERANCE);
        golden.check(&format!("{prefix}{path}.dup"), &numbers(lora.up.grad_remove(&mut grads).unwrap()), TOLERANCE);
    }
}

/// States and summary of a text encoder against the golden file's under `name`, without and with adapters.
fn check_text(golden: &Golden, name: &str, state: &str, text: &TextEncoder) {
    let rows = golden.numbers(&format!("{name}.ids")).chunks_exact(77);
    let ids: Vec<[u32; 77]> = rows.map(|row| std::array::from_fn(|i| row[i] as u32)).collect();
    let encode = |adapters: &Adapters| text.forward((&ids, 1), 1, &Device::flex(), adapters);
    let plain = encode(&Adapters::default());
    golden.check(&format!("{name}.{state}"), &numbers(plain.context), TOLERANCE);
    let prefix = format!("{name}.lora.");
    let (adapters, loras) = tracked(golden, &prefix, text.sites());
    let Encoded { context, pooled } = encode(&adapters);
    golden.check(&format!("{prefix}{state}"), &numbers(context.clone().inner()), TOLERANCE);
    let mut loss = (context * tensor(golden, &format!("{name}.grad_{state}"))).sum();
    if let Some(pooled) = pooled {
        golden.check(&format!("{name}.pooled"), &numbers(plain.pooled.unwrap()), TOLERANCE);
        golden.check(&format!("{prefix}pooled"), &numbers(pooled.clone().inner()), TOLERANCE);
        loss = loss + (pooled * tensor(golden, &format!("{name}.grad_pooled"))).sum();
    }
    check_gradients(golden, &prefix, loras, loss);
}

/// The UNet's prediction and gradients, without and with adapters.
fn check_unet(golden: &Golden, bundle: &Bundle) {
    let added = golden.has("unet.pooled").then(|| Added {
        pooled: tensor(golden, "unet.pooled"),
        sizes: golden.numbers("unet.sizes").chunks_exact(6).map(|row| row.try_into().unwrap()).collect(),
    });
    let predict = |context: Tensor<3>, adapters: &Adapters| {
        let told = Conditioning { context, added: added.clone() };
        bundle.unet.forward(tensor(golden, "unet.sample"), golden.numbers("unet.timesteps"), told, adapters)
    };
    let context = tensor::<3>(golden, "unet.context").autodiff().require_grad();
    let out = predict(context.clone(), &Adapters::default());
    golden.check("unet.out", &numbers(out.clone().inner()), TOLERANCE);
    let mut grads = (out * tensor(golden, "unet.grad_out")).sum().backward();
    golden.check("unet.dcontext", &numbers(context.grad_remove(&mut grads).unwrap()), TOLERANCE);

    let (adapters, loras) = tracked(golden, "lora.", bundle.unet.sites());
    let out = predict(tensor(golden, "unet.context"), &adapters);
    golden.check("lora.out", &numbers(out.clone().inner()), TOLERANCE);
    check_gradients(golden, "lora.", loras, (out * tensor(golden, "unet.grad_out")).sum());
}

#[test]
fn sd2() {
    let (golden, bundle) = (golden("sd2"), bundle(tiny::sd2(), Parts::Generating));
    assert_eq!((bundle.family, bundle.texts.len(), bundle.texts[0].depth()), (Family::Sd2, 1, 23));
    check_text(&golden, "text", "last", &bundle.texts[0]);
    let rows = golden.numbers("text.ids").chunks_exact(77);
    let ids: Vec<[u32; 77]> = rows.map(|row| std::array::from_fn(|i| row[i] as u32)).collect();
    let skipped = bundle.texts[0].forward((&ids, 1), 2, &Device::flex(), &Adapters::default());
    golden.check("text.skip2", &numbers(skipped.context), TOLERANCE);
    check_unet(&golden, &bundle);
    // sd-scripts has convolutions here, whatever the file has.
    let path = "down_blocks.1.attentions.0.proj_in";
    let site = bundle.unet.sites().iter().find(|(_, site)| site.path == path).unwrap().1;
    assert!(matches!(site.kind, lorabake_adapter::Kind::Conv(shape) if shape.kernel == 1));
}

#[test]
fn sdxl() {
    let (golden, bundle) = (golden("sdxl"), bundle(tiny::sdxl(), Parts::Generating));
    assert_eq!((bundle.family, bundle.texts.len()), (Family::Sdxl, 2));
    check_text(&golden, "text", "penultimate", &bundle.texts[0]);
    check_text(&golden, "text2", "penultimate", &bundle.texts[1]);
    check_unet(&golden, &bundle);
}

/// As sd-scripts reads the file's projection, see `Projection`.
#[test]
fn sdxl_for_training_pools_as_sd_scripts_does() {
    let (golden, bundle) = (golden("sdxl"), bundle(tiny::sdxl(), Parts::Training));
    let rows = golden.numbers("text2.ids").chunks_exact(77);
    let ids: Vec<[u32; 77]> = rows.map(|row| std::array::from_fn(|i| row[i] as u32)).collect();
    let encoded = bundle.texts[1].forward((&ids, 1), 1, &Device::flex(), &Adapters::default());
    golden.check("text2.trainer.pooled", &numbers(encoded.pooled.unwrap()), TOLERANCE);
}
