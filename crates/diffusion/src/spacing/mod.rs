//! How the steps of a sampler are spaced between pure noise and latents (k-diffusion's `sigmas`, diffusers' timesteps).
//!
//! A spacing is one file with a function `steps`, and one row below.

mod strided;
#[cfg(test)]
mod toy;
mod uniform;

use crate::schedule::Schedule;
use crate::step::{Step, StepCount};

/// Makes [`Spacing`] of rows `Name = function`.
macro_rules! spacings {
    ($($(#[doc = $doc:expr])+ $(#[cfg($cfg:meta)])? $name:ident = $steps:path;)+) => {
        /// A way to space the steps of a sampler.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Spacing {
            $($(#[doc = $doc])+ $(#[cfg($cfg)])? $name,)+
        }

        impl Spacing {
            /// `count` steps, from pure noise down.
            pub fn steps(self, schedule: &Schedule, count: StepCount) -> Vec<Step> {
                match self {
                    $($(#[cfg($cfg)])? Self::$name => $steps(schedule, count),)+
                }
            }
        }
    };
}

spacings! {
    /// Whole timesteps at equal strides (diffusers' "leading", or "trailing" with zero terminal SNR).
    Strided = strided::steps;
    /// Timesteps at equal distances from 999 to 0, most of them between two whole ones (the web UI's "Uniform").
    Uniform = uniform::steps;
    /// A spacing of the tests.
    #[cfg(test)]
    Toy = toy::steps;
}
