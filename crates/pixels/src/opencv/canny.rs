//! OpenCV's `Canny`: edges one pixel wide. Sobel of 3 × 3, the sum of both slopes as the gradient.
//!
//! Source: OpenCV 4 (`modules/imgproc/src/canny.cpp`).

use crate::image::{Gray, Rgb};

/// The tangent of 22.5 degrees, with 15 bits after the point.
const TANGENT: i32 = 13573;

/// Edges of an image, 255 where there is one: pixels whose gradient is above `high`, and those above `low` that touch one.
/// Of the channels the one with the steepest gradient counts.
pub fn canny(image: &Rgb, low: f64, high: f64) -> Gray {
    let low_limit = low.min(high).floor() as i32;
    let high_limit = low.max(high).floor() as i32;
    let slopes = Slopes::of(image);
    let mut edges = vec![Edge::No; slopes.data.len()];
    let mut found = Vec::new();
    for y in 0..slopes.height {
        for x in 0..slopes.width {
            let at = (y * slopes.width + x) as usize;
            let steepness = slopes.data[at].steepness();
            if steepness > low_limit && slopes.is_ridge(x, y) {
                edges[at] = Edge::Maybe;
                if steepness > high_limit {
                    edges[at] = Edge::Yes;
                    found.push((x, y));
                }
            }
        }
    }
    while let Some((x, y)) = found.pop() {
        for (column, row) in around(x, y) {
            if let Some(at) = slopes.index(column, row)
                && edges[at] == Edge::Maybe
            {
                edges[at] = Edge::Yes;
                found.push((column, row));
            }
        }
    }
    let data = edges.iter().map(|edge| if *edge == Edge::Yes { 255 } else { 0 }).collect();
    Gray { width: image.width, height: image.height, data }
}

#[derive(Clone, Copy, PartialEq)]
enum Edge {
    No,
    Maybe,
    Yes,
}

fn around(x: isize, y: isize) -> impl Iterator<Item = (isize, isize)> {
    (y - 1..=y + 1).flat_map(move |row| (x - 1..=x + 1).map(move |column| (column, row)))
}

#[derive(Clone, Copy)]
struct Slope {
    x: i32,
    y: i32,
}

impl Slope {
    fn steepness(self) -> i32 {
        self.x.abs() + self.y.abs()
    }
}

struct Slopes {
    width: isize,
    height: isize,
    data: Vec<Slope>,
}

impl Slopes {
    fn of(image: &Rgb) -> Self {
        let width = image.width as isize;
        let height = image.height as isize;
        let mut data = Vec::with_capacity(image.data.len() / 3);
        for y in 0..height {
            for x in 0..width {
                let mut steepest = sobel(image, x, y, 0);
                for channel in 1..3 {
                    let slope = sobel(image, x, y, channel);
                    if slope.steepness() > steepest.steepness() {
                        steepest = slope;
                    }
                }
                data.push(steepest);
            }
        }
        Self { width, height, data }
    }

    fn index(&self, x: isize, y: isize) -> Option<usize> {
        let is_inside = (0..self.width).contains(&x) && (0..self.height).contains(&y);
        if is_inside { Some((y * self.width + x) as usize) } else { None }
    }

    /// The gradient at a place, 0 beyond the edge.
    fn steepness(&self, x: isize, y: isize) -> i32 {
        self.index(x, y).map_or(0, |at| self.data[at].steepness())
    }

    /// Whether the gradient is not less than at the neighbours that it points to.
    fn is_ridge(&self, x: isize, y: isize) -> bool {
        let slope = self.data[(y * self.width + x) as usize];
        let own = slope.steepness();
        let run = slope.x.abs();
        let rise = i64::from(slope.y.abs()) << 15;
        let flat = i64::from(run) * i64::from(TANGENT);
        let steep = flat + (i64::from(run) << 16);
        if rise < flat {
            own > self.steepness(x - 1, y) && own >= self.steepness(x + 1, y)
        } else if rise > steep {
            own > self.steepness(x, y - 1) && own >= self.steepness(x, y + 1)
        } else {
            let side = if (slope.x ^ slope.y) < 0 { -1 } else { 1 };
            own > self.steepness(x - side, y - 1) && own > self.steepness(x + side, y + 1)
        }
    }
}

/// Both slopes at a place of one channel; beyond the edge lies the edge.
fn sobel(image: &Rgb, x: isize, y: isize, channel: usize) -> Slope {
    let at = |dx: isize, dy: isize| {
        let column = (x + dx).clamp(0, image.width as isize - 1) as usize;
        let row = (y + dy).clamp(0, image.height as isize - 1) as usize;
        i32::from(image.data[(row * image.width as usize + column) * 3 + channel])
    };
    let right = at(1, -1) + 2 * at(1, 0) + at(1, 1);
    let left = at(-1, -1) + 2 * at(-1, 0) + at(-1, 1);
    let below = at(-1, 1) + 2 * at(0, 1) + at(1, 1);
    let above = at(-1, -1) + 2 * at(0, -1) + at(1, -1);
    Slope { x: right - left, y: below - above }
}
