//! What a UNet is told beside latents and timestep.

use burn::tensor::Tensor;

/// Original height and width of an image, top and left of its crop, height and width that it is to have: in pixels, in
/// this order.
pub type Sizes = [f32; 6];

/// The whole of it, for a batch.
#[derive(Debug, Clone)]
pub struct Conditioning {
    /// Text states, [B, T, D].
    pub context: Tensor<3>,
    /// What only SDXL is told.
    pub added: Option<Added>,
}

/// What SDXL is told of prompt and image as a whole.
#[derive(Debug, Clone)]
pub struct Added {
    /// The second text encoder's summary of the prompt, [B, P].
    pub pooled: Tensor<2>,
    /// Sizes of each image.
    pub sizes: Vec<Sizes>,
}

impl Conditioning {
    /// That of each sample, as batches of one.
    pub fn each(&self) -> Vec<Self> {
        let one = |index: usize| {
            let added = self.added.as_ref().map(|Added { pooled, sizes }| Added {
                pooled: pooled.clone().narrow(0, index, 1),
                sizes: vec![sizes[index]],
            });
            Self { context: self.context.clone().narrow(0, index, 1), added }
        };
        (0..self.context.dims()[0]).map(one).collect()
    }
}

impl From<Tensor<3>> for Conditioning {
    fn from(context: Tensor<3>) -> Self {
        Self { context, added: None }
    }
}

/// What text encoders make of prompts.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Their states, side by side, [B, T, D].
    pub context: Tensor<3>,
    /// The summary of each prompt, [B, P], where the family has one.
    pub pooled: Option<Tensor<2>>,
}

impl Encoded {
    /// For images of these sizes, which only a family with a summary heeds.
    pub fn with(self, sizes: Vec<Sizes>) -> Conditioning {
        let added = self.pooled.map(|pooled| Added { pooled, sizes });
        Conditioning { context: self.context, added }
    }
}
