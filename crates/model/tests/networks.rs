//! CLIP, VAE and UNet against transformers and diffusers, forward and gradients, on the conformance pack's tiny SD1.5.
//!
//! The golden file is written by `oracle/model_golden.py`; its f64 twin differs by at most 2e-6.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::{Adapters, Lora, SiteId, Sites};
use lorabake_model::text::join_chunks;
use lorabake_model::{Bundle, Parts, WeightDtypes};
use lorabake_ops::WeightDtype;
use lorabake_testkit::Golden;
use lorabake_weights::Checkpoint;

const TOLERANCE: f64 = 1e-5;

fn golden() -> Golden {
    Golden::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sd15_tiny.safetensors"))
}

fn bundle(dtype: WeightDtype) -> Bundle {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny/sd15_tiny.safetensors");
    Bundle::load(&Checkpoint::open(&path).unwrap(), Parts::All, dtype).unwrap()
}

fn tensor<const D: usize>(golden: &Golden, name: &str) -> Tensor<D> {
    let shape: [usize; D] = golden.shape(name).try_into().unwrap();
    Tensor::from_data(TensorData::new(golden.numbers(name).to_vec(), shape), &Device::flex())
}

/// A factor as our layers take it: everything behind the first dimension flattened.
fn factor(golden: &Golden, name: &str) -> Tensor<2> {
    let rows = golden.shape(name)[0];
    let numbers = golden.numbers(name).to_vec();
    let columns = numbers.len() / rows;
    Tensor::from_data(TensorData::new(numbers, [rows, columns]), &Device::flex())
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

fn ids(golden: &Golden) -> Vec<[u32; 77]> {
    let rows = golden.numbers("text.ids").chunks_exact(77);
    rows.map(|row| std::array::from_fn(|i| row[i] as u32)).collect()
}

fn site(sites: &Sites, path: &str) -> SiteId {
    sites.iter().find(|(_, site)| site.path == path).unwrap_or_else(|| panic!("no layer {path}")).0
}

/// The golden file's adapters under `prefix`, tracked, with their paths.
fn tracked(golden: &Golden, prefix: &str, sites: &Sites) -> (Adapters, Vec<(String, Lora)>) {
    let mut adapters = Adapters::default();
    let mut loras = Vec::new();
    for name in golden.names() {
        let Some(path) = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(".down")) else { continue };
        let leaf = |part| factor(golden, &format!("{prefix}{path}.{part}")).autodiff().require_grad();
        let lora = Lora { down: leaf("down"), up: leaf("up"), mid: None, scale: 0.5 };
        adapters.attach(site(sites, path), lora.clone());
        loras.push((path.to_string(), lora));
    }
    assert!(!loras.is_empty());
    (adapters, loras)
}

#[test]
fn text_encoder() {
    let (golden, text) = (golden(), bundle(WeightDtype::F32).texts.remove(0));
    let device = Device::flex();
    let last = text.forward((&ids(&golden), 1), 1, &device, &Adapters::default()).context;
    golden.check("text.hidden.last", &numbers(last), TOLERANCE);
    let skip2 = text.forward((&ids(&golden), 1), 2, &device, &Adapters::default()).context;
    golden.check("text.hidden.skip2", &numbers(skip2), TOLERANCE);

    let (adapters, loras) = tracked(&golden, "tlora.", text.sites());
    let last = text.forward((&ids(&golden), 1), 1, &device, &adapters).context;
    golden.check("tlora.hidden.last", &numbers(last.clone().inner()), TOLERANCE);
    let mut grads = (last * tensor(&golden, "text.grad_out")).sum().backward();
    for (path, lora) in loras {
        let down = lora.down.grad_remove(&mut grads).unwrap();
        golden.check(&format!("tlora.{path}.ddown"), &numbers(down), TOLERANCE);
        golden.check(&format!("tlora.{path}.dup"), &numbers(lora.up.grad_remove(&mut grads).unwrap()), TOLERANCE);
    }
}

#[test]
fn long_prompts_keep_one_begin_and_one_end() {
    let states: Vec<f32> = (0..2 * 77).map(|i| i as f32).collect();
    let states = Tensor::<3>::from_data(TensorData::new(states, [2, 77, 1]), &Device::flex());
    let joined = numbers(join_chunks(states, 2));
    let expected: Vec<f32> = std::iter::once(0).chain(1..76).chain(78..153).chain([153]).map(|i| i as f32).collect();
    assert_eq!(joined, expected);
}

#[test]
fn vae() {
    let (golden, bundle) = (golden(), bundle(WeightDtype::F32));
    let moments = bundle.encoder.unwrap().forward(tensor(&golden, "vae.image"));
    golden.check("vae.mean", &numbers(moments.mean), TOLERANCE);
    golden.check("vae.logvar", &numbers(moments.log_variance), TOLERANCE);
    let image = bundle.decoder.unwrap().forward(tensor(&golden, "vae.latent"));
    golden.check("vae.decoded", &numbers(image), TOLERANCE);
}

/// Allowed is what diffusers' VAE differs by in bf16, where activations are rounded too.
#[test]
fn vae_held_in_bf16_is_closer_than_all_in_bf16() {
    let golden = golden();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny/sd15_tiny.safetensors");
    let checkpoint = Checkpoint::open(&path).unwrap();
    let bundle = Bundle::open(&checkpoint, Parts::All, WeightDtypes::all(WeightDtype::Bf16)).unwrap();
    let moments = bundle.encoder.unwrap().forward(tensor(&golden, "vae.image"));
    golden.check("vae.mean", &numbers(moments.mean), 1.59e-2);
    let image = bundle.decoder.unwrap().forward(tensor(&golden, "vae.latent"));
    golden.check("vae.decoded", &numbers(image), 1.78e-2);
}

#[test]
fn unet_and_the_gradients_of_its_inputs() {
    let (golden, unet) = (golden(), bundle(WeightDtype::F32).unet);
    let none = Adapters::default();
    let latents = tensor::<4>(&golden, "unet.sample").autodiff().require_grad();
    let context = tensor::<3>(&golden, "unet.context").autodiff().require_grad();
    let out = unet.forward(latents.clone(), golden.numbers("unet.timesteps"), context.clone(), &none);
    golden.check("unet.out", &numbers(out.clone().inner()), TOLERANCE);
    let mut grads = (out * tensor(&golden, "unet.grad_out")).sum().backward();
    golden.check("unet.dsample", &numbers(latents.grad_remove(&mut grads).unwrap()), TOLERANCE);
    golden.check("unet.dcontext", &numbers(context.grad_remove(&mut grads).unwrap()), TOLERANCE);

    let context = tensor::<3>(&golden, "unet.context").narrow(0, 0, 1);
    let odd = unet.forward(tensor(&golden, "unet.odd.sample"), &[801.0], context, &none);
    golden.check("unet.odd.out", &numbers(odd), TOLERANCE);
}

#[test]
fn unet_with_adapters_and_their_gradients() {
    let (golden, unet) = (golden(), bundle(WeightDtype::F32).unet);
    let (adapters, loras) = tracked(&golden, "lora.", unet.sites());
    let context = tensor::<3>(&golden, "unet.context");
    let out = unet.forward(tensor(&golden, "unet.sample"), golden.numbers("unet.timesteps"), context, &adapters);
    golden.check("lora.out", &numbers(out.clone().inner()), TOLERANCE);
    let mut grads = (out * tensor(&golden, "unet.grad_out")).sum().backward();
    for (path, lora) in loras {
        let down = lora.down.grad_remove(&mut grads).unwrap();
        golden.check(&format!("lora.{path}.ddown"), &numbers(down), TOLERANCE);
        golden.check(&format!("lora.{path}.dup"), &numbers(lora.up.grad_remove(&mut grads).unwrap()), TOLERANCE);
    }
}

#[test]
fn weights_held_in_bf16_stay_close() {
    let (golden, unet) = (golden(), bundle(WeightDtype::Bf16).unet);
    let (latents, context) = (tensor(&golden, "unet.sample"), tensor(&golden, "unet.context"));
    let out = unet.forward(latents, golden.numbers("unet.timesteps"), context, &Adapters::default());
    golden.check("unet.out", &numbers(out), 1e-2);
}
