//! Values that files of other programs hold, and that nobody would type: a length of prompts in between, a path of Windows
//! where there is no Windows.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Command;

use super::argv::Given;
use crate::report::Note;

/// The option as it acts, and a note that says so, if a file gives it a value that sd-scripts takes from files only.
pub(crate) fn tamed(given: &Given) -> Option<(Given, Note)> {
    let option = "max_token_length";
    let [value] = given.values.as_slice() else { return None };
    if given.name != option || given.file.is_none() {
        return None;
    }
    let typed: f64 = value.trim().parse().ok().filter(|typed: &f64| typed.fract() == 0.0 && *typed >= 1.0)?;
    // sd-scripts cuts such prompts into whole pieces of 75 tokens, with a remainder that is lost.
    let used = ((typed / 75.0).floor() * 75.0).clamp(75.0, 225.0);
    if used == typed {
        return None;
    }
    let text = format!("{typed} tokens are not possible, so {used} are used; write 75, 150 or 225");
    let given = Given { values: vec![used.to_string()], ..given.clone() };
    Some((given, Note { option: option.to_owned(), text }))
}

/// Options with a path such as `C:\images`, which elsewhere than on Windows is a name in the current folder.
#[derive(Debug, Default)]
pub(crate) struct WindowsPaths(BTreeMap<String, String>);

impl WindowsPaths {
    /// Looks at an option of `command`; a later value replaces an earlier one.
    pub(crate) fn note_down(&mut self, given: &Given, command: &Command) {
        self.0.remove(&given.name);
        let option = command.get_arguments().find(|option| option.get_long() == Some(&given.name));
        let is_path = option.is_some_and(|option| option.get_value_parser().type_id() == TypeId::of::<PathBuf>());
        if let Some(path) = given.values.iter().find(|value| is_of_windows(value))
            && is_path
            && !cfg!(windows)
        {
            self.0.insert(given.name.clone(), path.clone());
        }
    }

    /// What there is to tell of them, in one line.
    pub(crate) fn note(&self) -> Option<Note> {
        let (option, path) = self.0.first_key_value()?;
        let others: Vec<&str> = self.0.keys().skip(1).map(String::as_str).collect();
        let also = if others.is_empty() { String::new() } else { format!(", and so do {}", others.join(", ")) };
        let remedies: Vec<String> = self.0.keys().map(|option| format!("--{option}=…")).collect();
        let text = format!(
            "`{path}` is a path of Windows, which here is but a name in the current folder{also}; give paths of this system \
             on the command line: {}",
            remedies.join(" ")
        );
        Some(Note { option: option.clone(), text })
    }
}

/// `C:\images`, `C:/images` or `\\server\images`.
fn is_of_windows(path: &str) -> bool {
    match path.as_bytes() {
        [drive, b':', b'\\' | b'/', ..] => drive.is_ascii_alphabetic(),
        [b'\\', b'\\', next, ..] => *next != b'\\',
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str, value: &str) -> Given {
        Given { name: name.into(), values: vec![value.into()], file: Some("preset.json".into()) }
    }

    #[test]
    fn odd_lengths_of_presets_are_used_as_sd_scripts_uses_them() {
        for (typed, used) in [("255", "225"), ("100", "75"), ("200", "150"), ("1", "75"), ("225.5", ""), ("1e9", "225")]
        {
            let tamed = tamed(&given("max_token_length", typed)).map(|(given, _)| given.values[0].clone());
            assert_eq!(tamed.unwrap_or_default(), used, "{typed}");
        }
        assert!(
            ["75", "150", "225", "0", "-1", "x"].iter().all(|value| tamed(&given("max_token_length", value)).is_none())
        );
        let typed = Given { file: None, ..given("max_token_length", "255") };
        assert!(tamed(&typed).is_none(), "the command line is refused, as by sd-scripts");
    }

    #[cfg(not(windows))]
    #[test]
    fn paths_of_windows_are_told_in_one_line() {
        let command = crate::parse::command::command();
        let mut paths = WindowsPaths::default();
        assert_eq!(paths.note(), None);
        for (name, value) in [
            ("train_data_dir", "C:\\images"),
            ("output_dir", "d:/loras"),
            ("logging_dir", "\\\\server\\logs"),
            ("output_name", "C:\\x"),
            ("vae", "vae/C:\\x"),
            ("pretrained_model_name_or_path", "E:/a.safetensors"),
        ] {
            paths.note_down(&given(name, value), &command);
        }
        paths.note_down(&given("pretrained_model_name_or_path", "a.safetensors"), &command);
        let note = paths.note().unwrap();
        assert_eq!(note.option, "logging_dir");
        assert!(note.text.contains("and so do output_dir, train_data_dir;"), "{}", note.text);
        assert!(note.text.ends_with("--logging_dir=… --output_dir=… --train_data_dir=…"), "{}", note.text);
    }
}
