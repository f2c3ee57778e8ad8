//! How the journal names files: relative to the data set, with `/` on every system, so that a data set that is moved or
//! copied together with its journal keeps it. A journal is data of a stranger: no name leads out of the folder.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A file or folder of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Spot {
    /// In the data set.
    Set(String),
    /// Among what was set aside.
    SetAside(String),
}

impl Spot {
    /// The spot of `path`, which is at `below` in the data set.
    pub(super) fn set(path: &Path, below: &Path) -> Result<Self, Error> {
        Ok(Self::Set(Self::name(path, below)?))
    }

    /// `below` with `/` between its parts; `path` is for messages.
    pub(super) fn name(path: &Path, below: &Path) -> Result<String, Error> {
        let mut name = String::new();
        for part in below.components() {
            let part = match part {
                Component::Normal(part) => part.to_str(),
                _ => None,
            };
            let Some(part) = part else {
                return Err(Error::file(path, "its name is not Unicode; rename it"));
            };
            if !name.is_empty() {
                name.push('/');
            }
            name += part;
        }
        if is_safe(&name) {
            Ok(name)
        } else {
            Err(Error::file(path, "its name cannot be kept in a journal; rename it"))
        }
    }

    /// Whether it lies in the folder that it is said to be in.
    pub(super) fn is_safe(&self) -> bool {
        match self {
            Self::Set(name) | Self::SetAside(name) => is_safe(name),
        }
    }
}

fn is_safe(name: &str) -> bool {
    !name.is_empty() && name.split('/').all(is_safe_part)
}

fn is_safe_part(part: &str) -> bool {
    let has_forbidden = part.contains('\0') || cfg!(windows) && part.contains(['\\', ':']);
    !matches!(part, "" | "." | "..") && !has_forbidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out() {
        for name in ["", "/etc/passwd", "../a", "a/../../b", "a//b", "./a", "a/", "a\0b"] {
            assert!(!Spot::Set(name.to_owned()).is_safe(), "{name}");
        }
        assert!(Spot::Set("10_penny/a.txt".to_owned()).is_safe());
        assert_eq!(Spot::Set("C:/a".to_owned()).is_safe(), !cfg!(windows));
        assert_eq!(Spot::SetAside(r"a\..\b".to_owned()).is_safe(), !cfg!(windows));
    }
}
