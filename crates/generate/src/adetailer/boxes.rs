//! Which of the boxes that were found count, and in which order.

use std::cmp::Ordering;

/// A box that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Left, top, right and bottom, in pixels of the picture.
    pub bounds: [f64; 4],
    /// How sure the network is, 0 to 1.
    pub confidence: f64,
}

/// Which boxes count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Least share of the picture's area.
    pub least_area: f64,
    /// Largest share of the picture's area.
    pub largest_area: f64,
    /// So many of them; 0 = all.
    pub most: usize,
    /// Which those are.
    pub by: KeepBy,
    /// In which order they are painted.
    pub order: Order,
}

/// Which boxes are kept if there are more than wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepBy {
    /// The largest.
    Area,
    /// The surest.
    Confidence,
}

/// The order of boxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As they are.
    None,
    /// By their left sides.
    LeftToRight,
    /// By the distance of their centres from the picture's.
    CenterToEdge,
    /// The largest first.
    Area,
}

impl Default for Choice {
    fn default() -> Self {
        Self { least_area: 0.0, largest_area: 1.0, most: 0, by: KeepBy::Area, order: Order::None }
    }
}

impl Detection {
    /// In pixels.
    pub fn area(&self) -> f64 {
        let [left, top, right, bottom] = self.bounds;
        (right - left) * (bottom - top)
    }

    /// Distance of the centre from that of a picture of this width and height.
    fn off_center(&self, size: [usize; 2]) -> f64 {
        let [left, top, right, bottom] = self.bounds;
        ((left + right) / 2.0 - size[0] as f64 / 2.0).hypot((top + bottom) / 2.0 - size[1] as f64 / 2.0)
    }
}

/// The numbers of the boxes that count, in order, for a picture of this width and height.
pub fn choose(found: &[Detection], size: [usize; 2], choice: &Choice) -> Vec<usize> {
    let whole = size[0] as f64 * size[1] as f64;
    let mut kept = Vec::new();
    for (index, detection) in found.iter().enumerate() {
        let share = detection.area() / whole;
        if share >= choice.least_area && share <= choice.largest_area {
            kept.push(index);
        }
    }
    if choice.most > 0 {
        match choice.by {
            KeepBy::Area => sort(&mut kept, |index| -found[index].area()),
            KeepBy::Confidence => sort(&mut kept, |index| -found[index].confidence),
        }
        kept.truncate(choice.most);
    }
    match choice.order {
        Order::None => {}
        Order::LeftToRight => sort(&mut kept, |index| found[index].bounds[0]),
        Order::CenterToEdge => sort(&mut kept, |index| found[index].off_center(size)),
        Order::Area => sort(&mut kept, |index| -found[index].area()),
    }
    kept
}

/// Smallest key first; equal ones stay as they are.
fn sort(indices: &mut [usize], key: impl Fn(usize) -> f64) {
    indices.sort_by(|a, b| key(*a).partial_cmp(&key(*b)).unwrap_or(Ordering::Equal));
}
