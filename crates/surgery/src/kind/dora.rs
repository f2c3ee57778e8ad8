//! DoRA (Liu et al. 2024), weight decomposition: W' = m · (W + ΔW) / (‖W + ΔW‖ + ε), with the norm of each output's row or
//! of each input's column. It is a change of the weight, W' − W, whose strength is linear.

use super::Base;
use crate::matrix::Matrix;

/// Along which axis numbers of a module lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// One for each input.
    Inputs,
    /// One for each output.
    Outputs,
}

impl Side {
    /// The rows or the columns of each input of a weight, times numbers.
    pub fn scaled(self, base: Base<'_>, numbers: &[f32]) -> Matrix {
        let mut scaled = base.weight.clone();
        let taps = base.shape.taps;
        for (row, values) in scaled.values.chunks_exact_mut(base.weight.columns.max(1)).enumerate() {
            match self {
                Self::Outputs => values.iter_mut().for_each(|value| *value *= numbers[row]),
                Self::Inputs => {
                    for (values, number) in values.chunks_exact_mut(taps).zip(numbers) {
                        values.iter_mut().for_each(|value| *value *= number);
                    }
                }
            }
        }
        scaled
    }
}

/// The magnitudes of a weight decomposition.
#[derive(Debug, Clone, PartialEq)]
pub struct Magnitudes {
    /// `dora_scale`.
    pub values: Vec<f32>,
    /// Where they lie.
    pub side: Side,
}

impl Magnitudes {
    /// W' − W, where `delta` is added before the decomposition.
    pub fn delta(&self, base: Base<'_>, delta: Matrix) -> Matrix {
        let mut changed = self.decomposed(base, delta);
        changed.add(-1.0, base.weight);
        changed
    }

    /// W'.
    pub fn decomposed(&self, base: Base<'_>, delta: Matrix) -> Matrix {
        let mut whole = delta;
        whole.add(1.0, base.weight);
        let factors = self.factors(base, &whole);
        self.side.scaled(Base { weight: &whole, ..base }, &factors)
    }

    /// m / (‖V‖ + ε) for each row or input of V.
    pub fn factors(&self, base: Base<'_>, whole: &Matrix) -> Vec<f32> {
        let mut squares = vec![0.0_f64; self.values.len()];
        for row in 0..whole.rows {
            for (column, value) in whole.row(row).iter().enumerate() {
                let place = if self.side == Side::Outputs { row } else { column / base.shape.taps };
                squares[place] += f64::from(*value).powi(2);
            }
        }
        let norms = squares.into_iter().map(|square| square.sqrt() as f32 + f32::EPSILON);
        self.values.iter().zip(norms).map(|(magnitude, norm)| magnitude / norm).collect()
    }
}
