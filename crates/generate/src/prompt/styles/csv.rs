//! Tables as spreadsheets write them: commas, fields in `"`, `""` for a quote inside. Spaces behind a comma are skipped.

use anyhow::{Result, bail};

/// What a character means next.
enum State {
    /// A field begins.
    Start,
    Plain,
    Quoted,
    /// A quote within a quoted field: its end, or half of a quote.
    Quote,
}

/// The rows of a table. Empty lines are left out; a row may have any number of fields.
///
/// # Errors
/// When a quoted field has no end.
pub(super) fn rows(text: &str) -> Result<Vec<Vec<String>>> {
    let mut table = Table { rows: Vec::new(), row: Vec::new(), field: String::new() };
    let mut state = State::Start;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        state = match (state, c) {
            (State::Quoted, '"') => State::Quote,
            (State::Quoted, _) => {
                table.field.push(c);
                State::Quoted
            }
            (State::Quote, '"') => {
                table.field.push('"');
                State::Quoted
            }
            (State::Start, '"') => State::Quoted,
            (State::Start, ' ') => State::Start,
            (_, ',') => {
                table.end_field();
                State::Start
            }
            (before, '\n' | '\r') => {
                if c == '\r' {
                    characters.next_if_eq(&'\n');
                }
                table.end_row(&before);
                State::Start
            }
            _ => {
                table.field.push(c);
                State::Plain
            }
        };
    }
    if let State::Quoted = state {
        bail!("a quote has no end; write \" at the end of the field");
    }
    table.end_row(&state);
    Ok(table.rows)
}

/// What has been read.
struct Table {
    rows: Vec<Vec<String>>,
    row: Vec<String>,
    field: String,
}

impl Table {
    fn end_field(&mut self) {
        self.row.push(std::mem::take(&mut self.field));
    }

    fn end_row(&mut self, state: &State) {
        if self.row.is_empty() && matches!(state, State::Start) {
            return;
        }
        self.end_field();
        self.rows.push(std::mem::take(&mut self.row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_count_at_the_beginning_of_a_field() {
        let table = rows("a, \"b, c\" d,e\"f\"\n\n,\r\"x\r\ny\",\"\"").unwrap();
        let expected: Vec<Vec<&str>> = vec![vec!["a", "b, c d", "e\"f\""], vec!["", ""], vec!["x\r\ny", ""]];
        assert_eq!(table, expected);
        assert!(rows("a,\"b").is_err());
        assert_eq!(rows("\n\n").unwrap().len(), 0);
    }
}
