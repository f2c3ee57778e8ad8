//! The model inside the binary.

use std::borrow::Cow;

use lorabake_weights::{Checkpoint, Error};

/// Its name in messages and metadata.
pub const NAME: &str = "sd15_tiny.safetensors";

static BYTES: &[u8] = include_bytes!("../../../models/tiny/sd15_tiny.safetensors");

/// The embedded checkpoint: SD1.5's topology in toy widths with untrained weights, to try everything out in seconds.
///
/// # Errors
/// Never, unless the binary itself is damaged.
pub fn checkpoint() -> Result<Checkpoint, Error> {
    Checkpoint::from_bytes(NAME, Cow::Borrowed(BYTES))
}

/// The bytes, for hashing.
pub fn bytes() -> &'static [u8] {
    BYTES
}
