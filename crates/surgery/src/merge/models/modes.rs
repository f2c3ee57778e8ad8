//! What is done with the numbers of one tensor of two or three models. Formulas: supermerger's, computed in f32.

use super::smooth;

/// How models are merged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// A(1−α) + Bα
    WeightedSum,
    /// A + (B−C)α
    AddDifference,
    /// A(1−α−β) + Bα + Cβ
    TripleSum,
    /// (A(1−α) + Bα)(1−β) + Cβ
    SumTwice,
    /// A where its columns, normalised, are like those of B, else B.
    CosineA,
    /// The same by columns as they are.
    CosineB,
    /// A + the part of B−C that leads away from A, times 1.8·α.
    TrainDifference,
    /// A + a smoothed B−C, times α.
    SmoothAdd,
    /// A + what B and C share (β 0) or do not share (β 1) of their differences from A, to the power of γ.
    Extract {
        /// How much likeness counts.
        gamma: f64,
    },
    /// Rows from B: the share α of them, from β on.
    Tensor,
    /// The same with columns.
    TensorColumns,
}

impl Mode {
    /// Whether a third model is needed.
    pub fn needs_third(self) -> bool {
        use Mode::{AddDifference, Extract, SmoothAdd, SumTwice, TrainDifference, TripleSum};
        matches!(self, AddDifference | TripleSum | SumTwice | TrainDifference | SmoothAdd | Extract { .. })
    }

    /// Whether β has a say.
    pub fn reads_beta(self) -> bool {
        use Mode::{Extract, SumTwice, Tensor, TensorColumns, TripleSum};
        matches!(self, TripleSum | SumTwice | Extract { .. } | Tensor | TensorColumns)
    }
}

/// The ratios of one tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratios {
    /// α
    pub alpha: f64,
    /// β
    pub beta: f64,
}

/// One tensor of all models.
#[derive(Debug, Clone, Copy)]
pub struct Tensors<'t> {
    /// Its shape.
    pub shape: &'t [usize],
    /// Of B.
    pub b: &'t [f32],
    /// Of C; of a mode that needs no third model nothing.
    pub c: &'t [f32],
}

/// Merges one tensor into `a`. The cosine modes are in `cosine.rs`.
pub fn merge(mode: Mode, ratios: Ratios, a: &mut [f32], tensors: Tensors<'_>, narrow_limits: bool) {
    let Ratios { alpha, beta } = ratios;
    let Tensors { shape, b, c } = tensors;
    let (first, second) = (alpha as f32, beta as f32);
    match mode {
        Mode::WeightedSum | Mode::CosineA | Mode::CosineB => {
            for (a, b) in a.iter_mut().zip(b) {
                *a = lerp(*a, *b, first);
            }
        }
        Mode::AddDifference => {
            for (index, a) in a.iter_mut().enumerate() {
                *a += (b[index] - c[index]) * first;
            }
        }
        Mode::TripleSum => {
            let rest = (1.0 - alpha - beta) as f32;
            for (index, a) in a.iter_mut().enumerate() {
                *a = *a * rest + b[index] * first + c[index] * second;
            }
        }
        Mode::SumTwice => {
            for (index, a) in a.iter_mut().enumerate() {
                *a = lerp(lerp(*a, b[index], first), c[index], second);
            }
        }
        Mode::TrainDifference => train_difference(a, b, c, (1.8 * alpha) as f32),
        Mode::SmoothAdd => {
            let difference: Vec<f32> = b.iter().zip(c).map(|(b, c)| b - c).collect();
            let smoothed = smooth::smoothed(difference, shape);
            a.iter_mut().zip(smoothed).for_each(|(a, difference)| *a += difference * first);
        }
        Mode::Extract { gamma } => extract(a, tensors, ratios, gamma),
        Mode::Tensor => take_slices(a, b, [1, shape.first().copied().unwrap_or(1)], None, ratios),
        Mode::TensorColumns => {
            let (sides, limit) = match shape {
                [rows, columns, ..] => ([*rows, *columns], Some(if *columns > 100 { *columns } else { *rows })),
                _ => ([1, shape.first().copied().unwrap_or(1)], None),
            };
            take_slices(a, b, sides, limit.filter(|_| narrow_limits), ratios);
        }
    }
}

/// torch's `lerp`.
fn lerp(from: f32, to: f32, weight: f32) -> f32 {
    if weight.abs() < 0.5 { from + weight * (to - from) } else { to - (to - from) * (1.0 - weight) }
}

fn train_difference(a: &mut [f32], b: &[f32], c: &[f32], strength: f32) {
    for (index, a) in a.iter_mut().enumerate() {
        let difference = b[index] - c[index];
        let distance = (b[index] - *a).abs();
        let sum = difference.abs() + distance;
        let share = if sum == 0.0 { 0.0 } else { distance / sum };
        *a += difference * share * strength;
    }
}

/// Along the last axis, B − A and C − A are compared.
fn extract(a: &mut [f32], tensors: Tensors<'_>, ratios: Ratios, gamma: f64) {
    const SMALLEST: f32 = 1e-8;
    let width = tensors.shape.last().copied().unwrap_or(1).max(1);
    let (alpha, beta) = (ratios.alpha as f32, ratios.beta as f32);
    for (row, a) in a.chunks_exact_mut(width).enumerate() {
        let at = row * width..(row + 1) * width;
        let first: Vec<f32> = tensors.b[at.clone()].iter().zip(&*a).map(|(b, a)| b - a).collect();
        let second: Vec<f32> = tensors.c[at].iter().zip(&*a).map(|(c, a)| c - a).collect();
        let dot: f32 = first.iter().zip(&second).map(|(one, other)| one * other).sum();
        let norm = |values: &[f32]| values.iter().map(|value| value * value).sum::<f32>().sqrt().max(SMALLEST);
        let cosine = (dot / (norm(&first) * norm(&second))).clamp(-1.0, 1.0);
        let likeness = ((cosine + 1.0) / 2.0).powf(gamma as f32);
        let share = lerp(likeness, 1.0 - likeness, beta);
        for (place, a) in a.iter_mut().enumerate() {
            *a += lerp(first[place], second[place], alpha) * share;
        }
    }
}

/// Takes a range of the second of `sides` from B; the tensor is seen as [first side, second side, the rest]. `limit` stands
/// for the length of the second side where the range is computed.
fn take_slices(a: &mut [f32], b: &[f32], sides: [usize; 2], limit: Option<usize>, ratios: Ratios) {
    let Ratios { alpha, beta } = ratios;
    let length = limit.unwrap_or(sides[1]) as f64;
    let place = |share: f64| ((length * share) as usize).min(sides[1]);
    // The range goes on at the beginning where it leaves the end.
    let wraps = alpha + beta > 1.0;
    let range = if wraps { place(alpha + beta - 1.0)..place(beta) } else { place(beta)..place(alpha + beta) };
    let inner = a.len() / (sides[0] * sides[1]).max(1);
    for outer in 0..sides[0] {
        for index in 0..sides[1] {
            if range.contains(&index) != wraps {
                let at = (outer * sides[1] + index) * inner;
                a[at..at + inner].copy_from_slice(&b[at..at + inner]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(mode: Mode, alpha: f64, beta: f64) -> Vec<f32> {
        let mut a = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [3.0, 1.0, 3.0, 8.0, -5.0, 0.0];
        let c = [2.0, 2.0, 1.0, 4.0, 4.0, 0.0];
        merge(mode, Ratios { alpha, beta }, &mut a, Tensors { shape: &[3, 2], b: &b, c: &c }, false);
        a
    }

    #[test]
    fn laws_of_sums() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [3.0, 1.0, 3.0, 8.0, -5.0, 0.0];
        for mode in [Mode::WeightedSum, Mode::AddDifference, Mode::SumTwice, Mode::TripleSum, Mode::TrainDifference] {
            assert_eq!(merged(mode, 0.0, 0.0), a, "{mode:?}");
        }
        assert_eq!(merged(Mode::WeightedSum, 1.0, 0.0), b);
        assert_eq!(merged(Mode::SumTwice, 0.3, 0.0), merged(Mode::WeightedSum, 0.3, 0.0));
        assert_eq!(merged(Mode::AddDifference, 1.0, 0.0), [2.0, 1.0, 5.0, 8.0, -4.0, 6.0]);
    }

    #[test]
    fn slices_are_taken_and_wrap() {
        assert_eq!(merged(Mode::Tensor, 0.34, 0.34), [1.0, 2.0, 3.0, 8.0, 5.0, 6.0].map(|value| value));
        assert_eq!(merged(Mode::Tensor, 1.0, 0.0), [3.0, 1.0, 3.0, 8.0, -5.0, 0.0]);
        assert_eq!(merged(Mode::Tensor, 0.7, 0.7), [3.0, 1.0, 3.0, 4.0, -5.0, 0.0].map(|value| value));
        assert_eq!(merged(Mode::TensorColumns, 0.5, 0.5), [1.0, 1.0, 3.0, 8.0, 5.0, 0.0]);
    }
}
