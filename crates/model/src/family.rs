//! What the families of Stable Diffusion differ in, beside the sizes that their files tell.

use lorabake_weights::{Family, Part};

use crate::tokenizer::{Cleaning, EOS};

/// How one text encoder is read and used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextModel {
    /// The part of a checkpoint that has its tensors.
    pub part: Part,
    /// Layers that are used; files of SD2.x have one more.
    pub layers: usize,
    /// The activation between the two linear layers of an MLP.
    pub activation: Activation,
    /// The hidden states that go to the UNet.
    pub states: States,
    /// Whether there is a pooled output, which goes to the UNet too.
    pub pools: bool,
    /// The id that fills chunks up behind the first [`EOS`].
    pub padding: u32,
    /// How the web UI cleans its texts; sd-scripts takes [`Cleaning::Clip`] for all.
    pub cleaning: Cleaning,
}

/// The activation that a text encoder was trained with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x · sigmoid(1.702 x)
    QuickGelu,
    /// x · Φ(x)
    Gelu,
}

/// Hidden states that the UNet attends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum States {
    /// After the layer that `clip_skip` names, through the final layer norm.
    Normed,
    /// After the last layer but one, as they are; `clip_skip` has no say.
    Penultimate,
}

const CLIP_L: TextModel = TextModel {
    part: Part::TextEncoder,
    layers: usize::MAX,
    activation: Activation::QuickGelu,
    states: States::Normed,
    pools: false,
    padding: EOS,
    cleaning: Cleaning::Clip,
};

/// The penultimate layer of OpenCLIP-H counts as its last one; its file has 24.
const OPEN_CLIP_H: TextModel =
    TextModel { layers: 23, activation: Activation::Gelu, padding: 0, cleaning: Cleaning::OpenClip, ..CLIP_L };

const OPEN_CLIP_BIG_G: TextModel = TextModel {
    part: Part::TextEncoder2,
    activation: Activation::Gelu,
    states: States::Penultimate,
    pools: true,
    padding: 0,
    cleaning: Cleaning::OpenClip,
    ..CLIP_L
};

/// The text encoders of a family, in the order in which their states are joined.
pub fn text_models(family: Family) -> &'static [TextModel] {
    match family {
        Family::Sd1 => &[CLIP_L],
        Family::Sd2 => &[OPEN_CLIP_H],
        Family::Sdxl => &[TextModel { states: States::Penultimate, ..CLIP_L }, OPEN_CLIP_BIG_G],
    }
}

/// Latents are multiplied by this between VAE and UNet.
pub fn latent_scale(family: Family) -> f64 {
    if family == Family::Sdxl { 0.13025 } else { 0.18215 }
}

/// The id that fills up chunks, for each text encoder of a family.
pub fn paddings(family: Family) -> Vec<u32> {
    text_models(family).iter().map(|model| model.padding).collect()
}
