//! Which captions of which folder: the words that commands on data sets have in common, and what they find.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use lorabake_check::abouts;
use lorabake_model::tokenizer::Tokenizer;
use lorabake_pixels::probe;
use lorabake_tags::filter::{Facts, Filter, parse};
use lorabake_tags::journal::Home;
use lorabake_tags::set::Entry;
use lorabake_tags::text::SEPARATOR;
use lorabake_tags::{Activation, CaptionSet, Journal, Reading};

use crate::cmd::check;
use crate::terminal::{self, Shown};

/// The word for no activation tag.
const NONE: &str = "none";

#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Scope {
    /// A folder with images and captions, or one around such folders.
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// Only images that this fits, such as 'tag:hat AND NOT tag:"red boots"'; see docs/tags.md.
    #[arg(long, value_name = "FILTER")]
    pub only: Option<String>,
    /// The activation tags, which stay first in every caption, or `none`. Without it, the tag that most captions of a
    /// folder begin with.
    #[arg(long, value_name = "TAGS")]
    pub activation: Option<String>,
    /// The suffix of caption files, if it is neither .txt nor .caption.
    #[arg(long, value_name = "SUFFIX")]
    pub caption_extension: Option<String>,
    /// What stands between tags.
    #[arg(long, value_name = "TEXT", default_value = SEPARATOR)]
    pub caption_separator: String,
    /// The folder of the journal, if it is not to lie beside the data set.
    #[arg(long, value_name = "FOLDER")]
    pub journal: Option<PathBuf>,
}

/// The captions of a folder, and which of them are meant.
pub struct Found {
    pub set: CaptionSet,
    /// Indices of the entries that the filter takes.
    pub taken: Vec<usize>,
    /// How they were read.
    pub reading: Reading,
}

impl Scope {
    pub fn separator(&self) -> &str {
        &self.caption_separator
    }

    /// Reads the captions, and names those that cannot be used.
    ///
    /// # Errors
    /// If an option is wrong, the folder cannot be read, or no image is meant.
    pub fn find(&self) -> Result<Found> {
        if self.caption_separator.trim().is_empty() || self.caption_separator.contains(['\n', '\r']) {
            bail!("--caption_separator: it is blank or holds a line break; write a sign such as , or ;");
        }
        let filter = self.only.as_deref().map(parse).transpose().map_err(|problem| anyhow!("--only: {problem}"))?;
        if let Some(filter) = &filter {
            let known: Vec<&str> = abouts().iter().map(|about| about.id).collect();
            if let Some(unknown) = filter.unknown_issues(&known).first() {
                bail!("--only: issue:{} is no check; there are {}", Shown(unknown), known.join(", "));
            }
        }
        let activation = self.activation.as_deref().map(|words| match words {
            NONE => Activation::none(),
            _ => Activation::named(words, &self.caption_separator),
        });
        let extension = self.caption_extension.as_ref().map(|end| format!(".{}", end.trim_start_matches('.')));
        let reading = Reading { extension, separator: self.caption_separator.trim().to_owned(), activation };
        self.mend()?;
        let set = CaptionSet::load(&self.folder, &reading)?;
        for problem in &set.unreadable {
            terminal::say(&format!("note: {}", Shown(problem)));
        }
        let facts = Known { tokenizer: Tokenizer::new(), folder: &self.folder, issues: OnceCell::new() };
        let mut taken = Vec::new();
        for (index, entry) in set.entries.iter().enumerate() {
            if filter.as_ref().is_none_or(|filter: &Filter| filter.fits(&set, entry, &facts)) {
                taken.push(index);
            }
        }
        if let Some(Err(error)) = facts.issues.get() {
            bail!("--only: what is wrong with images cannot be told: {error:#}");
        }
        if set.entries.is_empty() {
            bail!("{}: none of its captions can be used; mend those above", Shown(self.folder.display()));
        }
        if taken.is_empty() {
            bail!("--only: no image of {} fits; look at the tags with `lorabake tags list`", set.entries.len());
        }
        Ok(Found { set, taken, reading })
    }

    /// Mends what a killed program left half done, so that no half of it is read.
    fn mend(&self) -> Result<()> {
        if !self.folder.is_dir() {
            // Reading it says what is wrong.
            return Ok(());
        }
        match self.journal() {
            // Whoever changes it now is still about to.
            Err(error) if matches!(error.downcast_ref(), Some(lorabake_tags::Error::Busy { .. })) => Ok(()),
            opened => opened.map(drop),
        }
    }

    /// The journal of the data set.
    ///
    /// # Errors
    /// As [`journal()`].
    pub fn journal(&self) -> Result<Journal> {
        journal(&self.folder, self.journal.as_deref())
    }
}

/// A path as it is typed: in quotes if a shell would split it.
pub fn typed(path: &Path) -> String {
    let text = Shown(path.display()).to_string();
    if text.contains(|letter: char| letter.is_whitespace() || "'&()$;*?[]".contains(letter)) {
        return format!("\"{text}\"");
    }
    text
}

impl Found {
    /// The entries that are meant.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.taken.iter().map(|index| &self.set.entries[*index])
    }

    /// How an entry's caption is called on the screen: from the folder on.
    pub fn shown<'a>(&self, folder: &Path, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(folder).unwrap_or(path).display()
    }
}

/// Opens the journal of a data set; what a killed program left half done is mended and told.
///
/// # Errors
/// If the folder is none, another program changes the data set, or the journal is damaged.
pub fn journal(folder: &Path, place: Option<&Path>) -> Result<Journal> {
    let home = match place {
        Some(place) => Home::with_journal(folder, place)?,
        None => Home::of(folder)?,
    };
    let journal = Journal::of(home)?;
    if let Some(found) = journal.recovered() {
        let how = if found.is_done { "was written whole before" } else { "is as before it again" };
        terminal::say(&format!("note: “{}” had been cut off; the data set {how}", Shown(&found.name)));
        for path in &found.left {
            let path = Shown(path.display());
            terminal::say(&format!("note: {path}: another program has changed it since, so it stays; look at it"));
        }
    }
    Ok(journal)
}

/// Tells of files that were one with others and are no longer.
pub fn tell_parted(journal: &Journal) {
    let parted = journal.parted();
    if let Some(first) = parted.first() {
        let files = lorabake_recipe::count(parted.len(), "file");
        terminal::say(&format!(
            "note: {files} had further names (hard links), which keep the old content: {}",
            Shown(first.display())
        ));
    }
}

struct Known<'a> {
    tokenizer: Tokenizer,
    folder: &'a Path,
    /// What `lorabake check` finds, once a filter asks for it.
    issues: OnceCell<Result<BTreeMap<PathBuf, Vec<String>>>>,
}

impl Facts for Known<'_> {
    fn tokens(&self, text: &str) -> Option<u64> {
        Some(self.tokenizer.encode(text).len() as u64)
    }

    fn size(&self, image: &Path) -> Option<(u32, u32)> {
        probe::size(image).ok()
    }

    fn issues(&self, image: &Path) -> Vec<String> {
        let Ok(all) = self.issues.get_or_init(|| check::issues(self.folder)) else { return Vec::new() };
        let Ok(path) = std::fs::canonicalize(image) else { return Vec::new() };
        all.get(&path).cloned().unwrap_or_default()
    }
}
