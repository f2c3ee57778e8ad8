//! The options of all commands as Markdown: `docs/options.md`, which `cargo xtask docs` writes from here.
//!
//! It says what `--help` says, with a link to each option. After ripgrep's flag table and uv's `generate_all`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Arg, ArgAction, Command};

use crate::command::program;
use crate::terminal;

const INTRODUCTION: &str = "\
<!-- Made by `cargo xtask docs` from the texts of `--help`; change those. -->

# Options

All options of all commands, as `--help` has them. Each has an address of its own, such as
[options.md#train-network_dim](#train-network_dim).

- Hyphens may stand for underscores: `--network-dim` is `--network_dim`.
- A value follows after a space or `=`. One with spaces in it needs quotation marks.
- An option of `train` without a value may be taken back with `=false`, where a recipe file has it: `--flip_aug=false`.
- A recipe file has the same names, without the hyphens: `network_dim = 32`, `flip_aug = true`.
- Options of sd-scripts that are not listed here are known by name: they are taken with a note if they change nothing in
  lorabake, and refused with what to do instead if they would. See [differences.md](differences.md).
";
/// The longest line of the page, links left out.
const WIDTH: usize = 118;

/// Prints the page.
///
/// # Errors
/// None.
pub fn run() -> Result<ExitCode> {
    terminal::data(&page(program()));
    Ok(ExitCode::SUCCESS)
}

/// The whole page.
fn page(mut program: Command) -> String {
    program.build();
    let train = program.find_subcommand("train").expect("the program has this command");
    let mut commands: Vec<&Command> = program.get_subcommands().filter(|command| is_shown(command)).collect();
    commands.sort_by_key(|command| !["train", "plan"].contains(&command.get_name()));
    let mut page = format!("{INTRODUCTION}\n| command | what it does |\n|---|---|\n");
    for command in &commands {
        let name = command.get_name();
        page += &format!("| [`lorabake {name}`](#lorabake-{name}) | {} |\n", about(command));
    }
    for command in commands {
        page += &Section { command, train, first: None }.text();
        let first = command.get_subcommands().next();
        for inner in command.get_subcommands().filter(|inner| is_shown(inner)) {
            page += &Section { command: inner, train, first }.text();
        }
    }
    page
}

fn is_shown(command: &Command) -> bool {
    !command.is_hide_set() && command.get_name() != "help"
}

/// What is typed behind `lorabake` to call a command.
fn words(command: &Command) -> String {
    let typed = command.get_bin_name().unwrap_or(command.get_name());
    typed.strip_prefix("lorabake ").unwrap_or(typed).to_owned()
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn help(arg: &Arg) -> String {
    arg.get_help().map(ToString::to_string).unwrap_or_default()
}

/// What the page says of one command. Options that it has in common with `train` are described there.
struct Section<'a> {
    command: &'a Command,
    train: &'a Command,
    /// The first of the commands beside it, if it is one within another: what they have in common is described there.
    first: Option<&'a Command>,
}

impl Section<'_> {
    fn text(&self) -> String {
        let name = words(self.command);
        let usage = self.command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").trim();
        let mut text = format!("\n## lorabake {name}\n\n{}\n\n    {usage}\n", self.wrapped(&about(self.command)));
        let inner: Vec<&Command> = self.command.get_subcommands().filter(|inner| is_shown(inner)).collect();
        if !inner.is_empty() {
            text += "\n| command | what it does |\n|---|---|\n";
        }
        for inner in inner {
            let name = words(inner);
            text += &format!("| [`lorabake {name}`](#lorabake-{}) | {} |\n", name.replace(' ', "-"), about(inner));
        }
        let mut heading = None;
        let mut repeats_train = false;
        let mut repeated = Vec::new();
        for arg in self.command.get_arguments().filter(|arg| is_described(arg)) {
            if self.is_of_train(arg) {
                repeats_train = true;
                continue;
            }
            if self.is_of_first(arg) {
                repeated.push(format!("[`{}`](#{})", spelling(arg, false), self.anchor(arg)));
                continue;
            }
            if heading != arg.get_help_heading() {
                heading = arg.get_help_heading();
                text += &format!("\n### {}\n", heading.unwrap_or("Others"));
            }
            text += &self.option(arg);
        }
        if !repeated.is_empty() {
            text += &format!("\nBesides, as above: {}.\n", repeated.join(", "));
        }
        if repeats_train {
            text += "\nBesides, every option of [`lorabake train`](#lorabake-train).\n";
        }
        text
    }

    /// Whether this is another command that has an option of `train`, with the same text.
    fn is_of_train(&self, arg: &Arg) -> bool {
        let same = |other: &Arg| other.get_id() == arg.get_id() && help(other) == help(arg);
        self.command.get_name() != "train" && self.train.get_arguments().any(same)
    }

    /// Whether the first of the commands beside it has this option, with the same text.
    fn is_of_first(&self, arg: &Arg) -> bool {
        let Some(first) = self.first else { return false };
        let same = |other: &Arg| other.get_id() == arg.get_id() && help(other) == help(arg);
        words(first) != words(self.command) && first.get_arguments().any(same)
    }

    /// One option: how it is written, its default, what it does, and what its values mean.
    fn option(&self, arg: &Arg) -> String {
        let (text, default) = split_default(arg);
        // The options of `train` take several values in a row, others are given again.
        let takes_rows = arg.get_long().is_none() || self.command.get_name() == "train";
        let mut head = format!("**`{}`**", spelling(arg, takes_rows));
        if let Some(default) = default {
            head += &format!(" · default: {}", self.marked(&default));
        }
        if arg.is_required_set() {
            head += " · required";
        }
        let anchor = self.anchor(arg);
        let mut entry = format!("\n<a id=\"{anchor}\"></a>\n{head}\\\n{}\n", self.wrapped(&text));
        if is_described_by_text(arg) {
            return entry;
        }
        for value in arg.get_possible_values().iter().filter(|value| !value.is_hide_set()) {
            let meaning = value.get_help().map(|text| format!(": {}", self.marked(&text.to_string())));
            entry += &format!("- `{}`{}\n", value.get_name(), meaning.unwrap_or_default());
        }
        entry
    }

    fn anchor(&self, arg: &Arg) -> String {
        let owner = match self.first {
            Some(first) if self.is_of_first(arg) => first,
            _ if self.is_of_train(arg) => self.train,
            _ => self.command,
        };
        format!("{}-{}", words(owner).replace(' ', "-"), arg.get_id())
    }

    /// A sentence or several as Markdown, in lines of the page's width.
    fn wrapped(&self, text: &str) -> String {
        let end = if text.ends_with('.') { "" } else { "." };
        let text = &format!("{text}{end}");
        let mut lines = String::new();
        let mut width = 0;
        for word in self.marked(text).split(' ') {
            let seen = word.split("](#").next().unwrap_or(word).chars().count();
            if width > 0 && width + 1 + seen > WIDTH {
                lines.push('\n');
                width = 0;
            } else if width > 0 {
                lines.push(' ');
                width += 1;
            }
            lines += word;
            width += seen;
        }
        lines
    }

    /// Plain text as Markdown, word by word; options that it mentions become links.
    fn marked(&self, text: &str) -> String {
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut markdown = String::new();
        for (index, part) in words.join(" ").split('`').enumerate() {
            let is_code = index % 2 == 1;
            if is_code {
                markdown += &format!("`{part}`");
            } else {
                let words: Vec<String> = part.split(' ').map(|word| self.marked_word(word)).collect();
                markdown += &words.join(" ");
            }
        }
        markdown
    }

    /// A word outside of code.
    fn marked_word(&self, word: &str) -> String {
        let Some(start) = word.find("--") else {
            return escaped(word);
        };
        let (before, option) = word.split_at(start);
        let belongs = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        let (name, rest) = option.split_at(option.find(|letter| !belongs(letter)).unwrap_or(option.len()));
        let value = if rest.starts_with('=') { rest.trim_end_matches(['.', ',', ';', ')']) } else { "" };
        let after = &rest[value.len()..];
        let known = self.command.get_arguments().find(|arg| arg.get_long() == name.strip_prefix("--"));
        let option = match known {
            Some(arg) => format!("[`{name}{value}`](#{})", self.anchor(arg)),
            None => format!("`{name}{value}`"),
        };
        format!("{}{option}{}", escaped(before), escaped(after))
    }
}

/// Whether the possible values are none to be listed: those of flags, and those that the text tells.
fn is_described_by_text(arg: &Arg) -> bool {
    !arg.get_action().takes_values() || arg.is_hide_possible_values_set()
}

fn is_described(arg: &Arg) -> bool {
    let id = arg.get_id().as_str();
    !arg.is_hide_set() && id != "help" && id != "version"
}

/// The option with its value, as one types it.
fn spelling(arg: &Arg, takes_rows: bool) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let values: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    let value = values.join(" ");
    let several = if takes_rows && matches!(arg.get_action(), ArgAction::Append) { " ..." } else { "" };
    match arg.get_long() {
        None => format!("{value}{several}"),
        Some(long) if is_flag(arg) => format!("--{long}"),
        Some(long) => format!("--{long} {value}{several}"),
    }
}

/// Whether the option may stand without a value.
fn is_flag(arg: &Arg) -> bool {
    !arg.get_action().takes_values() || arg.is_require_equals_set()
}

/// The text of an option, and its default: the one that the text names at its end, or the one that clap fills in.
fn split_default(arg: &Arg) -> (String, Option<String>) {
    let help = help(arg);
    if let Some((text, default)) = help.strip_suffix(']').and_then(|help| help.rsplit_once(" [default: ")) {
        return (text.to_owned(), Some(default.to_owned()));
    }
    let filled_in = arg.get_default_values().first().and_then(|value| value.to_str());
    let is_shown = arg.get_action().takes_values() && !arg.is_hide_default_value_set();
    let default = filled_in.filter(|_| is_shown).map(str::to_owned);
    (help, default)
}

/// A word in which nothing is taken for Markdown or HTML. Underscores within it are harmless.
fn escaped(word: &str) -> String {
    let mut escaped = String::new();
    for (index, letter) in word.char_indices() {
        let is_at_end = index == 0 || index + 1 == word.len();
        if "\\<>[]*".contains(letter) || letter == '_' && is_at_end {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_has_an_address_a_default_and_links() {
        let train = Command::new("train").arg(
            Arg::new("rank").long("rank").value_name("N").help("How much; see --scale=2, and `a <b>`. [default: 4]"),
        );
        let train = train.arg(Arg::new("scale").long("scale").value_name("X").help("A factor, not <this>"));
        let plan = Command::new("plan").args(train.get_arguments().cloned().collect::<Vec<_>>());
        let page = page(Command::new("lorabake").subcommand(train).subcommand(plan));
        let rank = "<a id=\"train-rank\"></a>\n**`--rank N`** · default: 4\\\n\
                    How much; see [`--scale=2`](#train-scale), and `a <b>`.\n";
        assert!(page.contains(rank), "{page}");
        assert!(page.contains("A factor, not \\<this\\>.\n"), "{page}");
        assert_eq!(page.matches("--rank N").count(), 1, "what plan has of train is not repeated: {page}");
        assert!(page.contains("## lorabake plan"), "{page}");
    }

    #[test]
    fn every_line_of_text_is_short() {
        let page = page(program());
        let long: Vec<&str> = page.lines().filter(|line| line.chars().count() > 120 && !line.contains("](#")).collect();
        assert!(long.is_empty(), "{long:#?}");
    }
}
