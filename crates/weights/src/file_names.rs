//! Names of the files that a run writes, as sd-scripts names them.

/// The result of the whole run.
pub fn last(name: &str) -> String {
    format!("{name}.safetensors")
}

/// A snapshot after an epoch, counted from 1.
pub fn at_epoch(name: &str, epoch: u64) -> String {
    format!("{name}-{epoch:06}.safetensors")
}

/// A snapshot after an optimizer step, counted from 1.
pub fn at_step(name: &str, step: u64) -> String {
    format!("{name}-step{step:08}.safetensors")
}

/// The folder of the state that belongs to a file of the above names.
pub fn state_of(file: &str) -> String {
    format!("{}-state", file.trim_end_matches(".safetensors"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_padded_as_in_sd_scripts() {
        assert_eq!(last("penny"), "penny.safetensors");
        assert_eq!(at_epoch("penny", 3), "penny-000003.safetensors");
        assert_eq!(at_step("penny", 1200), "penny-step00001200.safetensors");
        assert_eq!(state_of(&at_epoch("penny", 3)), "penny-000003-state");
    }
}
