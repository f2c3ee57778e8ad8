//! A caption taken apart into its tags, and how tags are compared.

use std::path::{Path, PathBuf};

use lorabake_recipe::text_file;
use lorabake_tags::text;

/// Most bytes of a caption file, as in `data`.
const MOST_BYTES: u64 = 64 << 10;

/// The caption of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caption {
    /// Its file, if it has one of its own.
    pub file: Option<PathBuf>,
    /// All of the file as text, without a byte order mark; empty without a file.
    pub raw: String,
    /// The file begins with a byte order mark.
    pub has_mark: bool,
    /// What is trained on.
    pub text: String,
    /// Its parts between separators as they are written, trimmed, without empty ones.
    pub tags: Vec<String>,
    /// The same as they are compared ([`folded`]).
    pub keys: Vec<String>,
    /// It is a sentence rather than tags: what is asked of tags is not asked of it.
    pub is_prose: bool,
}

impl Caption {
    /// The caption of which `text` is trained on; the file is read once more for what training does not ask for.
    pub fn new(file: Option<&Path>, text: &str, separator: &str) -> Self {
        let mut caption = Self { file: file.map(Path::to_owned), text: text.to_owned(), ..Self::default() };
        if let Some(bytes) = file.and_then(read) {
            caption.has_mark = bytes.starts_with(b"\xef\xbb\xbf");
            caption.raw = text_file::decode(bytes).unwrap_or_default();
        }
        for tag in text::tags_of(text, separator) {
            caption.tags.push(tag.to_owned());
            caption.keys.push(folded(tag));
        }
        caption.is_prose = caption.tags.iter().any(|tag| text::is_prose(tag));
        caption
    }

    /// Whether it has this tag, in the form in which tags are compared.
    pub fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|own| own == key)
    }

    /// Whether it has one of these tags.
    pub fn has_any(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.has(key))
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let about = std::fs::metadata(path).ok()?;
    if !about.is_file() || about.len() > MOST_BYTES {
        return None;
    }
    std::fs::read(path).ok()
}

/// A tag as it is compared here: as `tags` does, and `\(` is `(`.
pub fn folded(tag: &str) -> String {
    text::folded(tag).replace("\\(", "(").replace("\\)", ")")
}

/// Whether the words of `part` stand side by side in `whole`, which has more; whole words, so that `ear` is not in
/// `earrings`.
pub fn is_within(part: &str, whole: &str) -> bool {
    let part: Vec<&str> = part.split(' ').collect();
    let whole: Vec<&str> = whole.split(' ').collect();
    whole.len() > part.len() && whole.windows(part.len()).any(|words| words == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_taken_apart_and_compared_by_their_words() {
        let caption = Caption::new(None, "penny,  Red_Hat , , hat \\(blue\\)", ",");
        assert_eq!(caption.tags, ["penny", "Red_Hat", "hat \\(blue\\)"]);
        assert_eq!(caption.keys, ["penny", "red hat", "hat (blue)"]);
        assert!(caption.has("red hat") && !caption.is_prose);
        assert!(is_within("hat", "red hat") && !is_within("ear", "earrings") && !is_within("hat", "hat"));
    }

    #[test]
    fn sentences_are_no_tags() {
        for text in ["a girl who walks on a wide field of flowers", "A girl sits. She smiles."] {
            assert!(Caption::new(None, text, ",").is_prose, "{text}");
        }
        assert!(!Caption::new(None, "penny, dr. slump, 1girl", ",").is_prose);
    }
}
