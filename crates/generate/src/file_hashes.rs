//! Hashes by which pictures name the files that they were made with.
//!
//! Lengths as in the web UI: 10 hex digits of a checkpoint or VAE, 12 of a LoRA or embedding.

use std::path::Path;

use anyhow::{Context, Result};
use lorabake_weights::metadata::ModelHashes;
use lorabake_weights::metadata::hashes::network_hash;

use crate::png_text::{NamedHash, Value};

/// The SHA-256 of nothing, which some programs have written for every LoRA.
const OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// Digits that the shortest hash has: the old one of checkpoints.
const SHORTEST: usize = 8;

/// `Model hash` or `VAE hash`: the beginning of the SHA-256 of the file; `None` for a folder, which has none.
pub fn short_model_hash(hashes: &ModelHashes) -> Option<String> {
    if hashes.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        hashes.sha256.get(..10).map(str::to_owned)
    } else {
        None
    }
}

/// The hash of an embedding's file; all of it is read.
///
/// # Errors
/// When it cannot be read.
pub fn embedding_hash(path: &Path) -> Result<String> {
    let hashes = ModelHashes::of_file(path).with_context(|| format!("{}: it cannot be read", path.display()))?;
    Ok(hashes.sha256.chars().take(12).collect())
}

/// The hash of a LoRA, from its metadata if they have it; else all of it is read.
///
/// # Errors
/// When it cannot be read.
pub fn lora_hash(path: &Path) -> Result<String> {
    Ok(network_hash(path)?.chars().take(12).collect())
}

/// The value of `Lora hashes` or `TI hashes`; `None` if there are none.
pub fn written(hashes: &[NamedHash]) -> Option<Value> {
    if hashes.is_empty() {
        return None;
    }
    // These two would be taken for separators.
    let bare = |name: &str| name.replace([':', ','], "");
    let pairs: Vec<String> = hashes.iter().map(|pair| format!("{}: {}", bare(&pair.name), pair.hash)).collect();
    Some(pairs.join(", ").into())
}

/// Whether two hashes of one kind can be those of one file: one begins with the other. That of nothing is nobody's.
pub fn agree(one: &str, other: &str) -> bool {
    let one = one.to_ascii_lowercase();
    let other = other.to_ascii_lowercase();
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    short.len() >= SHORTEST && long.starts_with(&short) && !OF_NOTHING.starts_with(&short)
}

/// What to tell of files whose hashes are not those that a picture's text says; `kind` is such as `LoRA`.
pub fn differences(kind: &str, said: &[NamedHash], here: &[NamedHash]) -> Vec<String> {
    let mut told = Vec::new();
    for own in here {
        let name = own.name.replace([':', ','], "");
        let Some(recorded) = said.iter().find(|pair| pair.name == name || pair.name == own.name) else { continue };
        let of_nothing = recorded.hash.len() >= SHORTEST && OF_NOTHING.starts_with(&recorded.hash);
        if !of_nothing && !agree(&recorded.hash, &own.hash) {
            told.push(format!(
                "{kind} {}: the file here has the hash {}, that of the picture {}; the result will differ",
                own.name, own.hash, recorded.hash
            ));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, hash: &str) -> NamedHash {
        NamedHash { name: name.to_owned(), hash: hash.to_owned() }
    }

    #[test]
    fn hashes_agree_by_their_beginning_and_nothing_with_that_of_nothing() {
        assert!(agree("0123456789ab", "0123456789AB1234"));
        assert!(!agree("0123456789ab", "0123456789ac"));
        assert!(!agree("0123", "0123456789ab"));
        assert!(!agree("e3b0c44298fc", "e3b0c44298fc"));
        let here = [named("a:b", "0123456789ab"), named("c", "111111111111"), named("d", "222222222222")];
        let said = [named("ab", "ffffffffffff"), named("c", "1111111111"), named("d", "e3b0c44298fc")];
        let told = differences("LoRA", &said, &here);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("LoRA a:b: the file here has the hash 0123456789ab, that of the picture fff"));
    }

    #[test]
    fn names_hold_no_separators() {
        let text = written(&[named("a: b, c", "0123456789ab"), named("d", "1")]).unwrap();
        assert_eq!(text, "a b c: 0123456789ab, d: 1".into());
        assert_eq!(written(&[]), None);
    }

    #[test]
    fn a_lora_has_the_hash_of_its_metadata_or_of_its_tensors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let with = |header: &str| {
            let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[1, 2, 3, 4]].concat();
            std::fs::write(&path, bytes).unwrap();
            lora_hash(&path).unwrap()
        };
        let tensor = r#""x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}"#;
        // SHA-256 of the four bytes.
        let own = "9f64a747e1b9";
        assert_eq!(with(&format!("{{{tensor}}}")), own);
        let said = "ab".repeat(32);
        assert_eq!(with(&format!(r#"{{"__metadata__": {{"sshs_model_hash": "{said}"}}, {tensor}}}"#)), &said[..12]);
        assert_eq!(with(&format!(r#"{{"__metadata__": {{"sshs_model_hash": "no\nhash"}}, {tensor}}}"#)), own);
        assert!(lora_hash(&folder.path().join("none")).is_err());
    }
}
