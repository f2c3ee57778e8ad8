//! `lorabake inspect` as a user meets it.

use crate::sandbox::Sandbox;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../weights/tests/golden");

#[test]
fn a_lora_tells_what_it_is() {
    let sandbox = Sandbox::new();
    let lora = format!("{GOLDEN}/lora_fp16.safetensors");
    let done = sandbox.run(&["inspect", &lora, "--tags=2"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for told in [
        "LoRA, Stable Diffusion 1.x (kohya names)",
        "AutoV2",
        "the tensors agree with it",
        "base model",
        "image folder",
        "see --tags all",
        "\n  IN01          12  ",
    ] {
        assert!(done.stdout.contains(told), "{told}: {}", done.stdout);
    }
    assert!(!sandbox.run(&["inspect", &lora, "--tags=all"]).stdout.contains("see --tags all"));
    let json = sandbox.run(&["inspect", &lora, "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json[0]["kind"], &json[0]["adapter"]["unet_modules"]), (&"adapter".into(), &192.into()));
    sandbox.run(&["inspect", &lora, "--recipe"]).refused(1, &["has no recipe"]);
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let sandbox = Sandbox::new();
    sandbox.write("text.safetensors", "this is no model");
    let folder = format!("{GOLDEN}/diffusers/folder");
    let done = sandbox.run(&["inspect", "text.safetensors", &folder]);
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("text.safetensors is not a safetensors file"), "{}", done.stderr);
    assert!(done.stdout.contains("checkpoint, Stable Diffusion 1.x"), "{}", done.stdout);
    assert!(done.stdout.contains("v, zero terminal SNR"), "{}", done.stdout);
}
