//! The model inside the binary.

use std::borrow::Cow;

use lorabake_weights::{Checkpoint, Error};

/// Its name in messages and metadata.
pub const NAME: &str = "pocket.safetensors";

static BYTES: &[u8] = include_bytes!("../../../models/pocket/pocket.safetensors");

/// The embedded checkpoint, `models/pocket`: SD1.5's topology in narrow widths, trained to draw emoji at 128 × 128
/// pixels.
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
