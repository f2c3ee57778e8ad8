//! The chunks of a WebP file: whether each ends within the file, and says the same of the image's size.
//!
//! The decoder takes memory for what a chunk claims before it reads it, so this is looked at first. Source: "WebP
//! Container Specification" (RFC 9649).

use std::io::{BufRead, Read, Seek};

use crate::fault::Fault;
use crate::size::{Size, area};

/// The chunks that the decoder knows.
const KNOWN: [&[u8; 4]; 8] = [b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP "];
/// Bytes of a chunk's name and length.
const HEAD: u64 = 8;
/// Bytes of an animation's frame before its own chunks.
const FRAME_HEAD: u64 = 16;

/// A chunk's name, and where it lies in the file.
struct Chunk {
    name: [u8; 4],
    begin: u64,
    end: u64,
}

/// Checks the chunks of a file of `length` bytes.
pub(super) fn check(file: &mut (impl BufRead + Seek), length: u64) -> Result<(), Fault> {
    file.rewind()?;
    let promised = read(file, 0)?.end;
    if promised > length {
        return Err(Fault::Truncated);
    }
    let mut canvas = None;
    let mut at = 12;
    while at + HEAD <= length {
        let chunk = read(file, at)?;
        if chunk.end > length {
            // Behind the image there may be anything, which may look like a chunk.
            if at < promised || KNOWN.contains(&&chunk.name) {
                return Err(Fault::Truncated);
            }
            break;
        }
        match &chunk.name {
            b"VP8X" if canvas.is_none() => canvas = Some(canvas_size(file)?),
            b"ANMF" => check_frame(file, &chunk, canvas)?,
            b"VP8 " => check_size(file, canvas)?,
            _ => {}
        }
        at = chunk.end + (chunk.end - chunk.begin) % 2;
    }
    Ok(())
}

/// The chunk that begins at `at`; the reader is at its content then.
fn read(file: &mut (impl BufRead + Seek), at: u64) -> Result<Chunk, Fault> {
    let here = file.stream_position()?;
    // Within the buffer this reads nothing anew.
    file.seek_relative(at as i64 - here as i64)?;
    let mut head = [0; HEAD as usize];
    file.read_exact(&mut head)?;
    let [a, b, c, d, size @ ..] = head;
    let begin = at + HEAD;
    Ok(Chunk { name: [a, b, c, d], begin, end: begin + u64::from(u32::from_le_bytes(size)) })
}

/// Looks into a frame of an animation for the size of its picture, which may stand behind its alpha channel.
fn check_frame(file: &mut (impl BufRead + Seek), frame: &Chunk, canvas: Option<Size>) -> Result<(), Fault> {
    let mut at = frame.begin + FRAME_HEAD;
    for _ in 0..2 {
        if at + HEAD > frame.end {
            break;
        }
        let chunk = read(file, at)?;
        if chunk.end > frame.end {
            return Err(Fault::Truncated);
        }
        if &chunk.name == b"VP8 " {
            return check_size(file, canvas);
        }
        at = chunk.end + (chunk.end - chunk.begin) % 2;
    }
    Ok(())
}

/// The size that the header of an extended file tells, each side in 24 bits and less by one.
fn canvas_size(file: &mut impl Read) -> Result<Size, Fault> {
    let mut header = [0; 10];
    file.read_exact(&mut header)?;
    let side = |bytes: &[u8]| 1 + u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
    Ok((side(&header[4..7]), side(&header[7..10])))
}

/// Checks that a picture is not larger than the canvas that it is for.
fn check_size(file: &mut impl Read, canvas: Option<Size>) -> Result<(), Fault> {
    let Some(canvas) = canvas else { return Ok(()) };
    let mut header = [0; 10];
    file.read_exact(&mut header)?;
    let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    let own = (side(header[6], header[7]), side(header[8], header[9]));
    if area(own) > area(canvas) {
        let text = format!("it says that it is {} × {} and also {} × {}", canvas.0, canvas.1, own.0, own.1);
        return Err(Fault::Unreadable(text));
    }
    Ok(())
}
