//! The adapters of one network and their effect on its two adaptable kinds of layer.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::tensor::Tensor;
use lorabake_ops::{FrozenConv, FrozenLinear, wrapped};

use crate::dense::{dense_conv, dense_linear, masked};
use crate::dora::Dora;
use crate::dropout::{Masks, ModuleDropout};
use crate::hypernetwork::{HyperAdapter, Hypernetwork, Sources};
use crate::kind::{AdapterTensors, LayerPass, LowRank};
use crate::lora::Lora;
use crate::norm::{self, NormAdapter, NormChange};
use crate::site::{NormId, SiteId};

/// One adapter, ready for a forward pass.
#[derive(Debug, Clone)]
pub struct Adapter {
    pub(crate) tensors: Arc<dyn AdapterTensors>,
    pub(crate) dora: Option<Dora>,
    pub(crate) masks: Option<Masks>,
    /// What its effect is multiplied with at generation.
    pub(crate) strength: f64,
    /// Number of the net that it is of, where several are attached.
    pub(crate) net: usize,
}

impl From<Lora> for Adapter {
    fn from(lora: Lora) -> Self {
        Self { tensors: Arc::new(lora), dora: None, masks: None, strength: 1.0, net: 0 }
    }
}

/// Adapters by layer; a layer may carry several, their effects add up.
#[derive(Debug, Clone, Default)]
pub struct Adapters {
    by_site: Vec<Vec<Adapter>>,
    norms: BTreeMap<NormId, Vec<NormAdapter>>,
    hypernetworks: Vec<HyperAdapter>,
}

impl Adapters {
    /// Adds an adapter to a layer.
    pub fn attach(&mut self, site: SiteId, adapter: impl Into<Adapter>) {
        if self.by_site.len() <= site.0 {
            self.by_site.resize_with(site.0 + 1, Vec::new);
        }
        self.by_site[site.0].push(adapter.into());
    }

    /// The adapters of a layer.
    pub fn at(&self, site: SiteId) -> &[Adapter] {
        self.by_site.get(site.0).map_or(&[], Vec::as_slice)
    }

    /// The same with the strength of each adapter times the factor of its net, by number; 1 for what has no factor. What
    /// is multiplied with 0 is left out.
    pub fn with_factors(&self, factors: &[f64]) -> Self {
        let mut by_site = Vec::with_capacity(self.by_site.len());
        for adapters in &self.by_site {
            let mut scaled = Vec::with_capacity(adapters.len());
            for adapter in adapters {
                let factor = factors.get(adapter.net).copied().unwrap_or(1.0);
                if factor != 0.0 {
                    scaled.push(Adapter { strength: adapter.strength * factor, ..adapter.clone() });
                }
            }
            by_site.push(scaled);
        }
        let mut norms: BTreeMap<NormId, Vec<NormAdapter>> = BTreeMap::new();
        for (norm, adapters) in &self.norms {
            for adapter in adapters {
                let factor = factors.get(adapter.net).copied().unwrap_or(1.0);
                if factor != 0.0 {
                    let scaled = NormAdapter { strength: adapter.strength * factor, ..adapter.clone() };
                    norms.entry(*norm).or_default().push(scaled);
                }
            }
        }
        let mut hypernetworks = Vec::new();
        for adapter in &self.hypernetworks {
            let factor = factors.get(adapter.net).copied().unwrap_or(1.0);
            if factor != 0.0 {
                hypernetworks.push(HyperAdapter { strength: adapter.strength * factor, ..adapter.clone() });
            }
        }
        Self { by_site, norms, hypernetworks }
    }

    /// Adds a hypernetwork behind those that are here; `net` is its number for [`Self::with_factors`].
    pub fn attach_hypernetwork(&mut self, network: Arc<Hypernetwork>, strength: f64, net: usize) {
        if strength != 0.0 {
            self.hypernetworks.push(HyperAdapter { network, strength, net });
        }
    }

    /// What attention makes its keys and values of: x itself, changed by each hypernetwork in turn.
    ///
    /// # Shapes
    /// - x: [B, T, D]
    /// - each source: [B, T, D]
    pub fn sources(&self, x: Tensor<3>) -> Sources {
        let mut sources = Sources { keys: x.clone(), values: x };
        for adapter in &self.hypernetworks {
            sources = adapter.change(sources);
        }
        sources
    }

    /// Adds a change of a norm at a strength; `net` is the number of the net that it is of, for [`Self::with_factors`].
    pub fn attach_norm(&mut self, norm: NormId, change: NormChange, strength: f64, net: usize) {
        if strength != 0.0 {
            self.norms.entry(norm).or_default().push(NormAdapter { change, strength, net });
        }
    }

    /// What is added to a norm; `None` if nothing is.
    pub fn norm(&self, norm: NormId) -> Option<NormChange> {
        norm::sum(self.norms.get(&norm)?)
    }

    /// A linear layer with its adapters.
    ///
    /// # Shapes
    /// - x: [B, .., in]
    /// - output: [B, .., out]
    pub fn linear<const D: usize>(&self, site: SiteId, base: &FrozenLinear, x: Tensor<D>) -> Tensor<D> {
        let adapters = self.at(site);
        if let [only] = adapters
            && let Some(LowRank { down, up, scale }) = only.plain_low_rank()
        {
            return base.forward_low_rank(x, down, up, scale * only.strength);
        }
        let y = base.forward(x.clone());
        if adapters.is_empty() {
            return y;
        }
        let shape = y.dims();
        let batch = shape[0];
        let rows = shape[..D - 1].iter().product::<usize>();
        let x = x.reshape([rows, base.inputs()]);
        let own = kept_for(adapters, &y).map(|y| y.reshape([rows, base.outputs()]));
        let mut sum = y;
        for adapter in adapters {
            let dropped = match adapter.draw(batch) {
                ModuleDropout::Off => None,
                ModuleDropout::Masked(dropped) => Some(dropped),
                ModuleDropout::WholeModule => continue,
            };
            let pass = LayerPass { base, x: x.clone(), y: own.clone(), dropped };
            sum = sum + adapter.linear(pass).reshape(shape);
        }
        sum
    }

    /// A convolution with its adapters.
    ///
    /// # Shapes
    /// - x: [B, in, H, W]
    /// - output: [B, out, H', W']
    pub fn conv(&self, site: SiteId, base: &FrozenConv, x: Tensor<4>) -> Tensor<4> {
        if base.wraps() {
            // With the other side around it, x is the same for the layer and for what bypasses it.
            return self.conv(site, &base.without_padding(), wrapped(x, base.shape().padding));
        }
        let adapters = self.at(site);
        let [batch, ..] = x.dims();
        let y = base.forward(x.clone());
        let own = kept_for(adapters, &y);
        let mut sum = y;
        for adapter in adapters {
            let dropped = match adapter.draw(batch) {
                ModuleDropout::Off => None,
                ModuleDropout::Masked(dropped) => Some(dropped),
                ModuleDropout::WholeModule => continue,
            };
            let pass = LayerPass { base, x: x.clone(), y: own.clone(), dropped };
            sum = sum + adapter.conv(pass);
        }
        sum
    }
}

/// The layer's own output, if an adapter reads it. A second owner would keep sums from being made in place.
fn kept_for<const D: usize>(adapters: &[Adapter], y: &Tensor<D>) -> Option<Tensor<D>> {
    let is_read = adapters.iter().any(|adapter| adapter.tensors.reads_output());
    if is_read { Some(y.clone()) } else { None }
}

impl Adapter {
    /// ΔW, [out, in·k·k], before any weight decomposition; `None` for (IA)^3.
    ///
    /// # Shapes
    /// - output: [out, in·k·k]
    pub fn change(&self) -> Option<Tensor<2>> {
        self.tensors.delta()
    }

    /// The factors of an adapter that is nothing but a product of low rank in this pass.
    fn plain_low_rank(&self) -> Option<LowRank<'_>> {
        if self.dora.is_some() || self.masks.is_some() {
            return None;
        }
        self.tensors.low_rank()
    }

    /// Dropout of a pass over `batch` samples.
    fn draw(&self, batch: usize) -> ModuleDropout {
        self.masks.as_ref().map_or(ModuleDropout::Off, |masks| masks.draw(batch))
    }

    /// What it adds to the output of a linear layer.
    fn linear(&self, mut pass: LayerPass<'_, FrozenLinear, 2>) -> Tensor<2> {
        let Some(dora) = &self.dora else { return self.at_strength(self.tensors.linear(pass)) };
        let base = pass.base;
        let delta = masked(self.tensors.whole_delta(), pass.output_mask(base.outputs()));
        self.at_strength(dense_linear(&dora.delta(base.weight(), delta, base.inputs()), pass.x))
    }

    /// What it adds to the output of a convolution.
    fn conv(&self, mut pass: LayerPass<'_, FrozenConv, 4>) -> Tensor<4> {
        let Some(dora) = &self.dora else { return self.at_strength(self.tensors.conv(pass)) };
        let base = pass.base;
        let shape = base.shape();
        let delta = masked(self.tensors.whole_delta(), pass.output_mask(shape.outputs));
        self.at_strength(dense_conv(&dora.delta(base.weight(), delta, shape.inputs), shape, pass.x))
    }

    fn at_strength<const D: usize>(&self, change: Tensor<D>) -> Tensor<D> {
        if self.strength == 1.0 { change } else { change.mul_scalar(self.strength) }
    }
}
