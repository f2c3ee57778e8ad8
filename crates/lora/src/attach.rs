//! Modules as adapters of a forward pass: without tape at a strength, or as leaves of the tape.

use burn::tensor::{Device, Tensor};
use lorabake_adapter::{AdapterDraw, Adapters};
use lorabake_weights::Part;

use crate::adapter_draws::AdapterDraws;
use crate::network::LoraNetwork;

/// The adapters of all networks, ready for a forward pass.
#[derive(Debug, Clone, Default)]
pub struct Attached {
    /// Adapters of the text encoders, in their order.
    pub texts: [Adapters; 2],
    /// Adapters of the UNet.
    pub unet: Adapters,
    /// Number of nets in it, see [`crate::Net::attach`].
    pub(crate) nets: usize,
}

impl Attached {
    /// The same with the strength of each net, by number, times a factor, in the text encoders and the UNet alike: for
    /// strengths that change over the steps. It costs next to nothing; nets without a factor stay as they are.
    pub fn with_factors(&self, factors: &[f64]) -> Self {
        let [first, second] = &self.texts;
        Self {
            texts: [first.with_factors(factors), second.with_factors(factors)],
            unet: self.unet.with_factors(factors),
            nets: self.nets,
        }
    }

    pub(crate) fn part_mut(&mut self, part: Part) -> &mut Adapters {
        match part {
            Part::TextEncoder => &mut self.texts[0],
            Part::TextEncoder2 => &mut self.texts[1],
            Part::Unet | Part::Vae => &mut self.unet,
        }
    }
}

/// Strength of a LoRA in each network.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Strength {
    /// In the text encoder.
    pub text: f64,
    /// In the UNet.
    pub unet: f64,
}

impl Strength {
    /// As trained.
    pub const FULL: Self = Self { text: 1.0, unet: 1.0 };
}

/// Adapters on the tape.
#[derive(Debug, Clone)]
pub struct Tracked {
    /// The adapters.
    pub attached: Attached,
    /// Every trainable tensor as a leaf of the tape, in the order of [`LoraNetwork::trainables`]; `None` for one that is
    /// not trained in this pass.
    pub leaves: Vec<Option<Tensor<2>>>,
}

impl LoraNetwork {
    /// Adds the modules as adapters without tape, at `strength`.
    pub fn attach(&self, strength: Strength, device: &Device, to: &mut Attached) {
        for module in &self.modules {
            let factor = if module.part == Part::Unet { strength.unet } else { strength.text };
            if factor != 0.0 {
                let adapter = module.spec.adapter(module.tensors(device), factor, &AdapterDraw::default());
                to.part_mut(module.part).attach(module.spec.site, adapter);
            }
        }
    }

    /// The modules as adapters without tape, under the same draws as [`Self::track`].
    pub fn untracked(&self, device: &Device, draws: &AdapterDraws) -> Attached {
        let mut attached = Attached::default();
        for (index, module) in self.modules.iter().enumerate() {
            let adapter = module.spec.adapter(module.tensors(device), 1.0, &draws.of(index, module));
            attached.part_mut(module.part).attach(module.spec.site, adapter);
        }
        attached
    }

    /// The modules as adapters on the tape. What `draws` leaves out has no leaf.
    pub fn track(&self, device: &Device, draws: &AdapterDraws) -> Tracked {
        let mut attached = Attached::default();
        let mut leaves = Vec::new();
        for (index, module) in self.modules.iter().enumerate() {
            let draw = draws.of(index, module);
            let mut values = module.tensors(device);
            for (parameter, value) in values.iter_mut().enumerate() {
                let mut leaf = value.clone().autodiff();
                let trains = module.spec.trains(parameter, &draw);
                if trains {
                    leaf = leaf.require_grad();
                }
                *value = leaf.clone();
                leaves.push(trains.then_some(leaf));
            }
            attached.part_mut(module.part).attach(module.spec.site, module.spec.adapter(values, 1.0, &draw));
        }
        Tracked { attached, leaves }
    }
}
