//! Text encoder keys of a checkpoint → names of transformers' `CLIPTextModel`.
//!
//! They differ in their prefix only; some converters drop the `text_model.` level from the file.

/// The transformers name of a key without its prefix.
pub fn diffusers_name(key: &str) -> Option<String> {
    let inner = key.strip_prefix("text_model.").unwrap_or(key);
    let known = ["embeddings.", "encoder.layers.", "final_layer_norm."].iter().any(|start| inner.starts_with(start));
    (known && !inner.ends_with("embeddings.position_ids")).then(|| format!("text_model.{inner}"))
}
