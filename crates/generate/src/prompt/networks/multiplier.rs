//! How strongly a network acts: a number, or numbers over the steps (loractl's `0@0,1@0.5`).

use std::fmt;

use anyhow::{Result, bail};

use crate::prompt::characters::trim;
use crate::prompt::nearest::shortened;

/// What a network's change is multiplied by.
#[derive(Debug, Clone, PartialEq)]
pub struct Multiplier {
    /// By place, ascending; at least one. A constant has one.
    points: Vec<Point>,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    value: f64,
    at: f64,
}

/// What the places of points are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// 0 is the first step, 1 the last.
    Share,
    /// Steps from 0.
    Step,
}

impl From<f64> for Multiplier {
    fn from(value: f64) -> Self {
        Self { points: vec![Point { value, at: 0.0 }], unit: Unit::Share }
    }
}

impl Multiplier {
    /// Reads a number, or `NUMBER@PLACE` pairs separated by commas or `;`; between them it runs in straight lines.
    ///
    /// If no place is above 1, places are shares of the steps, else steps. A number without a place stands at 1.
    ///
    /// # Errors
    /// When something is not a number.
    pub fn read(text: &str) -> Result<Self> {
        if !text.contains('@') {
            return Ok(number(text)?.into());
        }
        let mut points = Vec::new();
        for pair in text.split([',', ';']) {
            let (value, at) = pair.split_once('@').unwrap_or((pair, "1"));
            points.push(Point { value: number(value)?, at: number(at)? });
        }
        points.sort_by(|a, b| a.at.total_cmp(&b.at));
        let last = points.last().map_or(0.0, |point| point.at);
        Ok(Self { points, unit: if last <= 1.0 { Unit::Share } else { Unit::Step } })
    }

    /// Its value at `step`, counted from 0, of `steps`.
    pub fn at(&self, step: usize, steps: usize) -> f64 {
        let place = match self.unit {
            Unit::Step => step as f64,
            Unit::Share if steps > 1 => step as f64 / (steps - 1) as f64,
            Unit::Share => 1.0,
        };
        let next = self.points.partition_point(|point| point.at <= place);
        if next == 0 {
            return self.points[0].value;
        }
        let before = self.points[next - 1];
        let Some(after) = self.points.get(next) else { return before.value };
        before.value + (after.value - before.value) * (place - before.at) / (after.at - before.at)
    }

    /// Its value if that is the same at all steps.
    pub fn constant(&self) -> Option<f64> {
        let first = self.points[0].value;
        if self.points.iter().all(|point| point.value == first) { Some(first) } else { None }
    }
}

impl fmt::Display for Multiplier {
    /// The number, or the pairs as they are typed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(value) = self.constant() {
            return write!(f, "{value}");
        }
        let pairs: Vec<String> = self.points.iter().map(|point| format!("{}@{}", point.value, point.at)).collect();
        f.write_str(&pairs.join(","))
    }
}

/// A finite number.
pub(super) fn number(text: &str) -> Result<f64> {
    match trim(text).parse() {
        Ok(value) if f64::is_finite(value) => Ok(value),
        _ => bail!("`{}` is not a number; write for instance <lora:NAME:0.8>", shortened(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_run_in_straight_lines_over_shares_or_steps() {
        let shares = Multiplier::read("0@0,1@0.5").unwrap();
        assert_eq!([0, 5, 10, 15, 20].map(|step| shares.at(step, 21)), [0.0, 0.5, 1.0, 1.0, 1.0]);
        let steps = Multiplier::read(" 1@10 ; 0@20").unwrap();
        assert_eq!([0, 10, 15, 20, 30].map(|step| steps.at(step, 40)), [1.0, 1.0, 0.5, 0.0, 0.0]);
        let jump = Multiplier::read("0@0,0@0.5,1@0.5").unwrap();
        assert_eq!([0, 9, 10].map(|step| jump.at(step, 21)), [0.0, 0.0, 1.0]);
        assert_eq!(Multiplier::read("0.5@0,1").unwrap().at(0, 1), 1.0);
        assert_eq!(Multiplier::read("0.5@0,0.5@1").unwrap().constant(), Some(0.5));
        assert_eq!(shares.constant(), None);
        assert_eq!(shares.to_string(), "0@0,1@0.5");
        assert_eq!(Multiplier::from(0.7).to_string(), "0.7");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "a", "nan", "1e999", "1@a", "@", "1@1,b@2"] {
            assert!(Multiplier::read(text).is_err(), "{text}");
        }
    }
}
