//! Somebody who looks at a LoRA while it is trained, with the networks of the run, and may end the run.

use anyhow::Result;
use lorabake_generate::probe::Probe;
use lorabake_lora::LoraNetwork;
use lorabake_recipe::Recipe;

/// What an onlooker gets to see: the run as it stands behind an epoch.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The checkpoint's networks.
    pub probe: Probe<'a>,
    /// What the run has to show: what was trained, or its average.
    pub network: &'a LoraNetwork,
    /// The epoch that has just ended, counted from 1.
    pub epoch: u64,
    /// Optimizer steps made.
    pub step: u64,
}

/// What an onlooker thinks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Opinion {
    /// No earlier one was better.
    pub is_best: bool,
    /// The run should end here, with the best one as its result.
    pub ends_run: bool,
}

/// Looks at what is trained, in the run's own thread, between steps. It changes nothing of the run.
pub trait Onlooker: Send {
    /// Prepares itself for the run of `recipe`, whose images and options are known to be good. No network of the run is in
    /// memory yet.
    ///
    /// # Errors
    /// When it cannot look at this run, which then does not begin.
    fn prepare(&mut self, recipe: &Recipe) -> Result<()>;

    /// Whether it wants to look behind this epoch, counted from 1.
    fn wants(&self, epoch: u64) -> bool;

    /// Looks. Before the first step it is shown what the run begins with, as epoch 0; that opinion counts for nothing.
    ///
    /// # Errors
    /// When it cannot tell; the run goes on.
    fn look(&mut self, view: &View<'_>) -> Result<Opinion>;
}
