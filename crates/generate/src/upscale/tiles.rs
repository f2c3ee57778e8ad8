//! A picture through a network in overlapping tiles.
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui (`modules/images.py`, `upscaler_utils.py`). One difference: a side that is
//! shorter than a tile is not filled up with black; the tile is as short.

use lorabake_pixels::pillow::{paste, paste_masked};
use lorabake_pixels::{Gray, Image, Rgb, Size};

/// How a picture is cut into tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiles {
    /// Pixels of a tile's side; 0 for the picture as a whole.
    pub size: u32,
    /// Pixels that neighbours share at least; of a whole tile or more, all but one count.
    pub overlap: u32,
}

impl Default for Tiles {
    fn default() -> Self {
        Self { size: 192, overlap: 8 }
    }
}

impl Tiles {
    /// The pixels that neighbours share at least, less than a tile.
    fn shared(self) -> u32 {
        self.overlap.min(self.size.saturating_sub(1))
    }
}

/// The left or upper edges of the tiles along a side of `length` pixels. Where a tile is longer than that the edge is
/// negative.
pub fn edges(length: u32, tiles: Tiles) -> Vec<i64> {
    let room = i64::from(length) - i64::from(tiles.size);
    let step = (i64::from(tiles.size) - i64::from(tiles.shared())).max(1);
    let beyond = i64::from(length) - i64::from(tiles.shared());
    let count = (beyond.max(0) + step - 1) / step;
    if count <= 1 {
        return vec![room.min(0)];
    }
    let distance = room as f64 / (count - 1) as f64;
    (0..count).map(|index| (index as f64 * distance) as i64).collect()
}

/// The picture enlarged by `enlarge`, tile by tile: each is asked for by itself and comes back larger, all by the same whole
/// factor. Neighbours fade into each other over `overlap` pixels.
///
/// # Errors
/// What `enlarge` returns.
pub fn in_tiles<E>(picture: &Rgb, tiles: Tiles, mut enlarge: impl FnMut(&Rgb) -> Result<Rgb, E>) -> Result<Rgb, E> {
    if tiles.size == 0 {
        return enlarge(picture);
    }
    let tile = (tiles.size.min(picture.width), tiles.size.min(picture.height));
    let across = starts(picture.width, tiles);
    let mut rows = Vec::new();
    for top in starts(picture.height, tiles) {
        let mut row: Option<Joined> = None;
        for left in &across {
            let larger = enlarge(&picture.crop(tile, (*left, top)))?;
            let factor = Factor::of(tile, larger.size());
            let at = (factor.across(*left), 0);
            let row = row.get_or_insert_with(|| Joined::empty((factor.across(picture.width), larger.height)));
            row.add(&larger, at, factor.across(tiles.shared()));
        }
        if let Some(row) = row {
            rows.push((top, row.image));
        }
    }
    Ok(stacked(picture, tile, &rows, tiles.shared()))
}

fn stacked(picture: &Rgb, tile: Size, rows: &[(u32, Rgb)], overlap: u32) -> Rgb {
    let height = rows.first().map_or(tile.1, |(_, row)| row.height);
    let width = rows.first().map_or(tile.0, |(_, row)| row.width);
    let factor = Factor { before: tile.1, after: height };
    let mut joined = Joined::empty((width, factor.across(picture.height)));
    for (top, row) in rows {
        joined.add(row, (0, factor.across(*top)), factor.across(overlap));
    }
    joined.image
}

/// The edges of the tiles, all within the picture.
fn starts(length: u32, tiles: Tiles) -> Vec<u32> {
    edges(length, tiles).into_iter().map(|edge| edge.max(0) as u32).collect()
}

/// By how much a network enlarges.
#[derive(Clone, Copy)]
struct Factor {
    before: u32,
    after: u32,
}

impl Factor {
    fn of(before: Size, after: Size) -> Self {
        Self { before: before.0, after: after.0 }
    }

    fn across(self, length: u32) -> u32 {
        (u64::from(length) * u64::from(self.after) / u64::from(self.before)) as u32
    }
}

/// Pieces that are put together along one side, each faded in over the one before.
struct Joined {
    image: Rgb,
    is_empty: bool,
}

impl Joined {
    fn empty(size: Size) -> Self {
        Self { image: Rgb::filled(size, [0; 3]), is_empty: true }
    }

    /// Adds a piece with its corner `at`; its first `overlap` columns (or rows, if it lies below) are blended.
    fn add(&mut self, piece: &Rgb, at: (u32, u32), overlap: u32) {
        let corner = (i64::from(at.0), i64::from(at.1));
        if self.is_empty || overlap == 0 {
            paste(&mut self.image, piece, corner);
            self.is_empty = false;
            return;
        }
        let lies_below = at.1 > 0;
        let size = if lies_below {
            (piece.width, overlap.min(piece.height))
        } else {
            (overlap.min(piece.width), piece.height)
        };
        let mut blended = self.image.crop(size, at);
        paste_masked(&mut blended, &piece.crop(size, (0, 0)), &ramp(size, overlap, lies_below));
        paste(&mut self.image, piece, corner);
        paste(&mut self.image, &blended, corner);
    }
}

/// From 0 up to nearly 255, from the left or from the top.
fn ramp(size: Size, length: u32, is_downwards: bool) -> Gray {
    let share = |at: u32| (u64::from(at) * 255 / u64::from(length)) as u8;
    let mut data = Vec::with_capacity(size.0 as usize * size.1 as usize);
    for y in 0..size.1 {
        data.extend((0..size.0).map(|x| share(if is_downwards { y } else { x })));
    }
    Image { width: size.0, height: size.1, data }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use lorabake_pixels::pillow::resize_nearest;

    use super::*;

    #[test]
    fn tiles_that_agree_make_the_picture_that_a_whole_would() {
        for (width, height) in [(1, 1), (5, 40), (33, 17), (64, 64)] {
            let data = (0..width * height * 3).map(|at| (at * 71 % 253) as u8).collect();
            let picture = Rgb { width, height, data };
            for tiles in [(0, 8), (8, 0), (8, 2), (16, 8), (8, 8), (8, 20), (192, 8), (1, 0)] {
                let tiles = Tiles { size: tiles.0, overlap: tiles.1 };
                for factor in [1, 2, 4] {
                    let larger = |tile: &Rgb| {
                        Ok::<_, Infallible>(resize_nearest(tile, (tile.width * factor, tile.height * factor)))
                    };
                    let joined = in_tiles(&picture, tiles, larger).unwrap();
                    assert_eq!(joined, larger(&picture).unwrap(), "{width} × {height}, {tiles:?}, {factor}");
                }
            }
        }
    }

    #[test]
    fn neighbours_fade_into_each_other() {
        let picture = Rgb::filled((12, 8), [0; 3]);
        let mut shades = [0_u8, 255].into_iter();
        let tiles = Tiles { size: 8, overlap: 4 };
        let painted = |tile: &Rgb| Ok::<_, Infallible>(Rgb::filled(tile.size(), [shades.next().unwrap(); 3]));
        let joined = in_tiles(&picture, tiles, painted).unwrap();
        let row: Vec<u8> = joined.data[..36].iter().copied().step_by(3).collect();
        assert_eq!(row, [0, 0, 0, 0, 0, 63, 127, 191, 255, 255, 255, 255]);
    }
}
