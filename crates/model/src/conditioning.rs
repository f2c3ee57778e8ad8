//! What a UNet is given beside latents and timestep, named as in diffusers.

use burn::tensor::Tensor;

/// The sizes that SDXL is given of an image (diffusers' `add_time_ids`): original height and width, top and left of the
/// crop, height and width that the image is to have. In pixels, in this order.
pub type TimeIds = [f32; 6];

/// What the UNet is given of prompts and images, for a batch.
#[derive(Debug, Clone)]
pub struct Conditioning {
    /// Hidden states of the text encoders, [B, T, D].
    pub context: Tensor<3>,
    /// What only SDXL is given.
    pub added: Option<AddedConditioning>,
}

/// What SDXL is given of prompts and images as a whole (diffusers' `added_cond_kwargs`).
#[derive(Debug, Clone)]
pub struct AddedConditioning {
    /// The second text encoder's pooled output, [B, P].
    pub pooled: Tensor<2>,
    /// The sizes of each image.
    pub time_ids: Vec<TimeIds>,
}

impl Conditioning {
    /// The conditioning of each sample, as batches of one.
    pub fn each(&self) -> Vec<Self> {
        let mut samples = Vec::new();
        for index in 0..self.context.dims()[0] {
            let context = self.context.clone().narrow(0, index, 1);
            let added = self.added.as_ref().map(|added| added.sample(index));
            samples.push(Self { context, added });
        }
        samples
    }

    /// That of a batch of one, for a batch of `count`.
    ///
    /// # Panics
    /// If it is not of one.
    pub fn repeat(&self, count: usize) -> Self {
        let [batch, tokens, width] = self.context.dims();
        assert_eq!(batch, 1, "one prompt is repeated");
        let context = self.context.clone().expand([count, tokens, width]);
        let added = self.added.as_ref().map(|added| {
            let [_, pooled] = added.pooled.dims();
            AddedConditioning {
                pooled: added.pooled.clone().expand([count, pooled]),
                time_ids: vec![added.time_ids[0]; count],
            }
        });
        Self { context, added }
    }
}

impl AddedConditioning {
    /// What belongs to sample `index`, as a batch of one.
    fn sample(&self, index: usize) -> Self {
        Self { pooled: self.pooled.clone().narrow(0, index, 1), time_ids: vec![self.time_ids[index]] }
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
    /// The hidden states of all text encoders, side by side, [B, T, D].
    pub context: Tensor<3>,
    /// The pooled output, [B, P], where the family has one.
    pub pooled: Option<Tensor<2>>,
}

impl Encoded {
    /// The conditioning for images of these sizes, which only a family with a pooled output heeds.
    pub fn with(self, time_ids: Vec<TimeIds>) -> Conditioning {
        let added = self.pooled.map(|pooled| AddedConditioning { pooled, time_ids });
        Conditioning { context: self.context, added }
    }
}
