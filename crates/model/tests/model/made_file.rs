//! Checkpoints and nets made from the tiny checkpoints, in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_weights::Checkpoint;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// A tensor: shape and values.
#[derive(Debug, Clone)]
pub struct Numbers {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

pub type Tensors = BTreeMap<String, Numbers>;

/// What the UNet's tensors have in front in a checkpoint.
pub const UNET: &str = "model.diffusion_model.";

/// The tiny checkpoint of a family.
pub fn tiny(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../models/tiny/{family}_tiny.safetensors"))
}

/// Numbers of about this size that look random and are the same each time.
pub fn numbers(count: usize, size: f32, salt: u32) -> Vec<f32> {
    let mut state = salt.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut numbers = Vec::with_capacity(count);
    for _ in 0..count {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        numbers.push(((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * size);
    }
    numbers
}

/// A tensor of such numbers.
pub fn noise<const D: usize>(shape: [usize; D], salt: u32) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers(shape.iter().product(), 1.0, salt), shape), &Device::flex())
}

/// All tensors of a checkpoint.
pub fn of_checkpoint(path: &Path) -> Tensors {
    let checkpoint = Checkpoint::open(path).unwrap();
    let mut tensors = Tensors::new();
    for name in checkpoint.names() {
        let shape = checkpoint.shape(name).unwrap().to_vec();
        tensors.insert(name.clone(), Numbers { shape, values: checkpoint.read_f32(name).unwrap() });
    }
    tensors
}

/// A ControlNet for the UNet of these tensors: its way down, and numbers of our own; the original naming.
pub fn control_net(tensors: &Tensors) -> Tensors {
    let mut net = Tensors::new();
    let mut skips = Vec::new();
    for (name, own) in tensors {
        let Some(rest) = name.strip_prefix(UNET) else { continue };
        if ["time_embed.", "label_emb.", "input_blocks.", "middle_block."].iter().any(|part| rest.starts_with(part)) {
            net.insert(rest.to_string(), own.clone());
        }
    }
    for block in 0.. {
        let outputs = ["0.weight", "0.out_layers.3.weight", "0.op.weight"];
        let names = outputs.map(|layer| format!("input_blocks.{block}.{layer}"));
        let Some(last) = names.iter().find_map(|name| net.get(name)) else { break };
        skips.push(last.shape[0]);
    }
    let mut conv = |name: &str, shape: [usize; 4]| {
        let count = shape.iter().product();
        let salt = name.len() as u32 + shape[0] as u32;
        let size = 1.0 / ((count / shape[0]) as f32).sqrt();
        let values = numbers(count, size, salt);
        net.insert(format!("{name}.weight"), Numbers { shape: shape.to_vec(), values });
        let values = numbers(shape[0], 0.1, salt + 1);
        net.insert(format!("{name}.bias"), Numbers { shape: vec![shape[0]], values });
    };
    for (index, width) in skips.iter().enumerate() {
        conv(&format!("zero_convs.{index}.0"), [*width, *width, 1, 1]);
    }
    let width = skips[0];
    let deepest = *skips.last().unwrap();
    conv("middle_block_out.0", [deepest, deepest, 1, 1]);
    let widths = [3, 4, 4, 6, 6, 8, 8, 8, width];
    for index in 0..8 {
        conv(&format!("input_hint_block.{}", 2 * index), [widths[index + 1], widths[index], 3, 3]);
    }
    net
}

/// A safetensors file of them.
pub fn to_file(tensors: &Tensors) -> Vec<u8> {
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
