//! The adapters of one network and their effect on its two adaptable kinds of layer.

use burn::tensor::Tensor;
use lorabake_ops::{FrozenConv, FrozenLinear};

use crate::{Lora, SiteId};

/// Adapters by layer; a layer may carry several, their effects add up.
#[derive(Debug, Clone, Default)]
pub struct Adapters {
    by_site: Vec<Vec<Lora>>,
}

impl Adapters {
    /// Adds an adapter to a layer.
    pub fn attach(&mut self, site: SiteId, lora: Lora) {
        if self.by_site.len() <= site.0 {
            self.by_site.resize_with(site.0 + 1, Vec::new);
        }
        self.by_site[site.0].push(lora);
    }

    /// The adapters of a layer.
    pub fn at(&self, site: SiteId) -> &[Lora] {
        self.by_site.get(site.0).map_or(&[], Vec::as_slice)
    }

    /// A linear layer with its adapters; `x` is [.., in].
    pub fn linear<const D: usize>(&self, site: SiteId, base: &FrozenLinear, x: Tensor<D>) -> Tensor<D> {
        let y = base.forward(x.clone());
        self.at(site).iter().fold(y, |y, lora| y + lora.linear(x.clone()))
    }

    /// A convolution with its adapters; `x` is [B, in, H, W].
    pub fn conv(&self, site: SiteId, base: &FrozenConv, x: Tensor<4>) -> Tensor<4> {
        let y = base.forward(x.clone());
        self.at(site).iter().fold(y, |y, lora| y + lora.conv(base.shape(), x.clone()))
    }
}
