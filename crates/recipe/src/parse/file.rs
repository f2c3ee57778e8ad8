//! Recipe files: TOML in sd-scripts' form, or JSON with the same content, `--config_file`.
//!
//! Section names are free and carry no meaning, keys are the names of the options. Values become text and go the same
//! way as those of the command line, so that an option has one meaning.

use std::collections::HashSet;
use std::path::Path;

use toml::{Table, Value};

use super::argv::{Given, ReadOptions, plain_name};
use crate::report::Problem;

/// The key of the tables that list what differs from stage to stage.
const STAGE: &str = "stage";

/// What the `[[stage]]` tables of a recipe file say.
#[derive(Debug, Default)]
pub(crate) struct ReadStages {
    /// The options of each table, in their order.
    pub(crate) tables: Vec<Vec<Given>>,
    pub(crate) problems: Vec<Problem>,
}

/// Whether a file is a `--dataset_config`.
pub(crate) fn is_dataset_config(table: &Table) -> bool {
    table.get("datasets").and_then(Value::as_array).is_some_and(|list| list.iter().any(Value::is_table))
}

/// The options in the table of a recipe file; `path` serves the messages only. `[[stage]]` tables are left to
/// [`stages`].
pub(crate) fn options(table: Table, path: &Path) -> ReadOptions {
    let mut reading = Reading::new(path);
    for (key, value) in table {
        match value {
            Value::Table(section) => reading.take_section(section),
            Value::Array(_) if key == STAGE => {}
            value => reading.take(&key, value),
        }
    }
    reading.read
}

/// The options of each `[[stage]]` table in the table of a recipe file, in their order.
pub(crate) fn stages(table: &Table, path: &Path) -> ReadStages {
    let mut stages = ReadStages::default();
    let Some(Value::Array(tables)) = table.get(STAGE) else { return stages };
    for table in tables.iter().cloned() {
        let mut reading = Reading::new(path);
        match table {
            Value::Table(section) => reading.take_section(section),
            value => reading.take(STAGE, value),
        }
        stages.tables.push(reading.read.options);
        stages.problems.append(&mut reading.read.problems);
    }
    stages
}

struct Reading<'a> {
    path: &'a Path,
    read: ReadOptions,
    names: HashSet<String>,
}

impl<'a> Reading<'a> {
    fn new(path: &'a Path) -> Self {
        Self { path, read: ReadOptions::default(), names: HashSet::new() }
    }

    fn take_section(&mut self, section: Table) {
        for (key, value) in section {
            self.take(&key, value);
        }
    }

    fn take(&mut self, key: &str, value: Value) {
        let mut given = Given { name: plain_name(key), values: Vec::new(), file: Some(self.path.to_owned()) };
        if !self.names.insert(given.name.clone()) {
            self.read.problems.push(given.problem("it is given in two sections", "leave one of them out"));
            return;
        }
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        if values.iter().any(|value| matches!(value, Value::Table(_) | Value::Array(_))) {
            let problem = given.problem("a recipe file has one level of sections", "write key = value");
            self.read.problems.push(problem);
            return;
        }
        given.values.extend(values.into_iter().map(text));
        self.read.options.push(given);
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
