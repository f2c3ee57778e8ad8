//! Errors in words: a line for each thing that is to be mended, each beginning with `error:`.

use std::fmt::Display;
use std::process::ExitCode;

use lorabake_data::{Error, Errors};
use lorabake_recipe::{Problem, Problems};

use crate::terminal::{self, Shown};

/// So many of a kind are told, the others counted.
const TOLD: usize = 10;

/// Prints an error: a line, or where it is a list, a line for each entry.
pub fn tell(error: &anyhow::Error) {
    lines(error).iter().for_each(|line| terminal::say(line));
}

/// The error with its causes, each line as it is printed.
fn lines(error: &anyhow::Error) -> Vec<String> {
    let mut text = String::new();
    for cause in error.chain() {
        if let Some(errors) = cause.downcast_ref::<Errors>() {
            return counted(&errors.0, Error::is_like, &before(&text));
        }
        if let Some(problems) = cause.downcast_ref::<Problems>() {
            return counted(&problems.0, is_like, &before(&text));
        }
        if let Some(problems) = cause.downcast_ref::<lorabake_generate::problems::Problems>() {
            return counted(&problems.0, |_, _| false, &before(&text));
        }
        let cause = cause.to_string().replace('\n', " ");
        // A cause that the text before already tells is not repeated.
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    vec![format!("error: {text}")]
}

/// Whether two problems are lines of a file that are to be mended alike; an option is always told.
fn is_like(one: &Problem, other: &Problem) -> bool {
    one.option.is_none() && other.option.is_none() && one.remedy == other.remedy
}

/// What each error of a list begins with; `text` is what the list is the cause of.
fn before(text: &str) -> String {
    if text.is_empty() { "error: ".to_owned() } else { format!("error: {text}: ") }
}

/// A line for each of `all`, beginning with `before`; those of a kind together, and of many the first ones.
pub fn counted<T: Display>(all: &[T], is_like: fn(&T, &T) -> bool, before: &str) -> Vec<String> {
    let mut kinds: Vec<Vec<&T>> = Vec::new();
    for one in all {
        match kinds.iter_mut().find(|alike| is_like(alike[0], one)) {
            Some(alike) => alike.push(one),
            None => kinds.push(vec![one]),
        }
    }
    let mut lines = Vec::new();
    for alike in kinds {
        lines.extend(alike.iter().take(TOLD).map(|one| format!("{before}{}", Shown(one))));
        if alike.len() > TOLD {
            lines.push(format!("  and {} more of this kind", alike.len() - TOLD));
        }
    }
    lines
}

/// Prints what clap has to say, an error in one line; returns the exit code.
pub fn refuse(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if !error.use_stderr() {
        terminal::result(&text);
        return ExitCode::SUCCESS;
    }
    let told = text.split("Usage:").next().unwrap_or(&text);
    if !told.starts_with("error:") {
        terminal::say_lines(text.trim_end());
        return ExitCode::from(2);
    }
    let hint = "For more information";
    let lines = told.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(hint));
    let line = lines.collect::<Vec<_>>().join("; ").replace(":; ", ": ");
    terminal::say(&format!("{line}; all options are explained by --help"));
    ExitCode::from(2)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_chain_is_one_line_that_says_nothing_twice() {
        let error = anyhow!("disk\nfull").context("cannot save a.safetensors: disk full").context("the bake failed");
        assert_eq!(lines(&error), ["error: the bake failed: cannot save a.safetensors: disk full"]);
    }

    #[test]
    fn a_list_has_a_line_for_each_and_many_alike_are_counted() {
        let caption = |index: usize| Error::Caption {
            path: format!("{index}.txt").into(),
            cause: format!("the caption is not UTF-8 (byte 0x92 in line {index}); save it as UTF-8"),
        };
        let mut errors: Vec<Error> = (1..=200).map(caption).collect();
        errors.insert(3, Error::NoImages { flag: "--reg_data_dir", dir: "reg".into() });
        let lines = lines(&anyhow::Error::new(Errors(errors)).context("set"));
        assert_eq!(lines.len(), 12);
        let first = "error: set: 1.txt: the caption is not UTF-8 (byte 0x92 in line 1); save it as UTF-8";
        assert_eq!((lines[0].as_str(), lines[10].as_str()), (first, "  and 190 more of this kind"));
        assert!(lines[11].starts_with("error: set: --reg_data_dir reg: no images"), "{}", lines[11]);
    }

    #[test]
    fn options_that_do_not_go_together_have_a_line_each() {
        let problem =
            |what: &str| Problem { option: None, what: what.into(), remedy: "leave it out".into(), file: None };
        let error = anyhow::Error::new(Problems(vec![problem("one"), problem("two")])).context("a.safetensors");
        assert_eq!(
            lines(&error),
            ["error: a.safetensors: one; leave it out", "error: a.safetensors: two; leave it out"]
        );
    }
}
