//! Lists of block weights, as `1,0,0,0,1,1,1,1,1,1,1,1,0,0,0,0,0`.
//!
//! 26 values stand for [`BLOCKS`]; 17 for the blocks with attention of SD1 and SD2, 12 for those of SDXL, 20 for all
//! blocks of SDXL. What a shorter list does not name gets 0, which matters to networks with convolutions.

use anyhow::{Result, bail};
use lorabake_recipe::seed::Seed;
use rand::Rng;

use super::blocks::BLOCKS;
use crate::prompt::characters::trim;
use crate::prompt::nearest::shortened;

/// A list that can be read, not drawn yet.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// 12, 17, 20 or 26.
    values: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    Number(f64),
    /// Drawn evenly from `low` to `low + width`, in steps of 0.001.
    Random {
        low: f64,
        width: f64,
    },
    /// The tag's `x`, and that much more.
    Given {
        offset: f64,
    },
}

/// What the letters of a list stand for.
#[derive(Debug, Clone, Copy)]
pub struct ListValues {
    /// `X`.
    pub x: f64,
    /// Where `R` and `U` are drawn from.
    pub seed: u64,
    /// Which of several lists of one seed this is.
    pub index: u64,
}

/// Lengths that Stable Diffusion has blocks for.
const LENGTHS: [usize; 4] = [12, 17, 20, 26];
/// Length of lists for Flux, which stand in many presets files.
const FLUX: usize = 61;

/// Places in [`BLOCKS`] of 12 values.
const BLOCKS12: [usize; 12] = [0, 5, 6, 8, 9, 13, 14, 15, 16, 17, 18, 19];
/// Places in [`BLOCKS`] of 17 values.
const BLOCKS17: [usize; 17] = [0, 2, 3, 5, 6, 8, 9, 13, 17, 18, 19, 20, 21, 22, 23, 24, 25];
/// Places in [`BLOCKS`] of 20 values.
const BLOCKS20: [usize; 20] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22];

impl List {
    /// Whether a list of so many values can be meant; those for Flux are among them.
    pub(super) fn is_length(count: usize) -> bool {
        LENGTHS.contains(&count) || count == FLUX
    }

    /// Reads numbers, `R` (random from 0 to 1), `U` (random from −0.5 to 1.5), `X`, `X+0.1`, `X-0.1`.
    ///
    /// # Errors
    /// Names a value that is none of these, or says how many values are wanted.
    pub fn read(text: &str) -> Result<Self> {
        let count = text.split(',').count();
        if count == FLUX {
            bail!("61 block weights are for Flux; give 12, 17, 20 or 26");
        }
        if !LENGTHS.contains(&count) {
            let missing = if LENGTHS.contains(&(count + 1)) {
                "; the first, BASE (text encoder), seems to be missing"
            } else {
                ""
            };
            bail!("`{}` has {count} block weights, and must have 12, 17, 20 or 26{missing}", shortened(text));
        }
        let values: Result<Vec<Value>> = text.split(',').map(|value| Value::read(trim(value))).collect();
        Ok(Self { values: values? })
    }

    /// Whether a value is the tag's `x`.
    pub fn needs_x(&self) -> bool {
        self.values.iter().any(|value| matches!(value, Value::Given { .. }))
    }

    /// The ratio of each of [`BLOCKS`].
    pub fn ratios(&self, values: ListValues) -> [f64; 26] {
        let places: &[usize] = match self.values.len() {
            12 => &BLOCKS12,
            17 => &BLOCKS17,
            20 => &BLOCKS20,
            _ => &[],
        };
        let mut stream = Seed(values.seed).stream("block weights", &[values.index]);
        let mut ratios = [0.0; BLOCKS.len()];
        for (index, value) in self.values.iter().enumerate() {
            let place = places.get(index).copied().unwrap_or(index);
            ratios[place] = match *value {
                Value::Number(number) => number,
                Value::Random { low, width } => ((low + width * stream.random::<f64>()) * 1000.0).round() / 1000.0,
                Value::Given { offset } => values.x + offset,
            };
        }
        ratios
    }
}

impl Value {
    fn read(text: &str) -> Result<Self> {
        match text {
            "R" => return Ok(Self::Random { low: 0.0, width: 1.0 }),
            "U" => return Ok(Self::Random { low: -0.5, width: 2.0 }),
            "X" => return Ok(Self::Given { offset: 0.0 }),
            _ => {}
        }
        if let Some(offset) = text.strip_prefix('X') {
            let offset = trim(offset);
            let number = offset.strip_prefix(['+', '-']).map(trim).unwrap_or_default();
            let sign = if offset.starts_with('-') { -1.0 } else { 1.0 };
            match number.parse::<f64>() {
                Ok(number) if number.is_finite() && number >= 0.0 => return Ok(Self::Given { offset: sign * number }),
                _ => bail!("the block weight `{}` cannot be read; write X, X+0.1 or X-0.1", shortened(text)),
            }
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Self::Number(number)),
            _ if text.is_empty() => bail!("a block weight is empty; write 0"),
            _ => bail!("the block weight `{}` is not a number; write a number, R, U or X", shortened(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: ListValues = ListValues { x: 0.5, seed: 7, index: 0 };

    #[test]
    fn random_ratios_are_the_seeds_and_in_their_range() {
        let list = List::read("R,U,R,U,R,U,R,U,R,U,R,U").unwrap();
        let ratios = list.ratios(VALUES);
        assert_eq!(ratios, list.ratios(VALUES));
        assert_ne!(ratios, list.ratios(ListValues { seed: 8, ..VALUES }));
        assert_ne!(ratios, list.ratios(ListValues { index: 1, ..VALUES }));
        for (index, place) in BLOCKS12.iter().enumerate() {
            let range = if index % 2 == 0 { 0.0..=1.0 } else { -0.5..=1.5 };
            assert!(range.contains(&ratios[*place]), "{ratios:?}");
        }
    }

    #[test]
    fn x_may_be_shifted() {
        let list = List::read(" X, X+0.25,X - 0.25,X,1e-1,1,1,1,1,1,1,1").unwrap();
        assert!(list.needs_x());
        let ratios = list.ratios(VALUES);
        assert_eq!([ratios[0], ratios[5], ratios[6], ratios[8], ratios[9]], [0.5, 0.75, 0.25, 0.5, 0.1]);
    }

    #[test]
    fn lists_that_cannot_be_read_say_why() {
        let ones = |count: usize| vec!["1"; count].join(",");
        for (text, said) in [
            (
                ones(25),
                "has 25 block weights, and must have 12, 17, 20 or 26; the first, BASE (text encoder), seems to be",
            ),
            (ones(16), "seems to be missing"),
            (ones(13), "has 13 block weights, and must have 12, 17, 20 or 26"),
            (ones(61), "61 block weights are for Flux; give 12, 17, 20 or 26"),
            (format!("{},a", ones(11)), "the block weight `a` is not a number; write a number, R, U or X"),
            (format!("{},", ones(11)), "a block weight is empty; write 0"),
            (format!("{},nan", ones(11)), "`nan` is not a number"),
            (format!("{},X*2", ones(11)), "`X*2` cannot be read; write X, X+0.1 or X-0.1"),
            (format!("{},X+-2", ones(11)), "`X+-2` cannot be read"),
            (",".repeat(65_000), "has 65001 block weights"),
        ] {
            let error = List::read(&text).unwrap_err().to_string();
            assert!(error.contains(said) && error.len() < 250, "{error}");
        }
    }
}
