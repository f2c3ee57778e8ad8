//! Blocks of a model by which strengths are given: the text encoders and the rest (BASE), the UNet's IN00 to OUT11.
//!
//! Which key is in which block is supermerger's rule: `time_embed` and `label_emb` belong to the first block, `out.` to the
//! last. Lists of 12, 17, 20 and 26 numbers are those of supermerger, lora-block-weight and sd-scripts.

use std::fmt;

use lorabake_recipe::model::Family;
use lorabake_weights::Part;
use lorabake_weights::keys::net_forms::ModuleLayer;
use lorabake_weights::keys::{self, webui};

/// Beginning of the UNet's keys.
const UNET: &str = "model.diffusion_model.";

/// A block of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Block {
    /// Text encoders, VAE and what has no block.
    Base,
    /// One on the way down.
    In(usize),
    /// The one in the middle.
    Middle,
    /// One on the way up.
    Out(usize),
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base => f.write_str("BASE"),
            Self::In(number) => write!(f, "IN{number:02}"),
            Self::Middle => f.write_str("M00"),
            Self::Out(number) => write!(f, "OUT{number:02}"),
        }
    }
}

impl Block {
    /// How many blocks a family's UNet has on each side.
    pub fn per_side(family: Family) -> usize {
        if family == Family::Sdxl { 9 } else { 12 }
    }

    /// All blocks of a family, in the order of its full list of numbers.
    pub fn all(family: Family) -> Vec<Self> {
        let side = Self::per_side(family);
        let mut blocks = vec![Self::Base];
        blocks.extend((0..side).map(Self::In));
        blocks.push(Self::Middle);
        blocks.extend((0..side).map(Self::Out));
        blocks
    }

    /// The block of a key of a checkpoint.
    pub fn of_key(key: &str, family: Family) -> Self {
        match key.strip_prefix(UNET) {
            Some(rest) => Self::of_unet(&rest.replace('.', "_"), family),
            None => Self::Base,
        }
    }

    /// The block of a module of a net by its name, kohya's or the web UI's.
    pub fn of_module(module: &str, family: Family) -> Self {
        let name = canonical(module, family);
        name.strip_prefix("diffusion_model_").map_or(Self::Base, |rest| Self::of_unet(rest, family))
    }

    /// The block of a layer whose original name has underscores for dots.
    fn of_unet(name: &str, family: Family) -> Self {
        let number = |rest: &str| rest.split('_').next().and_then(|number| number.parse().ok());
        let last = Self::per_side(family) - 1;
        if let Some(rest) = name.strip_prefix("input_blocks_") {
            return number(rest).map_or(Self::Base, Self::In);
        }
        if let Some(rest) = name.strip_prefix("output_blocks_") {
            return number(rest).map_or(Self::Base, Self::Out);
        }
        let starts = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
        match name {
            _ if starts(&["middle_block_", "mid_block_"]) => Self::Middle,
            _ if starts(&["time_embed", "label_emb_", "add_embedding_"]) => Self::In(0),
            _ if starts(&["out_", "conv_norm_out"]) => Self::Out(last),
            _ => Self::Base,
        }
    }

    /// The block that is called so: BASE, IN00 to OUT11, M00 or MID.
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_uppercase();
        match name.as_str() {
            "BASE" => Some(Self::Base),
            "M00" | "MID" | "MID00" => Some(Self::Middle),
            _ => {
                if let Some(number) = name.strip_prefix("IN") {
                    return number.parse().ok().map(Self::In);
                }
                name.strip_prefix("OUT")?.parse().ok().map(Self::Out)
            }
        }
    }
}

/// One name for a module, whatever a file calls it: the web UI's, in which the UNet's layers are called as in checkpoints.
pub fn canonical(module: &str, family: Family) -> String {
    if family == Family::Sdxl
        && let Some(name) = ModuleLayer::of_kohya(module, family).and_then(|layer| layer.kohya(family))
        && let Some(rest) = name.strip_prefix("lora_unet_")
    {
        return format!("diffusion_model_{rest}");
    }
    let module = module.replacen("lora_te1_", "lora_te_", 1);
    let name = webui::module_name(&module, family == Family::Sd2);
    match name.strip_prefix("lora_unet_") {
        Some(rest) => format!("diffusion_model_{rest}"),
        None => name,
    }
}

/// Whether a module, by a name of kohya's or the web UI's, is of the UNet.
pub fn is_unet(module: &str) -> bool {
    module.starts_with("lora_unet_") || module.starts_with("diffusion_model_")
}

/// Whether a key is of the VAE.
pub fn is_vae(key: &str) -> bool {
    keys::part_of(key) == Some(Part::Vae)
}

/// Blocks of a list of 17 numbers, for SD1.x and SD2.x.
const SEVENTEEN: [Block; 17] = [
    Block::Base,
    Block::In(1),
    Block::In(2),
    Block::In(4),
    Block::In(5),
    Block::In(7),
    Block::In(8),
    Block::Middle,
    Block::Out(3),
    Block::Out(4),
    Block::Out(5),
    Block::Out(6),
    Block::Out(7),
    Block::Out(8),
    Block::Out(9),
    Block::Out(10),
    Block::Out(11),
];

/// Blocks of a list of 12 numbers, for SDXL.
const TWELVE: [Block; 12] = [
    Block::Base,
    Block::In(4),
    Block::In(5),
    Block::In(7),
    Block::In(8),
    Block::Middle,
    Block::Out(0),
    Block::Out(1),
    Block::Out(2),
    Block::Out(3),
    Block::Out(4),
    Block::Out(5),
];

/// A number for each block.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockWeights {
    named: Vec<(Block, f64)>,
    /// What blocks have that the list does not name.
    others: f64,
}

impl BlockWeights {
    /// The blocks of a list of so many numbers; blocks that it does not name have `others`.
    ///
    /// # Errors
    /// When a list of a family has not so many.
    pub fn of_list(numbers: &[f64], family: Family, others: f64) -> Result<Self, String> {
        let sdxl = family == Family::Sdxl;
        let blocks = match (numbers.len(), sdxl) {
            (26, false) | (20, true) => Block::all(family),
            (17, false) => SEVENTEEN.to_vec(),
            (12, true) => TWELVE.to_vec(),
            // A list for SD1.x, of which SDXL has the first blocks of each side.
            (26, true) => Block::all(Family::Sd1),
            (count, false) => {
                return Err(format!("{count} numbers are no list of blocks for SD1.x and SD2.x; give 17 or 26"));
            }
            (count, true) => return Err(format!("{count} numbers are no list of blocks for SDXL; give 12, 20 or 26")),
        };
        Ok(Self { named: blocks.into_iter().zip(numbers.iter().copied()).collect(), others })
    }

    /// The number of a block.
    pub fn of(&self, block: Block) -> f64 {
        let found = self.named.iter().find(|(name, _)| *name == block);
        found.map_or(self.others, |(_, number)| *number)
    }

    /// All numbers times a factor; that of blocks which are not named stays.
    pub fn scaled(mut self, factor: f64) -> Self {
        self.named.iter_mut().for_each(|(_, number)| *number *= factor);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_modules_meet_in_one_block() {
        for (key, module, family, block) in [
            (
                "model.diffusion_model.input_blocks.4.1.proj_in.weight",
                "lora_unet_down_blocks_1_attentions_0_proj_in",
                Family::Sd1,
                "IN04",
            ),
            (
                "model.diffusion_model.input_blocks.3.0.op.weight",
                "lora_unet_down_blocks_0_downsamplers_0_conv",
                Family::Sd1,
                "IN03",
            ),
            (
                "model.diffusion_model.output_blocks.5.2.conv.bias",
                "lora_unet_up_blocks_1_upsamplers_0_conv",
                Family::Sd2,
                "OUT05",
            ),
            (
                "model.diffusion_model.middle_block.0.in_layers.2.weight",
                "lora_unet_mid_block_resnets_0_conv1",
                Family::Sd1,
                "M00",
            ),
            ("model.diffusion_model.time_embed.0.weight", "lora_unet_time_embedding_linear_1", Family::Sd1, "IN00"),
            ("model.diffusion_model.out.2.weight", "lora_unet_conv_out", Family::Sd1, "OUT11"),
            ("model.diffusion_model.out.2.weight", "lora_unet_out_2", Family::Sdxl, "OUT08"),
            ("model.diffusion_model.label_emb.0.0.weight", "lora_unet_label_emb_0_0", Family::Sdxl, "IN00"),
            (
                "model.diffusion_model.input_blocks.8.1.proj_in.weight",
                "lora_unet_input_blocks_8_1_proj_in",
                Family::Sdxl,
                "IN08",
            ),
            (
                "conditioner.embedders.1.model.ln_final.weight",
                "lora_te2_text_model_encoder_layers_0_mlp_fc1",
                Family::Sdxl,
                "BASE",
            ),
            (
                "first_stage_model.decoder.conv_in.weight",
                "lora_te_text_model_encoder_layers_0_mlp_fc1",
                Family::Sd1,
                "BASE",
            ),
        ] {
            assert_eq!(Block::of_key(key, family).to_string(), block, "{key}");
            assert_eq!(Block::of_module(module, family).to_string(), block, "{module}");
            assert_eq!(Block::parse(block).map(|block| block.to_string()).as_deref(), Some(block));
        }
    }

    /// diffusers' upsamplers stand third in a block with attention, which for SDXL the first two levels have.
    #[test]
    fn a_module_has_one_name_whatever_a_file_calls_it() {
        for (one, other) in [
            ("lora_unet_up_blocks_0_upsamplers_0_conv", "lora_unet_output_blocks_2_2_conv"),
            ("lora_unet_up_blocks_1_upsamplers_0_conv", "diffusion_model_output_blocks_5_2_conv"),
            ("lora_unet_down_blocks_1_attentions_0_proj_in", "lora_unet_input_blocks_4_1_proj_in"),
        ] {
            assert_eq!(canonical(one, Family::Sdxl), canonical(other, Family::Sdxl));
        }
    }

    #[test]
    fn lists_name_the_blocks_of_their_family() {
        let numbers: Vec<f64> = (0..26).map(f64::from).collect();
        let of = |count: usize, family| BlockWeights::of_list(&numbers[..count], family, -1.0);
        let short = of(17, Family::Sd1).unwrap();
        let asked = [Block::Base, Block::In(0), Block::In(8), Block::Middle, Block::Out(2), Block::Out(11)];
        assert_eq!(asked.map(|block| short.of(block)), [0.0, -1.0, 6.0, 7.0, -1.0, 16.0]);
        let long = of(26, Family::Sdxl).unwrap();
        assert_eq!([Block::In(8), Block::Middle, Block::Out(0)].map(|block| long.of(block)), [9.0, 13.0, 14.0]);
        assert!(of(20, Family::Sd1).is_err() && of(17, Family::Sdxl).is_err());
        assert_eq!(short.scaled(2.0).of(Block::In(8)), 12.0);
    }
}
