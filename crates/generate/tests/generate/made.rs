//! What `oracle/pictures_golden.py` makes by formulas, made again: a picture, a mask, a UNet of nine channels.

use std::collections::BTreeMap;

use lorabake_pixels::{Gray, Rgb};
use lorabake_testkit::stripes;
use lorabake_weights::Checkpoint;
use lorabake_weights::checkpoint::Purpose;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// What the UNet's tensors have in front in a checkpoint.
pub const UNET: &str = "model.diffusion_model.";

/// A tensor.
pub struct Numbers {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Numbers of up to `size` that look random and depend on `name` alone.
pub fn numbers(count: usize, size: f64, name: &str) -> Vec<f32> {
    let mut salt = 0_u32;
    for (place, byte) in name.bytes().enumerate() {
        salt += u32::from(byte) * (place as u32 + 1);
    }
    let mut state = salt.wrapping_mul(2_654_435_761);
    let mut numbers = Vec::with_capacity(count);
    for _ in 0..count {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        numbers.push(((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * size as f32);
    }
    numbers
}

/// A picture of stripes.
pub fn picture(width: u32, height: u32) -> Rgb {
    Rgb { width, height, data: stripes(width, height) }
}

/// White is painted anew: a rectangle whose sides lie on multiples of 8.
pub fn mask(width: u32, height: u32) -> Gray {
    let mut data = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let is_inside = (24..56).contains(&y) && (16..48).contains(&x);
            data.push(if is_inside { 255 } else { 0 });
        }
    }
    Gray { width, height, data }
}

/// The checkpoint with a UNet that sees mask and masked picture, too.
pub fn nine_channels(checkpoint: &Checkpoint) -> Checkpoint {
    let mut tensors = BTreeMap::new();
    for name in checkpoint.names() {
        tensors.insert(name.clone(), read(checkpoint, name));
    }
    let first = tensors.get_mut(&format!("{UNET}input_blocks.0.0.weight")).unwrap();
    let outputs = first.shape[0];
    let more = numbers(outputs * 5 * 9, 0.3, "nine channels");
    let mut joined = Vec::new();
    for (own, more) in first.values.chunks(4 * 9).zip(more.chunks(5 * 9)) {
        joined.extend_from_slice(own);
        joined.extend_from_slice(more);
    }
    *first = Numbers { shape: vec![outputs, 9, 3, 3], values: joined };
    Checkpoint::from_bytes_for(Purpose::Painting, "nine.safetensors", to_file(&tensors).into()).unwrap()
}

/// A tensor of the checkpoint.
pub fn read(checkpoint: &Checkpoint, name: &str) -> Numbers {
    Numbers { shape: checkpoint.shape(name).unwrap().to_vec(), values: checkpoint.read_f32(name).unwrap() }
}

/// A safetensors file of them.
pub fn to_file(tensors: &BTreeMap<String, Numbers>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for own in tensors.values() {
        bytes.push(own.values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
    }
    let mut views = Vec::new();
    for ((name, own), bytes) in tensors.iter().zip(&bytes) {
        views.push((name.as_str(), TensorView::new(Dtype::F32, own.shape.clone(), bytes).unwrap()));
    }
    safetensors::serialize(views, None).unwrap()
}
