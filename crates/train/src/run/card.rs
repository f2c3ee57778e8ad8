//! Whether the card of a GPU holds the run, looked at after its first steps: drivers don't say that it does not.

use burn::tensor::Device;
use lorabake_device::{free_memory_of, is_host};

/// Steps after which every kernel has been chosen and everything that a step holds was there.
const STEPS: u64 = 3;
/// A card with less than this is full, in bytes: the drivers keep some back.
const FULL: u64 = 150_000_000;

/// What to tell after so many steps of this run.
pub(super) fn note(device: &Device, steps: u64) -> Option<String> {
    if steps != STEPS || is_host(device) {
        return None;
    }
    is_full(free_memory_of(device)?)
}

fn is_full(free: u64) -> Option<String> {
    if free >= FULL {
        return None;
    }
    Some(format!(
        "--device: the card is full after {STEPS} steps, {} MB are free. What does not fit, Windows' drivers move to main \
         memory without a word, and each step then takes many times as long. Less memory take --gradient_checkpointing, \
         --mixed_precision=bf16 with --fp8_base, a smaller --resolution or --train_batch_size; or close what else uses the \
         card",
        free / 1_000_000
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_card_is_told() {
        assert_eq!(is_full(FULL), None);
        let note = is_full(80_000_000).unwrap();
        assert!(note.starts_with("--device: the card is full after 3 steps, 80 MB are free."), "{note}");
        assert_eq!(super::note(&Device::flex(), STEPS), None);
    }
}
