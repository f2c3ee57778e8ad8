//! What can be mended by itself: edits of files for the journal, which can take them back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lorabake_tags::{Activation, CaptionFile, Edit, Error, text};

use crate::finding::{Level, Repair};
use crate::gather::Set;
use crate::report::Report;

/// Something that is mended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fix {
    /// What it is called.
    pub name: &'static str,
    /// What is done.
    pub what: &'static str,
}

/// All of them, in the order in which they are done.
pub const FIXES: [Fix; 8] = [
    Fix { name: "suffix", what: "renames images to the suffix of what is in them" },
    Fix { name: "mark", what: "takes byte order marks off captions" },
    Fix { name: "white_space", what: "writes one comma and one space between tags, and none at the ends" },
    Fix { name: "doubles", what: "keeps the first of doubled tags" },
    Fix { name: "spelling", what: "writes each tag as most captions have it" },
    Fix { name: "meta", what: "removes tags that tell of the file or the site" },
    Fix {
        name: "activation_typo",
        what: "writes the activation tag where a caption has it with a wrong letter or two",
    },
    Fix { name: "activation_first", what: "puts the activation tag first, and into captions that lack it" },
];

/// Edits, and what was left as it is.
#[derive(Debug, Default)]
pub struct Plan {
    /// What is to be written and renamed.
    pub edits: Vec<Edit>,
    /// Captions that are changed.
    pub captions: usize,
    /// Images that are renamed.
    pub renamed: usize,
    /// What is not done, and why.
    pub notes: Vec<String>,
}

/// What the fixes `names` change about what was found.
///
/// # Errors
/// When a caption cannot be read any more.
pub fn plan(set: &Set<'_>, report: &Report, names: &[String]) -> Result<Plan, Error> {
    let mut by_image: BTreeMap<&PathBuf, Vec<&Repair>> = BTreeMap::new();
    for finding in report.findings.iter().filter(|finding| finding.level != Level::Intended) {
        for image in &finding.images {
            by_image.entry(image).or_default().extend(&finding.fix);
        }
    }
    let mut plan = Plan::default();
    let mut taken = BTreeSet::new();
    let mut places = BTreeSet::new();
    for index in 0..set.images.len() {
        let path = &set.images[index].item.path;
        let Some(repairs) = by_image.get(path) else { continue };
        let has_typo = repairs.iter().any(|repair| repair.name == "activation_typo");
        let mut wanted: Vec<&Repair> = Vec::new();
        for repair in repairs {
            let is_asked = names.iter().any(|name| name == repair.name);
            if is_asked
                && repair.name == "activation_first"
                && has_typo
                && !names.iter().any(|own| own == "activation_typo")
            {
                plan.notes.push(format!(
                    "{}: its activation tag is misspelt; give --fix activation_typo too",
                    set.name(index)
                ));
            } else if is_asked {
                wanted.push(repair);
            }
        }
        // Two images may share a caption.
        if let Some(file) = &set.images[index].caption.file
            && taken.insert(file.clone())
            && let Some(edit) = caption_edit(set, index, file, &wanted)?
        {
            plan.edits.push(edit);
            plan.captions += 1;
        }
        if wanted.iter().any(|repair| repair.name == "suffix")
            && let Some(to) = with_own_suffix(set, index)
        {
            if !places.insert(to.clone()) || is_another(path, &to) {
                plan.notes.push(format!("{}: there is {} already; rename one of them", set.name(index), to.display()));
            } else {
                plan.edits.push(Edit::Move { from: path.clone(), to });
                plan.renamed += 1;
            }
        }
    }
    Ok(plan)
}

/// The caption with the repairs made; `None` if nothing changes.
fn caption_edit(set: &Set<'_>, index: usize, path: &Path, repairs: &[&Repair]) -> Result<Option<Edit>, Error> {
    if repairs.iter().all(|repair| repair.name == "suffix") {
        return Ok(None);
    }
    let separator = set.settings(index).captions.separator.trim().to_owned();
    let mut file = CaptionFile::load(path, &separator)?;
    let words = set.activation(index).map(|activation| activation.words.clone());
    let activation = words.map_or_else(Activation::none, |words| Activation::named(&words, &separator));
    for fix in FIXES {
        for repair in repairs.iter().filter(|repair| repair.name == fix.name) {
            match (fix.name, &repair.tag, &repair.write) {
                ("white_space", _, _) => tidy(&mut file, &separator),
                ("doubles", _, _) => without_doubles(&mut file),
                ("meta", Some(tag), _) => without(&mut file, tag),
                ("spelling" | "activation_typo", Some(tag), Some(write)) => rewrite(&mut file, tag, write),
                ("activation_first", _, _) => file.add_first(&activation),
                _ => {}
            }
        }
    }
    file.keep_first(&activation);
    let takes_mark = repairs.iter().any(|repair| repair.name == "mark");
    let mut after = file.to_bytes();
    if takes_mark {
        after = String::from_utf8_lossy(&after).trim_start_matches('\u{feff}').as_bytes().to_vec();
    }
    let before = file.bytes_read().map(<[u8]>::to_vec);
    if before.as_ref() == Some(&after) {
        return Ok(None);
    }
    Ok(Some(Edit::Write { path: path.to_owned(), before, after }))
}

fn tidy(file: &mut CaptionFile, separator: &str) {
    let mut tags = Vec::new();
    for tag in file.tags() {
        tags.push(tag.split_whitespace().collect::<Vec<&str>>().join(" "));
    }
    file.set_line(&tags.join(&format!("{separator} ")));
}

fn without_doubles(file: &mut CaptionFile) {
    let mut seen = BTreeSet::new();
    let mut doubles = Vec::new();
    for (place, part) in file.parts().iter().enumerate() {
        if !part.is_empty() && !seen.insert(text::folded(part)) {
            doubles.push(place);
        }
    }
    doubles.into_iter().rev().for_each(|place| file.remove(place));
}

fn without(file: &mut CaptionFile, tag: &str) {
    while let Some(place) = file.position(tag) {
        file.remove(place);
    }
}

fn rewrite(file: &mut CaptionFile, tag: &str, write: &str) {
    let places: Vec<usize> = (0..file.parts().len()).filter(|place| text::same(&file.parts()[*place], tag)).collect();
    places.into_iter().for_each(|place| file.replace(place, write));
}

/// Whether something else than `path` lies at `to`: where case makes no difference, `a.PNG` is `a.png`.
fn is_another(path: &Path, to: &Path) -> bool {
    match (std::fs::canonicalize(path), std::fs::canonicalize(to)) {
        (Ok(path), Ok(to)) => path != to,
        _ => to.symlink_metadata().is_ok(),
    }
}

/// Where an image belongs by what is in it. Only the suffix is another: caption, mask and cached latents are found by the rest.
fn with_own_suffix(set: &Set<'_>, index: usize) -> Option<PathBuf> {
    let image = &set.images[index];
    let format = &image.measures.as_ref()?.content.format;
    let suffix = if format == "jpeg" { "jpg" } else { format };
    Some(image.item.path.with_extension(suffix))
}
