//! Tests of this crate through its public API: against sd-scripts, diffusers and k-diffusion, and laws.
//!
//! The recorded values lie in `tests/golden`, written by `oracle/diffusion_golden.py`, `oracle/loss_golden.py` and by `pick_traces.py` there.

mod golden;

mod noise;
mod objective;
mod samplers;
mod training;
