//! The model inside the binary.

use std::borrow::Cow;

use lorabake_model::vae::LatentColors;
use lorabake_weights::{Checkpoint, Error};

/// Its name in messages and metadata.
pub const NAME: &str = "pocket.safetensors";

/// The colours of its latents: least squares over the demonstrations' pictures (`oracle/pocket/preview.py`).
pub const LATENT_COLORS: LatentColors = LatentColors {
    factors: [[0.086, 0.052, 0.051], [0.11, 0.024, -0.001], [0.083, -0.236, -0.438], [0.36, 0.266, 0.161]],
    constant: [0.759, 0.684, 0.593],
};

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
