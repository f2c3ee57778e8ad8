//! What kernels ask of extents, in one place: widths that they take, how others are brought to them, and what they do not
//! serve at all.

use crate::frozen::WeightDtype;

/// Widths (channels, features, ranks) are multiples of it: the compiler was told so.
pub const LEAST: usize = 16;
/// With 8-bit weights the inner width is a multiple of it, so that a row of a tile has one scale.
pub const PARTS_OF_EIGHTHS: usize = 64;
/// Blocks in the second and third direction of a grid.
const MOST_BLOCKS: usize = 65_535;
/// Sizes of heads that attention is compiled for.
const HEADS: [usize; 4] = [40, 64, 80, 160];
/// The VAE's single head.
const VAE_HEAD: usize = 512;
/// The head of CLIP's text encoders, the only one with a causal mask.
const TEXT_HEAD: usize = 64;

/// Why an operation goes to the bodies of Burn's primitives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotServed {
    /// Weights in f32.
    #[error("weights are in 32 bits; the kernels multiply in 16")]
    Precision,
    /// A width that cannot be padded.
    #[error("{0} channels; the kernels take multiples of {LEAST}")]
    Width(usize),
    /// A row that is longer than a layer norm's largest tile.
    #[error("a row of {0} numbers is longer than the kernel's")]
    Row(usize),
    /// Channels of a group that are more than a tile has.
    #[error("a group of {0} channels is larger than the kernel's")]
    Group(usize),
    /// An attention's head.
    #[error("there is no kernel for heads of {0}")]
    Head(usize),
    /// A direction or form without a kernel.
    #[error("there is no kernel for {0}")]
    Form(&'static str),
    /// More than 32-bit numbers count or a grid holds.
    #[error("an array of {0} numbers is too large")]
    Size(usize),
}

/// A width as the kernels take it; what is added are zeros.
pub fn padded(width: usize) -> usize {
    width.next_multiple_of(LEAST)
}

/// The inner width of a product with weights that are held so.
pub fn padded_inner(width: usize, dtype: WeightDtype) -> usize {
    match dtype {
        WeightDtype::Int8 => width.next_multiple_of(PARTS_OF_EIGHTHS),
        WeightDtype::F32 | WeightDtype::Bf16 => padded(width),
    }
}

/// Fails unless the width is one that the kernels take: where zeros would count, as in a norm.
pub(crate) fn whole_width(width: usize) -> Result<(), NotServed> {
    if width.is_multiple_of(LEAST) { Ok(()) } else { Err(NotServed::Width(width)) }
}

/// The size of the head that an attention is computed with: zeros behind a head change no score.
pub(crate) fn head(width: usize, is_causal: bool) -> Result<usize, NotServed> {
    if is_causal {
        return if width <= TEXT_HEAD { Ok(TEXT_HEAD) } else { Err(NotServed::Head(width)) };
    }
    if width == VAE_HEAD {
        return Ok(VAE_HEAD);
    }
    HEADS.into_iter().find(|head| width <= *head).ok_or(NotServed::Head(width))
}

/// Fails if an index into that many numbers is no 32-bit number.
pub(crate) fn counted(numbers: usize) -> Result<usize, NotServed> {
    if i32::try_from(numbers).is_ok() { Ok(numbers) } else { Err(NotServed::Size(numbers)) }
}

/// A grid as the driver takes it.
pub(crate) fn grid(blocks: [usize; 3]) -> Result<[u32; 3], NotServed> {
    let all = blocks.iter().product();
    if blocks[1] > MOST_BLOCKS || blocks[2] > MOST_BLOCKS {
        return Err(NotServed::Size(all));
    }
    counted(blocks[0])?;
    Ok(blocks.map(|count| count as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths() {
        assert_eq!([1, 4, 16, 17, 320].map(padded), [16, 16, 16, 32, 320]);
        assert_eq!(padded_inner(320, WeightDtype::Int8), 320);
        assert_eq!(padded_inner(80, WeightDtype::Int8), 128);
        assert_eq!(padded_inner(80, WeightDtype::Bf16), 80);
        assert_eq!(whole_width(24), Err(NotServed::Width(24)));
    }

    #[test]
    fn heads() {
        assert_eq!([8, 40, 41, 64, 72, 160, 512].map(|d| head(d, false)), [40, 40, 64, 64, 80, 160, 512].map(Ok));
        assert_eq!(head(161, false), Err(NotServed::Head(161)));
        assert_eq!(head(16, true), Ok(64));
        assert_eq!(head(80, true), Err(NotServed::Head(80)));
    }

    #[test]
    fn sizes() {
        assert_eq!(counted((1 << 31) - 1), Ok((1 << 31) - 1));
        assert_eq!(counted(1 << 31), Err(NotServed::Size(1 << 31)));
        assert_eq!(grid([70_000, 65_535, 1]), Ok([70_000, 65_535, 1]));
        assert_eq!(grid([1, 65_536, 1]), Err(NotServed::Size(65_536)));
    }
}
