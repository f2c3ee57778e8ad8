//! What is often mistaken for a file of tensors.

/// What a file that is often mistaken for safetensors is, by its first bytes.
pub(super) fn foreign_kind(bytes: &[u8]) -> Option<&'static str> {
    let head = &bytes[..bytes.len().min(512)];
    let text = String::from_utf8_lossy(head).trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']).to_lowercase();
    match head {
        _ if text.starts_with("<!doctype") || text.starts_with("<html") => {
            Some("it is an HTML page, probably saved instead of the download; download the file itself")
        }
        _ if text.starts_with("version https://git-lfs") => {
            Some("it is a git-lfs pointer, not the model; run `git lfs pull` or download the file itself")
        }
        _ if head.starts_with(b"GGUF") => Some("it is a GGUF file; use the model's .safetensors version"),
        _ if text.starts_with('{') => Some("it is a JSON file"),
        _ => None,
    }
}
