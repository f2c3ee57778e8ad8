//! Schedules: `[from:to:when]`, `[to:when]`, `[from::when]`, and alternation `[a|b|c]` (the web UI's
//! `prompt_parser.py`): a prompt becomes the texts that act one after the other.

mod grammar;

use std::collections::BTreeSet;

use grammar::{Edit, Edits};

/// The steps over which a prompt is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline {
    /// Steps of the first pass, at least 1; denoiser calls with samplers of second order, so twice as many.
    pub steps: usize,
    /// Steps of the hires pass where the schedule of that one is wanted, counted as `steps` are.
    pub hires_steps: Option<usize>,
    /// Whether the rule from before version 1.6 holds (the option "Old prompt editing timelines").
    pub old: bool,
}

/// The texts of one prompt in time; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// In the order of their ends. Neighbours may have the same text.
    pub entries: Vec<Entry>,
}

/// A text of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The last step, counted from 1, that the text is made for.
    pub end_at_step: usize,
    /// The text, brackets of emphasis still in it.
    pub text: String,
}

/// Lays the prompt `text`, without tags and `AND`, out over `timeline`.
///
/// A text that the grammar cannot read, as one with a `|` outside `[…]`, is one entry as it stands.
///
/// ```
/// use lorabake_generate::prompt::schedule::{Timeline, schedule};
///
/// let timeline = Timeline { steps: 20, hires_steps: None, old: false };
/// let schedule = schedule("a [cat:dog:0.5]", timeline);
/// assert_eq!(schedule.entries[0].end_at_step, 10);
/// assert_eq!(schedule.entries[1].text, "a dog");
/// ```
pub fn schedule(text: &str, timeline: Timeline) -> Schedule {
    let steps = timeline.of_pass();
    let Some(edits) = Edits::read(text) else {
        return Schedule { entries: vec![Entry { end_at_step: steps, text: text.to_owned() }] };
    };
    let mut ends = BTreeSet::from([steps]);
    for edit in edits.all() {
        match edit {
            Edit::Switch { when, .. } => {
                let end = timeline.step(when);
                if end >= 1 {
                    ends.insert(end);
                }
            }
            Edit::Alternation { .. } => ends.extend(1..=steps),
        }
    }
    let mut entries = Vec::with_capacity(ends.len());
    for end_at_step in ends {
        let text = edits.text(|edit| match edit {
            Edit::Switch { before, after, when } => {
                if end_at_step <= timeline.step(when) {
                    before.clone()
                } else {
                    after.clone()
                }
            }
            Edit::Alternation { options } => {
                let turn = end_at_step.saturating_sub(1) % options.len();
                options[turn].clone()
            }
        });
        entries.push(Entry { end_at_step, text });
    }
    Schedule { entries }
}

/// What in a prompt looks like a schedule and is text.
pub(super) struct Misread<'a> {
    /// Whether the grammar cannot read the prompt at all.
    pub(super) unreadable: bool,
    /// What stands in the place of numbers in `[a:b:when]`.
    pub(super) no_numbers: Vec<&'a str>,
}

/// What in `text` looks like a schedule and is text.
pub(super) fn misread(text: &str) -> Misread<'_> {
    match Edits::read(text) {
        Some(edits) => Misread { unreadable: false, no_numbers: edits.no_numbers() },
        None => Misread { unreadable: true, no_numbers: Vec::new() },
    }
}

impl Schedule {
    /// The entry that a denoiser call uses, counted from 0: the first that ends at `call` or later, so that an entry
    /// which ends at 5 serves six calls. Calls beyond the last end use the first entry again.
    pub fn at_call(&self, call: usize) -> usize {
        self.entries.iter().position(|entry| call <= entry.end_at_step).unwrap_or(0)
    }
}

impl Timeline {
    /// Steps of the pass whose schedule this is.
    fn of_pass(&self) -> usize {
        match self.hires_steps {
            Some(hires) if !self.old => hires,
            _ => self.steps,
        }
    }

    /// The step of a switch at `when`, not above the steps of the pass; 0 if that is before the beginning.
    fn step(&self, when: &str) -> usize {
        let steps = self.of_pass();
        // The grammar lets pass what is a number.
        let number: f64 = when.parse().unwrap_or(0.0);
        let hires = self.hires_steps.is_some() && !self.old;
        let is_share = if self.old { number < 1.0 } else { when.contains('.') };
        let at = match (is_share, hires) {
            (true, false) => number * steps as f64,
            (true, true) => (number - 1.0) * steps as f64,
            (false, false) => number,
            (false, true) => number - self.steps as f64,
        };
        (at as usize).min(steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, steps: usize) -> Vec<(usize, String)> {
        let schedule = schedule(text, Timeline { steps, hires_steps: None, old: false });
        schedule.entries.into_iter().map(|entry| (entry.end_at_step, entry.text)).collect()
    }

    fn whole(text: &str) {
        assert_eq!(texts(text, 10), [(10, text.to_owned())]);
    }

    #[test]
    fn what_the_grammar_cannot_read_is_one_piece() {
        for text in [
            "a|b [c:d:5]",
            "(a|b) [c:d:5]",
            "[a|b:5] [c:d:5]",
            "[a|b [c:d:5]",
            "[c:d:5] \\",
            "[c:d:5] \\\n",
            "[a|(b:c:d)]",
        ] {
            whole(text);
        }
    }

    #[test]
    fn a_bracket_that_does_not_fit_takes_its_surroundings_with_it_and_not_what_lies_inside() {
        assert_eq!(texts("[x:[b:c]:5]", 10), [(10, "[x:[b:c]:5]".into())]);
        assert_eq!(texts("[x:(a:b:1.2):5]", 10), [(10, "[x:(a:b:1.2):5]".into())]);
        assert_eq!(texts("[(a]:b:5) [c:d:5]", 10), [(5, "[(a]:b:5) c".into()), (10, "[(a]:b:5) d".into())]);
        assert_eq!(texts("[x:y:[c:d:5]]", 10), [(5, "[x:y:c]".into()), (10, "[x:y:d]".into())]);
        assert_eq!(texts("[[a:b:5]:c:d]", 10), [(5, "[a:c:d]".into()), (10, "[b:c:d]".into())]);
    }

    #[test]
    fn numbers_are_those_of_the_grammar() {
        for (when, end) in [("5", 5), ("+5", 5), ("5.e-1", 5), (".5", 5), ("0.5e0", 5), ("5e0", 5)] {
            assert_eq!(texts(&format!("[a:b:{when}]"), 10)[0], (end, "a".to_owned()), "{when}");
        }
        for when in ["1e999", "99999999999999999999"] {
            assert_eq!(texts(&format!("[a:b:{when}]"), 10), [(10, "a".to_owned())], "{when}");
        }
        assert_eq!(texts("[a:b:-1e999]", 10), [(10, "b".to_owned())]);
        for text in ["[a:b:5e]", "[a:b:.]", "[a:b:+-5]", "[a:b:\u{665}]", "[a:b:inf]", "[a:b:0x5]", "[a:b:]"] {
            whole(text);
        }
    }

    #[test]
    fn a_hostile_prompt_costs_little() {
        for piece in ["[", "(", "[a:", "[a|", "]", "[(", "[a:b:5", "|", ":", "\\[", "[a:5]", "[|]"] {
            let text = piece.repeat((64 << 10) / piece.len());
            assert!(texts(&text, 50).len() <= 50, "{piece}");
        }
        let depth = 10_000;
        let nested = format!("{}a{}", "[".repeat(depth), ":5]".repeat(depth));
        assert_eq!(texts(&nested, 10), [(5, String::new()), (10, "a".into())]);
    }
}
