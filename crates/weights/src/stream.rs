//! Writing a large safetensors file tensor by tensor: its header is known before its numbers are, which never lie in memory
//! together. Order of tensors: wider types first, then by name, as the format's own library has it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Read, SeekFrom};
use std::path::Path;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use safetensors::Dtype;

use crate::lora::{Place, header_of};
use crate::{Error, whole_file};

/// A tensor of a file that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTensor {
    /// The tensor's key.
    pub name: String,
    /// Type of its numbers.
    pub dtype: Dtype,
    /// Length of each axis; empty for a scalar.
    pub shape: Vec<usize>,
}

impl PlannedTensor {
    /// How many bytes its numbers take.
    pub fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}

/// Numbers as they go to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The numbers, little-endian.
    pub bytes: Vec<u8>,
    /// How many of them are infinite or not a number.
    pub not_finite: usize,
}

/// Numbers that are converted at a time.
const PIECE: usize = 4096;

/// Converts to a type of floats, rounding to nearest even as torch does; what is no float becomes f32.
pub fn encode(values: &[f32], dtype: Dtype) -> Encoded {
    let mut bytes = Vec::with_capacity(values.len() * dtype.bitsize() / 8);
    let mut not_finite = 0;
    match dtype {
        Dtype::F16 => {
            let mut halves = [f16::ZERO; PIECE];
            for piece in values.chunks(PIECE) {
                let halves = &mut halves[..piece.len()];
                halves.convert_from_f32_slice(piece);
                not_finite += halves.iter().filter(|value| !value.is_finite()).count();
                bytes.extend(halves.iter().flat_map(|value| value.to_le_bytes()));
            }
        }
        Dtype::BF16 => {
            let mut halves = [bf16::ZERO; PIECE];
            for piece in values.chunks(PIECE) {
                let halves = &mut halves[..piece.len()];
                halves.convert_from_f32_slice(piece);
                not_finite += halves.iter().filter(|value| !value.is_finite()).count();
                bytes.extend(halves.iter().flat_map(|value| value.to_le_bytes()));
            }
        }
        Dtype::F64 => {
            for value in values {
                not_finite += usize::from(!value.is_finite());
                bytes.extend(f64::from(*value).to_le_bytes());
            }
        }
        _ => {
            for value in values {
                not_finite += usize::from(!value.is_finite());
                bytes.extend(value.to_le_bytes());
            }
        }
    }
    Encoded { bytes, not_finite }
}

/// Brings tensors into the order of a file.
pub fn in_order(tensors: &mut [PlannedTensor]) {
    tensors.sort_by(|a, b| b.dtype.cmp(&a.dtype).then_with(|| a.name.cmp(&b.name)));
}

/// Writes a file of `tensors`, which stand in its order; `next` is asked for the bytes of each, one after the other, and
/// `finish` at the end for the text metadata, which is as long as `metadata` is or shorter. The file is whole or absent.
///
/// # Errors
/// Those of `next` and `finish`; when they give more or fewer bytes than planned; when the file cannot be written.
pub fn write<'b, E: From<Error>>(
    path: &Path,
    tensors: &[PlannedTensor],
    metadata: &BTreeMap<String, String>,
    mut next: impl FnMut(usize) -> Result<Cow<'b, [u8]>, E>,
    finish: impl FnOnce() -> Result<BTreeMap<String, String>, E>,
) -> Result<(), E> {
    let failed = |source| E::from(Error::Save { path: path.into(), source });
    let mut places = Vec::with_capacity(tensors.len());
    for PlannedTensor { name, dtype, shape } in tensors {
        places.push(Place { name, dtype: *dtype, shape });
    }
    let room = header_of(&places, metadata).map_err(failed)?.len();
    let mut stopped = None;
    let written = whole_file::write_seeking(path, |out| {
        io::copy(&mut io::repeat(b' ').take(room as u64), out)?;
        for (index, tensor) in tensors.iter().enumerate() {
            let bytes = match next(index) {
                Ok(bytes) if bytes.len() == tensor.bytes() => bytes,
                Ok(bytes) => {
                    let what = format!("{} has {} bytes, {} were planned", tensor.name, bytes.len(), tensor.bytes());
                    return Err(io::Error::other(what));
                }
                Err(error) => {
                    stopped = Some(error);
                    return Err(io::Error::other("stopped"));
                }
            };
            out.write_all(&bytes)?;
        }
        let metadata = match finish() {
            Ok(metadata) => metadata,
            Err(error) => {
                stopped = Some(error);
                return Err(io::Error::other("stopped"));
            }
        };
        out.seek(SeekFrom::Start(0))?;
        out.write_all(&filled_up(header_of(&places, &metadata)?, room)?)
    });
    match (stopped, written) {
        (Some(error), _) => Err(error),
        (None, written) => written.map_err(failed),
    }
}

/// A header of `room` bytes: spaces at its end count as part of it.
fn filled_up(mut header: Vec<u8>, room: usize) -> io::Result<Vec<u8>> {
    if header.len() > room {
        return Err(io::Error::other(format!("the header takes {} bytes, {room} were planned", header.len())));
    }
    header.resize(room, b' ');
    header[..8].copy_from_slice(&(room as u64 - 8).to_le_bytes());
    Ok(header)
}
