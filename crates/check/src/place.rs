//! From folders that a user names to the data section that training would have.
//!
//! A folder of `N_name` folders is read as `--train_data_dir`; a folder of images by itself, and folders of any other
//! names, as those of a `--dataset_config`, with 1 repeat unless their names say more.

use std::path::{Path, PathBuf};

use lorabake_data::scan::{ConceptName, folders_in, images_in};
use lorabake_recipe::data::{Data, DatasetConfig, Subset};

/// Levels below a folder that are searched for images.
const DEEPEST: usize = 4;

/// A folder in which there is nothing to check.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It is not there, or no folder.
    #[error("{}: there is no such folder; name the folder of your images", .0.display())]
    Missing(PathBuf),
    /// There are no images in it.
    #[error("{}: no images; put .png, .jpg, .webp or .bmp files into it, or name another folder", .0.display())]
    NoImages(PathBuf),
}

/// The data section for `folders`, with the other settings of `base`.
///
/// # Errors
/// The first folder in which there is nothing to check.
pub fn data_of(folders: &[PathBuf], base: &Data) -> Result<Data, PlaceError> {
    if let [folder] = folders
        && folder.is_dir()
        && folders_in(folder).iter().any(|inner| is_concept(inner))
    {
        return Ok(Data { train_dir: folder.clone(), config: None, ..base.clone() });
    }
    let mut subsets = Vec::new();
    for folder in folders {
        if !folder.is_dir() {
            return Err(PlaceError::Missing(folder.clone()));
        }
        let before = subsets.len();
        let concepts: Vec<PathBuf> = folders_in(folder).into_iter().filter(|inner| is_concept(inner)).collect();
        if concepts.is_empty() {
            add_subsets(&mut subsets, folder, base, 0);
        }
        // As training sees it: images beside such folders take no part.
        for concept in &concepts {
            add_subsets(&mut subsets, concept, base, 0);
        }
        if subsets.len() == before {
            return Err(PlaceError::NoImages(folder.clone()));
        }
    }
    let file = folders.first().cloned().unwrap_or_default();
    Ok(Data { config: Some(DatasetConfig { file, subsets }), ..base.clone() })
}

fn is_concept(folder: &Path) -> bool {
    let Some(parsed) = folder.file_name().and_then(|name| ConceptName::parse(&name.to_string_lossy())) else {
        return false;
    };
    parsed.repeats > 0 && images_in(folder) > 0
}

/// Adds the folder if it holds images, else those inside it that do.
fn add_subsets(subsets: &mut Vec<Subset>, folder: &Path, base: &Data, level: usize) {
    if images_in(folder) > 0 {
        let full = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let name = full.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let parsed = ConceptName::parse(&name).filter(|parsed| (1..=1000).contains(&parsed.repeats));
        let (repeats, class_tokens) = match parsed {
            Some(parsed) => (parsed.repeats as u32, parsed.class_tokens),
            None => (1, name),
        };
        let settings = Data { train_dir: folder.to_owned(), reg_dir: None, config: None, ..base.clone() };
        subsets.push(Subset { dataset: 0, repeats, class_tokens, is_reg: false, settings });
        return;
    }
    if level < DEEPEST {
        for inner in folders_in(folder) {
            add_subsets(subsets, &inner, base, level + 1);
        }
    }
}
