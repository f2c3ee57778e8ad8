//! An image brought to the size that a detector sees: enlarged or shrunk as OpenCV does (`INTER_LINEAR` on bytes), with
//! grey around it (ultralytics' `LetterBox`).

/// Bytes of a pixel.
const COLOURS: usize = 3;
/// The grey around the image.
const GREY: u8 = 114;
/// Sides of the input are multiples of this.
pub const STRIDE: usize = 32;
/// Weights of pixels are whole numbers of this share.
const ONE: f32 = 2048.0;

/// An image of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
    /// Red, green and blue, pixel by pixel, row by row.
    pub rgb: Vec<u8>,
}

/// How much grey there is around an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shape {
    /// As little as gives sides of multiples of 32 (ultralytics, of its own `.pt` files).
    #[default]
    Rectangle,
    /// A square (ultralytics, of exported files).
    Square,
}

/// An image of `size` at its longer side, with grey around it.
pub fn letterboxed(image: &Pixels, size: usize, shape: Shape) -> Pixels {
    let share = share(image, size);
    let width = side(image.width, share);
    let height = side(image.height, share);
    let inner = resized(image, width, height);
    let around = |length: usize| {
        let rest = size.saturating_sub(length);
        if shape == Shape::Rectangle { rest % STRIDE } else { rest }
    };
    let [left, right] = halves(around(width));
    let [top, bottom] = halves(around(height));
    let mut outer = Pixels { width: left + width + right, height: top + height + bottom, rgb: Vec::new() };
    outer.rgb = vec![GREY; COLOURS * outer.width * outer.height];
    for (row, line) in inner.rgb.chunks_exact(COLOURS * width).enumerate() {
        let start = COLOURS * ((top + row) * outer.width + left);
        outer.rgb[start..start + line.len()].copy_from_slice(line);
    }
    outer
}

/// How many times as large an image becomes.
fn share(image: &Pixels, size: usize) -> f64 {
    let size = size as f64;
    (size / image.height as f64).min(size / image.width as f64)
}

/// A side after that.
fn side(length: usize, share: f64) -> usize {
    ((length as f64 * share).round_ties_even() as usize).max(1)
}

/// What is before and behind; of an odd pixel, behind has more.
fn halves(around: usize) -> [usize; 2] {
    let half = around as f64 / 2.0;
    [(half - 0.1).round_ties_even().max(0.0) as usize, (half + 0.1).round_ties_even() as usize]
}

/// The sides of a box in an image, from those in its letterboxed form.
pub fn placed(sides: [f32; 4], image: &Pixels, boxed: &Pixels) -> [f32; 4] {
    let across = boxed.width as f64 / image.width as f64;
    let down = boxed.height as f64 / image.height as f64;
    let share = across.min(down);
    let before = |outer: usize, inner: usize| ((outer as f64 - inner as f64 * share) / 2.0 - 0.1).round_ties_even();
    let left = before(boxed.width, image.width) as f32;
    let top = before(boxed.height, image.height) as f32;
    let share = share as f32;
    let limit = [image.width, image.height, image.width, image.height].map(|side| side as f32);
    let mut placed = sides;
    for (index, side) in placed.iter_mut().enumerate() {
        let start = if index % 2 == 0 { left } else { top };
        *side = ((*side - start) / share).clamp(0.0, limit[index]);
    }
    placed
}

/// Where a pixel comes from along one axis: the first of two neighbours, and the weights of both in shares of [`ONE`].
struct Tap {
    first: usize,
    second: usize,
    weights: [i32; 2],
}

/// What becomes of weights for which there is no neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AtEdge {
    /// The pixel at the edge has all.
    Whole,
    /// It has both parts, each rounded apart: what OpenCV does with rows.
    Apart,
}

/// For each of `to` pixels, what it is made of.
fn taps(from: usize, to: usize, at_edge: AtEdge) -> Vec<Tap> {
    // Twice divided, as there: the last bit may decide.
    let scale = 1.0 / (to as f64 / from as f64);
    let mut taps = Vec::with_capacity(to);
    for place in 0..to {
        let exact = ((place as f64 + 0.5) * scale - 0.5) as f32;
        let floor = exact.floor();
        let last = from as i64 - 1;
        let first = floor as i64;
        let mut rest = exact - floor;
        if at_edge == AtEdge::Whole && (first < 0 || first >= last) {
            rest = 0.0;
        }
        let weights = [1.0 - rest, rest].map(|weight| (weight * ONE).round_ties_even() as i32);
        let second = (first + 1).clamp(0, last) as usize;
        taps.push(Tap { first: first.clamp(0, last) as usize, second, weights });
    }
    taps
}

/// The image at another size; halves in both directions are means of four pixels.
fn resized(image: &Pixels, width: usize, height: usize) -> Pixels {
    if [width, height] == [image.width, image.height] {
        return image.clone();
    }
    if [2 * width, 2 * height] == [image.width, image.height] {
        return halved(image);
    }
    let columns = taps(image.width, width, AtEdge::Whole);
    let mut rows = Vec::with_capacity(image.height);
    for line in image.rgb.chunks_exact(COLOURS * image.width) {
        let mut row = Vec::with_capacity(COLOURS * width);
        for Tap { first, second, weights } in &columns {
            for colour in 0..COLOURS {
                let one = i32::from(line[COLOURS * first + colour]);
                let two = i32::from(line[COLOURS * second + colour]);
                row.push(one * weights[0] + two * weights[1]);
            }
        }
        rows.push(row);
    }
    let mut rgb = Vec::with_capacity(COLOURS * width * height);
    for Tap { first, second, weights } in taps(image.height, height, AtEdge::Apart) {
        for (one, two) in rows[first].iter().zip(&rows[second]) {
            // OpenCV drops low bits on the way, and so must whoever wants its bytes.
            let sum = ((weights[0] * (one >> 4)) >> 16) + ((weights[1] * (two >> 4)) >> 16);
            rgb.push(((sum + 2) >> 2).clamp(0, 255) as u8);
        }
    }
    Pixels { width, height, rgb }
}

/// The image at half its sides, which are even.
fn halved(image: &Pixels) -> Pixels {
    let width = image.width / 2;
    let height = image.height / 2;
    let mut rgb = Vec::with_capacity(COLOURS * width * height);
    for row in 0..height {
        for column in 0..width {
            for colour in 0..COLOURS {
                let at = |down: usize, across: usize| {
                    let pixel = (2 * row + down) * image.width + 2 * column + across;
                    u16::from(image.rgb[COLOURS * pixel + colour])
                };
                rgb.push(((at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1) + 2) / 4) as u8);
            }
        }
    }
    Pixels { width, height, rgb }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(width: usize, height: usize) -> Pixels {
        Pixels { width, height, rgb: vec![200; COLOURS * width * height] }
    }

    #[test]
    fn shapes_are_those_of_ultralytics() {
        for (width, height, shape, expected) in [
            (1000, 500, Shape::Rectangle, [640, 320]),
            (1000, 510, Shape::Rectangle, [640, 352]),
            (1000, 510, Shape::Square, [640, 640]),
            (100, 33, Shape::Rectangle, [640, 224]),
            (1, 5000, Shape::Rectangle, [32, 640]),
        ] {
            let boxed = letterboxed(&plain(width, height), 640, shape);
            assert_eq!([boxed.width, boxed.height], expected, "{width} × {height} {shape:?}");
            assert_eq!(boxed.rgb.len(), COLOURS * boxed.width * boxed.height);
        }
    }

    #[test]
    fn boxes_come_back_to_their_places_and_stay_inside() {
        let image = plain(1000, 510);
        let boxed = letterboxed(&image, 640, Shape::Square);
        let found = placed([0.0, 157.0, 640.0, 483.0], &image, &boxed);
        assert_eq!(found, [0.0, 0.0, 1000.0, 509.375]);
        assert_eq!(placed([-50.0, -50.0, 900.0, 900.0], &image, &boxed), [0.0, 0.0, 1000.0, 510.0]);
    }

    #[test]
    fn one_colour_stays_one_colour() {
        for [width, height] in [[7, 3], [5, 5], [20, 9], [10, 6]] {
            assert!(resized(&plain(10, 12), width, height).rgb.iter().all(|byte| *byte == 200));
        }
    }
}
