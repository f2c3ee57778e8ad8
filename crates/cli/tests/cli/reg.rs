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
fn each_data_set_of_a_config_gets_pictures_of_its_own() {
    let sandbox = Sandbox::new();
    sandbox.images("penny", 2);
    sandbox.images("hats", 1);
    std::fs::rename(sandbox.path("hats/0.txt"), sandbox.path("hats/0.words")).unwrap();
    sandbox.write(
        "set.toml",
        "[[datasets]]\nresolution = 64\n[[datasets.subsets]]\nimage_dir = 'penny'\nclass_tokens = 'penny'\n\
         [[datasets.subsets]]\nimage_dir = 'reg/dataset-1/1_penny'\nis_reg = true\n\
         [[datasets]]\nresolution = 128\n[[datasets.subsets]]\nimage_dir = 'penny'\nclass_tokens = 'penny'\n\
         [[datasets.subsets]]\nimage_dir = 'hats'\ncaption_extension = '.words'\nclass_tokens = 'hat'\n",
    );
    sandbox.write("recipe.toml", "dataset_config = 'set.toml'\nseed = 7\n");
    let done = sandbox.run(&["reg", "recipe.toml", "--steps=1", "--cfg_scale=5"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let names = ["1/1_penny/0.png", "1/1_penny/0.txt", "1/1_penny/1.png", "1/1_penny/1.txt"];
    let others = ["2/1_penny/0.png", "2/1_penny/0.txt", "2/1_penny/1.png", "2/1_penny/1.txt"];
    assert_eq!(
        sandbox.files("reg"),
        [names, others].as_flattened().iter().map(|name| format!("reg/dataset-{name}")).collect::<Vec<_>>()
    );
    let sizes = [1, 2].map(|set| sandbox.pixels(&format!("reg/dataset-{set}/1_penny/0.png")).0);
    assert_eq!(sizes, [64, 128]);
    // Of one name in one data set there is one picture.
    assert!(
        done.stderr.contains("hats/0.png: another image has its name, so that one picture serves both"),
        "{}",
        done.stderr
    );
    for said in [
        "To use them, write into set.toml:\n  data set 1: a subset with image_dir = 'reg/dataset-1/1_penny' and is_reg = true\n",
        "\n  data set 2: a subset with image_dir = 'reg/dataset-2/1_penny' and is_reg = true\nand train with:  --reg_pairing same_name",
    ] {
        assert!(done.stdout.contains(said), "{said} is missing in {}", done.stdout);
    }
    let plan = sandbox.run(&["plan", "recipe.toml", "--output_dir=out", "--reg_pairing=same_name"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let again = sandbox.run(&["reg", "recipe.toml", "--steps=1", "--cfg_scale=5"]);
    assert!(again.stdout.contains("4 pictures with captions, 4 of them from before"), "{}", again.stdout);
    sandbox.write("stages.toml", "train_data_dir = 'set'\nseed = 7\n[[stage]]\n[[stage]]\nresolution = 128\n");
    sandbox.images("set/1_fox", 1);
    let stages = reg(&sandbox, &["stages.toml", "--out=stages"]);
    assert!(
        stages.stderr.contains("note: the recipe has 2 stages; pictures are for the images of the first"),
        "{}",
        stages.stderr
    );
    sandbox.write("here.toml", "[[datasets]]\n[[datasets.subsets]]\nimage_dir = '1_hat'\nclass_tokens = 'hat'\n");
    sandbox.images("1_hat", 1);
    reg(&sandbox, &["--dataset_config=here.toml", "--out=."])
        .refused(1, &["--out .: pictures would lie among the training"]);
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
