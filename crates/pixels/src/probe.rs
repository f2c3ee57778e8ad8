//! What can be said of an image file without decoding it: its size, and that its end is there.
//!
//! Decoders differ in what they do with a file that was cut off (the JPEG decoder fills the rest with grey), so the end
//! is looked for here: the structure of each format is followed, the pixels are not.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use ::image::error::ImageError;
use ::image::metadata::Orientation;
use ::image::{ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::fault::{Fault, FileError};
use crate::size::{Size, area};
use crate::webp_chunks;

/// Most pixels of an image. Pillow, and with it sd-scripts, refuses more too.
pub const MAX_PIXELS: u64 = 178_956_970;
/// Longest side of an image in pixels. Of what is longer no bucket keeps one part in a hundred.
pub const MAX_SIDE: u32 = 1 << 20;

/// Size of the image after EXIF rotation, from the header.
///
/// # Errors
/// If the file is empty, truncated, of another format or beyond [`MAX_PIXELS`] or [`MAX_SIDE`].
pub fn size(path: &Path) -> Result<Size, FileError> {
    read_size(path).map_err(|fault| FileError::new(path, fault))
}

fn read_size(path: &Path) -> Result<Size, Fault> {
    let file = File::open(path).map_err(|error| Fault::Unreadable(error.to_string()))?;
    let mut file = BufReader::new(file);
    let length = check_whole(&mut file)?;
    let mut reader = ImageReader::new(file).with_guessed_format()?;
    reader.limits(limits(length));
    let mut decoder = reader.into_decoder().map_err(fault)?;
    let stored = decoder.dimensions();
    check_size(stored)?;
    let orientation = decoder.orientation().map_err(fault)?;
    Ok(if lies_on_its_side(orientation) { (stored.1, stored.0) } else { stored })
}

fn lies_on_its_side(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Bounds what a decoder may take beside the pixels, for a file of `length` bytes: a row of the longest side in 16 bits of
/// four channels twice, and what is written beside the image (texts, a colour profile), which is mostly copied.
pub(super) fn limits(length: u64) -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(2 * 8 * u64::from(MAX_SIDE) + 4 * length);
    limits
}

pub(super) fn check_size(size: Size) -> Result<(), Fault> {
    match area(size) {
        0 => Err(Fault::Unreadable("it has no pixels".into())),
        pixels if pixels > MAX_PIXELS => Err(Fault::TooLarge(size.0, size.1)),
        _ if size.0.max(size.1) > MAX_SIDE => Err(Fault::TooLong(size.0, size.1)),
        _ => Ok(()),
    }
}

/// A decoder's error in the user's words.
pub(super) fn fault(error: ImageError) -> Fault {
    match error {
        ImageError::IoError(error) => error.into(),
        ImageError::Unsupported(error) => Fault::Format(error.to_string()),
        other => Fault::Unreadable(other.to_string()),
    }
}

/// Checks that the file is of a known format and that its end is there; leaves the reader at the start. Returns the
/// file's length in bytes.
pub(super) fn check_whole(file: &mut (impl BufRead + Seek)) -> Result<u64, Fault> {
    let mut head = Vec::new();
    file.by_ref().take(16).read_to_end(&mut head)?;
    if head.is_empty() {
        return Err(Fault::Empty);
    }
    let format = ::image::guess_format(&head).map_err(|_| Fault::Format("an unknown type".into()))?;
    let length = file.seek(SeekFrom::End(0))?;
    match format {
        ImageFormat::Png => {
            // A decoder takes memory for a row as soon as it knows how long that is.
            let PngHeader { size, bits } = PngHeader::read(file)?;
            check_size(size)?;
            check_holds(length.saturating_mul(8 * DEFLATE_RATIO), area(size) * bits)?;
            png_end(file)?;
        }
        ImageFormat::Jpeg => {
            let size = jpeg_end(file)?;
            check_holds(length.saturating_mul(8 * JPEG_BLOCK), area(size))?;
        }
        ImageFormat::WebP => webp_chunks::check(file, length)?,
        ImageFormat::Bmp => bmp_end(file)?,
        other => return Err(Fault::Format(format!("{other:?}"))),
    }
    file.rewind()?;
    Ok(length)
}

/// Most bytes that one byte of deflate stands for.
const DEFLATE_RATIO: u64 = 1032;
/// Pixels of a block of JPEG, for which there is one bit at least.
const JPEG_BLOCK: u64 = 64;

/// Refuses a file that is too short for what its header says, before memory is taken for that.
fn check_holds(most: u64, claimed: u64) -> Result<(), Fault> {
    if claimed > most { Err(Fault::Truncated) } else { Ok(()) }
}

/// What the first chunk of a PNG file says.
struct PngHeader {
    size: Size,
    /// Bits of a pixel.
    bits: u64,
}

impl PngHeader {
    fn read(file: &mut (impl BufRead + Seek)) -> io::Result<Self> {
        file.seek(SeekFrom::Start(16))?;
        let width = read_u32(file)?.swap_bytes();
        let height = read_u32(file)?.swap_bytes();
        let mut types = [0; 2];
        file.read_exact(&mut types)?;
        let [depth, color] = types;
        let channels = match color {
            2 => 3,
            4 => 2,
            6 => 4,
            _ => 1,
        };
        Ok(Self { size: (width, height), bits: u64::from(depth) * channels })
    }
}

/// Follows the chunks up to IEND.
fn png_end(file: &mut (impl BufRead + Seek)) -> io::Result<()> {
    file.seek(SeekFrom::Start(8))?;
    loop {
        let mut chunk = [0; 8];
        file.read_exact(&mut chunk)?;
        if &chunk[4..] == b"IEND" {
            return file.read_exact(&mut [0; 4]);
        }
        let length = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        file.seek_relative(i64::from(length) + 4)?;
    }
}

/// Follows the segments up to the first scan, then looks for the end marker (an earlier one would be a thumbnail's).
/// Returns the largest size that a segment tells, (0, 0) if none does.
fn jpeg_end(file: &mut (impl BufRead + Seek)) -> io::Result<Size> {
    const SCAN: u8 = 0xda;
    const END: u8 = 0xd9;
    let mut largest = (0, 0);
    file.seek(SeekFrom::Start(2))?;
    loop {
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        // Between segments there may be filling, and the markers below have no length.
        if byte[0] != 0xff {
            continue;
        }
        while byte[0] == 0xff {
            file.read_exact(&mut byte)?;
        }
        if matches!(byte[0], 0 | 1 | 0xd0..=0xd8) {
            continue;
        }
        let mut length = [0; 2];
        file.read_exact(&mut length)?;
        let mut rest = (i64::from(u16::from_be_bytes(length)) - 2).max(0);
        if is_frame(byte[0]) && rest >= 5 {
            let mut frame = [0; 5];
            file.read_exact(&mut frame)?;
            let [_, rows @ .., a, b] = frame;
            let size = (u32::from(u16::from_be_bytes([a, b])), u32::from(u16::from_be_bytes(rows)));
            largest = if area(size) > area(largest) { size } else { largest };
            rest -= 5;
        }
        file.seek_relative(rest)?;
        if byte[0] == SCAN {
            break;
        }
    }
    let mut scratch = Vec::new();
    loop {
        scratch.clear();
        let read = file.read_until(0xff, &mut scratch)?;
        let next = file.fill_buf()?.first().copied();
        match next {
            Some(END) => return Ok(largest),
            None if read == 0 || scratch.last() != Some(&0xff) => return Err(ErrorKind::UnexpectedEof.into()),
            _ => {}
        }
    }
}

/// Whether a segment of JPEG with this marker tells the size.
fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

/// The size that follows from the dimensions, where rows are stored as they are.
fn bmp_end(file: &mut (impl BufRead + Seek)) -> io::Result<()> {
    file.seek(SeekFrom::Start(10))?;
    let offset = u64::from(read_u32(file)?);
    let is_oldest = read_u32(file)? < 40;
    let (width, height) = if is_oldest {
        let sides = read_u32(file)?;
        (sides & 0xffff, sides >> 16)
    } else {
        ((read_u32(file)? as i32).unsigned_abs(), (read_u32(file)? as i32).unsigned_abs())
    };
    let bits = u64::from(read_u32(file)? >> 16);
    let row = (u64::from(width) * bits).div_ceil(32) * 4;
    if is_oldest || matches!(read_u32(file)?, 0 | 3 | 6) {
        ends_after(file, offset.saturating_add(row.saturating_mul(u64::from(height))))
    } else {
        Ok(())
    }
}

fn read_u32(file: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    file.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn ends_after(file: &mut impl Seek, length: u64) -> io::Result<()> {
    if file.seek(SeekFrom::End(0))? < length { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}
