//! Whole pictures through the public API, equal to those of diffusers' pipelines: the same checkpoint, prompt, noise
//! and noise levels. Latents and pictures agree within 1e-4 of the largest value, in f32.
//!
//! - `txt2img`, `img2img`, `inpaint`, `control`: the modes.
//! - `guidance`: what has no other program's pictures beside it: a negative scale, sizes that SDXL is told.
//! - `asked`: requests, and how their pictures are compared.
//! - `made`, `made_net`: what the oracle makes by formulas, made again.
//!
//! The recorded values lie in `tests/golden`; `oracle/pictures_golden.py` wrote them.

mod asked;
mod made;
mod made_net;

mod control;
mod guidance;
mod img2img;
mod inpaint;
mod txt2img;
