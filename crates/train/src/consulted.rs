//! The onlooker of a run, with what it said and the best LoRA that it has seen.

use anyhow::{Context, Result};
use lorabake_data::epoch_order::Length;
use lorabake_generate::embedding::EmbeddingTable;
use lorabake_generate::probe::Probe;
use lorabake_lora::LoraNetwork;
use lorabake_recipe::Recipe;

use crate::caught::caught;
use crate::onlooker::{Onlooker, Opinion, View};
use crate::output::save::Progress;
use crate::session::Session;
use crate::step::thread_groups;

/// The run's onlooker with what it said.
pub(crate) struct Consulted<'a> {
    onlooker: &'a mut dyn Onlooker,
    /// It cannot look at this run, or need not.
    pub is_idle: bool,
    /// The best one that was seen.
    pub best: Option<Best>,
    /// It wants the run to end, with the best one as its result.
    pub ends_run: bool,
}

/// A LoRA as it was at some epoch.
pub(crate) struct Best {
    pub network: LoraNetwork,
    pub progress: Progress,
}

impl<'a> Consulted<'a> {
    pub fn new(onlooker: &'a mut dyn Onlooker) -> Self {
        Self { onlooker, is_idle: false, best: None, ends_run: false }
    }

    /// Lets it prepare itself, unless it will never look.
    ///
    /// # Errors
    /// When it cannot look at this run.
    pub fn prepare(&mut self, recipe: &Recipe, length: Length) -> Result<()> {
        self.is_idle = !(1..=length.epochs).any(|epoch| self.onlooker.wants(epoch));
        if self.is_idle {
            return Ok(());
        }
        caught(|| self.onlooker.prepare(recipe)).context("--judge_every_n_epochs")
    }

    /// Whether it wants to look behind this epoch.
    pub fn wants(&self, epoch: u64) -> bool {
        !self.is_idle && self.onlooker.wants(epoch)
    }

    /// Lets it look.
    ///
    /// # Errors
    /// When it cannot tell.
    pub fn look(&mut self, session: &Session, network: &LoraNetwork, progress: Progress) -> Result<Opinion> {
        let embeddings = EmbeddingTable::new(&session.bundle);
        // What is measured goes through the UNet two by two at most.
        let threads = thread_groups(&session.recipe, &session.device, 2);
        let probe = Probe {
            bundle: &session.bundle,
            embeddings: &embeddings,
            prediction: session.objective.prediction,
            schedule: &session.objective.schedule,
            threads: &threads,
            device: &session.device,
        };
        let Progress { epoch, steps: step } = progress;
        caught(|| self.onlooker.look(&View { probe, network, epoch, step }))
    }
}
