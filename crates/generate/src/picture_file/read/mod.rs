//! The text of settings in a picture's file. A stranger's file: no more memory is taken than the file or the limits allow.

mod jpeg;
mod png;
mod webp;

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::exif;

/// Most bytes of a text, packed or not.
const MOST_BYTES: u64 = 4 << 20;

/// The text that the web UI keeps in the PNG, JPEG or WebP at `path`.
///
/// # Errors
/// When it cannot be read, is of another format, or has no such text.
pub fn read_text(path: &Path) -> Result<String> {
    let name = path.display();
    // A pipe would be waited for before it can be looked at.
    if std::fs::metadata(path).is_ok_and(|data| !data.is_file() && !data.is_dir()) {
        bail!("{name}: it is a device or a pipe; name a picture");
    }
    let file = File::open(path).with_context(|| format!("{name}: it cannot be read; name a picture"))?;
    if file.metadata().is_ok_and(|data| data.is_dir()) {
        bail!("{name}: it is a folder; name a picture");
    }
    let length = file.metadata().with_context(|| format!("{name}: it cannot be read; name a picture"))?.len();
    let mut picture = Bytes { file: BufReader::new(file), length };
    let found = match picture.at(0, length.min(12))?.as_slice() {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => png::find(&mut picture, "parameters")?,
        [0xff, 0xd8, 0xff, ..] => jpeg::find(&mut picture)?,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => webp::find(&mut picture)?,
        _ => bail!("{name}: it is no PNG, JPEG or WebP; name a picture of one of these formats"),
    };
    match found {
        Found::Text(text) => Ok(text),
        Found::Nothing => bail!(
            "{name}: there is no text of settings in it, which editors and messengers drop; name the picture as it was made"
        ),
        Found::Graph => {
            bail!(
                "{name}: it was made by ComfyUI, whose graph is not read; name a picture of the web UI or of lorabake"
            )
        }
        Found::TooLong => bail!("{name}: its text is longer than 4 MB; name another picture"),
    }
}

/// The text of `keyword` in the PNG at `path`; `None` if it is no PNG, or has none.
///
/// # Errors
/// When it cannot be read, or the text is too long.
pub fn read_png_text(path: &Path, keyword: &str) -> Result<Option<String>> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("{name}: it cannot be read"))?;
    let length = file.metadata().with_context(|| format!("{name}: it cannot be read"))?.len();
    let mut picture = Bytes { file: BufReader::new(file), length };
    if !picture.at(0, length.min(8))?.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok(None);
    }
    match png::find(&mut picture, keyword)? {
        Found::Text(text) => Ok(Some(text)),
        Found::TooLong => bail!("{name}: its text is longer than 4 MB"),
        Found::Nothing | Found::Graph => Ok(None),
    }
}

/// What a file has.
enum Found {
    Text(String),
    Nothing,
    /// ComfyUI's graph of nodes in place of a text.
    Graph,
    TooLong,
}

impl Found {
    fn exif(bytes: &[u8]) -> Self {
        exif::text_of(bytes).filter(|text| !text.trim().is_empty()).map_or(Self::Nothing, Self::Text)
    }
}

/// A file of which pieces are read.
struct Bytes {
    file: BufReader<File>,
    length: u64,
}

impl Bytes {
    /// Whether the file has `count` bytes from `at` on.
    fn has(&self, at: u64, count: u64) -> bool {
        at.checked_add(count).is_some_and(|end| end <= self.length)
    }

    /// `count` bytes from `at` on, which the file [`has`](Self::has).
    fn at(&mut self, at: u64, count: u64) -> Result<Vec<u8>> {
        let here = self.file.stream_position()?;
        let apart = at as i64 - here as i64;
        // Within the buffer this reads nothing anew.
        self.file.seek_relative(apart)?;
        let mut bytes = vec![0; count as usize];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

    fn chunk(name: &[u8], content: &[u8]) -> Vec<u8> {
        [&(content.len() as u32).to_be_bytes(), name, content, &[0; 4]].concat()
    }

    fn read(bytes: &[u8]) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read_text(file.path()).map_err(|error| format!("{error:#}"))
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_chunk_of_text_is_read_wherever_it_stands() {
        let pixels = chunk(b"IDAT", &[7; 40_000]);
        let latin = chunk(b"tEXt", b"parameters\0gr\xf6\xdfer");
        let zipped = chunk(b"zTXt", &[b"parameters\0\0".as_slice(), &packed(b"gr\xf6\xdfer")].concat());
        let wide = chunk(b"iTXt", "parameters\0\0\0en\0word\0größer".as_bytes());
        let wide_zipped = [b"parameters\0\x01\0\0\0".as_slice(), &packed("größer".as_bytes())].concat();
        for text in [latin, zipped, wide, chunk(b"iTXt", &wide_zipped), chunk(b"eXIf", &exif::of_text("größer"))] {
            let other = chunk(b"tEXt", b"Title\0x");
            assert_eq!(read(&[PNG, &other, &text, &pixels].concat()).unwrap(), "größer");
            assert_eq!(read(&[PNG, &pixels, &text, &chunk(b"IEND", b"")].concat()).unwrap(), "größer");
        }
    }

    #[test]
    fn hostile_files_cost_nothing_and_are_named() {
        let bomb = packed(&vec![0; 64 << 20]);
        let bomb = chunk(b"zTXt", &[b"parameters\0\0".as_slice(), &bomb].concat());
        let endless = [b"\xff\xff\xff\xff".as_slice(), b"tEXtparameters\0x"].concat();
        for (bytes, told) in [
            ([PNG, &bomb].concat(), "its text is longer than 4 MB"),
            ([PNG, &endless].concat(), "there is no text of settings in it"),
            ([PNG, &chunk(b"zTXt", b"parameters\0\0broken")].concat(), "there is no text"),
            ([PNG, &chunk(b"iTXt", b"parameters\0")].concat(), "there is no text"),
            ([PNG, &chunk(b"tEXt", b"workflow\0{}")].concat(), "made by ComfyUI"),
            (b"\xff\xd8\xff\xe1\xff\xffExif\0\0".to_vec(), "there is no text"),
            (b"\xff\xd8\xff\xe1\0\0".to_vec(), "there is no text"),
            (b"RIFF\xff\xff\xff\xffWEBPEXIF\xff\xff\xff\xffMM".to_vec(), "there is no text"),
            (b"GIF89a".to_vec(), "it is no PNG, JPEG or WebP"),
            (Vec::new(), "it is no PNG, JPEG or WebP"),
        ] {
            let error = read(&bytes).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(read_text(folder.path()).unwrap_err().to_string().contains("name a picture"));
        assert!(read_text(&folder.path().join("no")).unwrap_err().to_string().contains("it cannot be read"));
    }
}
