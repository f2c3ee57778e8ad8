//! A frozen weight on a card: in 16 bits, or in 8 with a scale for each 128.

use super::array::Buffer;
use super::launcher::{Contents, Launcher};
use super::padding::NotServed;
use crate::frozen::WeightDtype;
use crate::int8::Eighths;

/// A frozen weight on a card.
#[derive(Debug, Clone)]
pub struct FrozenWeight<H> {
    /// Its numbers, or their codes.
    pub numbers: Buffer<H>,
    /// The scales of codes; kernels that read none get any f32 array for them.
    pub scales: Option<Buffer<H>>,
}

impl<H: Clone> FrozenWeight<H> {
    /// Brings a weight, padded already. In 8 bits its numbers are rounded in this order, whatever the order they came in.
    ///
    /// # Errors
    /// If it is held in 32 bits.
    pub(crate) fn bring<L: Launcher<Handle = H>>(
        on: &mut L,
        values: &[f32],
        shape: &[usize],
        dtype: WeightDtype,
    ) -> Result<Self, NotServed> {
        match dtype {
            WeightDtype::F32 => Err(NotServed::Precision),
            WeightDtype::Bf16 => Ok(Self { numbers: on.given(Contents::Half(values), shape), scales: None }),
            WeightDtype::Int8 => Ok(Self::of_eighths(on, &Eighths::new(values), shape)),
        }
    }

    /// Brings a weight that is held in 8 bits as it is.
    pub(crate) fn of_eighths<L: Launcher<Handle = H>>(on: &mut L, eighths: &Eighths, shape: &[usize]) -> Self {
        let numbers = on.given(Contents::Eighths(eighths.codes()), shape);
        let scales = on.given(Contents::F32(eighths.scales()), &[eighths.scales().len()]);
        Self { numbers, scales: Some(scales) }
    }

    /// The name of a kernel for it: `linear` or `linear_int8`, with what follows.
    pub(crate) fn kernel(&self, family: &str, rest: &str) -> String {
        let eighths = if self.scales.is_some() { "_int8" } else { "" };
        format!("{family}{eighths}{rest}")
    }
}

/// A matrix with zeros behind its rows and behind its columns.
pub(crate) fn with_zeros(
    values: &[f32],
    [rows, columns]: [usize; 2],
    [more_rows, more_columns]: [usize; 2],
) -> Vec<f32> {
    assert_eq!(values.len(), rows * columns);
    let mut padded = vec![0.0; more_rows * more_columns];
    for (row, to) in values.chunks_exact(columns).zip(padded.chunks_exact_mut(more_columns)) {
        to[..columns].copy_from_slice(row);
    }
    padded
}
