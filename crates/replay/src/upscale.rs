//! Upscalers of the ESRGAN family, in all namings of their files.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor, TensorData};
use lorabake_model::upscaler::Upscaler;
use lorabake_ops::WeightDtype;
use lorabake_weights::network_file::upscaler;
use serde_json::Value;

use crate::made_file::{Numbers, of_file, to_file};
use crate::pack::{Pack, Tensors};
use crate::verdict::{Case, close, same};

/// Tolerance of images in f32.
const IMAGES: f64 = 2e-4;
/// The nets, and how many times each enlarges.
const NETS: [(&str, usize); 4] = [("x4", 4), ("x2", 2), ("x1", 1), ("x2_unshuffle", 2)];

/// All cases of the folder.
pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    if !pack.has("upscale/esrgan.safetensors") {
        return Ok(cases);
    }
    let recorded = pack.tensors("upscale/esrgan.safetensors")?;
    let weights = of_file(&std::fs::read(pack.path("upscale/esrgan_weights.safetensors"))?)?;
    let names = pack.json("upscale/esrgan.json")?["names"].clone();
    let images: Vec<String> = recorded.names()?.into_iter().filter(|name| name.starts_with("image_")).collect();
    for (net, scale) in NETS {
        let numbers = numbers_of(net, &weights);
        for naming in 0..3 {
            let file = renamed(&numbers, &names[net], naming);
            let upscaler = upscaler::from_bytes("net.safetensors", to_file(&file)?.into());
            let upscaler = upscaler.and_then(|file| Upscaler::read(&file, WeightDtype::F32));
            let case = format!("esrgan {net} naming {naming}");
            match upscaler {
                Err(error) => cases.push(Case::of(case, Err(error.to_string()))),
                Ok(upscaler) => {
                    cases.push(Case::of(format!("{case} scale"), same(&upscaler.scale(), &scale)));
                    for image in &images {
                        let number = image.trim_start_matches("image_");
                        let Ok(expected) = recorded.f32(&format!("{net}.{number}.out_rgb")) else { continue };
                        let y = upscaler.forward(pixels(&recorded, image)?);
                        let own: Vec<f32> = y.into_data().try_into_vec().expect("f32");
                        cases.push(Case::of(format!("{case} image {number}"), close(&own, &expected, IMAGES)));
                    }
                }
            }
        }
    }
    Ok(cases)
}

/// The tensors of a net, which the pack keeps as what it has less or otherwise than the largest.
fn numbers_of(net: &str, weights: &BTreeMap<String, Numbers>) -> BTreeMap<String, Numbers> {
    let left_out: &[&str] = match net {
        "x1" => &["conv_up1.", "conv_up2."],
        "x2" => &["conv_up2."],
        _ => &[],
    };
    let mut numbers = BTreeMap::new();
    for (name, own) in weights {
        if !name.contains("_unshuffle.") && !left_out.iter().any(|start| name.starts_with(start)) {
            numbers.insert(name.clone(), own.clone());
        }
    }
    for (name, own) in weights {
        if let Some(rest) = name.strip_prefix(&format!("{net}.")) {
            numbers.insert(rest.to_string(), own.clone());
        }
    }
    numbers
}

/// The same under the names of one of three namings.
fn renamed(numbers: &BTreeMap<String, Numbers>, names: &Value, naming: usize) -> BTreeMap<String, Numbers> {
    let mut renamed = BTreeMap::new();
    for row in names.as_array().into_iter().flatten() {
        if let Some(first) = row[0].as_str()
            && let Some(name) = row[naming].as_str()
            && let Some(own) = numbers.get(first)
        {
            renamed.insert(name.to_string(), own.clone());
        }
    }
    renamed
}

/// An image of the recording.
///
/// # Shapes
/// - output: [1, 3, H, W], 0 to 1
fn pixels(recorded: &Tensors, image: &str) -> Result<Tensor<4>> {
    let shape: [usize; 3] = recorded.shape(image)?.try_into().ok().context("an image")?;
    let values: Vec<f32> = recorded.u8(image)?.into_iter().map(|byte| f32::from(byte) / 255.0).collect();
    let pixels: Tensor<3> = Tensor::from_data(TensorData::new(values, shape), &Device::flex());
    Ok(pixels.permute([2, 0, 1]).unsqueeze())
}
