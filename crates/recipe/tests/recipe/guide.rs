//! The two sample scripts at the end of the guide run with only their launch line replaced: read as PowerShell and bash
//! read them, they are a recipe.
//!
//! guide_script.ps1 and guide_script.sh are the scripts' own lines; only their comments are left out.

use std::collections::BTreeMap;
use std::ffi::OsString;

use lorabake_recipe::optim::ScheduleKind;
use lorabake_recipe::optim::optimizer::Optimizer;
use lorabake_recipe::output::SavePrecision;
use lorabake_recipe::train::{Duration, Precision};
use lorabake_recipe::{ParseError, Parsed, Recipe, parse_train};

const POWERSHELL: &str = include_str!("guide_script.ps1");
const BASH: &str = include_str!("guide_script.sh");
const LAUNCHER: &str = "accelerate launch --num_cpu_threads_per_process 8 train_network.py ";

/// The words behind the launch line, with the variables filled in. `escape` is what a shell has at the end of a line
/// that goes on.
fn words(script: &str, escape: char, variables: &BTreeMap<String, String>) -> Vec<String> {
    let (_, command) = script.split_once(LAUNCHER).expect("the script has the launch line");
    let command = command.replace(&format!("{escape}\n"), " ");
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    let mut rest = command.trim().chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => quoted = !quoted,
            '$' => {
                let braced = rest.next_if_eq(&'{').is_some();
                let mut name = String::new();
                while let Some(c) = rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                    name.push(c);
                }
                assert_eq!(braced, rest.next_if(|c| braced && *c == '}').is_some());
                word += &variables[&name];
            }
            c if c.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// `$name = value`, with numbers as .NET writes them: 0.00005 becomes 5E-05.
fn powershell() -> Vec<String> {
    let mut variables = BTreeMap::<String, String>::new();
    for (name, value) in POWERSHELL.lines().filter_map(|line| line.strip_prefix('$')?.split_once('=')) {
        let value = value.trim().trim_end_matches(';');
        let text = match value.split_once(" * ") {
            Some((a, b)) => dot_net(number(&variables[&a[1..]]) * number(&variables[&b[1..]])),
            None if value.starts_with('"') => value.trim_matches('"').to_owned(),
            None => dot_net(number(value)),
        };
        variables.insert(name.trim().to_owned(), text);
    }
    words(POWERSHELL, '`', &variables)
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

fn dot_net(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-4 {
        let (digits, exponent) =
            format!("{value:E}").split_once('E').map(|(d, e)| (d.to_owned(), e.to_owned())).unwrap();
        return format!("{digits}E-{:0>2}", exponent.trim_start_matches('-'));
    }
    value.to_string()
}

/// `NAME="value"` and `local name="value"`, which may use those before them.
fn bash() -> Vec<String> {
    let mut variables = BTreeMap::<String, String>::new();
    for line in BASH.lines() {
        let Some((name, value)) = line.trim().trim_start_matches("local ").split_once("=\"") else { continue };
        if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            let mut value = value.trim_end_matches('"').to_owned();
            for (name, known) in &variables {
                value = value.replace(&format!("${name}"), known);
            }
            variables.insert(name.to_owned(), value);
        }
    }
    words(BASH, '\\', &variables)
}

fn bake(words: &[String]) -> Result<Parsed, ParseError> {
    parse_train(&words.iter().map(OsString::from).collect::<Vec<_>>())
}

fn note_about(parsed: &Parsed, option: &str) -> String {
    parsed.notes.iter().filter(|note| note.option == option).map(ToString::to_string).collect()
}

/// What both scripts say alike.
fn check_what_is_common(recipe: &Recipe) {
    assert_eq!(recipe.data.resolution, (512, 512));
    assert!(recipe.data.captions.shuffle && recipe.data.flip_aug);
    assert_eq!(recipe.data.caption_extension.as_deref(), Some(".txt"));
    assert_eq!(recipe.optim.optimizer, Optimizer::AdamW8bit(Default::default()));
    assert_eq!((recipe.optim.unet_lr, recipe.optim.text_encoder_lr), (1e-4, 5e-5));
    assert_eq!(recipe.optim.schedule.kind, ScheduleKind::CosineWithRestarts { cycles: 1 });
    assert_eq!(recipe.output.save_precision, Some(SavePrecision::F16));
    assert_eq!((recipe.model.clip_skip, recipe.train.seed), (2, 420));
    assert_eq!((recipe.train.precision, recipe.diffusion.noise_offset), (Precision::Fp16, None));
}

#[test]
fn the_powershell_script_runs_with_only_its_launch_line_replaced() {
    let parsed = bake(&powershell()).unwrap_or_else(|error| panic!("{error}"));
    let recipe = &parsed.recipe;
    check_what_is_common(recipe);
    assert_eq!(recipe.data.train_dir.to_str(), Some(r"X:\SD\training\my_concepts_folder"));
    assert_eq!(
        recipe.data.buckets.as_ref().map(|buckets| (buckets.min, buckets.max, buckets.step)),
        Some((320, 960, 64))
    );
    assert_eq!((recipe.data.captions.keep_tokens, recipe.data.cache_latents), (1, true));
    assert_eq!((recipe.network.linear.rank, recipe.network.linear.alpha), (128, 128.0));
    assert_eq!((recipe.model.max_token_length, recipe.train.duration), (225, Duration::Epochs(8)));
    assert!(note_about(&parsed, "mixed_precision").contains("32-bit"), "{:?}", parsed.notes);
    assert!(note_about(&parsed, "xformers").contains("own memory-saving attention"), "{:?}", parsed.notes);
}

#[test]
fn powershell_hands_small_numbers_over_in_its_own_spelling() {
    let words = powershell();
    assert!(words.contains(&"--text_encoder_lr=5E-05".to_owned()), "{words:?}");
    assert!(words.contains(&"--keep_tokens=1".to_owned()), "{words:?}");
}

#[test]
fn the_bash_script_runs_with_only_its_launch_line_replaced() {
    let parsed = bake(&bash()).unwrap_or_else(|error| panic!("{error}"));
    let recipe = &parsed.recipe;
    check_what_is_common(recipe);
    assert_eq!(recipe.output.name, "penny_last_e6_n160");
    let (train, reg) = (recipe.data.train_dir.to_str(), recipe.data.reg_dir.as_ref().and_then(|dir| dir.to_str()));
    assert_eq!(train, Some("/mnt/DATA/AI/sd-scripts/SETS/penny/"));
    assert_eq!(reg, Some("/mnt/DATA/AI/sd-scripts/SETS/penny/reg/"));
    assert_eq!((recipe.data.batch_size, recipe.data.cache_latents), (2, false));
    assert_eq!((recipe.network.linear.rank, recipe.network.linear.alpha), (160, 160.0));
    assert_eq!((recipe.model.max_token_length, recipe.train.duration), (150, Duration::Epochs(6)));
    assert_eq!(recipe.output.comment.as_deref(), Some("LORA:penny"));
}
