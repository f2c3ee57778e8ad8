//! Block weights by name, our own form: `IN04:0.2,OUT:1`.

use anyhow::{Result, bail};

use super::blocks::{BLOCKS, Block};
use crate::prompt::characters::trim;
use crate::prompt::nearest::{nearest, shortened};

/// Groups of blocks: their names, and what the blocks' names begin with.
const GROUPS: [(&str, &str); 4] = [("IN", "IN"), ("OUT", "OUT"), ("MID", "M00"), ("BASE", "BASE")];

/// The ratio of each of [`BLOCKS`] by rules `BLOCK:RATIO` that are separated by commas.
///
/// A block is one of [`BLOCKS`], a range of them (`IN04-IN08`), or a group: `IN`, `OUT`, `MID`, `BASE` (the text
/// encoders). What is not named has 1; a later rule overrides those before it.
///
/// ```
/// use lorabake_generate::prompt::block_weights::named_blocks;
///
/// let ratios = named_blocks("IN:0.5,IN04:0").unwrap();
/// assert_eq!(ratios[4..7], [0.5, 0.0, 0.5]); // IN03, IN04, IN05
/// assert_eq!(ratios[13], 1.0);
/// ```
///
/// # Errors
/// Names a rule that cannot be read.
pub fn named_blocks(text: &str) -> Result<[f64; 26]> {
    let mut ratios = [1.0; BLOCKS.len()];
    for rule in text.split(',') {
        let Some((name, number)) = rule.split_once(':') else {
            bail!("`{}` is no block weight; write for instance blocks=IN04:0.2,OUT:1", shortened(rule));
        };
        let ratio: f64 = match trim(number).parse() {
            Ok(ratio) if f64::is_finite(ratio) => ratio,
            _ => bail!("`{}`: the weight is not a number; write for instance blocks=IN04:0.2", shortened(rule)),
        };
        for block in blocks(trim(name))? {
            ratios[block] = ratio;
        }
    }
    Ok(ratios)
}

/// The places in [`BLOCKS`] that a name, a range or a group means.
fn blocks(name: &str) -> Result<Vec<usize>> {
    if let Some((_, begin)) = GROUPS.iter().find(|(group, _)| *group == name) {
        return Ok((0..BLOCKS.len()).filter(|index| BLOCKS[*index].starts_with(begin)).collect());
    }
    if let Some((from, to)) = name.split_once('-') {
        let (from, to) = (block(trim(from))?, block(trim(to))?);
        if from > to {
            bail!("the blocks {name} run backwards; write {}-{}", BLOCKS[to], BLOCKS[from]);
        }
        return Ok((from..=to).collect());
    }
    Ok(vec![block(name)?])
}

fn block(name: &str) -> Result<usize> {
    let Some(block) = Block::from_name(name) else {
        let near = nearest(name, BLOCKS.into_iter().chain(GROUPS.map(|(group, _)| group)));
        bail!("there is no block `{}`; the nearest are {near}", shortened(name));
    };
    Ok(block.index())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_ranges_and_single_blocks() {
        let ratios = named_blocks("OUT:0, OUT03-OUT05:0.5 ,BASE:0.25,MID:2").unwrap();
        assert_eq!(ratios[0], 0.25);
        assert_eq!(ratios[1..13], [1.0; 12]);
        assert_eq!(ratios[13], 2.0);
        assert_eq!(ratios[14..], [0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn rules_that_cannot_be_read_say_why() {
        for (text, said) in [
            ("IN04", "`IN04` is no block weight; write for instance blocks=IN04:0.2,OUT:1"),
            ("", "`` is no block weight"),
            ("IN04:x", "`IN04:x`: the weight is not a number"),
            ("IN4:1", "there is no block `IN4`; the nearest are "),
            ("OUT05-IN05:1", "run backwards; write IN05-OUT05"),
        ] {
            let error = named_blocks(text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
