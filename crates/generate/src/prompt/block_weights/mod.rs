//! Block weights: how strongly a network acts in each block of the UNet, and in the text encoders (the web UI's
//! extension lora-block-weight, whose names and lists are kept).
//!
//! The weight of a module multiplies its whole change ΔW, and with it the network's strength.

mod blocks;
mod elements;
mod list;
mod named;
mod presets;

pub use blocks::{BLOCKS, Block};
pub use elements::{ElementRule, Elements};
pub use list::{List, ListValues};
pub use named::named_blocks;
pub use presets::Presets;

/// What each module's change is multiplied by. By default 1 everywhere.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockWeights {
    /// For each of [`BLOCKS`].
    pub ratios: [f64; 26],
    /// Rules for kinds of layers; a later one overrides those before it and the block's ratio.
    pub elements: Vec<ElementRule>,
}

impl Default for BlockWeights {
    fn default() -> Self {
        Self { ratios: [1.0; 26], elements: Vec::new() }
    }
}

impl BlockWeights {
    /// The ratio of a module by the web UI's name of it, as `diffusion_model_input_blocks_4_1_proj_in` or
    /// `transformer_text_model_encoder_layers_0_mlp_fc1`.
    ///
    /// 1 for what lies in no block (`time_embed`, `out`, `label_emb`), unless a rule for layers takes it.
    pub fn ratio(&self, module: &str) -> f64 {
        let block = Block::of(module);
        let mut ratio = block.map_or(1.0, |block| self.ratios[block.index()]);
        if self.elements.is_empty() {
            return ratio;
        }
        let key = format!("{module}{}", block.map_or("", Block::name));
        for rule in &self.elements {
            if rule.takes(&key) {
                ratio = rule.ratio;
            }
        }
        ratio
    }

    /// Whether nothing is changed anywhere.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_for_layers_override_blocks_and_one_another() {
        let elements = Elements::read("A:IN04:attn:0.5\n:attn2:2,BASE::3\n\nB:NOT IN00-OUT11:NOT mlp:4");
        let mut weights = BlockWeights { ratios: [0.1; 26], elements: elements.get("A").unwrap() };
        for (module, ratio) in [
            ("diffusion_model_input_blocks_4_1_transformer_blocks_0_attn1_to_q", 0.5),
            ("diffusion_model_input_blocks_4_1_transformer_blocks_0_attn2_to_q", 2.0),
            ("diffusion_model_input_blocks_4_1_proj_in", 0.1),
            ("diffusion_model_output_blocks_11_1_transformer_blocks_0_attn2_to_q", 2.0),
            ("transformer_text_model_encoder_layers_0_mlp_fc1", 3.0),
            ("diffusion_model_time_embed_0", 1.0),
        ] {
            assert_eq!(weights.ratio(module), ratio, "{module}");
        }
        weights.elements = elements.get("B").unwrap();
        assert_eq!(weights.ratio("transformer_text_model_encoder_layers_0_mlp_fc1"), 0.1);
        assert_eq!(weights.ratio("transformer_text_model_encoder_layers_0_self_attn_q_proj"), 4.0);
        assert_eq!(weights.ratio("diffusion_model_middle_block_1_proj_in"), 0.1);
    }
}
