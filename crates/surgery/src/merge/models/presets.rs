//! Named lists of numbers by block for checkpoints: those of supermerger and merge-block-weighted, by their formulas, so that
//! they are there for SDXL too. The text encoders have 0, as there.

use lorabake_recipe::model::Family;

use crate::block::Block;

/// The names, in the order in which they are told.
pub const NAMES: [&str; 29] = [
    "ALL_A",
    "ALL_B",
    "FLAT_25",
    "FLAT_50",
    "FLAT_75",
    "GRAD_V",
    "GRAD_A",
    "WRAP08",
    "WRAP12",
    "WRAP14",
    "WRAP16",
    "MID12_50",
    "OUT07",
    "OUT12",
    "OUT12_5",
    "SMOOTHSTEP",
    "REVERSE-SMOOTHSTEP",
    "SMOOTHSTEP*2",
    "R_SMOOTHSTEP*2",
    "SMOOTHSTEP*3",
    "R_SMOOTHSTEP*3",
    "SMOOTHSTEP*4",
    "R_SMOOTHSTEP*4",
    "SMOOTHSTEP/2",
    "R_SMOOTHSTEP/2",
    "SMOOTHSTEP/3",
    "R_SMOOTHSTEP/3",
    "SMOOTHSTEP/4",
    "R_SMOOTHSTEP/4",
];

/// The numbers of a preset for all blocks of a family, the text encoders' first; `None` if there is none of this name.
pub fn preset(name: &str, family: Family) -> Option<Vec<f64>> {
    if !NAMES.contains(&name) {
        return None;
    }
    let side = Block::per_side(family);
    let mut numbers = vec![if name == "ALL_B" { 1.0 } else { 0.0 }];
    for place in 0..=2 * side {
        numbers.push(of_block(name, place, side));
    }
    Some(numbers)
}

/// The number of a block, of which there are `side` on each side of the middle one.
fn of_block(name: &str, place: usize, side: usize) -> f64 {
    let from_middle = place.abs_diff(side);
    let share = place as f64 / (2 * side) as f64;
    // Lists that were made for 12 blocks a side.
    let of_twelve = |blocks: f64| blocks / 12.0 * side as f64;
    let is = |yes: bool| if yes { 1.0 } else { 0.0 };
    let reversed = name.starts_with("R_") || name.starts_with("REVERSE");
    let plain = name.trim_start_matches("R_").trim_start_matches("REVERSE-");
    let number = match plain {
        "ALL_B" => 1.0,
        "FLAT_25" => 0.25,
        "FLAT_50" => 0.5,
        "FLAT_75" => 0.75,
        "GRAD_V" => from_middle as f64 / side as f64,
        "GRAD_A" => 1.0 - from_middle as f64 / side as f64,
        "WRAP08" => is(from_middle as f64 > of_twelve(8.0)),
        "WRAP12" => is(from_middle as f64 > of_twelve(6.0)),
        "WRAP14" => is(from_middle as f64 > of_twelve(5.0)),
        "WRAP16" => is(from_middle as f64 > of_twelve(4.0)),
        "MID12_50" => 0.5 * is(from_middle as f64 <= of_twelve(7.0) && (place as f64) < side as f64 + of_twelve(7.0)),
        "OUT07" => is(place > side && from_middle as f64 > of_twelve(5.0)),
        "OUT12" => is(place > side),
        "OUT12_5" => {
            if place == side {
                0.5
            } else {
                is(place > side)
            }
        }
        "SMOOTHSTEP" => smooth(share),
        _ => match plain.strip_prefix("SMOOTHSTEP") {
            Some(rest) => {
                let times: f64 = rest[1..].parse().unwrap_or(1.0);
                if rest.starts_with('*') { folded(times * smooth(share)) } else { smooth(folded(times * share)) }
            }
            None => 0.0,
        },
    };
    if reversed { 1.0 - number } else { number }
}

/// 3x² − 2x³.
fn smooth(share: f64) -> f64 {
    share * share * (3.0 - 2.0 * share)
}

/// Up to 1 and back, again and again.
fn folded(height: f64) -> f64 {
    let height = height.rem_euclid(2.0);
    if height > 1.0 { 2.0 - height } else { height }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of supermerger's `mbwpresets.txt`.
    #[test]
    fn numbers_are_supermergers() {
        for (name, first, middle, last) in [
            ("GRAD_V", [0.0, 1.0, 0.9166666667], 0.0, 1.0),
            ("GRAD_A", [0.0, 0.0, 0.0833333333], 1.0, 0.0),
            ("SMOOTHSTEP", [0.0, 0.0, 0.00506365740740741], 0.5, 1.0),
            ("REVERSE-SMOOTHSTEP", [0.0, 1.0, 0.994936342592593], 0.5, 0.0),
            ("SMOOTHSTEP*2", [0.0, 0.0, 0.0101273148148148], 1.0, 0.0),
            ("R_SMOOTHSTEP*3", [0.0, 1.0, 0.984809027777778], 0.5, 0.0),
            ("SMOOTHSTEP/4", [0.0, 0.0, 0.0740740740740741], 0.0, 0.0),
            ("OUT12_5", [0.0, 0.0, 0.0], 0.5, 1.0),
            ("FLAT_25", [0.0, 0.25, 0.25], 0.25, 0.25),
        ] {
            let numbers = preset(name, Family::Sd1).unwrap();
            assert_eq!(numbers.len(), 26);
            let found = [numbers[0], numbers[1], numbers[2], numbers[13], numbers[25]];
            let wanted = [first[0], first[1], first[2], middle, last];
            for (found, wanted) in found.iter().zip(wanted) {
                assert!((found - wanted).abs() < 1e-9, "{name}: {numbers:?}");
            }
        }
        let ones = |name: &str| preset(name, Family::Sd1).unwrap().iter().sum::<f64>();
        assert_eq!(
            ["WRAP08", "WRAP12", "WRAP14", "WRAP16", "OUT07", "OUT12", "MID12_50"].map(ones),
            [8.0, 12.0, 14.0, 16.0, 7.0, 12.0, 7.0]
        );
        assert_eq!((preset("GRAD_V", Family::Sdxl).unwrap().len(), preset("NO", Family::Sd1)), (20, None));
    }
}
