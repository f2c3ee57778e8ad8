//! What SDXL was told of sizes: keys of our own, since the web UI writes none.

use super::super::python::Value;
use super::{count, set};
use crate::conditioning::ToldSizes;

/// Takes over a setting; `false` if it is none of these, or its value is not what it needs.
pub(super) fn take(sizes: &mut ToldSizes, key: &str, value: &Value) -> bool {
    let place = match key {
        "Original width" => &mut sizes.original_width,
        "Original height" => &mut sizes.original_height,
        "Negative original width" => &mut sizes.negative_original_width,
        "Negative original height" => &mut sizes.negative_original_height,
        "Crop top" => &mut sizes.crop_top,
        "Crop left" => &mut sizes.crop_left,
        _ => return false,
    };
    set(place, count(value))
}
