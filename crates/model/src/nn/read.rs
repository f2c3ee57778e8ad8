//! Reads a network that has a file of its own.

use lorabake_ops::WeightDtype;
use lorabake_weights::{Error, NetworkFile};

use super::Builder;

/// Builds the network of `file` with its matrices in `dtype`, and brings all of it into memory.
///
/// # Errors
/// Names every tensor that is missing, mis-shaped, unknown or not finite.
pub(crate) fn read<T>(
    file: &NetworkFile,
    dtype: WeightDtype,
    build: impl FnOnce(Builder<'_, '_>) -> T,
) -> Result<T, Error> {
    let mut matrices = Vec::new();
    let mut loader = file.loader();
    let network = build(Builder::new(&mut loader, dtype, &mut matrices));
    loader.finish()?;
    for source in &matrices {
        source.matrix.read().map_err(|problems| Error::Unfit {
            file: file.label().to_string(),
            part: file.kind(),
            problems,
        })?;
        if let Some(error) = source.values.fault() {
            return Err(error);
        }
    }
    Ok(network)
}
