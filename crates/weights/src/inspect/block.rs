//! Which block of the network a module of a LoRA is in, by its name.

use std::fmt;

/// A text encoder or a block of the UNet, in the order in which they compute. Numbers are those of the original UNet, in
/// which a level of Stable Diffusion has three blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BlockId {
    TextEncoder,
    TextEncoder2,
    Input(usize),
    Middle,
    Output(usize),
    Other,
}

impl BlockId {
    /// The block of a module with kohya's name.
    pub(super) fn of(module: &str) -> Self {
        if module.starts_with("lora_te2_") {
            return Self::TextEncoder2;
        }
        if module.starts_with("lora_te") {
            return Self::TextEncoder;
        }
        let path = module.trim_start_matches("lora_unet_").trim_start_matches("lycoris_");
        if path.starts_with("mid") {
            return Self::Middle;
        }
        if path.starts_with("conv_in") {
            return Self::Input(0);
        }
        let block = if let Some(rest) = path.strip_prefix("input_blocks_") {
            numbers_in(rest).first().map(|number| Self::Input(*number))
        } else if let Some(rest) = path.strip_prefix("output_blocks_") {
            numbers_in(rest).first().map(|number| Self::Output(*number))
        } else if let Some(rest) = path.strip_prefix("down_blocks_") {
            // The original's block 0 is the first convolution.
            within_levels(rest).map(|number| Self::Input(number + 1))
        } else if let Some(rest) = path.strip_prefix("up_blocks_") {
            within_levels(rest).map(Self::Output)
        } else {
            None
        };
        block.unwrap_or(Self::Other)
    }
}

/// `TE`, `TE2`, `IN00` to `OUT11`, `M00` or `other`, as guides list them.
impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TextEncoder => f.write_str("TE"),
            Self::TextEncoder2 => f.write_str("TE2"),
            Self::Input(number) => write!(f, "IN{number:02}"),
            Self::Middle => f.write_str("M00"),
            Self::Output(number) => write!(f, "OUT{number:02}"),
            Self::Other => f.write_str("other"),
        }
    }
}

/// The number of a block of diffusers' UNet, whose names count levels, and places in them; samplers come third.
fn within_levels(rest: &str) -> Option<usize> {
    match numbers_in(rest)[..] {
        [level, _, ..] if rest.contains("samplers_") => Some(level.saturating_mul(3).saturating_add(2)),
        [level, place, ..] => Some(level.saturating_mul(3).saturating_add(place)),
        _ => None,
    }
}

/// The whole numbers among the words of a name.
fn numbers_in(name: &str) -> Vec<usize> {
    name.split('_').filter_map(|word| word.parse().ok()).collect()
}
