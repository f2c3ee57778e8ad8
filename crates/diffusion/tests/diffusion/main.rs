//! Tests of this crate through its public API: against sd-scripts, diffusers and k-diffusion, and laws.
//!
//! The recorded values lie in `tests/golden`; `oracle/diffusion_golden.py` and `tests/golden/pick_traces.py` write them.

mod golden;

mod noise;
mod samplers;
mod training;
