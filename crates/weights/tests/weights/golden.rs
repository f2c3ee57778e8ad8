//! Golden files of this crate's tests, and small files made from them.
//!
//! `key_names.txt`: written by oracle/key_names.py.

use std::borrow::Cow;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

/// (checkpoint key, diffusers name) of every tensor of SD1.x, as diffusers' converters pair them.
pub fn key_names() -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut prefix = "";
    for line in include_str!("../golden/key_names.txt").lines().filter(|line| !line.starts_with('#')) {
        if let Some(section) = line.strip_prefix('[') {
            prefix = section.trim_end_matches(']').split_once(' ').expect("name and prefix").1;
            continue;
        }
        let [key, name, leaves] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("three columns: {line}") };
        for leaf in leaves.chars().map(|leaf| if leaf == 'w' { "weight" } else { "bias" }) {
            pairs.push((format!("{prefix}{key}.{leaf}"), format!("{name}.{leaf}")));
        }
    }
    pairs
}

/// A safetensors file in memory with these tensors.
pub fn safetensors(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (*name, TensorView::new(*dtype, shape.to_vec(), bytes).expect("bytes fit the shape"))
    });
    safetensors::serialize(views, None).expect("serializes")
}

/// A checkpoint with every key of SD1.x plus `more`; every tensor is one f32, its number in `key_names`.
pub fn checkpoint_bytes(leave_out: &[&str], more: &[&str]) -> Cow<'static, [u8]> {
    let names = key_names();
    let keys = names.iter().map(|(key, _)| key.as_str()).chain(more.iter().copied());
    let values: Vec<_> = keys.enumerate().map(|(n, key)| (key, (n as f32).to_le_bytes())).collect();
    let tensors: Vec<_> = values
        .iter()
        .filter(|(key, _)| !leave_out.contains(key))
        .map(|(key, bytes)| (*key, Dtype::F32, [1].as_slice(), bytes.as_slice()))
        .collect();
    safetensors(&tensors).into()
}
