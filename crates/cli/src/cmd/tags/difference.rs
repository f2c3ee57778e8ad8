//! What a change does to captions, as text without colours.

use std::path::Path;

use lorabake_tags::CaptionFile;

use super::scope::Found;
use crate::terminal::{self, Shown};

/// Captions that are shown unless all are asked for.
const SOME: usize = 20;

/// Prints the first lines of captions as they are and as they would be.
pub fn show(found: &Found, folder: &Path, changed: &[CaptionFile], all: bool) {
    let shown = if all { changed.len() } else { SOME };
    let mut text = String::new();
    for caption in changed.iter().take(shown) {
        let name = Shown(found.shown(folder, caption.path()));
        text += &format!("{name}{}\n", if caption.exists() { "" } else { " (new)" });
        if let Some(before) = first_line(caption.bytes_read()) {
            text += &format!("  - {}\n", Shown(before));
        }
        text += &format!("  + {}\n", Shown(caption.caption()));
    }
    if changed.len() > shown {
        text += &format!("… and {} more; --all shows them\n", changed.len() - shown);
    }
    if !text.is_empty() {
        terminal::result(text.trim_end());
    }
}

fn first_line(bytes: Option<&[u8]>) -> Option<String> {
    let text = String::from_utf8_lossy(bytes?).into_owned();
    let line = text.trim_start_matches('\u{feff}').split(['\n', '\r']).next().unwrap_or_default();
    Some(line.trim().to_owned())
}
