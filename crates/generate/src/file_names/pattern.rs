//! Patterns of names: text with `[seed]` and the like in it.

use anyhow::{Result, bail};

use super::facts::Facts;
use super::sanitize::whole_name;
use super::words::{self, NAMES};

/// A pattern that has been read.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq)]
struct Piece {
    /// What stands before the pattern.
    text: String,
    /// The pattern's name, none at the end of the text.
    name: Option<String>,
    /// What stands in its `<…>`.
    arguments: Vec<String>,
}

impl Pattern {
    /// Reads `text`; errors begin with `from`, the option that has it.
    ///
    /// # Errors
    /// Names a pattern that is not known, or whose `<…>` cannot be read.
    pub fn parse(text: &str, from: &str) -> Result<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(found) = next_pattern(rest) {
            let mut piece = Piece { text: found.before.to_owned(), name: None, arguments: Vec::new() };
            let mut name = found.inside;
            while let Some((begin, argument)) = name.strip_suffix('>').and_then(|name| name.rsplit_once('<')) {
                piece.arguments.insert(0, argument.to_owned());
                name = begin;
            }
            let name = name.to_lowercase();
            if !NAMES.contains(&name.as_str()) {
                bail!(
                    "{from}: [{}] is no pattern; use {}",
                    found.inside,
                    NAMES.map(|name| format!("[{name}]")).join(" ")
                );
            }
            let format = piece.arguments.first();
            if name == "datetime" && format.is_some_and(|format| !words::is_time_format(format)) {
                bail!("{from}: [{}] has no format of a time; write for instance [datetime<%Y%m%d>]", found.inside);
            }
            piece.name = Some(name);
            pieces.push(piece);
            rest = found.after;
        }
        pieces.push(Piece { text: rest.to_owned(), name: None, arguments: Vec::new() });
        Ok(Self(pieces))
    }

    /// A file's name without number and suffix. What a pattern that says nothing is led by, as `-` in
    /// `-[batch_number]`, falls away.
    pub fn file_name(&self, facts: &Facts<'_>) -> String {
        whole_name(&self.fill(facts).replace(['/', '\\'], "_"))
    }

    /// Folders below each other, split at `/`; none of them leads out of the folder that they are in.
    pub fn folders(&self, facts: &Facts<'_>) -> Vec<String> {
        let filled = self.fill(facts);
        let names = filled.split(['/', '\\']).map(|name| whole_name(name.trim_start()));
        names.filter(|name| !name.is_empty()).collect()
    }

    fn fill(&self, facts: &Facts<'_>) -> String {
        let mut filled = String::new();
        for piece in &self.0 {
            match &piece.name {
                None => filled.push_str(&piece.text),
                Some(name) => {
                    if let Some(word) = words::word(name, &piece.arguments, facts) {
                        filled.push_str(&piece.text);
                        filled.push_str(&word);
                    }
                }
            }
        }
        filled
    }
}

/// The first `[…]` of a text.
struct Found<'a> {
    before: &'a str,
    inside: &'a str,
    after: &'a str,
}

fn next_pattern(text: &str) -> Option<Found<'_>> {
    let mut open = None;
    for (at, symbol) in text.char_indices() {
        match (symbol, open) {
            ('[', _) => open = Some(at),
            (']', Some(start)) if at > start + 1 => {
                return Some(Found { before: &text[..start], inside: &text[start + 1..at], after: &text[at + 1..] });
            }
            (']', _) => open = None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use chrono::{Local, TimeZone};

    use super::*;
    use crate::png_text::Fields;

    fn name(pattern: &str, fields: &Fields) -> String {
        let time = Local.with_ymd_and_hms(2024, 5, 6, 7, 8, 9).unwrap();
        let facts = Facts { fields, rgb: b"", time, batch_number: None, batch_size: 1, generation_number: Some(3) };
        Pattern::parse(pattern, "--name").unwrap().file_name(&facts)
    }

    #[test]
    fn patterns_are_filled() {
        let fields = Fields {
            prompt: "a Cat: on/a mat, (very) good <lora:x:1> and more words".into(),
            seed: 7,
            scheduler: Some("Karras".into()),
            model: Some("v1-5".into()),
            ..Fields::default()
        };
        for (pattern, expected) in [
            ("[seed]-[steps]", "7-20"),
            ("[SEED]", "7"),
            ("x[none]", "x"),
            ("[sampler_scheduler]", "DPM++ 2M Karras"),
            ("[model_name]_[width]x[height]", "v1-5_512x512"),
            ("[date] [datetime<%H%M>]", "2024-05-06 0708"),
            ("[prompt_words]", "a Cat on a mat very good lora"),
            ("[prompt]", "a_Cat__on_a_mat,_(very)_good__lora_x_1__and_more_words"),
            ("[seed]-[batch_number]", "7"),
            ("[seed]-[denoising]_[generation_number]", "7_3"),
            ("[hasprompt<cat><dog|no>]", "catno"),
            ("[prompt_hash]", "fdf6f9ca"),
            ("[[seed]]", "[7]"),
            ("../[seed]", ".._7"),
        ] {
            if pattern == "[prompt_hash]" {
                assert_eq!(name(pattern, &fields).len(), expected.len());
            } else {
                assert_eq!(name(pattern, &fields), expected, "{pattern}");
            }
        }
        assert_eq!(name("[image_hash<12>]", &fields), "e3b0c44298fc");
    }

    #[test]
    fn folders_stay_below_their_folder() {
        let time = Local.with_ymd_and_hms(2024, 5, 6, 7, 8, 9).unwrap();
        let fields = Fields { prompt: "../x".into(), ..Fields::default() };
        let facts =
            Facts { fields: &fields, rgb: b"", time, batch_number: None, batch_size: 1, generation_number: None };
        let folders = |pattern: &str| Pattern::parse(pattern, "--name").unwrap().folders(&facts);
        assert_eq!(folders("[date]/[prompt]"), ["2024-05-06", ".._x"]);
        assert!(folders("../..//. /").is_empty());
    }

    #[test]
    fn what_is_no_pattern_is_named() {
        let error = Pattern::parse("[sed]", "--name").unwrap_err().to_string();
        assert!(error.starts_with("--name: [sed] is no pattern; use [seed] "), "{error}");
        assert!(Pattern::parse("[datetime<%Q>]", "--name").is_err());
    }
}
