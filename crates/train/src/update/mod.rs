//! Gradients of one or more batches → new values of the network.

pub mod average;
pub mod ema;
pub(crate) mod finite;
pub mod groups;
pub(crate) mod loss_scale;
pub mod max_norm;

use lorabake_adapter::Parameter;
use lorabake_optim::clip::clip_grad_norm;
use lorabake_optim::{Group, Optimizer, State, Trainable};
use lorabake_recipe::Recipe;

use crate::step::Gradients;
use crate::update::groups::Groups;
use crate::update::max_norm::{Norms, limit_norms};
use lorabake_lora::LoraNetwork;

/// The optimizer with its groups.
pub struct Updater {
    optimizer: Box<dyn Optimizer>,
    groups: Groups,
    max_norm: Option<f64>,
    max_grad_norm: f64,
    /// What is shown as rates before the first update, if the optimizer sets its own.
    first_rate: Option<f64>,
    /// Whether the optimizer keeps anything from one step to the next.
    remembers: bool,
}

/// What an update found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Updated {
    /// Norm of all gradients together before clipping. Nothing was updated if it is not finite.
    pub gradient_norm: f64,
    /// The norms of the modules, with `--scale_weight_norms`.
    pub norms: Option<Norms>,
}

impl Updater {
    /// The recipe's optimizer at its beginning; the recipe has the rank and alpha that the network has.
    pub fn new(recipe: &Recipe, groups: Groups) -> Self {
        let settings = &recipe.optim;
        Self {
            optimizer: lorabake_optim::build(&settings.optimizer, settings.learning_rate),
            groups,
            max_norm: recipe.network.max_norm,
            max_grad_norm: settings.max_grad_norm,
            first_rate: settings.optimizer.sets_own_rates().then_some(settings.learning_rate),
            remembers: remembers(lorabake_optim::build(&settings.optimizer, settings.learning_rate)),
        }
    }

    /// Whether a state after the first step has anything of the optimizer.
    pub(crate) fn remembers(&self) -> bool {
        self.remembers
    }

    /// The factor that an adaptive optimizer multiplies all rates with in the next update (D-Adaptation's d).
    pub fn d(&self) -> Option<f64> {
        self.optimizer.d()
    }

    /// Rates times d as the last update left it, by group; empty unless the optimizer is an adaptive one.
    pub fn d_times_lr(&self, factor: f64) -> Vec<(String, f64)> {
        let Some(d) = self.d() else { return Vec::new() };
        self.groups.named(self.groups.at(factor).iter().map(|group| d * group.lr))
    }

    /// The rates to show for the next update, by group: those of the schedule, unless the optimizer sets its own. Then
    /// they are those of the update before, of each group's first tensor, as sd-scripts shows them.
    pub fn shown_rates(&self, factor: f64) -> Vec<(String, f64)> {
        let groups = self.groups.at(factor);
        let planned = || groups.iter().map(|group| group.lr).collect();
        let rates = match self.first_rate {
            None => planned(),
            Some(first) => self.optimizer.own_rates(&groups).unwrap_or_else(|| vec![first; groups.len()]),
        };
        self.groups.named(rates)
    }

    /// A copy of the optimizer's state, numbered by the network's tensors, so that it outlives a change of groups.
    pub fn state(&self) -> State {
        self.optimizer.state().renumbered(|place| self.groups.in_network(place))
    }

    /// Takes over a saved state.
    ///
    /// # Errors
    /// If it belongs to another optimizer or to other modules.
    pub fn load_state(&mut self, state: State, network: &LoraNetwork) -> Result<(), lorabake_optim::Error> {
        let parameters = network.modules.iter().flat_map(|module| &module.spec.parameters);
        let shapes = parameters.map(|parameter| parameter.shape.as_slice());
        let state = state.renumbered(|index| self.groups.in_groups(index));
        self.optimizer.load_state(state, &self.groups.sorted(shapes))
    }

    /// Clips the gradients together and updates the network at the schedule's `factor`.
    ///
    /// Nothing is updated when their norm is not finite: the caller ends the run with the names of the images.
    pub fn update(&mut self, network: &mut LoraNetwork, mut gradients: Gradients, factor: f64) -> Updated {
        let gradient_norm = clip_grad_norm(&mut gradients, self.max_grad_norm);
        if !gradient_norm.is_finite() {
            return Updated { gradient_norm, norms: None };
        }
        let tensors = network.trainables().zip(&gradients);
        let trainables =
            tensors.map(|((value, Parameter { shape, .. }), grad)| Trainable { value, shape, grad: grad.as_deref() });
        self.optimizer.step(&mut self.groups.sorted(trainables), &self.groups.at(factor));
        Updated { gradient_norm, norms: self.max_norm.map(|limit| limit_norms(network, limit)) }
    }
}

/// Tries an optimizer out on one number.
fn remembers(mut optimizer: Box<dyn Optimizer>) -> bool {
    let mut value = [0.5];
    let trainable = Trainable { value: &mut value, shape: &[1], grad: Some(&[0.5]) };
    optimizer.step(&mut [trainable], &[Group { lr: 1e-3, weight_decay: None, range: 0..1 }]);
    optimizer.state() != State::default()
}

/// Adds the gradients of another batch, or of a part of it, each multiplied by its `share` of the whole.
pub fn accumulate(sum: &mut Option<Gradients>, gradients: Gradients, share: f32) {
    let scaled = |grad: Option<Vec<f32>>| grad.map(|grad| grad.iter().map(|g| g * share).collect::<Vec<_>>());
    let Some(sum) = sum else {
        *sum = Some(if share == 1.0 { gradients } else { gradients.into_iter().map(scaled).collect() });
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
