//! Textual inversions (Gal et al. 2022), called embeddings: vectors that stand for tokens of a prompt.
//!
//! Read from the web UI's `.pt` (`string_to_param`), diffusers' `.bin` and `.safetensors` (one tensor), OneTrainer's and
//! the web UI's `.safetensors` (`emb_params`; for SDXL `clip_l` and `clip_g`), and from what lies beside a LoRA
//! (`bundle_emb`). Nothing in a pickle is run.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Error;
use crate::formats::tensor_file::TensorFile;
use crate::lora::ModuleTensor;

/// What the names of the tensors in the web UI's files begin with.
const OF_WEBUI: &str = "string_to_param";
/// Names of SDXL's tensors, for the first and the second text encoder.
const OF_SDXL: [[&str; 2]; 2] = [["clip_l", "clip_g"], ["text_encoders_0", "text_encoders_1"]];
/// The most vectors of an embedding: the places of a chunk. More cannot be used.
pub const MOST_VECTORS: usize = 75;

/// The vectors of an embedding for one text encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors {
    /// Numbers of a vector.
    pub width: usize,
    /// The vectors one after another.
    pub rows: Vec<f32>,
}

impl Vectors {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.rows.len() / self.width
    }
}

/// An embedding, for one text encoder or for SDXL's two.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// The vectors for each text encoder, in their order; as many vectors for each.
    pub vectors: Vec<Vectors>,
}

impl Embedding {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or is no embedding, or one that cannot be used.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = TensorFile::open(path)?;
        let names = file.names();
        if names.len() > OF_SDXL.len() * 2 {
            let reason = format!("it has {} tensors, an embedding has one or two", names.len());
            return Err(Error::WrongKind { file: file.label().to_string(), reason });
        }
        let mut tensors = BTreeMap::new();
        for name in names {
            let shape = file.shape(&name).unwrap_or_default().to_vec();
            let values = file.read_f32(&name)?;
            tensors.insert(name, ModuleTensor { shape, values });
        }
        Self::of_tensors(&tensors).map_err(|reason| Error::WrongKind { file: file.label().to_string(), reason })
    }

    /// The embedding that is made of these tensors.
    ///
    /// # Errors
    /// If they are none, or cannot be used.
    pub fn of_tensors(tensors: &BTreeMap<String, ModuleTensor>) -> Result<Self, String> {
        for names in OF_SDXL {
            if let [Some(first), Some(second)] = names.map(|name| tensors.get(name)) {
                let vectors = vec![vectors(first)?, vectors(second)?];
                if vectors[0].count() != vectors[1].count() {
                    return Err("it has not as many vectors for one text encoder as for the other".into());
                }
                return Ok(Self { vectors });
            }
        }
        let of_webui: Vec<&ModuleTensor> =
            tensors.iter().filter(|(name, _)| name.starts_with(OF_WEBUI)).map(|(_, tensor)| tensor).collect();
        let tensor = match (of_webui.as_slice(), tensors.len()) {
            ([tensor], _) => *tensor,
            ([], 1) => tensors.values().next().ok_or("it has no vectors")?,
            ([], _) => return Err("it is no embedding: it has several tensors of no known names".into()),
            _ => return Err("it has vectors for several words; save it with one".into()),
        };
        Ok(Self { vectors: vec![vectors(tensor)?] })
    }

    /// How many places it takes in a prompt.
    pub fn count(&self) -> usize {
        self.vectors.first().map_or(0, Vectors::count)
    }

    /// Why it cannot be used with text encoders of these widths, if so.
    pub fn misfit(&self, widths: &[usize]) -> Option<String> {
        let own: Vec<usize> = self.vectors.iter().map(|vectors| vectors.width).collect();
        if own == widths {
            return None;
        }
        let list = |widths: &[usize]| widths.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        Some(format!("its vectors are {} wide, this checkpoint needs {}", list(&own), list(widths)))
    }
}

/// A tensor as vectors.
fn vectors(tensor: &ModuleTensor) -> Result<Vectors, String> {
    let (count, width) = match tensor.shape[..] {
        [width] => (1, width),
        [count, width] => (count, width),
        _ => return Err(format!("its tensor has shape {:?}, not vectors in rows", tensor.shape)),
    };
    if count == 0 || width == 0 {
        return Err("it has no vectors".into());
    }
    if count > MOST_VECTORS {
        return Err(format!("it has {count} vectors, and a text encoder takes {MOST_VECTORS} tokens at once"));
    }
    if tensor.values.iter().any(|value| !value.is_finite()) {
        return Err("it holds values that are infinite or not a number".into());
    }
    Ok(Vectors { width, rows: tensor.values.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors(named: &[(&str, &[usize])]) -> BTreeMap<String, ModuleTensor> {
        let mut tensors = BTreeMap::new();
        for (name, shape) in named {
            let values = vec![0.5; shape.iter().product()];
            tensors.insert((*name).to_string(), ModuleTensor { shape: shape.to_vec(), values });
        }
        tensors
    }

    fn counts(named: &[(&str, &[usize])]) -> Result<Vec<[usize; 2]>, String> {
        let embedding = Embedding::of_tensors(&tensors(named))?;
        Ok(embedding.vectors.iter().map(|vectors| [vectors.count(), vectors.width]).collect())
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(counts(&[("string_to_param.*", &[3, 8])]), Ok(vec![[3, 8]]));
        assert_eq!(counts(&[("emb_params", &[2, 8])]), Ok(vec![[2, 8]]));
        assert_eq!(counts(&[("<my-word>", &[8])]), Ok(vec![[1, 8]]));
        assert_eq!(counts(&[("clip_l", &[2, 8]), ("clip_g", &[2, 12])]), Ok(vec![[2, 8], [2, 12]]));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        assert!(counts(&[("emb_params", &[76, 8])]).is_err());
        assert!(counts(&[("emb_params", &[0, 8])]).is_err());
        assert!(counts(&[("emb_params", &[2, 2, 2])]).is_err());
        assert!(counts(&[("clip_l", &[2, 8]), ("clip_g", &[3, 12])]).is_err());
        assert!(counts(&[("one", &[2, 8]), ("two", &[3, 8])]).is_err());
        assert!(counts(&[("string_to_param.a", &[2, 8]), ("string_to_param.b", &[3, 8])]).is_err());
        let embedding = Embedding::of_tensors(&tensors(&[("emb_params", &[2, 8])])).unwrap();
        assert_eq!(embedding.misfit(&[8]), None);
        let reason = embedding.misfit(&[8, 12]).unwrap();
        assert_eq!(reason, "its vectors are 8 wide, this checkpoint needs 8 and 12");
    }
}
