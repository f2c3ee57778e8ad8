//! `--explain`: what became of each prompt.

use std::process::ExitCode;

use anyhow::Result;
use lorabake_generate::conditioning::chunks::{CHUNK_TOKENS, COMMA_BACKTRACK, Chunks, Layout, lay_out};
use lorabake_generate::prompt::composition;
use lorabake_generate::prompt::emphasis::{Emphasis, parse};
use lorabake_generate::prompt::explain::{Asked, explain as explained};
use lorabake_generate::prompt::networks::Known;
use lorabake_generate::prompt::schedule::Timeline;
use lorabake_model::tokenizer::{Cleaning, EOS};

use crate::picture_args::jobs::Jobs;
use crate::terminal;

/// Shows it for the different prompts of `jobs`.
///
/// # Errors
/// What cannot be read.
pub fn explain(jobs: &Jobs) -> Result<ExitCode> {
    let mut seen: Vec<[&str; 2]> = Vec::new();
    for picture in &jobs.pictures {
        let order = &picture.order;
        let texts = [order.prompt.as_str(), order.negative_prompt.as_str()];
        if seen.contains(&texts) {
            continue;
        }
        seen.push(texts);
        let sampling = &order.request.sampling;
        let steps = if sampling.sampler.is_second_order() { 2 * sampling.steps } else { sampling.steps };
        let emphasis = order.request.text.emphasis;
        let asked = Asked {
            prompt: texts[0],
            negative_prompt: texts[1],
            timeline: Timeline { steps, hires_steps: None, old: order.request.old_prompt_editing },
            calls: if sampling.sampler.is_second_order() { 2 * sampling.steps - 1 } else { sampling.steps },
            emphasis,
        };
        let known =
            Known { presets: &jobs.library.presets, elements: &jobs.library.elements, seed: order.request.seed.seed };
        for line in explained(asked, known)?.lines() {
            terminal::result(&line);
        }
        terminal::result(&format!("tokens of the prompt: {}", tokens(&order.request.prompt, emphasis)?));
        terminal::result(&format!(
            "tokens of the negative prompt: {}",
            tokens(&order.request.negative_prompt, emphasis)?
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// How many tokens the first text of each part takes, and how many chunks of 75; embeddings count as words here.
fn tokens(text: &str, emphasis: Emphasis) -> Result<String> {
    let layout = Layout { cleaning: Cleaning::Clip, padding: EOS, comma_backtrack: COMMA_BACKTRACK, embeddings: &[] };
    let mut counts = Vec::new();
    for part in composition::parts(text) {
        let Chunks { chunks, count } = lay_out(&parse(&part.text, emphasis)?, &layout);
        counts.push(format!("{count} of {}", chunks.len() * CHUNK_TOKENS));
    }
    Ok(counts.join(", "))
}
