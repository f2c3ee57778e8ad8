//! `--explain`: what became of each prompt.

use std::process::ExitCode;

use anyhow::{Context, Result};
use lorabake_generate::conditioning::places::TextReader;
use lorabake_generate::easel::Order;
use lorabake_generate::latent_shape::latent_shape;
use lorabake_generate::prompt::explain::{Asked, ExplainedText, Explanation, explain as explained};
use lorabake_generate::prompt::networks::Known;
use lorabake_generate::prompt::schedule::Timeline;

use super::pictures::differs_in_model;
use super::tokens::Tokens;
use crate::picture_args::PictureArgs;
use crate::picture_args::jobs::Jobs;
use crate::picture_args::model::OpenModel;
use crate::terminal;

/// The most texts of one prompt whose tokens are shown.
const MOST_TEXTS: usize = 4;

/// Shows it for the different prompts of `jobs`.
///
/// # Errors
/// What cannot be read.
pub fn explain(args: &PictureArgs, model: &OpenModel, jobs: &Jobs) -> Result<ExitCode> {
    let mut reader = TextReader::open(&model.checkpoint)?;
    for folder in &args.library.embedding_dir {
        reader.embeddings.add_folder(folder).with_context(|| format!("--embedding_dir {}", folder.display()))?;
    }
    if let Some(like) = &jobs.like {
        differs_in_model(like, &mut args.model.facts());
    }
    let mut seen: Vec<[&str; 2]> = Vec::new();
    for picture in &jobs.pictures {
        let order = &picture.order;
        latent_shape(order.request.size)?;
        let texts = [order.prompt.as_str(), order.negative_prompt.as_str()];
        if seen.contains(&texts) {
            continue;
        }
        seen.push(texts);
        let explanation = explanation(order, jobs)?;
        for line in explanation.lines() {
            terminal::result(&line);
        }
        show_places(&reader, order, &explanation)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn explanation(order: &Order, jobs: &Jobs) -> Result<Explanation> {
    let sampling = &order.request.sampling;
    let asked = Asked {
        prompt: &order.prompt,
        negative_prompt: &order.negative_prompt,
        timeline: Timeline { steps: sampling.prompt_steps(), hires_steps: None, old: order.request.old_prompt_editing },
        calls: if sampling.sampler.is_second_order() { 2 * sampling.steps - 1 } else { sampling.steps },
        emphasis: order.request.text.emphasis,
    };
    let known =
        Known { presets: &jobs.library.presets, elements: &jobs.library.elements, seed: order.request.seed.seed };
    explained(asked, known)
}

/// What networks meet, the tokens of the texts with their weights, and the embeddings in them.
fn show_places(reader: &TextReader, order: &Order, explanation: &Explanation) -> Result<()> {
    let nets = reader.nets(&order.request.networks)?;
    for (report, network) in nets.reports.iter().zip(&order.request.networks) {
        report.lines(network).iter().for_each(|line| terminal::result(line));
    }
    let mut tokens = Tokens::new(reader, order.request.text, &nets);
    let parts = explanation.parts.iter().map(|part| part.texts.as_slice());
    for texts in parts.chain([explanation.negative.as_slice()]) {
        show_texts(&mut tokens, texts)?;
    }
    tokens.show_embeddings();
    for skipped in nets.embeddings.skipped_in(&format!("{} {}", order.prompt, order.negative_prompt)) {
        terminal::result(&format!("note: {}", skipped.reason));
    }
    Ok(())
}

fn show_texts(tokens: &mut Tokens<'_>, texts: &[ExplainedText]) -> Result<()> {
    for text in texts.iter().take(MOST_TEXTS) {
        tokens.show(&text.text)?;
    }
    if texts.len() > MOST_TEXTS {
        terminal::result(&format!("… and those of {} more texts", texts.len() - MOST_TEXTS));
    }
    Ok(())
}
