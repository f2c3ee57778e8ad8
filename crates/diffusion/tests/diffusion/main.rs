//! Tests of this crate through its public API: against sd-scripts, diffusers and k-diffusion, and laws.
//!
//! - `noise`: what is drawn, its distribution, and that the generator alone decides.
//! - `objective`: every loss, weighting and kind of noise against sd-scripts' formulas in torch.
//! - `training`: schedule, noising, targets and losses against numbers recorded from sd-scripts.
//! - `samplers`: trajectories against diffusers and k-diffusion, what holds for every sampler, the number of steps.
//! - `names`: the names of samplers and schedulers.
//! - `golden`: how recorded tensors are read and compared.
//!
//! The recorded values lie in `tests/golden`, written by `oracle/diffusion_golden.py`, `oracle/loss_golden.py` and by `pick_traces.py` there.

mod golden;

mod names;
mod noise;
mod objective;
mod samplers;
mod training;
