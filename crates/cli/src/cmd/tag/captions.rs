//! Captions that are written: through the journal of the data set, so that it can be taken back.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use lorabake_data::scan::pairs::{Pair, class_words};
use lorabake_recipe::count;
use lorabake_tags::change::{Existing, beside, write_tags};
use lorabake_tags::journal::Action;
use lorabake_tags::{Activation, CaptionFile, Journal};

use super::args::Args;
use crate::terminal::{self, Shown};

/// The most captions that a dry run shows.
const SHOWN: usize = 20;

/// The captions of a data set while they are written.
pub struct Captions<'j> {
    existing: Existing,
    /// Whether each thing is said once.
    consolidates: bool,
    separator: String,
    extension: String,
    /// The activation tags of each folder.
    activations: BTreeMap<PathBuf, Activation>,
    /// What all of them are written by, so that they are taken back together; none in a dry run.
    action: Option<Action<'j>>,
    written: usize,
}

/// The journal of `folder`, if captions in it are written.
///
/// # Errors
/// When another program writes them now, or it is damaged.
pub fn journal(folder: &Path, args: &Args) -> Result<Option<Journal>> {
    if args.output.dry_run || args.output.output_path.is_some() {
        return Ok(None);
    }
    let journal = Journal::open(folder)?;
    if let Some(recovered) = journal.recovered() {
        terminal::say("note: an earlier change of captions was cut off; it is finished or taken back");
        for path in &recovered.left {
            terminal::say(&format!("note: {}: changed by another program since, and left so", Shown(path.display())));
        }
    }
    Ok(Some(journal))
}

impl<'j> Captions<'j> {
    /// Those of the images that are `found`.
    pub fn of(journal: Option<&'j mut Journal>, found: &[Pair], args: &Args) -> Self {
        let separator = args.words.separator().to_owned();
        let activations = match &args.words.activation_tag {
            Some(words) => one_for_all(found, &Activation::named(words, &separator)),
            None => common(found, &separator),
        };
        Self {
            existing: args.output.existing(),
            consolidates: args.choice.consolidate,
            separator,
            extension: args.output.extension().unwrap_or_else(|| ".txt".to_owned()),
            activations,
            action: journal.map(|journal| journal.start("tag")),
            written: 0,
        }
    }

    /// Makes the caption of an image of `words`; false if one is there that stays as it is.
    ///
    /// # Errors
    /// When the caption that is there cannot be read, was changed meanwhile, or cannot be written.
    pub fn put(&mut self, pair: &Pair, words: &[String], separator: &str) -> Result<bool> {
        let path = pair.caption.clone().unwrap_or_else(|| caption_of(&pair.image, &self.extension));
        let mut file = CaptionFile::load(&path, &self.separator)?;
        let none = Activation::none();
        let folder = pair.image.parent();
        let activation = folder.and_then(|folder| self.activations.get(folder)).unwrap_or(&none);
        let words = if self.consolidates && self.existing == Existing::Append {
            Cow::Owned(beside(&file, words))
        } else {
            Cow::Borrowed(words)
        };
        if !write_tags(&mut file, &words, self.existing, activation, separator) {
            return Ok(false);
        }
        if let Some(edit) = file.edit() {
            match &mut self.action {
                // One by one: two images of one name share a caption, and the second sees what the first has.
                Some(action) => {
                    action.apply(&[edit])?;
                }
                None => self.show(&path, &file),
            }
            self.written += 1;
        }
        Ok(true)
    }

    fn show(&self, path: &Path, file: &CaptionFile) {
        if self.written < SHOWN {
            terminal::result(&format!("{}: {}", Shown(path.display()), Shown(file.caption())));
        }
    }

    /// Tells how many captions were written.
    pub fn tell(&self, is_dry: bool) {
        let captions = count(self.written, "caption");
        if is_dry {
            let more = if self.written > SHOWN { format!(", of which {SHOWN} are shown") } else { String::new() };
            terminal::say(&format!("{captions} would be written{more}; without --dry_run they are"));
        } else if self.action.is_some() {
            terminal::say(&format!("{captions} written"));
        }
    }
}

/// The caption file of an image that has none.
fn caption_of(image: &Path, extension: &str) -> PathBuf {
    let stem = image.file_stem().unwrap_or_default();
    let mut name = stem.to_owned();
    name.push(extension);
    image.with_file_name(name)
}

fn one_for_all(found: &[Pair], activation: &Activation) -> BTreeMap<PathBuf, Activation> {
    let mut all = BTreeMap::new();
    for folder in found.iter().filter_map(|pair| pair.image.parent()) {
        all.insert(folder.to_owned(), activation.clone());
    }
    all
}

/// What most captions of each folder begin with.
fn common(found: &[Pair], separator: &str) -> BTreeMap<PathBuf, Activation> {
    let mut captions: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for pair in found {
        let Some(folder) = pair.image.parent() else { continue };
        let texts = captions.entry(folder.to_owned()).or_default();
        // A caption that cannot be read is named when it is to be written.
        if let Some(file) = pair.caption.as_ref().and_then(|path| CaptionFile::load(path, separator).ok()) {
            texts.push(file.caption());
        }
    }
    let mut all = BTreeMap::new();
    for (folder, texts) in captions {
        let words = class_words(&folder).unwrap_or_default();
        let activation = Activation::common(texts.iter().map(String::as_str), &words, separator);
        all.insert(folder, activation);
    }
    all
}
