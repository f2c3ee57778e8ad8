//! Tests of this crate through its public API, one program.
//!
//! - `laws`: what holds for every LoRA (a bypass is its effective weight, a fresh one is nothing, several add up), and
//!   which layers get one
//! - `lycoris`: every kind of adapter against LyCORIS, forward and backward; `tests/golden` has the recorded values
//! - `nets`: modules of nets in pictures, of every kind and in every order
//! - `dropout`: what is left out by chance, and DyLoRA's blocks

mod dropout;
mod laws;
mod lycoris;
mod nets;
