//! Pictures while training: the network as it is, painted with the prompts of a file.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use burn::tensor::Device;
use lorabake_diffusion::{Prediction, Schedule, Steps};
use lorabake_model::Bundle;
use lorabake_model::tokenizer::Tokenizer;
use lorabake_model::vae::Decoder;
use lorabake_recipe::Recipe;
use lorabake_recipe::output::Every;
use lorabake_recipe::output::samples::Samples;

use crate::event::{Event, Painted};
use crate::generate::{Brush, Request};
use crate::network::{Attached, Network, Strength};
use crate::objective::Objective;
use crate::sample_file::{self, sampler};
use crate::shards::Shards;

/// What is painted, and with what.
pub(crate) struct Sampling {
    settings: Samples,
    requests: Vec<Request>,
    decoder: Decoder,
    prediction: Prediction,
    schedule: Schedule,
    shards: Shards,
}

/// The moment of a picture.
#[derive(Clone, Copy)]
pub(crate) enum Moment {
    /// Before the first step, or after this step.
    Step(u64),
    /// After this epoch, counted from 1.
    Epoch(u64),
}

impl Sampling {
    /// Sampling of `requests`, if the recipe asks for it; `decoder` is the checkpoint's.
    pub fn new(recipe: &Recipe, device: &Device, requests: Vec<Request>, decoder: Option<Decoder>) -> Option<Self> {
        let Objective { prediction, schedule, .. } = Objective::new(&recipe.diffusion);
        // Of noise alone a network that predicts noise makes nothing.
        let schedule = if prediction == Prediction::V { schedule } else { Schedule::stable_diffusion() };
        let shards = Shards::of(recipe, device, 2);
        Some(Self { settings: recipe.samples.clone()?, requests, decoder: decoder?, prediction, schedule, shards })
    }

    /// Whether pictures are due at `moment`.
    pub fn due(&self, moment: Moment) -> bool {
        match (moment, self.settings.every) {
            (Moment::Step(0), _) => self.settings.at_first,
            (Moment::Step(step), Some(Every::Steps(every))) => step.is_multiple_of(every),
            (Moment::Epoch(epoch), Some(Every::Epochs(every))) => epoch.is_multiple_of(every),
            _ => false,
        }
    }

    /// Paints all prompts with `network`.
    pub fn paint(&self, with: (&Bundle, &Tokenizer, &Device), network: &Network, moment: Moment, tell: impl Fn(Event)) {
        let (bundle, tokenizer, device) = with;
        let mut adapters = Attached::default();
        network.attach(Strength::FULL, device, &mut adapters);
        for (index, request) in self.requests.iter().enumerate() {
            let Self { decoder, prediction, schedule, shards, .. } = self;
            let brush = Brush { bundle, decoder, tokenizer, prediction: *prediction, schedule, shards, device };
            let moment = match moment {
                Moment::Step(step) => format!("{step:06}"),
                Moment::Epoch(epoch) => format!("e{epoch:06}"),
            };
            match brush.paint(request, &adapters, &mut |_, _| {}) {
                Ok(picture) => {
                    tell(Event::Painted(Box::new(Painted { moment, index, request: request.clone(), picture })))
                }
                // A picture is to watch with: that it fails is worth a word, and no reason to lose the run.
                Err(error) => tell(Event::Note(format!("picture {} of --sample_prompts: {error:#}", index + 1))),
            }
        }
    }
}

/// What the recipe's file of prompts asks for; nothing where the recipe names none.
///
/// # Errors
/// When the file cannot be read or asks for what is not possible, naming file and line.
pub(crate) fn requests(recipe: &Recipe, say: &impl Fn(Event)) -> Result<Vec<Request>> {
    let Some(settings) = &recipe.samples else { return Ok(Vec::new()) };
    let prompts = sample_file::read(&settings.prompts, "--sample_prompts")?;
    let base = base(recipe, settings.sampler.as_deref(), say)?;
    let (mut told, mut requests) = (BTreeSet::new(), Vec::new());
    for (index, prompt) in prompts.iter().enumerate() {
        let label = || format!("--sample_prompts {}: prompt {}", settings.prompts.display(), index + 1);
        // Without a seed of its own a prompt keeps one for the whole run, so that its pictures can be compared.
        let seed = recipe.train.seed + index as u64;
        let (request, note) = prompt.over(&Request { seed, ..base.clone() }).with_context(label)?;
        note.into_iter().filter(|note| told.insert(note.clone())).for_each(|note| say(Event::Note(note)));
        requests.push(request);
    }
    Ok(requests)
}

/// What a prompt is painted with where it says nothing itself.
fn base(recipe: &Recipe, named: Option<&str>, say: &impl Fn(Event)) -> Result<Request> {
    let side = recipe.model.side() as usize;
    let (sampler, note) = sampler(named.unwrap_or("ddim")).context("--sample_sampler")?;
    note.into_iter().for_each(|note| say(Event::Note(note)));
    Ok(Request {
        prompt: String::new(),
        negative_prompt: String::new(),
        loras: Vec::new(),
        width: side,
        height: side,
        steps: Steps::try_from(30)?,
        cfg_scale: 7.5,
        seed: 0,
        sampler,
        clip_skip: recipe.model.clip_skip as usize,
        noise: None,
    })
}
