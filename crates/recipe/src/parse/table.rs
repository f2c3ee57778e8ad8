//! The table in the text of a settings file: TOML, or JSON with the same content, which sd-scripts takes too.

use std::path::Path;

use serde_json::Value as Json;
use toml::{Table, Value};

use crate::report::Problem;

/// Whether a text is JSON, by the suffix of its file or its first letter, with which no TOML begins.
pub(crate) fn is_json(text: &str, path: &Path) -> bool {
    path.extension().is_some_and(|suffix| suffix.eq_ignore_ascii_case("json")) || text.trim_start().starts_with('{')
}

/// The table in a text of either kind; `path` serves the messages and tells the kind.
pub(crate) fn read(text: &str, path: &Path) -> Result<Table, Problem> {
    if is_json(text, path) { of_json(json(text, path)?, path) } else { of_toml(text, path) }
}

/// The table in a TOML text.
pub(crate) fn of_toml(text: &str, path: &Path) -> Result<Table, Problem> {
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(0, |before| before.matches('\n').count()) + 1;
        let what = format!("line {line} is not TOML: {}", error.message().replace('\n', ", "));
        let remedy = "put it right; text needs quotation marks, and Windows paths single ones: 'C:\\images'";
        Problem::of_file(path, what, remedy)
    })
}

/// What a JSON text holds.
pub(crate) fn json(text: &str, path: &Path) -> Result<Json, Problem> {
    serde_json::from_str(text).map_err(|error| {
        let remedy =
            "put it right; text needs double quotation marks, and Windows paths two backslashes: \"C:\\\\images\"";
        Problem::of_file(path, format!("it is not JSON: {error}"), remedy)
    })
}

/// The table that a JSON object is.
pub(crate) fn of_json(json: Json, path: &Path) -> Result<Table, Problem> {
    match value(json) {
        Some(Value::Table(table)) => Ok(table),
        _ => Err(Problem::of_file(path, "it holds no settings".to_owned(), "write them between { and }")),
    }
}

/// The same as TOML; nothing for `null`, which says that a key is not given.
fn value(json: Json) -> Option<Value> {
    Some(match json {
        Json::Null => return None,
        Json::Bool(flag) => Value::Boolean(flag),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Integer(whole),
            None => Value::Float(number.as_f64()?),
        },
        Json::String(text) => Value::String(text),
        Json::Array(values) => Value::Array(values.into_iter().filter_map(value).collect()),
        Json::Object(fields) => {
            let mut table = Table::new();
            for (key, field) in fields {
                if let Some(field) = value(field) {
                    table.insert(key, field);
                }
            }
            Value::Table(table)
        }
    })
}
