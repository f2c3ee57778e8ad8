//! Regularization images that the model paints.

use crate::sandbox::{Sandbox, png, png_text};

/// Options of a quick picture.
const QUICK: [&str; 3] = ["--steps=1", "--resolution=64", "--cfg_scale=5"];

fn reg(sandbox: &Sandbox, more: &[&str]) -> crate::sandbox::Done {
    // A recipe stands before all options.
    sandbox.run(&[&["reg"], more, &QUICK[..]].concat())
}

#[test]
fn each_training_image_gets_a_picture_that_training_pairs_with_it() {
    let sandbox = Sandbox::new();
    sandbox.images("set/3_penny", 2);
    sandbox.write("set/3_penny/0.txt", "penny (hat), :3");
    sandbox.write("recipe.toml", "train_data_dir = 'set'\nreg_data_dir = 'reg'\nseed = 7\ntrigger_word = 'penny'\n");
    let done = reg(&sandbox, &["recipe.toml", "--trigger_class=girl"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("note: --trigger_word: captions have `girl` in place of `penny`"), "{}", done.stderr);
    assert_eq!(sandbox.files("reg"), ["0.png", "0.txt", "1.png", "1.txt"].map(|name| format!("reg/1_girl/{name}")));
    assert_eq!(std::fs::read_to_string(sandbox.path("reg/1_girl/0.txt")).unwrap(), "girl (hat), :3\n");
    let text = png_text(&sandbox.path("reg/1_girl/0.png"));
    let told =
        "girl \\(hat\\), :3\\\nSteps: 1, Sampler: DDIM, Schedule type: Automatic, CFG scale: 5, Seed: 7, Size: 64x64, ";
    assert!(text.starts_with(told), "{text}");
    let pairing = ["plan", "recipe.toml", "--output_dir=out", "--resolution=64", "--reg_pairing=same_name"];
    let plan = sandbox.run(&pairing);
    assert!(plan.stdout.contains("1_girl   2 images   all captioned   × 1 = 2 → 6"), "{}", plan.stdout);
    assert!(!plan.stdout.contains("warning"), "{}", plan.stdout);
}

#[test]
fn the_same_command_goes_on_and_another_one_paints_over_nothing() {
    let sandbox = Sandbox::new();
    let more = ["--class_prompt=girl, hat", "--number=2", "--negative_prompt=blur"];
    let done = reg(&sandbox, &more);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("reg  2 pictures with captions\n"), "{}", done.stdout);
    let second = sandbox.path("reg/1_girl, hat/00421.png");
    assert!(png_text(&second).starts_with("girl, hat\nNegative prompt: blur\nSteps: 1"));
    let first = std::fs::read(sandbox.path("reg/1_girl, hat/00420.png")).unwrap();
    let whole = std::fs::read(&second).unwrap();
    std::fs::remove_file(&second).unwrap();
    let done = reg(&sandbox, &more);
    assert!(done.stdout.contains("reg  2 pictures with captions, 1 of them from before"), "{}", done.stdout);
    assert_eq!(std::fs::read(&second).unwrap(), whole);
    // Other settings, and a picture of the user's own.
    reg(&sandbox, &[&more[..], &["--clip_skip=2"]].concat()).refused(1, &["00420.png and 1 more: made otherwise"]);
    std::fs::write(&second, png(1)).unwrap();
    reg(&sandbox, &more).refused(1, &["00421.png: made otherwise than asked for now", "move the files away"]);
    assert_eq!(std::fs::read(sandbox.path("reg/1_girl, hat/00420.png")).unwrap(), first);
}

#[test]
fn what_cannot_be_is_one_line() {
    let sandbox = Sandbox::new();
    sandbox.images("set/3_penny", 1);
    let set = "--train_data_dir=set";
    let cases: [(&[&str], i32, &[&str]); 6] = [
        (&[], 2, &["--train_data_dir: the folder of images is missing"]),
        (&[set, "--replace=hat=cap"], 1, &["--replace: no caption has `hat`"]),
        (&[set, "--replace=hat"], 2, &["write what captions say"]),
        (&[set, "--number=3"], 2, &["--class_prompt"]),
        (&[set, "--nmber=3"], 2, &["--nmber"]),
        (&["--class_prompt=a <lora:x:1>"], 1, &["<lora:x:1>: these are pictures of the model alone; leave it out"]),
    ];
    for (more, code, said) in cases {
        reg(&sandbox, more).refused(code, said);
    }
    assert!(sandbox.files("reg").is_empty());
    let warned =
        sandbox.run(&["reg", "--class_prompt=a", "--number=1", "--steps=1", "--resolution=64", "--cfg_scale=7.5"]);
    assert!(warned.stderr.contains("warning: --cfg_scale 7.5: above 7 contrast"), "{}", warned.stderr);
}
