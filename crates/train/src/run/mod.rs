//! The loop.

mod keep;
mod optimize;

use std::borrow::Cow;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use anyhow::{Result, bail};
use lorabake_recipe::Parsed;
use lorabake_recipe::output::SaveState;
use lorabake_weights::{Part, names};

use crate::average::LossAverage;
use crate::block_plan;
use crate::ema::Ema;
use crate::event::{self, Command, Event, Outcome};
use crate::groups::Groups;
use crate::loss_scale::LossScale;
use crate::network::Network;
use crate::ranks::Ranks;
use crate::sample::Moment;
use crate::save::Saver;
use crate::session::Session;
use crate::shards::Shards;
use crate::state::{self, Position, Saved};
use crate::storage::storages;
use crate::update::Updater;
use crate::validate::{self, Validation};

/// Bakes a LoRA: prepares, trains, saves.
///
/// # Errors
/// Bad input, named, before anything is written; a loss that is not finite; a file that cannot be written.
pub fn bake(parsed: &Parsed, events: &Sender<Event>, commands: &Receiver<Command>) -> Result<Outcome> {
    if let Some(threads) = parsed.recipe.train.threads {
        // Fails only where the pool exists already, as in a test that bakes twice.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
    let ranks = Ranks::join()?;
    let (silent, _) = channel();
    let events = if ranks.is_first() { events } else { &silent };
    bake_with(&ranks, parsed, events, commands)
}

fn bake_with(ranks: &Ranks, parsed: &Parsed, events: &Sender<Event>, commands: &Receiver<Command>) -> Result<Outcome> {
    let resumed = parsed.recipe.output.resume.as_deref().map(state::load).transpose()?;
    let mut parsed = with_seed_of(parsed, resumed.as_ref())?;
    let train = &mut parsed.recipe.train;
    (train.seed, train.accumulation) = (ranks.same(train.seed), train.accumulation * ranks.count());
    let parsed = &parsed;
    let mut session = Session::prepare(parsed, events)?;
    let groups = Groups::new(&session.network, &session.recipe, &session.bundle);
    let mut updater = Updater::new(&session.recipe, groups);
    let mut ema = session.recipe.optim.ema_decay.map(|decay| Ema::new(&session.network, decay));
    let (mut step, mut average) = (0, LossAverage::default());
    if let Some(saved) = resumed {
        step = check_position(&session, &saved.position, events)?;
        average = saved.restore(&mut session.network, &mut updater, ema.as_mut())?;
    }
    if let Some(decay) = session.recipe.optim.ema_decay {
        let text =
            format!("files, pictures and validation have the averaged weights (ema_decay {decay}); states have both");
        events.send(Event::Note(text)).unwrap_or_default();
    }
    let saver = Saver::new(parsed, &session)?;
    let largest = session.order.epoch(0).iter().map(|batch| batch.entries.len()).max().unwrap_or(1);
    let shards = Shards::of(&session.recipe, &session.device, largest);
    let scale = LossScale::new(&session.device, storages(&session.recipe.train, &session.device).unet);
    let talk = Talk { ranks, events, commands };
    Bake { shards, scale, updater, ema, saver, session, talk, average, step, stop: false, validated: None }.run()
}

/// The options with the seed of the run that is resumed.
fn with_seed_of(parsed: &Parsed, resumed: Option<&Saved>) -> Result<Parsed> {
    let mut parsed = parsed.clone();
    if let Some(Saved { position, .. }) = resumed {
        if parsed.raw.train.seed.is_some() && parsed.recipe.train.seed != position.seed {
            let given = parsed.recipe.train.seed;
            bail!("seed {given}: the run that is resumed has seed {}; give that one, or none", position.seed);
        }
        parsed.recipe.train.seed = position.seed;
        parsed.recipe.data.split_by(position.split_seed);
    }
    Ok(parsed)
}

/// The step at which the resumed run stands, if there is anything left to do.
fn check_position(session: &Session, position: &Position, events: &Sender<Event>) -> Result<u64> {
    let (length, &Position { step, batches_per_epoch, .. }) = (session.length, position);
    if step >= length.steps {
        bail!(
            "resume: the state stands at step {step} and the run ends at {}; raise max_train_epochs or max_train_steps",
            length.steps
        );
    }
    let held_out = validate::names(&session.dataset);
    if let Some(learnt) = held_out.iter().find(|name| !position.held_out.contains(name)) {
        bail!(
            "resume: {learnt} was trained on and would be held out now; give the images, validation_split and \
             validation_seed of the first run, or validation_split=0"
        );
    }
    if held_out.len() < position.held_out.len() {
        let fewer = position.held_out.len() - held_out.len();
        let text = format!("resume: {fewer} images that were held out are so no longer");
        events.send(Event::Note(text)).unwrap_or_default();
    }
    if batches_per_epoch != length.batches_per_epoch {
        let text = format!(
            "resume: an epoch had {batches_per_epoch} batches and now has {}; training goes on with these images",
            length.batches_per_epoch
        );
        events.send(Event::Note(text)).unwrap_or_default();
    }
    events.send(Event::Note(format!("going on after step {step}"))).unwrap_or_default();
    Ok(step)
}

/// Whom the run talks with.
struct Talk<'a> {
    ranks: &'a Ranks,
    events: &'a Sender<Event>,
    commands: &'a Receiver<Command>,
}

struct Bake<'a> {
    session: Session,
    shards: Shards,
    scale: LossScale,
    updater: Updater,
    /// The averaged weights, which are what others get to see, with `--ema_decay`.
    ema: Option<Ema>,
    saver: Saver,
    talk: Talk<'a>,
    average: LossAverage,
    /// Optimizer steps made.
    step: u64,
    /// Somebody wants the run to end here.
    stop: bool,
    /// The step of the last validation, and what it found.
    validated: Option<(u64, f64)>,
}

impl Bake<'_> {
    fn run(mut self) -> Result<Outcome> {
        let (length, accumulation) = (self.session.length, self.session.recipe.train.accumulation);
        self.tell(Event::Started(event::Plan {
            steps: length.steps,
            epochs: length.epochs,
            unet_modules: self.session.network.count(Part::Unet),
            text_modules: self.session.network.text_count(),
            parameters: self.session.network.parameters(),
            blocks: block_plan::rows(&self.session),
        }));
        if self.step == 0 {
            self.paint(Moment::Step(0));
        }
        let started = Instant::now();
        let (mut epoch, mut stopped) = (self.step / length.steps_per_epoch, false);
        while epoch < length.epochs && !stopped {
            let batches = self.session.order.epoch(epoch);
            let done = (self.step - epoch * length.steps_per_epoch) as usize;
            for (index, group) in batches.chunks(accumulation).enumerate().skip(done) {
                if let Err(error) = self.optimize((epoch, index * accumulation), group) {
                    return Err(self.rescue(error, epoch));
                }
                self.save_by_steps(epoch)?;
                self.paint(Moment::Step(self.step));
                self.validate(Moment::Step(self.step))?;
                stopped = self.wants_stop();
                if stopped || self.step == length.steps {
                    break;
                }
            }
            epoch += 1;
            self.tell(Event::EpochEnded { epoch, average: self.average.mean() });
            if !stopped && epoch < length.epochs {
                self.save_by_epochs(epoch)?;
            }
            if !stopped {
                self.validate(Moment::Epoch(epoch))?;
                self.paint(Moment::Epoch(epoch));
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        let name = names::last(&self.session.recipe.output.name);
        let file = self.save(&name, epoch)?;
        if self.session.recipe.output.save_state == SaveState::AtEnd {
            self.save_state(&name)?;
        }
        let (steps, average) = (self.step, self.average.mean());
        Ok(Outcome { file, steps, planned: length.steps, average, seconds })
    }

    /// What the run has to show: what was trained, or its average.
    fn result(&self) -> Cow<'_, Network> {
        result(&self.session, self.ema.as_ref())
    }

    fn paint(&self, moment: Moment) {
        if !self.talk.ranks.is_first() {
            return;
        }
        let Session { sampling, bundle, tokenizer, device, .. } = &self.session;
        if let Some(sampling) = sampling.as_ref().filter(|sampling| sampling.due(moment)) {
            sampling.paint((bundle, tokenizer, device), &self.result(), moment, |event| self.tell(event));
        }
    }

    /// Measures the loss over the held-out images if it is time for that; once, where a step and an epoch end together.
    fn validate(&mut self, moment: Moment) -> Result<()> {
        let due = |own: &&Validation| own.due(moment) && self.talk.ranks.is_first();
        let Some(validation) = self.session.validation.as_ref().filter(due) else { return Ok(()) };
        let loss = match self.validated {
            Some((step, loss)) if step == self.step => loss,
            _ => validation.loss(&self.session, &self.result())?,
        };
        self.validated = Some((self.step, loss));
        let epoch = if let Moment::Epoch(epoch) = moment { Some(epoch) } else { None };
        let divergence = loss - self.average.mean();
        self.tell(Event::Validated(event::Validated { step: self.step, epoch, loss, divergence }));
        Ok(())
    }

    fn tell(&self, event: Event) {
        // Nobody listening is no reason to stop baking.
        self.talk.events.send(event).unwrap_or_default();
    }
}

fn result<'s>(session: &'s Session, ema: Option<&Ema>) -> Cow<'s, Network> {
    let Session { network, recipe, .. } = session;
    ema.map_or(Cow::Borrowed(network), |ema| Cow::Owned(ema.applied_to(network, recipe.network.max_norm)))
}

fn wants_stop(commands: &Receiver<Command>) -> bool {
    matches!(commands.try_recv(), Ok(Command::Stop))
}
