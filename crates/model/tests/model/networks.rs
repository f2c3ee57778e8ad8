//! CLIP, VAE and UNet against transformers and diffusers, forward and gradients, on the conformance pack's tiny SD1.5.
//!
//! The golden file is written by `oracle/model_golden.py`; its f64 twin differs by at most 2e-6.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::Adapters;
use lorabake_model::text::{PlacedVectors, TextInput, join_chunks};
use lorabake_model::{Bundle, VaeHalves, WeightDtypes};
use lorabake_ops::WeightDtype;
use lorabake_weights::Checkpoint;
use lorabake_weights::formats::tensor_file::TensorFile;

use crate::golden::{check_gradients, golden, ids, tensor, to_f32_vec, tracked};

const TOLERANCE: f64 = 1e-5;

fn bundle(dtype: WeightDtype) -> Bundle {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny/sd15_tiny.safetensors");
    Bundle::load(&Checkpoint::open(&path).unwrap(), VaeHalves::All, dtype).unwrap()
}

#[test]
fn text_encoder() {
    let golden = golden("sd15");
    let text = bundle(WeightDtype::F32).texts.remove(0);
    let ids = ids(&golden, "text.ids");
    let device = Device::flex();
    let last = text.forward(TextInput::plain(&ids, 1), 1, &device, &Adapters::default()).context;
    golden.check("text.hidden.last", &to_f32_vec(last), TOLERANCE);
    let skip2 = text.forward(TextInput::plain(&ids, 1), 2, &device, &Adapters::default()).context;
    golden.check("text.hidden.skip2", &to_f32_vec(skip2), TOLERANCE);

    let (adapters, loras) = tracked(&golden, "tlora.", text.sites());
    let last = text.forward(TextInput::plain(&ids, 1), 1, &device, &adapters).context;
    golden.check("tlora.hidden.last", &to_f32_vec(last.clone().inner()), TOLERANCE);
    let loss = (last * tensor(&golden, "text.grad_out")).sum();
    check_gradients(&golden, "tlora.", loras, loss, TOLERANCE);
}

/// Vectors that are the embeddings of tokens do what the tokens do.
#[test]
fn vectors_stand_for_tokens() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny/sd15_tiny.safetensors");
    let file = TensorFile::open(&path).unwrap();
    let name = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight";
    let table = file.read_f32(name).unwrap();
    let text = bundle(WeightDtype::F32).texts.remove(0);
    let mut ids = vec![[0_u32; 77]; 2];
    ids[1][5] = 320;
    ids[1][6] = 2368;
    let encode = |input| to_f32_vec(text.forward(input, 1, &Device::flex(), &Adapters::default()).context);
    let by_tokens = encode(TextInput::plain(&ids, 1));
    let rows = [320, 2368].map(|id| &table[id * text.width()..(id + 1) * text.width()]).concat();
    let filling = vec![[0_u32; 77]; 2];
    let vectors = [PlacedVectors { chunk: 1, place: 5, rows: &rows }];
    let by_vectors = encode(TextInput { ids: &filling, chunks_per_prompt: 1, vectors: &vectors });
    assert_eq!(by_vectors, by_tokens);
    assert_ne!(by_vectors, encode(TextInput::plain(&filling, 1)));
}

#[test]
fn long_prompts_keep_one_begin_and_one_end() {
    let states: Vec<f32> = (0..2 * 77).map(|i| i as f32).collect();
    let states = Tensor::<3>::from_data(TensorData::new(states, [2, 77, 1]), &Device::flex());
    let joined = to_f32_vec(join_chunks(states, 2));
    // The last state of the first chunk, 76, and the first of the second, 77, are gone.
    let expected: Vec<f32> = (0..76).chain(78..154).map(|i| i as f32).collect();
    assert_eq!(joined, expected);
}

#[test]
fn vae() {
    let golden = golden("sd15");
    let bundle = bundle(WeightDtype::F32);
    let moments = bundle.encoder.unwrap().forward(tensor(&golden, "vae.image"));
    golden.check("vae.mean", &to_f32_vec(moments.mean), TOLERANCE);
    golden.check("vae.logvar", &to_f32_vec(moments.log_variance), TOLERANCE);
    let image = bundle.decoder.unwrap().forward(tensor(&golden, "vae.latent"));
    golden.check("vae.decoded", &to_f32_vec(image), TOLERANCE);
}

/// Allowed is what diffusers' VAE differs by in bf16, where activations are rounded too.
#[test]
fn vae_held_in_bf16_is_closer_than_all_in_bf16() {
    let golden = golden("sd15");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny/sd15_tiny.safetensors");
    let checkpoint = Checkpoint::open(&path).unwrap();
    let bundle = Bundle::open(&checkpoint, VaeHalves::All, WeightDtypes::all(WeightDtype::Bf16)).unwrap();
    let moments = bundle.encoder.unwrap().forward(tensor(&golden, "vae.image"));
    golden.check("vae.mean", &to_f32_vec(moments.mean), 1.59e-2);
    let image = bundle.decoder.unwrap().forward(tensor(&golden, "vae.latent"));
    golden.check("vae.decoded", &to_f32_vec(image), 1.78e-2);
}

#[test]
fn unet_and_the_gradients_of_its_inputs() {
    let golden = golden("sd15");
    let unet = bundle(WeightDtype::F32).unet;
    let none = Adapters::default();
    let latents = tensor::<4>(&golden, "unet.sample").autodiff().require_grad();
    let context = tensor::<3>(&golden, "unet.context").autodiff().require_grad();
    let out = unet.forward(latents.clone(), golden.numbers("unet.timesteps"), context.clone(), &none);
    golden.check("unet.out", &to_f32_vec(out.clone().inner()), TOLERANCE);
    let mut grads = (out * tensor(&golden, "unet.grad_out")).sum().backward();
    golden.check("unet.dsample", &to_f32_vec(latents.grad_remove(&mut grads).unwrap()), TOLERANCE);
    golden.check("unet.dcontext", &to_f32_vec(context.grad_remove(&mut grads).unwrap()), TOLERANCE);

    let context = tensor::<3>(&golden, "unet.context").narrow(0, 0, 1);
    let odd = unet.forward(tensor(&golden, "unet.odd.sample"), &[801.0], context, &none);
    golden.check("unet.odd.out", &to_f32_vec(odd), TOLERANCE);
}

#[test]
fn unet_with_adapters_and_their_gradients() {
    let golden = golden("sd15");
    let unet = bundle(WeightDtype::F32).unet;
    let (adapters, loras) = tracked(&golden, "lora.", unet.sites());
    let context = tensor::<3>(&golden, "unet.context");
    let out = unet.forward(tensor(&golden, "unet.sample"), golden.numbers("unet.timesteps"), context, &adapters);
    golden.check("lora.out", &to_f32_vec(out.clone().inner()), TOLERANCE);
    let loss = (out * tensor(&golden, "unet.grad_out")).sum();
    check_gradients(&golden, "lora.", loras, loss, TOLERANCE);
}

#[test]
fn weights_held_in_bf16_stay_close() {
    let golden = golden("sd15");
    let unet = bundle(WeightDtype::Bf16).unet;
    let latents = tensor(&golden, "unet.sample");
    let context = tensor::<3>(&golden, "unet.context");
    let out = unet.forward(latents, golden.numbers("unet.timesteps"), context, &Adapters::default());
    golden.check("unet.out", &to_f32_vec(out), 1e-2);
}
