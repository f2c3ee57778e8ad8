//! The formats of prompt files: lines of text, TOML and JSON, each to the same [`Entries`]. Nothing is judged here.

use toml::de::{DeTable, DeValue};

use super::entry::{Entry, Setting};

/// What a file asks for.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// What holds for prompts that say nothing else.
    pub defaults: Entry,
    pub prompts: Vec<Entry>,
}

/// The prompts in the lines of `text`.
pub(super) fn from_lines(text: &str) -> Entries {
    let mut entries = Entries::default();
    for (line, number) in prompt_lines(text) {
        entries.prompts.push(from_line(line, number));
    }
    entries
}

/// The lines of `text` that are prompts, with their numbers counted from 1.
pub(super) fn prompt_lines(text: &str) -> Vec<(&str, usize)> {
    let mut lines = Vec::new();
    let mut number = 0;
    for line in text.split('\n') {
        // A line ends with \r\n or \n, or as of old with \r.
        let line = line.strip_suffix('\r').unwrap_or(line);
        for line in line.split('\r') {
            number += 1;
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                lines.push((line, number));
            }
        }
    }
    lines
}

pub(super) fn from_line(text: &str, line: usize) -> Entry {
    let mut parts = text.split(" --");
    let prompt = parts.next().unwrap_or_default().trim().to_owned();
    let mut settings = vec![Setting { key: "prompt".to_owned(), value: prompt, line }];
    for part in parts {
        let (key, value) = part.trim().split_once(char::is_whitespace).unwrap_or((part.trim(), ""));
        let key = format!("--{}", key.to_ascii_lowercase());
        settings.push(Setting { key, value: value.trim().to_owned(), line });
    }
    Entry { settings }
}

/// The prompts of a TOML file: `[[prompt.subset]]` with what they have in common in `[prompt]`.
///
/// # Errors
/// What is wrong with it as a whole, and what to do.
pub(super) fn from_toml(text: &str) -> Result<Entries, String> {
    let lines = Lines::of(text);
    let file = match DeTable::parse(text) {
        Ok(file) => file.into_inner(),
        Err(error) => {
            let line = error.span().map_or(1, |span| lines.number(span.start));
            let what = error.message().replace('\n', ", ");
            return Err(format!("line {line} is not TOML: {what}; put it right"));
        }
    };
    let mut entries = Entries::default();
    for (name, value) in &file {
        let misplaced = || {
            let line = lines.number(name.span().start);
            format!("line {line}: only [prompt] with [[prompt.subset]] is read; write it so")
        };
        let DeValue::Table(table) = value.get_ref() else { return Err(misplaced()) };
        if name.get_ref() != "prompt" {
            return Err(misplaced());
        }
        entries.defaults = from_table(table, &lines);
        let Some(subsets) = table.get("subset") else { continue };
        let DeValue::Array(subsets) = subsets.get_ref() else { return Err(misplaced()) };
        for subset in subsets.iter() {
            let DeValue::Table(table) = subset.get_ref() else { return Err(misplaced()) };
            entries.prompts.push(from_table(table, &lines));
        }
    }
    Ok(entries)
}

fn from_table(table: &DeTable<'_>, lines: &Lines) -> Entry {
    let mut entry = Entry::default();
    for (key, value) in table {
        if key.get_ref() == "subset" {
            continue;
        }
        let value = match value.get_ref() {
            DeValue::Array(values) => {
                values.iter().map(|value| toml_text(value.get_ref())).collect::<Vec<_>>().join(",")
            }
            value => toml_text(value),
        };
        entry.settings.push(Setting { key: key.get_ref().to_string(), value, line: lines.number(key.span().start) });
    }
    entry
}

fn toml_text(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(words) => words.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        other => format!("({})", other.type_str()),
    }
}

/// The prompts of a JSON file: a list of objects.
///
/// # Errors
/// What is wrong with it as a whole, and what to do.
pub(super) fn from_json(text: &str) -> Result<Entries, String> {
    let no_list =
        |error: serde_json::Error| format!("a list of prompts is needed ({error}); write [{{\"prompt\": …}}]");
    let objects: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(text).map_err(no_list)?;
    let lines = Lines::of(text);
    let mut entries = Entries::default();
    for (object, start) in objects.into_iter().zip(object_starts(text)) {
        let line = lines.number(start);
        let mut entry = Entry::default();
        for (key, value) in object {
            let value = match value {
                serde_json::Value::Null => continue,
                serde_json::Value::Array(values) => values.into_iter().map(json_text).collect::<Vec<_>>().join(","),
                value => json_text(value),
            };
            entry.settings.push(Setting { key, value, line });
        }
        entries.prompts.push(entry);
    }
    Ok(entries)
}

fn json_text(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::String(words) => words,
        other => other.to_string(),
    }
}

/// Where the objects in a JSON list begin; `text` is known to be one.
fn object_starts(text: &str) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut depth = 0;
    let mut in_string = false;
    let mut escaped = false;
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                if depth == 1 {
                    starts.push(place);
                }
                depth += 1;
            }
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
    starts
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(end, _)| end + 1).collect())
    }

    /// The number of the line that holds a byte, from 1.
    fn number(&self, byte: usize) -> usize {
        self.0.partition_point(|start| *start <= byte) + 1
    }
}
