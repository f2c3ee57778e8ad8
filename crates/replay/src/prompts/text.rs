//! Comments, `AND`, schedules and emphasis.

use anyhow::{Context, Result};
use lorabake_generate::prompt::emphasis::{self, Emphasis, Piece};
use lorabake_generate::prompt::schedule::{Entry, Schedule, Timeline, schedule};
use lorabake_generate::prompt::{comments, composition};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::number::reread;
use crate::verdict::same;
use crate::{Case, Pack};

/// All cases of the files about text.
pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    replay(pack, "comments", comment, &mut cases)?;
    replay(pack, "and", composed, &mut cases)?;
    replay(pack, "schedule", scheduled, &mut cases)?;
    replay(pack, "step_pick", picked, &mut cases)?;
    replay(pack, "emphasis", emphasised, &mut cases)?;
    Ok(cases)
}

/// Every case of `prompts/FILE.json` by `check`.
fn replay<T: DeserializeOwned>(
    pack: &Pack,
    file: &str,
    check: fn(&T) -> Result<(), String>,
    cases: &mut Vec<Case>,
) -> Result<()> {
    for (number, case) in pack.cases(&format!("prompts/{file}.json"))?.into_iter().enumerate() {
        let name = format!("{file} {number}");
        let case = serde_json::from_value(case).with_context(|| name.clone())?;
        cases.push(Case::of(name, check(&case)));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Comment {
    text: String,
    result: String,
}

fn comment(case: &Comment) -> Result<(), String> {
    same(&comments::remove(&case.text), &case.result)
}

#[derive(Deserialize)]
struct Composed {
    prompt: String,
    parts: Vec<(String, f64)>,
}

fn composed(case: &Composed) -> Result<(), String> {
    let parts = composition::parts(&case.prompt).into_iter().map(|part| (part.text, reread(part.weight)));
    same(&parts.collect(), &case.parts)
}

#[derive(Deserialize)]
struct Scheduled {
    prompt: String,
    steps: usize,
    hires_steps: Option<usize>,
    old: bool,
    result: Vec<(usize, String)>,
}

fn scheduled(case: &Scheduled) -> Result<(), String> {
    let timeline = Timeline { steps: case.steps, hires_steps: case.hires_steps, old: case.old };
    let entries = schedule(&case.prompt, timeline).entries.into_iter();
    same(&entries.map(|entry| (entry.end_at_step, entry.text)).collect(), &case.result)
}

#[derive(Deserialize)]
struct Picked {
    schedule: Vec<(usize, String)>,
    calls: usize,
    used: Vec<String>,
}

fn picked(case: &Picked) -> Result<(), String> {
    let entries = case.schedule.iter().map(|(end, text)| Entry { end_at_step: *end, text: text.clone() });
    let schedule = Schedule { entries: entries.collect() };
    let used = (0..case.calls).map(|call| schedule.entries[schedule.at_call(call)].text.clone());
    same(&used.collect(), &case.used)
}

#[derive(Deserialize)]
struct Emphasised {
    text: String,
    #[serde(default)]
    result: Vec<(String, f64)>,
    error: Option<String>,
}

fn emphasised(case: &Emphasised) -> Result<(), String> {
    let pieces = match emphasis::parse(&case.text, Emphasis::Original) {
        Ok(pieces) => pieces,
        Err(_) if case.error.is_some() => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    if let Some(error) = &case.error {
        return Err(format!("recorded {error}, ours {pieces:?}"));
    }
    let pieces = pieces.into_iter().map(|piece| match piece {
        Piece::Text { text, weight } => (text, reread(weight)),
        Piece::Break => ("BREAK".to_owned(), -1.0),
    });
    same(&pieces.collect(), &case.result)
}
