//! Gradients of one or more batches → new values of the network.

use lorabake_optim::clip::clip_grad_norm;
use lorabake_optim::{AdamW, Group, Optimizer, Trainable};
use lorabake_recipe::optim::{self, Optim};
use lorabake_weights::Part;

use crate::network::Network;
use crate::step::Gradients;

/// The optimizer with its groups: the text encoder's modules, then the UNet's.
pub struct Updater {
    optimizer: Box<dyn Optimizer>,
    max_grad_norm: f64,
}

/// Learning rates of one update.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Of the text encoder's modules.
    pub text: f64,
    /// Of the UNet's modules.
    pub unet: f64,
}

impl Updater {
    /// The recipe's optimizer at its beginning.
    pub fn new(settings: &Optim) -> Self {
        let optimizer = match settings.optimizer {
            optim::Optimizer::AdamW { betas, eps, weight_decay } => AdamW::new(betas, eps, weight_decay),
        };
        Self { optimizer: Box::new(optimizer), max_grad_norm: settings.max_grad_norm }
    }

    /// Clips the gradients together and updates the network; returns their norm from before clipping.
    ///
    /// Nothing is updated when the norm is not finite: the caller ends the run with the names of the images.
    pub fn update(&mut self, network: &mut Network, mut gradients: Gradients, rates: Rates) -> f64 {
        let norm = clip_grad_norm(&mut gradients, self.max_grad_norm);
        if !norm.is_finite() {
            return norm;
        }
        let text = 2 * network.count(Part::TextEncoder);
        let group = |lr, range| Group { lr, weight_decay: None, range };
        let groups = [group(rates.text, 0..text), group(rates.unet, text..gradients.len())];
        let values = network.modules.iter_mut().flat_map(|module| [&mut module.down, &mut module.up]);
        let mut trainables: Vec<Trainable<'_>> = values
            .zip(&gradients)
            .map(|(value, grad)| Trainable { value: value.as_mut_slice(), grad: grad.as_deref() })
            .collect();
        self.optimizer.step(&mut trainables, &groups);
        norm
    }
}

/// Adds the gradients of another batch, each counting 1 / `batches`.
pub fn accumulate(sum: &mut Option<Gradients>, gradients: Gradients, batches: usize) {
    let share = 1.0 / batches as f32;
    let scaled = |grad: Option<Vec<f32>>| grad.map(|grad| grad.iter().map(|g| g * share).collect::<Vec<_>>());
    let Some(sum) = sum else {
        *sum = Some(if batches == 1 { gradients } else { gradients.into_iter().map(scaled).collect() });
        return;
    };
    for (total, grad) in sum.iter_mut().zip(gradients) {
        match (total.as_mut(), grad) {
            (Some(total), Some(grad)) => total.iter_mut().zip(grad).for_each(|(t, g)| *t += g * share),
            (None, grad) => *total = scaled(grad),
            (Some(_), None) => {}
        }
    }
}
