//! Ranks by importance against the model, as elias-gaeros' resize_lora has it: every singular direction of every module has a
//! score, log₁₀ σ − Σ wᵢ·log₁₀ refᵢ, and stays above a threshold, or as long as the file is smaller than a size.

use std::str::FromStr;

use crate::matrix::Matrix;
use crate::spectrum::Spectrum;

/// What a singular value is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// The module's largest singular value.
    SpectralOfLora,
    /// The spectral norm of the model's weight.
    SpectralOfModel,
    /// What the model's weight does in that direction, |uᵀ·W·v|.
    Subspace,
    /// The module's Frobenius norm.
    FrobeniusOfLora,
    /// That of the model's weight.
    FrobeniusOfModel,
    /// Numbers that the direction takes.
    Parameters,
}

/// Names as they are typed.
const REFERENCES: [(&str, Reference); 6] = [
    ("spn_lora", Reference::SpectralOfLora),
    ("spn_ckpt", Reference::SpectralOfModel),
    ("subspace", Reference::Subspace),
    ("fro_lora", Reference::FrobeniusOfLora),
    ("fro_ckpt", Reference::FrobeniusOfModel),
    ("params", Reference::Parameters),
];

/// Which directions stay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// Those with at least this score.
    Score(f64),
    /// The best, up to the first with which factors take so many MiB.
    Size(f64),
}

/// A way to score.
#[derive(Debug, Clone, PartialEq)]
pub struct Importance {
    /// References with their weights, whose sum is 1.
    pub weights: Vec<(Reference, f64)>,
    /// Which directions stay.
    pub limit: Limit,
    /// What all changes are multiplied with.
    pub rescale: f64,
}

impl FromStr for Importance {
    type Err = String;

    /// Reads `fro_ckpt=1,thr=-3.5` or `spn_ckpt=0.7,params=0.3,size=64`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut importance = Self { weights: Vec::new(), limit: Limit::Score(-3.5), rescale: 1.0 };
        for word in text.split(',') {
            let wrong = || format!("`{word}` is not known; write fro_ckpt=1,thr=-3.5 or spn_ckpt=1,size=64");
            let (name, value) = word.split_once('=').ok_or_else(wrong)?;
            let value: f64 = value.trim().parse().map_err(|_| wrong())?;
            match (name.trim(), REFERENCES.iter().find(|(own, _)| *own == name.trim())) {
                (_, Some((_, reference))) => importance.weights.push((*reference, value)),
                ("thr", _) => importance.limit = Limit::Score(value),
                ("size", _) if value > 0.0 => importance.limit = Limit::Size(value),
                ("rescale", _) if value > 0.0 => importance.rescale = value,
                _ => return Err(wrong()),
            }
        }
        let sum: f64 = importance.weights.iter().map(|(_, weight)| weight).sum();
        if importance.weights.is_empty() || sum <= 0.0 {
            return Err("it names nothing to measure by; write fro_ckpt=1,thr=-3.5".into());
        }
        importance.weights.iter_mut().for_each(|(_, weight)| *weight /= sum);
        Ok(importance)
    }
}

impl Importance {
    /// Whether the model is needed.
    pub fn reads_model(&self) -> bool {
        use Reference::{FrobeniusOfModel, SpectralOfModel, Subspace};
        self.weights.iter().any(|(own, _)| matches!(own, FrobeniusOfModel | SpectralOfModel | Subspace))
    }

    /// The score of every direction of a change, scale · `spectrum`, of a layer whose weight is `weight`.
    ///
    /// # Errors
    /// When singular values of the weight cannot be found.
    pub fn scores(&self, spectrum: &Spectrum, scale: f64, weight: Option<&Matrix>) -> Result<Vec<f64>, String> {
        let scale = scale.abs() * self.rescale;
        let first = spectrum.s.first().copied().unwrap_or(0.0);
        let mut fixed = 0.0;
        let mut by_direction = 0.0;
        for (reference, share) in &self.weights {
            let value = match (reference, weight) {
                (Reference::SpectralOfLora, _) => first * scale / self.rescale,
                (Reference::FrobeniusOfLora, _) => spectrum.energy().sqrt() * scale / self.rescale,
                (Reference::Parameters, _) => (spectrum.u.rows + spectrum.v.columns) as f64,
                (Reference::FrobeniusOfModel, Some(weight)) => weight.norm(),
                (Reference::SpectralOfModel, Some(weight)) => Spectrum::of_matrix(weight, 0)?.s[0],
                (Reference::Subspace, Some(_)) => {
                    by_direction += share;
                    continue;
                }
                (_, None) => return Err("the model that it is measured by is missing".into()),
            };
            fixed += share * value.log10();
        }
        let count = spectrum.u.columns;
        let mut scores = Vec::with_capacity(count);
        let seen = weight.filter(|_| by_direction != 0.0).map(|weight| weight.times(&spectrum.v.transposed()));
        for place in 0..count {
            let mut score = (spectrum.s[place] * scale).log10() - fixed;
            if let Some(seen) = &seen {
                let mut dot = 0.0;
                for row in 0..seen.rows {
                    dot += f64::from(spectrum.u.row(row)[place]) * f64::from(seen.row(row)[place]);
                }
                score -= by_direction * dot.abs().log10();
            }
            scores.push(score);
        }
        Ok(scores)
    }

    /// How many directions of each module stay; `bytes` are those that one takes.
    pub fn ranks(&self, scores: &[Vec<f64>], bytes: &[usize]) -> Vec<usize> {
        let least = match self.limit {
            Limit::Score(least) => least,
            Limit::Size(size) => {
                let mut all: Vec<(f64, usize)> = Vec::new();
                for (own, bytes) in scores.iter().zip(bytes) {
                    all.extend(own.iter().filter(|score| score.is_finite()).map(|score| (*score, *bytes)));
                }
                all.sort_by(|a, b| b.0.total_cmp(&a.0));
                let mut sum = 0.0;
                let mut least = f64::NEG_INFINITY;
                for (score, bytes) in all {
                    sum += bytes as f64;
                    if sum >= size * 1024.0 * 1024.0 {
                        least = score;
                        break;
                    }
                }
                least
            }
        };
        scores.iter().map(|own| own.iter().filter(|score| score.is_finite() && **score >= least).count()).collect()
    }
}
