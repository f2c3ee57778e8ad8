//! Named lists of block weights: the built-in ones, and those of a file `lbwpresets.txt`.

use std::path::Path;

use anyhow::{Result, bail};

use super::list::List;
use crate::prompt::by_name::ByName;
use crate::prompt::characters::trim;
use crate::prompt::nearest::{nearest, shortened};
use crate::prompt::text_file;

/// Presets by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Presets {
    /// Their lists, in the order in which they were read.
    lists: ByName<String>,
    /// Lines of a file that are no presets, and why.
    pub notes: Vec<String>,
}

/// Those of lora-block-weight (`DEF_WEIGHT_PRESET`).
const BUILT_IN: &str = "\
NONE:0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0
ALL:1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1
INS:1,1,1,1,0,0,0,0,0,0,0,0,0,0,0,0,0
IND:1,0,0,0,1,1,1,0,0,0,0,0,0,0,0,0,0
INALL:1,1,1,1,1,1,1,0,0,0,0,0,0,0,0,0,0
MIDD:1,0,0,0,1,1,1,1,1,1,1,1,0,0,0,0,0
OUTD:1,0,0,0,0,0,0,0,1,1,1,1,0,0,0,0,0
OUTS:1,0,0,0,0,0,0,0,0,0,0,0,1,1,1,1,1
OUTALL:1,0,0,0,0,0,0,0,1,1,1,1,1,1,1,1,1
ALL0.5:0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5";

impl Presets {
    /// The presets that need no file.
    pub fn built_in() -> Self {
        Self::read(BUILT_IN)
    }

    /// The presets of the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let mut presets = Self::read(&text_file::read(path)?);
        for note in &mut presets.notes {
            *note = format!("{}: {note}", path.display());
        }
        Ok(presets)
    }

    /// The presets of a file's text: lines `NAME:values`, with 12, 17, 20, 26 or 61 values and without `#`. Other lines are left
    /// out, and named in the notes unless they are comments. Of two with one name the last counts.
    pub fn read(text: &str) -> Self {
        let mut read = Self::default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in text.lines().enumerate() {
            if trim(line).is_empty() || trim(line).starts_with('#') {
                continue;
            }
            match preset(line) {
                Ok(preset) => read.lists.put(preset.name, preset.values.to_owned()),
                Err(why) => read.notes.push(format!("line {} is no preset: {why}", number + 1)),
            }
        }
        read
    }

    /// These presets, and those of `others` whose names are not taken.
    #[must_use]
    pub fn or(mut self, others: Self) -> Self {
        self.lists.add_others(others.lists);
        self.notes.extend(others.notes);
        self
    }

    /// All names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lists.names()
    }

    /// Whether there is a preset of exactly that name.
    pub fn has(&self, name: &str) -> bool {
        self.lists.get(name).is_some()
    }

    /// What a tag means by `text`: a preset's name, or the list itself.
    ///
    /// # Errors
    /// Names the nearest presets, or says what is wrong with the list.
    pub fn list(&self, text: &str) -> Result<List> {
        if let Some(values) = self.lists.get(text) {
            return match List::read(values) {
                Ok(list) => Ok(list),
                Err(error) => bail!("the preset {text}: {error}"),
            };
        }
        if text.contains(',') {
            return List::read(text);
        }
        if text.is_empty() {
            bail!("it names no block weights; write for instance lbw=MIDD, or leave it out");
        }
        if let Some(name) = self.names().find(|name| name.eq_ignore_ascii_case(text)) {
            bail!("there is no preset `{text}` of block weights; write {name} as it is spelled");
        }
        let name = shortened(text);
        bail!("there is no preset `{name}` of block weights; the nearest are {}", nearest(text, self.names()))
    }
}

/// A line of a file.
struct Preset<'a> {
    name: &'a str,
    values: &'a str,
}

fn preset(line: &str) -> Result<Preset<'_>, String> {
    let Some((name, values)) = line.split_once(':') else {
        return Err("it has no colon; write NAME:values".to_owned());
    };
    if line.contains('#') {
        return Err("it has a #; take that out".to_owned());
    }
    let count = values.split(',').count();
    if !List::is_length(count) {
        return Err(format!("it has {count} values; give 12, 17, 20 or 26"));
    }
    Ok(Preset { name: trim(name), values: trim(values) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_before_what_is_built_in() {
        let ones = vec!["0.3"; 17].join(",");
        let presets = Presets::read(&format!("\u{feff}MIDD:{ones}\r\n\r\n# c\r\nBAD:1\r\nX#:{ones}\r\nwords"));
        let presets = presets.or(Presets::built_in());
        assert_eq!(presets.names().count(), 10);
        assert_eq!(presets.list("MIDD").unwrap(), List::read(&ones).unwrap());
        let notes = presets.notes.join("\n");
        assert_eq!(
            notes,
            "line 4 is no preset: it has 1 values; give 12, 17, 20 or 26\n\
             line 5 is no preset: it has a #; take that out\n\
             line 6 is no preset: it has no colon; write NAME:values"
        );
    }

    #[test]
    fn a_name_that_is_none_is_answered_with_the_nearest() {
        let presets = Presets::built_in();
        for (name, said) in [
            ("midd", "write MIDD as it is spelled"),
            ("MIDDD", "there is no preset `MIDDD` of block weights; the nearest are MIDD, "),
            ("", "it names no block weights"),
            ("1,2", "has 2 block weights"),
        ] {
            let error = presets.list(name).unwrap_err().to_string();
            assert!(error.contains(said), "{name}: {error}");
        }
        let broken = Presets::read("W:a,1,1,1,1,1,1,1,1,1,1,1").list("W").unwrap_err().to_string();
        assert_eq!(broken, "the preset W: the block weight `a` is not a number; write a number, R, U or X");
    }
}
