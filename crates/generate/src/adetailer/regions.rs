//! The areas that are painted again, each with its mask and its box.

use super::area_mask::AreaMask;

/// An area to be painted again.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// 255 where it is painted.
    pub mask: AreaMask,
    /// Left, top, right and bottom of what was found there; of all that was, where masks were merged.
    pub bounds: [f64; 4],
}

/// How masks are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskShape {
    /// Pixels to the right.
    pub right: i64,
    /// Pixels up.
    pub up: i64,
    /// Pixels by which masks grow, or shrink if negative.
    pub grow: i32,
    /// Whether they become one.
    pub merge: Merge,
}

/// Whether masks become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// They stay apart.
    None,
    /// One mask of all.
    Merge,
    /// One mask of all that is in none of them.
    MergeAndInvert,
}

impl Default for MaskShape {
    fn default() -> Self {
        Self { right: 0, up: 0, grow: 4, merge: Merge::None }
    }
}

/// The areas that come of what was found. Those that shrink to nothing fall away.
pub fn regions(found: &[Region], shape: MaskShape) -> Vec<Region> {
    let mut changed = Vec::new();
    for region in found {
        let mask = region.mask.shifted(shape.right, shape.up).grown(shape.grow);
        if mask.bounds().is_some() {
            changed.push(Region { mask, bounds: region.bounds });
        }
    }
    if shape.merge == Merge::None {
        return changed;
    }
    let Some(mut all) = changed.into_iter().reduce(joined) else { return Vec::new() };
    if shape.merge == Merge::MergeAndInvert {
        all.mask = all.mask.inverted();
    }
    if all.mask.bounds().is_some() { vec![all] } else { Vec::new() }
}

fn joined(one: Region, other: Region) -> Region {
    let [a, b] = [one.bounds, other.bounds];
    let bounds = [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])];
    Region { mask: one.mask.with(&other.mask), bounds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_that_falls_away_takes_its_box_along() {
        let bounds = [[2.0, 2.0, 3.0, 3.0], [5.0, 5.0, 10.0, 10.0]];
        let found = bounds.map(|bounds| Region { mask: AreaMask::rectangle(12, 12, bounds), bounds });
        let shrunk = regions(&found, MaskShape { grow: -4, ..MaskShape::default() });
        assert_eq!(shrunk.len(), 1);
        assert_eq!(shrunk[0].bounds, bounds[1]);
        let merged = regions(&found, MaskShape { merge: Merge::Merge, ..MaskShape::default() });
        assert_eq!(merged[0].bounds, [2.0, 2.0, 10.0, 10.0]);
        assert!(regions(&[], MaskShape { merge: Merge::MergeAndInvert, ..MaskShape::default() }).is_empty());
    }
}
