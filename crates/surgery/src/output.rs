//! Files that are written: where, in which numbers, and that nothing of the user's is lost by it.

use std::path::{Path, PathBuf};

use lorabake_recipe::output::SavePrecision;
use safetensors::Dtype;

use crate::error::{Error, Result};

/// Where a result goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The file.
    pub path: PathBuf,
    /// Type of its numbers; as they were if `None`.
    pub precision: Option<SavePrecision>,
    /// A file that is there already is replaced.
    pub overwrite: bool,
}

impl Output {
    /// Checks that nothing is lost by writing it.
    ///
    /// # Errors
    /// When the file is one of `inputs`, is there already, or is no file of safetensors by its name.
    pub fn check(&self, inputs: &[&Path]) -> Result<()> {
        let shown = self.path.display();
        let is_safetensors = self.path.extension().is_some_and(|end| end.eq_ignore_ascii_case("safetensors"));
        if !is_safetensors {
            return Err(Error::wrong(
                "--output",
                format!("{shown} does not end in .safetensors"),
                "give a name that does",
            ));
        }
        let own = self.path.canonicalize().ok();
        for input in inputs {
            if own.is_some() && own == input.canonicalize().ok() {
                let what = format!("{shown} is read for it");
                return Err(Error::wrong("--output", what, "give another name"));
            }
        }
        if own.is_some() && !self.overwrite {
            let what = format!("{shown} is there already");
            return Err(Error::wrong("--output", what, "give another name, or --overwrite"));
        }
        Ok(())
    }

    /// The type in which a tensor of type `dtype` is written: whole numbers stay what they are.
    pub fn dtype(&self, dtype: Dtype) -> Dtype {
        match self.precision {
            Some(precision) if is_float(dtype) => dtype_of(precision),
            _ => dtype,
        }
    }
}

/// The type of a precision.
pub fn dtype_of(precision: SavePrecision) -> Dtype {
    match precision {
        SavePrecision::F32 => Dtype::F32,
        SavePrecision::F16 => Dtype::F16,
        SavePrecision::Bf16 => Dtype::BF16,
    }
}

/// Whether numbers of a type are floats.
pub fn is_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F8_E4M3 | Dtype::F8_E5M2)
}
