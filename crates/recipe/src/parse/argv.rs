//! Splits a command line into options with their values, the way sd-scripts' argument parser does.
//!
//! Names are not checked here and values stay text.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::report::Problem;

/// One option as it was given, on the command line or in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    /// Name with underscores, without dashes.
    pub(crate) name: String,
    /// The values as text; none for a flag.
    pub(crate) values: Vec<String>,
    /// The recipe file that it stands in; `None` = the command line.
    pub(crate) file: Option<PathBuf>,
}

impl Given {
    pub(crate) fn problem(&self, what: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem { option: Some(self.name.clone()), what: what.into(), remedy: remedy.into(), file: self.file.clone() }
    }
}

/// Options as they were read, in order, and what could not be read.
#[derive(Debug, Default)]
pub(crate) struct ReadOptions {
    pub(crate) options: Vec<Given>,
    pub(crate) problems: Vec<Problem>,
}

/// Hyphens count as underscores in the name of an option.
pub(crate) fn plain_name(name: &str) -> String {
    name.replace('-', "_")
}

/// The options of `argv`, which holds what follows `lorabake train`. A word before all options is the recipe file; others
/// that belong to no option are problems.
pub(crate) fn split(argv: &[OsString]) -> ReadOptions {
    let mut read = ReadOptions::default();
    let mut words = argv;
    if let Some(word) = argv.first().and_then(|word| word.to_str())
        && !word.starts_with(['-', '–', '—'])
    {
        words = &argv[1..];
        read.options.push(Given { name: "config_file".to_owned(), values: vec![word.to_owned()], file: None });
    }
    // Whether the last option was none, so that its values are nobody's.
    let mut is_lost = false;
    for word in words {
        let Some(word) = word.to_str() else {
            read.problems.push(stray(&word.to_string_lossy(), "is not valid UTF-8", "rename the file or folder"));
            continue;
        };
        if word.starts_with(['–', '—']) {
            read.problems.push(stray(word, "begins with a long dash", "type two hyphens, --, instead"));
            is_lost = true;
        } else if is_short_option(word) {
            read.problems.push(stray(word, "begins with one hyphen", "type two, --, before the name of an option"));
            is_lost = true;
        } else if let Some(option) = word.strip_prefix("--") {
            let (name, values) = match option.split_once('=') {
                Some((name, value)) => (name, vec![value.to_owned()]),
                None => (option, Vec::new()),
            };
            read.options.push(Given { name: plain_name(name), values, file: None });
            is_lost = false;
        } else if is_lost {
            // It was told already.
        } else if let Some(option) = read.options.last_mut() {
            option.values.push(word.to_owned());
        } else {
            read.problems.push(stray(word, "belongs to no option", "begin with an option, such as --train_data_dir"));
        }
    }
    read
}

/// Whether a word looks like an option with one hyphen, of which there are none; -0.1 and -inf are numbers.
fn is_short_option(word: &str) -> bool {
    let Some(name) = word.strip_prefix('-') else { return false };
    name.starts_with(|letter: char| letter.is_ascii_alphabetic()) && word.parse::<f64>().is_err()
}

fn stray(word: &str, what: &str, remedy: &str) -> Problem {
    Problem { option: None, what: format!("`{word}` {what}"), remedy: remedy.to_owned(), file: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Vec<(String, Vec<String>)> {
        let argv: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let read = split(&argv);
        assert_eq!(read.problems, []);
        read.options.into_iter().map(|option| (option.name, option.values)).collect()
    }

    #[test]
    fn values_follow_an_equals_sign_or_a_space() {
        let given = options("--flip-aug --seed=420 --network_args conv_dim=4 conv_alpha=1 --noise_offset -0.1");
        let expected = [
            ("flip_aug", vec![]),
            ("seed", vec!["420"]),
            ("network_args", vec!["conv_dim=4", "conv_alpha=1"]),
            ("noise_offset", vec!["-0.1"]),
        ];
        let expected: Vec<_> = expected
            .map(|(name, values)| (name.to_owned(), values.iter().map(|v: &&str| v.to_string()).collect()))
            .into();
        assert_eq!(given, expected);
    }
}
