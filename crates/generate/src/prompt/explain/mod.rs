//! What a prompt became: its texts call by call, the weights in them, its networks, and what was not understood.

mod lines;
mod not_understood;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use anyhow::{Result, bail};

use super::emphasis::{self, Emphasis, Piece};
use super::networks::{self, Known, NetworkUse};
use super::schedule::{Timeline, schedule};
use super::{check_length, comments, composition, tags};

/// A prompt to explain, styles already merged in.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The prompt.
    pub prompt: &'a str,
    /// The negative prompt.
    pub negative_prompt: &'a str,
    /// The steps of the pass that is explained.
    pub timeline: Timeline,
    /// The calls of the denoiser in this pass.
    pub calls: usize,
    /// What weights do.
    pub emphasis: Emphasis,
}

/// What a prompt became.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The prompts that guide together; one without `AND`.
    pub parts: Vec<ExplainedPart>,
    /// The texts of the negative prompt.
    pub negative: Vec<ExplainedText>,
    /// The networks.
    pub networks: Vec<NetworkUse>,
    /// What was not understood, or means another thing than one may think.
    pub notes: Vec<String>,
}

/// One prompt of a composition.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainedPart {
    /// What its guidance is multiplied by.
    pub weight: f64,
    /// Its texts, in the order of their first calls.
    pub texts: Vec<ExplainedText>,
}

/// A text of a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainedText {
    /// The calls of the denoiser that use it, counted from 0, ascending.
    pub calls: Vec<RangeInclusive<usize>>,
    /// The text as it was scheduled.
    pub text: String,
    /// Its pieces with the weights that act.
    pub pieces: Vec<Piece>,
}

/// Explains a prompt and its negative prompt.
///
/// # Errors
/// What cannot be read, one problem a line.
pub fn explain(asked: Asked<'_>, known: Known<'_>) -> Result<Explanation> {
    check_length(asked.prompt)?;
    check_length(asked.negative_prompt)?;
    let mut problems = Vec::new();
    let taken = tags::take(&comments::remove(asked.prompt));
    let networks = networks::read(&taken, known).unwrap_or_else(|error| {
        problems.push(error.to_string());
        networks::Networks::default()
    });
    let mut notes = networks.notes;
    let composed = composition::parts(&taken.text);
    not_understood::in_composition(&composed, &mut notes);
    let mut parts = Vec::new();
    for part in composed {
        match texts(&part.text, &asked, &mut notes) {
            Ok(texts) => parts.push(ExplainedPart { weight: part.weight, texts }),
            Err(error) => problems.push(error.to_string()),
        }
    }
    let negative_prompt = comments::remove(asked.negative_prompt);
    notes.extend(networks::negative_notes(&negative_prompt));
    let negative = texts(&negative_prompt, &asked, &mut notes).unwrap_or_else(|error| {
        problems.push(format!("the negative prompt: {error}"));
        Vec::new()
    });
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(Explanation { parts, negative, networks: networks.networks, notes })
}

/// The different texts that one prompt becomes.
fn texts(prompt: &str, asked: &Asked<'_>, notes: &mut Vec<String>) -> Result<Vec<ExplainedText>> {
    let schedule = schedule(prompt, asked.timeline);
    not_understood::in_schedule(prompt, &schedule, notes);
    let mut texts: Vec<ExplainedText> = Vec::new();
    let mut by_text: BTreeMap<&str, usize> = BTreeMap::new();
    for call in 0..asked.calls {
        let text = schedule.entries[schedule.at_call(call)].text.as_str();
        if let Some(known) = by_text.get(text) {
            add_call(&mut texts[*known].calls, call);
            continue;
        }
        by_text.insert(text, texts.len());
        let mut pieces = emphasis::parse(text, asked.emphasis)?;
        not_understood::in_pieces(&pieces, notes);
        for piece in &mut pieces {
            if let Piece::Text { weight, .. } = piece {
                *weight = asked.emphasis.acting(*weight);
            }
        }
        texts.push(ExplainedText { calls: vec![call..=call], text: text.to_owned(), pieces });
    }
    Ok(texts)
}

/// Adds `call`, which is above all before.
fn add_call(calls: &mut Vec<RangeInclusive<usize>>, call: usize) {
    match calls.last_mut() {
        Some(last) if *last.end() + 1 == call => *last = *last.start()..=call,
        _ => calls.push(call..=call),
    }
}

#[cfg(test)]
mod tests {
    use super::super::block_weights::{Elements, Presets};
    use super::*;

    fn explained(prompt: &str, negative_prompt: &str) -> Result<Explanation> {
        let timeline = Timeline { steps: 10, hires_steps: None, old: false };
        let asked = Asked { prompt, negative_prompt, timeline, calls: 10, emphasis: Emphasis::Original };
        let known = Known { presets: &Presets::built_in(), elements: &Elements::default(), seed: 1 };
        explain(asked, known)
    }

    #[test]
    fn a_prompt_is_explained_line_by_line() {
        let prompt =
            "a [cat:(dog:1.2):0.5] BREAK [x|y] AND hat:0.5 # note\n<lora:a:0.8:lbw=MIDD:start=3> <hypernet:h:0@0,1@1>";
        let lines = explained(prompt, "bad [a]").unwrap().lines();
        assert_eq!(
            lines,
            [
                "prompt 1, weight 1:",
                "  calls 1-2, 4, 6 of 10: \"a cat BREAK x\"",
                "    1 \"a cat\", BREAK, 1 \"x\"",
                "  calls 3, 5 of 10: \"a cat BREAK y\"",
                "    1 \"a cat\", BREAK, 1 \"y\"",
                "  calls 7, 9 of 10: \"a (dog:1.2) BREAK y\"",
                "    1 \"a \", 1.2 \"dog\", 1 \"\", BREAK, 1 \"y\"",
                "  calls 8, 10 of 10: \"a (dog:1.2) BREAK x\"",
                "    1 \"a \", 1.2 \"dog\", 1 \"\", BREAK, 1 \"x\"",
                "prompt 2, weight 0.5:",
                "  calls 1-10 of 10: \" hat\"",
                "negative prompt:",
                "  calls 1-10 of 10: \"bad [a]\"",
                "    1 \"bad \", 0.9091 \"a\"",
                "LoRA a: text encoders 0.8, UNet 0.8, from step 3 on",
                "  BASE 0.8, IN00-IN04 0, IN05 0.8, IN06 0, IN07-IN08 0.8, IN09-IN11 0, M00 0.8, OUT00-OUT02 0, \
                 OUT03-OUT06 0.8, OUT07-OUT11 0",
                "hypernetwork h: 0@0,1@1",
                "note: <hypernet:h:0@0,1@1>: its strength changes over the steps, which the web UI refuses without loractl",
            ]
        );
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let error = explained("(a:1.2.3) <lora:a:b>", "(c:.)").unwrap_err().to_string();
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), 3, "{error}");
        assert!(lines[2].starts_with("the negative prompt: the prompt's weight :.)"), "{error}");
    }

    #[test]
    fn what_means_another_thing_than_it_seems_is_noted() {
        for (prompt, said) in [
            ("a cat :1.2", "`:1.2` at the end multiplies the guidance"),
            ("a|b [c:d:5]", "cannot be read as a schedule"),
            ("[a:b:5 steps]", "`5 steps` is no number"),
            ("(a BREAK b)", "BREAK inside brackets is the plain word"),
            ("(a, b", "a bracket is not closed"),
            ("a) b", "a bracket closes nothing"),
            ("(a:1,2)", "`:1,2)` is no weight; write 1.2"),
        ] {
            let notes = explained(prompt, "").unwrap().notes;
            assert!(notes.iter().any(|note| note.contains(said)), "{prompt}: {notes:?}");
        }
        for prompt in ["a cat, (red:1.2) [hat]", "a [b:c:5] \\(d\\) [e|f] :)", "a BREAK b", "10:30, [a:b]"] {
            assert_eq!(explained(prompt, "x").unwrap().notes, Vec::<String>::new(), "{prompt}");
        }
    }
}
