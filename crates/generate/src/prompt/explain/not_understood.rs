//! What a prompt has that is read as plain text, or otherwise than one may think.

use crate::prompt::characters::{digit, is_space};
use crate::prompt::composition::Part;
use crate::prompt::emphasis::Piece;
use crate::prompt::nearest::shortened;
use crate::prompt::schedule::{Schedule, misread};

/// Most notes of one kind.
const MOST: usize = 5;

/// A weight at the end of a prompt without `AND`.
pub(super) fn in_composition(parts: &[Part], notes: &mut Vec<String>) {
    if let [only] = parts
        && only.weight != 1.0
    {
        let text = shortened(&only.text);
        notes.push(format!("`:{}` at the end multiplies the guidance of \"{text}\", not a word's weight", only.weight));
    }
}

/// Schedules that are text.
pub(super) fn in_schedule(prompt: &str, schedule: &Schedule, notes: &mut Vec<String>) {
    let said = misread(prompt);
    if said.unreadable && schedule.entries.len() == 1 && prompt.contains('[') {
        notes.push(format!(
            "\"{}\" cannot be read as a schedule and is one text: each | needs [ ] around it, and \\ a character behind it",
            shortened(prompt)
        ));
    }
    for when in said.no_numbers.into_iter().take(MOST) {
        notes.push(format!(
            "`{}` is no number, so that its [ ] is no schedule; write for instance [a:b:5]",
            shortened(when)
        ));
    }
    brackets(prompt, notes);
}

/// Brackets that are not in pairs, and weights with a comma.
fn brackets(prompt: &str, notes: &mut Vec<String>) {
    let (mut round, mut square) = (0_usize, 0_usize);
    let mut closes_nothing = false;
    let mut characters = prompt.chars().peekable();
    let mut before = ' ';
    while let Some(c) = characters.next() {
        match c {
            '\\' => {
                characters.next();
            }
            '(' => round += 1,
            '[' => square += 1,
            // Not in `:)`, which is a face.
            ')' if round == 0 => closes_nothing |= before != ':',
            ')' => round -= 1,
            ']' if square == 0 => closes_nothing = true,
            ']' => square -= 1,
            _ => {}
        }
        before = c;
    }
    if round + square > 0 {
        notes.push(format!("in \"{}\" a bracket is not closed; \\ before it makes it text", shortened(prompt)));
    }
    if closes_nothing {
        notes.push(format!("in \"{}\" a bracket closes nothing and is text", shortened(prompt)));
    }
    let numbers = prompt.match_indices(':').filter_map(|(at, _)| comma_number(&prompt[at + 1..]));
    for number in numbers.take(MOST) {
        notes.push(format!("`:{number})` is no weight; write {}", number.replacen(',', ".", 1)));
    }
}

/// A number with a comma that a bracket closes.
fn comma_number(text: &str) -> Option<&str> {
    const LONGEST: usize = 8;
    let end = text.char_indices().take(LONGEST).find(|(_, c)| *c == ')')?.0;
    let number = text[..end].trim_matches(is_space);
    let (whole, fraction) = number.split_once(',')?;
    let digits = |part: &str| !part.is_empty() && part.chars().all(|c| digit(c).is_some());
    if digits(whole) && digits(fraction) { Some(number) } else { None }
}

/// `BREAK` that is none.
pub(super) fn in_pieces(pieces: &[Piece], notes: &mut Vec<String>) {
    const NOTE: &str = "BREAK inside brackets is the plain word, and breaks nothing; close the brackets before it";
    for piece in pieces {
        if let Piece::Text { text, weight } = piece
            && text == "BREAK"
            && *weight != 1.0
            && !notes.iter().any(|note| note == NOTE)
        {
            notes.push(NOTE.to_owned());
        }
    }
}
