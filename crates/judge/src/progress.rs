//! How far a measurement is, in passes through the UNet at the size at which errors are measured: what takes the time.

use anyhow::Result;

use crate::runs::Saved;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Images are read and brought into latents.
    Reading,
    /// Pictures of the checkpoint alone, of prompts without trigger.
    Plain,
    /// Losses of the checkpoint alone.
    Checkpoint,
    /// Losses of a snapshot.
    Losses(Saved),
    /// The response to the strength of a snapshot.
    Strengths(Saved),
    /// The responses to the strengths of UNet and text encoders apart.
    Apart(Saved),
    /// Pictures of scenes by the checkpoint alone.
    PaintingAlone,
    /// Pictures of scenes with a snapshot.
    Painting(Saved),
    /// Pictures are compared.
    Comparing,
}

/// News of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// So many passes are planned in all, about.
    Plans(u64),
    /// This begins.
    Begins(Work),
    /// So many passes more are done.
    Did(u64),
}

/// Is told news; an error ends the measurement.
pub type Tell<'a> = dyn FnMut(News) -> Result<()> + 'a;
