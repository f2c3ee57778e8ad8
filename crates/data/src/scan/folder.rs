//! Listing a folder, and telling images from other files by their names.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::paths::name;
use crate::problem::Reason;

/// The image types that are read, in lower case.
const IMAGE_EXTENSIONS: [&str; 5] = ["png", "jpg", "jpeg", "webp", "bmp"];
/// Image types that are named as such when they are left out.
const OTHER_IMAGES: [&str; 18] = [
    "gif", "tif", "tiff", "avif", "jxl", "heic", "heif", "jfif", "jp2", "svg", "ico", "psd", "tga", "exr", "hdr",
    "dng", "apng", "ppm",
];

/// Folders that systems, network drives and Python make for themselves, in lower case.
const SYSTEM_FOLDERS: [&str; 9] = [
    "$recycle.bin",
    "recycler",
    "system volume information",
    "lost+found",
    "@eadir",
    "#recycle",
    "#snapshot",
    "@recycle",
    "__pycache__",
];

/// How the names of folders end that lorabake makes beside a data set: its journal, and what was set aside.
const OWN_ENDS: [&str; 2] = [".lorabake", ".set_aside"];

/// A folder that an option names.
#[derive(Clone, Copy)]
pub(super) struct Root<'a> {
    /// The folder.
    pub dir: &'a Path,
    /// The option, for messages.
    pub flag: &'static str,
    /// Holds regularization images.
    pub is_reg: bool,
}

/// What a folder holds, by name.
pub(super) fn list(root: &Root) -> Result<Vec<PathBuf>, Error> {
    read_sorted(root.dir).map_err(|cause| Error::Folder {
        flag: root.flag,
        dir: root.dir.to_owned(),
        cause: cause.to_string(),
    })
}

fn read_sorted(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        paths.push(entry?.path());
    }
    paths.sort();
    Ok(paths)
}

/// `None` for an image of a supported type; otherwise why the file is no such image.
pub(super) fn unused(path: &Path) -> Option<Reason> {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if OTHER_IMAGES.contains(&extension.as_str()) {
        return Some(Reason::UnsupportedType(extension));
    }
    if !IMAGE_EXTENSIONS.contains(&extension.as_str()) {
        return Some(Reason::NotAnImage);
    }
    if name(path).starts_with('.') {
        return Some(Reason::Hidden);
    }
    None
}

/// Whether a file is, by its name, an image of a supported type.
pub(super) fn is_image(path: &Path) -> bool {
    unused(path).is_none()
}

/// Whether a path is neither a file nor a folder: a pipe, whose reader would wait for ever, or a device.
pub(super) fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|about| !about.is_file() && !about.is_dir())
}

/// Why a folder of this name is nobody's folder of images: a program made it for itself. `None` for any other.
pub(super) fn leftover(name: &str) -> Option<Reason> {
    if name.starts_with('.') {
        return Some(Reason::HiddenFolder);
    }
    let lower = name.to_lowercase();
    if lower == "__macosx" {
        return Some(Reason::ArchiveFolder);
    }
    if OWN_ENDS.iter().any(|end| lower.ends_with(end)) {
        return Some(Reason::OwnFolder);
    }
    if SYSTEM_FOLDERS.contains(&lower.as_str()) { Some(Reason::SystemFolder) } else { None }
}

/// The folders directly in a folder, by name, without those that programs made for themselves; none if it cannot be
/// listed.
pub fn folders_in(dir: &Path) -> Vec<PathBuf> {
    let mut folders = read_sorted(dir).unwrap_or_default();
    folders.retain(|path| path.is_dir() && leftover(&name(path)).is_none());
    folders
}

/// Images directly in a folder.
pub fn images_in(dir: &Path) -> usize {
    let paths = read_sorted(dir).unwrap_or_default();
    paths.iter().filter(|path| path.is_file() && is_image(path)).count()
}

/// The name of the first archive in a folder.
pub(super) fn first_archive(dir: &Path) -> Option<String> {
    let paths = read_sorted(dir).ok()?;
    let is_archive = |path: &&PathBuf| {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        ["zip", "7z", "rar", "tar", "gz", "tgz", "xz"].contains(&extension.as_str())
    };
    paths.iter().find(is_archive).map(|path| name(path))
}

/// Images anywhere below a folder, but not in what programs made for themselves there.
pub(super) fn images_below(dir: &Path) -> usize {
    files_below(dir).filter(|path| is_image(path)).count()
}

/// Images of types that are not read.
pub(super) struct UnreadImages {
    pub count: usize,
    /// The suffix of the first.
    pub extension: String,
}

/// Images of types that are not read, anywhere below a folder; `None` if there are none.
pub(super) fn unread_images_below(dir: &Path) -> Option<UnreadImages> {
    let mut found: Option<UnreadImages> = None;
    for path in files_below(dir) {
        if let Some(Reason::UnsupportedType(extension)) = unused(&path) {
            found.get_or_insert(UnreadImages { count: 0, extension }).count += 1;
        }
    }
    found
}

/// The files anywhere below a folder, by name, but not what programs made for themselves there.
fn files_below(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = walkdir::WalkDir::new(dir).sort_by_file_name().into_iter().filter_entry(|entry| {
        entry.depth() == 0 || !entry.file_type().is_dir() || leftover(&name(entry.path())).is_none()
    });
    entries.flatten().filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path)
}
