//! Tables as text: cells between commas, in quotes where they hold commas, quotes or line breaks (RFC 4180).

/// The rows of a table, without those that are empty.
pub(super) fn rows(text: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row: Vec<String> = Vec::new();
    let mut cell = String::new();
    let mut is_quoted = false;
    let mut symbols = text.chars().peekable();
    while let Some(symbol) = symbols.next() {
        match symbol {
            '"' if is_quoted && symbols.peek() == Some(&'"') => {
                symbols.next();
                cell.push('"');
            }
            '"' if is_quoted => is_quoted = false,
            '"' if cell.is_empty() => is_quoted = true,
            ',' if !is_quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !is_quoted && symbols.peek() == Some(&'\n') => {}
            '\n' if !is_quoted => end(&mut rows, &mut row, &mut cell),
            symbol => cell.push(symbol),
        }
    }
    end(&mut rows, &mut row, &mut cell);
    rows
}

fn end(rows: &mut Vec<Vec<String>>, row: &mut Vec<String>, cell: &mut String) {
    row.push(std::mem::take(cell));
    let row = std::mem::take(row);
    if row.len() > 1 || !row[0].is_empty() {
        rows.push(row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_keep_their_quotes_and_commas() {
        let table = rows("a,b\r\n\"x,\"\"y\",;\"z\n\n,\n\"open");
        assert_eq!(table, [vec!["a", "b"], vec!["x,\"y", ";\"z"], vec!["", ""], vec!["open"]]);
    }
}
