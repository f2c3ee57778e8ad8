//! ControlNets: every form of file gives the same outputs, and what cannot be used is called by its name.

use lorabake_model::Conditioning;
use lorabake_model::control::ControlNet;
use lorabake_ops::WeightDtype;
use lorabake_testkit::relative_error;
use lorabake_weights::network_file::control;
use lorabake_weights::{Checkpoint, Error, keys};

use crate::golden::to_f32_vec;
use crate::made_file::{Numbers, Tensors, UNET, control_net, noise, of_checkpoint, tiny, to_file};

fn read(name: &str, tensors: &Tensors, beside: &str) -> Result<ControlNet, Error> {
    let checkpoint = Checkpoint::open(&tiny(beside)).unwrap();
    ControlNet::read(&control::from_bytes(name, to_file(tensors).into(), &checkpoint)?, WeightDtype::F32)
}

/// All outputs for two pictures, one after the other.
fn outputs(net: &ControlNet) -> Vec<f32> {
    let hint = net.hint(noise([1, 3, 64, 64], 7));
    let context = noise([2, 77, 16], 9);
    let outputs = net.forward(noise([2, 4, 8, 8], 8), &[37.5, 801.0], Conditioning { context, added: None }, hint);
    assert_eq!(outputs.len(), net.outputs());
    outputs.into_iter().flat_map(to_f32_vec).collect()
}

#[test]
fn every_naming_gives_the_same() {
    let original = control_net(&of_checkpoint(&tiny("sd15")));
    let net = read("a.safetensors", &original, "sd15").unwrap();
    assert_eq!(net.outputs(), 13);
    let expected = outputs(&net);
    assert!(expected.iter().any(|value| value.abs() > 0.1));

    let mut prefixed = Tensors::new();
    let mut diffusers = Tensors::new();
    let all: Vec<&str> = original.keys().map(String::as_str).collect();
    for (key, name) in keys::control::names(&all) {
        prefixed.insert(format!("control_model.{key}"), original[&key].clone());
        diffusers.insert(name, original[&key].clone());
    }
    // What a net was trained together with, and left-overs of a decoder, are not looked at.
    prefixed.insert(format!("{UNET}input_blocks.0.0.weight"), Numbers { shape: vec![1], values: vec![0.0] });
    prefixed.insert("control_model.out.2.bias".to_string(), Numbers { shape: vec![1], values: vec![0.0] });
    for tensors in [prefixed, diffusers] {
        assert_eq!(outputs(&read("a.safetensors", &tensors, "sd15").unwrap()), expected);
    }
}

#[test]
fn a_difference_is_added_to_its_model() {
    let model = of_checkpoint(&tiny("sd15"));
    let mut net = control_net(&model);
    let own = net.get_mut("input_blocks.1.0.in_layers.2.weight").unwrap();
    own.values.iter_mut().for_each(|value| *value *= 1.25);
    let expected = outputs(&read("a.safetensors", &net, "sd15").unwrap());
    for (name, own) in &mut net {
        if let Some(base) = model.get(&format!("{UNET}{name}")) {
            own.values.iter_mut().zip(&base.values).for_each(|(own, base)| *own -= base);
        }
    }
    net.insert("difference".to_string(), Numbers { shape: vec![1], values: vec![1.0] });
    let own = outputs(&read("a.safetensors", &net, "sd15").unwrap());
    let error = relative_error(&own, &expected);
    assert!(error < 1e-5, "{error:e}");
}

#[test]
fn nets_of_shuffle_steer_by_means() {
    let original = control_net(&of_checkpoint(&tiny("sd15")));
    let plain = read("a.safetensors", &original, "sd15").unwrap();
    let pooled = read("control_v11e_sd15_Shuffle.safetensors", &original, "sd15").unwrap();
    assert!(pooled.pools() && !plain.pools());
    let run = |net: &ControlNet| {
        let told = Conditioning { context: noise([1, 77, 16], 9), added: None };
        net.forward(noise([1, 9, 8, 8], 8), &[37.0], told, net.hint(noise([1, 3, 64, 64], 7))).swap_remove(0)
    };
    let mean = run(&plain).mean_dim(2).mean_dim(3);
    let own = run(&pooled);
    assert_eq!(own.dims(), [1, 32, 1, 1]);
    assert_eq!(to_f32_vec(own), to_f32_vec(mean));
}

#[test]
fn small_nets_of_sdxl_have_less_in_the_middle() {
    let mut net = control_net(&of_checkpoint(&tiny("sdxl")));
    assert_eq!(read("a.safetensors", &net, "sdxl").unwrap().outputs(), 10);
    let is_transformer = |name: &str| name.starts_with("input_blocks.") && name.split('.').nth(2) == Some("1");
    net.retain(|name, _| !is_transformer(name));
    net.retain(|name, _| !name.starts_with("middle_block.1.") && !name.starts_with("middle_block.2."));
    assert_eq!(read("a.safetensors", &net, "sdxl").unwrap().outputs(), 10);
}

#[test]
fn what_cannot_be_used_is_named() {
    let refusal = |tensors: &Tensors, beside: &str| read("a.safetensors", tensors, beside).unwrap_err().to_string();
    let net = control_net(&of_checkpoint(&tiny("sd15")));
    let with = |name: &str| {
        let mut net = net.clone();
        net.insert(name.to_string(), Numbers { shape: vec![1], values: vec![0.0] });
        net
    };
    let alone = |name: &str| Tensors::from([(name.to_string(), Numbers { shape: vec![1], values: vec![0.0] })]);
    for (tensors, beside, said) in [
        (net.clone(), "sdxl", "it is a ControlNet of SD1.x or SD2.x; the model is of SDXL: give one of its family"),
        (net.clone(), "sd2", "16 wide; those of the model (SD2.x) are 8: give one of its family"),
        (with("task_embedding"), "sd15", "a ControlNet Union"),
        (with("lora_controlnet"), "sd15", "a Control-LoRA, not a ControlNet"),
        (with("mystery"), "sd15", "1 tensors unknown: mystery"),
        (alone("lllite_unet_down_blocks_0.a"), "sd15", "a ControlNet-LLLite, not a ControlNet"),
        (alone("adapter.body.0.in_conv.weight"), "sd15", "a T2I-Adapter, not a ControlNet"),
        (alone("controlnet_x_embedder.weight"), "sd15", "a ControlNet of Flux, not a ControlNet of SD1.x"),
        (alone("lora_unet_x.lora_down.weight"), "sd15", "a LoRA, not a ControlNet"),
        (alone("x"), "sd15", "a file of other tensors, not a ControlNet"),
    ] {
        let message = refusal(&tensors, beside);
        assert!(message.contains(said), "{message}");
    }
    let mut short = net.clone();
    short.remove("zero_convs.3.0.weight");
    assert!(refusal(&short, "sd15").contains("1 tensors missing: controlnet_down_blocks.3.weight"));
    let mut wide = net;
    wide.get_mut("input_blocks.1.0.in_layers.2.weight").unwrap().shape = vec![16, 64, 3, 3];
    assert!(refusal(&wide, "sd15").contains("it is made for a UNet of other layers than the model's"));
}
