//! Small text files that lie beside a model.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::Error;

/// Lists of tags have up to some MB.
const LONGEST: u64 = 64 << 20;

/// The text of the file at `path`, without a byte order mark.
///
/// # Errors
/// When it cannot be read, is too long, or no UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String, Error> {
    let unreadable = |why: std::io::Error| Error::of(path, format!("{why}; name a file that can be read"));
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(LONGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err(Error::of(path, "it has more than 64 MB, which is no list of tags; download it again"));
    }
    let text = String::from_utf8(bytes).map_err(|_| Error::of(path, "it is no text in UTF-8; download it again"))?;
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}
