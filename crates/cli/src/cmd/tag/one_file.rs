//! Captions of all images in one file, as sd-scripts' script writes them (`--output_path`), byte by byte.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use lorabake_recipe::count;
use lorabake_weights::whole_file;
use serde_json::{Value, json};

use super::Worded;
use crate::terminal::{self, Shown};

/// Writes the file at `path`: one object for `.json`, a line for each image for `.jsonl`.
///
/// # Errors
/// When there is something else, or it cannot be written.
pub fn write(path: &Path, folder: &Path, rows: &[Worded], separator: &str) -> Result<()> {
    if path.starts_with(folder) && path.extension().is_some_and(|suffix| suffix == "txt" || suffix == "caption") {
        bail!("--output_path {}: it would be taken for a caption; call it .json or .jsonl", path.display());
    }
    let is_lines = path.extension().is_some_and(|suffix| suffix == "jsonl");
    let text = if is_lines { lines(rows, separator) } else { object(rows, separator) };
    if path.exists() {
        let earlier = path.with_extension(format!("{}.old", path.extension().unwrap_or_default().to_string_lossy()));
        if earlier.exists() {
            let shown = path.display();
            bail!("--output_path {shown}: it is there, and {} too; move them away", earlier.display());
        }
        whole_file::keep_as(path, &earlier).with_context(|| format!("--output_path {}", path.display()))?;
        terminal::say(&format!(
            "note: {}: the earlier one is kept as {}",
            Shown(path.display()),
            Shown(earlier.display())
        ));
    }
    let written = whole_file::write(path, |out| out.write_all(text.as_bytes()));
    written.with_context(|| format!("--output_path {}: it cannot be written; name another file", path.display()))?;
    terminal::say(&format!("{} written into {}", count(rows.len(), "caption"), Shown(path.display())));
    Ok(())
}

/// Python's `json.dump(…, ensure_ascii=False, indent=4)`.
fn object(rows: &[Worded], separator: &str) -> String {
    if rows.is_empty() {
        return "{}".to_owned();
    }
    let mut text = "{\n".to_owned();
    for (index, row) in rows.iter().enumerate() {
        let image = json!(row.pair.image.display().to_string());
        let tags = json!(row.words.join(separator));
        let [width, height] = row.size;
        let comma = if index + 1 < rows.len() { "," } else { "" };
        let _ = write!(
            text,
            "    {image}: {{\n        \"tags\": {tags},\n        \"image_size\": [\n            {width},\n            {height}\n        \
             ]\n    }}{comma}\n"
        );
    }
    text + "}"
}

/// Python's `json.dumps` of each, which writes no letter beyond ASCII.
fn lines(rows: &[Worded], separator: &str) -> String {
    let mut text = String::new();
    for row in rows {
        let image = ascii(&json!(row.pair.image.display().to_string()));
        let caption = ascii(&json!(row.words.join(separator)));
        let [width, height] = row.size;
        let _ =
            writeln!(text, "{{\"image_path\": {image}, \"caption\": {caption}, \"image_size\": [{width}, {height}]}}");
    }
    text
}

fn ascii(value: &Value) -> String {
    let mut text = String::new();
    for symbol in value.to_string().chars() {
        if symbol.is_ascii() {
            text.push(symbol);
            continue;
        }
        let mut units = [0; 2];
        for unit in symbol.encode_utf16(&mut units) {
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}
