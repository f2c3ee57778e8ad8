//! The 26 blocks of a Stable Diffusion model, by their usual names.

/// The names of the blocks: the text encoders, then the UNet's from its input to its output.
pub const BLOCKS: [&str; 26] = [
    "BASE", "IN00", "IN01", "IN02", "IN03", "IN04", "IN05", "IN06", "IN07", "IN08", "IN09", "IN10", "IN11", "M00",
    "OUT00", "OUT01", "OUT02", "OUT03", "OUT04", "OUT05", "OUT06", "OUT07", "OUT08", "OUT09", "OUT10", "OUT11",
];

/// Places in [`BLOCKS`].
const IN: usize = 1;
const MIDDLE: usize = 13;
const OUT: usize = 14;
/// Input blocks, and as many output blocks.
const SIDE: usize = 12;

/// One of [`BLOCKS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block(usize);

impl Block {
    /// The block of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        BLOCKS.iter().position(|block| *block == name).map(Self)
    }

    /// Its place in [`BLOCKS`].
    pub fn index(self) -> usize {
        self.0
    }

    /// The block's name.
    pub fn name(self) -> &'static str {
        BLOCKS[self.0]
    }

    /// The block of a module by the web UI's name of it; `None` for what lies in no block, as `time_embed`.
    pub fn of(module: &str) -> Option<Self> {
        if is_text_encoder(module) {
            return Some(Self(0));
        }
        let unet = module.strip_prefix("diffusion_model_")?;
        if unet.starts_with("middle_block_") {
            return Some(Self(MIDDLE));
        }
        if let Some(rest) = unet.strip_prefix("input_blocks_") {
            return numbered(IN, rest);
        }
        numbered(OUT, unet.strip_prefix("output_blocks_")?)
    }
}

/// Whether a module belongs to a text encoder, by the web UI's name of it.
fn is_text_encoder(module: &str) -> bool {
    /// Letters of the name in which the web UI looks for the word.
    const BEGINNING: usize = 20;
    match module.find("transformer") {
        Some(at) => at + "transformer".len() <= BEGINNING,
        None => false,
    }
}

/// The block whose number `rest` begins with.
fn numbered(first: usize, rest: &str) -> Option<Block> {
    let (number, _) = rest.split_once('_')?;
    let number: usize = number.parse().ok()?;
    if number < SIDE { Some(Block(first + number)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_names_agree() {
        assert_eq!(
            [BLOCKS[IN], BLOCKS[MIDDLE], BLOCKS[OUT], BLOCKS[OUT + SIDE - 1]],
            ["IN00", "M00", "OUT00", "OUT11"]
        );
        assert_eq!(Block::of("diffusion_model_output_blocks_10_0_in_layers_2").map(Block::name), Some("OUT10"));
        assert_eq!(Block::of("diffusion_model_output_blocks_12_0_in_layers_2"), None);
    }
}
