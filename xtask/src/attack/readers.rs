//! The readers of the program: each takes a file that may hold anything, and may refuse it, but neither panic nor hang
//! nor take memory out of proportion.
//!
//! Also compiled into the program of libFuzzer (`fuzz/`), where `fuzzing` leaves out what would need the networks' crates,
//! which take minutes to build.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use lorabake_check::measure::content::Content;
use lorabake_data::caption::{self, CaptionUse, emphasis};
use lorabake_data::image::{decode, probe};
#[cfg(not(fuzzing))]
use lorabake_generate::picture_file::read_text;
#[cfg(not(fuzzing))]
use lorabake_generate::png_text::{self, PictureSettings};
#[cfg(not(fuzzing))]
use lorabake_generate::prompt::block_weights::{Elements, Presets};
#[cfg(not(fuzzing))]
use lorabake_generate::prompt::emphasis::Emphasis;
#[cfg(not(fuzzing))]
use lorabake_generate::prompt::explain::{Asked, explain};
#[cfg(not(fuzzing))]
use lorabake_generate::prompt::networks::Known;
#[cfg(not(fuzzing))]
use lorabake_generate::prompt::schedule::Timeline;
#[cfg(not(fuzzing))]
use lorabake_generate::prompt_file;
#[cfg(not(fuzzing))]
use lorabake_model::tokenizer::Tokenizer;
use lorabake_recipe::data::captions::CaptionRules;
use lorabake_recipe::import::import;
use lorabake_recipe::seed::{Seed, UseId};
use lorabake_recipe::{parse_run, parse_toml};
use lorabake_weights::Checkpoint;
use lorabake_weights::embedding::Embedding;
use lorabake_weights::hypernetwork::HypernetworkFile;
use lorabake_weights::inspect::inspect;
use lorabake_weights::lora::{LoraFile, NetFile};
use lorabake_weights::network_file::{detector, upscaler};

/// Something that reads files.
pub struct Reader {
    pub name: &'static str,
    /// Folders or files of the repository that hold good inputs.
    corpus: &'static [&'static str],
    /// Suffixes of good inputs in them.
    suffixes: &'static [&'static str],
    /// Reads a file, whatever comes of it.
    pub read: fn(&Path),
}

/// Bytes that a reader may take, and 64 times the length of its input.
pub const MEMORY: usize = 256 << 20;
/// Bytes that a decoder of images may take: a small file may well hold as many pixels as are accepted, of 16 bits and
/// four channels, and their copy as RGB.
pub const MEMORY_OF_PIXELS: usize = 178_956_970 * (8 + 3);

/// All readers.
pub const READERS: &[Reader] = &[
    Reader { name: "safetensors", corpus: &["crates/weights/tests/golden"], suffixes: &["safetensors"], read: tensors },
    Reader { name: "torch", corpus: &["crates/weights/tests/golden/torch"], suffixes: &["ckpt", "pt"], read: tensors },
    Reader { name: "npz", corpus: &["crates/weights/tests/golden/npz"], suffixes: &["npz"], read: tensors },
    Reader {
        name: "images",
        corpus: &["crates/data/tests/golden/decode", "crates/data/tests/golden/images", "xtask/corpus"],
        suffixes: &["png", "jpg", "webp", "bmp"],
        read: image,
    },
    Reader { name: "captions", corpus: &["examples", "xtask/corpus"], suffixes: &["txt"], read: caption },
    Reader { name: "recipes", corpus: &["examples", "xtask/corpus/recipe.toml"], suffixes: &["toml"], read: recipe },
    Reader { name: "data sets", corpus: &["xtask/corpus/dataset.toml"], suffixes: &["toml"], read: dataset_config },
    Reader {
        name: "imports",
        corpus: &["crates/recipe/tests/recipe", "crates/weights/tests/golden/peft"],
        suffixes: &["json", "safetensors"],
        read: imported,
    },
    Reader {
        name: "nets",
        corpus: &["crates/lora/tests/golden", "conformance-gen/nets", "conformance-gen/upscale"],
        suffixes: &["pt", "safetensors"],
        read: nets,
    },
    #[cfg(not(fuzzing))]
    Reader { name: "picture texts", corpus: &["docs"], suffixes: &["png"], read: picture_text },
    #[cfg(not(fuzzing))]
    Reader {
        name: "prompt files",
        corpus: &["examples", "xtask/corpus/prompts.toml", "xtask/corpus/prompts.json"],
        suffixes: &["txt", "toml", "json"],
        read: prompts,
    },
    Reader { name: "presets", corpus: &["xtask/corpus/preset.toml"], suffixes: &["toml"], read: preset },
    Reader { name: "options", corpus: &["xtask/corpus/options.txt"], suffixes: &["txt"], read: options },
];

impl Reader {
    /// The reader of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        READERS.iter().find(|reader| reader.name == name)
    }

    /// The good inputs below `root`, one list for each suffix.
    ///
    /// # Errors
    /// If there is none.
    pub fn seeds(&self, root: &Path) -> Result<Vec<Seeds>> {
        let mut all = Vec::new();
        for suffix in self.suffixes {
            let mut files = Vec::new();
            for place in self.corpus {
                files.extend(files_of(&root.join(place), suffix)?);
            }
            files.sort();
            let inputs = files.iter().map(fs::read).collect::<Result<Vec<_>, _>>()?;
            if !inputs.is_empty() {
                all.push(Seeds { suffix, inputs });
            }
        }
        ensure!(!all.is_empty(), "{}: no good input below {}", self.name, root.display());
        Ok(all)
    }
}

/// Good inputs of one format.
pub struct Seeds {
    pub suffix: &'static str,
    pub inputs: Vec<Vec<u8>>,
}

/// Larger files are left out: changing them takes longer than reading them.
const LARGEST: u64 = 200_000;

/// The file itself, or the files in a folder and below it.
fn files_of(place: &Path, suffix: &str) -> Result<Vec<PathBuf>> {
    if place.is_file() {
        let fits = place.extension().is_some_and(|own| own == suffix);
        return Ok(if fits { vec![place.to_owned()] } else { Vec::new() });
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(place).with_context(|| place.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() || fs::metadata(&path)?.len() <= LARGEST {
            files.extend(files_of(&path, suffix)?);
        }
    }
    Ok(files)
}

fn tensors(path: &Path) {
    let _ = inspect(path, true);
    let _ = Checkpoint::open(path);
    let _ = LoraFile::open(path);
    let _ = import(path);
}

fn image(path: &Path) {
    if let Ok(bytes) = std::fs::read(path) {
        let _ = Content::of(&bytes);
    }
    let size = probe::size(path);
    let decoded = decode::decode(path);
    if let (Ok(size), Ok(decoded)) = (size, decoded) {
        assert_eq!(size, (decoded.image.width, decoded.image.height), "the header and the image differ");
    }
}

fn caption(path: &Path) {
    let all_on = CaptionRules { wildcards: true, shuffle: true, weighted: true, ..CaptionRules::default() };
    for rules in [CaptionRules::default(), all_on] {
        let Ok(read) = caption::read(path, &rules) else { continue };
        let at = CaptionUse { id: UseId { epoch: 0, position: 1 }, step: 3, steps: 9 };
        let drawn = caption::draw(&read.text, &rules, Seed(1), at);
        let _ = emphasis::parse(&drawn);
        #[cfg(not(fuzzing))]
        let _ = Tokenizer::new().chunks(&drawn, 225);
    }
}

fn recipe(path: &Path) {
    let _ = parse_run(&["--config_file".into(), path.into()]);
    if let Ok(text) = fs::read_to_string(path) {
        let _ = parse_toml(&text, path);
    }
}

fn dataset_config(path: &Path) {
    let _ = parse_run(&["--dataset_config".into(), path.into(), "--output_dir=out".into()]);
}

fn imported(path: &Path) {
    if let Ok(imported) = import(path) {
        let text = imported.to_toml();
        let _ = imported.left_out_lines();
        let read = parse_toml(&text, Path::new("recipe"));
        if let Err(problems) = read {
            assert!(!problems.to_string().contains("is not TOML"), "what is written is no TOML: {problems}");
        }
    }
    let _ = parse_run(&["--train_data_dir=set".into(), "--output_dir=out".into(), "--like".into(), path.into()]);
}

#[cfg(not(fuzzing))]
fn prompts(path: &Path) {
    if let Ok(read) = prompt_file::read(path, "--from_file") {
        for prompt in read.iter().take(100) {
            explained(&prompt.prompt);
            let _ = Tokenizer::new().cut_off(&prompt.prompt, 225);
        }
    }
}

/// What a prompt became, as `--explain` shows it.
#[cfg(not(fuzzing))]
fn explained(prompt: &str) {
    let timeline = Timeline { steps: 20, hires_steps: None, old: false };
    let asked = Asked { prompt, negative_prompt: prompt, timeline, calls: 20, emphasis: Emphasis::Original };
    let known = Known { presets: &Presets::built_in(), elements: &Elements::read(""), seed: 1 };
    let _ = explain(asked, known).map(|explanation| explanation.lines());
}

/// The text of a picture, as `--like` takes it.
#[cfg(not(fuzzing))]
fn picture_text(path: &Path) {
    if let Ok(text) = read_text(path) {
        let settings = PictureSettings::of(&png_text::parse(&text));
        explained(settings.prompt.as_deref().unwrap_or_default());
    }
}

/// Files that prompts and options of pictures name.
fn nets(path: &Path) {
    let _ = NetFile::open(path);
    let _ = Embedding::open(path);
    let _ = HypernetworkFile::open(path);
    let _ = upscaler::open(path);
    let _ = detector::open(path);
}

fn preset(path: &Path) {
    let mut preset = OsString::from("--network_args=preset=");
    preset.push(path);
    let usual = ["--train_data_dir=set", "--output_dir=out", "--network_module=lycoris.kohya"].map(OsString::from);
    let _ = parse_run(&[&usual[..], &[preset]].concat());
}

/// A word a line, as a command line.
fn options(path: &Path) {
    let Ok(text) = fs::read(path) else { return };
    let text = String::from_utf8_lossy(&text);
    let words: Vec<OsString> =
        text.lines().filter(|word| !word.contains("output_config")).map(OsString::from).collect();
    let _ = parse_run(&words);
}
