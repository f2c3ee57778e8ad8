//! Names in a folder of diffusers → keys of a single-file checkpoint, the way that diffusers' conversion goes backwards.
//!
//! OpenCLIP's layers keep transformers' names behind the checkpoint's prefix: the file joins queries, keys and values in
//! one matrix, and whoever reads it understands both.

use lorabake_recipe::model::Family;

use super::unet::{Layout, count, replace_start};
use super::{Part, vae};
use crate::tensors::{RenamedTensor, View};

/// What diffusers before 0.14 called the layers of the VAE's attention.
const OLD_ATTENTION: [(&str, &str); 4] =
    [("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")];

/// The tensors of one part, from their names in a folder to keys in a checkpoint of this family. Tensors without a place
/// in a checkpoint keep their name behind the part's prefix, so that whoever reads the part finds them unknown.
pub fn checkpoint_keys(part: Part, family: Family, names: &[&str]) -> Vec<RenamedTensor> {
    let prefix = prefix(part, family);
    let layout = if part == Part::Unet { Layout::of_diffusers(names) } else { Layout::default() };
    let levels = count(names, "decoder.up_blocks.");
    let mut renamed = Vec::with_capacity(names.len());
    for name in names {
        let (key, view) = match part {
            Part::Unet => (layout.file_key(name), View::Same),
            Part::Vae => vae_key(name, levels),
            Part::TextEncoder | Part::TextEncoder2 => (None, text_view(name)),
        };
        let key = key.as_deref().unwrap_or(name);
        renamed.push(RenamedTensor { in_file: name.to_string(), name: format!("{prefix}{key}"), view });
    }
    renamed
}

/// What the keys of a part begin with in checkpoints of this family.
fn prefix(part: Part, family: Family) -> &'static str {
    let all = part.prefixes();
    match (part, family) {
        (Part::TextEncoder, Family::Sd2) => all[1],
        (Part::TextEncoder, Family::Sdxl) => all[2],
        _ => all[0],
    }
}

/// The attention in the middle is made of matrices here and of convolutions there.
fn vae_key(name: &str, levels: usize) -> (Option<String>, View) {
    const MIDDLE: &str = ".mid_block.attentions.0.";
    let Some((half, layer)) = name.split_once(MIDDLE) else { return (vae::file_key(name, levels), View::Same) };
    let layer = replace_start(layer, &OLD_ATTENTION).unwrap_or_else(|| layer.to_string());
    (vae::file_key(&format!("{half}{MIDDLE}{layer}"), levels), View::Kernel)
}

/// OpenCLIP's matrix has a row for each input.
fn text_view(name: &str) -> View {
    if name == "text_projection.weight" { View::Transposed } else { View::Same }
}
