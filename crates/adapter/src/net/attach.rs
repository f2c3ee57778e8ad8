//! Nets one after another on a layer: each is computed on the weight as those before it have made it.

use std::num::NonZeroUsize;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use super::dense::Dense;
use super::{NetChange, NetModule};
use crate::adapters::{Adapter, Adapters};
use crate::ia3::Ia3Kind;
use crate::kind::AdapterTensors;
use crate::method::Method;
use crate::site::{SiteId, Sites};

/// How a net's module is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NetUse {
    /// What its change is multiplied with.
    pub strength: f64,
    /// Ranks that are used of a plain LoRA, the first ones; alpha is still divided by all.
    pub ranks: Option<NonZeroUsize>,
    /// Number of the net, for [`Adapters::with_factors`].
    pub net: usize,
}

/// What all adapters of a layer together add to it.
#[derive(Debug, Clone)]
pub struct LayerChange {
    /// ΔW, [out, in·k·k].
    pub weight: Tensor<2>,
    /// What is added to the bias, `[out]`; `None` where nothing is.
    pub bias: Option<Vec<f32>>,
}

impl Adapters {
    /// Adds a net's module to a layer, behind what the layer has.
    ///
    /// A change that depends on the weight is computed here, with the nets before it at their full strengths.
    ///
    /// # Shapes
    /// - the change, where it is formed: [out, in·k·k]
    pub fn attach_net(&mut self, sites: &Sites, site: SiteId, module: &NetModule, how: NetUse, device: &Device) {
        if how.strength == 0.0 {
            return;
        }
        let ranks = how.ranks.map(NonZeroUsize::get);
        let tensors: Option<Arc<dyn AdapterTensors>> = match &module.change {
            None => None,
            Some(NetChange::Trained(trained)) if module.acts_by_itself(self.at(site).is_empty()) => {
                Some(trained.tensors(ranks, device))
            }
            Some(_) => {
                let weight = self.weight_of(sites, site, device);
                Some(Arc::new(Dense { weight: module.change(&weight, ranks), bias: None }))
            }
        };
        if let Some(tensors) = tensors {
            self.attach(site, as_used(tensors, how));
        }
        if let Some(bias) = &module.bias {
            self.attach(site, as_used(Arc::new(Dense { weight: None, bias: Some(bias.clone()) }), how));
        }
    }

    /// What all adapters of a layer together add to its weight and bias, as pictures have it.
    ///
    /// # Shapes
    /// - weight: [out, in·k·k]
    pub fn change(&self, sites: &Sites, site: SiteId, device: &Device) -> LayerChange {
        let base = frozen(sites, site, device);
        let inputs = sites.get(site).layer.inputs();
        let mut sum = Tensor::zeros(base.dims(), device);
        let mut bias: Option<Vec<f32>> = None;
        for adapter in self.at(site) {
            let weight = base.clone() + sum.clone();
            let change = adapter.tensors.change_of(&weight);
            let change = match (&adapter.dora, change) {
                (Some(dora), Some(change)) => Some(dora.delta_of(weight, change, inputs)),
                (_, change) => change,
            };
            if let Some(change) = change {
                sum = sum + change.mul_scalar(adapter.strength);
            }
            if let Some(own) = adapter.tensors.bias() {
                let all = bias.get_or_insert_with(|| vec![0.0; own.len()]);
                all.iter_mut().zip(own).for_each(|(all, own)| *all += own * adapter.strength as f32);
            }
        }
        LayerChange { weight: sum, bias }
    }

    /// The weight of a layer with the changes of all its adapters.
    fn weight_of(&self, sites: &Sites, site: SiteId, device: &Device) -> Tensor<2> {
        let base = frozen(sites, site, device);
        if self.at(site).is_empty() { base } else { base + self.change(sites, site, device).weight }
    }
}

impl NetModule {
    /// Whether its kind has a way of its own through the layer: small matrices that no other weight is needed for. `first`
    /// is whether the layer has no adapter yet; (IA)³ scales the output of the frozen layer.
    fn acts_by_itself(&self, first: bool) -> bool {
        let Some(NetChange::Trained(trained)) = &self.change else { return false };
        let scales_layer = matches!(trained.method, Method::Ia3(Ia3Kind { .. }));
        self.more_inputs == 0 && self.dora.is_none() && (first || !scales_layer)
    }
}

fn as_used(tensors: Arc<dyn AdapterTensors>, how: NetUse) -> Adapter {
    Adapter { tensors, dora: None, masks: None, strength: how.strength, net: how.net }
}

/// A layer's frozen weight in f32.
fn frozen(sites: &Sites, site: SiteId, device: &Device) -> Tensor<2> {
    let weight = sites.weight(site);
    Tensor::from_data(TensorData::new(weight.to_f32(), [weight.rows(), weight.columns()]), device)
}
