//! Pictures while training: the network as it is, painted with the prompts of a file.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use burn::tensor::Device;
use lorabake_device::ThreadGroups;
use lorabake_diffusion::{Prediction, Schedule, StepCount};
use lorabake_generate::prompt_file::{self, sampler};
use lorabake_generate::sample::{PipelineRef, Request};
use lorabake_lora::{Attached, LoraNetwork, Strength};
use lorabake_model::vae::Decoder;
use lorabake_recipe::Recipe;
use lorabake_recipe::output::Every;
use lorabake_recipe::output::samples::Samples;

use super::Milestone;
use crate::caught::caught;
use crate::event::{Emit, Event, Painted};
use crate::objective::Objective;
use crate::session::Session;
use crate::step::thread_groups;

/// What is painted, and with what.
pub(crate) struct Sampling {
    settings: Samples,
    requests: Vec<Request>,
    decoder: Decoder,
    prediction: Prediction,
    schedule: Schedule,
    threads: ThreadGroups,
}

impl Sampling {
    /// Sampling of `requests`, if the recipe asks for it; `decoder` is the checkpoint's.
    pub fn new(recipe: &Recipe, device: &Device, requests: Vec<Request>, decoder: Option<Decoder>) -> Option<Self> {
        let Objective { prediction, schedule, .. } = Objective::new(&recipe.diffusion);
        // Of noise alone a network that predicts noise makes nothing.
        let schedule = if prediction == Prediction::V { schedule } else { Schedule::stable_diffusion() };
        // With and without the prompt.
        let threads = thread_groups(recipe, device, 2);
        Some(Self { settings: recipe.samples.clone()?, requests, decoder: decoder?, prediction, schedule, threads })
    }

    /// Whether pictures are due at `milestone`.
    pub fn due(&self, milestone: Milestone) -> bool {
        match (milestone, self.settings.every) {
            (Milestone::Step(0), _) => self.settings.at_first,
            (Milestone::Step(step), Some(Every::Steps(every))) => step.is_multiple_of(every),
            (Milestone::Epoch(epoch), Some(Every::Epochs(every))) => epoch.is_multiple_of(every),
            _ => false,
        }
    }

    /// Paints all prompts with `network` and the networks of `session`.
    pub fn paint(&self, session: &Session, network: &LoraNetwork, milestone: Milestone, emit: &Emit<'_>) {
        let Session { bundle, tokenizer, device, .. } = session;
        let mut adapters = Attached::default();
        network.attach(Strength::FULL, device, &mut adapters);
        let Self { decoder, prediction, schedule, threads, .. } = self;
        let pipeline = PipelineRef { bundle, decoder, tokenizer, prediction: *prediction, schedule, threads, device };
        for (index, request) in self.requests.iter().enumerate() {
            match caught(|| pipeline.paint(request, &adapters, &mut |_, _| {})) {
                Ok(picture) => {
                    emit(Event::Painted(Box::new(Painted { milestone, index, request: request.clone(), picture })));
                }
                // A picture is to watch with: that it fails is worth a word, and no reason to lose the run.
                Err(error) => emit(Event::Note(format!("picture {} of --sample_prompts: {error:#}", index + 1))),
            }
        }
    }
}

/// What the recipe's file of prompts asks for; nothing where the recipe names none.
///
/// # Errors
/// When the file cannot be read or asks for what is not possible, naming file and line.
pub(crate) fn requests(recipe: &Recipe, emit: &Emit<'_>) -> Result<Vec<Request>> {
    let Some(settings) = &recipe.samples else { return Ok(Vec::new()) };
    let prompts = prompt_file::read(&settings.prompts, "--sample_prompts")?;
    let base = base(recipe, settings.sampler.as_deref(), emit)?;
    let mut mentioned = BTreeSet::new();
    let mut requests = Vec::new();
    for (index, prompt) in prompts.iter().enumerate() {
        let label = || format!("--sample_prompts {}: prompt {}", settings.prompts.display(), index + 1);
        // Without a seed of its own a prompt keeps one for the whole run, so that its pictures can be compared.
        let seed = recipe.train.seed.wrapping_add(index as u64);
        let (request, note) = prompt.over(&Request { seed, ..base.clone() }).with_context(label)?;
        if let Some(note) = note
            && mentioned.insert(note.clone())
        {
            emit(Event::Note(note));
        }
        requests.push(request);
    }
    Ok(requests)
}

/// What a prompt is painted with where it says nothing itself.
fn base(recipe: &Recipe, named: Option<&str>, emit: &Emit<'_>) -> Result<Request> {
    let side = recipe.model.side() as usize;
    let (sampler, note) = sampler(named.unwrap_or("ddim")).context("--sample_sampler")?;
    if let Some(note) = note {
        emit(Event::Note(note));
    }
    Ok(Request {
        prompt: String::new(),
        negative_prompt: String::new(),
        loras: Vec::new(),
        width: side,
        height: side,
        steps: StepCount::try_from(30)?,
        cfg_scale: 7.5,
        seed: 0,
        sampler,
        clip_skip: recipe.model.clip_skip as usize,
        noise: None,
    })
}
