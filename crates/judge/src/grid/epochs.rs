//! Values of the axis `epoch`: which snapshots of a run.

use std::path::Path;

use lorabake_weights::formats::tensor_file::TensorFile;

use crate::runs::{Run, Saved, Snapshot};

/// A value of the axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What is written beside its pictures.
    pub label: String,
    /// The snapshot's file name without suffix; `None` = without the LoRA.
    pub name: Option<String>,
}

/// A snapshot with the number by which it is asked for.
struct Numbered<'a> {
    snapshot: &'a Snapshot,
    number: Option<u64>,
    label: String,
}

/// The snapshots that `list` asks for: `all`, `last 3`, `5`, `5-10`, `2-10 (+2)`, `end`, and `none` for a picture
/// without it. Numbers are epochs, or steps if nothing was saved by epochs.
///
/// # Errors
/// When the run has no such snapshot, or a value is none of these.
pub fn choose(run: &Run, list: &[String]) -> Result<Vec<Choice>, String> {
    let all = numbered(run);
    let mut chosen = Vec::new();
    for text in list.iter().filter(|text| !text.is_empty()) {
        let word = text.to_lowercase();
        if word == "none" {
            chosen.push(Choice { label: "without".to_owned(), name: None });
        } else if word == "all" {
            chosen.extend(all.iter().map(choice));
        } else if let Some(count) = word.strip_prefix("last") {
            let count: usize =
                if count.trim().is_empty() { 1 } else { count.trim().parse().map_err(|_| wrong(text))? };
            chosen.extend(all[all.len() - count.min(all.len())..].iter().map(choice));
        } else if word == "end" {
            let end = all.iter().find(|one| one.snapshot.saved == Saved::End);
            chosen.push(choice(end.ok_or_else(|| missing(text, &all))?));
        } else if let Ok(number) = word.parse::<u64>() {
            let one = all.iter().find(|one| one.number == Some(number));
            chosen.push(choice(one.ok_or_else(|| missing(text, &all))?));
        } else {
            chosen.extend(in_range(&word, &all).ok_or_else(|| wrong(text))?);
        }
    }
    if chosen.is_empty() {
        return Err(missing(&list.join(", "), &all));
    }
    Ok(chosen)
}

/// The last snapshot of a run.
pub fn last(run: &Run) -> Option<Choice> {
    numbered(run).last().map(choice)
}

/// Those of `5-10` or `2-10 (+2)` that are there.
fn in_range(word: &str, all: &[Numbered<'_>]) -> Option<Vec<Choice>> {
    let (from, rest) = word.split_once('-')?;
    let (to, step) = rest.split_once('(').unwrap_or((rest, "+1)"));
    let from: u64 = from.trim().parse().ok()?;
    let to: u64 = to.trim().parse().ok()?;
    let step: u64 = step.trim().strip_suffix(')')?.strip_prefix('+')?.parse().ok()?;
    if step == 0 {
        return None;
    }
    let mut chosen = Vec::new();
    for one in all {
        let is_in = |number: u64| (from..=to).contains(&number) && (number - from).is_multiple_of(step);
        if one.number.is_some_and(is_in) {
            chosen.push(choice(one));
        }
    }
    Some(chosen)
}

fn choice(one: &Numbered<'_>) -> Choice {
    let name = one.snapshot.path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Choice { label: one.label.clone(), name }
}

/// The snapshots of a run; the last one's number is in its file.
fn numbered(run: &Run) -> Vec<Numbered<'_>> {
    let has_epochs = run.snapshots.iter().any(|snapshot| matches!(snapshot.saved, Saved::Epoch(_)));
    let by_steps = !has_epochs && run.snapshots.iter().any(|snapshot| matches!(snapshot.saved, Saved::Step(_)));
    let key = if by_steps { "ss_steps" } else { "ss_epoch" };
    let mut all = Vec::new();
    for snapshot in &run.snapshots {
        let (number, label) = match snapshot.saved {
            Saved::Epoch(epoch) => (Some(epoch), format!("epoch {epoch}")),
            Saved::Step(step) => (if has_epochs { None } else { Some(step) }, format!("step {step}")),
            Saved::End => match said(&snapshot.path, key) {
                Some(number) => (Some(number), format!("{} {number} (end)", if by_steps { "step" } else { "epoch" })),
                None => (None, "end".to_owned()),
            },
        };
        all.push(Numbered { snapshot, number, label });
    }
    all
}

/// A number of a file's metadata.
fn said(path: &Path, key: &str) -> Option<u64> {
    TensorFile::open(path).ok()?.metadata().get(key)?.trim().parse().ok()
}

fn wrong(text: &str) -> String {
    format!("`{text}` is no choice of snapshots; write all, last 3, 5, 5-10, end or none")
}

fn missing(text: &str, all: &[Numbered<'_>]) -> String {
    let labels: Vec<&str> = all.iter().map(|one| one.label.as_str()).collect();
    format!("there is no snapshot {text}; there are {}", labels.join(", "))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn run(saved: &[Saved]) -> Run {
        let mut snapshots = Vec::new();
        for (index, saved) in saved.iter().enumerate() {
            snapshots.push(Snapshot { path: PathBuf::from(format!("{index}.safetensors")), saved: *saved });
        }
        Run { folder: PathBuf::new(), name: "a".to_owned(), snapshots }
    }

    fn labels(run: &Run, list: &[&str]) -> Result<Vec<String>, String> {
        let list: Vec<String> = list.iter().map(|text| (*text).to_owned()).collect();
        Ok(choose(run, &list)?.into_iter().map(|choice| choice.label).collect())
    }

    #[test]
    fn snapshots_are_chosen_by_epoch_or_else_by_step() {
        let epochs = run(&[Saved::Step(50), Saved::Epoch(2), Saved::Epoch(4), Saved::Epoch(6), Saved::End]);
        assert_eq!(labels(&epochs, &["all"]).unwrap().len(), 5);
        assert_eq!(labels(&epochs, &["last 2", "none"]).unwrap(), ["epoch 6", "end", "without"]);
        assert_eq!(labels(&epochs, &["3-10", "2"]).unwrap(), ["epoch 4", "epoch 6", "epoch 2"]);
        assert_eq!(labels(&epochs, &["2-6 (+4)"]).unwrap(), ["epoch 2", "epoch 6"]);
        let steps = run(&[Saved::Step(50), Saved::Step(100)]);
        assert_eq!(labels(&steps, &["100", "last"]).unwrap(), ["step 100", "step 100"]);
        for (list, said) in
            [("5", "no snapshot 5; there are step 50, step 100"), ("end", "no snapshot end"), ("x", "write all")]
        {
            assert!(labels(&steps, &[list]).unwrap_err().contains(said), "{list}");
        }
        assert!(labels(&steps, &["1-2"]).unwrap_err().contains("no snapshot 1-2"));
        assert!(labels(&steps, &["1-2 (+0)"]).is_err());
    }
}
