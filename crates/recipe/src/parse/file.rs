//! Recipe files: TOML in sd-scripts' form, `--config_file`.
//!
//! Section names are free and carry no meaning, keys are the names of the options. Values become text and go the same
//! way as those of the command line, so that an option has one meaning.

use std::path::Path;

use toml::{Table, Value};

use super::argv::{Given, plain_name};
use crate::report::Problem;

/// The options in the text of a recipe file; `path` serves the messages only. `[[stage]]` tables are left to
/// [`stages`].
pub(crate) fn options(text: &str, path: &Path) -> (Vec<Given>, Vec<Problem>) {
    let table: Table = match text.parse() {
        Ok(table) => table,
        Err(error) => return (Vec::new(), vec![broken(&error, text, path)]),
    };
    let mut reading = Reading { path, options: Vec::new(), problems: Vec::new() };
    for (key, value) in table {
        match value {
            Value::Table(section) => section.into_iter().for_each(|(key, value)| reading.take(&key, value)),
            Value::Array(_) if key == STAGE => {}
            value => reading.take(&key, value),
        }
    }
    (reading.options, reading.problems)
}

/// The key of the tables that say what differs from stage to stage.
const STAGE: &str = "stage";

/// The options of each `[[stage]]` table in the text of a recipe file, in their order.
pub(crate) fn stages(text: &str, path: &Path) -> (Vec<Vec<Given>>, Vec<Problem>) {
    // A text that is no TOML is the concern of `options`.
    let table: Table = text.parse().unwrap_or_default();
    let Some(Value::Array(tables)) = table.get(STAGE) else { return (Vec::new(), Vec::new()) };
    let mut problems = Vec::new();
    let mut stages = Vec::new();
    for table in tables.iter().cloned() {
        let mut reading = Reading { path, options: Vec::new(), problems: Vec::new() };
        match table {
            Value::Table(section) => section.into_iter().for_each(|(key, value)| reading.take(&key, value)),
            value => reading.take(STAGE, value),
        }
        problems.append(&mut reading.problems);
        stages.push(reading.options);
    }
    (stages, problems)
}

struct Reading<'a> {
    path: &'a Path,
    options: Vec<Given>,
    problems: Vec<Problem>,
}

impl Reading<'_> {
    fn take(&mut self, key: &str, value: Value) {
        let mut given = Given { name: plain_name(key), values: Vec::new(), file: Some(self.path.to_owned()) };
        if self.options.iter().any(|earlier| earlier.name == given.name) {
            self.problems.push(given.problem("it is given in two sections", "leave one of them out"));
            return;
        }
        let is_table = |value: &Value| matches!(value, Value::Table(_) | Value::Array(_));
        match value {
            Value::Array(values) if !values.iter().any(is_table) => given.values.extend(values.into_iter().map(text)),
            value if is_table(&value) => {
                let problem = given.problem("a recipe file has one level of sections", "write key = value");
                self.problems.push(problem);
                return;
            }
            value => given.values.push(text(value)),
        }
        self.options.push(given);
    }
}

/// A value as the command line would spell it.
pub(crate) fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        // Without a fraction where there is none, so that 10.0 will do for 10.
        Value::Float(number) => number.to_string(),
        other => other.to_string(),
    }
}

pub(crate) fn broken(error: &toml::de::Error, text: &str, path: &Path) -> Problem {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(0, |before| before.matches('\n').count()) + 1;
    Problem {
        option: None,
        what: format!("line {line} is not TOML: {}", error.message().replace('\n', ", ")),
        remedy: "put it right; text needs quotation marks, and Windows paths single ones: 'C:\\images'".to_owned(),
        file: Some(path.to_owned()),
    }
}
