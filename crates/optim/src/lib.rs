//! Gradients in, new values out: optimizers, gradient clipping and learning-rate schedules.
//!
//! Everything here works on host `f32` slices over the flat list of trainables, not on tensors of an engine: Prodigy
//! and D-Adaptation need statistics over all parameters at once, adapter gradients are small, and the state that a
//! resumed run needs is then plain numbers. This crate reads no file and knows no parameter's name.

pub mod adafactor;
pub mod adamw;
pub mod adamw_8bit;
mod adaptive;
mod blockwise;
pub mod clip;
pub mod dadapt_adagrad;
pub mod dadapt_adam;
pub mod dadapt_adam_preprint;
pub mod dadapt_adan;
pub mod dadapt_lion;
pub mod dadapt_sgd;
pub mod lion;
pub mod lion_8bit;
pub mod lr;
mod memory;
pub mod prodigy;
pub mod sgd;
pub mod sgd_8bit;
pub mod state;

use std::ops::Range;

use lorabake_recipe::optim::optimizer as settings;

pub use blockwise::{Code, signed_map, unsigned_map};
pub use state::State;

/// One trainable tensor at the moment of an update.
pub struct Trainable<'a> {
    /// The values, updated in place, row-major.
    pub value: &'a mut [f32],
    /// The sides of the tensor; their product is the length of `value`. Only AdaFactor looks at them.
    pub shape: &'a [usize],
    /// The gradient, as long as `value`; `None` = no gradient this step, and the optimizer passes it over, state and
    /// all, as torch does.
    pub grad: Option<&'a [f32]>,
}

/// Consecutive trainables that share settings (torch's `param_groups`).
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Learning rate of this update, the schedule already applied.
    pub lr: f64,
    /// Weight decay of this group; `None` = the optimizer's own.
    pub weight_decay: Option<f64>,
    /// Indices into the list of trainables. Groups do not overlap; a trainable in no group stays as it is.
    pub range: Range<usize>,
}

impl Group {
    /// Weight decay of this group, where `own` is the optimizer's.
    pub(crate) fn weight_decay_or(&self, own: f64) -> f64 {
        self.weight_decay.unwrap_or(own)
    }
}

/// What turns gradients into new values.
pub trait Optimizer {
    /// Updates the trainables in place.
    ///
    /// The list must have the same tensors in the same order at each call.
    ///
    /// # Panics
    /// If the lengths of a value, its gradient and its state differ, or a group's range leaves the list.
    fn step(&mut self, params: &mut [Trainable], groups: &[Group]);

    /// The factor that an adaptive optimizer multiplies every learning rate with in the next step; `None` if it is not
    /// of that kind.
    fn d(&self) -> Option<f64> {
        None
    }

    /// The rates of the last step, one per group, of an optimizer that ignores [`Group::lr`] and sets its own: that of
    /// each group's first trainable. `None` if it follows the groups, or before its first step.
    fn own_rates(&self, _groups: &[Group]) -> Option<Vec<f64>> {
        None
    }

    /// A copy of everything that the next step depends on, for saving.
    fn state(&self) -> State;

    /// Takes over a saved state; `shapes` are the sides of the trainables, in order.
    ///
    /// # Errors
    /// [`Error`] if the state belongs to another optimizer or to other trainables; the optimizer is then unchanged.
    fn load_state(&mut self, state: State, shapes: &[&[usize]]) -> Result<(), Error>;
}

/// The optimizer of a recipe at its beginning; `learning_rate` is the recipe's general one. A new optimizer is a file, its
/// `mod` line above and its row here.
pub fn build(optimizer: &settings::Optimizer, learning_rate: f64) -> Box<dyn Optimizer> {
    use settings::Optimizer as Named;
    match optimizer {
        Named::AdamW(own) => Box::new(adamw::AdamW::new(own)),
        Named::AdamW8bit(own) => Box::new(adamw_8bit::AdamW8bit::new(own)),
        Named::Lion(own) => Box::new(lion::Lion::new(own, learning_rate)),
        Named::Lion8bit(own) => Box::new(lion_8bit::Lion8bit::new(own)),
        Named::SGDNesterov(own) => Box::new(sgd::SGDNesterov::new(own)),
        Named::SGDNesterov8bit(own) => Box::new(sgd_8bit::SGDNesterov8bit::new(own)),
        Named::DAdaptAdamPreprint(own) => Box::new(dadapt_adam_preprint::DAdaptAdamPreprint::new(own)),
        Named::DAdaptAdam(own) => Box::new(dadapt_adam::DAdaptAdam::new(own)),
        Named::DAdaptAdaGrad(own) => Box::new(dadapt_adagrad::DAdaptAdaGrad::new(own)),
        Named::DAdaptAdan(own) => Box::new(dadapt_adan::DAdaptAdan::new(own)),
        Named::DAdaptSGD(own) => Box::new(dadapt_sgd::DAdaptSGD::new(own)),
        Named::DAdaptLion(own) => Box::new(dadapt_lion::DAdaptLion::new(own)),
        Named::AdaFactor(own) => Box::new(adafactor::Adafactor::new(own)),
        Named::Prodigy(own) => Box::new(prodigy::Prodigy::new(own)),
    }
}

/// What can be wrong with the settings or with a saved state.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// An entry that every state of this optimizer has is absent.
    #[error("the saved optimizer state has no \"{0}\": resume with the optimizer it was saved by")]
    StateMissing(String),
    /// An entry has no counterpart in this run.
    #[error("the saved optimizer state has \"{0}\", unknown here: resume with the settings it was saved with")]
    StateUnknown(String),
    /// A tensor of the state is not as long as its trainable.
    #[error(
        "optimizer state \"{name}\" has {found} values, not {expected}: resume with the network_dim it was saved with"
    )]
    StateSize {
        /// Entry of the state.
        name: String,
        /// Length found.
        found: usize,
        /// Length of the trainable.
        expected: usize,
    },
    /// A step count that is no whole number.
    #[error("\"{name}\" of the saved optimizer state is {value}, not a number of steps: the file is damaged")]
    StateStep {
        /// Entry of the state.
        name: String,
        /// Value found.
        value: f64,
    },
    /// `constant` with a warmup.
    #[error("lr_scheduler constant has no warmup: set lr_warmup_steps to 0 or use constant_with_warmup")]
    ConstantWarmup,
    /// `polynomial` that would have to rise.
    #[error("lr_scheduler polynomial ends at {end}, so learning_rate must be larger than that, not {lr}")]
    PolynomialEnd {
        /// Rate at the end.
        end: f64,
        /// The `learning_rate` given.
        lr: f64,
    },
}
