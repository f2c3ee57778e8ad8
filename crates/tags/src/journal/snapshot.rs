//! All captions of a data set as they were before the first change: a file beside the journal that is never written again.

use std::path::{Path, PathBuf};

use lorabake_data::scan::pairs::pairs_below;
use lorabake_weights::whole_file;
use serde::{Deserialize, Serialize};

use super::home::Home;
use super::spot::Spot;
use crate::error::Error;
use crate::text::MOST_BYTES;

/// The snapshot's file in the folder of the journal.
const NAME: &str = "captions_at_first.jsonl";

/// A caption as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Caption {
    /// The file, from the data set's folder on.
    file: String,
    /// The whole file; bytes that are not UTF-8 are shown as `\u{fffd}`.
    text: String,
}

/// Writes the snapshot, unless there is one.
pub(super) fn take(home: &Home) -> Result<(), Error> {
    let path = home.journal().join(NAME);
    if path.exists() {
        return Ok(());
    }
    let mut lines = Vec::new();
    for file in caption_files(home.root())? {
        let Ok(Spot::Set(name)) = home.spot(&file) else { continue };
        let is_short = file.metadata().is_ok_and(|about| about.len() <= MOST_BYTES);
        let bytes = if is_short { std::fs::read(&file).ok() } else { None };
        let Some(bytes) = bytes else { continue };
        let caption = Caption { file: name, text: String::from_utf8_lossy(&bytes).into_owned() };
        serde_json::to_writer(&mut lines, &caption).map_err(|error| Error::io(&path, "written", &error.into()))?;
        lines.push(b'\n');
    }
    whole_file::write(&path, |out| out.write_all(&lines)).map_err(|error| Error::io(&path, "written", &error))
}

/// All files that are captions or look like some.
fn caption_files(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let found = pairs_below(root, None).map_err(|error| Error::io(root, "listed", &error))?;
    let mut files: Vec<PathBuf> = found.pairs.into_iter().filter_map(|pair| pair.caption).collect();
    for left_out in found.left_out {
        let end = left_out.path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if ["txt", "caption"].contains(&end.as_str()) {
            files.push(left_out.path);
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}
