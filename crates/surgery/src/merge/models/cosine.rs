//! supermerger's cosineA and cosineB: A stays where its columns are like those of B.
//!
//! Likeness of a column is the mean of its cosine and of that of the whole tensor, brought to 0..1 by the smallest and
//! largest of all columns of the model, without the outermost hundredth on either side.

use super::modes::Mode;

/// Below this a norm counts as this (torch's `CosineSimilarity`, `normalize`).
const SMALLEST: f64 = 1e-8;
const SMALLEST_NORM: f64 = 1e-12;

/// The range of likeness over a whole model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    least: f64,
    most: f64,
}

impl Range {
    /// That of all columns' likenesses.
    pub fn of(mut all: Vec<f32>) -> Self {
        all.retain(|value| !value.is_nan());
        all.sort_unstable_by(f32::total_cmp);
        if all.is_empty() {
            return Self { least: 0.0, most: 1.0 };
        }
        let lower = percentile(&all, 1.0);
        all.retain(|value| f64::from(*value) >= lower);
        let upper = percentile(&all, 99.0);
        all.retain(|value| f64::from(*value) <= upper);
        let end = |value: Option<&f32>| value.map_or(0.0, |value| f64::from(*value));
        Self { least: end(all.first()), most: end(all.last()) }
    }
}

/// numpy's percentile by the midpoint of two.
fn percentile(sorted: &[f32], share: f64) -> f64 {
    let place = (sorted.len() - 1) as f64 * share / 100.0;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    (f64::from(below) + f64::from(above)) / 2.0
}

/// What two tensors have in common.
struct Likeness {
    /// The cosine of each column, an entry behind the first axis.
    columns: Vec<f32>,
    /// That of the whole.
    whole: f32,
}

fn likeness(mode: Mode, a: &[f32], b: &[f32], rows: usize) -> Likeness {
    let columns = a.len() / rows.max(1);
    let norms = |values: &[f32]| {
        let mut squares = vec![0.0_f64; columns];
        for row in values.chunks_exact(columns.max(1)) {
            squares.iter_mut().zip(row).for_each(|(square, value)| *square += f64::from(*value).powi(2));
        }
        squares.iter().map(|square| square.sqrt()).collect::<Vec<f64>>()
    };
    let (norms_a, norms_b) = (norms(a), norms(b));
    let mut dots = vec![0.0_f64; columns];
    for (a, b) in a.chunks_exact(columns.max(1)).zip(b.chunks_exact(columns.max(1))) {
        for (column, dot) in dots.iter_mut().enumerate() {
            *dot += f64::from(a[column]) * f64::from(b[column]);
        }
    }
    let mut sum = Sum::default();
    let mut cosines = Vec::with_capacity(columns);
    for (column, dot) in dots.into_iter().enumerate() {
        let (a, b) = (norms_a[column], norms_b[column]);
        let (dot, a, b) = match mode {
            Mode::CosineA => {
                let (by_a, by_b) = (a.max(SMALLEST_NORM), b.max(SMALLEST_NORM));
                (dot / (by_a * by_b), a / by_a, b / by_b)
            }
            _ => (dot, a, b),
        };
        cosines.push((dot / (a.max(SMALLEST) * b.max(SMALLEST))) as f32);
        sum.dot += dot;
        sum.a += a * a;
        sum.b += b * b;
    }
    Likeness { columns: cosines, whole: (sum.dot / (sum.a.sqrt() * sum.b.sqrt())) as f32 }
}

/// Sums over columns: of products, and of squares.
#[derive(Default)]
struct Sum {
    dot: f64,
    a: f64,
    b: f64,
}

/// What a tensor adds to the statistics of [`Range`].
pub fn statistics(mode: Mode, a: &[f32], b: &[f32], rows: usize) -> Vec<f32> {
    let found = likeness(mode, a, b, rows);
    match mode {
        Mode::CosineA => found.columns,
        _ => found.columns.iter().map(|cosine| (cosine + found.whole) / 2.0).collect(),
    }
}

/// Merges one tensor into `a`.
pub fn merge(mode: Mode, alpha: f64, a: &mut [f32], b: &[f32], rows: usize, range: Range) {
    let found = likeness(mode, a, b, rows);
    let columns = found.columns.len();
    let less = if mode == Mode::CosineA { alpha.abs() } else { alpha };
    let mut shares = Vec::with_capacity(columns);
    for cosine in &found.columns {
        let likeness = f64::from((cosine + found.whole) / 2.0);
        shares.push((((likeness - range.least) / (range.most - range.least)) - less).clamp(0.0, 1.0) as f32);
    }
    for (a, b) in a.chunks_exact_mut(columns.max(1)).zip(b.chunks_exact(columns.max(1))) {
        for (column, share) in shares.iter().enumerate() {
            a[column] = b[column] * (1.0 - share) + a[column] * share;
        }
    }
}
