//! How many singular values are kept: rules of sd-scripts' `resize_lora.py`, LyCORIS' `extract_locon.py`, and a whole file's
//! size.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Below this a change counts as none (sd-scripts' `MIN_SV`).
const NOTHING: f64 = 1e-6;

/// A rule by which the rank of one change follows from its singular values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RankRule {
    /// The highest rank that is allowed.
    Fixed,
    /// `sv_ratio`: values above the largest divided by this.
    Ratio(f64),
    /// `sv_fro`: as many as keep this share of the Frobenius norm.
    Frobenius(f64),
    /// `sv_cumulative`: as many as keep this share of the sum of values.
    Cumulative(f64),
}

impl RankRule {
    /// sd-scripts' rank for singular values in falling order, of which the matrix has `side`; at most `most`.
    ///
    /// sd-scripts keeps one value more than the names of its rules say, of the last two up to two.
    pub fn rank(self, values: &[f64], side: usize, most: usize) -> usize {
        let most = most.min(side).max(1);
        let first = values.first().copied().unwrap_or(0.0);
        let index = match self {
            _ if first <= NOTHING => return 1,
            Self::Fixed => return most,
            Self::Ratio(ratio) => values.iter().filter(|value| **value > first / ratio).count(),
            Self::Frobenius(share) => first_reaching(values.iter().map(|value| value * value), share * share, side) + 1,
            Self::Cumulative(share) => first_reaching(values.iter().copied(), share, side) + 1,
        };
        (index.clamp(1, (side - 1).max(1)) + 1).min(most)
    }
}

/// The first place at which the sum so far is this share of the whole; `side` if none is.
fn first_reaching(values: impl Iterator<Item = f64> + Clone, share: f64, side: usize) -> usize {
    let whole: f64 = values.clone().sum();
    let mut sum = 0.0;
    for (place, value) in values.enumerate() {
        sum += value;
        if sum / whole >= share {
            return place;
        }
    }
    side
}

/// A change for which ranks are bought.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'s> {
    /// Its singular values, in falling order.
    pub values: &'s [f64],
    /// Bytes that one rank takes.
    pub bytes: usize,
    /// Its highest rank.
    pub most: usize,
}

/// Ranks of several changes that together take at most `budget` bytes and leave the least error in all: the directions with
/// the most energy for their bytes, one after the other.
pub fn within(offers: &[Offer<'_>], budget: usize) -> Vec<usize> {
    let mut ranks = vec![0; offers.len()];
    let mut left = budget;
    let mut queue = BinaryHeap::new();
    let worth = |offer: &Offer<'_>, place: usize| {
        let value = *offer.values.get(place)?;
        if place >= offer.most || value <= NOTHING * 1e-3 {
            return None;
        }
        // Positive floats are ordered as their bits are.
        Some((value * value / offer.bytes.max(1) as f64).to_bits())
    };
    for (index, offer) in offers.iter().enumerate() {
        if let Some(worth) = worth(offer, 0) {
            queue.push((worth, Reverse(index)));
        }
    }
    while let Some((_, Reverse(index))) = queue.pop() {
        let offer = &offers[index];
        if offer.bytes > left {
            continue;
        }
        left -= offer.bytes;
        ranks[index] += 1;
        if let Some(worth) = worth(offer, ranks[index]) {
            queue.push((worth, Reverse(index)));
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_keep_one_more_than_they_say() {
        let values = [8.0, 4.0, 2.0, 1.0, 0.0, 0.0];
        assert_eq!(RankRule::Fixed.rank(&values, 6, 3), 3);
        assert_eq!(RankRule::Fixed.rank(&values, 6, 9), 6);
        assert_eq!(RankRule::Ratio(3.0).rank(&values, 6, 9), 3);
        assert_eq!(RankRule::Cumulative(0.8).rank(&values, 6, 9), 3);
        assert_eq!(RankRule::Cumulative(0.81).rank(&values, 6, 9), 4);
        assert_eq!(RankRule::Frobenius(1.0).rank(&values, 6, 9), 5);
        assert_eq!(RankRule::Ratio(3.0).rank(&[0.0; 4], 4, 9), 1);
    }

    #[test]
    fn bytes_buy_the_most_energy() {
        let offers = [
            Offer { values: &[4.0, 3.0, 0.1], bytes: 10, most: 3 },
            Offer { values: &[5.0, 1.0], bytes: 20, most: 2 },
            Offer { values: &[0.0], bytes: 1, most: 1 },
        ];
        assert_eq!(within(&offers, 9), [0, 0, 0]);
        assert_eq!(within(&offers, 10), [1, 0, 0]);
        assert_eq!(within(&offers, 30), [1, 1, 0]);
        assert_eq!(within(&offers, 40), [2, 1, 0]);
        assert_eq!(within(&offers, 1000), [3, 2, 0]);
    }
}
