//! A VAE of its own (`--vae`), whatever form it has: opened, under the keys of a checkpoint.
//!
//! Three namings of files: a checkpoint's, the same without its prefix, as autoencoders of their own are trained, and
//! that of diffusers. Folders of diffusers are read as those of models.

use std::path::Path;

use lorabake_recipe::model::Family;

use super::diffusers_folder;
use crate::Error;
use crate::file_kind::FileKind;
use crate::file_kind::relatives;
use crate::formats::tensor_file::TensorFile;
use crate::keys::diffusers::checkpoint_keys;
use crate::keys::{Part, part_of};
use crate::tensors::{RenamedTensor, Tensors, View};

/// Opens the VAE at `path`.
///
/// # Errors
/// When it cannot be read, or is no VAE and has none.
pub(crate) fn open(path: &Path) -> Result<Tensors, Error> {
    if path.is_dir() {
        return diffusers_folder::open_vae(path);
    }
    let whole: Tensors = TensorFile::open(path)?.into();
    let wrong = |reason| Error::WrongKind { file: whole.label().to_string(), reason };
    if let Some(relative) = relatives::find(&whole)
        && relative.kind == FileKind::Vae
    {
        return Err(wrong(relative.refusal()));
    }
    let names: Vec<&str> = whole.names().iter().map(String::as_str).collect();
    let Some(keys) = checkpoint_names(&names) else {
        return Err(wrong("it is no VAE and has none; give a VAE file, a checkpoint, or a folder of diffusers".into()));
    };
    let mut tensors = Tensors::empty(whole.label());
    tensors.add(TensorFile::open(path)?, keys);
    Ok(tensors)
}

/// The tensors of a VAE under the keys of a checkpoint; `None` if these names are of no VAE.
fn checkpoint_names(names: &[&str]) -> Option<Vec<RenamedTensor>> {
    let has = |start: &str| names.iter().any(|name| name.starts_with(start));
    let prefix = Part::Vae.prefixes()[0];
    let mut renamed = Vec::new();
    if has(prefix) {
        for name in names.iter().filter(|name| part_of(name) == Some(Part::Vae)) {
            renamed.push(RenamedTensor { in_file: name.to_string(), name: name.to_string(), view: View::Same });
        }
        return Some(renamed);
    }
    if has("encoder.down_blocks.") && has("decoder.up_blocks.") {
        return Some(checkpoint_keys(Part::Vae, Family::Sd1, names));
    }
    if has("encoder.down.") && has("decoder.up.") {
        // Training leaves more behind, such as the loss, which is known to be harmless behind the prefix.
        for name in names {
            renamed.push(RenamedTensor {
                in_file: name.to_string(),
                name: format!("{prefix}{name}"),
                view: View::Same,
            });
        }
        return Some(renamed);
    }
    None
}
