//! Distances between pictures in which every channel counts alike.
//!
//! What two pictures show is compared patch by patch, each with the most alike one of the other picture (a bag of patches).
//! With the embedded model that told Penny's 16 drawings from 16 emoji in 91 of 100 pairs, means over whole pictures in 67; of
//! 56 drawings 13 were nearest to the same one in another style and not 5, of 34 painted names 19 and not 14. A grid of
//! 8 × 8 did as well as one of 16 × 16.
//!
//! Channels of an activation differ in size by orders, and most of what they hold is common to all pictures. So each is
//! taken relative to its mean and spread over a set of pictures that is given: many of the base, or the training set.
//! The distance is 1 − cosine: 0 = the same, 1 = nothing in common, up to 2.
//! Misleads: with a handful of pictures mean and spread are guesses, and in a set of all-alike pictures small differences
//! look large.

use std::borrow::Borrow;

use super::{Features, Patches};

/// A spread below this share of the largest is no spread at all: the channel is dead in these pictures.
const DEAD: f64 = 1e-6;
/// Patches are at the same place if they are at most so many rows and columns apart.
const SAME_PLACE: usize = 2;

/// Mean and spread of each channel over a set of pictures.
#[derive(Debug, Clone)]
pub struct Yardstick {
    global: Scale,
    patches: Scale,
    layout: Vec<f64>,
}

/// Mean and 1 ÷ spread of each number of a vector.
#[derive(Debug, Clone)]
struct Scale {
    mean: Vec<f64>,
    per_spread: Vec<f64>,
}

impl Scale {
    fn of<'a>(vectors: impl Iterator<Item = &'a [f32]>, width: usize) -> Self {
        let mut mean = vec![0.0; width];
        let mut squares = vec![0.0; width];
        let mut count = 0.0;
        // Welford's way, since squares of what is common to all would swallow what is not.
        for vector in vectors {
            count += 1.0;
            for (index, value) in vector.iter().enumerate() {
                let value = f64::from(*value);
                let before = value - mean[index];
                mean[index] += before / count;
                squares[index] += before * (value - mean[index]);
            }
        }
        let spreads: Vec<f64> = squares.iter().map(|sum| (sum / count).sqrt()).collect();
        let largest = spreads.iter().copied().fold(0.0, f64::max);
        let mut per_spread = Vec::with_capacity(width);
        for spread in spreads {
            per_spread.push(if spread > DEAD * largest { 1.0 / spread } else { 0.0 });
        }
        Self { mean, per_spread }
    }

    /// Leaves vectors of this width as they are.
    fn none(width: usize) -> Self {
        Self { mean: vec![0.0; width], per_spread: vec![1.0; width] }
    }

    fn whitened(&self, vector: &[f32]) -> Vec<f32> {
        let mut white = Vec::with_capacity(vector.len());
        for (index, value) in vector.iter().enumerate() {
            white.push(((f64::from(*value) - self.mean[index]) * self.per_spread[index]) as f32);
        }
        white
    }
}

impl Yardstick {
    /// The yardstick of a set of pictures, which must not be empty.
    ///
    /// # Panics
    /// If it is.
    pub fn of<F: Borrow<Features>>(set: &[F]) -> Self {
        let first: &Features = set[0].borrow();
        let all = || set.iter().map(Borrow::<Features>::borrow);
        let global = Scale::of(all().map(|features| features.global.as_slice()), first.global.len());
        let patches = Scale::of(all().flat_map(|features| features.patches.vectors()), first.patches.width);
        Self { global, patches, layout: layout_spread(all()) }
    }

    /// The yardstick of features that were made for their cosine, and have the form of these.
    pub fn as_they_are(form: &Features) -> Self {
        let layout = layout_spread(std::iter::once(form));
        Self { global: Scale::none(form.global.len()), patches: Scale::none(form.patches.width), layout }
    }

    /// How far apart what two pictures show is, wherever it is: the mean of 1 − cosine of each coarse patch to the most
    /// alike one of the other picture, both ways.
    pub fn subject(&self, first: &Features, second: &Features) -> f64 {
        let [first, second] = [first, second].map(|features| self.patchwork_of(&features.coarse));
        (first.anywhere(&second) + second.anywhere(&first)) / 2.0
    }

    /// How far apart two pictures are as wholes: 1 − cosine of the means and spreads over each picture. Blunter than
    /// [`Self::subject`].
    pub fn whole(&self, first: &Features, second: &Features) -> f64 {
        1.0 - cosine(&self.global.whitened(&first.global), &self.global.whitened(&second.global))
    }

    /// How far apart two pictures are in colours and their places: the root of the mean square difference of the layouts, each
    /// channel in its spread.
    pub fn layout(&self, first: &Features, second: &Features) -> f64 {
        let cells = first.layout.len() / self.layout.len();
        let mut sum = 0.0;
        for (index, (one, other)) in first.layout.iter().zip(&second.layout).enumerate() {
            sum += ((f64::from(*one) - f64::from(*other)) / self.layout[index / cells]).powi(2);
        }
        (sum / first.layout.len() as f64).sqrt()
    }

    /// A picture's patches, ready to be compared with those of others.
    pub fn patchwork(&self, features: &Features) -> Patchwork {
        self.patchwork_of(&features.patches)
    }

    fn patchwork_of(&self, of: &Patches) -> Patchwork {
        let mut patches = Vec::with_capacity(of.side * of.side);
        for vector in of.vectors() {
            let mut patch = self.patches.whitened(vector);
            let length = dot(&patch, &patch).sqrt().max(f32::MIN_POSITIVE);
            patch.iter_mut().for_each(|value| *value /= length);
            patches.push(patch);
        }
        Patchwork { side: of.side, patches }
    }
}

/// The patches of a picture, each channel in its spread and each patch of length 1.
#[derive(Debug, Clone)]
pub struct Patchwork {
    side: usize,
    patches: Vec<Vec<f32>>,
}

impl Patchwork {
    /// How far the patches are from the most alike ones of `other`, wherever these are: the mean of 1 − cosine. What they
    /// show is compared so, whatever its size and place.
    pub fn anywhere(&self, other: &Self) -> f64 {
        self.within(self.side, other)
    }

    /// The same if a patch may be two rows and columns away at most. Where this is as small as [`Self::anywhere`], pose
    /// and composition are those of the other picture.
    pub fn at_place(&self, other: &Self) -> f64 {
        self.within(SAME_PLACE, other)
    }

    fn within(&self, reach: usize, other: &Self) -> f64 {
        let side = self.side;
        let mut sum = 0.0;
        for (place, patch) in self.patches.iter().enumerate() {
            let [row, column] = [place / side, place % side];
            let mut best = -1.0_f32;
            for other_row in row.saturating_sub(reach)..(row + reach + 1).min(side) {
                for other_column in column.saturating_sub(reach)..(column + reach + 1).min(side) {
                    best = best.max(dot(patch, &other.patches[other_row * side + other_column]));
                }
            }
            sum += 1.0 - f64::from(best);
        }
        sum / self.patches.len() as f64
    }
}

/// The standard deviation of each channel of the layouts over all cells of all pictures; 1 where there is none.
fn layout_spread<'a>(set: impl Iterator<Item = &'a Features>) -> Vec<f64> {
    const CHANNELS: usize = 4;
    let mut channels: Vec<Vec<f64>> = vec![Vec::new(); CHANNELS];
    for features in set {
        let cells = features.layout.len() / CHANNELS;
        for (channel, values) in features.layout.chunks_exact(cells.max(1)).enumerate() {
            channels[channel].extend(values.iter().copied().map(f64::from));
        }
    }
    let mut spreads = Vec::with_capacity(CHANNELS);
    for values in channels {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let spread = (squares / values.len() as f64).sqrt();
        spreads.push(if spread > 0.0 { spread } else { 1.0 });
    }
    spreads
}

/// The cosine of the angle between two vectors; 0 if one has no length.
fn cosine(first: &[f32], second: &[f32]) -> f64 {
    let mut product = 0.0;
    let mut squares = [0.0, 0.0];
    for (one, other) in first.iter().zip(second) {
        let [one, other] = [f64::from(*one), f64::from(*other)];
        product += one * other;
        squares[0] += one * one;
        squares[1] += other * other;
    }
    let lengths = (squares[0] * squares[1]).sqrt();
    if lengths > 0.0 { product / lengths } else { 0.0 }
}

/// The product of two vectors, summed in lanes that the processor takes at once.
fn dot(first: &[f32], second: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (firsts, first_rest) = first.as_chunks::<LANES>();
    let (seconds, second_rest) = second.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (one, other) in firsts.iter().zip(seconds) {
        for lane in 0..LANES {
            sums[lane] += one[lane] * other[lane];
        }
    }
    let mut sum: f32 = sums.iter().sum();
    for (one, other) in first_rest.iter().zip(second_rest) {
        sum += one * other;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: usize = 16;

    /// Features of two channels: all of a common size, but for `own` in the global vector and at one patch.
    fn features(own: [f32; 2], place: usize) -> Features {
        let mut values = vec![10.0; 2 * GRID * GRID];
        for (index, value) in values.iter_mut().enumerate() {
            *value += [0.01, -0.02, 0.03][index % 3];
        }
        values[2 * place..][..2].copy_from_slice(&own);
        let mut layout = vec![0.0; 256];
        layout[place] = own[0];
        let patches = Patches { side: GRID, width: 2, values };
        Features { global: own.to_vec(), coarse: patches.clone(), patches, layout }
    }

    #[test]
    fn what_all_share_counts_nothing() {
        let set = [features([100.0, 5.0], 0), features([101.0, 6.0], 1), features([102.0, 4.0], 2)];
        let yardstick = Yardstick::of(&set);
        assert!(yardstick.whole(&set[0], &set[0]).abs() < 1e-6);
        // The mean is [101, 5].
        let same_way = features([102.0, 6.0], 0);
        let other_way = features([100.0, 4.0], 0);
        assert!((yardstick.whole(&same_way, &other_way) - 2.0).abs() < 1e-6);
        let aside = features([102.0, 4.0], 0);
        assert!((yardstick.whole(&same_way, &aside) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_dead_channel_says_nothing() {
        let set = [features([1.0, 5.0], 0), features([1.0, 6.0], 0)];
        let yardstick = Yardstick::of(&set);
        assert!((yardstick.whole(&set[0], &set[1]) - 2.0).abs() < 1e-6);
        assert!(yardstick.whole(&features([99.0, 6.0], 0), &set[1]).abs() < 1e-6);
    }

    #[test]
    fn a_thing_that_moved_is_found_anywhere_but_not_at_its_place() {
        let set = [features([30.0, -10.0], 0), features([30.0, -10.0], 100)];
        let yardstick = Yardstick::of(&set);
        let [first, second] = [0, 1].map(|index| yardstick.patchwork(&set[index]));
        let anywhere = first.anywhere(&second);
        let at_place = first.at_place(&second);
        assert!(anywhere < 1e-3, "{anywhere}");
        assert!(at_place > anywhere + 1.0 / 256.0, "{at_place}");
        assert!(first.at_place(&first) < 1e-6);
        assert!(yardstick.subject(&set[0], &set[1]) < 1e-3);
    }

    #[test]
    fn layouts_differ_in_units_of_their_spread() {
        let set = [features([3.0, 0.0], 0), features([0.0, 0.0], 1)];
        let yardstick = Yardstick::of(&set);
        // One of 128 values is 3: the spread is √(9/128 − (3/128)²). One of 256 differs by 3.
        let spread = (9.0_f64 / 128.0 - (3.0_f64 / 128.0).powi(2)).sqrt();
        let expected = (9.0 / spread.powi(2) / 256.0).sqrt();
        assert!((yardstick.layout(&set[0], &set[1]) - expected).abs() < 1e-9);
        assert_eq!(yardstick.layout(&set[1], &set[1]), 0.0);
    }

    #[test]
    fn lanes_and_their_rest_are_summed() {
        let numbers: Vec<f32> = (0..21).map(|number| number as f32).collect();
        assert_eq!(dot(&numbers, &numbers), 2870.0);
    }
}
