//! Shows the LoRA to the run's onlooker, and keeps the best one that it has seen.

use std::path::PathBuf;

use lorabake_weights::file_names;

use super::Bake;
use super::failure::chain;
use crate::consulted::Best;
use crate::event::Event;
use crate::output::save::Progress;

impl Bake<'_> {
    /// Shows the LoRA to the onlooker if it wants to see it; epoch 0 is before the first step. That it cannot tell is no
    /// reason to end the run.
    pub(super) fn consult(&mut self, epoch: u64) {
        let Some(mut consulted) = self.onlooker.take() else { return };
        if consulted.wants(epoch) {
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
                // Without the checkpoint alone nothing can be told later either.
                Err(error) if epoch == 0 => {
                    consulted.is_idle = true;
                    self.emit(Event::Note(format!("judging: {}; this run is not judged", chain(&error))));
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

    /// If the onlooker has ended the run: makes the best LoRA the result, with the last one as a snapshot beside it, and
    /// returns the epoch of the result. If not: keeps the best one as a snapshot beside the result.
    pub(super) fn settle_best(&mut self, epoch: u64) -> Option<u64> {
        if !self.is_ended() {
            self.save_best();
            return None;
        }
        let best = self.onlooker.as_mut().and_then(|consulted| consulted.best.take());
        let Some(best) = best.filter(|best| best.progress.steps != self.step) else { return Some(epoch) };
        // The room that was held is for what was trained last.
        if let Some(claim) = &mut self.claim {
            claim.give_room();
        }
        let path = self.epoch_file(epoch);
        if !self.saved_epochs.contains(&epoch)
            && let Err(error) = self.save_network(path, epoch)
        {
            // The last LoRA is the result then, or it would be lost.
            self.emit(Event::Note(format!("{}; the result is the last LoRA", chain(&error))));
            return Some(epoch);
        }
        let kept = best.progress.epoch;
        self.shown = Some((best.network, best.progress));
        Some(kept)
    }

    /// Saves the best LoRA that the onlooker has seen as a snapshot, unless it is the last one or there already; returns its
    /// file.
    pub(super) fn save_best(&mut self) -> Option<PathBuf> {
        let best = self.onlooker.as_mut().and_then(|consulted| consulted.best.take())?;
        let path = self.epoch_file(best.progress.epoch);
        let is_there = self.saved_epochs.contains(&best.progress.epoch) && path.is_file();
        if best.progress.steps == self.step || is_there {
            return None;
        }
        let emit = |event| self.channels.events.send(event).unwrap_or_default();
        if let Err(error) = self.saver.save(&best.network, &path, best.progress, &emit) {
            emit(Event::Note(format!("{}; the best LoRA that was judged is lost", chain(&error))));
            return None;
        }
        Some(path)
    }

    fn epoch_file(&self, epoch: u64) -> PathBuf {
        let output = &self.session.recipe.output;
        output.dir.join(file_names::at_epoch(&output.name, epoch))
    }
}
