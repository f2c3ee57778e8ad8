//! `lorabake generate` from pictures: drawings as masks, and texts of pictures that ask for too much.

use crate::sandbox::{Sandbox, png_of, png_text};

#[test]
fn what_was_drawn_upon_is_painted_anew() {
    let sandbox = Sandbox::new();
    let size = 64_usize;
    let grey = vec![120_u8; size * size * 3];
    let mut drawn = grey.clone();
    // The right lower corner.
    for row in 48..size {
        drawn[(row * size + 48) * 3..(row + 1) * size * 3].fill(240);
    }
    sandbox.write("grey.png", png_of(&grey));
    sandbox.write("drawn.png", png_of(&drawn));
    let paint = |more: &[&str]| {
        let command = ["generate", "--prompt=fox", "--init_image=grey.png", "--width=64", "--height=64", "--steps=4"];
        sandbox.run(&[&command[..], &["--seed=1", "--mask_blur=0"], more].concat())
    };
    let done = paint(&["--sketch=drawn.png", "--out=a.png"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let (_, _, painted) = sandbox.pixels("a.png");
    assert_eq!(painted[..32 * size * 3], grey[..32 * size * 3]);
    let corner = &painted[(56 * size + 56) * 3..][..24];
    assert!(corner.iter().any(|value| value.abs_diff(120) > 3), "{corner:?}");
    assert!(png_text(&sandbox.path("a.png")).contains("Denoising strength: 0.75"));

    let unchanged = paint(&["--sketch=grey.png", "--out=b.png"]);
    assert!(unchanged.stderr.contains("note: --sketch: no part of the picture is masked"), "{}", unchanged.stderr);
    paint(&["--sketch=missing.png", "--out=c.png"]).refused(1, &["--sketch missing.png: there is no such file"]);
    paint(&["--mask_transparency=20", "--out=c.png"]).refused(2, &["--sketch <FILE>"]);
    paint(&["--sketch=drawn.png", "--mask=drawn.png", "--out=c.png"]).refused(2, &["cannot be used with"]);
    assert!(!sandbox.path("c.png").exists());
}

#[test]
fn a_tag_that_can_never_act_is_told() {
    let sandbox = Sandbox::new();
    sandbox.images("set/1_penny", 1);
    assert_eq!(sandbox.train(&["--max_train_steps=1"]).code, 0);
    let lora = sandbox.files("out").into_iter().find(|name| name.ends_with(".safetensors")).unwrap();
    let name = lora.trim_start_matches("out/").trim_end_matches(".safetensors");
    let paint = |tags: &str| {
        let prompt = format!("--prompt=fox {tags}");
        sandbox.run(&["generate", &prompt, "--lora_dir=out", "--width=64", "--steps=3", "--seed=1", "--out=a.png"])
    };
    let late = paint(&format!("<lora:{name}:1:start=9>"));
    assert!(late.stderr.contains("it is never on in the UNet, whose steps are 3"), "{}", late.stderr);
    assert!(!paint(&format!("<lora:{name}:1:start=3>")).stderr.contains("never on"));
    let off = paint(&format!("<lora:{name}:0>"));
    assert!(off.stderr.contains("its strength is 0, so it does nothing"), "{}", off.stderr);
    paint(&format!("<lora:{name}:1>").repeat(257)).refused(1, &["the prompt names 257 networks; 256 are the most"]);
}
