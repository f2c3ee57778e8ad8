//! What to say when a data folder has no usable concept folder: where the images are, and the command that mends it.
//!
//! Looks around only after the scan found nothing; changes no file.

use std::path::{Path, PathBuf};

use lorabake_recipe::count;

use super::concept::ConceptName;
use super::folder::{Root, UnreadImages, first_archive, folders_in, images_below, images_in, unread_images_below};
use crate::error::Error;
use crate::paths::{self, around, full, name};
use crate::problem::with_repeats;

/// Folders that are named before the rest is counted.
const NAMED: usize = 5;

/// Levels that are searched below those that are looked at anyway.
const DEEPEST: usize = 3;

/// Where the images are instead, and a path or a command that mends it.
pub(super) struct Advice {
    pub found: String,
    pub remedy: String,
}

/// The error for a folder in which the scan found no image.
pub(super) fn explain(root: &Root) -> Error {
    match advice(root) {
        Some(Advice { found, remedy }) => {
            Error::WrongLevel { flag: root.flag, dir: root.dir.to_owned(), found, remedy }
        }
        None => Error::NoImages { flag: root.flag, dir: root.dir.to_owned() },
    }
}

fn advice(root: &Root) -> Option<Advice> {
    let direct = images_in(root.dir);
    if direct > 0 {
        return Some(too_deep(root, direct));
    }
    let folders = folders_in(root.dir);
    if let Some(outer) = outer_folder(&folders, root.is_reg) {
        return Some(Advice {
            found: format!("the concept folders are one level deeper, in {}", name(outer)),
            remedy: format!("give that folder: {} {}", root.flag, quoted(outer)),
        });
    }
    let filled: Vec<&PathBuf> = folders.iter().filter(|folder| images_in(folder) > 0).collect();
    if !filled.is_empty() {
        return Some(without_repeats(&filled));
    }
    if let Some(outer) = deeper_outer_folder(folders, root.is_reg) {
        return Some(Advice {
            found: format!("the concept folders are deeper, in {}", name(&outer)),
            remedy: format!("give that folder: {} {}", root.flag, quoted(&outer)),
        });
    }
    let images = images_below(root.dir);
    if images == 0 {
        return not_readable(root.dir).or_else(|| one_level_up(root));
    }
    let target = root.dir.join(with_repeats("name"));
    Some(Advice {
        found: format!("it holds {} deeper than one folder", count(images, "image")),
        remedy: format!("move them into folders called N_name directly inside it, e.g. {}", quoted(&target)),
    })
}

/// The first of the folders that hold concept folders; of several the one whose name says what its images are for, since
/// the usual layout has `img` and `reg` side by side.
fn outer_folder(folders: &[PathBuf], is_reg: bool) -> Option<&PathBuf> {
    let outer: Vec<&PathBuf> = folders.iter().filter(|folder| concept_inside(folder)).collect();
    let fitting = outer.iter().find(|folder| name(folder).to_lowercase().contains("reg") == is_reg);
    fitting.or(outer.first()).copied()
}

/// The nearest folder below `folders` that holds concept folders.
fn deeper_outer_folder(mut folders: Vec<PathBuf>, is_reg: bool) -> Option<PathBuf> {
    for _ in 0..DEEPEST {
        folders = folders.iter().flat_map(|folder| folders_in(folder)).collect();
        if let Some(outer) = outer_folder(&folders, is_reg) {
            return Some(outer.clone());
        }
    }
    None
}

/// The folder holds no image that is read, but others, or an archive that was not unpacked.
pub(super) fn not_readable(dir: &Path) -> Option<Advice> {
    if let Some(UnreadImages { count: images, extension }) = unread_images_below(dir) {
        return Some(Advice {
            found: format!("it holds {} of types that are not read, such as .{extension}", count(images, "image")),
            remedy: "save them as PNG".to_owned(),
        });
    }
    let archive = first_archive(dir)?;
    Some(Advice {
        found: format!("it holds {archive}, and no images beside it"),
        remedy: "unpack it, and delete the archive or leave it".to_owned(),
    })
}

/// The folder holds no image, and the folder around it holds the concept folders, or is one.
fn one_level_up(root: &Root) -> Option<Advice> {
    let around = around(root.dir)?;
    if concept_inside(&around) {
        return Some(Advice {
            found: format!("no images; the concept folders are one level up, in {}", name(&full(&around))),
            remedy: format!("give that folder: {} {}", root.flag, quoted(&around)),
        });
    }
    if is_concept(&full(&around)) && images_in(&around) > 0 {
        let outer = paths::around(&around)?;
        return Some(Advice {
            found: format!("no images; they are one level up, in {}", name(&full(&around))),
            remedy: format!("give the folder around that: {} {}", root.flag, quoted(&outer)),
        });
    }
    None
}

/// The folder holds `images` images itself, which is one level too deep.
fn too_deep(root: &Root, images: usize) -> Advice {
    let full = full(root.dir);
    let images = count(images, "image");
    if let Some(around) = around(root.dir)
        && is_concept(&full)
    {
        return Advice {
            found: format!("this is a concept folder itself ({images})"),
            remedy: format!("give the folder around it: {} {}", root.flag, quoted(&around)),
        };
    }
    let own_name = name(&full);
    let words = if own_name.is_empty() { "name" } else { &own_name };
    let target = root.dir.join(with_repeats(words));
    let move_files = Shell::HERE.move_files(root.dir, &target);
    Advice {
        found: format!("it holds {images} outside any folder called N_name (N = repeats)"),
        remedy: format!("make one: mkdir {} && {move_files}", quoted(&target)),
    }
}

/// These folders hold images, but their names have no repeats, or a number of them below one.
fn without_repeats(folders: &[&PathBuf]) -> Advice {
    let mut found = Vec::new();
    let mut commands = Vec::new();
    for folder in folders.iter().take(NAMED) {
        let old = name(folder);
        let new = match ConceptName::parse(&old) {
            Some(parsed) => with_repeats(&parsed.class_tokens),
            None => with_repeats(&old),
        };
        found.push(format!("{old} ({})", count(images_in(folder), "image")));
        commands.push(Shell::HERE.rename(folder, &folder.with_file_name(new)));
    }
    if folders.len() > NAMED {
        found.push(format!("{} more", folders.len() - NAMED));
    }
    if let [folder] = folders {
        let images = count(images_in(folder), "image");
        let old = name(folder);
        return Advice {
            found: format!("folder {old} holds {images} but its name does not begin with repeats of 1 or more"),
            remedy: format!("rename it: {}", commands.concat()),
        };
    }
    let more = if folders.len() > NAMED { ", and so on" } else { "" };
    let folders = listed(found);
    Advice {
        found: format!("the names of the folders {folders} do not begin with repeats of 1 or more"),
        remedy: format!("rename them: {}{more}", commands.join(" && ")),
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed(mut parts: Vec<String>) -> String {
    let last = parts.pop().unwrap_or_default();
    if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) }
}

fn concept_inside(dir: &Path) -> bool {
    folders_in(dir).iter().any(|path| is_concept(path) && images_in(path) > 0)
}

fn is_concept(path: &Path) -> bool {
    ConceptName::parse(&name(path)).is_some_and(|parsed| parsed.repeats > 0)
}

/// Whose commands a remedy is written in.
#[derive(Clone, Copy)]
enum Shell {
    /// A shell of Unix.
    Posix,
    /// The command prompt of Windows; its PowerShell takes the same.
    Windows,
}

impl Shell {
    const HERE: Self = if cfg!(windows) { Self::Windows } else { Self::Posix };

    /// Moves all files of a folder; the pattern is outside the quotes where the shell expands it.
    fn move_files(self, from: &Path, to: &Path) -> String {
        match self {
            Self::Posix => format!("mv {}/*.* {}", quoted(from), quoted(to)),
            Self::Windows => format!("move {} {}", quoted(&from.join("*.*")), quoted(to)),
        }
    }

    /// Gives a folder another name.
    fn rename(self, from: &Path, to: &Path) -> String {
        let command = match self {
            Self::Posix => "mv",
            Self::Windows => "move",
        };
        format!("{command} {} {}", quoted(from), quoted(to))
    }
}

/// A path in quotes where a shell would split it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains(|c: char| c.is_whitespace() || "'&()$;*?[]".contains(c)) { format!("\"{text}\"") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_of_the_shell() {
        let from = Path::new("my images");
        let to = Path::new("10_x");
        assert_eq!(Shell::Posix.move_files(from, to), "mv \"my images\"/*.* 10_x");
        let separator = std::path::MAIN_SEPARATOR;
        assert_eq!(Shell::Windows.move_files(from, to), format!("move \"my images{separator}*.*\" 10_x"));
        assert_eq!(Shell::Posix.rename(from, to), "mv \"my images\" 10_x");
        assert_eq!(Shell::Windows.rename(from, to), "move \"my images\" 10_x");
    }
}
