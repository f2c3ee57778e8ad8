//! Which of a set of pictures is nearest, and how near; by any distance.

/// The nearest of a set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    /// Which one.
    pub index: usize,
    /// How far it is.
    pub distance: f64,
}

/// For each of `pictures` the nearest of `set`; none for an empty set.
pub fn nearest<P, Q>(pictures: &[P], set: &[Q], distance: impl Fn(&P, &Q) -> f64) -> Vec<Nearest> {
    let mut found = Vec::with_capacity(pictures.len());
    for picture in pictures {
        let mut best: Option<Nearest> = None;
        for (index, other) in set.iter().enumerate() {
            let own = Nearest { index, distance: distance(picture, other) };
            if best.is_none_or(|best| own.distance < best.distance) {
                best = Some(own);
            }
        }
        found.extend(best);
    }
    found
}

/// For each picture of a set the nearest of the others; none for a set of one.
pub fn leave_one_out<P>(set: &[P], distance: impl Fn(&P, &P) -> f64) -> Vec<Nearest> {
    let mut found = Vec::with_capacity(set.len());
    for (own, picture) in set.iter().enumerate() {
        let mut best: Option<Nearest> = None;
        for (index, other) in set.iter().enumerate() {
            if index == own {
                continue;
            }
            let one = Nearest { index, distance: distance(picture, other) };
            if best.is_none_or(|best| one.distance < best.distance) {
                best = Some(one);
            }
        }
        found.extend(best);
    }
    found
}

/// The distances alone.
pub fn distances(all: &[Nearest]) -> Vec<f64> {
    all.iter().map(|nearest| nearest.distance).collect()
}

/// The mean distance of two pictures of a set; `None` for fewer than two.
pub fn mean_pairwise<P>(set: &[P], distance: impl Fn(&P, &P) -> f64) -> Option<f64> {
    let mut sum = 0.0;
    let mut count = 0;
    for (index, one) in set.iter().enumerate() {
        for other in &set[index + 1..] {
            sum += distance(one, other);
            count += 1;
        }
    }
    if count == 0 { None } else { Some(sum / f64::from(count)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apart(one: &f64, other: &f64) -> f64 {
        (one - other).abs()
    }

    #[test]
    fn the_nearest_is_found_and_a_picture_is_not_its_own() {
        let set = [0.0, 10.0, 11.0];
        assert_eq!(nearest(&[9.0], &set, apart), [Nearest { index: 1, distance: 1.0 }]);
        assert_eq!(distances(&leave_one_out(&set, apart)), [10.0, 1.0, 1.0]);
        assert!(nearest(&[9.0], &[], apart).is_empty());
        assert!(leave_one_out(&[9.0], apart).is_empty());
    }

    #[test]
    fn all_pairs_count() {
        assert_eq!(mean_pairwise(&[0.0, 10.0, 11.0], apart), Some((10.0 + 11.0 + 1.0) / 3.0));
        assert_eq!(mean_pairwise(&[1.0], apart), None);
    }
}
