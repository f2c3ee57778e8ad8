//! How much of each model goes into each tensor: a number, numbers by block, and words that single tensors out.
//!
//! Words are supermerger's: `BLOCKS:ELEMENTS:RATIO`, several with commas or on lines; blocks and elements stand apart by
//! blanks, `IN05-OUT05` is a range, `NOT` in front inverts, an element is a part of the key; the last that fits holds.

use lorabake_recipe::model::Family;

use crate::block::{Block, BlockWeights, is_vae};

/// A ratio for every tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Ratio {
    /// Without blocks: for all.
    pub base: f64,
    /// By block.
    pub blocks: Option<BlockWeights>,
    /// By words.
    pub elements: Vec<Element>,
}

/// A ratio for some tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    blocks: Words<Block>,
    parts: Words<String>,
    ratio: f64,
}

/// Words of which one must fit, or none.
#[derive(Debug, Clone, PartialEq)]
struct Words<T> {
    inverted: bool,
    any: Vec<T>,
}

impl<T> Words<T> {
    /// Whether they fit; no words at all fit everything.
    fn fit(&self, fits: impl Fn(&T) -> bool) -> bool {
        self.any.is_empty() || self.any.iter().any(fits) != self.inverted
    }
}

impl Ratio {
    /// The same for all.
    pub fn everywhere(base: f64) -> Self {
        Self { base, blocks: None, elements: Vec::new() }
    }

    /// That of a tensor.
    pub fn of(&self, key: &str, family: Family) -> f64 {
        let block = Block::of_key(key, family);
        let mut ratio = self.blocks.as_ref().map_or(self.base, |blocks| blocks.of(block));
        for element in &self.elements {
            let in_block = element.blocks.fit(|own| *own == block);
            if in_block && element.parts.fit(|part| key.contains(part.as_str())) {
                ratio = element.ratio;
            }
        }
        ratio
    }
}

/// Reads words of several elements.
///
/// # Errors
/// When one is not in the form `BLOCKS:ELEMENTS:RATIO`.
pub fn elements(text: &str, family: Family) -> Result<Vec<Element>, String> {
    let mut elements = Vec::new();
    for line in text.split([',', '\n']).map(str::trim).filter(|line| !line.is_empty()) {
        let [blocks, parts, ratio] = line.split(':').collect::<Vec<_>>()[..] else {
            return Err(format!("`{line}` is not BLOCKS:ELEMENTS:RATIO, such as OUT03-OUT05:attn1 attn2:0.5"));
        };
        let ratio: f64 = ratio.trim().parse().map_err(|_| format!("`{ratio}` in `{line}` is no number"))?;
        let (inverted, words) = words(blocks);
        let blocks = Words { inverted, any: block_words(&words, family)? };
        let (inverted, words) = self::words(parts);
        let parts = Words { inverted, any: words.into_iter().map(str::to_string).collect() };
        elements.push(Element { blocks, parts, ratio });
    }
    Ok(elements)
}

/// Words that stand apart by blanks, and whether `NOT` stands in front.
fn words(text: &str) -> (bool, Vec<&str>) {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    let inverted = words.first() == Some(&"NOT");
    if inverted {
        words.remove(0);
    }
    (inverted, words)
}

/// Blocks and ranges of blocks.
fn block_words(words: &[&str], family: Family) -> Result<Vec<Block>, String> {
    let all = Block::all(family);
    let place = |name: &str| {
        let found = Block::parse(name).and_then(|block| all.iter().position(|other| *other == block));
        found.ok_or_else(|| {
            format!("`{name}` is no block of this family; blocks are BASE, IN00 to OUT{:02}", all.len() / 2 - 2)
        })
    };
    let mut blocks = Vec::new();
    for word in words {
        match word.split_once('-') {
            Some((first, last)) => {
                let (first, last) = (place(first)?, place(last)?);
                blocks.extend(&all[first.min(last)..=first.max(last)]);
            }
            None => blocks.push(all[place(word)?]),
        }
    }
    Ok(blocks)
}

/// Tensors that are merged; the others stay the first model's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chosen {
    /// Those that are named, or all but those.
    pub how: Choice,
    /// Blocks.
    pub blocks: Vec<Block>,
    /// Parts of keys.
    pub parts: Vec<String>,
}

/// What is done with named tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// All are merged, named or not.
    #[default]
    All,
    /// Only these are merged.
    Include,
    /// These are not merged.
    Exclude,
}

impl Chosen {
    /// Reads block names and parts of keys, several with commas.
    ///
    /// # Errors
    /// Never: what is no block is a part of a key.
    pub fn parse(how: Choice, text: &str) -> Self {
        let mut chosen = Self { how, ..Self::default() };
        for word in text.split([',', '\n']).map(str::trim).filter(|word| !word.is_empty()) {
            match Block::parse(word) {
                Some(block) => chosen.blocks.push(block),
                None => chosen.parts.push(word.to_string()),
            }
        }
        chosen
    }

    /// Whether a tensor is merged.
    pub fn has(&self, key: &str, family: Family) -> bool {
        let block = Block::of_key(key, family);
        let by_part = |part: &String| if part == "VAE" { is_vae(key) } else { key.contains(part.as_str()) };
        let named = self.blocks.contains(&block) || self.parts.iter().any(by_part);
        match self.how {
            Choice::All => true,
            Choice::Include => named,
            Choice::Exclude => !named,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_single_tensors_out() {
        let text = "OUT03:attn1:0.9,IN01 M00:NOT attn2:0.1\nOUT08-OUT11:proj_out:0.6, :bias:0.7";
        let ratio = Ratio { elements: elements(text, Family::Sd1).unwrap(), ..Ratio::everywhere(0.2) };
        for (key, expected) in [
            ("output_blocks.3.1.transformer_blocks.0.attn1.to_q.weight", 0.9),
            ("output_blocks.3.1.transformer_blocks.0.attn2.to_q.weight", 0.2),
            ("input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight", 0.1),
            ("input_blocks.1.1.transformer_blocks.0.attn2.to_q.weight", 0.2),
            ("output_blocks.9.1.proj_out.weight", 0.6),
            ("output_blocks.9.1.proj_out.bias", 0.7),
        ] {
            assert_eq!(ratio.of(&format!("model.diffusion_model.{key}"), Family::Sd1), expected, "{key}");
        }
        assert!(elements("IN01:0.5", Family::Sd1).unwrap_err().contains("BLOCKS:ELEMENTS:RATIO"));
        assert!(elements("IN10:x:0.5", Family::Sdxl).unwrap_err().contains("IN10"));
        assert!(elements("IN01:x:much", Family::Sd1).unwrap_err().contains("no number"));
    }

    #[test]
    fn tensors_are_chosen_by_blocks_and_parts() {
        let key = "model.diffusion_model.middle_block.0.skip.weight";
        let vae = "first_stage_model.decoder.conv_in.weight";
        let chosen = |how, text: &str| Chosen::parse(how, text);
        assert!(chosen(Choice::Include, "M00").has(key, Family::Sd1));
        assert!(!chosen(Choice::Include, "IN01, proj").has(key, Family::Sd1));
        assert!(!chosen(Choice::Exclude, "skip").has(key, Family::Sd1));
        assert!(!chosen(Choice::Exclude, "VAE").has(vae, Family::Sd1) && chosen(Choice::All, "").has(vae, Family::Sd1));
    }
}
