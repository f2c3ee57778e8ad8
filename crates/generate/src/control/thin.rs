//! Lines thinned to one pixel, after they were enlarged or shrunk.
//!
//! Source: the method of sd-webui-controlnet 1.1 (`scripts/utils.py`, `annotator/util.py`): keep ridges, then remove pixels
//! by hit-or-miss patterns in their four turns until none is left.

use lorabake_pixels::Gray;
use lorabake_pixels::opencv::{
    Pattern,
    Wanted::{Any, Off, On},
    dilate_by, remove_pattern,
};

/// Rounds of thinning at most.
const ROUNDS: usize = 32;

/// Borders of lines.
const BORDERS: [Pattern; 2] =
    [[[Off, Off, Off], [Any, On, Any], [On, On, On]], [[Any, Off, Off], [On, On, Off], [Any, On, Any]]];
/// Ends of lines.
const ENDS: [Pattern; 2] =
    [[[Off, Off, Off], [Off, On, Off], [Any, Any, Off]], [[Off, Off, Off], [Off, On, Off], [Off, Any, Any]]];

/// Straight neighbourhoods: along the row, the column, both diagonals.
const STRAIGHT: [[[bool; 3]; 3]; 4] = [
    [[false, false, false], [true, true, true], [false, false, false]],
    [[false, true, false], [false, true, false], [false, true, false]],
    [[true, false, false], [false, true, false], [false, false, true]],
    [[false, false, true], [false, true, false], [true, false, false]],
];

/// The pixels that are not less than their neighbours along at least one straight line; the others are 0.
pub(super) fn ridges(image: &Gray) -> Gray {
    let mut kept = Gray::filled(image.size(), [0]);
    for line in &STRAIGHT {
        let largest = dilate_by(image, line);
        for ((target, value), most) in kept.data.iter_mut().zip(&image.data).zip(&largest.data) {
            if value == most {
                *target = *value;
            }
        }
    }
    kept
}

/// Lines (255 on 0) thinned to one pixel; their ends are cut once if `prune`.
pub(super) fn thinned(mut image: Gray, prune: bool) -> Gray {
    for _ in 0..ROUNDS {
        if !remove_all(&mut image, &BORDERS) {
            break;
        }
    }
    if prune {
        remove_all(&mut image, &ENDS);
    }
    image
}

/// Removes patterns in their four turns, one after the other. Returns whether there was anything.
fn remove_all(image: &mut Gray, patterns: &[Pattern; 2]) -> bool {
    let mut patterns = *patterns;
    let mut has_removed = false;
    for _ in 0..4 {
        for pattern in &mut patterns {
            has_removed |= remove_pattern(image, pattern);
            *pattern = turned(pattern);
        }
    }
    has_removed
}

/// A pattern turned by a quarter, against the clock.
fn turned(pattern: &Pattern) -> Pattern {
    std::array::from_fn(|row| std::array::from_fn(|column| pattern[column][2 - row]))
}
