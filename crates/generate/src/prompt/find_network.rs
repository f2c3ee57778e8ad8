//! The file that a name in a prompt means: as in the web UI a path, a file's name without suffix, or the name that the
//! file was trained under.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use lorabake_weights::file_kind::{self, FileKind};
use lorabake_weights::formats::tensor_file::TensorFile;

use super::nearest::{nearest, shortened};

/// Where files of one kind are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    /// What is looked for, in messages: `LoRA`.
    pub what: &'a str,
    /// The option that names folders: `--lora_dir`.
    pub option: &'a str,
    /// Searched in order, with all that lies in them.
    pub folders: &'a [PathBuf],
    /// Without points, the preferred first.
    pub suffixes: &'a [&'a str],
}

/// Most files that are looked at, so that a folder of a whole disk does not hold up a picture.
const MOST_FILES: usize = 20_000;
/// Most folders, and levels of them.
const MOST_FOLDERS: usize = 5_000;
const DEEPEST: usize = 6;
/// Names under which nothing is found, since too many files were trained under them.
const NO_NAMES: [&str; 2] = ["none", "Addams"];

/// [`find_network`] for LoRAs.
///
/// # Errors
/// As there.
pub fn find_lora(name: &str, folders: &[PathBuf]) -> Result<PathBuf> {
    find_network(name, Search { what: "LoRA", option: "--lora_dir", folders, suffixes: &["safetensors"] })
}

/// The file that `name` means: a path, the name of a file with or without suffix in the folders, or in the folders in
/// them, or the name that exactly one of these files was trained under (`ss_output_name`).
///
/// # Errors
/// Lists the folders and the names there that are nearest to `name`, or the files between which it does not decide.
pub fn find_network(name: &str, search: Search<'_>) -> Result<PathBuf> {
    let path = Path::new(name);
    if path.is_file() && path.extension().is_some() {
        return Ok(path.to_owned());
    }
    let here = PathBuf::new();
    let in_folders = search.folders.iter().find_map(|folder| directly_in(folder, name, search));
    if let Some(found) = in_folders.or_else(|| directly_in(&here, name, search)) {
        return Ok(found);
    }
    deeper(name, search)
}

/// As [`find_network`], but in the folders only: a name that leads out of them is refused.
///
/// # Errors
/// As there.
pub fn find_within(name: &str, search: Search<'_>) -> Result<PathBuf> {
    if name.contains(['/', '\\', ':']) || name.contains("..") {
        bail!("the {} `{}` is a path, which is not opened; name its file", search.what, shortened(name));
    }
    match search.folders.iter().find_map(|folder| directly_in(folder, name, search)) {
        Some(found) => Ok(found),
        None => deeper(name, search),
    }
}

/// The file of that name in the folders and the folders in them, or of the name that it was trained under.
fn deeper(name: &str, search: Search<'_>) -> Result<PathBuf> {
    let files = all_files(search);
    let is_named =
        |file: &Path| file.file_stem().is_some_and(|stem| stem == name) || (!name.is_empty() && file.ends_with(name));
    let named: Vec<&PathBuf> = files.iter().filter(|file| is_named(file)).collect();
    if let Some(found) = only(name, &named, search)? {
        return Ok(found);
    }
    if !NO_NAMES.contains(&name) {
        let trained: Vec<&PathBuf> = files.iter().filter(|file| was_trained_as(file, name)).collect();
        if let Some(found) = only(name, &trained, search)? {
            return Ok(found);
        }
    }
    let meant = files.iter().filter(|file| !is_of_another_kind(file, search));
    let stems: Vec<String> = meant.filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned())).collect();
    let mut folders: Vec<_> = search.folders.iter().map(|folder| folder.display().to_string()).collect();
    folders.dedup();
    let near = match stems.is_empty() {
        true => String::new(),
        false => format!(" the nearest there are {};", nearest(name, stems.iter().map(String::as_str))),
    };
    bail!(
        "no {} `{}` in {};{near}{} name another folder with {}",
        search.what,
        shortened(name),
        folders.join(" or "),
        damaged(&files),
        search.option
    )
}

/// Which of `files` do not tell under which name they were trained since they cannot be read: one of them may be meant.
fn damaged(files: &[PathBuf]) -> String {
    let is_damaged = |path: &&PathBuf| is_safetensors(path) && TensorFile::open(path).is_err();
    let mut damaged = files.iter().filter(is_damaged);
    let Some(first) = damaged.next() else { return String::new() };
    let more = match damaged.count() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    format!(" {}{more} cannot be read;", first.display())
}

/// Whether a file that lies among LoRAs is known to be something else, an embedding for instance.
fn is_of_another_kind(path: &Path, search: Search<'_>) -> bool {
    if search.what != "LoRA" || !is_safetensors(path) {
        return false;
    }
    let Ok(file) = TensorFile::open(path) else { return false };
    !matches!(file_kind::kind(&file.into()), FileKind::Adapter | FileKind::Unknown)
}

/// The file of that name in `folder` itself.
fn directly_in(folder: &Path, name: &str, search: Search<'_>) -> Option<PathBuf> {
    let whole = folder.join(name);
    if has_suffix(&whole, search) && whole.is_file() {
        return Some(whole);
    }
    let files = search.suffixes.iter().map(|suffix| folder.join(format!("{name}.{suffix}")));
    files.into_iter().find(|file| file.is_file())
}

/// The one file, if there is one.
fn only(name: &str, files: &[&PathBuf], search: Search<'_>) -> Result<Option<PathBuf>> {
    match files {
        [] => Ok(None),
        [file] => Ok(Some(file.to_path_buf())),
        [first, second, ..] => bail!(
            "the {} `{}` may be {} or {}; write the path in place of the name",
            search.what,
            shortened(name),
            first.display(),
            second.display()
        ),
    }
}

/// All files of the kind in the folders, ascending within each folder.
fn all_files(search: Search<'_>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = 0;
    for folder in search.folders {
        let mut walk = vec![(folder.clone(), 0)];
        while let Some((folder, depth)) = walk.pop() {
            folders += 1;
            if folders > MOST_FOLDERS {
                break;
            }
            // A folder that cannot be read has nothing for us.
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            paths.sort();
            for path in paths {
                if path.is_dir() {
                    if depth < DEEPEST {
                        walk.push((path, depth + 1));
                    }
                } else if has_suffix(&path, search) && files.len() < MOST_FILES {
                    files.push(path);
                }
            }
        }
    }
    // A folder may be given twice, or within another.
    files.sort();
    files.dedup();
    files
}

fn has_suffix(path: &Path, search: Search<'_>) -> bool {
    let suffix = path.extension().unwrap_or_default();
    search.suffixes.iter().any(|known| suffix.eq_ignore_ascii_case(known))
}

fn is_safetensors(path: &Path) -> bool {
    path.extension().is_some_and(|suffix| suffix == "safetensors")
}

/// Whether a safetensors file says that it was trained under `name`; only its header is read.
fn was_trained_as(path: &Path, name: &str) -> bool {
    if !is_safetensors(path) {
        return false;
    }
    let Ok(file) = TensorFile::open(path) else { return false };
    file.metadata().get("ss_output_name").is_some_and(|trained| trained == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lora_is_found_by_name_or_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["penny.safetensors", "penny-000001.safetensors", "notes.txt"] {
            std::fs::write(path(name), "x").unwrap();
        }
        let places = ["missing".into(), folder.path().to_owned()];
        assert_eq!(find_lora("penny", &places).unwrap(), path("penny.safetensors"));
        assert_eq!(find_lora("penny-000001.safetensors", &places).unwrap(), path("penny-000001.safetensors"));
        assert_eq!(find_lora(path("penny").to_str().unwrap(), &[]).unwrap(), path("penny.safetensors"));
        let error = find_lora("peny", &places).unwrap_err().to_string();
        assert!(error.contains("no LoRA `peny`"), "{error}");
        assert!(
            error.contains("the nearest there are penny, penny-000001; ")
                && error.contains(
                    "penny-000001.safetensors and 1 more cannot be read; name another folder with --lora_dir"
                ),
            "{error}"
        );
    }

    #[test]
    fn files_of_other_kinds_are_not_the_nearest() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("hat.safetensors"), "x");
        let header = r#"{"emb_params":{"dtype":"F32","shape":[1,768],"data_offsets":[0,3072]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        bytes.extend([0; 3072]);
        std::fs::write(folder.path().join("hats.safetensors"), bytes).unwrap();
        let error = find_lora("hatss", &[folder.path().to_owned()]).unwrap_err().to_string();
        assert!(error.contains("the nearest there are hat; "), "{error}");
    }

    #[test]
    fn within_folders_nothing_else_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("nets");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(folder.path().join("out.pth"), "x").unwrap();
        std::fs::write(inner.join("canny v1.pth"), "x").unwrap();
        let folders = [inner.clone()];
        let search = Search { what: "ControlNet", option: "--control_dir", folders: &folders, suffixes: &["pth"] };
        assert_eq!(find_within("canny v1", search).unwrap(), inner.join("canny v1.pth"));
        let absolute = folder.path().join("out.pth");
        for name in ["../out", "..\\out", absolute.to_str().unwrap(), "C:out", "out"] {
            let error = find_within(name, search).unwrap_err().to_string();
            assert!(error.contains("is a path, which is not opened") != (name == "out"), "{error}");
        }
    }

    /// A safetensors file without tensors that was trained under `name`.
    fn write(path: &Path, name: &str) {
        let header = format!("{{\"__metadata__\":{{\"ss_output_name\":\"{name}\"}}}}");
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.bytes());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_network_is_found_in_deeper_folders_and_by_the_name_of_its_training() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (file, trained) in [
            ("a/penny.safetensors", "coin"),
            ("b/hat.safetensors", "cap"),
            ("c/hat.safetensors", "none"),
            ("c/beret.safetensors", "cap"),
        ] {
            write(&path(file), trained);
        }
        let places = [folder.path().to_owned(), path("a")];
        assert_eq!(find_lora("penny", &places).unwrap(), path("a/penny.safetensors"));
        assert_eq!(find_lora("coin", &places).unwrap(), path("a/penny.safetensors"));
        assert_eq!(find_lora("b/hat", &places).unwrap(), path("b/hat.safetensors"));
        for (name, said) in [
            ("hat", "the LoRA `hat` may be "),
            ("cap", "the LoRA `cap` may be "),
            ("none", "no LoRA `none` in "),
            ("", "no LoRA `` in "),
        ] {
            let error = find_lora(name, &places).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
        let hypernetworks =
            Search { what: "hypernetwork", option: "--hypernetwork_dir", folders: &places, suffixes: &["pt"] };
        let error = find_network("x", hypernetworks).unwrap_err().to_string();
        assert!(error.ends_with("; name another folder with --hypernetwork_dir"), "{error}");
    }
}
