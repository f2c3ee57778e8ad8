//! Recorded tensors as Burn's, and recorded adapters as ours.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::{Adapters, Lora, SiteId, Sites};
use lorabake_testkit::Golden;

/// The golden file `NAME_tiny.safetensors`.
pub fn golden(name: &str) -> Golden {
    Golden::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}_tiny.safetensors")))
}

pub fn tensor<const D: usize>(golden: &Golden, name: &str) -> Tensor<D> {
    let shape: [usize; D] = golden.shape(name).try_into().unwrap();
    Tensor::from_data(TensorData::new(golden.numbers(name).to_vec(), shape), &Device::flex())
}

pub fn to_f32_vec<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// Chunks of 77 token ids.
pub fn ids(golden: &Golden, name: &str) -> Vec<[u32; 77]> {
    let mut chunks = Vec::new();
    for chunk in golden.numbers(name).chunks_exact(77) {
        chunks.push(std::array::from_fn(|index| chunk[index] as u32));
    }
    chunks
}

/// A recorded LoRA of one layer, on the tape.
pub struct TrackedLora {
    path: String,
    lora: Lora,
}

/// The LoRAs that the golden file has under `prefix`, tracked and attached to their layers.
pub fn tracked(golden: &Golden, prefix: &str, sites: &Sites) -> (Adapters, Vec<TrackedLora>) {
    let mut adapters = Adapters::default();
    let mut loras = Vec::new();
    for name in golden.names() {
        let Some(path) = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(".down")) else { continue };
        let down = factor(golden, &format!("{prefix}{path}.down")).autodiff().require_grad();
        let up = factor(golden, &format!("{prefix}{path}.up")).autodiff().require_grad();
        let lora = Lora { down, up, mid: None, scale: 0.5 };
        adapters.attach(site(sites, path), lora.clone());
        loras.push(TrackedLora { path: path.to_string(), lora });
    }
    assert!(loras.len() > 1);
    (adapters, loras)
}

/// Checks the gradients that `loss` gives all factors of `loras`.
pub fn check_gradients(golden: &Golden, prefix: &str, loras: Vec<TrackedLora>, loss: Tensor<1>, tolerance: f64) {
    let mut gradients = loss.backward();
    for TrackedLora { path, lora } in loras {
        let down = lora.down.grad_remove(&mut gradients).unwrap();
        golden.check(&format!("{prefix}{path}.ddown"), &to_f32_vec(down), tolerance);
        let up = lora.up.grad_remove(&mut gradients).unwrap();
        golden.check(&format!("{prefix}{path}.dup"), &to_f32_vec(up), tolerance);
    }
}

pub fn site(sites: &Sites, path: &str) -> SiteId {
    sites.iter().find(|(_, site)| site.path == path).unwrap_or_else(|| panic!("no layer {path}")).0
}

/// A factor as our layers take it: everything behind the first dimension flattened.
fn factor(golden: &Golden, name: &str) -> Tensor<2> {
    let rows = golden.shape(name)[0];
    let numbers = golden.numbers(name).to_vec();
    let columns = numbers.len() / rows;
    Tensor::from_data(TensorData::new(numbers, [rows, columns]), &Device::flex())
}
