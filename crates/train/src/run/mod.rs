//! The loop.

mod card;
mod consult;
mod failure;
mod optimize;
mod rescue;
pub(crate) mod resume;
mod save;
mod step_inputs;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use anyhow::{Result, bail};
use lorabake_device::ThreadGroups;
use lorabake_lora::LoraNetwork;
use lorabake_recipe::Parsed;
use lorabake_recipe::seed::BatchId;
use lorabake_weights::Part;

use crate::caught::caught;
use crate::consulted::Consulted;
use crate::distributed::ProcessGroup;
use crate::estimate::{block_plan, disk};
use crate::event::{self, Command, Event, Outcome};
use crate::onlooker::Onlooker;
use crate::output::claim::Claim;
use crate::output::save::{Progress, Saver};
use crate::output::state;
use crate::precision::training_dtypes;
use crate::session::{Prepared, Session, prepare};
use crate::step::thread_groups;
use crate::update::Updater;
use crate::update::average::LossAverage;
use crate::update::ema::Ema;
use crate::update::groups::Groups;
use crate::update::loss_scale::LossScale;
use crate::watch::Milestone;
use crate::watch::sample_pictures::Sampling;
use crate::watch::validate::Validation;
use failure::chain;
use resume::{Resuming, check_position, with_seed_of};
use save::SavedState;

/// Bakes a LoRA: prepares, trains, saves.
///
/// # Errors
/// Bad input, named, before anything is written; a loss that is not finite; a file that cannot be written.
pub fn bake(parsed: &Parsed, events: &Sender<Event>, commands: &Receiver<Command>) -> Result<Outcome> {
    bake_before(parsed, events, commands, None)
}

/// [`bake`] before an onlooker, who may end the run.
///
/// # Errors
/// As [`bake`].
pub fn bake_before(
    parsed: &Parsed,
    events: &Sender<Event>,
    commands: &Receiver<Command>,
    onlooker: Option<&mut dyn Onlooker>,
) -> Result<Outcome> {
    if let Some(threads) = parsed.recipe.train.threads {
        // Fails only where the pool exists already, as in a test that bakes twice.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
    let processes = ProcessGroup::join()?;
    let (silent, _) = channel();
    let events = if processes.is_first() { events } else { &silent };
    let onlooker = match onlooker {
        Some(onlooker) if processes.is_first() => Some(Consulted::new(onlooker)),
        _ => None,
    };
    bake_with(RunChannels { processes: &processes, events, commands }, parsed, onlooker)
}

fn bake_with<'a>(channels: RunChannels<'a>, parsed: &Parsed, mut onlooker: Option<Consulted<'a>>) -> Result<Outcome> {
    let resumed = parsed.recipe.output.resume.as_deref().map(state::load).transpose()?;
    let mut parsed = with_seed_of(parsed, resumed.as_ref())?;
    let train = &mut parsed.recipe.train;
    train.seed = channels.processes.broadcast(train.seed);
    train.accumulation *= channels.processes.count();
    let parsed = &parsed;
    let Prepared { mut session, sampling, validation } = prepare(parsed, channels.events, &mut |recipe, length| {
        onlooker.as_mut().map_or(Ok(()), |onlooker| onlooker.prepare(recipe, length))
    })?;
    let groups = Groups::new(&session.network, &session.recipe, &session.bundle);
    let mut updater = Updater::new(&session.recipe, groups);
    let mut ema = session.recipe.optim.ema_decay.map(|decay| Ema::new(&session.network, decay));
    let mut step = 0;
    let mut average = LossAverage::default();
    if let Some(saved) = resumed {
        let resuming = Resuming { recipe: &session.recipe, dataset: &session.dataset, length: session.length };
        let emit = |event| channels.events.send(event).unwrap_or_default();
        step = check_position(resuming, &saved.position, &emit)?;
        if session.recipe.judging.is_some() {
            let ended = "the run was ended here as overcooked";
            let earlier = if saved.position.is_ended { ended } else { "verdicts of the earlier run are not known" };
            emit(Event::Note(format!("judge_every_n_epochs: {earlier}; judging begins anew")));
        }
        average = saved.restore(&mut session.network, &mut updater, ema.as_mut())?;
    }
    if let Some(decay) = session.recipe.optim.ema_decay {
        let text =
            format!("files, pictures and validation have the averaged weights (ema_decay {decay}); states have both");
        channels.events.send(Event::Note(text)).unwrap_or_default();
    }
    let saver = Saver::new(parsed, &session)?;
    let claim = claim(&session, &saver, channels)?;
    let largest = session.order.epoch(0).iter().map(|batch| batch.entries.len()).max().unwrap_or(1);
    let threads = thread_groups(&session.recipe, &session.device, largest);
    let scale = LossScale::new(&session.device, training_dtypes(&session.recipe.train, &session.device).unet);
    let bake = Bake {
        session,
        sampling,
        validation,
        onlooker,
        shown: None,
        saved_epochs: BTreeSet::new(),
        threads,
        scale,
        updater,
        ema,
        saver,
        claim,
        channels,
        average,
        first_step: step,
        step,
        last_state: None,
        stop: false,
        validated: None,
    };
    bake.run()
}

/// Claims the output folder for the one process that writes, once all is ready for the first step.
fn claim(session: &Session, saver: &Saver, channels: RunChannels<'_>) -> Result<Option<Claim>> {
    if !channels.processes.is_first() {
        return Ok(None);
    }
    let emit = |event| channels.events.send(event).unwrap_or_default();
    let bytes = saver.bytes(&session.network);
    let sizes = disk::Sizes { lora: bytes, parameters: session.network.parameters() as u64 };
    if let Some(note) = disk::note(&session.recipe, session.length, sizes) {
        emit(Event::Note(note.to_string()));
    }
    Claim::take(&session.recipe.output, bytes, &emit).map(Some)
}

/// The other processes of a run, who hears of it and who gives it orders.
#[derive(Clone, Copy)]
struct RunChannels<'a> {
    processes: &'a ProcessGroup,
    events: &'a Sender<Event>,
    commands: &'a Receiver<Command>,
}

struct Bake<'a> {
    session: Session,
    /// Pictures while it trains.
    sampling: Option<Sampling>,
    /// The loss over images that are held out.
    validation: Option<Validation>,
    /// Who looks at the LoRA while it is trained.
    onlooker: Option<Consulted<'a>>,
    /// What is saved in place of what was trained last, with where it stands.
    shown: Option<(LoraNetwork, Progress)>,
    /// The epochs whose snapshots this run has written.
    saved_epochs: BTreeSet<u64>,
    threads: ThreadGroups,
    scale: LossScale,
    updater: Updater,
    /// The averaged weights, which are what others get to see, with `--ema_decay`.
    ema: Option<Ema>,
    saver: Saver,
    /// What the run holds of its output folder.
    claim: Option<Claim>,
    channels: RunChannels<'a>,
    average: LossAverage,
    /// Optimizer steps that an earlier run had made.
    first_step: u64,
    /// Optimizer steps made.
    step: u64,
    /// The newest state that this run has saved.
    last_state: Option<SavedState>,
    /// Somebody wants the run to end here.
    stop: bool,
    /// The step of the last validation, and what it found.
    validated: Option<(u64, f64)>,
}

impl Bake<'_> {
    fn run(mut self) -> Result<Outcome> {
        let length = self.session.length;
        let accumulation = self.session.recipe.train.accumulation;
        self.emit(Event::Started(event::RunInfo {
            steps: length.steps,
            epochs: length.epochs,
            unet_modules: self.session.network.count(Part::Unet),
            text_modules: self.session.network.text_count(),
            parameters: self.session.network.parameters(),
            blocks: block_plan::rows(&self.session),
        }));
        if self.step == 0 {
            self.paint(Milestone::Step(0));
        }
        self.consult(0);
        let started = Instant::now();
        let mut epoch = self.step / length.steps_per_epoch;
        let mut stopped = false;
        if self.step == length.steps {
            // Killed behind the last step: only the result is missing.
            epoch = length.epochs;
        }
        while epoch < length.epochs && !stopped {
            let batches = self.session.order.epoch(epoch);
            let done = (self.step - epoch * length.steps_per_epoch) as usize;
            for (index, group) in batches.chunks(accumulation).enumerate().skip(done) {
                let first = BatchId { epoch, batch: (index * accumulation) as u64 };
                if let Err(failure) = self.optimize(first, group) {
                    return Err(self.rescue(failure, epoch));
                }
                self.after_step(epoch);
                stopped = self.wants_stop();
                if stopped || self.step == length.steps {
                    break;
                }
            }
            epoch += 1;
            self.emit(Event::EpochEnded { epoch, average: self.average.mean() });
            if !stopped && epoch < length.epochs {
                self.save_by_epochs(epoch);
            }
            if !stopped {
                self.validate(Milestone::Epoch(epoch));
                self.paint(Milestone::Epoch(epoch));
                self.consult(epoch);
                // Several processes end together, behind their next step.
                stopped = self.is_ended() && self.channels.processes.count() == 1;
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        if self.step == self.first_step && self.step < length.steps {
            bail!("no step was made, so nothing is saved");
        }
        let best_epoch = self.settle_best(epoch);
        let file = self.save_result(epoch)?;
        let average = self.average.mean();
        Ok(Outcome { file, steps: self.step, planned: length.steps, average, seconds, best_epoch })
    }

    fn after_step(&mut self, epoch: u64) {
        if let Some(note) = card::note(&self.session.device, self.step - self.first_step) {
            self.emit(Event::Note(note));
        }
        self.save_by_steps(epoch);
        self.paint(Milestone::Step(self.step));
        self.validate(Milestone::Step(self.step));
    }

    /// What the run has to show: what was trained, or its average.
    fn result(&self) -> Cow<'_, LoraNetwork> {
        result(&self.session, self.ema.as_ref())
    }

    fn paint(&self, milestone: Milestone) {
        if !self.channels.processes.is_first() {
            return;
        }
        if let Some(sampling) = &self.sampling
            && sampling.due(milestone)
        {
            sampling.paint(&self.session, &self.result(), milestone, &|event| self.emit(event));
        }
    }

    /// Measures the loss over the held-out images if it is time for that; once, where a step and an epoch end together.
    /// That it cannot be measured is no reason to end the run.
    fn validate(&mut self, milestone: Milestone) {
        let due = |own: &&Validation| own.due(milestone) && self.channels.processes.is_first();
        let Some(validation) = self.validation.as_ref().filter(due) else { return };
        let measured = match self.validated {
            Some((step, loss)) if step == self.step => Ok(loss),
            _ => caught(|| validation.loss(&self.session, &self.result())),
        };
        let loss = match measured {
            Ok(loss) => loss,
            Err(error) => return self.emit(Event::Note(format!("validation: {}; training goes on", chain(&error)))),
        };
        self.validated = Some((self.step, loss));
        let epoch = match milestone {
            Milestone::Epoch(epoch) => Some(epoch),
            Milestone::Step(_) => None,
        };
        let divergence = loss - self.average.mean();
        self.emit(Event::Validated(event::Validated { step: self.step, epoch, loss, divergence }));
    }

    fn emit(&self, event: Event) {
        // Nobody listening is no reason to stop baking.
        self.channels.events.send(event).unwrap_or_default();
    }
}

fn result<'s>(session: &'s Session, ema: Option<&Ema>) -> Cow<'s, LoraNetwork> {
    let Session { network, recipe, .. } = session;
    ema.map_or(Cow::Borrowed(network), |ema| Cow::Owned(ema.applied_to(network, recipe.network.max_norm)))
}

fn wants_stop(commands: &Receiver<Command>) -> bool {
    matches!(commands.try_recv(), Ok(Command::Stop))
}
