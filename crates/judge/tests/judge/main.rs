//! Tests of this crate through its public API, with the embedded model.
//!
//! - `encoders`: pictures seen by encoders from ONNX files.
//! - `features`: what models see in pictures, against diffusers, and which pictures they find alike.
//! - `pictures`: what is measured on pixels, against numpy, scipy and Pillow.
//! - `grids`: order, sharing and going on of grids.
//! - `verdicts`: what rules make of measures, and which advice follows.
//! - `given`: what these begin with.
//!
//! The recorded values lie in `tests/golden`; `oracle/judge_golden.py` wrote them.

mod given;

mod encoders;
mod features;
mod grids;
mod pictures;
mod verdicts;
