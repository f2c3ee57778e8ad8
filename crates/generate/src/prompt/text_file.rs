//! Small text files of the user's: styles, presets.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Most bytes of such a file.
const MOST_BYTES: u64 = 4 << 20;

/// The text of a file.
///
/// # Errors
/// When it cannot be read, is too large, or no UTF-8.
pub(super) fn read(path: &Path) -> Result<String> {
    let name = path.display();
    // A pipe would be waited for before it can be looked at.
    if std::fs::metadata(path).is_ok_and(|data| !data.is_file() && !data.is_dir()) {
        bail!("{name}: it is a device or a pipe; give a file");
    }
    let file = File::open(path).with_context(|| format!("{name}: it cannot be read"))?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).with_context(|| format!("{name}: it cannot be read"))?;
    if bytes.len() as u64 > MOST_BYTES {
        bail!("{name}: it is larger than 4 MB; this is another kind of file");
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(_) => bail!("{name}: it is no text in UTF-8; save it as UTF-8"),
    }
}
