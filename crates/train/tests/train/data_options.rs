//! What the options of images and captions do to a bake, from the command line to the loss.

use std::ffi::OsString;
use std::path::Path;
use std::sync::mpsc::channel;

use lorabake_model::tokenizer::{EOS, Tokenizer};
use lorabake_recipe::parse_train;
use lorabake_testkit::tiny::USE_SD15;
use lorabake_train::bake;
use lorabake_train::cache::Tokens;
use lorabake_train::event::Event;

fn paint(path: &Path, size: (u32, u32), shade: impl Fn(u32, u32) -> [u8; 3]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::RgbImage::from_fn(size.0, size.1, |x, y| image::Rgb(shade(x, y))).save(path).unwrap();
}

/// Three pictures in `train/1_cat`.
fn images(dir: &Path, size: (u32, u32)) {
    for name in ["a", "b", "c_50_60_40_40"] {
        let shade = |x: u32, y: u32| [(x * 3) as u8 ^ name.as_bytes()[0], (y * 2) as u8, (x + y) as u8];
        paint(&dir.join(format!("train/1_cat/{name}.png")), size, shade);
        std::fs::write(dir.join(format!("train/1_cat/{name}.txt")), "a (cat:1.5), [grass], sky").unwrap();
    }
}

struct Run {
    losses: Vec<f64>,
    told: String,
}

fn run(dir: &Path, more: &str) -> Run {
    let text = |path: &str| dir.join(path).display().to_string();
    let folders = match more.contains("--dataset_config") {
        true => vec![format!("--output_dir={}", text("out"))],
        false => vec![format!("--train_data_dir={}", text("train")), format!("--output_dir={}", text("out"))],
    };
    let fixed = "--resolution=64 --learning_rate=1e-3 --seed=7 --network_dim=2 --max_train_epochs=2";
    let more = more.replace("HERE", &dir.display().to_string());
    let words = [USE_SD15].into_iter().chain(fixed.split(' ')).chain(more.split_whitespace()).map(OsString::from);
    let argv: Vec<OsString> = folders.into_iter().map(OsString::from).chain(words).collect();
    let parsed = parse_train(&argv).unwrap_or_else(|error| panic!("{error}"));
    let (events, heard) = channel();
    let (_orders, commands) = channel();
    bake(&parsed, &events, &commands).unwrap();
    drop(events);
    let mut run = Run { losses: Vec::new(), told: String::new() };
    for event in heard {
        match event {
            Event::Stepped(step) => run.losses.push(step.loss),
            Event::Note(note) => run.told += &format!("{note}\n"),
            _ => {}
        }
    }
    run
}

#[test]
fn what_a_mask_hides_is_not_learnt() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), (64, 64));
    let masks = |folder: &str, shade: fn(u32) -> u8| {
        for name in ["a", "b", "c_50_60_40_40"] {
            paint(&dir.path().join(folder).join(format!("{name}.png")), (64, 64), |x, _| [shade(x); 3]);
        }
    };
    masks("white", |_| 255);
    masks("black", |_| 0);
    masks("half", |x| if x < 32 { 0 } else { 255 });
    let plain = run(dir.path(), "");
    let masked = |folder: &str| run(dir.path(), &format!("--masked_loss --conditioning_data_dir=HERE/{folder}"));
    assert_eq!(masked("white").losses, plain.losses);
    assert!(masked("black").losses.iter().all(|loss| *loss == 0.0));
    let half = masked("half");
    let share = half.losses[0] / plain.losses[0];
    assert!((0.3..0.7).contains(&share), "{share}");
    assert!(half.told.contains("masks: 3 images have one, 0 of them all white; on average 50 % of a picture counts"));
}

#[test]
fn colours_and_faces_change_what_is_seen_and_say_where_they_cannot() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), (100, 120));
    let plain = run(dir.path(), "--max_train_epochs=4");
    let colored = run(dir.path(), "--max_train_epochs=4 --color_aug");
    assert_eq!(plain.losses.len(), colored.losses.len());
    assert_ne!(plain.losses, colored.losses);
    let faces = run(dir.path(), "--face_crop_aug_range=1.0,2.0");
    let changed = faces.losses.iter().zip(&plain.losses).filter(|(a, b)| a != b).count();
    assert!(changed > 0 && !faces.told.contains("face_crop_aug_range"), "{}", faces.told);
    // As large as the resolution: nothing to crop.
    let small = tempfile::tempdir().unwrap();
    images(small.path(), (64, 64));
    let told = run(small.path(), "--face_crop_aug_range=1.0,2.0").told;
    assert!(told.contains("face_crop_aug_range has no effect: no image that is larger"), "{told}");
}

#[test]
fn weights_in_captions_change_the_text_states_only() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), (64, 64));
    assert_ne!(run(dir.path(), "--weighted_captions").losses, run(dir.path(), "").losses);
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
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), (100, 120));
    let file = "[[datasets]]\nbatch_size = 2\n[[datasets.subsets]]\nimage_dir = 'HERE/train/1_cat'\nflip_aug = true\n\
                [[datasets]]\nresolution = 128\n[[datasets.subsets]]\nimage_dir = 'HERE/train/1_cat'\nnum_repeats = 2\n";
    let file = file.replace("HERE", &dir.path().display().to_string());
    std::fs::write(dir.path().join("sets.toml"), file).unwrap();
    let run = run(dir.path(), "--dataset_config=HERE/sets.toml --caption_extension=.txt");
    // Two batches of two and one at 64, six of one at 128, twice.
    assert_eq!(run.losses.len(), 2 * (2 + 6));
}

#[test]
fn a_paired_regularization_set_is_as_large_as_its_partners_uses() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), (64, 64));
    for name in ["a", "b", "stranger"] {
        paint(&dir.path().join(format!("reg/7_x/{name}.png")), (64, 64), |x, y| [x as u8, y as u8, 9]);
    }
    let paired = run(dir.path(), "--reg_data_dir=HERE/reg --reg_pairing=same_name");
    let counted = run(dir.path(), "--reg_data_dir=HERE/reg");
    assert_eq!((paired.losses.len(), counted.losses.len()), (2 * (3 + 2), 2 * (3 + 7)));
}

#[test]
fn regularization_images_may_teach_what_the_model_predicts() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), (64, 64));
    paint(&dir.path().join("reg/1_x/a.png"), (64, 64), |x, y| [x as u8, y as u8, 9]);
    let losses = |more: &str| run(dir.path(), &format!("--reg_data_dir=HERE/reg --learning_rate=1e-12 {more}")).losses;
    let (noise, prior) = (losses(""), losses("--prior_prediction"));
    // The LoRA changes nothing yet, so it predicts what the model does: half of the batches have no error.
    let kept = noise.iter().zip(&prior).filter(|(noise, prior)| noise == prior).count();
    let known = prior.iter().filter(|loss| **loss < 1e-8).count();
    assert_eq!((prior.len(), kept, known), (12, 6, 6), "{noise:?} {prior:?}");
}

#[test]
fn uses_without_the_trigger_teach_what_the_model_predicts() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path(), (64, 64));
    let line = "--learning_rate=1e-12 --max_train_epochs=20";
    let rate = "--trigger_dropout_rate=0.25";
    let (plain, dropped) = (run(dir.path(), line), run(dir.path(), &format!("{line} {rate} --trigger_word=sky")));
    assert_eq!((plain.losses.len(), dropped.losses.len()), (60, 60));
    let known = dropped.losses.iter().filter(|loss| **loss < 1e-8).count();
    assert!((8..=22).contains(&known), "{known} of 60");
    let others = plain.losses.iter().zip(&dropped.losses).filter(|(_, dropped)| **dropped >= 1e-8);
    let same = |(plain, dropped): (&f64, &f64)| (plain - dropped).abs() < 1e-6 * plain;
    assert!(others.clone().count() == 60 - known && others.clone().all(same), "{:?}", others.collect::<Vec<_>>());
    // Weighed like regularization images.
    let heavy = run(dir.path(), &format!("--max_train_epochs=20 {rate} --trigger_word=sky --prior_loss_weight=9"));
    let light = run(dir.path(), &format!("--max_train_epochs=20 {rate} --trigger_word=sky"));
    assert_ne!(heavy.losses, light.losses);
    std::fs::write(dir.path().join("train/1_cat/a.txt"), "grass").unwrap();
    let told = run(dir.path(), &format!("{rate} --trigger_word=sky")).told;
    assert!(told.contains("trigger_word: 1 of 3 captions lack `sky` (first: "), "{told}");
}
