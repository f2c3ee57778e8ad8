//! What a checkpoint says that its UNet predicts.

use serde::Serialize;

/// What the UNet was trained to predict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// The noise.
    Epsilon,
    /// The velocity.
    V {
        /// The UNet was trained with noise that leaves nothing of the image at the last timestep.
        zero_terminal_snr: bool,
    },
}
