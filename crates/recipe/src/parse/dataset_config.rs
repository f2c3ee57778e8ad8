//! Reads a `--dataset_config`: data sets with folders of their own, in sd-scripts' form, as TOML or JSON. What it comes to is
//! [`DatasetConfig`].
//!
//! A key of a subset goes before that of its data set, that before `[general]`, and that before the command line.
//! Keys are the options under their own names, but for `batch_size`, `num_repeats` and `image_dir`; their values go the
//! way of all options, so that an option has one meaning. Which key may stand where is that of sd-scripts'
//! `ConfigSanitizer` (`library/config_util.py`). `N_` in a folder's name counts nothing here.

use std::collections::HashSet;
use std::path::Path;

use toml::{Table, Value};

use super::argv::Given;
use super::command::command;
use super::home::{self, NoHome};
use super::intake::Intake;
use super::{file, names, table, text};
use crate::data::{DatasetConfig, Subset};
use crate::recipe::RawRecipe;
use crate::report::{Problem, Report};

/// Keys of a data set, also taken in `[general]`.
const DATASET: [&str; 9] = [
    "batch_size",
    "resolution",
    "enable_bucket",
    "min_bucket_reso",
    "max_bucket_reso",
    "bucket_reso_steps",
    "bucket_no_upscale",
    "validation_split",
    "validation_seed",
];
/// Keys of a subset, also taken in its data set and in `[general]`.
const SUBSET: [&str; 21] = [
    "num_repeats",
    "class_tokens",
    "caption_extension",
    "shuffle_caption",
    "keep_tokens",
    "keep_tokens_separator",
    "caption_separator",
    "secondary_separator",
    "enable_wildcard",
    "caption_prefix",
    "caption_suffix",
    "caption_dropout_rate",
    "caption_dropout_every_n_epochs",
    "caption_tag_dropout_rate",
    "token_warmup_min",
    "token_warmup_step",
    "flip_aug",
    "color_aug",
    "random_crop",
    "face_crop_aug_range",
    "cache_info",
];
/// Keys that belong to one folder and stand nowhere else.
const FOLDER: [&str; 4] = ["image_dir", "is_reg", "alpha_mask", "conditioning_data_dir"];
/// Keys that sd-scripts knows and lorabake does not, with the value that means "off".
const UNSUPPORTED: [(&str, &str); 4] =
    [("metadata_file", ""), ("resize_interpolation", ""), ("network_multiplier", "1"), ("custom_attributes", "")];

/// Reads the file; `line` holds what is not said there. Whatever is wrong becomes a problem of `report`.
pub(crate) fn read(path: &Path, line: &RawRecipe, report: &mut Report) -> DatasetConfig {
    for (option, given) in [("train_data_dir", &line.data.train_data_dir), ("reg_data_dir", &line.data.reg_data_dir)] {
        if given.is_some() {
            report.note(option, "has no effect, because the folders stand in --dataset_config");
        }
    }
    let mut told: HashSet<String> = report.problems.iter().map(ToString::to_string).collect();
    told.extend(report.notes.iter().map(ToString::to_string));
    let mut reading = Reading { path, line, report, told, subsets: Vec::new() };
    match text::read(path) {
        Err(unread) => reading.report.problems.push(unread.problem_of_option("dataset_config", path, "a TOML file")),
        Ok(text) => match table::read(&text, path) {
            Err(problem) => reading.report.problems.push(problem),
            Ok(table) => reading.file(&table),
        },
    }
    let Reading { subsets, report, .. } = reading;
    if subsets.iter().any(|subset| subset.settings.mask.is_some()) {
        // A mask in one subset is enough for the option to act.
        report.notes.retain(|note| note.option != "masked_loss");
    }
    DatasetConfig { file: path.to_owned(), subsets }
}

/// Whether a file is a recipe: it has options, at its top or in a section, that no data set config has anywhere.
fn is_recipe(table: &Table) -> bool {
    let command = command();
    let own = [DATASET.as_slice(), &SUBSET, &FOLDER].concat();
    let is_option =
        |key: &str| !own.contains(&key) && command.get_arguments().any(|option| option.get_long() == Some(key));
    let sections = table.values().filter_map(Value::as_table).flat_map(Table::keys);
    table.keys().chain(sections).any(|key| is_option(key))
}

struct Reading<'a> {
    path: &'a Path,
    line: &'a RawRecipe,
    report: &'a mut Report,
    /// The problems and notes of subsets that were told already.
    told: HashSet<String>,
    subsets: Vec<Subset>,
}

impl Reading<'_> {
    fn file(&mut self, table: &Table) {
        if !file::is_dataset_config(table) && is_recipe(table) {
            let what = "it is a recipe and no data set config, which has [[datasets]]".to_owned();
            let problem = Problem::of_file(self.path, what, "give it with --config_file");
            return self.report.problems.push(problem);
        }
        for key in table.keys().filter(|key| !["general", "datasets"].contains(&key.as_str())) {
            self.problem(key, "it stands at the top of the file", "put it below [general] or [[datasets]]");
        }
        let empty = Table::new();
        let general = match table.get("general") {
            None => &empty,
            Some(Value::Table(general)) => general,
            Some(_) => return self.problem("general", "it is not a section", "write [general]"),
        };
        self.check(general, "[general]", &[&DATASET, &SUBSET]);
        let Some(datasets) = self.tables(table, "datasets", "[[datasets]]") else { return };
        for (index, dataset) in datasets.into_iter().enumerate() {
            self.check(dataset, &format!("data set {}", index + 1), &[&DATASET, &SUBSET, &["subsets"]]);
            let Some(subsets) = self.tables(dataset, "subsets", "[[datasets.subsets]]") else { continue };
            for (number, subset) in subsets.into_iter().enumerate() {
                let place = format!("data set {}, subset {}", index + 1, number + 1);
                self.check(subset, &place, &[&SUBSET, &FOLDER]);
                self.subset(index, &place, [general, dataset, subset]);
            }
        }
    }

    /// The tables of a list such as `[[datasets]]`, of which there has to be one at least.
    fn tables<'t>(&mut self, table: &'t Table, key: &str, form: &str) -> Option<Vec<&'t Table>> {
        let list = table.get(key).and_then(Value::as_array);
        let tables: Option<Vec<&Table>> = list.and_then(|list| list.iter().map(Value::as_table).collect());
        let tables = tables.filter(|tables| !tables.is_empty());
        if tables.is_none() {
            self.problem(key, "there is none", format!("write {form} once or more"));
        }
        tables
    }

    /// Every key has to be one of those that may stand here.
    fn check(&mut self, table: &Table, place: &str, known: &[&[&str]]) {
        for (key, value) in table {
            if known.iter().any(|keys| keys.contains(&key.as_str())) {
                continue;
            }
            if let Some((_, off)) = UNSUPPORTED.iter().find(|(name, _)| name == key) {
                if file::text(value.clone()) != *off {
                    let what = format!("({place}) known to sd-scripts, but lorabake does not support it yet");
                    self.problem(key, what, "leave it out");
                }
                continue;
            }
            let everywhere = [DATASET.as_slice(), &SUBSET, &FOLDER].concat();
            let remedy = match names::nearest_in(key, known.iter().copied().flatten().copied()) {
                _ if everywhere.contains(&key.as_str()) => "put it where it belongs, see --help".to_owned(),
                Some(name) => format!("did you mean {name}?"),
                None => "leave it out".to_owned(),
            };
            self.problem(key, format!("there is no such key in {place}"), remedy);
        }
    }

    fn subset(&mut self, dataset: usize, place: &str, levels: [&Table; 3]) {
        let mut merged = Table::new();
        for level in levels {
            let own = level.iter().filter(|(key, _)| *key != "subsets");
            merged.extend(own.map(|(key, value)| (key.clone(), value.clone())));
        }
        let Some(dir) = merged.get("image_dir").and_then(Value::as_str).map(str::to_owned) else {
            let what = format!("({place}) the folder of images is missing");
            return self.problem("image_dir", what, "write image_dir = 'FOLDER'");
        };
        let repeats = match merged.get("num_repeats").map_or(Some(1), Value::as_integer) {
            Some(number @ 1..=100_000) => number as u32,
            _ => {
                let what = format!("({place}) it is not a number of repeats from 1 to 100000");
                return self.problem("num_repeats", what, "write for instance num_repeats = 10");
            }
        };
        let mut raw = self.line.clone();
        match home::expanded(dir.into()) {
            Ok(dir) => raw.data.train_data_dir = Some(dir),
            Err(NoHome { what, remedy }) => return self.problem("image_dir", format!("({place}) {what}"), remedy),
        }
        raw.data.reg_data_dir = None;
        raw.data.dataset_config = None;
        let is_reg = merged.get("is_reg").cloned().map_or(Ok(false), |value| file::text(value).parse());
        let Ok(is_reg) = is_reg else {
            let what = format!("({place}) it is neither true nor false");
            return self.problem("is_reg", what, "write is_reg = true for regularization images, or leave it out");
        };
        let class_tokens = merged.get("class_tokens").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut intake = Intake::new(Vec::new());
        intake.take_into(&self.options(&merged), &mut raw);
        let captions = raw.captions.resolve(&mut intake.report);
        let model = raw.model.resolve(&mut Report::default());
        let mut settings = raw.data.resolve(&model, captions, &mut intake.report);
        settings.hold_out = raw.validation.hold_out(&mut intake.report);
        self.report_once(intake.report);
        self.subsets.push(Subset { dataset, repeats, class_tokens, is_reg, settings });
    }

    /// The keys that are options, as such.
    fn options(&self, merged: &Table) -> Vec<Given> {
        let own = ["num_repeats", "class_tokens", "image_dir", "is_reg", "cache_info"];
        let known = [DATASET.as_slice(), &SUBSET, &FOLDER].concat();
        let mut options = Vec::new();
        for (key, value) in merged {
            // What is unknown was told where it stands.
            if own.contains(&key.as_str()) || !known.contains(&key.as_str()) {
                continue;
            }
            let name = if key == "batch_size" { "train_batch_size" } else { key }.to_owned();
            let values = match value.clone() {
                Value::Array(values) => values.into_iter().map(file::text).collect(),
                value => vec![file::text(value)],
            };
            options.push(Given { name, values, file: Some(self.path.to_owned()) });
        }
        options
    }

    /// Takes over the problems and notes of one subset, unless another one had them already.
    fn report_once(&mut self, own: Report) {
        for problem in own.problems {
            let problem = Problem { file: Some(self.path.to_owned()), ..problem };
            if self.told.insert(problem.to_string()) {
                self.report.problems.push(problem);
            }
        }
        for note in own.notes {
            if self.told.insert(note.to_string()) {
                self.report.notes.push(note);
            }
        }
    }

    fn problem(&mut self, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.report_once(Report {
            problems: vec![Problem {
                option: Some(key.to_owned()),
                what: what.into(),
                remedy: remedy.into(),
                file: None,
            }],
            notes: Vec::new(),
        });
    }
}
