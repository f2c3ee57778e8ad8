//! A short bake of Penny on the embedded model, on a device and on the processor.

use std::ffi::OsString;
use std::path::Path;
use std::sync::mpsc::channel;

use anyhow::{Context, Result};
use lorabake_recipe::parse_train;
use lorabake_train::bake;
use lorabake_train::event::Event;
use lorabake_weights::formats::tensor_file::TensorFile;

const STEPS: &str = "6";
/// The losses agree to this,
const LOSS: f64 = 1e-4;
/// and in 16 bits to this.
const LOSS_HALVED: f64 = 2e-2;

/// Names and shapes of tensors.
type Shapes = Vec<(String, Vec<usize>)>;

/// Bakes in 32 and in 16 bits; whether the losses agree and the files have the same tensors.
///
/// # Errors
/// If a training run fails, or its files cannot be read.
pub fn agree(device: &str, root: &Path) -> Result<bool> {
    let mut all = true;
    for (precision, tolerance) in [("no", LOSS), ("fp16", LOSS_HALVED)] {
        let theirs = run(device, precision, root)?;
        let ours = run("cpu", "no", root)?;
        let worst = theirs.0.iter().zip(&ours.0).map(|(a, b)| ((a - b) / b).abs()).fold(0.0, f64::max);
        let agrees = worst < tolerance && theirs.0.len() == ours.0.len() && theirs.1 == ours.1;
        let told = if agrees { "agrees" } else { "DIFFERS" };
        println!("bake, --mixed_precision={precision}: losses of {STEPS} steps {worst:.1e}  {told}");
        all &= agrees;
    }
    Ok(all)
}

/// The losses, and names and shapes of what was saved.
fn run(device: &str, precision: &str, root: &Path) -> Result<(Vec<f64>, Shapes)> {
    let out = root.join("target/gpu/bake").join(format!("{device}-{precision}").replace(':', "-"));
    let folder = |option: &str, path: &Path| OsString::from(format!("--{option}={}", path.display()));
    let option = |text: String| OsString::from(text);
    let argv = [
        folder("config_file", &root.join("examples/penny.toml")),
        folder("train_data_dir", &root.join("examples/penny")),
        folder("reg_data_dir", &root.join("examples/reg")),
        folder("output_dir", &out),
        option(format!("--max_train_steps={STEPS}")),
        option(format!("--device={device}")),
        option(format!("--mixed_precision={precision}")),
        option("--train_batch_size=2".into()),
    ];
    let mut parsed = parse_train(&argv).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    // Steps count, not the recipe's epochs.
    parsed.recipe.train.duration = lorabake_recipe::train::Duration::Steps(STEPS.parse()?);
    let (events, heard) = channel();
    let (_commands, wanted) = channel();
    let outcome = bake(&parsed, &events, &wanted)?;
    drop(events);
    let losses = heard.iter().filter_map(|event| if let Event::Stepped(step) = event { Some(step.loss) } else { None });
    let losses = losses.collect();
    let file = TensorFile::open(&outcome.file)?;
    let shape = |name: String| {
        let shape = file.shape(&name).context("a tensor without a shape")?.to_vec();
        Ok((name, shape))
    };
    let shapes = file.names().into_iter().map(shape).collect::<Result<_>>()?;
    Ok((losses, shapes))
}
