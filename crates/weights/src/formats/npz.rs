//! NumPy's `.npz` files: a zip archive of named arrays. Knows the container only, not what the arrays are for.
//!
//! Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, versions 1 to 3; stored (`savez`)
//! or deflated (`savez_compressed`). Arrays that this program has no use for survive reading and writing as they are.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive, ZipArchiveWriter};

use crate::{Error, whole_file};

/// More bytes than this, packed or unpacked, are not read. Latents of an image take a hundred kilobytes.
const MAX_BYTES: u64 = 1 << 28;
/// Unpacked bytes of any file at least, and for each of its own: a mask of one value alone packs well, and is small.
const UNPACKED_FREELY: u64 = 1 << 24;
const MOST_UNPACKED: u64 = 16;
const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// NumPy starts the numbers at a multiple of this.
const ALIGN: usize = 64;

/// The arrays of a file, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Npz {
    /// Each as its `.npy` file.
    members: BTreeMap<String, Vec<u8>>,
}

/// One array, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array<T> {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// shape.product() values.
    pub values: Vec<T>,
}

/// A type of numbers that files hold.
pub trait Number: Copy {
    /// NumPy's name of the type.
    const NAME: &'static str;
    /// The number's bytes, little-endian.
    fn bytes(self) -> impl AsRef<[u8]>;
    /// The number of which these are the bytes; `None` if they are too few or too many.
    fn read(bytes: &[u8]) -> Option<Self>;
}

macro_rules! number {
    ($($kind:ty, $name:literal;)*) => {$(
        impl Number for $kind {
            const NAME: &'static str = $name;
            fn bytes(self) -> impl AsRef<[u8]> {
                self.to_le_bytes()
            }
            fn read(bytes: &[u8]) -> Option<Self> {
                Some(Self::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    )*};
}

number! { u8, "|u1"; i32, "<i4"; i64, "<i8"; f32, "<f4"; f64, "<f8"; }

impl Npz {
    /// Reads a whole file; every array's checksum is checked.
    ///
    /// # Errors
    /// When it cannot be read, is no zip archive, is cut short or damaged.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let label = path.display().to_string();
        let read = || {
            let mut bytes = Vec::new();
            std::fs::File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes: Vec<u8> = read().map_err(|source: io::Error| Error::Read { file: label.clone(), source })?;
        Self::parse(&bytes).map_err(|reason| Error::NotNpz { file: label, reason })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        const LARGE: &str = "it is far too large";
        let say = |error: rawzip::Error| error.to_string();
        if bytes.len() as u64 > MAX_BYTES {
            return Err(LARGE.to_owned());
        }
        let archive = ZipArchive::from_slice(bytes).map_err(say)?;
        let mut members = BTreeMap::new();
        let mut left = MAX_BYTES.min(UNPACKED_FREELY.max(MOST_UNPACKED * bytes.len() as u64));
        let mut entries = archive.entries();
        while let Some(entry) = entries.next_entry().map_err(say)? {
            let path = entry.file_path();
            let name = std::str::from_utf8(path.as_bytes()).map_err(|error| error.to_string())?;
            let Some(name) = name.strip_suffix(".npy") else { continue };
            let packed = archive.get_entry(entry.wayfinder()).map_err(say)?;
            let data = match entry.compression_method() {
                CompressionMethod::STORE => Box::new(packed.data()) as Box<dyn Read>,
                CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(packed.data())),
                other => return Err(format!("{name} is packed by method {other}")),
            };
            // What the archive says that it unpacks to; a vector that grows holds more than that.
            let said = entry.uncompressed_size_hint().min(left);
            let mut member = Vec::with_capacity(usize::try_from(said).unwrap_or_default());
            let mut data = packed.verifying_reader(data).take(left);
            data.read_to_end(&mut member).map_err(|error| format!("{name} is damaged ({error})"))?;
            left -= member.len() as u64;
            if left == 0 {
                return Err(LARGE.to_owned());
            }
            members.insert(name.to_owned(), member);
        }
        Ok(Self { members })
    }

    /// Writes a whole file, as `numpy.savez` does: nothing is packed.
    ///
    /// # Errors
    /// When it cannot be written; what was at `path` before is still there then.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let save = |source| Error::Save { path: path.to_owned(), source };
        let bytes = self.zipped().map_err(|error| save(io::Error::other(error.to_string())))?;
        whole_file::write(path, |out| out.write_all(&bytes)).map_err(save)
    }

    fn zipped(&self) -> Result<Vec<u8>, rawzip::Error> {
        let mut archive = ZipArchiveWriter::new(Vec::new());
        for (name, member) in &self.members {
            let name = format!("{name}.npy");
            let (mut entry, config) = archive.new_file(&name).start()?;
            let mut data = config.wrap(&mut entry);
            data.write_all(member)?;
            let (_, descriptor) = data.finish()?;
            entry.finish(descriptor)?;
        }
        archive.finish()
    }

    /// The names of all arrays.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// An array of this type of numbers; `None` if there is none of this name, type and order.
    pub fn get<T: Number>(&self, name: &str) -> Option<Array<T>> {
        let (header, data) = split(self.members.get(name)?)?;
        let shape = shape(header, T::NAME)?;
        let values: Option<Vec<T>> = data.chunks(size_of::<T>()).map(T::read).collect();
        let values = values.filter(|values| Some(values.len()) == count(&shape))?;
        Some(Array { shape, values })
    }

    /// Adds an array, or puts it in the place of the one that has its name.
    ///
    /// # Panics
    /// If `values` are not as many as `shape` says.
    pub fn put<T: Number>(&mut self, name: &str, shape: &[usize], values: &[T]) {
        assert_eq!(count(shape), Some(values.len()), "{name}");
        let extents: Vec<String> = shape.iter().map(|extent| format!("{extent},")).collect();
        let about = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", T::NAME, extents.join(" "));
        let before = MAGIC.len() + 4;
        let width = (before + about.len() + 1).next_multiple_of(ALIGN) - before;
        let mut member = [MAGIC.as_slice(), &[1, 0], &(width as u16).to_le_bytes()].concat();
        member.extend(format!("{about:<pad$}\n", pad = width - 1).bytes());
        values.iter().for_each(|value| member.extend(value.bytes().as_ref()));
        self.members.insert(name.to_owned(), member);
    }

    /// Takes an array out.
    pub fn remove(&mut self, name: &str) {
        self.members.remove(name);
    }
}

/// The header's text and the numbers of an `.npy` file.
fn split(member: &[u8]) -> Option<(&str, &[u8])> {
    let (version, rest) = member.strip_prefix(MAGIC)?.split_first_chunk::<2>()?;
    let (length, rest) = match version[0] {
        1 => rest.split_first_chunk().map(|(length, rest)| (u16::from_le_bytes(*length) as usize, rest))?,
        2 | 3 => rest.split_first_chunk().map(|(length, rest)| (u32::from_le_bytes(*length) as usize, rest))?,
        _ => return None,
    };
    let (header, data) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(header).ok()?, data))
}

/// The shape, if the header, a Python dictionary, tells of row-major numbers of the type `kind`.
fn shape(header: &str, kind: &str) -> Option<Vec<usize>> {
    let after = |key: &str| header.split_once(key).map(|(_, rest)| rest.trim_start());
    after("'descr':")?.strip_prefix('\'')?.strip_prefix(kind)?.strip_prefix('\'')?;
    after("'fortran_order':")?.strip_prefix("False")?;
    let (extents, _) = after("'shape':")?.strip_prefix('(')?.split_once(')')?;
    extents.split(',').map(str::trim).filter(|extent| !extent.is_empty()).map(|extent| extent.parse().ok()).collect()
}

fn count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |product, extent| product.checked_mul(*extent))
}
