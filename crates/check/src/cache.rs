//! Numbers of images that were measured before, by the content of their files, outside of the data set.
//!
//! One file for each folder of images, in the user's cache folder: a line of JSON for each image. A line is found by
//! name, size and time of the file, without reading it, and else by the SHA-256 of what is in it, so a renamed file
//! is not measured again. Lines are added while images are measured, so that what is done is kept whatever ends the
//! program; a line that is not whole is as good as none.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::measure::{Frame, Measures, hexadecimal};

/// Which measures are kept: with others, all are made anew.
const VERSION: u32 = 1;
/// A line for each image, and as many that are out of date, before a file is written anew.
const MOST_LINES: usize = 2;
/// Fewer lines than this are never too many.
const FEW_LINES: usize = 64;

/// An image that was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// What identifies the file.
    pub stamp: Stamp,
    /// SHA-256 of the file, in hexadecimal.
    pub content: String,
    /// What it was measured as.
    pub frame: Frame,
    /// The numbers.
    pub measures: Measures,
}

/// What identifies a file without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// Its name.
    pub name: String,
    /// Its length in bytes.
    pub length: u64,
    /// When it was changed, in nanoseconds since 1970.
    pub changed: u64,
}

impl Stamp {
    /// The stamp of a file; `None` if the system does not tell.
    pub fn of(path: &Path) -> Option<Self> {
        let about = std::fs::metadata(path).ok()?;
        let changed = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        let name = path.file_name()?.to_string_lossy().into_owned();
        Some(Self { name, length: about.len(), changed: u64::try_from(changed).ok()? })
    }
}

/// What is known of the images of one folder.
#[derive(Debug, Default)]
pub struct Cache {
    /// Its file; `None` keeps nothing.
    file: Option<PathBuf>,
    by_stamp: HashMap<Stamp, Vec<usize>>,
    by_content: HashMap<String, Vec<usize>>,
    known: Vec<Known>,
}

impl Cache {
    /// What `place`, a folder for such files, knows of `folder`; without a place nothing is known or kept.
    pub fn open(place: Option<&Path>, folder: &Path) -> Self {
        let mut cache = Self::default();
        let Some(place) = place else { return cache };
        let full = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let name = hexadecimal(&Sha256::digest(full.as_os_str().as_encoded_bytes())[..12]);
        let file = place.join(format!("check-{VERSION}")).join(format!("{name}.jsonl"));
        if let Ok(lines) = File::open(&file) {
            for line in BufReader::new(lines).split(b'\n') {
                let Ok(line) = line else { break };
                if let Ok(known) = serde_json::from_slice::<Known>(&line) {
                    cache.learn(known);
                }
            }
        }
        cache.file = Some(file);
        cache
    }

    /// What is known of a file that has not changed since.
    pub fn unchanged(&self, stamp: &Stamp, frame: Frame) -> Option<&Known> {
        let places = self.by_stamp.get(stamp)?;
        places.iter().map(|place| &self.known[*place]).rfind(|known| known.frame == frame)
    }

    /// The numbers of a file with this content.
    pub fn with_content(&self, content: &str, frame: Frame) -> Option<&Measures> {
        let places = self.by_content.get(content)?;
        let found = places.iter().map(|place| &self.known[*place]).rfind(|known| known.frame == frame)?;
        Some(&found.measures)
    }

    fn learn(&mut self, known: Known) {
        let place = self.known.len();
        self.by_stamp.entry(known.stamp.clone()).or_default().push(place);
        self.by_content.entry(known.content.clone()).or_default().push(place);
        self.known.push(known);
    }

    /// Adds images that were measured now. That it cannot be written is no error: they are measured again next time.
    pub fn add(&mut self, new: Vec<Known>) {
        if let Some(file) = &self.file {
            let _ = append(file, &new);
        }
        new.into_iter().for_each(|known| self.learn(known));
    }

    /// Drops what belongs to none of `stamps`, the files that are there, once that is most of it.
    pub fn tidy(&self, stamps: &[Stamp]) {
        let Some(file) = &self.file else { return };
        if self.known.len() <= FEW_LINES.max(MOST_LINES * stamps.len()) {
            return;
        }
        let mut kept = Vec::new();
        for known in &self.known {
            if stamps.contains(&known.stamp) {
                kept.push(known.clone());
            }
        }
        let _ = replace(file, &kept);
    }
}

fn lines(known: &[Known]) -> Vec<u8> {
    let mut text = Vec::new();
    for known in known {
        if let Ok(line) = serde_json::to_vec(known) {
            text.extend(line);
            text.push(b'\n');
        }
    }
    text
}

fn append(file: &Path, new: &[Known]) -> std::io::Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut out = File::options().create(true).append(true).open(file)?;
    // A line break first, in case the last line was cut short.
    out.write_all(&[&b"\n"[..], &lines(new)].concat())
}

fn replace(file: &Path, kept: &[Known]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    beside.write_all(&lines(kept))?;
    beside.persist(file)?;
    Ok(())
}

/// The folder in which this system's programs keep what they can make again, with one for this program; `None` if the
/// system tells none.
pub fn user_folder() -> Option<PathBuf> {
    Some(dirs::cache_dir()?.join("lorabake"))
}

/// SHA-256 of a file's bytes in hexadecimal.
pub fn content(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::measure;

    const FRAME: Frame = Frame { resized: (64, 64), bucket: (64, 64), crop: (0, 0) };

    fn known(folder: &Path, name: &str) -> Known {
        let path = folder.join(name);
        let image =
            image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x * 3) as u8, (y * 2) as u8, name.len() as u8]));
        image.save(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let measures = measure(&path, &bytes, FRAME).unwrap();
        Known { stamp: Stamp::of(&path).unwrap(), content: content(&bytes), frame: FRAME, measures }
    }

    #[test]
    fn what_was_measured_is_known_by_stamp_and_by_content_and_outlives_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let place = tempfile::tempdir().unwrap();
        let one = known(folder.path(), "one.png");
        let other = known(folder.path(), "other.png");
        let mut cache = Cache::open(Some(place.path()), folder.path());
        cache.add(vec![one.clone()]);
        let file = cache.file.clone().unwrap();
        let mut text = std::fs::read(&file).unwrap();
        text.extend_from_slice(b"{\"stamp\":{\"name\":");
        std::fs::write(&file, text).unwrap();
        Cache::open(Some(place.path()), folder.path()).add(vec![other.clone()]);
        let cache = Cache::open(Some(place.path()), folder.path());
        assert_eq!(cache.unchanged(&one.stamp, FRAME), Some(&one));
        assert_eq!(cache.with_content(&other.content, FRAME), Some(&other.measures));
        let smaller = Frame { bucket: (32, 64), ..FRAME };
        assert_eq!(cache.unchanged(&one.stamp, smaller), None);
        assert_eq!(Cache::open(None, folder.path()).unchanged(&one.stamp, FRAME), None);
    }

    #[test]
    fn lines_of_files_that_are_gone_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let place = tempfile::tempdir().unwrap();
        let one = known(folder.path(), "one.png");
        let mut cache = Cache::open(Some(place.path()), folder.path());
        for changed in 0..70 {
            cache.add(vec![Known { stamp: Stamp { changed, ..one.stamp.clone() }, ..one.clone() }]);
        }
        cache.add(vec![one.clone()]);
        cache.tidy(std::slice::from_ref(&one.stamp));
        let cache = Cache::open(Some(place.path()), folder.path());
        assert_eq!(cache.known, [one]);
    }
}
