//! The next recipe: that of the run with what the advice changes, each change marked.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lorabake_judge::advice::{Advice, Change};
use lorabake_recipe::Recipe;
use lorabake_weights::whole_file;

/// Refuses a file that is there, before anything is measured.
///
/// # Errors
/// Names it.
pub fn check(path: &Path) -> Result<()> {
    if path.exists() {
        bail!("--apply {}: it is there already; name a new file", path.display());
    }
    Ok(())
}

/// Writes the next recipe to `path`, which must not exist yet; what was changed.
///
/// # Errors
/// When the file is there already or cannot be written.
pub fn apply(path: &Path, recipe: &Recipe, advice: &[Advice]) -> Result<Vec<Change>> {
    check(path)?;
    let mut changes: Vec<Change> = Vec::new();
    for change in advice.iter().flat_map(|piece| &piece.changes) {
        // The first piece of advice is the most important one.
        if !changes.iter().any(|known| known.option == change.option) {
            changes.push(change.clone());
        }
    }
    let name = &recipe.output.name;
    let renamed = Change { option: "output_name".to_owned(), from: name.clone(), to: format!("{name}-next") };
    let text = changed(&recipe.to_toml()?, changes.iter().chain([&renamed]));
    whole_file::write(path, |file| file.write_all(text.as_bytes()))
        .with_context(|| format!("--apply {}", path.display()))?;
    Ok(changes)
}

/// A recipe with changes, each with what it was in a comment; options that it lacks come first.
fn changed<'a>(recipe: &str, changes: impl Iterator<Item = &'a Change>) -> String {
    let mut lines: Vec<String> = recipe.lines().map(str::to_owned).collect();
    let mut new = Vec::new();
    for change in changes {
        let start = format!("{} =", change.option);
        let value = value(&change.to);
        match lines.iter_mut().find(|line| line.starts_with(&start)) {
            Some(line) => {
                let was = line[start.len()..].trim().to_owned();
                *line = format!("{start} {value} # judge: was {was}");
            }
            None => new.push(format!("{start} {value} # judge: was not given")),
        }
    }
    new.extend(lines);
    new.join("\n") + "\n"
}

/// A value as TOML writes it.
fn value(text: &str) -> String {
    if text == "true" || text == "false" || text.parse::<i64>().is_ok() {
        return text.to_owned();
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => format!("{number:?}"),
        // A string of JSON is one of TOML.
        _ => serde_json::Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(option: &str, to: &str) -> Change {
        Change { option: option.to_owned(), from: String::new(), to: to.to_owned() }
    }

    #[test]
    fn changes_are_marked_and_what_is_new_comes_first() {
        let recipe = "[optim]\nunet_lr = 0.003\nlr_scheduler = \"cosine\"\n";
        let changes = [change("unet_lr", "2e-3"), change("trigger_word", "penny"), change("prior_prediction", "true")];
        let text = changed(recipe, changes.iter());
        assert_eq!(
            text,
            "trigger_word = \"penny\" # judge: was not given\nprior_prediction = true # judge: was not given\n[optim]\n\
             unet_lr = 0.002 # judge: was 0.003\nlr_scheduler = \"cosine\"\n"
        );
    }

    #[test]
    fn values_are_those_of_toml() {
        assert_eq!(["4", "2e-4", "false", "a \"b\""].map(value), ["4", "0.0002", "false", "\"a \\\"b\\\"\""]);
    }
}
