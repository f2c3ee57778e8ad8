//! What a detector has seen before, by the content of images: one file for each detector in the user's cache folder, a line
//! for each image.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use lorabake_tags::images::Seen;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::measure::hexadecimal;

/// How finds are kept: with another version, all images are looked at anew.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Line {
    content: String,
    /// The score from which on things were found.
    least: f64,
    seen: Vec<Seen>,
}

/// What one detector has seen before.
pub(crate) struct SeenBefore {
    /// `None` keeps nothing.
    file: Option<PathBuf>,
    lines: HashMap<String, Line>,
}

impl SeenBefore {
    /// What `place`, a folder for such files, knows of the detector with this key.
    pub(crate) fn open(place: Option<&Path>, key: &str) -> Self {
        let mut before = Self { file: None, lines: HashMap::new() };
        let Some(place) = place else { return before };
        let name = hexadecimal(&Sha256::digest(key)[..12]);
        let file = place.join(format!("seen-{VERSION}")).join(format!("{name}.jsonl"));
        if let Ok(text) = File::open(&file) {
            for line in BufReader::new(text).split(b'\n') {
                let Ok(line) = line else { break };
                if let Ok(line) = serde_json::from_slice::<Line>(&line) {
                    before.lines.insert(line.content.clone(), line);
                }
            }
        }
        before.file = Some(file);
        before
    }

    /// What was seen in an image with this content, if it was looked at closely enough.
    pub(crate) fn of(&self, content: &str, least: f64) -> Option<&[Seen]> {
        let line = self.lines.get(content)?;
        if line.least <= least { Some(&line.seen) } else { None }
    }

    /// Keeps what was seen. That it cannot be written is no error: the image is looked at again next time.
    pub(crate) fn add(&mut self, content: &str, least: f64, seen: Vec<Seen>) {
        let line = Line { content: content.to_owned(), least, seen };
        if let Some(file) = &self.file {
            let _ = append(file, &line);
        }
        self.lines.insert(content.to_owned(), line);
    }
}

fn append(file: &Path, line: &Line) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut out = File::options().create(true).append(true).open(file)?;
    // A line break first, in case the last line was cut short.
    out.write_all(format!("\n{}", serde_json::to_string(line)?).as_bytes())
}
