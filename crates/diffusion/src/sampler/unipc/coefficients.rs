//! How much a step of UniPC takes of each older answer (arXiv 2302.04867, theorem 3.1 and appendix C).

use crate::options::UniPcVariant;

/// What a step has behind it.
pub(super) struct Past {
    /// How far the older answers are from the newest, in steps: negative.
    pub(super) ratios: Vec<f64>,
    /// The step in λ.
    pub(super) step: f64,
}

/// Weights of the differences between older answers and the newest, times the factor of the step.
pub(super) struct Coefficients {
    /// Before the new answer is known.
    pub(super) predictor: Vec<f64>,
    /// With the new answer.
    pub(super) corrector: Vec<f64>,
    /// Of the new answer itself.
    pub(super) corrector_newest: f64,
}

impl Coefficients {
    pub(super) fn new(variant: UniPcVariant, past: &Past) -> Self {
        match variant {
            UniPcVariant::Bh1 => Self::of_factor(past, -past.step),
            UniPcVariant::Bh2 => Self::of_factor(past, (-past.step).exp_m1()),
            UniPcVariant::VaryCoeff => Self::varying(past),
        }
    }

    /// With the factor B(h) of the paper.
    fn of_factor(past: &Past, factor: f64) -> Self {
        let mut places = past.ratios.clone();
        places.push(1.0);
        let order = places.len();
        let step = -past.step;
        let mut phi = step.exp_m1() / step - 1.0;
        let mut factorial = 1.0;
        let mut sides = Vec::with_capacity(order);
        let mut rows = Vec::with_capacity(order);
        for power in 0..order {
            rows.push(places.iter().map(|place| place.powi(power as i32)).collect::<Vec<f64>>());
            sides.push(phi * factorial / factor);
            factorial *= (power + 2) as f64;
            phi = phi / step - 1.0 / factorial;
        }
        // Of second order and first order the paper takes a simpler value.
        let mut predictor = if order == 2 { vec![0.5] } else { Vec::new() };
        if order > 2 {
            let smaller: Vec<Vec<f64>> = rows[..order - 1].iter().map(|row| row[..order - 1].to_vec()).collect();
            predictor = solved(smaller, sides[..order - 1].to_vec());
        }
        let mut corrector = if order == 1 { vec![0.5] } else { solved(rows, sides) };
        let newest = corrector.pop().unwrap_or(0.0);
        for weight in predictor.iter_mut().chain(&mut corrector) {
            *weight *= factor;
        }
        Self { predictor, corrector, corrector_newest: newest * factor }
    }

    /// With coefficients that vary with the step.
    fn varying(past: &Past) -> Self {
        let mut places = past.ratios.clone();
        places.push(1.0);
        let order = places.len();
        let step = -past.step;
        let mut phis = Vec::with_capacity(order + 1);
        let mut phi = step.exp_m1();
        let mut factorial = 1.0;
        for power in 0..=order {
            phis.push(phi);
            phi = phi / step - 1.0 / factorial;
            factorial *= (power + 2) as f64;
        }
        let weights = weights(&places, &phis[1..order]);
        let predictor = if order > 1 { self::weights(&past.ratios, &phis[1..order]) } else { Vec::new() };
        // The original takes the last column of the row that it looked at last.
        let row = order.saturating_sub(2);
        let newest = inverse_entry(&places, row, order - 1) * phis[order];
        Self { predictor, corrector: weights[..order - 1].to_vec(), corrector_newest: newest }
    }
}

/// Σ over k of `phis[k]` · row k of the inverse of C, where `C[i][k] = places[i]^k / (k + 1)!`.
fn weights(places: &[f64], phis: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; places.len()];
    for (row, phi) in phis.iter().enumerate() {
        for (column, sum) in sums.iter_mut().enumerate() {
            *sum += phi * inverse_entry(places, row, column);
        }
    }
    sums
}

/// An entry of the inverse of C.
fn inverse_entry(places: &[f64], row: usize, column: usize) -> f64 {
    let order = places.len();
    let mut matrix = Vec::with_capacity(order);
    for place in places {
        let mut entry = 1.0;
        let mut entries = Vec::with_capacity(order);
        for power in 0..order {
            entries.push(entry);
            entry *= place / (power + 2) as f64;
        }
        matrix.push(entries);
    }
    let mut side = vec![0.0; order];
    side[column] = 1.0;
    solved(matrix, side)[row]
}

/// The solution of a small system of linear equations, by elimination with pivots.
fn solved(mut matrix: Vec<Vec<f64>>, mut side: Vec<f64>) -> Vec<f64> {
    let order = side.len();
    for column in 0..order {
        let mut pivot = column;
        for row in column..order {
            if matrix[row][column].abs() > matrix[pivot][column].abs() {
                pivot = row;
            }
        }
        matrix.swap(column, pivot);
        side.swap(column, pivot);
        let pivot = matrix[column].clone();
        for row in column + 1..order {
            let factor = matrix[row][column] / pivot[column];
            for (entry, above) in matrix[row].iter_mut().zip(&pivot) {
                *entry -= factor * above;
            }
            side[row] -= factor * side[column];
        }
    }
    for column in (0..order).rev() {
        for after in column + 1..order {
            side[column] -= matrix[column][after] * side[after];
        }
        side[column] /= matrix[column][column];
    }
    side
}
