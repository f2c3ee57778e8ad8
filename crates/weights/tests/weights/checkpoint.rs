//! Opening checkpoints, naming their tensors, and what is said about files that do not fit.

use std::collections::BTreeSet;
use std::path::Path;

use half::{bf16, f16};
use lorabake_weights::{Checkpoint, Error, Loader, Part, keys};
use safetensors::Dtype;

use crate::golden;

fn message(result: Result<Checkpoint, Error>) -> String {
    let message = result.expect_err("refused").to_string();
    assert!(!message.contains('\n'), "one line: {message}");
    message
}

fn open_bytes(bytes: &[u8]) -> Result<Checkpoint, Error> {
    Checkpoint::from_bytes("m.safetensors", bytes.to_vec().into())
}

fn with_keys(names: &[&str]) -> Vec<u8> {
    let tensors: Vec<_> = names.iter().map(|name| (*name, Dtype::F32, [1].as_slice(), [0u8; 4].as_slice())).collect();
    golden::safetensors(&tensors)
}

#[test]
fn every_key_has_the_name_that_diffusers_gives_it() {
    let pairs = golden::key_names();
    assert_eq!(pairs.len(), 1130);
    let all: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
    for part in Part::ALL {
        let expected: Vec<_> = pairs.iter().filter(|(key, _)| keys::part_of(key) == Some(part)).collect();
        let found = keys::diffusers_names(part, &all);
        assert_eq!(found.len(), expected.len());
        for ((key, name), (found_key, found_name)) in expected.iter().zip(&found) {
            assert_eq!((key.as_str(), Some(name)), (*found_key, found_name.as_ref()));
        }
        let distinct: BTreeSet<_> = found.iter().map(|(_, name)| name).collect();
        assert_eq!(distinct.len(), found.len(), "{part}: two keys share a name");
        for (key, name) in &found {
            let name = name.as_deref().expect("known");
            assert_eq!(keys::file_key(part, name, &all).as_deref(), Some(*key), "the way back of {name}");
        }
    }
}

#[test]
fn the_loader_hands_out_every_tensor_once() {
    let bytes = golden::checkpoint_bytes(&[], &["model_ema.decay", "betas", "alphas_cumprod"]);
    let checkpoint = Checkpoint::from_bytes("tiny", bytes).unwrap();
    assert!(checkpoint.unexpected_tensors().is_empty());
    let pairs = golden::key_names();
    for part in Part::ALL {
        let mut loader = Loader::new(&checkpoint, part);
        for (number, (_, name)) in pairs.iter().enumerate().filter(|(_, (key, _))| keys::part_of(key) == Some(part)) {
            assert_eq!(loader.shape(name), Some(vec![1]));
            assert_eq!(loader.take(name, &[1]), [number as f32]);
        }
        loader.finish().unwrap();
    }
}

#[test]
fn harmless_left_overs_and_both_text_prefixes_are_accepted() {
    let short = |key: &str| key.replace("cond_stage_model.transformer.text_model.", "cond_stage_model.transformer.");
    let pairs = golden::key_names();
    let keys: Vec<String> = pairs.iter().map(|(key, _)| short(key)).collect();
    let mut names: Vec<&str> = keys.iter().map(String::as_str).collect();
    names.extend([
        "cond_stage_model.transformer.embeddings.position_ids",
        "cond_stage_model.transformer.text_model.embeddings.position_ids",
        "first_stage_model.loss.logvar",
        "model_ema.diffusion_modelinput_blocks00weight",
        "sqrt_alphas_cumprod",
        "log_one_minus_alphas_cumprod",
        "posterior_variance",
    ]);
    let checkpoint = open_bytes(&with_keys(&names)).unwrap();
    assert!(checkpoint.unexpected_tensors().is_empty());
    for part in Part::ALL {
        let mut loader = Loader::new(&checkpoint, part);
        for (_, name) in pairs.iter().filter(|(key, _)| keys::part_of(key) == Some(part)) {
            loader.take(name, &[1]);
        }
        loader.finish().unwrap();
    }
}

#[test]
fn finish_names_missing_misshaped_and_unknown_tensors_of_its_part() {
    let gone = "model.diffusion_model.input_blocks.1.0.in_layers.2.weight";
    let bytes = golden::checkpoint_bytes(&[gone], &["model.diffusion_model.bogus.weight", "first_stage_model.bogus"]);
    let checkpoint = Checkpoint::from_bytes("odd.safetensors", bytes).unwrap();
    let mut loader = Loader::new(&checkpoint, Part::Unet);
    // A place of the network that nobody asks for is no left-over.
    let unasked = "model.diffusion_model.middle_block.2.in_layers.2.bias";
    for (key, name) in golden::key_names().iter().filter(|(key, _)| keys::part_of(key) == Some(Part::Unet)) {
        if key == unasked {
            continue;
        }
        let expected: &[usize] = if key == "model.diffusion_model.out.2.bias" { &[2, 3] } else { &[1] };
        assert_eq!(loader.take(name, expected).len(), expected.iter().product::<usize>());
    }
    assert_eq!(
        loader.finish().unwrap_err().to_string(),
        "odd.safetensors: the UNet does not fit: \
         1 tensors missing: model.diffusion_model.input_blocks.1.0.in_layers.2.weight; \
         1 tensors of another shape or type: model.diffusion_model.out.2.bias (expected [2, 3], found [1]); \
         1 tensors unknown: model.diffusion_model.middle_block.2.in_layers.2.bias"
    );
    let untouched = Loader::new(&checkpoint, Part::Vae).finish().unwrap_err().to_string();
    assert!(untouched.contains("and 240 more"), "{untouched}");
}

/// Merging and training leave things behind that no network reads; they are worth a note.
#[test]
fn left_overs_are_told_and_not_refused() {
    let more = [
        "merge_recipe",
        "model.diffusion_model.bogus.weight",
        "first_stage_model.bogus",
        "model_ema.decay",
        "lora_unet_mid_block_attentions_0_proj_in.alpha",
        "visual.transformer.resblocks.0.ln_1.weight",
    ];
    let checkpoint = Checkpoint::from_bytes("m.safetensors", golden::checkpoint_bytes(&[], &more)).unwrap();
    assert_eq!(checkpoint.unexpected_tensors(), [more[1], more[2], more[4], more[0], more[5]]);
    assert_eq!(
        checkpoint.notes(),
        [
            "m.safetensors: 5 tensors belong to no part of the model and are not used (first: \
             model.diffusion_model.bogus.weight)",
            "m.safetensors: its 1 averaged tensors (EMA) are not used; its weights are",
        ]
    );
    for part in Part::ALL {
        let mut loader = Loader::new(&checkpoint, part);
        for (_, name) in golden::key_names().iter().filter(|(key, _)| keys::part_of(key) == Some(part)) {
            loader.take(name, &[1]);
        }
        loader.finish().unwrap();
    }
    let distilled = golden::checkpoint_bytes(&[], &["model.diffusion_model.time_embed.cond_proj.weight"]);
    let notes = Checkpoint::from_bytes("m.safetensors", distilled).unwrap().notes();
    assert!(notes.len() == 2 && notes[1].contains("it is distilled for few steps"), "{notes:?}");
}

/// What is read is looked at, in every type of numbers, small and large enough for several threads.
#[test]
fn values_that_are_not_finite_are_named() {
    let pairs = golden::key_names();
    let (key, name) = &pairs[3];
    let count = 300_000;
    let halves = |odd: u16| [vec![0; 2 * count - 2], odd.to_le_bytes().to_vec()].concat();
    for (dtype, bytes, is_finite) in [
        (Dtype::F32, [vec![0; 4 * count - 4], f32::NAN.to_le_bytes().to_vec()].concat(), false),
        (Dtype::F32, [f32::NEG_INFINITY.to_le_bytes().to_vec(), vec![0; 4 * count - 4]].concat(), false),
        (Dtype::F32, [f32::MAX.to_le_bytes().to_vec(), vec![0; 4 * count - 4]].concat(), true),
        (Dtype::F16, halves(0xfc00), false),
        (Dtype::F16, halves(0x7bff), true),
        (Dtype::BF16, halves(0x7f81), false),
        (Dtype::F64, [vec![0; 8 * count - 8], f64::MAX.to_le_bytes().to_vec()].concat(), false),
        (Dtype::F8_E4M3, [vec![0; count - 1], vec![0x7f]].concat(), false),
        (Dtype::F8_E5M2, [vec![0; count - 1], vec![0x7c]].concat(), false),
        (Dtype::F8_E5M2, [vec![0; count - 1], vec![0x7b]].concat(), true),
    ] {
        let mut tensors: Vec<(&str, Dtype, &[usize], &[u8])> = Vec::new();
        for (other, _) in &pairs {
            let own: &[u8] = if other == key { &bytes } else { &[0; 4] };
            let shape: &[usize] = if other == key { &[300_000] } else { &[1] };
            tensors.push((other, if other == key { dtype } else { Dtype::F32 }, shape, own));
        }
        let checkpoint = open_bytes(&golden::safetensors(&tensors)).unwrap();
        let part = keys::part_of(key).unwrap();
        let mut loader = Loader::new(&checkpoint, part);
        let lazy = loader.deferred(name, &[count]);
        assert!(lazy.fault().is_none(), "nothing was read");
        lazy.read().unwrap();
        assert_eq!(lazy.fault().is_none(), is_finite, "{dtype:?}");
        if let Some(error) = lazy.fault() {
            let said = format!("m.safetensors: {key} holds values that are not finite; the file is damaged");
            assert!(error.to_string().starts_with(&said), "{error}");
        }
    }
}

#[test]
fn a_1x1_convolution_is_a_matrix() {
    let mut tensors: Vec<(&str, Dtype, &[usize], &[u8])> = Vec::new();
    let pairs = golden::key_names();
    let key = "first_stage_model.encoder.mid.attn_1.q.weight";
    let values: Vec<u8> = (0..6u8).flat_map(|n| f32::from(n).to_le_bytes()).collect();
    for (other, _) in &pairs {
        let shape: &[usize] = if other == key { &[2, 3, 1, 1] } else { &[1] };
        tensors.push((other, Dtype::F32, shape, if other == key { &values } else { &[0; 4] }));
    }
    let checkpoint = open_bytes(&golden::safetensors(&tensors)).unwrap();
    let name = "encoder.mid_block.attentions.0.to_q.weight";
    for shape in [[2, 3].as_slice(), &[2, 3, 1, 1]] {
        assert_eq!(Loader::new(&checkpoint, Part::Vae).take(name, shape), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }
    assert_eq!(Loader::new(&checkpoint, Part::Vae).take(name, &[3, 2]), [0.0; 6], "not a reshape");
}

/// Every float type, small and large enough for several threads, aligned and not.
#[test]
fn numbers_are_converted() {
    let pairs = golden::key_names();
    let many = 300_000;
    let value = |n: usize| (n % 2048) as f32 / 8.0 - 100.0;
    let f32s: Vec<u8> = (0..many).flat_map(|n| value(n).to_le_bytes()).collect();
    let f16s: Vec<u8> = (0..many).flat_map(|n| f16::from_f32(value(n)).to_le_bytes()).collect();
    let bf16s: Vec<u8> = (0..many).flat_map(|n| bf16::from_f32(value(n)).to_le_bytes()).collect();
    let f64s: Vec<u8> = (0..many).flat_map(|n| f64::from(value(n)).to_le_bytes()).collect();
    let mut tensors: Vec<(&str, Dtype, &[usize], &[u8])> =
        pairs.iter().map(|(key, _)| (key.as_str(), Dtype::F32, [1].as_slice(), [0; 4].as_slice())).collect();
    for (name, dtype, bytes) in
        [("a", Dtype::F32, &f32s), ("b", Dtype::F16, &f16s), ("c", Dtype::BF16, &bf16s), ("d", Dtype::F64, &f64s)]
    {
        tensors.push((name, dtype, &[300_000], bytes));
    }
    tensors.push(("e", Dtype::U8, &[1], &[0]));
    let aligned = golden::safetensors(&tensors);
    // One more space in the header puts every tensor at an odd address.
    let header = u64::from_le_bytes(aligned[..8].try_into().unwrap()) as usize;
    let mut odd = (header as u64 + 1).to_le_bytes().to_vec();
    odd.extend(&aligned[8..8 + header]);
    odd.push(b' ');
    odd.extend(&aligned[8 + header..]);
    for bytes in [aligned, odd] {
        let checkpoint = open_bytes(&bytes).unwrap();
        for name in ["a", "b", "d"] {
            let read = checkpoint.read_f32(name).unwrap();
            assert_eq!(read.len(), many);
            assert!(read.iter().enumerate().all(|(n, read)| *read == value(n)), "{name}");
        }
        let read = checkpoint.read_f32("c").unwrap();
        assert!(read.iter().enumerate().all(|(n, read)| *read == bf16::from_f32(value(n)).to_f32()));
        assert!(checkpoint.read_f32("e").unwrap_err().to_string().contains("holds U8 numbers"));
        assert!(checkpoint.read_f32("f").unwrap_err().to_string().contains("no tensor named f"));
    }
}

#[test]
fn files_of_another_kind_are_called_by_their_name() {
    for (bytes, expected) in [
        (b"PK\x03\x04\x00\x00\x08\x08........".as_slice(), "PyTorch .ckpt (pickle)"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "PyTorch .ckpt (pickle)"),
        (b"\n<!DOCTYPE html><html><body>404", "HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git-lfs pointer"),
        (b"GGUF\x03\x00\x00\x00.........", "GGUF"),
        (b"{\"a\": 1, \"bcdefg\": 2}", "JSON"),
        (b"abc", "no safetensors header"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff{}", "no safetensors header"),
    ] {
        let message = message(open_bytes(bytes));
        assert!(message.contains(expected) && message.starts_with("m.safetensors"), "{message}");
    }
    assert!(message(Checkpoint::open(Path::new("no/such.safetensors"))).starts_with("cannot read no/such.safetensors"));
    assert!(message(Checkpoint::open(&std::env::temp_dir())).contains("it is a folder"));
    if cfg!(unix) {
        assert!(message(Checkpoint::open(Path::new("/dev/zero"))).contains("it is a device or a pipe; give a file"));
    }
}

#[test]
fn a_cut_file_says_how_long_it_should_be() {
    let whole = golden::checkpoint_bytes(&[], &[]);
    let cut = message(open_bytes(&whole[..whole.len() - 10]));
    assert_eq!(
        cut,
        format!(
            "m.safetensors is {} bytes but its header describes {}: it is cut short; download or copy it again",
            whole.len() - 10,
            whole.len()
        )
    );
    assert!(message(open_bytes(&whole[..100])).contains("cut short"), "inside the header");
    let long = [&*whole, b"??"].concat();
    assert!(message(open_bytes(&long)).contains("after its end"));
    let mut damaged = whole.to_vec();
    damaged[9] = b'!';
    assert!(message(open_bytes(&damaged)).contains("header is damaged"));
}

#[test]
fn a_file_on_disk_reads_as_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, golden::checkpoint_bytes(&[], &[])).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.names().len(), 1130);
    assert_eq!(checkpoint.read_f32(&golden::key_names()[7].0).unwrap(), [7.0]);
}

#[test]
fn other_families_are_named() {
    for (keys, expected) in [
        (["lora_unet_mid_block.lora_down.weight", "x"], "it is a LoRA"),
        (["unet.mid_block.attentions.0.to_q.lora_A.weight", "x"], "it is a LoRA"),
        (["unet.mid_block.attentions.0.processor.to_q_lora.down.weight", "x"], "it is a LoRA"),
        (["conditioner.embedders.0.model.ln_final.bias", "model.diffusion_model.out.0.weight"], "the SDXL refiner"),
        (["conditioner.embedders.0.transformer.a", "model.diffusion_model.out.0.weight"], "no VAE"),
        (["model.diffusion_model.joint_blocks.0.a", "x"], "Stable Diffusion 3 family"),
        (["double_blocks.0.img_attn.qkv.weight", "x"], "Flux family"),
        (["down_blocks.0.resnets.0.conv1.weight", "conv_in.weight"], "diffusers layout"),
        (["first_stage_model.quant_conv.weight", "x"], "no UNet"),
        (["model.diffusion_model.out.0.weight", "first_stage_model.quant_conv.weight"], "no text encoder"),
        (["input_blocks.0.0.weight", "x"], "a UNet alone"),
        (["network.a", "losses"], "the state of a training"),
        (["a", "b"], "no part of a Stable Diffusion model (2 tensors)"),
    ] {
        let message = message(open_bytes(&with_keys(&keys)));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn sizes_beyond_reason_take_no_memory() {
    let pairs = golden::key_names();
    let huge = [0, 1 << 50];
    let tensors: Vec<(&str, Dtype, &[usize], &[u8])> = pairs
        .iter()
        .enumerate()
        .map(|(n, (key, _))| match n {
            5 => (key.as_str(), Dtype::F32, huge.as_slice(), [].as_slice()),
            _ => (key.as_str(), Dtype::F32, [1].as_slice(), [0; 4].as_slice()),
        })
        .collect();
    assert!(message(open_bytes(&golden::safetensors(&tensors))).contains("impossible shape [0, 1125899906842624]"));
    // What no network reads may have any shape.
    let marks = [("v_pred", Dtype::F32, [0].as_slice(), [].as_slice()), ("model_ema.a", Dtype::F32, &huge, &[])];
    let whole = golden::safetensors(&[&tensors[..5], &tensors[6..], &marks].concat());
    assert!(open_bytes(&whole).is_ok());
    let checkpoint = Checkpoint::from_bytes("tiny", golden::checkpoint_bytes(&[], &[])).unwrap();
    let mut loader = Loader::new(&checkpoint, Part::Unet);
    assert!(loader.take("conv_in.weight", &[1 << 20, 1 << 20]).is_empty());
    assert!(loader.take("no.such", &[usize::MAX, 2]).is_empty());
    assert!(loader.finish().is_err());
}
