//! ControlNets that `oracle/pictures_golden.py` makes by formulas, made again.

use std::collections::BTreeMap;

use lorabake_weights::Checkpoint;

use crate::made::{Numbers, UNET, numbers, read, to_file};

/// Parts of a UNet that a ControlNet has, too.
const SHARED: [&str; 4] = ["time_embed.", "label_emb.", "input_blocks.", "middle_block."];
/// Channels between the layers that read the picture, but for the last, which are as many as the UNet's.
const HINT_WIDTHS: [usize; 8] = [3, 4, 4, 6, 6, 8, 8, 8];

/// The file of a ControlNet for the checkpoint's UNet: its way down, and layers of its own; the original naming.
pub fn control_net(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut net = BTreeMap::new();
    for name in checkpoint.names() {
        let Some(rest) = name.strip_prefix(UNET) else { continue };
        if SHARED.iter().any(|part| rest.starts_with(part)) {
            net.insert(rest.to_string(), read(checkpoint, name));
        }
    }
    let widths = skip_widths(&net);
    for (place, width) in widths.iter().enumerate() {
        add_conv(&mut net, &format!("zero_convs.{place}.0"), [*width, *width, 1, 1]);
    }
    let deepest = widths[widths.len() - 1];
    add_conv(&mut net, "middle_block_out.0", [deepest, deepest, 1, 1]);
    for (place, inputs) in HINT_WIDTHS.iter().enumerate() {
        let outputs = HINT_WIDTHS.get(place + 1).unwrap_or(&widths[0]);
        add_conv(&mut net, &format!("input_hint_block.{}", 2 * place), [*outputs, *inputs, 3, 3]);
    }
    to_file(&net)
}

/// Channels after each block on the way down.
fn skip_widths(net: &BTreeMap<String, Numbers>) -> Vec<usize> {
    let mut widths = Vec::new();
    for block in 0.. {
        let layers = ["0.weight", "0.out_layers.3.weight", "0.op.weight"];
        let last = layers.iter().find_map(|layer| net.get(&format!("input_blocks.{block}.{layer}")));
        let Some(last) = last else { break };
        widths.push(last.shape[0]);
    }
    widths
}

fn add_conv(net: &mut BTreeMap<String, Numbers>, layer: &str, shape: [usize; 4]) {
    let [outputs, inputs, height, width] = shape;
    let inputs = inputs * height * width;
    let name = format!("{layer}.weight");
    let values = numbers(outputs * inputs, (inputs as f64).powf(-0.5), &name);
    net.insert(name, Numbers { shape: shape.to_vec(), values });
    let name = format!("{layer}.bias");
    let values = numbers(outputs, 0.1, &name);
    net.insert(name, Numbers { shape: vec![outputs], values });
}
