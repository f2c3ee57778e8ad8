//! Gradients of one or more batches → new values of the network.

use lorabake_adapter::Parameter;
use lorabake_optim::clip::clip_grad_norm;
use lorabake_optim::{Group, Optimizer, State, Trainable};
use lorabake_recipe::optim::Optim;
use lorabake_weights::Part;

use crate::network::Network;
use crate::step::Gradients;

/// The optimizer with its groups: the text encoder's modules, then the UNet's.
pub struct Updater {
    optimizer: Box<dyn Optimizer>,
    max_grad_norm: f64,
    /// What is shown as rates before the first update, if the optimizer sets its own.
    first_rate: Option<f64>,
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
        Self {
            optimizer: lorabake_optim::build(&settings.optimizer, settings.learning_rate),
            max_grad_norm: settings.max_grad_norm,
            first_rate: settings.optimizer.sets_own_rates().then_some(settings.learning_rate),
        }
    }

    /// The factor that an adaptive optimizer multiplies all rates with in the next update (D-Adaptation's d).
    pub fn d(&self) -> Option<f64> {
        self.optimizer.d()
    }

    /// The rates to show for the next update: `planned`, unless the optimizer sets its own. Then they are those of the
    /// update before, of each group's first tensor, as sd-scripts shows them.
    pub fn shown_rates(&self, network: &Network, planned: Rates) -> Rates {
        let Some(first) = self.first_rate else { return planned };
        let groups = groups(network, planned);
        let shown = |group: &Group| {
            let own = self.optimizer.own_rates(std::slice::from_ref(group));
            own.map_or(first, |rates| rates[0])
        };
        Rates { text: shown(&groups[0]), unet: shown(&groups[1]) }
    }

    /// A copy of the optimizer's state.
    pub fn state(&self) -> State {
        self.optimizer.state()
    }

    /// Takes over a saved state.
    ///
    /// # Errors
    /// If it belongs to another optimizer or to other modules.
    pub fn load_state(&mut self, state: State, network: &Network) -> Result<(), lorabake_optim::Error> {
        let parameters = network.modules.iter().flat_map(|module| &module.plan.parameters);
        let shapes = parameters.map(|parameter| parameter.shape.as_slice());
        self.optimizer.load_state(state, &shapes.collect::<Vec<_>>())
    }

    /// Clips the gradients together and updates the network; returns their norm from before clipping.
    ///
    /// Nothing is updated when the norm is not finite: the caller ends the run with the names of the images.
    pub fn update(&mut self, network: &mut Network, mut gradients: Gradients, rates: Rates) -> f64 {
        let norm = clip_grad_norm(&mut gradients, self.max_grad_norm);
        if !norm.is_finite() {
            return norm;
        }
        let groups = groups(network, rates);
        let mut trainables: Vec<Trainable<'_>> = network
            .trainables()
            .zip(&gradients)
            .map(|((value, Parameter { shape, .. }), grad)| Trainable { value, shape, grad: grad.as_deref() })
            .collect();
        self.optimizer.step(&mut trainables, &groups);
        norm
    }
}

/// The text encoder's tensors, then the UNet's; either may be empty.
fn groups(network: &Network, rates: Rates) -> [Group; 2] {
    let tensors = |part| network.tensor_count(part);
    let text = tensors(Part::TextEncoder);
    let group = |lr, range| Group { lr, weight_decay: None, range };
    [group(rates.text, 0..text), group(rates.unet, text..text + tensors(Part::Unet))]
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
