//! What the options of images and captions do to a bake, from the command line to the loss.

use lorabake_model::tokenizer::{EOS, Tokenizer};
use lorabake_train::cache::Tokens;

use crate::sandbox::Sandbox;

/// The last has the place of a face in its name.
const NAMES: [&str; 3] = ["a", "b", "c_50_60_40_40"];

/// A sandbox with three pictures in `train/1_cat`.
fn images(size: [u32; 2]) -> Sandbox {
    let sandbox = Sandbox::new("--learning_rate=1e-3 --max_train_epochs=2");
    for name in NAMES {
        let shade = |x: u32, y: u32| [(x * 3) as u8 ^ name.as_bytes()[0], (y * 2) as u8, (x + y) as u8];
        sandbox.picture(&format!("train/1_cat/{name}.png"), size, shade);
        sandbox.write(&format!("train/1_cat/{name}.txt"), "a (cat:1.5), [grass], sky");
    }
    sandbox
}

/// A picture for regularization.
fn other_picture(sandbox: &Sandbox, name: &str) {
    sandbox.picture(name, [64, 64], |x, y| [x as u8, y as u8, 9]);
}

#[test]
fn what_a_mask_hides_is_not_learnt() {
    let sandbox = images([64, 64]);
    let masks = |folder: &str, shade: fn(u32) -> u8| {
        for name in NAMES {
            sandbox.picture(&format!("{folder}/{name}.png"), [64, 64], |x, _| [shade(x); 3]);
        }
    };
    masks("white", |_| 255);
    masks("black", |_| 0);
    masks("half", |x| if x < 32 { 0 } else { 255 });
    let plain = sandbox.bake("out", "").losses();
    let masked = |folder: &str| sandbox.bake("out", &format!("--masked_loss --conditioning_data_dir=HERE/{folder}"));
    assert_eq!(masked("white").losses(), plain);
    assert!(masked("black").losses().iter().all(|loss| *loss == 0.0));
    let half = masked("half");
    let share = half.losses()[0] / plain[0];
    assert!((0.3..0.7).contains(&share), "{share}");
    let told = "masks: for 3 images, 0 of them all white; on average 50 % of a picture counts";
    assert!(half.notes().contains(told), "{}", half.notes());
}

#[test]
fn colours_and_faces_change_what_is_seen_and_say_where_they_cannot() {
    let sandbox = images([100, 120]);
    let plain = sandbox.bake("out", "--max_train_epochs=4").losses();
    let colored = sandbox.bake("out", "--max_train_epochs=4 --color_aug").losses();
    assert_eq!(plain.len(), colored.len());
    assert_ne!(plain, colored);
    let faces = sandbox.bake("out", "--face_crop_aug_range=1.0,2.0");
    let changed = faces.losses().iter().zip(&plain).filter(|(a, b)| a != b).count();
    assert!(changed > 0 && !faces.notes().contains("face_crop_aug_range"), "{}", faces.notes());
    // As large as the resolution: nothing to crop.
    let told = images([64, 64]).bake("out", "--face_crop_aug_range=1.0,2.0").notes();
    assert!(told.contains("face_crop_aug_range has no effect: no image that is larger"), "{told}");
}

#[test]
fn weights_in_captions_change_the_text_states_only() {
    let sandbox = images([64, 64]);
    assert_ne!(sandbox.bake("out", "--weighted_captions").losses(), sandbox.bake("out", "").losses());
    let tokenizer = Tokenizer::new();
    let tokens = |prompt: &'static str, limit| Tokens::new(&tokenizer, [prompt], limit, true, &[EOS]);
    let weighted = tokens("a (cat:1.5), [grass]", 75);
    assert_eq!(weighted.rows, Tokens::new(&tokenizer, ["a cat, grass"], 75, false, &[EOS]).rows);
    let weights = weighted.weights.unwrap();
    assert_eq!((weights.len(), &weights[..6]), (77, &[1.0, 1.0, 1.5, 1.0, (1.0 / 1.1) as f32, 1.0][..]));
    // Beyond the first row, weights go on where the joined states do.
    let long: &'static str = Box::leak(format!("{}(dog:2)", "cat ".repeat(80)).into_boxed_str());
    let weights = tokens(long, 150).weights.unwrap();
    assert_eq!((weights.len(), weights[81], weights.iter().filter(|weight| **weight == 2.0).count()), (152, 2.0, 1));
    assert_eq!(tokens(long, 75).weights.unwrap(), vec![1.0; 77], "what is cut off has no weight");
}

#[test]
fn data_sets_of_several_sizes_are_trained_in_one_run() {
    let sandbox = images([100, 120]);
    let file = "[[datasets]]\nbatch_size = 2\n[[datasets.subsets]]\nimage_dir = 'HERE/train/1_cat'\nflip_aug = true\n\
                [[datasets]]\nresolution = 128\n[[datasets.subsets]]\nimage_dir = 'HERE/train/1_cat'\nnum_repeats = 2\n";
    sandbox.write("sets.toml", file);
    let run = sandbox.bake("out", "--dataset_config=HERE/sets.toml --caption_extension=.txt");
    // Two batches of two and one at 64, six of one at 128, twice.
    assert_eq!(run.steps().len(), 2 * (2 + 6));
}

#[test]
fn a_paired_regularization_set_is_as_large_as_its_partners_uses() {
    let sandbox = images([64, 64]);
    for name in ["a", "b", "stranger"] {
        other_picture(&sandbox, &format!("reg/7_x/{name}.png"));
    }
    let paired = sandbox.bake("out", "--reg_data_dir=HERE/reg --reg_pairing=same_name");
    let counted = sandbox.bake("out", "--reg_data_dir=HERE/reg");
    assert_eq!((paired.steps().len(), counted.steps().len()), (2 * (3 + 2), 2 * (3 + 7)));
}

#[test]
fn regularization_images_may_teach_what_the_model_predicts() {
    let sandbox = images([64, 64]);
    other_picture(&sandbox, "reg/1_x/a.png");
    let line = "--reg_data_dir=HERE/reg --learning_rate=1e-12";
    let noise = sandbox.bake("out", line).losses();
    let prior = sandbox.bake("out", &format!("{line} --prior_prediction")).losses();
    // The LoRA changes nothing yet, so it predicts what the model does: half of the batches have no error.
    let kept = noise.iter().zip(&prior).filter(|(noise, prior)| noise == prior).count();
    let known = prior.iter().filter(|loss| **loss < 1e-8).count();
    assert_eq!((prior.len(), kept, known), (12, 6, 6), "{noise:?} {prior:?}");
}

#[test]
fn uses_without_the_trigger_teach_what_the_model_predicts() {
    let sandbox = images([64, 64]);
    let losses = |more: &str| sandbox.bake("out", &format!("--max_train_epochs=20 {more}")).losses();
    let trigger = "--trigger_dropout_rate=0.25 --trigger_word=sky";
    let plain = losses("--learning_rate=1e-12");
    let dropped = losses(&format!("--learning_rate=1e-12 {trigger}"));
    assert_eq!((plain.len(), dropped.len()), (60, 60));
    let known = dropped.iter().filter(|loss| **loss < 1e-8).count();
    assert!((8..=22).contains(&known), "{known} of 60");
    let others = plain.iter().zip(&dropped).filter(|(_, dropped)| **dropped >= 1e-8);
    let same = |(plain, dropped): (&f64, &f64)| (plain - dropped).abs() < 1e-6 * plain;
    assert!(others.clone().count() == 60 - known && others.clone().all(same), "{:?}", others.collect::<Vec<_>>());
    // Weighed like regularization images.
    assert_ne!(losses(&format!("{trigger} --prior_loss_weight=9")), losses(trigger));
    sandbox.write("train/1_cat/a.txt", "grass");
    let told = sandbox.bake("out", trigger).notes();
    assert!(told.contains("trigger_word: 1 of 3 captions lack `sky` (first: "), "{told}");
}
