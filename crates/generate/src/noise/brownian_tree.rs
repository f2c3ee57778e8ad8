//! The noise of SDE samplers: how a Brownian motion goes on between two noise levels, the same whatever steps are taken.
//!
//! A binary tree over noise levels in which each node has a generator of its own; after k-diffusion's
//! `BrownianTreeNoiseSampler` and torchsde's `BrownianInterval` with `halfway_tree`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::noise::generator::{Generator, Source};
use crate::noise::seed_sequence::SeedSequence;

/// A Brownian motion over noise levels, one for each picture.
#[derive(Debug, Clone)]
pub struct BrownianTree {
    source: Source,
    seed: u64,
    /// Values of a picture's noise.
    count: usize,
    start: f64,
    end: f64,
    /// The nodes that the latest question met; the next one begins where it ended.
    met: HashMap<Place, Arc<Vec<f32>>>,
}

/// A node: its depth, and its number from the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    key: u64,
    depth: u64,
}

/// A node with its ends and the increment between them.
struct Node {
    place: Place,
    start: f64,
    end: f64,
    increment: Arc<Vec<f32>>,
}

/// What is asked: the increment between two levels, summed up.
struct Question {
    from: f64,
    to: f64,
    sum: Vec<f32>,
    met: HashMap<Place, Arc<Vec<f32>>>,
}

impl BrownianTree {
    /// The motion of `seed` for noise of `count` values between the noise levels `lowest` and `highest`, those of the
    /// whole schedule: its smallest above 0 and its largest.
    pub fn new(source: Source, seed: u64, count: usize, lowest: f32, highest: f32) -> Self {
        let start = six_decimals(lowest.into());
        let end = six_decimals(highest.into());
        Self { source, seed, count, start: start.min(end), end: end.max(start), met: HashMap::new() }
    }

    /// The unit normal noise of the step from noise level `sigma` to `next`. Zeros where the levels are nearer than the
    /// millionth to which the motion is known.
    pub fn noise(&mut self, sigma: f32, next: f32) -> Vec<f32> {
        let from = self.time(sigma.min(next));
        let to = self.time(sigma.max(next));
        let mut question = Question { from, to, sum: vec![0.0; self.count], met: HashMap::new() };
        if from < to {
            let top = self.top(&mut question);
            self.add(&mut question, top);
        }
        self.met = question.met;
        let distance = (next - sigma).abs().sqrt();
        let scale = if sigma > next { -distance } else { distance };
        let mut noise = question.sum;
        for value in &mut noise {
            *value = if scale == 0.0 { 0.0 } else { *value / scale };
        }
        noise
    }

    /// A noise level as the tree knows it.
    fn time(&self, sigma: f32) -> f64 {
        six_decimals(f64::from(sigma).clamp(self.start, self.end))
    }

    fn top(&self, question: &mut Question) -> Node {
        let place = Place { key: 0, depth: 0 };
        let increment = match self.met.get(&place) {
            Some(known) => Arc::clone(known),
            None => {
                let [word, _, _] = SeedSequence::new(self.seed).state();
                let length = (self.end - self.start).sqrt() as f32;
                Arc::new(self.normal(word).into_iter().map(|value| value * length).collect())
            }
        };
        question.met.insert(place, Arc::clone(&increment));
        Node { place, start: self.start, end: self.end, increment }
    }

    fn normal(&self, word: u32) -> Vec<f32> {
        Generator::new(self.source, word.into()).normal(self.count)
    }

    /// Adds what of the motion between the ends of `node` was asked for.
    fn add(&self, question: &mut Question, node: Node) {
        if question.from <= node.start && question.to >= node.end {
            for (sum, value) in question.sum.iter_mut().zip(node.increment.iter()) {
                *sum += value;
            }
            return;
        }
        let middle = six_decimals(0.5 * (node.end + node.start));
        if middle <= node.start || middle >= node.end {
            return;
        }
        let left = self.left(question, &node, middle);
        if question.to > middle {
            let right = node.increment.iter().zip(left.increment.iter()).map(|(whole, left)| whole - left).collect();
            let place = Place { key: 2 * node.place.key + 1, depth: node.place.depth + 1 };
            let right = Node { place, start: middle, end: node.end, increment: Arc::new(right) };
            if question.from < middle {
                self.add(question, left);
            }
            self.add(question, right);
        } else {
            self.add(question, left);
        }
    }

    /// The left half of `node`: what is known of its increment, and noise.
    fn left(&self, question: &mut Question, node: &Node, middle: f64) -> Node {
        let place = Place { key: 2 * node.place.key, depth: node.place.depth + 1 };
        let increment = match self.met.get(&place) {
            Some(known) => Arc::clone(known),
            None => Arc::new(self.bridge(node, middle)),
        };
        question.met.insert(place, Arc::clone(&increment));
        Node { place, start: node.start, end: middle, increment }
    }

    /// The increment of the left half, drawn with the numbers of `node`.
    fn bridge(&self, node: &Node, middle: f64) -> Vec<f32> {
        let [word, ..] = SeedSequence::spawned(self.seed, &[node.place.key, node.place.depth]).state::<4>();
        let left = middle - node.start;
        let right = node.end - middle;
        let whole = node.end - node.start;
        let share = (left / whole) as f32;
        let spread = (left * right / whole).sqrt() as f32;
        let mut values = self.normal(word);
        for (value, increment) in values.iter_mut().zip(node.increment.iter()) {
            *value = increment * share + spread * *value;
        }
        values
    }
}

/// Python's `round(value, 6)`.
fn six_decimals(value: f64) -> f64 {
    format!("{value:.6}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: usize = 20;

    fn tree() -> BrownianTree {
        BrownianTree::new(Source::Cpu, 42, COUNT, 0.03, 14.6)
    }

    /// The motion between two levels.
    fn moved(tree: &mut BrownianTree, from: f32, to: f32) -> Vec<f32> {
        let distance = -(to - from).abs().sqrt();
        tree.noise(from, to).into_iter().map(|value| value * distance).collect()
    }

    #[test]
    fn steps_add_up_whatever_was_asked_before() {
        let mut tree = tree();
        let first = moved(&mut tree, 9.0, 2.5);
        let second = moved(&mut tree, 2.5, 0.7);
        let whole = moved(&mut tree, 9.0, 0.7);
        for index in 0..COUNT {
            assert!((first[index] + second[index] - whole[index]).abs() < 1e-5);
        }
        assert_eq!(tree.noise(9.0, 2.5), BrownianTree::new(Source::Cpu, 42, COUNT, 0.03, 14.6).noise(9.0, 2.5));
    }

    /// Where the original runs into endless recursion.
    #[test]
    fn levels_that_are_nearly_or_quite_equal_give_finite_noise() {
        let mut tree = tree();
        for (from, to) in [(1.0, 1.0), (1.0, 1.000_000_2), (0.03, 0.029_999_8), (0.01, 0.001), (14.6, 99.0)] {
            assert!(tree.noise(from, to).iter().all(|value| value.is_finite()), "{from} {to}");
        }
        let mut point = BrownianTree::new(Source::Nv, 1, COUNT, 2.0, 2.0);
        assert_eq!(point.noise(2.0, 2.0), [0.0; COUNT]);
    }
}
