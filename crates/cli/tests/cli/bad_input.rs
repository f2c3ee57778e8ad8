//! Bad input: one clear line that names file or option, an exit code other than 0, and nothing written.

use crate::sandbox::{Sandbox, png};

/// Training is refused with `said`, and no file but those that were there before exists afterwards.
fn refused(sandbox: &Sandbox, more: &[&str], said: &[&str]) {
    let before = sandbox.files("");
    sandbox.train(more).refused(1, said);
    assert_eq!(sandbox.files(""), before);
    assert!(!sandbox.path("out").exists());
}

#[test]
fn folders_without_usable_images() {
    let sandbox = Sandbox::new();
    refused(&sandbox, &[], &["set"]);
    std::fs::create_dir_all(sandbox.path("set/3_penny")).unwrap();
    refused(&sandbox, &[], &["set", "no"]);
}

#[test]
fn the_wrong_folder_level_and_the_right_one() {
    let sandbox = Sandbox::new();
    sandbox.images("set/3_penny", 1);
    refused(&sandbox, &["--train_data_dir=set/3_penny"], &["set/3_penny", "--train_data_dir set"]);
    let sandbox = Sandbox::new();
    sandbox.images("top/set/3_penny", 1);
    refused(&sandbox, &["--train_data_dir=top"], &["top", "--train_data_dir top/set"]);
}

#[test]
fn damaged_images_and_captions() {
    for (file, bytes, said) in [
        ("1.png", &png(1)[..100], "set/3_penny/1.png"),
        ("1.png", &[][..], "set/3_penny/1.png"),
        ("0.txt", &b"a penny \xff\xfe\xe9"[..], "set/3_penny/0.txt"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.images("set/3_penny", 1);
        sandbox.write(&format!("set/3_penny/{file}"), bytes);
        refused(&sandbox, &[], &[said]);
    }
}

#[test]
fn files_that_are_no_checkpoint() {
    let tiny = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny/sd15_tiny.safetensors")).unwrap();
    let sdxl = safetensors_file("conditioner.embedders.0.transformer.text_model.final_layer_norm.weight");
    let sandbox = Sandbox::new();
    sandbox.images("set/3_penny", 1);
    sandbox.write("cut.safetensors", &tiny[..tiny.len() / 2]);
    sandbox.write("xl.safetensors", sdxl);
    sandbox.write("empty.safetensors", "");
    sandbox.write("text.safetensors", "this is no model");
    sandbox.write("model.ckpt", b"PK\x03\x04 a pickle");
    for (file, said) in [
        ("cut.safetensors", "cut short"),
        ("xl.safetensors", "SDXL"),
        ("empty.safetensors", "empty"),
        ("text.safetensors", "not a safetensors file"),
        ("model.ckpt", "pickle"),
        ("missing.safetensors", "cannot read"),
    ] {
        refused(&sandbox, &["--pretrained_model_name_or_path", file], &[file, said]);
        let generate = sandbox.run(&["generate", "--prompt=x", "--out=out", "--pretrained_model_name_or_path", file]);
        generate.refused(1, &[file, said]);
        assert!(!sandbox.path("out").exists());
    }
}

/// A whole safetensors file with one tensor.
fn safetensors_file(name: &str) -> Vec<u8> {
    let header = format!(r#"{{"{name}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#);
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat()
}

#[test]
fn an_alpha_above_the_rank_is_a_warning() {
    let sandbox = Sandbox::new();
    sandbox.images("set/3_penny", 1);
    let done = sandbox.train(&["--network_alpha=8"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("note: --network_alpha: alpha 8 is more than rank 2"), "{}", done.stderr);
}

#[test]
fn folders_that_cannot_be_written() {
    let sandbox = Sandbox::new();
    sandbox.images("set/3_penny", 1);
    sandbox.write("file", "x");
    refused(&sandbox, &["--output_dir=file/out"], &["output_dir file/out", "file is a file"]);
    refused(&sandbox, &["--logging_dir=file/logs"], &["--logging_dir", "file"]);
    for out in ["file/out", "file/a.png"] {
        sandbox.run(&["generate", "--prompt=x", "--out", out]).refused(1, &["--out", out, "file is a file"]);
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_previous_file() {
    let sandbox = Sandbox::new();
    sandbox.images("set/3_penny", 1);
    assert_eq!(sandbox.train(&[]).code, 0);
    let (files, first) = (sandbox.files(""), std::fs::read(sandbox.path("out/last.safetensors")).unwrap());
    let full = sandbox.run_on_full_disk(16, &Sandbox::training(&["--seed=2"]));
    full.refused(1, &["cannot save out/last.safetensors", "File too large"]);
    assert_eq!(std::fs::read(sandbox.path("out/last.safetensors")).unwrap(), first);
    let generate = ["generate", "--prompt=x", "--steps=2", "--width=64", "--out=out/a.png"];
    sandbox.run_on_full_disk(1, &generate).refused(1, &["cannot save out/a.png", "File too large"]);
    assert_eq!(sandbox.files(""), files);
}

#[test]
fn options_that_cannot_be_meant() {
    let sandbox = Sandbox::new();
    sandbox.images("set/3_penny", 1);
    for (option, said) in [("--network_dimm=4", "--network_dim?"), ("--clip_skip=13", "--clip_skip")] {
        sandbox.train(&[option]).refused(2, &[said]);
    }
    for (option, code, said) in [
        ("--promt=x", 2, "--prompt"),
        ("--steps=0", 2, "1..=1000"),
        ("--cfg_scale=much", 2, "--cfg_scale"),
        ("--sampler=eular", 2, "there is no sampler `eular`; use Euler"),
        ("--width=100", 1, "multiples of 8"),
        ("--out=a.bmp", 1, "only .png, .jpg and .webp"),
        ("--prompt=a <lora:nowhere:1>", 1, "no LoRA `nowhere`"),
        ("--prompt=a <lora:x:much>", 1, "`much` is not a number"),
        ("--latent=missing.safetensors", 1, "missing.safetensors"),
        ("--compare", 1, "no LoRA in the prompt"),
    ] {
        sandbox.run(&["generate", "--prompt=x", option]).refused(code, &[said]);
    }
    assert!(!sandbox.path("out").exists());
}

#[test]
fn files_that_are_no_lora() {
    let sandbox = Sandbox::new();
    sandbox.write("loras/text.safetensors", "this is no LoRA");
    sandbox.write("loras/base.safetensors", safetensors_file("model.diffusion_model.out.0.weight"));
    sandbox.write("loras/xl.safetensors", safetensors_file("lora_unet_double_blocks_0.alpha"));
    for (name, said) in [("text", "not a safetensors file"), ("base", "it is a checkpoint, not a LoRA"), ("xl", "Flux")]
    {
        let prompt = format!("x <lora:{name}:1>");
        let done = sandbox.run(&["generate", "--lora_dir=loras", "--out=out", "--steps=2", "--prompt", &prompt]);
        done.refused(1, &[&format!("loras/{name}.safetensors"), said]);
    }
    assert!(!sandbox.path("out").exists());
}
