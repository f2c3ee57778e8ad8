//! A short bake on a device and on the processor.

use std::sync::mpsc::channel;

use anyhow::{Context, Result, ensure};
use lorabake_device::agreement::Agreement;
use lorabake_recipe::Parsed;
use lorabake_weights::formats::tensor_file::TensorFile;

use crate::bake;
use crate::event::Event;

/// How far the losses of two bakes are apart, the first from the second, relative to it; the worst step counts.
///
/// # Errors
/// If a bake fails, its file cannot be read, or the files have not the same tensors.
pub fn bakes(what: String, parsed: [&Parsed; 2], bound: f64) -> Result<Agreement> {
    let [theirs, ours] = parsed;
    let [theirs, ours] = [run(theirs)?, run(ours)?];
    ensure!(theirs.shapes == ours.shapes, "{what}: the file has not the tensors that the processor's has");
    ensure!(
        theirs.losses.len() == ours.losses.len(),
        "{what}: {} steps in place of {}",
        theirs.losses.len(),
        ours.losses.len()
    );
    let mut distance = 0.0;
    for (theirs, ours) in theirs.losses.iter().zip(&ours.losses) {
        let next = ((theirs - ours) / ours).abs();
        distance = if next.is_nan() || next > distance { next } else { distance };
    }
    Ok(Agreement { what, distance, bound })
}

/// What is left of a bake.
struct Baked {
    /// Of each step.
    losses: Vec<f64>,
    /// Names and shapes of what was saved.
    shapes: Vec<(String, Vec<usize>)>,
}

fn run(parsed: &Parsed) -> Result<Baked> {
    let (events, heard) = channel();
    let (_commands, wanted) = channel();
    let outcome = bake(parsed, &events, &wanted)?;
    drop(events);
    let losses = heard.iter().filter_map(|event| if let Event::Stepped(step) = event { Some(step.loss) } else { None });
    let losses = losses.collect();
    let file = TensorFile::open(&outcome.file)?;
    let mut shapes = Vec::new();
    for name in file.names() {
        let shape = file.shape(&name).context("a tensor without a shape")?.to_vec();
        shapes.push((name, shape));
    }
    Ok(Baked { losses, shapes })
}
