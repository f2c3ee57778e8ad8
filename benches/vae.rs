//! Times one pass through a VAE's encoder or decoder, or the text encoders, and tells the most memory that it took.
//!
//! Words: CHECKPOINT encode|decode|text SIDE no|bf16 [THREADS] [FILE]. The picture, or the latents, are waves and a little
//! noise; text encoders are given two short texts, and their weights are read as they are used, as in painting. FILE keeps
//! the result, or, if it is there already, is what the result is compared with: so the distance of two
//! precisions, or of two versions of the program, can be told.

use std::path::Path;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_model::nn::Builder;
use lorabake_model::tokenizer::Tokenizer;
use lorabake_model::vae::{Decoder, Encoder, FACTOR};
use lorabake_model::{Bundle, PromptChunks, VaeHalves, WeightDtypes};
use lorabake_ops::{WeightDtype, keep_memory};
use lorabake_weights::{Checkpoint, Loader, Part};

fn main() {
    keep_memory();
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [checkpoint, half, side, precision, rest @ ..] = &words[..] else {
        panic!("CHECKPOINT encode|decode|text SIDE no|bf16 [THREADS] [FILE]")
    };
    if let Some(threads) = rest.iter().find_map(|word| word.parse().ok()) {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("the first pool");
    }
    let side: usize = side.parse().expect("a side in pixels");
    let dtype = if precision == "bf16" { WeightDtype::Bf16 } else { WeightDtype::F32 };
    let checkpoint = Checkpoint::open(Path::new(checkpoint)).expect("a checkpoint");
    if half == "text" {
        return text(&checkpoint, dtype);
    }
    let mut loader = Loader::new(&checkpoint, Part::Vae);
    let mut matrices = Vec::new();
    let mut builder = Builder::new(&mut loader, dtype, &mut matrices);
    let encoder = Encoder::build(&mut builder, 0.18215);
    builder.set_winograd_in_bands(true);
    let decoder = Decoder::build(&mut builder, 0.18215);
    loader.finish().expect("a whole VAE");
    matrices.iter().try_for_each(|place| place.matrix.read()).expect("a whole VAE");
    let before = peak();
    let start = Instant::now();
    let result = match half.as_str() {
        "encode" => encoder.forward(waves([1, 3, side, side])).mean,
        _ => decoder.forward(waves([1, 4, side / FACTOR, side / FACTOR])),
    };
    let numbers: Vec<f32> = result.into_data().try_into_vec().expect("f32");
    println!("{half} {side} {precision}: {:.2} s", start.elapsed().as_secs_f64());
    println!("peak {} MB, {before} MB of it before", peak());
    if let Some(file) = rest.iter().find(|word| word.parse::<usize>().is_err()) {
        compare(&numbers, Path::new(file));
    }
}

/// Times the text encoders.
fn text(checkpoint: &Checkpoint, dtype: WeightDtype) {
    let bundle = Bundle::open(checkpoint, VaeHalves::Painting, WeightDtypes::all(dtype)).expect("a whole checkpoint");
    let tokenizer = Tokenizer::new();
    let chunks = [tokenizer.chunks("a fox", 75), tokenizer.chunks("", 75)].concat();
    let ids = vec![chunks; bundle.texts.len()];
    let start = Instant::now();
    let encoded = bundle.encode(PromptChunks { ids: &ids, per_prompt: 1 }, 1, &Device::flex(), &[]);
    let numbers: Vec<f32> = encoded.context.into_data().try_into_vec().expect("f32");
    println!("{} numbers of two texts: {:.2} s", numbers.len(), start.elapsed().as_secs_f64());
    println!("peak {} MB", peak());
}

/// Waves of several lengths between −1 and 1, each channel its own, and a little noise.
fn waves(shape: [usize; 4]) -> Tensor<4> {
    let [_, channels, height, width] = shape;
    let value = |i: usize| {
        let (c, y, x) = (i / (height * width), i / width % height, i % width);
        let (u, v) = (y as f64 / height as f64, x as f64 / width as f64);
        let noise = ((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f64 / 16_777_216.0 - 0.5;
        let wave = (7.0 * u + c as f64).sin() + (23.0 * v * (1.0 + u)).cos() + (131.0 * (u + v)).sin() / 2.0;
        (wave / 2.6 + noise / 8.0) as f32
    };
    let numbers = (0..channels * height * width).map(value).collect();
    Tensor::from_data(TensorData::new(numbers, shape), &Device::flex())
}

/// Most memory of this process so far in MB; 0 where the system does not tell.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1000
}

/// Writes the numbers, or tells how far they are from those written before.
fn compare(numbers: &[f32], file: &Path) {
    let Ok(bytes) = std::fs::read(file) else {
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        return std::fs::write(file, bytes).expect("room for the result");
    };
    let kept: Vec<f32> = bytes.chunks_exact(4).map(|x| f32::from_le_bytes(x.try_into().expect("four"))).collect();
    assert_eq!(kept.len(), numbers.len(), "another size");
    let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>();
    let error = squares(&mut numbers.iter().zip(&kept).map(|(a, b)| a - b));
    println!("relative RMS to {}: {:.2e}", file.display(), (error / squares(&mut kept.iter().copied())).sqrt());
}
