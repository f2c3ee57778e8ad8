//! A file of tensors in memory map or held in the program: header, metadata, tensors as f32.
//!
//! Knows the container only, not what the tensors are for: safetensors (<https://github.com/huggingface/safetensors>),
//! or one of PyTorch's, which `torch_file` reads; the content decides, not the file's name. The header is
//! parsed and validated by the `safetensors` crate; size and kind are checked here first, so that a wrong file is
//! called by its name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use rayon::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::f8::f8_e4m3;
use super::foreign::foreign_kind;
use super::mapped_file::MappedFile;
use super::stored_tensor::StoredTensor;
use super::strides::{row_major, row_major_bytes};
use super::torch_file::{self, Content, Sum};
use super::torch_hypernetwork;
use crate::Error;

/// Longest header that is read; the format's own limit.
const MAX_HEADER: u64 = 100_000_000;
/// Most tensors of a file. Large models have some thousands, and as many averages.
const MAX_TENSORS: usize = 200_000;
/// Tensors with more values than this are converted by several threads.
const PARALLEL_FROM: usize = 1 << 18;
/// Bytes from which pages are given back after reading.
#[cfg(unix)]
const RELEASED_FROM: usize = 1 << 16;

/// An open file of tensors whose header has been checked against its size.
#[derive(Debug)]
pub struct TensorFile {
    label: String,
    bytes: Bytes,
    tensors: BTreeMap<String, StoredTensor>,
    metadata: BTreeMap<String, String>,
    /// Checksums of an archive's parts, with what is known of each after the first look.
    sums: Vec<(Sum, OnceLock<bool>)>,
}

/// Values of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// The values, row-major.
    pub values: Vec<f32>,
    /// No value is infinite or not a number.
    pub finite: bool,
}

#[derive(Debug)]
enum Bytes {
    Mapped(MappedFile),
    Held(Cow<'static, [u8]>),
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Mapped(file) => &file.map,
            Bytes::Held(bytes) => bytes,
        }
    }

    /// Tells the system that this range has been read: pages of the map that count as this process' memory, gigabytes
    /// of them for a large model beside its converted weights, can go. Read once more, they come back from the file.
    fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Bytes::Mapped(MappedFile { map, .. }) = self
            && range.len() >= RELEASED_FROM
        {
            // SAFETY: the map is read-only and of a file, so that dropped pages are read anew with the same content.
            // Where the system refuses, memory is all that is lost.
            let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len()) };
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}

/// Opens a file. What is none, such as a pipe, may never have anything to read.
fn opened(path: &Path) -> io::Result<File> {
    if std::fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir()) {
        return Err(io::Error::other("it is a device or a pipe; give a file"));
    }
    File::open(path)
}

impl TensorFile {
    /// Maps the file at `path`; nothing but the header is read yet. The file must not shrink while it is open.
    ///
    /// # Errors
    /// When it cannot be read, is neither safetensors nor one of PyTorch, is cut short, damaged or malicious.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let label = path.display().to_string();
        let read = |source| Error::Read { file: label.clone(), source };
        if path.is_dir() {
            let looks_like = "it is a folder; give the path of the file itself".into();
            return Err(Error::NotSafetensors { file: label, looks_like });
        }
        let file = opened(path).map_err(read)?;
        if file.metadata().map_err(read)?.len() == 0 {
            return Err(Error::NotSafetensors {
                file: label,
                looks_like: "it is empty; download or copy it again".into(),
            });
        }
        Self::parse(label.clone(), Bytes::Mapped(MappedFile::new(file).map_err(read)?))
    }

    /// Maps a hypernetwork of the web UI at `path`, which [`TensorFile::open`] refuses: its tensors lie deeper in the pickle.
    /// Their names are width, 0 for keys or 1 for values, and name, such as `768.0.linear.0.weight`.
    ///
    /// # Errors
    /// As for [`TensorFile::open`], and when it is no hypernetwork.
    pub fn open_hypernetwork(path: &Path) -> Result<Self, Error> {
        let label = path.display().to_string();
        let read = |source| Error::Read { file: label.clone(), source };
        let file = MappedFile::new(opened(path).map_err(read)?).map_err(read)?;
        if !torch_file::is_torch(&file.map) {
            let reason = "it is no hypernetwork of the web UI, which is a .pt file".into();
            return Err(Error::WrongKind { file: label, reason });
        }
        let content = torch_hypernetwork::read(&label, &file.map)?;
        Self::of(label, Bytes::Mapped(file), content)
    }

    /// Takes a whole file from memory; `label` stands for its path in messages.
    ///
    /// # Errors
    /// As for [`TensorFile::open`].
    pub fn from_bytes(label: &str, bytes: Cow<'static, [u8]>) -> Result<Self, Error> {
        Self::parse(label.to_string(), Bytes::Held(bytes))
    }

    fn parse(label: String, bytes: Bytes) -> Result<Self, Error> {
        let all = bytes.as_slice();
        // The length of a safetensors header may by chance begin as a pickle does.
        let is_torch = torch_file::is_torch(all) && all.get(8) != Some(&b'{');
        let content = if is_torch { torch_file::read(&label, all)? } else { read_safetensors(&label, all)? };
        Self::of(label, bytes, content)
    }

    fn of(label: String, bytes: Bytes, content: Content) -> Result<Self, Error> {
        let Content { tensors, metadata, sums } = content;
        if tensors.len() > MAX_TENSORS {
            let reason = format!("it has {} tensors, far more than any model", tensors.len());
            return Err(Error::WrongKind { file: label, reason });
        }
        let sums = sums.into_iter().map(|sum| (sum, OnceLock::new())).collect();
        Ok(Self { label, bytes, tensors, metadata, sums })
    }

    /// Compares the part of an archive that holds these bytes with its checksum, once.
    fn check(&self, bytes: &Range<usize>) -> Result<(), Error> {
        let after = self.sums.partition_point(|(sum, _)| sum.bytes.start <= bytes.start);
        let Some((sum, holds)) = self.sums[..after].last() else { return Ok(()) };
        if *holds.get_or_init(|| sum.holds(self.bytes.as_slice())) {
            return Ok(());
        }
        Err(Error::NotTorch { file: self.label.clone(), reason: sum.broken() })
    }

    /// The path as given, for messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// All tensor names, in the order of the data.
    pub fn names(&self) -> Vec<String> {
        let mut tensors: Vec<(&String, &StoredTensor)> = self.tensors.iter().collect();
        tensors.sort_by_key(|(name, tensor)| (tensor.bytes.start, *name));
        tensors.into_iter().map(|(name, _)| name.clone()).collect()
    }

    /// The file's text metadata.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| tensor.shape.as_slice())
    }

    /// Type of a tensor's numbers.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.tensors.get(name).map(|tensor| tensor.dtype)
    }

    /// A tensor's bytes (little-endian, row-major); none if they are in another order in the file, as a `.ckpt` may
    /// have them.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        let tensor = self.tensors.get(name)?;
        if tensor.strides.is_some() {
            return None;
        }
        self.bytes.as_slice().get(tensor.bytes.clone())
    }

    /// A tensor's bytes as they are, little-endian and row-major, to be copied into another file.
    ///
    /// # Errors
    /// When there is no such tensor, the file has changed, or a checksum says that its numbers are damaged.
    pub fn copied(&self, name: &str) -> Result<Cow<'_, [u8]>, Error> {
        let (tensor, bytes) = self.checked(name)?;
        Ok(match &tensor.strides {
            None => Cow::Borrowed(bytes),
            Some(strides) => {
                let copied = row_major_bytes(bytes, tensor.dtype.bitsize() / 8, &tensor.shape, strides);
                self.bytes.release(tensor.bytes.clone());
                Cow::Owned(copied)
            }
        })
    }

    /// Says that the bytes of a tensor which [`Self::copied`] gave have been used: they need not stay in memory.
    pub fn release(&self, name: &str) {
        if let Some(tensor) = self.tensors.get(name) {
            self.bytes.release(tensor.bytes.clone());
        }
    }

    /// Where a tensor is, and its bytes, which are what was written.
    fn checked(&self, name: &str) -> Result<(&StoredTensor, &[u8]), Error> {
        let missing = || Error::NoTensor { file: self.label.clone(), name: name.to_string() };
        let tensor = self.tensors.get(name).ok_or_else(missing)?;
        if let Bytes::Mapped(file) = &self.bytes
            && !file.is_unchanged()
        {
            return Err(Error::Changed(self.label.clone()));
        }
        let bytes = self.bytes.as_slice().get(tensor.bytes.clone()).ok_or_else(missing)?;
        self.check(&tensor.bytes)?;
        Ok((tensor, bytes))
    }

    /// A tensor's values, row-major, converted from F8, F16, BF16, F64 or I64 where need be.
    ///
    /// # Errors
    /// When there is no such tensor, its numbers are of a type that is not read, or a checksum says that they are damaged.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, Error> {
        Ok(self.read(name)?.values)
    }

    /// A tensor's values as [`Self::read_f32`] gives them, and whether all are finite.
    ///
    /// # Errors
    /// As for [`Self::read_f32`].
    pub fn read(&self, name: &str) -> Result<Values, Error> {
        let (tensor, bytes) = self.checked(name)?;
        let mut read = self.convert(name, tensor.dtype, bytes)?;
        self.bytes.release(tensor.bytes.clone());
        if let Some(strides) = &tensor.strides {
            read.values = row_major(&read.values, &tensor.shape, strides);
        }
        Ok(read)
    }

    fn convert(&self, name: &str, dtype: Dtype, bytes: &[u8]) -> Result<Values, Error> {
        match dtype {
            Dtype::F32 => Ok(read_values(bytes, f32::from_le_bytes, |from, to| to.copy_from_slice(from))),
            Dtype::F16 => Ok(read_values(bytes, f16::from_le_bytes, |from, to| from.convert_to_f32_slice(to))),
            Dtype::BF16 => Ok(read_values(bytes, bf16::from_le_bytes, |from, to| from.convert_to_f32_slice(to))),
            Dtype::F64 => Ok(read_values(bytes, f64::from_le_bytes, |from, to| {
                for (to, from) in to.iter_mut().zip(from) {
                    *to = *from as f32;
                }
            })),
            Dtype::F8_E4M3 => Ok(read_bytes(bytes, f8_e4m3)),
            // The upper half of an f16.
            Dtype::F8_E5M2 => Ok(read_bytes(bytes, |byte| f16::from_bits(u16::from(byte) << 8).to_f32())),
            // Some trainers store the alpha of a LoRA as a whole number.
            Dtype::I64 => Ok(read_values(bytes, i64::from_le_bytes, |from, to| {
                for (to, from) in to.iter_mut().zip(from) {
                    *to = *from as f32;
                }
            })),
            // Places of single numbers, in LyCORIS' sparse differences.
            Dtype::I16 => Ok(read_values(bytes, i16::from_le_bytes, |from, to| {
                for (to, from) in to.iter_mut().zip(from) {
                    *to = f32::from(*from);
                }
            })),
            other => Err(self.unread_type(name, other)),
        }
    }

    /// Whether a tensor's numbers are of a type that [`Self::read_f32`] converts.
    ///
    /// # Errors
    /// When they are of another type.
    pub fn check_numbers(&self, name: &str) -> Result<(), Error> {
        use Dtype::{BF16, F8_E4M3, F8_E5M2, F16, F32, F64, I64};
        match self.dtype(name) {
            Some(F32 | F16 | BF16 | F64 | F8_E4M3 | F8_E5M2 | I64) | None => Ok(()),
            Some(other) => Err(self.unread_type(name, other)),
        }
    }

    fn unread_type(&self, name: &str, dtype: Dtype) -> Error {
        Error::Dtype { file: self.label.clone(), name: name.to_string(), dtype: format!("{dtype:?}") }
    }
}

/// Converts `bytes` to f32 with `convert`, by several threads when large. Tensors may start at any byte, so unaligned
/// ones are gathered with `load` first.
fn read_values<T: bytemuck::Pod + Send + Sync, const N: usize>(
    bytes: &[u8],
    load: fn([u8; N]) -> T,
    convert: impl Fn(&[T], &mut [f32]) + Sync,
) -> Values {
    // Small enough that the values are still in the cache when they are looked at.
    const PIECE: usize = 1 << 14;
    let convert_piece = |bytes: &[u8], to: &mut [f32]| {
        match bytemuck::try_cast_slice(bytes) {
            Ok(values) if cfg!(target_endian = "little") => convert(values, to),
            _ => {
                let values: Vec<T> = bytes.as_chunks().0.iter().map(|chunk| load(*chunk)).collect();
                convert(&values, to);
            }
        }
        are_finite(to)
    };
    let mut values = vec![0.0; bytes.len() / N];
    let finite = if values.len() < PARALLEL_FROM {
        let pieces = values.chunks_mut(PIECE).zip(bytes.chunks(PIECE * N));
        pieces.fold(true, |finite, (to, from)| convert_piece(from, to) && finite)
    } else {
        let pieces = values.par_chunks_mut(PIECE).zip(bytes.par_chunks(PIECE * N));
        pieces.map(|(to, from)| convert_piece(from, to)).reduce(|| true, |one, other| one && other)
    };
    Values { values, finite }
}

/// Whether no value is infinite or not a number: the exponent of those has all its bits. Without branches, so that
/// vector registers do it.
fn are_finite(values: &[f32]) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    values.iter().fold(0, |largest: u32, value| largest.max(value.to_bits() & EXPONENT)) < EXPONENT
}

/// Converts numbers of one byte.
fn read_bytes(bytes: &[u8], value: impl Fn(u8) -> f32) -> Values {
    let table: Vec<f32> = (0..=u8::MAX).map(value).collect();
    let values: Vec<f32> = bytes.iter().map(|byte| table[usize::from(*byte)]).collect();
    let finite = are_finite(&values);
    Values { values, finite }
}

/// The tensors of a safetensors file, and the text in its header.
fn read_safetensors(label: &str, bytes: &[u8]) -> Result<Content, Error> {
    let (header, data_start) = parse_header(label, bytes)?;
    let mut content = Content::default();
    for (name, info) in header.tensors() {
        let (start, end) = info.data_offsets;
        let bytes = data_start + start..data_start + end;
        let tensor = StoredTensor { dtype: info.dtype, shape: info.shape.clone(), bytes, strides: None };
        content.tensors.insert(name, tensor);
    }
    if let Some(metadata) = header.metadata() {
        content.metadata.extend(metadata.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    Ok(content)
}

/// Checks kind and size, then parses. Returns the header and the position of the first tensor.
fn parse_header(label: &str, bytes: &[u8]) -> Result<(Metadata, usize), Error> {
    let not_safetensors = |looks_like: String| Error::NotSafetensors { file: label.to_string(), looks_like };
    let unknown = || not_safetensors(foreign_kind(bytes).unwrap_or("its first bytes are no safetensors header").into());
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(unknown)?;
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER || rest.first() != Some(&b'{') {
        return Err(unknown());
    }
    let wrong_size = |expected| Error::WrongSize { file: label.to_string(), expected, actual: bytes.len() as u64 };
    let Some(header) = rest.get(..length as usize) else {
        return Err(wrong_size(length + 8));
    };
    let header: Metadata = serde_json::from_slice(header)
        .map_err(|cause| not_safetensors(format!("its header is damaged ({cause}); download or copy it again")))?;
    let data_start = 8 + length as usize;
    if data_start + header.data_len() != bytes.len() {
        return Err(wrong_size((data_start + header.data_len()) as u64));
    }
    Ok((header, data_start))
}
