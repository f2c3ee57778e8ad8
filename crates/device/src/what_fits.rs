//! What fits into a device's memory, in one line.

/// Bytes by sums, for batches of one image in 16-bit floats: peaks that were measured with rank 16 on the processor
/// (`benches/RESULTS.md`), what rank 64 takes beside it, and for SDXL with checkpointing alone the UNet's other half. None of
/// these sums was measured itself, and none on a GPU.
struct Case {
    what: &'static str,
    ways: &'static [(&'static str, u64)],
}

const CASES: [Case; 2] = [
    Case {
        what: "SD1.5 512² rank 64",
        ways: &[
            ("--mixed_precision=bf16", 4_300_000_000),
            ("--mixed_precision=bf16 --gradient_checkpointing", 3_100_000_000),
        ],
    },
    Case {
        what: "SDXL 1024² rank 64 (UNet)",
        ways: &[
            ("--mixed_precision=bf16", 16_700_000_000),
            ("--mixed_precision=bf16 --gradient_checkpointing", 9_500_000_000),
        ],
    },
];

/// On the processor, 8 bits halve the UNet's weights.
const EIGHT_BITS: (&str, u64) = ("--mixed_precision=bf16 --gradient_checkpointing --fp8_base_unet", 7_100_000_000);

/// What to expect of so many bytes, for each family.
pub fn what_fits(memory: u64, host: bool) -> String {
    let mut lines = Vec::new();
    for (index, case) in CASES.iter().enumerate() {
        let mut ways = case.ways.to_vec();
        if host && index == 1 {
            ways.push(EIGHT_BITS);
        }
        lines.push(match ways.into_iter().find(|(_, need)| *need <= memory) {
            Some((options, need)) => format!("{}: fits with {options} (about {:.1} GB)", case.what, need as f64 / 1e9),
            None => format!("{}: too large", case.what),
        });
    }
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_way_that_fits_is_named() {
        let line = what_fits(8_000_000_000, true);
        assert!(
            line.starts_with("SD1.5 512² rank 64: fits with --mixed_precision=bf16 (about 4.3 GB); SDXL"),
            "{line}"
        );
        assert!(line.ends_with("--fp8_base_unet (about 7.1 GB)"), "{line}");
        assert!(what_fits(8_000_000_000, false).ends_with("SDXL 1024² rank 64 (UNet): too large"));
        assert!(what_fits(3_500_000_000, false).contains("--gradient_checkpointing (about 3.1 GB)"));
    }
}
