//! Which names a file can have on every system: LoRAs are passed on, and a web UI names them in prompts.

/// What Windows keeps for its devices, whatever follows the first dot.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// What is wrong with a name, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadName {
    pub(crate) what: String,
    pub(crate) remedy: &'static str,
}

/// Whether `name` can be the beginning of a file's name everywhere.
pub(crate) fn check(name: &str) -> Result<(), BadName> {
    if name.is_empty() {
        return Err(BadName { what: "the name is empty".to_owned(), remedy: "give one, or leave the option out" });
    }
    if name.contains(['/', '\\']) {
        let remedy = "give the name alone, and the folder with --output_dir";
        return Err(BadName { what: format!("`{name}` is a path"), remedy });
    }
    for character in name.chars() {
        if character.is_control() {
            let what = format!("`{}` has a control character in it", name.escape_debug());
            return Err(BadName { what, remedy: "leave it out" });
        }
        if "<>:\"|?*".contains(character) {
            let what = format!("`{name}` has a {character} in it, which Windows and prompts cannot name");
            return Err(BadName { what, remedy: "use letters, digits, - and _" });
        }
    }
    if name.ends_with(['.', ' ']) {
        let what = format!("`{name}` ends in a dot or a space, which Windows drops");
        return Err(BadName { what, remedy: "leave that out" });
    }
    if name.to_ascii_lowercase().ends_with(".safetensors") {
        return Err(BadName { what: format!("`{name}` ends as the file will"), remedy: "leave .safetensors out" });
    }
    if is_device(name) {
        let what = format!("`{name}` is the name of a device on Windows");
        return Err(BadName { what, remedy: "use another name" });
    }
    Ok(())
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    DEVICES.contains(&stem.as_str()) || port.is_some_and(|port| matches!(port.as_bytes(), [b'1'..=b'9']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_every_system_takes() {
        for name in ["penny", "penny-v1.2", "Ünïcode 鳥", "console", "com10", "lpt", "nullify", ".hidden"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_some_system_refuses() {
        let refused = [
            "",
            "a/b",
            "a\\b",
            "a:b",
            "a\tb",
            "a\0b",
            "a\nb",
            "penny.",
            "penny ",
            "NUL",
            "con.v1",
            "Com1",
            "lpt9.x.y",
            "a?",
            "<a",
            "a.safetensors",
        ];
        for name in refused {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
