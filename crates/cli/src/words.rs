//! How times and words of a shell are written, and how option names are read.

use std::ffi::OsString;

/// Hyphens count as underscores in the name of an option, as in sd-scripts.
pub fn with_underscores(word: OsString) -> OsString {
    let Some((name, value)) = word.to_str().and_then(|text| text.strip_prefix("--")).map(|option| {
        let end = option.find('=').unwrap_or(option.len());
        option.split_at(end)
    }) else {
        return word;
    };
    // A prompt may begin with hyphens, too; an option's name is one word.
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return word;
    }
    format!("--{}{value}", name.replace('-', "_")).into()
}

/// A length of time for people.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 9.95 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A word as a shell takes it.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_options_are_changed() {
        for (word, read) in [
            ("--cfg-scale", "--cfg_scale"),
            ("--lora-dir=my-loras", "--lora_dir=my-loras"),
            ("--a b-c", "--a b-c"),
            ("straw-hat", "straw-hat"),
            ("--", "--"),
        ] {
            assert_eq!(with_underscores(word.into()), read, "{word}");
        }
    }

    #[test]
    fn durations_and_quotes() {
        let times = [0.04, 9.9, 59.4, 61.0, 7322.0].map(duration);
        assert_eq!(times, ["0.0 s", "9.9 s", "59 s", "1 min 1 s", "2 h 2 min"]);
        assert_eq!([quoted("out/a.png"), quoted("it's <x>")], ["out/a.png".to_owned(), r"'it'\''s <x>'".to_owned()]);
    }
}
