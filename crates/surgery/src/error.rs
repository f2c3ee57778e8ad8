//! What can go wrong in surgery on weights, one line each: the file or option, what is wrong, what to do.

use std::fmt::Display;

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] lorabake_weights::Error),
    /// What was asked for cannot be done.
    #[error("{place}: {what}; {remedy}")]
    Wrong {
        /// The file or the option.
        place: String,
        /// What is wrong with it.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// The user wishes an end.
    #[error("stopped; nothing was written")]
    Stopped,
}

/// Results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// What is wrong with a file or option, and what to do.
    pub fn wrong(place: impl Display, what: impl Display, remedy: impl Display) -> Self {
        Self::Wrong { place: place.to_string(), what: what.to_string(), remedy: remedy.to_string() }
    }
}
