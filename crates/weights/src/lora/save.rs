//! Writing a LoRA file: the bytes that sd-scripts would write, whole or not at all.
//!
//! Container: safetensors, tensors sorted as its library sorts them (wider types first, then by name), header padded to
//! eight bytes. Metadata is sorted, where the Python library leaves the order to chance: equal runs give equal files.
//! Hashes: sd-scripts `precalculate_safetensors_hashes`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use lorabake_recipe::output::SavePrecision;
use safetensors::Dtype;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::metadata::hashes;
use crate::tensors::NamedTensor;
use crate::whole_file;

/// A tensor as it goes to the file.
#[derive(Debug, Clone)]
pub struct RawTensor {
    /// The tensor's key.
    pub name: String,
    /// Type of its numbers.
    pub dtype: Dtype,
    /// Length of each axis; empty for a scalar.
    pub shape: Vec<usize>,
    /// The values, little-endian, row-major.
    pub bytes: Vec<u8>,
}

/// The hashes that sd-scripts writes into its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorHashes {
    /// `sshs_model_hash`: SHA-256 of all tensor bytes, in hex.
    pub model: String,
    /// `sshs_legacy_hash`: eight hex digits.
    pub legacy: String,
}

/// What is known of a file after it was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// The hashes in the file.
    pub hashes: TensorHashes,
    /// Tensors with values that are infinite or not a number in the file (f16 ends at 65504).
    pub not_finite: Vec<String>,
}

/// Writes `tensors` to `path`, as `precision`, with `metadata` and the two hashes.
/// The folder is made if need be. A file that is already there is replaced at once or stays as it was.
///
/// # Errors
/// When shapes and values disagree, or when the file cannot be written; no partial file is left.
pub fn save(
    path: &Path,
    tensors: Vec<NamedTensor>,
    precision: SavePrecision,
    metadata: BTreeMap<String, String>,
) -> Result<Saved, Error> {
    let mut raw = Vec::with_capacity(tensors.len());
    let mut not_finite = Vec::new();
    for NamedTensor { name, shape, values } in tensors {
        if values.len() != shape.iter().product::<usize>() {
            return Err(Error::SaveShape { path: path.into(), name, values: values.len(), shape });
        }
        let numbers = match precision {
            // LyCORIS' only integers, which sd-scripts keeps unless it converts everything.
            SavePrecision::F32 if name.ends_with(".on_input") => as_integers(&values),
            _ => encode(&values, precision),
        };
        if !numbers.finite {
            not_finite.push(name.clone());
        }
        raw.push(RawTensor { name, dtype: numbers.dtype, shape, bytes: numbers.bytes });
    }
    let hashes = save_raw(path, raw, metadata)?;
    Ok(Saved { hashes, not_finite })
}

/// Writes tensors whose numbers are already as they are in the file, and else does what [`fn@save`] does.
///
/// # Errors
/// When the file cannot be written, or two tensors have one name; no partial file is left.
pub fn save_raw(
    path: &Path,
    mut tensors: Vec<RawTensor>,
    mut metadata: BTreeMap<String, String>,
) -> Result<TensorHashes, Error> {
    let failed = |source| Error::Save { path: path.into(), source };
    tensors.sort_by(|a, b| b.dtype.cmp(&a.dtype).then_with(|| a.name.cmp(&b.name)));
    let trained: BTreeMap<_, _> = metadata.iter().filter(|(key, _)| key.starts_with("ss_")).collect();
    let hashed_header = header(&tensors, &trained).map_err(failed)?;
    let hashes = TensorHashes::of(&hashed_header, &tensors);
    metadata.insert("sshs_model_hash".into(), hashes.model.clone());
    metadata.insert("sshs_legacy_hash".into(), hashes.legacy.clone());
    let header = header(&tensors, &metadata).map_err(failed)?;
    whole_file::write(path, |out| {
        out.write_all(&header)?;
        for tensor in &tensors {
            out.write_all(&tensor.bytes)?;
        }
        Ok(())
    })
    .map_err(failed)?;
    Ok(hashes)
}

/// Numbers as they go to the file.
struct Encoded {
    dtype: Dtype,
    bytes: Vec<u8>,
    /// No number is infinite or not a number.
    finite: bool,
}

/// Converts to 64-bit integers.
fn as_integers(values: &[f32]) -> Encoded {
    let bytes = values.iter().flat_map(|value| (*value as i64).to_le_bytes()).collect();
    Encoded { dtype: Dtype::I64, bytes, finite: true }
}

/// Converts to the saved type, rounding to nearest even as torch does.
fn encode(values: &[f32], precision: SavePrecision) -> Encoded {
    match precision {
        SavePrecision::F32 => {
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let finite = values.iter().all(|value| value.is_finite());
            Encoded { dtype: Dtype::F32, bytes, finite }
        }
        SavePrecision::F16 => {
            let mut halves = vec![f16::ZERO; values.len()];
            halves.convert_from_f32_slice(values);
            let bytes = halves.iter().flat_map(|value| value.to_le_bytes()).collect();
            let finite = halves.iter().all(|value| value.is_finite());
            Encoded { dtype: Dtype::F16, bytes, finite }
        }
        SavePrecision::Bf16 => {
            let mut halves = vec![bf16::ZERO; values.len()];
            halves.convert_from_f32_slice(values);
            let bytes = halves.iter().flat_map(|value| value.to_le_bytes()).collect();
            let finite = halves.iter().all(|value| value.is_finite());
            Encoded { dtype: Dtype::BF16, bytes, finite }
        }
    }
}

/// A tensor's place in a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'t> {
    pub name: &'t str,
    pub dtype: Dtype,
    pub shape: &'t [usize],
}

/// One line of the header.
#[derive(serde::Serialize)]
struct Entry<'t> {
    dtype: Dtype,
    shape: &'t [usize],
    data_offsets: (usize, usize),
}

/// Length prefix, JSON and padding, for tensors in file order.
fn header<K: serde::Serialize>(tensors: &[RawTensor], metadata: &K) -> io::Result<Vec<u8>> {
    let mut places = Vec::with_capacity(tensors.len());
    for RawTensor { name, dtype, shape, .. } in tensors {
        places.push(Place { name, dtype: *dtype, shape });
    }
    header_of(&places, metadata)
}

/// Length prefix, JSON and padding of a file with tensors at these places, in this order.
pub(crate) fn header_of<K: serde::Serialize>(places: &[Place<'_>], metadata: &K) -> io::Result<Vec<u8>> {
    let mut json = format!("{{\"__metadata__\":{}", serde_json::to_string(metadata)?);
    let mut start = 0;
    let mut seen = std::collections::BTreeSet::new();
    for Place { name, dtype, shape } in places {
        if !seen.insert(name) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("two tensors are named {name}")));
        }
        let length = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        let entry = Entry { dtype: *dtype, shape, data_offsets: (start, start + length) };
        start += length;
        json.push_str(&format!(",{}:{}", serde_json::to_string(name)?, serde_json::to_string(&entry)?));
    }
    json.push('}');
    json.extend(std::iter::repeat_n(' ', json.len().next_multiple_of(8) - json.len()));
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.extend(json.into_bytes());
    Ok(header)
}

/// Bytes before the tensors of a file that [`fn@save`] would write with this metadata.
pub(crate) fn header_bytes(tensors: &[(String, Vec<usize>)], dtype: Dtype, metadata: &BTreeMap<String, String>) -> u64 {
    let mut empty = Vec::with_capacity(tensors.len());
    for (name, shape) in tensors {
        empty.push(RawTensor { name: name.clone(), dtype, shape: shape.clone(), bytes: Vec::new() });
    }
    empty.sort_by(|a, b| a.name.cmp(&b.name));
    let mut metadata = metadata.clone();
    metadata.insert("sshs_model_hash".into(), "0".repeat(64));
    metadata.insert("sshs_legacy_hash".into(), "0".repeat(8));
    header(&empty, &metadata).map_or(0, |header| header.len() as u64)
}

impl TensorHashes {
    /// The hashes of a file that has this header before its tensors.
    fn of(header: &[u8], tensors: &[RawTensor]) -> Self {
        let mut all = Sha256::new();
        let mut window = hashes::LegacyWindow::new();
        window.update(header);
        for tensor in tensors {
            all.update(&tensor.bytes);
            window.update(&tensor.bytes);
        }
        Self { model: hashes::hex(&all.finalize()), legacy: window.finish() }
    }
}
