//! Shows the LoRA to the run's onlooker, and keeps the best one that it has seen.

use anyhow::Result;
use lorabake_generate::embedding::EmbeddingTable;
use lorabake_generate::probe::Probe;
use lorabake_lora::LoraNetwork;
use lorabake_weights::file_names;

use super::Bake;
use super::failure::chain;
use crate::caught::caught;
use crate::event::Event;
use crate::onlooker::{Onlooker, Opinion, View};
use crate::output::prune;
use crate::output::save::Progress;
use crate::session::Session;
use crate::step::thread_groups;

/// The run's onlooker with what it said.
pub(super) struct Consulted<'a> {
    onlooker: &'a mut dyn Onlooker,
    /// The best one that was seen.
    best: Option<Best>,
    /// It wants the run to end, with the best one as its result.
    pub ends_run: bool,
}

/// A LoRA as it was at some epoch.
struct Best {
    network: LoraNetwork,
    progress: Progress,
}

impl<'a> Consulted<'a> {
    pub fn new(onlooker: &'a mut dyn Onlooker) -> Self {
        Self { onlooker, best: None, ends_run: false }
    }

    fn look(&mut self, session: &Session, network: &LoraNetwork, progress: Progress) -> Result<Opinion> {
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

impl Bake<'_> {
    /// Shows the LoRA to the onlooker if it wants to see it; epoch 0 is before the first step. That it cannot tell is no
    /// reason to end the run.
    pub(super) fn consult(&mut self, epoch: u64) {
        let Some(mut consulted) = self.onlooker.take() else { return };
        if consulted.onlooker.wants(epoch) {
            let progress = Progress { epoch, steps: self.step };
            let network = self.result();
            match consulted.look(&self.session, &network, progress) {
                Ok(_) if epoch == 0 => {}
                Ok(opinion) => {
                    consulted.ends_run |= opinion.ends_run;
                    if opinion.is_best {
                        consulted.best = Some(Best { network: network.into_owned(), progress });
                    }
                }
                Err(error) => self.emit(Event::Note(format!("judging: {}; training goes on", chain(&error)))),
            }
        }
        self.onlooker = Some(consulted);
    }

    /// Whether the onlooker has ended the run.
    pub(super) fn is_ended(&self) -> bool {
        self.onlooker.as_ref().is_some_and(|consulted| consulted.ends_run)
    }

    /// What the run's result is to be if the onlooker has ended it and an earlier LoRA is better than the last, which is
    /// saved as a snapshot first. Returns the epoch of the result.
    pub(super) fn go_back_to_best(&mut self, epoch: u64) -> Option<u64> {
        let consulted = self.onlooker.as_mut().filter(|consulted| consulted.ends_run)?;
        let best = consulted.best.take()?;
        if best.progress.steps == self.step {
            return Some(best.progress.epoch);
        }
        let output = &self.session.recipe.output;
        let every = prune::every_epochs(output, self.session.length.epochs);
        let is_saved = every.is_some_and(|every| epoch.is_multiple_of(every)) && epoch < self.session.length.epochs;
        if !is_saved {
            let name = file_names::at_epoch(&output.name, epoch);
            let path = output.dir.join(name);
            if let Err(error) = self.save_network(path, epoch) {
                // Without it the last LoRA must stay the result, or it would be lost.
                self.emit(Event::Note(format!("{}; the result is the last LoRA", chain(&error))));
                return None;
            }
        }
        self.shown = Some((best.network, best.progress));
        Some(best.progress.epoch)
    }
}
