//! `--dataset_config`: which level of the file wins, what its subsets mean, and what is refused.

use lorabake_recipe::data::Subset;
use lorabake_recipe::data::{Buckets, Data, Mask};
use lorabake_recipe::parse_toml;
use tempfile::TempDir;

use crate::imports::file;
use crate::{ENOUGH, parse, problems};

/// The example of sd-scripts' `docs/config_README-en.md`, shortened, with the keys of this page added.
const FILE: &str = r#"
[general]
shuffle_caption = true
caption_extension = '.txt'
keep_tokens = 1
num_repeats = 2

[[datasets]]
resolution = 512
batch_size = 4
keep_tokens = 2

  [[datasets.subsets]]
  image_dir = 'hoge'
  class_tokens = 'hoge girl'

  [[datasets.subsets]]
  image_dir = 'fuga'
  class_tokens = 'fuga boy'
  keep_tokens = 3
  num_repeats = 10
  alpha_mask = true

  [[datasets.subsets]]
  is_reg = true
  image_dir = 'reg'
  class_tokens = 'human'
  keep_tokens = 1

[[datasets]]
resolution = [768, 640]
batch_size = 2
enable_bucket = true
max_bucket_reso = 1024

  [[datasets.subsets]]
  image_dir = 'piyo'
  conditioning_data_dir = 'masks'
  flip_aug = true
  caption_dropout_rate = 0.5
"#;

/// A command line with this file in place of --train_data_dir.
fn line(folder: &TempDir, text: &str) -> String {
    let path = folder.path().join("sets.toml");
    std::fs::write(&path, text).unwrap();
    let rest = ENOUGH.replace("--train_data_dir=images", "").replace("--resolution=512", "");
    format!("{rest} --dataset_config={}", path.display())
}

fn problems_in(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let error = parse(&line(&folder, text)).unwrap_err().to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn a_subset_goes_before_its_data_set_before_general_before_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let line = format!("{} --masked_loss --min_bucket_reso=320 --reg_pairing=same_name", line(&folder, FILE));
    let parsed = parse(&line).unwrap();
    let data = &parsed.recipe.data;
    let subsets = &data.config.as_ref().unwrap().subsets;
    let row = |s: &Subset| {
        let dir = s.settings.train_dir.display().to_string();
        (s.dataset, dir, s.repeats, s.class_tokens.clone(), s.settings.captions.keep_tokens, s.settings.batch_size)
    };
    let expected = [
        (0, "hoge", 2, "hoge girl", 2, 4),
        (0, "fuga", 10, "fuga boy", 3, 4),
        (0, "reg", 2, "human", 1, 4),
        (1, "piyo", 2, "", 1, 2),
    ];
    let expected = expected.map(|(set, dir, n, words, keep, batch)| (set, dir.into(), n, words.into(), keep, batch));
    assert_eq!(subsets.iter().map(row).collect::<Vec<_>>(), expected);
    assert!(data.has_reg());
    assert_eq!(subsets.iter().map(|s| s.is_reg).collect::<Vec<_>>(), [false, false, true, false]);
    let [hoge, fuga, _, piyo]: [&Data; 4] = std::array::from_fn(|index| &subsets[index].settings);
    assert_eq!((hoge.resolution, hoge.buckets.clone(), hoge.mask.clone()), ((512, 512), None, None));
    assert!(hoge.captions.shuffle && !hoge.flip_aug && piyo.flip_aug);
    assert_eq!((fuga.mask.clone(), piyo.mask.clone()), (Some(Mask::Alpha), Some(Mask::Folder("masks".into()))));
    let buckets = Buckets { min: 320, max: 1024, step: 64, no_upscale: false };
    assert_eq!((piyo.resolution, piyo.buckets.clone(), piyo.captions.dropout_rate), ((768, 640), Some(buckets), 0.5));
}

#[test]
fn each_data_set_may_hold_out_another_share() {
    let folder = tempfile::tempdir().unwrap();
    let text = FILE.replace("keep_tokens = 2", "validation_split = 0.25\nvalidation_seed = 9");
    let held = |line: &str| {
        let parsed = parse(line).unwrap();
        let data = &parsed.recipe.data;
        let subsets = data.config.as_ref().unwrap().subsets.iter();
        let own = subsets.map(|subset| (subset.settings.hold_out.share, subset.settings.hold_out.seed()));
        (own.collect::<Vec<_>>(), parsed.recipe.validation.is_some(), data.hold_out.seed())
    };
    let expected = vec![(0.25, 9), (0.25, 9), (0.25, 9), (0.0, 420)];
    assert_eq!(held(&line(&folder, &text)), (expected, true, 420));
    let more = format!("{} --validation_split=0.5 --validation_seed=4", line(&folder, &text));
    assert_eq!(held(&more), (vec![(0.25, 9), (0.25, 9), (0.25, 9), (0.5, 4)], true, 4));
    // Nothing of a regularization set is held out.
    let only_reg = "[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'a'\n[[datasets]]\nvalidation_split = 0.5\n\
                    [[datasets.subsets]]\nimage_dir = 'reg'\nis_reg = true\n";
    let parsed = parse(&format!("{} --max_validation_steps=3", line(&folder, only_reg))).unwrap();
    assert_eq!(parsed.recipe.validation, None);
    assert!(parsed.notes.iter().any(|note| note.to_string().contains("max_validation_steps: has no effect")));
    let wrong = problems_in(&FILE.replace("keep_tokens = 2", "validation_split = -1"));
    assert!(wrong.contains("sets.toml: validation_split: -1 is not a share"), "{wrong}");
}

#[test]
fn the_effective_recipe_is_read_back_with_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = parse(&line(&folder, FILE)).unwrap().recipe;
    let text = recipe.to_toml().unwrap();
    let again = parse_toml(&text, folder.path()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(again.recipe, recipe);
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    let subset = "[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'x'\n";
    for (text, expected) in [
        (
            format!("{subset}num_repeat = 3"),
            "num_repeat: there is no such key in data set 1, subset 1; did you mean num_repeats?",
        ),
        (
            format!("[general]\nflipaug = true\n{subset}"),
            "flipaug: there is no such key in [general]; did you mean flip_aug?",
        ),
        (
            format!("{subset}batch_size = 3"),
            "batch_size: there is no such key in data set 1, subset 1; put it where it belongs, see --help",
        ),
        (format!("{subset}qqq = 1"), "qqq: there is no such key in data set 1, subset 1; leave it out"),
        (
            format!("learning_rate = 1\n{subset}"),
            "learning_rate: it stands at the top of the file; put it below [general] or [[datasets]]",
        ),
        (
            format!("{subset}metadata_file = 'm.json'"),
            "metadata_file: (data set 1, subset 1) known to sd-scripts, but lorabake does not support it yet; leave it out",
        ),
        (
            format!("{subset}flip_aug = 'maybe'"),
            "flip_aug: `maybe` is neither true nor false; write flip_aug = true, or flip_aug = false",
        ),
        (
            format!("{subset}caption_dropout_rate = 2"),
            "caption_dropout_rate: 2 is not a share; use a number from 0 to 1, such as 0.1",
        ),
        (
            format!("{subset}num_repeats = 0"),
            "num_repeats: (data set 1, subset 1) it is not a number of repeats from 1 to 100000; write for instance num_repeats = 10",
        ),
        (
            "[[datasets]]\n[[datasets.subsets]]\nflip_aug = true".to_owned(),
            "image_dir: (data set 1, subset 1) the folder of images is missing; write image_dir = 'FOLDER'",
        ),
        ("[[datasets]]\nbatch_size = 1".to_owned(), "subsets: there is none; write [[datasets.subsets]] once or more"),
        ("[general]\nbatch_size = 1".to_owned(), "datasets: there is none; write [[datasets]] once or more"),
        ("[general".to_owned(), "line 1 is not TOML"),
    ] {
        let problems = problems_in(&text);
        assert!(problems.contains(&format!("\n  sets.toml: {expected}")), "{text}\n{problems}");
        assert!(!problems.contains("neither lorabake nor sd-scripts"), "{text}\n{problems}");
    }
    let twice = format!("{subset}[[datasets.subsets]]\nimage_dir = 'y'\n");
    let once = problems_in(&format!("{twice}[general]\nresolution = 10"));
    assert_eq!(once.matches("is not a size in pixels").count(), 1, "{once}");
}

#[test]
fn folders_of_the_command_line_have_no_effect_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let parsed =
        parse(&format!("{} --train_data_dir=images --resolution=512 --masked_loss", line(&folder, FILE))).unwrap();
    let notes: Vec<String> = parsed.notes.iter().map(ToString::to_string).collect();
    assert_eq!(notes, ["--train_data_dir: has no effect, because the folders stand in --dataset_config"]);
}

/// Taken for false, it would train on the images that are there to keep what was known.
#[test]
fn is_reg_in_quotes_is_read_and_nonsense_is_refused() {
    let file = |value: &str| {
        let other = "[[datasets]]\nresolution = 512\n[[datasets.subsets]]\nimage_dir = 'a'\n";
        format!("{other}[[datasets.subsets]]\nimage_dir = 'reg'\nis_reg = {value}\n")
    };
    for (value, expected) in [("true", true), ("'true'", true), ("'false'", false)] {
        let folder = tempfile::tempdir().unwrap();
        let parsed = parse(&line(&folder, &file(value))).unwrap();
        assert_eq!(parsed.recipe.data.config.unwrap().subsets[1].is_reg, expected, "{value}");
    }
    let error = problems_in(&file("'yes'"));
    assert!(
        error.contains("is_reg: (data set 1, subset 2) it is neither true nor false; write is_reg = true"),
        "{error}"
    );
}

#[test]
fn a_recipe_in_its_place_and_the_reverse_are_told_apart() {
    let (_folder, path) = file("sets.toml", FILE.as_bytes());
    let told = problems(&format!("{ENOUGH} --config_file={}", path.display()));
    assert!(
        told.contains("it is a data set config ([[datasets]]) and no recipe; give it with --dataset_config"),
        "{told}"
    );
    for recipe in [
        "output_dir = 'out'\nresolution = 512\n",
        "[model]\npretrained_model_name_or_path = 'a.safetensors'\n",
        "{\"train_data_dir\": \"images\"}",
    ] {
        let (_folder, path) = file(if recipe.starts_with('{') { "r.json" } else { "r.toml" }, recipe.as_bytes());
        let told = problems(&format!("{ENOUGH} --dataset_config={}", path.display()));
        assert!(
            told.contains("it is a recipe and no data set config, which has [[datasets]]; give it with --config_file"),
            "{told}"
        );
        assert_eq!(told.matches(&*path.display().to_string()).count(), 1, "{told}");
    }
    let (_folder, path) = file("misspelt.toml", b"[[dataset]]\nresolution = 512\n");
    assert!(!problems(&format!("{ENOUGH} --dataset_config={}", path.display())).contains("it is a recipe"));
}
