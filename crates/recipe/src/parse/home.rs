//! `~` at the beginning of a path: shells put the home folder in its place only at the beginning of a word, so not in
//! `--output_dir=~/loras`, and nobody does in a recipe file.

use std::any::TypeId;
use std::path::{Path, PathBuf};

use clap::Command;
use clap::builder::{PathBufValueParser, TypedValueParser};

/// Why a path that begins with `~` cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {remedy}")]
pub(crate) struct NoHome {
    pub(crate) what: String,
    pub(crate) remedy: String,
}

/// The command, with the home folder in place of a leading `~` in every path that it takes.
pub fn with_home(command: Command) -> Command {
    command.mut_args(|arg| {
        if arg.get_value_parser().type_id() == TypeId::of::<PathBuf>() {
            return arg.value_parser(PathBufValueParser::new().try_map(expanded));
        }
        arg
    })
}

/// The path with the home folder in place of a leading `~`, unless something of that name stands here.
///
/// # Errors
/// If the home folder is another user's, or not known.
pub(crate) fn expanded(path: PathBuf) -> Result<PathBuf, NoHome> {
    let Some(first) = path.iter().next() else { return Ok(path) };
    if !first.to_string_lossy().starts_with('~') || Path::new(first).exists() {
        return Ok(path);
    }
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    in_home(&path, home.as_deref())
}

/// The path below this home folder; the path begins with `~`.
fn in_home(path: &Path, home: Option<&Path>) -> Result<PathBuf, NoHome> {
    let shown = path.display();
    let Ok(rest) = path.strip_prefix("~") else {
        let what = format!("`{shown}` may mean another user's home folder, which only a shell knows");
        return Err(NoHome { what, remedy: format!("write the whole path, or ./{shown}") });
    };
    let Some(home) = home else {
        let what = format!("`{shown}` means the home folder, which is not known");
        return Err(NoHome { what, remedy: "write the whole path".to_owned() });
    };
    Ok(if rest.as_os_str().is_empty() { home.to_owned() } else { home.join(rest) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_leading_tilde_is_the_home_folder() {
        for path in ["loras", "./~/loras", "a~", "", "/~"] {
            assert_eq!(expanded(path.into()), Ok(path.into()));
        }
        let home = Some(Path::new("house/penny"));
        assert_eq!(in_home(Path::new("~/a/b"), home), Ok("house/penny/a/b".into()));
        assert_eq!(in_home(Path::new("~"), home), Ok("house/penny".into()));
        assert!(in_home(Path::new("~/a"), None).unwrap_err().what.ends_with("is not known"));
        assert_eq!(in_home(Path::new("~bob/a"), home).unwrap_err().remedy, "write the whole path, or ./~bob/a");
    }

    #[cfg(windows)]
    #[test]
    fn backslashes_follow_a_tilde_too() {
        let home = Some(Path::new(r"C:\penny"));
        assert_eq!(in_home(Path::new(r"~\a"), home), Ok(r"C:\penny\a".into()));
    }
}
