//! What the tests begin with: the golden file, the embedded model, the pictures of `examples`.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use lorabake_generate::embedded;
use lorabake_generate::painter::{Painter, Predicts};
use lorabake_model::WeightDtypes;
use lorabake_ops::WeightDtype;
use lorabake_pixels::{Rgb, decode};
use lorabake_testkit::Golden;
use lorabake_weights::Checkpoint;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What `oracle/judge_golden.py` wrote.
pub fn golden() -> Golden {
    Golden::open(here("tests/golden/judge.safetensors"))
}

/// A picture of `examples`.
pub fn picture(name: &str) -> Rgb {
    decode(&here("../../examples").join(name)).unwrap().image
}

/// The painter of a checkpoint that the oracle calls `model`.
pub fn painter(model: &str) -> Painter {
    let checkpoint = match model {
        "pocket" => embedded::checkpoint().unwrap(),
        tiny => Checkpoint::open(&here(&format!("../../models/tiny/{tiny}_tiny.safetensors"))).unwrap(),
    };
    let dtypes = WeightDtypes::all(WeightDtype::F32);
    Painter::open(checkpoint, dtypes, Predicts::AsFile, false, Device::flex()).unwrap()
}
