//! What launches kernels and holds their arrays.

use super::array::{Array, Buffer};
use super::card::Card;
use super::launch::Launch;

/// Numbers of an array that come from main memory.
#[derive(Debug, Clone, Copy)]
pub enum Contents<'a> {
    /// To be rounded to 16 bits.
    Half(&'a [f32]),
    /// As they are.
    F32(&'a [f32]),
    /// 8-bit weights.
    Eighths(&'a [i8]),
}

/// What launches kernels, one after another in the order in which it is asked.
///
/// Beside launches it has the two things for which operations need no kernel of ours.
pub trait Launcher {
    /// What it knows an array by.
    type Handle: Clone;

    /// The card for which launches are planned.
    fn card(&self) -> Card;

    /// An array with these numbers.
    fn given(&mut self, contents: Contents<'_>, shape: &[usize]) -> Buffer<Self::Handle>;

    /// An array whose numbers nobody has written yet.
    fn empty(&mut self, array: Array) -> Buffer<Self::Handle>;

    /// Launches a kernel.
    fn launch(&mut self, launch: Launch<Self::Handle>);

    /// A copy of `x` with other extents: zeros behind what is there, or what lies behind left out.
    fn resized(&mut self, x: &Buffer<Self::Handle>, shape: &[usize]) -> Buffer<Self::Handle>;

    /// The sum of two arrays of 16-bit numbers. `added` may have extents of 1 where `x` has others: it is repeated there.
    fn sum(&mut self, x: &Buffer<Self::Handle>, added: &Buffer<Self::Handle>) -> Buffer<Self::Handle>;

    /// `x` with these extents, a copy only if it has others.
    fn brought_to(&mut self, x: &Buffer<Self::Handle>, shape: &[usize]) -> Buffer<Self::Handle> {
        if x.array.shape == shape { x.clone() } else { self.resized(x, shape) }
    }

    /// `x` with this last extent, a copy only if it has another.
    fn with_width(&mut self, x: &Buffer<Self::Handle>, width: usize) -> Buffer<Self::Handle> {
        self.brought_to(x, &x.with_width(width))
    }
}
