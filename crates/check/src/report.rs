//! All that was found, as another program reads it.

use std::path::PathBuf;

use lorabake_tags::images::Kind;
use serde::Serialize;

use crate::checks::CHECKS;
use crate::finding::{Finding, Level};
use crate::found::Found;
use crate::gather::Set;

/// The version of the schema.
const SCHEMA: &str = "lorabake-check/1";

/// All that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What this is, with the version of the schema.
    pub schema: &'static str,
    /// Images, each once, those of regularization included.
    pub images: usize,
    /// The folders.
    pub folders: Vec<FolderReport>,
    /// How many findings of each level there are.
    pub counts: Counts,
    /// The findings in the order of the checks, the gravest of each first.
    pub findings: Vec<Finding>,
    /// What could not be checked.
    pub not_checked: Vec<NotChecked>,
}

/// How many findings there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Of [`Level::Error`].
    pub errors: usize,
    /// Of [`Level::Warning`].
    pub warnings: usize,
    /// Of [`Level::Hint`].
    pub hints: usize,
    /// Of [`Level::Intended`].
    pub intended: usize,
}

/// A folder that was checked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FolderReport {
    /// Its name.
    pub name: String,
    /// Where it is.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// Its images.
    pub images: usize,
    /// Its repeats.
    pub repeats: u32,
    /// Holds regularization images.
    pub regularization: bool,
    /// The tags that call it up, if they are known.
    pub activation: Option<String>,
    /// They were guessed from the captions.
    pub activation_guessed: bool,
}

/// What could not be checked, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotChecked {
    /// What it is.
    pub what: &'static str,
    /// What it needs.
    pub why: String,
}

fn lossy<S: serde::Serializer>(path: &std::path::Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// Asks all checks that are not off.
pub fn report(set: &Set<'_>) -> Report {
    let mut findings = Vec::new();
    for check in CHECKS {
        if set.wanted.settings.off.iter().any(|off| off == check.about.id) {
            continue;
        }
        let mut found = Found::new(&check.about, set);
        (check.run)(set, &mut found);
        findings.extend(found.into_findings());
    }
    let mut counts = Counts::default();
    for finding in &findings {
        match finding.level {
            Level::Error => counts.errors += 1,
            Level::Warning => counts.warnings += 1,
            Level::Hint => counts.hints += 1,
            Level::Intended => counts.intended += 1,
        }
    }
    let mut folders = Vec::new();
    for (index, folder) in set.dataset.folders.iter().enumerate() {
        let activation = set.activations[index].as_ref();
        folders.push(FolderReport {
            name: folder.name.clone(),
            path: folder.path.clone(),
            images: folder.images,
            repeats: folder.repeats,
            regularization: folder.is_reg,
            activation: activation.map(|activation| activation.words.clone()),
            activation_guessed: activation.is_some_and(|activation| activation.is_guessed),
        });
    }
    let images = set.images.len();
    Report { schema: SCHEMA, images, folders, counts, findings, not_checked: not_checked(set) }
}

fn not_checked(set: &Set<'_>) -> Vec<NotChecked> {
    let mut list = Vec::new();
    let mut add = |what: &'static str, why: &str| list.push(NotChecked { what, why: why.to_owned() });
    let wanted = set.wanted;
    if wanted.count_tokens.is_none() {
        add("tokens of captions", "no tokenizer");
    }
    if set.activations.iter().all(Option::is_none) {
        let what = "the activation tag (act.first, act.typo, act.shuffle, act.word)";
        add(what, "none is known; give --trigger_word");
    }
    if wanted.run.category.is_none() {
        add("whether there are images enough for what is to be learnt (set.count)", "give --category");
    }
    if wanted.tag_lists.is_empty() {
        add("tags that nobody knows (tag.unknown, tag.family)", "give a list of tags by --tag_list");
    }
    if !set.looked_for.contains(&Kind::Face) {
        let what = "faces: too small, cut off, several under solo, none under portrait (img.face, tag.face)";
        add(what, "give a detector of faces by --detector");
    }
    if !set.looked_for.contains(&Kind::Writing) {
        add("writing that no tag tells of (img.text)", "give a detector of writing by --detector");
    }
    match wanted.tag_scores {
        None => {
            let what = "things that are seen and not tagged, or tagged and not seen (tag.score, tag.glue)";
            add(what, "give --scores, a file that `lorabake tag --scores` writes");
        }
        Some(scores) => {
            let lacks = |index: &usize| {
                let content = set.images[*index].content.as_deref();
                content.is_none_or(|content| scores.of(content).is_none())
            };
            let without = set.learnt().filter(lacks).count();
            if without > 0 {
                let of = set.learnt().count();
                let why = format!("{without} of {of} have none in --scores; run `lorabake tag --scores` again");
                add("tags of images without scores (tag.score, tag.glue)", &why);
            }
        }
    }
    add("hands; crops of one picture and pictures alike in content", "they need a model that sees them");
    list
}
