//! At which strength a LoRA is at its best, UNet and text encoder apart (M3; the guide's test "works at UNet 0.5 and TE 1"
//! without looking at pictures).
//!
//! The score over held-out images is measured at several strengths; a parabola through the three lowest points has its
//! lowest point at the best strength s*. A LoRA whose changes are k times as large is best at s* / k, which is exact.

use lorabake_recipe::seed::Seed;
use serde::{Deserialize, Serialize};

use crate::bootstrap::{Bootstrap, Interval};

/// The scores at one strength.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The strength.
    pub strength: f64,
    /// The score of each image; lower is better.
    pub scores: Vec<f64>,
}

/// Scores over strengths, and where they are best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// In the order of their strengths.
    pub points: Vec<Point>,
    /// The best strength.
    pub best: f64,
    /// From where to where the best strength lies in 90 of 100 draws of other images; for one image anywhere.
    pub interval: [f64; 2],
    /// It is still falling at the largest strength that was tried.
    pub still_falling: bool,
}

/// Strengths that are always tried: those at which people look at pictures.
pub const TRIED: [f64; 6] = [0.0, 0.5, 0.8, 1.0, 1.2, 1.5];
/// Tried too if the score is lowest at one end of [`TRIED`].
pub const BELOW: f64 = 0.25;
/// As [`BELOW`], at the other end.
pub const BEYOND: [f64; 2] = [2.0, 3.0];
/// How far beyond the three lowest points the parabola is trusted.
const BEYOND_POINTS: f64 = 0.25;
const DRAWS: u64 = 200;
const LEVEL: f64 = 0.9;

impl Response {
    /// Measures by `score`, which gives the score of each image at a strength.
    ///
    /// # Errors
    /// Those of `score`.
    pub fn measure<E>(mut score: impl FnMut(f64) -> Result<Vec<f64>, E>) -> Result<Self, E> {
        let mut points = Vec::new();
        for strength in TRIED {
            points.push(Point { strength, scores: score(strength)? });
        }
        let lowest = lowest(&points);
        if lowest <= 1 {
            points.insert(1, Point { strength: BELOW, scores: score(BELOW)? });
        }
        for strength in BEYOND {
            let last = points.len() - 1;
            if self::lowest(&points) == last {
                points.push(Point { strength, scores: score(strength)? });
            }
        }
        Ok(Self::of(points))
    }

    /// What measured points say.
    pub fn of(points: Vec<Point>) -> Self {
        let means: Vec<f64> = points.iter().map(Point::mean).collect();
        let strengths: Vec<f64> = points.iter().map(|point| point.strength).collect();
        let best = vertex(&strengths, &means);
        let images = points.first().map_or(0, |point| point.scores.len());
        let bootstrap = Bootstrap { seed: Seed(0), rounds: DRAWS, level: LEVEL };
        let found = bootstrap.interval_of_indices(&[images], |drawn| {
            let means: Vec<f64> = points.iter().map(|point| point.mean_of(&drawn[0])).collect();
            vertex(&strengths, &means)
        });
        // One image tells nothing of others.
        let interval = match found {
            Some(Interval { low, high }) => [low, high],
            None => [0.0, strengths.last().copied().unwrap_or(0.0) + BEYOND_POINTS],
        };
        let still_falling = lowest(&points) + 1 == points.len();
        Self { points, best, interval, still_falling }
    }
}

impl Point {
    /// The mean over all images.
    pub fn mean(&self) -> f64 {
        self.scores.iter().sum::<f64>() / self.scores.len().max(1) as f64
    }

    fn mean_of(&self, images: &[usize]) -> f64 {
        images.iter().map(|image| self.scores[*image]).sum::<f64>() / images.len().max(1) as f64
    }
}

/// The number of the point with the lowest mean.
fn lowest(points: &[Point]) -> usize {
    let mut lowest = 0;
    for (index, point) in points.iter().enumerate() {
        if point.mean() < points[lowest].mean() {
            lowest = index;
        }
    }
    lowest
}

/// The lowest point of the parabola through the three lowest points beside each other, no further than a quarter from them.
fn vertex(strengths: &[f64], scores: &[f64]) -> f64 {
    let count = strengths.len();
    let lowest = (0..count).min_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap_or(0);
    if count < 3 {
        return strengths.get(lowest).copied().unwrap_or(0.0);
    }
    let first = lowest.clamp(1, count - 2) - 1;
    let [x0, x1, x2] = [strengths[first], strengths[first + 1], strengths[first + 2]];
    let [y0, y1, y2] = [scores[first], scores[first + 1], scores[first + 2]];
    // Newton's divided differences: y = y0 + a (x − x0) + b (x − x0)(x − x1).
    let a = (y1 - y0) / (x1 - x0);
    let b = ((y2 - y1) / (x2 - x1) - a) / (x2 - x0);
    if b <= 0.0 || !b.is_finite() {
        return strengths[lowest];
    }
    let at = (x0 + x1) / 2.0 - a / (2.0 * b);
    at.clamp((x0 - BEYOND_POINTS).max(0.0), x2 + BEYOND_POINTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parabola(best: f64) -> impl FnMut(f64) -> Result<Vec<f64>, ()> {
        move |s| Ok((0..6).map(|image| (s - best).powi(2) - best * best + 0.01 * f64::from(image) * s).collect())
    }

    #[test]
    fn the_best_strength_of_a_parabola_is_found() {
        for best in [0.3, 0.7, 1.0, 1.3, 1.9] {
            let response = Response::measure(parabola(best)).unwrap();
            assert!((response.best - best).abs() < 0.03, "{best}: {}", response.best);
            assert!(response.interval[0] <= response.best && response.best <= response.interval[1]);
            assert!(!response.still_falling);
            assert_eq!(response.points[0].scores.iter().map(|score| score.abs()).sum::<f64>(), 0.0);
        }
    }

    #[test]
    fn what_still_falls_at_the_end_is_said() {
        let response = Response::measure(|s| Ok::<_, ()>(vec![-s; 4])).unwrap();
        assert!(response.still_falling && response.best >= 3.0);
        let response = Response::measure(|s| Ok::<_, ()>(vec![s; 4])).unwrap();
        assert_eq!(response.best, 0.0);
        assert_eq!(response.points[1].strength, BELOW);
    }

    #[test]
    fn a_change_that_is_twice_as_large_is_best_at_half_the_strength() {
        let curve = |s: f64| (s - 1.1).powi(2) * (1.0 + 0.2 * s);
        let plain = Response::measure(|s| Ok::<_, ()>(vec![curve(s); 3])).unwrap().best;
        let doubled = Response::measure(|s| Ok::<_, ()>(vec![curve(2.0 * s); 3])).unwrap().best;
        assert!((doubled - plain / 2.0).abs() < 0.05, "{plain} {doubled}");
    }
}
