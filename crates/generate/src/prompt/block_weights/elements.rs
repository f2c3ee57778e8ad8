//! Rules for kinds of layers, lora-block-weight's elemental: `BLOCKS:ELEMENTS:RATIO`.
//!
//! Both are words, separated by spaces, that are looked for in a module's name with its block's name behind it; one is
//! enough, an empty list takes all, `NOT` in front takes the others. Blocks may be ranges, `IN05-OUT05`.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::blocks::{BLOCKS, Block};
use crate::prompt::by_name::ByName;
use crate::prompt::characters::trim;
use crate::prompt::nearest::{nearest, shortened};
use crate::prompt::text_file;

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct ElementRule {
    blocks: Words,
    elements: Words,
    /// What takes the place of the block's ratio.
    pub ratio: f64,
}

#[derive(Debug, Clone, PartialEq)]
struct Words {
    words: Vec<String>,
    /// Whether those are meant that have none of the words.
    not: bool,
}

/// The named sets of rules of a file: sets are separated by empty lines, rules by newlines or commas.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Elements {
    /// Their rules, joined by commas.
    sets: ByName<String>,
}

impl Elements {
    /// Those of the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self::read(&text_file::read(path)?))
    }

    /// Those of a file's text. A part without a colon is left out. Of two with one name the last counts.
    pub fn read(text: &str) -> Self {
        let mut elements = Self::default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace('\r', "");
        for part in text.split("\n\n") {
            let Some((name, rules)) = part.split_once(':') else { continue };
            elements.sets.put(trim(name), trim(rules).replace('\n', ","));
        }
        elements
    }

    /// Whether there is a set of that name.
    pub fn has(&self, name: &str) -> bool {
        self.sets.get(name).is_some()
    }

    /// The rules of the set `name` as they were written, joined by commas.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.sets.get(name).map(String::as_str)
    }

    /// The rules of the set `name`.
    ///
    /// # Errors
    /// Names the nearest sets, or the rule that cannot be read.
    pub fn get(&self, name: &str) -> Result<Vec<ElementRule>> {
        let Some(text) = self.text(name) else {
            let names = nearest(name, self.sets.names());
            bail!("there are no rules for layers called `{}`; known are {names}", shortened(name));
        };
        let rules: Result<Vec<_>> = ElementRule::list(text);
        rules.with_context(|| format!("the rules for layers {name}"))
    }
}

impl ElementRule {
    /// Reads rules that are separated by commas or newlines.
    ///
    /// # Errors
    /// Names a rule that cannot be read.
    pub fn list(text: &str) -> Result<Vec<Self>> {
        text.split([',', '\n']).map(trim).filter(|rule| !rule.is_empty()).map(Self::read).collect()
    }

    fn read(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let &[blocks, elements, ratio] = parts.as_slice() else {
            bail!("`{}` is no rule; write BLOCKS:ELEMENTS:RATIO, as IN05-OUT05:attn:0", shortened(text));
        };
        let number = trim(ratio).parse::<f64>();
        let Some(ratio) = number.ok().filter(|number| number.is_finite()) else {
            bail!("`{}`: the ratio `{ratio}` is not a number; write for instance IN05-OUT05:attn:0", shortened(text));
        };
        let mut blocks = Words::read(blocks);
        blocks.expand_ranges()?;
        Ok(Self { blocks, elements: Words::read(elements), ratio })
    }

    /// Whether the rule is for the module, by its name with its block's behind it.
    pub(super) fn takes(&self, key: &str) -> bool {
        self.blocks.take(key) && self.elements.take(key)
    }
}

impl Words {
    fn read(text: &str) -> Self {
        let mut words: Vec<String> = trim(text).split(' ').map(ToOwned::to_owned).collect();
        let not = words[0] == "NOT";
        if not {
            words.remove(0);
        }
        Self { words, not }
    }

    /// `IN05-OUT05` becomes the names of the blocks from one to the other.
    fn expand_ranges(&mut self) -> Result<()> {
        let mut words = Vec::new();
        for word in &self.words {
            let Some((from, to)) = word.split_once('-') else {
                words.push(word.clone());
                continue;
            };
            match (Block::from_name(from), Block::from_name(to)) {
                (Some(from), Some(to)) if from <= to => {
                    words.extend(BLOCKS[from.index()..=to.index()].iter().map(ToString::to_string));
                }
                (Some(_), Some(_)) => bail!("the blocks {word} run backwards; write {to}-{from}"),
                _ => bail!("`{}` is no range of blocks; write for instance IN05-OUT05", shortened(word)),
            }
        }
        self.words = words;
        Ok(())
    }

    fn take(&self, key: &str) -> bool {
        self.words.iter().any(|word| key.contains(word.as_str())) != self.not
    }
}

impl fmt::Display for ElementRule {
    /// The rule as it is typed, ranges as the names of their blocks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.blocks, self.elements, self.ratio)
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.not { "NOT " } else { "" };
        write!(f, "{not}{}", self.words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_cannot_be_read_say_why() {
        for (text, said) in [
            ("IN05:attn", "`IN05:attn` is no rule; write BLOCKS:ELEMENTS:RATIO"),
            ("IN05:attn:x", "the ratio `x` is not a number"),
            ("IN05-OUT99:attn:1", "`IN05-OUT99` is no range of blocks"),
            ("OUT05-IN05:attn:1", "the blocks OUT05-IN05 run backwards; write IN05-OUT05"),
        ] {
            let error = ElementRule::list(text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let elements = Elements::read("ATTN:::0\n\nno colon\n\nATTM:IN05:a");
        let error = elements.get("ATT").unwrap_err().to_string();
        assert_eq!(error, "there are no rules for layers called `ATT`; known are ATTM, ATTN");
        assert!(elements.get("ATTM").is_err());
        let rules = ElementRule::list("NOT IN05-IN07:attn:0.5").unwrap();
        assert_eq!(rules[0].to_string(), "NOT IN05 IN06 IN07:attn:0.5");
    }
}
