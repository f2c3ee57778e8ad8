//! supermerger's "Adjust": eight numbers that change detail, contrast, brightness and colours through the UNet's first and
//! last layers.

use lorabake_recipe::model::Family;

/// How much a unit of the first three numbers takes from weights, and gives to biases.
const WEIGHT: f64 = 0.01;
const BIAS: f64 = 0.02;
/// Rows of the last bias by the four numbers behind the contrast, for channels 1 to 3.
const SD: [[f64; 3]; 4] = [[-1.0, 1.0 / 3.0, 2.0 / 3.0], [1.0, 1.0, 0.0], [0.0, -1.0, -1.0], [1.0, 0.0, 1.0]];
const SDXL: [[f64; 3]; 4] = [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [-1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]];

/// IN, OUT, OUT2, contrast, brightness, and three colours.
pub type Adjust = [f64; 8];

/// Adjusts a tensor if it is one of those.
pub fn adjust(numbers: &Adjust, key: &str, values: &mut [f32], family: Family) {
    let Some(key) = key.strip_prefix("model.diffusion_model.") else { return };
    let factor = match key {
        "input_blocks.0.0.weight" => 1.0 - WEIGHT * numbers[0],
        "input_blocks.0.0.bias" => 1.0 + BIAS * numbers[0],
        "out.0.weight" => 1.0 - WEIGHT * numbers[1],
        "out.0.bias" => 1.0 + BIAS * numbers[1],
        "out.2.weight" => 1.0 - WEIGHT * numbers[2],
        "out.2.bias" if values.len() == 4 => {
            let rows = if family == Family::Sdxl { SDXL } else { SD };
            let mut more = [numbers[3], 0.0, 0.0, 0.0];
            for (number, row) in numbers[4..].iter().zip(rows) {
                more[1..].iter_mut().zip(row).for_each(|(more, share)| *more += number * share);
            }
            values.iter_mut().zip(more).for_each(|(value, more)| *value += (BIAS * more) as f32);
            return;
        }
        _ => return,
    };
    values.iter_mut().for_each(|value| *value *= factor as f32);
}

/// Whether a tensor is one that is adjusted.
pub fn concerns(key: &str) -> bool {
    let key = key.strip_prefix("model.diffusion_model.").unwrap_or_default();
    let known = [
        "input_blocks.0.0.weight",
        "input_blocks.0.0.bias",
        "out.0.weight",
        "out.0.bias",
        "out.2.weight",
        "out.2.bias",
    ];
    known.contains(&key)
}
