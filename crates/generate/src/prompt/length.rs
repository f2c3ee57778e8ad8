//! How long a prompt may be.

use anyhow::{Result, bail};

/// Most bytes of a prompt; of more than some hundred words little is seen.
pub(crate) const MOST_BYTES: usize = 64 << 10;

/// Refuses a prompt whose length would only cost time.
///
/// # Errors
/// When it is longer than 64 kB.
pub fn check_length(text: &str) -> Result<()> {
    if text.len() > MOST_BYTES {
        let beginning: String = text.chars().take(20).collect();
        bail!("the prompt \"{beginning}…\" is longer than 64 kB; shorten it");
    }
    Ok(())
}
