//! Commands that take the options of `lorabake train` beside their own: which words are whose.
//!
//! clap hands on, untouched, all words behind the last one that it knows. So the command's own options are put in front of
//! the others, whatever the order in which they were typed.

use std::ffi::OsString;

use clap::{Arg, Command};

/// The commands that this is for.
const COMMANDS: [&str; 2] = ["reg", "gachamax"];

/// Puts the own options of a command that hands on the rest in front; `argv` begins with the name of the `program`.
pub fn own_first(argv: Vec<OsString>, program: &Command) -> Vec<OsString> {
    let Some(name) = argv.get(1).and_then(|word| word.to_str()).filter(|name| COMMANDS.contains(name)) else {
        return argv;
    };
    let command = program.find_subcommand(name).expect("the program has this command");
    let mut first = argv[..2].to_vec();
    let mut rest = Vec::new();
    let mut words = argv[2..].iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if text == "-h" || text == "--help" {
            first.push(word.clone());
        } else if let Some(option) = own(command, &text) {
            first.push(word.clone());
            if option.get_action().takes_values() && !text.contains('=') {
                first.extend(words.next().cloned());
            }
        } else {
            rest.push(word.clone());
        }
    }
    first.extend(rest);
    first
}

/// The option of `command` that a word names.
fn own<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let name = word.strip_prefix("--")?.split('=').next()?;
    command.get_arguments().find(|arg| arg.get_long() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::program;

    fn ordered(line: &str) -> String {
        let argv = line.split(' ').map(OsString::from).collect();
        let words: Vec<String> =
            own_first(argv, &program()).iter().map(|word| word.to_string_lossy().into_owned()).collect();
        words.join(" ")
    }

    #[test]
    fn own_options_come_first_with_their_values() {
        let line =
            "lorabake reg penny.toml --seed 3 --number 4 --clip_skip=2 --class_prompt --odd --bucket_size --help";
        let wanted =
            "lorabake reg --number 4 --class_prompt --odd --bucket_size --help penny.toml --seed 3 --clip_skip=2";
        assert_eq!(ordered(line), wanted);
        let other = "lorabake demo --seed 1 style";
        assert_eq!(ordered(other), other);
    }
}
