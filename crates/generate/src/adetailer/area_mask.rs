//! Masks of areas: rectangles, shifting, growing and shrinking.
//!
//! Source: the behaviour of Pillow's `ImageDraw.rectangle` and `ImageChops.offset`, and of OpenCV's `dilate` and `erode`
//! with a square kernel.

/// A mask: 255 where something is, 0 elsewhere, and between at soft edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AreaMask {
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
    /// Row by row.
    pub values: Vec<u8>,
}

/// What is taken of the values under the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extreme {
    Largest,
    Smallest,
}

impl AreaMask {
    /// A filled rectangle; fractions are cut off, and the pixels of the right and lower ends are part of it.
    pub fn rectangle(width: usize, height: usize, bounds: [f64; 4]) -> Self {
        let mut values = vec![0; width * height];
        let [left, top, right, bottom] = bounds.map(f64::trunc);
        for (index, value) in values.iter_mut().enumerate() {
            let x = (index % width) as f64;
            let y = (index / width) as f64;
            if x >= left && x <= right && y >= top && y <= bottom {
                *value = 255;
            }
        }
        Self { width, height, values }
    }

    /// The mask moved to the right and **up**; what leaves it comes in at the other side.
    pub fn shifted(&self, right: i64, up: i64) -> Self {
        let width = self.width as i64;
        let height = self.height as i64;
        let mut values = Vec::with_capacity(self.values.len());
        for y in 0..height {
            let from = (y + up.rem_euclid(height)) % height;
            let row = &self.values[(from * width) as usize..][..self.width];
            // A row's first pixel is this one before the move.
            let start = (-right).rem_euclid(width) as usize;
            values.extend_from_slice(&row[start..]);
            values.extend_from_slice(&row[..start]);
        }
        Self { values, ..*self }
    }

    /// The mask larger by a square of `by` pixels, or smaller if that is negative.
    pub fn grown(&self, by: i32) -> Self {
        let side = by.unsigned_abs() as usize;
        let extreme = if by > 0 { Extreme::Largest } else { Extreme::Smallest };
        if side < 2 || self.values.is_empty() {
            return self.clone();
        }
        let rows = along_rows(&self.values, self.width, side, extreme);
        let columns = along_rows(&turned(&rows, self.width), self.height, side, extreme);
        Self { values: turned(&columns, self.height), ..*self }
    }

    /// All masks in one, which have the same size.
    pub fn with(&self, other: &Self) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(a, b)| a | b).collect();
        Self { values, ..*self }
    }

    /// Where something was is nothing, and the other way round.
    pub fn inverted(&self) -> Self {
        Self { values: self.values.iter().map(|value| 255 - value).collect(), ..*self }
    }

    /// Left, top, right and bottom of all that is not 0, ends excluded; `None` if nothing is there.
    pub fn bounds(&self) -> Option<[usize; 4]> {
        let mut bounds = None;
        for (index, _) in self.values.iter().enumerate().filter(|(_, value)| **value > 0) {
            let x = index % self.width;
            let y = index / self.width;
            let [left, top, right, bottom] = bounds.unwrap_or([x, y, x + 1, y + 1]);
            bounds = Some([left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1)]);
        }
        bounds
    }
}

/// Rows become columns.
fn turned(values: &[u8], width: usize) -> Vec<u8> {
    let height = values.len() / width;
    let mut turned = Vec::with_capacity(values.len());
    for x in 0..width {
        turned.extend((0..height).map(|y| values[y * width + x]));
    }
    turned
}

/// The extreme of `side` values around each, of which the one at `side / 2` is it; outside there is nothing.
fn along_rows(values: &[u8], width: usize, side: usize, extreme: Extreme) -> Vec<u8> {
    let nothing = if extreme == Extreme::Largest { 0 } else { 255 };
    let pick = |a: u8, b: u8| if extreme == Extreme::Largest { a.max(b) } else { a.min(b) };
    // Beyond a whole width on each side a longer window sees nothing more.
    let before = (side / 2).min(width);
    let behind = (side - 1 - side / 2).min(width);
    let window = before + 1 + behind;
    let mut result = Vec::with_capacity(values.len());
    for row in values.chunks_exact(width) {
        let mut padded = vec![nothing; before];
        padded.extend_from_slice(row);
        padded.resize(before + width + behind, nothing);
        // Windows of 1, 2, 4, … values; two of the longest cover the whole window.
        let mut length = 1;
        while length * 2 <= window {
            for at in 0..padded.len() - length {
                padded[at] = pick(padded[at], padded[at + length]);
            }
            length *= 2;
        }
        result.extend((0..width).map(|at| pick(padded[at], padded[at + window - length])));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition, value for value.
    fn slowly(mask: &AreaMask, by: i32) -> Vec<u8> {
        let side = i64::from(by.abs());
        let [width, height] = [mask.width as i64, mask.height as i64];
        let mut values = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let mut seen = Vec::new();
                for dy in -(side / 2)..side - side / 2 {
                    for dx in -(side / 2)..side - side / 2 {
                        if (0..width).contains(&(x + dx)) && (0..height).contains(&(y + dy)) {
                            seen.push(mask.values[((y + dy) * width + x + dx) as usize]);
                        }
                    }
                }
                values.push(if by > 0 { *seen.iter().max().unwrap() } else { *seen.iter().min().unwrap() });
            }
        }
        values
    }

    #[test]
    fn growing_and_shrinking_are_as_defined() {
        let values = (0..7 * 5).map(|index| (index * 97 % 256) as u8).collect();
        let mask = AreaMask { width: 7, height: 5, values };
        for by in [-30, -8, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 7, 9, 30] {
            assert_eq!(mask.grown(by).values, slowly(&mask, by), "{by}");
        }
        assert_eq!(mask.grown(0), mask);
    }

    #[test]
    fn odd_sizes_and_places_are_no_panic() {
        let mask = AreaMask::rectangle(3, 2, [-5.0, 1.2, 1.9, 99.0]);
        assert_eq!(mask.values, [0, 0, 0, 255, 255, 0]);
        assert_eq!(mask.bounds(), Some([0, 1, 2, 2]));
        assert_eq!(mask.shifted(1, 1).values, [0, 255, 255, 0, 0, 0]);
        assert_eq!(mask.shifted(-4, 2), mask.shifted(2, 0));
        assert_eq!(AreaMask::rectangle(3, 2, [f64::NAN; 4]).bounds(), None);
        assert_eq!(AreaMask::rectangle(1, 1, [0.0; 4]).grown(i32::MIN).values, [255]);
    }
}
