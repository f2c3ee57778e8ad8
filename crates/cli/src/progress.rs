//! How a bake looks on a terminal: what was found, a bar with loss and time left; plain lines where there is no terminal.
//!
//! All of it goes to stderr, so that stdout holds results only. What cannot be shown is dropped, see [`terminal`].

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use lorabake_judge::progress::News;
use lorabake_recipe::count;
use lorabake_train::event::{Event, RunInfo, Stage, Step, Validated};

use crate::cmd::judge::words::work as words_of_work;
use crate::{blocks, dataset_words, memory, terminal, words};

/// Time between two plain lines.
const PATIENCE: Duration = Duration::from_secs(5);

/// A counter from 0 to a total: a bar on a terminal, else a line from time to time.
pub struct Counter {
    bar: Option<ProgressBar>,
    what: &'static str,
    total: u64,
    began: Instant,
    said: Instant,
}

impl Counter {
    /// Counts `total` of `what`.
    pub fn new(what: &'static str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix} {bar:20} {pos}/{len}  {eta} left  {wide_msg}");
            let style = style.expect("the template is fixed").progress_chars("━╸─");
            ProgressBar::new(total).with_style(style).with_prefix(what)
        });
        Self { bar, what, total, began: Instant::now(), said: Instant::now() }
    }

    /// `done` of them are done; `message` says more.
    pub fn set(&mut self, done: u64, message: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(message);
            bar.set_position(done);
            return;
        }
        if self.said.elapsed() >= PATIENCE {
            let mut line = format!("{} {done}/{}", self.what, self.total);
            // Nothing is known of the time before something is done.
            if done > 0 {
                let left = self.began.elapsed().as_secs_f64() / done as f64 * self.total.saturating_sub(done) as f64;
                line += &format!("  {} left", words::duration(left));
            }
            terminal::say(format!("{line}  {message}").trim_end());
            self.said = Instant::now();
        }
    }

    /// Prints something above the bar.
    pub fn above(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Takes the bar away.
    pub fn clear(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Shows the events of one bake.
#[derive(Default)]
pub struct Progress {
    counter: Option<Counter>,
    /// Smoothed time of a step.
    pace: Option<f64>,
    /// Loss of the validation before.
    validation: Option<f64>,
    /// Passes through the UNet that judging was prepared with, and what is being done.
    prepared: u64,
    work: String,
}

impl Progress {
    /// Shows how far judging is prepared, before training begins.
    pub fn prepare(&mut self, news: News) {
        match news {
            News::Begins(work) => self.work = words_of_work(work),
            News::Plans(passes) => self.counter = Some(Counter::new("preparing to judge", passes)),
            News::Did(passes) => self.prepared += passes,
        }
        if let Some(counter) = &mut self.counter {
            counter.set(self.prepared, self.work.clone());
        }
    }

    /// Shows one event.
    pub fn show(&mut self, event: &Event) {
        match event {
            Event::Note(text) => self.say(&format!("note: {text}")),
            Event::Memory(outlook) => {
                if let Some(warning) = memory::warning(outlook) {
                    self.say(&warning);
                }
            }
            Event::Dataset(report) => self.say_lines(&format!("\n{}", dataset_words::text(report))),
            Event::Prepared { stage, seconds } => {
                self.clear();
                self.say(&format!("{} in {}", stage_done(*stage), words::duration(*seconds)));
            }
            Event::Cached { done, total } => {
                let counter = self.counter.get_or_insert_with(|| Counter::new("encoding images", *total as u64));
                counter.set(*done as u64, String::new());
            }
            Event::Started(plan) => {
                self.clear();
                self.say_lines(&headline(plan));
                if !plan.blocks.is_empty() {
                    self.say_lines(&blocks::picture(&plan.blocks));
                }
                self.counter = Some(Counter::new("training", plan.steps));
            }
            Event::Stepped(step) => self.step(step),
            Event::Validated(validated) => {
                let was = self.validation.replace(validated.loss);
                self.say(&words_of(validated, was));
            }
            // The picture's file is told where it is saved.
            Event::EpochEnded { .. } | Event::Painted(_) => {}
            Event::Saved(path) => self.say(&format!("saved {}", path.display())),
        }
    }

    fn step(&mut self, step: &Step) {
        let pace = self.pace.map_or(step.seconds, |pace| 0.9 * pace + 0.1 * step.seconds);
        self.pace = Some(pace);
        // An adaptive optimizer's own rate is what the step was made with.
        let (name, used) = if step.d_times_lr.is_empty() { ("lr", &step.rates) } else { ("d*lr", &step.d_times_lr) };
        let mut message =
            format!("loss {:.4}  average {:.4}  {pace:.2} s/step  {name} {}", step.loss, step.average, rates(used));
        if let Some(norms) = &step.norms {
            message += &format!("  {} scaled, average norm {:.3}", count(norms.keys_scaled, "layer"), norms.average);
        }
        if let Some(counter) = &mut self.counter {
            counter.set(step.step, message);
        }
    }

    /// Prints a line, above the bar if there is one.
    pub fn say(&self, line: &str) {
        self.above(|| terminal::say(line));
    }

    /// Prints lines of our own, above the bar if there is one.
    fn say_lines(&self, text: &str) {
        self.above(|| terminal::say_lines(text));
    }

    fn above(&self, print: impl FnOnce()) {
        match &self.counter {
            Some(counter) => counter.above(print),
            None => print(),
        }
    }

    /// Takes the bar away.
    pub fn clear(&mut self) {
        if let Some(counter) = self.counter.take() {
            counter.clear();
        }
    }
}

/// A line about a validation, with what the one before found.
fn words_of(validated: &Validated, was: Option<f64>) -> String {
    let when = validated.epoch.map_or(format!("step {}", validated.step), |epoch| format!("epoch {epoch}"));
    let was = was.map_or(String::new(), |was| format!(" (was {was:.4})"));
    let training = validated.loss - validated.divergence;
    format!("{when}: validation loss {:.4}{was}, training {training:.4}", validated.loss)
}

/// What was done, once a stage of the preparation is over.
fn stage_done(stage: Stage) -> &'static str {
    match stage {
        Stage::ImagesLookedThrough => "images looked through",
        Stage::CheckpointOpened => "checkpoint opened",
        Stage::LatentsMade => "latents made",
        Stage::TextEncodersRead => "text encoders read",
        Stage::CaptionsEncoded => "captions encoded",
        Stage::UnetRead => "UNet read",
    }
}

fn headline(plan: &RunInfo) -> String {
    let RunInfo { steps, epochs, unet_modules, text_modules, parameters, .. } = plan;
    let parts = [(unet_modules, "UNet"), (text_modules, "text encoder")];
    let parts: Vec<_> = parts
        .iter()
        .filter(|(layers, _)| **layers > 0)
        .map(|(layers, part)| format!("{} of the {part}", count(**layers, "layer")))
        .collect();
    let parts = parts.join(" and ");
    let steps = count(*steps, "step");
    let epochs = count(*epochs, "epoch");
    format!("\ntraining {steps} in {epochs}: {parts}, {parameters} parameters; Ctrl-C saves and stops")
}

/// The learning rates: once if they are equal, from the lowest to the highest where there are many.
fn rates(rates: &[(String, f64)]) -> String {
    let values = || rates.iter().map(|(_, rate)| *rate);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    match rates.len() {
        _ if low == high => format!("{low:.2e}"),
        0..=2 => rates.iter().map(|(part, rate)| format!("{part} {rate:.2e}")).collect::<Vec<_>>().join(" "),
        _ => format!("{low:.2e} to {high:.2e}"),
    }
}
