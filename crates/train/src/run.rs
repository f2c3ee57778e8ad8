//! The loop.

use std::borrow::Cow;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use lorabake_data::caption;
use lorabake_data::plan::Batch;
use lorabake_optim::lr;
use lorabake_recipe::Parsed;
use lorabake_recipe::output::SaveState;
use lorabake_recipe::seed::Seed;
use lorabake_weights::{Part, names};

use crate::average::LossAverage;
use crate::block_plan;
use crate::chances::Chances;
use crate::draws::Draws;
use crate::ema::Ema;
use crate::event::{self, Command, Event, Outcome};
use crate::groups::Groups;
use crate::network::Network;
use crate::prune::{self, Snapshot};
use crate::sample::Moment;
use crate::save::Saver;
use crate::session::Session;
use crate::shards::Shards;
use crate::state::{self, Position, Saved};
use crate::step::{Gradients, Inputs};
use crate::update::{Updater, accumulate};
use crate::validate;

/// Bakes a LoRA: prepares, trains, saves.
///
/// # Errors
/// Bad input, named, before anything is written; a loss that is not finite; a file that cannot be written.
pub fn bake(parsed: &Parsed, events: &Sender<Event>, commands: &Receiver<Command>) -> Result<Outcome> {
    if let Some(threads) = parsed.recipe.train.threads {
        // Fails only where the pool exists already, as in a test that bakes twice.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
    let resumed = parsed.recipe.output.resume.as_deref().map(state::load).transpose()?;
    let parsed = &with_seed_of(parsed, resumed.as_ref())?;
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
    let largest = session.plan.epoch(0).iter().map(|batch| batch.entries.len()).max().unwrap_or(1);
    let shards = Shards::of(&session.recipe, largest);
    Bake { shards, updater, ema, saver, session, events, average, step, validated: None }.run(commands)
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

struct Bake<'a> {
    session: Session,
    shards: Shards,
    updater: Updater,
    /// The averaged weights, which are what others get to see, with `--ema_decay`.
    ema: Option<Ema>,
    saver: Saver,
    events: &'a Sender<Event>,
    average: LossAverage,
    /// Optimizer steps made.
    step: u64,
    /// The step of the last validation, and what it found.
    validated: Option<(u64, f64)>,
}

impl Bake<'_> {
    fn run(mut self, commands: &Receiver<Command>) -> Result<Outcome> {
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
            let batches = self.session.plan.epoch(epoch);
            let done = (self.step - epoch * length.steps_per_epoch) as usize;
            for (index, group) in batches.chunks(accumulation).enumerate().skip(done) {
                if let Err(error) = self.optimize((epoch, index * accumulation), group) {
                    return Err(self.rescue(error, epoch));
                }
                self.save_by_steps(epoch)?;
                self.paint(Moment::Step(self.step));
                self.validate(Moment::Step(self.step))?;
                stopped = wants_stop(commands);
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

    /// One optimizer step over the batches of `group`, the first of which is batch `at.1` of epoch `at.0`.
    fn optimize(&mut self, at: (u64, usize), group: &[Batch]) -> Result<()> {
        let started = Instant::now();
        let mut gradients: Option<Gradients> = None;
        let mut total = 0.0;
        for (offset, batch) in group.iter().enumerate() {
            let index = at.1 + offset;
            let inputs = self.inputs((at.0, index as u64), batch)?;
            let session = &self.session;
            let output = self.shards.step(&session.frozen(), &session.network, &inputs);
            if !output.loss.is_finite() {
                bail!("step {}: the loss is not finite ({}){}", self.step + 1, output.loss, self.blame(batch));
            }
            self.average.add(index, output.loss);
            total += output.loss;
            accumulate(&mut gradients, output.gradients, 1.0 / session.recipe.train.accumulation as f32);
        }
        let factor = self.rate_factor();
        let rates = self.updater.shown_rates(factor);
        let gradients = gradients.expect("a group has batches");
        let updated = self.updater.update(&mut self.session.network, gradients, factor);
        if !updated.gradient_norm.is_finite() {
            bail!("step {}: the gradient is not finite{}", self.step + 1, self.blame(&group[0]));
        }
        self.step += 1;
        if let Some(ema) = &mut self.ema {
            ema.update(&self.session.network, self.step);
        }
        self.tell(Event::Stepped(event::Step {
            step: self.step,
            epoch: at.0 + 1,
            loss: total / group.len() as f64,
            average: self.average.mean(),
            rates,
            d_times_lr: self.updater.d_times_lr(factor),
            d: self.updater.d(),
            gradient_norm: updated.gradient_norm,
            norms: updated.norms,
            seconds: started.elapsed().as_secs_f64(),
        }));
        Ok(())
    }

    /// Draws and looks up everything that batch `at` = (epoch, batch) needs.
    fn inputs(&self, at: (u64, u64), batch: &Batch) -> Result<Inputs> {
        let (session, recipe) = (&self.session, &self.session.recipe);
        let seed = Seed(recipe.train.seed);
        let [c, h, w] = session.latents.shape(batch.entries[0].item);
        let shape = [batch.entries.len(), c, h, w];
        let items = batch.entries.iter().map(|entry| (entry, &session.dataset.items[entry.item]));
        let captions: Vec<String> = items
            .clone()
            .map(|(entry, item)| {
                let (step, steps) = (self.step, session.length.steps);
                let at = caption::Use { epoch: at.0, position: entry.position, step, steps };
                caption::draw(&item.caption, &session.dataset.settings(&recipe.data, item).captions, seed, at)
            })
            .collect();
        let weight = |is_reg| if is_reg { recipe.diffusion.prior_loss_weight as f32 } else { 1.0 };
        let (mut latents, mut masks) = (Vec::with_capacity(shape.iter().product()), Vec::new());
        for entry in &batch.entries {
            let item = &session.dataset.items[entry.item];
            let drawn = session.latents.draw(entry.item, entry.flipped, (at.0, entry.position));
            let drawn = drawn.with_context(|| item.path.display().to_string())?;
            latents.extend(drawn.latents);
            masks.push(drawn.mask);
        }
        // An image without a mask counts everywhere.
        let has_mask = masks.iter().any(Option::is_some);
        let mask = masks.into_iter().flat_map(|mask| mask.unwrap_or_else(|| vec![1.0; h * w]));
        let draws = Draws::new(seed, at, &latents, shape, &recipe.diffusion);
        let prompts = captions.iter().map(String::as_str);
        Ok(Inputs {
            shape,
            latents,
            noise: draws.noise,
            input_noise: draws.input_noise,
            timesteps: draws.timesteps,
            chances: Chances::new(seed, at, &recipe.network),
            tokens: session.tokens(prompts)?,
            sizes: batch.entries.iter().map(|entry| session.sizes(entry.item, entry.flipped)).collect(),
            loss_weights: items.map(|(_, item)| weight(item.is_reg)).collect(),
            mask: has_mask.then(|| mask.collect()),
        })
    }

    /// What the schedule multiplies all rates with in the next step.
    fn rate_factor(&self) -> f64 {
        let optim = &self.session.recipe.optim;
        lr::factor(&optim.schedule, optim.learning_rate, self.step, self.session.length.steps)
    }

    fn blame(&self, batch: &Batch) -> String {
        let paths = batch.entries.iter().map(|entry| self.session.dataset.items[entry.item].path.display().to_string());
        let images = paths.collect::<Vec<_>>().join(", ");
        format!(" with {images}; lower the learning rates, or leave these images out")
    }

    fn save_by_steps(&mut self, epoch: u64) -> Result<()> {
        let Some(every) = prune::every_steps(&self.session.recipe.output) else { return Ok(()) };
        if self.step.is_multiple_of(every) {
            let name = names::at_step(&self.session.recipe.output.name, self.step);
            self.save(&name, epoch + 1)?;
            self.prune(Snapshot::Step(self.step, every));
        }
        Ok(())
    }

    fn save_by_epochs(&mut self, epoch: u64) -> Result<()> {
        let output = &self.session.recipe.output;
        let every = output.snapshots.iter().find_map(|every| every.in_epochs(self.session.length.epochs));
        let Some(every) = every.filter(|every| epoch.is_multiple_of(*every)) else { return Ok(()) };
        let name = names::at_epoch(&output.name, epoch);
        self.save(&name, epoch)?;
        self.prune(Snapshot::Epoch(epoch, every));
        Ok(())
    }

    fn prune(&self, saved: Snapshot) {
        for path in prune::prune(&self.session.recipe.output, saved) {
            self.tell(Event::Note(format!("{}: it is no longer kept, but cannot be deleted", path.display())));
        }
    }

    /// What the run has to show: what was trained, or its average.
    fn result(&self) -> Cow<'_, Network> {
        result(&self.session, self.ema.as_ref())
    }

    fn paint(&self, moment: Moment) {
        let Session { sampling, bundle, tokenizer, device, .. } = &self.session;
        if let Some(sampling) = sampling.as_ref().filter(|sampling| sampling.due(moment)) {
            sampling.paint((bundle, tokenizer, device), &self.result(), moment, |event| self.tell(event));
        }
    }

    /// Measures the loss over the held-out images if it is time for that; once, where a step and an epoch end together.
    fn validate(&mut self, moment: Moment) -> Result<()> {
        let Some(validation) = self.session.validation.as_ref().filter(|own| own.due(moment)) else { return Ok(()) };
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

    /// Keeps what was learned before a step that failed; the error then says where it is.
    fn rescue(&mut self, error: anyhow::Error, epoch: u64) -> anyhow::Error {
        if self.step == 0 {
            return error;
        }
        let name = names::at_step(&self.session.recipe.output.name, self.step);
        let kept = self.save(&name, epoch + 1).and_then(|file| self.save_state(&name).map(|()| file));
        match kept {
            Ok(file) => error.context(format!(
                "the run ended in step {}; what was learned until then is in {}, and --resume {} goes on from there",
                self.step + 1,
                file.display(),
                self.session.recipe.output.dir.join(names::state_of(&name)).display()
            )),
            Err(why) => error.context(format!("the run ended, and what was learned cannot be saved: {why:#}")),
        }
    }

    fn save(&mut self, name: &str, epoch: u64) -> Result<std::path::PathBuf> {
        let tell = |event| self.events.send(event).unwrap_or_default();
        let network = result(&self.session, self.ema.as_ref());
        let file = self.saver.save(&network, name, (epoch, self.step), tell)?;
        if self.session.recipe.output.save_state == SaveState::Always {
            self.save_state(name)?;
        }
        Ok(file)
    }

    /// Saves the state that belongs to the file `name`.
    fn save_state(&self, name: &str) -> Result<()> {
        let dir = self.session.recipe.output.dir.join(names::state_of(name));
        let position = Position {
            step: self.step,
            seed: self.session.recipe.train.seed,
            split_seed: self.session.recipe.data.hold_out.run_seed,
            held_out: validate::names(&self.session.dataset),
            batches_per_epoch: self.session.length.batches_per_epoch,
        };
        state::save(&dir, &self.session.network, &self.updater, self.ema.as_ref(), &position, &self.average)?;
        self.tell(Event::Saved(dir));
        Ok(())
    }

    fn tell(&self, event: Event) {
        // Nobody listening is no reason to stop baking.
        self.events.send(event).unwrap_or_default();
    }
}

fn result<'s>(session: &'s Session, ema: Option<&Ema>) -> Cow<'s, Network> {
    let Session { network, recipe, .. } = session;
    ema.map_or(Cow::Borrowed(network), |ema| Cow::Owned(ema.applied_to(network, recipe.network.max_norm)))
}

fn wants_stop(commands: &Receiver<Command>) -> bool {
    matches!(commands.try_recv(), Ok(Command::Stop))
}
