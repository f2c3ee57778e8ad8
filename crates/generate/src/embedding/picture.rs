//! Embeddings in pictures, as the web UI hands them round: as a text of a PNG, or in the low bits of the pixels beside the
//! picture itself. Both hold JSON.
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui (`modules/textual_inversion/image_embedding.py`, facts only).

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use lorabake_pixels::Rgb;
use lorabake_pixels::decode::decode;
use lorabake_weights::embedding::{Embedding, MOST_VECTORS};
use lorabake_weights::lora::ModuleTensor;

use crate::picture_file::read_png_text;

/// The text of a PNG that holds an embedding.
const KEYWORD: &str = "sd-ti-embedding";
/// What a tensor is called in the JSON.
const TENSOR: &str = "TORCHTENSOR";
/// Most bytes of JSON.
const MOST_BYTES: u64 = 32 << 20;
/// Most numbers of a vector.
const WIDEST: usize = 16_384;
/// The bits of a byte of a pixel that hold data; the others are there to be looked at.
const LOW: u8 = 0x0f;

/// An embedding with the name that its picture gives it.
#[derive(Debug)]
pub(super) struct Pictured {
    pub name: Option<String>,
    pub embedding: Embedding,
}

/// The embedding in the picture at `path`; `None` if there is none, as in a preview of another file.
///
/// # Errors
/// What is wrong with the embedding that is there.
pub(super) fn open(path: &Path) -> Result<Option<Pictured>, String> {
    let text = read_png_text(path, KEYWORD).map_err(|error| format!("{error:#}"))?;
    if let Some(text) = text {
        let json = STANDARD.decode(text.trim()).map_err(|_| "its text is not base64".to_owned())?;
        return read(&json).map(Some);
    }
    // A picture that cannot be read is nobody's embedding.
    let Ok(decoded) = decode(path) else { return Ok(None) };
    let Some(json) = hidden(&decoded.image) else { return Ok(None) };
    read(&json).map(Some)
}

/// The embedding that the JSON holds.
fn read(json: &[u8]) -> Result<Pictured, String> {
    let json: serde_json::Value = serde_json::from_slice(json).map_err(|error| format!("its JSON: {error}"))?;
    let name = json["name"].as_str().map(str::to_owned);
    let words = json["string_to_param"].as_object().ok_or("its JSON has no string_to_param")?;
    let mut tensors = BTreeMap::new();
    for (word, value) in words {
        tensors.insert(format!("string_to_param.{word}"), tensor(&value[TENSOR])?);
    }
    Ok(Pictured { name, embedding: Embedding::of_tensors(&tensors)? })
}

/// A tensor of rows, or of a single one.
fn tensor(value: &serde_json::Value) -> Result<ModuleTensor, String> {
    const NONE: &str = "its vectors are no rows of numbers";
    let rows = value.as_array().ok_or(NONE)?;
    let rows = if rows.first().is_some_and(serde_json::Value::is_array) {
        rows.as_slice()
    } else {
        std::slice::from_ref(value)
    };
    let mut values = Vec::new();
    let mut width = None;
    for row in rows {
        let row = row.as_array().ok_or(NONE)?;
        if *width.get_or_insert(row.len()) != row.len() || row.len() > WIDEST || rows.len() > MOST_VECTORS {
            return Err(format!("its vectors are not 1 to {MOST_VECTORS} of one width"));
        }
        for number in row {
            values.push(number.as_f64().ok_or(NONE)? as f32);
        }
    }
    Ok(ModuleTensor { shape: vec![rows.len(), width.unwrap_or(0)], values })
}

/// The data in the low bits of the two strips left and right of the picture, unpacked; `None` if there are none.
fn hidden(image: &Rgb) -> Option<Vec<u8>> {
    let [left, right] = strips(image)?;
    if left.len() != right.len() {
        return None;
    }
    let mut packed = Vec::with_capacity(left.len());
    for ((low, high), mask) in left.iter().zip(&right).zip(Mask::default()) {
        packed.push(((high ^ mask) << 4) | (low ^ mask));
    }
    let mut json = Vec::new();
    ZlibDecoder::new(packed.as_slice()).take(MOST_BYTES).read_to_end(&mut json).ok()?;
    Some(json)
}

/// The low bits of the strips, row by row. A black frame is cut off; columns whose low bits are all 0 part strips and picture.
fn strips(image: &Rgb) -> Option<[Vec<u8>; 2]> {
    let width = image.width as usize;
    let is_light = |x: usize, y: usize| image.data[(y * width + x) * 3..][..3].iter().all(|value| *value > 0);
    let height = image.height as usize;
    let mut columns: Option<[usize; 2]> = None;
    let mut rows: Option<[usize; 2]> = None;
    for y in 0..height {
        for x in (0..width).filter(|x| is_light(*x, y)) {
            let [first, last] = columns.unwrap_or([x, x]);
            columns = Some([first.min(x), last.max(x)]);
            rows = Some([rows.map_or(y, |rows| rows[0]), y]);
        }
    }
    let [left, right] = columns?;
    let [top, bottom] = rows?;
    let low = |x: usize, y: usize| image.data[(y * width + x) * 3..][..3].iter().map(|value| value & LOW);
    let is_empty = |x: &usize| (top..=bottom).all(|y| low(*x, y).all(|value| value == 0));
    let first = (left..=right).find(is_empty)?;
    let last = (left..=right).rev().find(is_empty)?;
    if first == last {
        return None;
    }
    let mut both = [Vec::new(), Vec::new()];
    for y in top..=bottom {
        both[0].extend((left..first).flat_map(|x| low(x, y)));
        both[1].extend((last + 1..=right).flat_map(|x| low(x, y)));
    }
    Some(both)
}

/// Numbers that look random, with which the data are mixed.
#[derive(Default)]
struct Mask {
    state: u32,
}

impl Iterator for Mask {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((self.state % 255) as u8 & LOW)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    const JSON: &str = r#"{"name": "hand", "string_to_token": {"*": 265}, "string_to_param":
        {"*": {"TORCHTENSOR": [[0.5, -1.0, 2.0], [0.25, 0.0, 1.0]]}}, "step": 3}"#;

    fn check(read: Pictured) {
        assert_eq!(read.name.as_deref(), Some("hand"));
        assert_eq!(read.embedding.vectors[0].width, 3);
        assert_eq!(read.embedding.vectors[0].rows, [0.5, -1.0, 2.0, 0.25, 0.0, 1.0]);
    }

    #[test]
    fn the_mask_is_that_of_the_web_ui() {
        let known = [253, 242, 127, 44, 157, 27, 239, 133, 38, 79, 167, 4].map(|value: u8| value & LOW);
        assert_eq!(Mask::default().take(12).collect::<Vec<_>>(), known);
    }

    #[test]
    fn an_embedding_lies_beside_the_pixels() {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
        packed.write_all(JSON.as_bytes()).unwrap();
        let mut packed = packed.finish().unwrap();
        // Rows of 8 pixels of 3 bytes; what is too much is ignored.
        let rows = packed.len().div_ceil(24);
        packed.resize(rows * 24, 7);
        let mut image = Rgb::filled((8 + 1 + 5 + 1 + 8, rows as u32), [0x41, 0x52, 0x63]);
        let width = image.width as usize;
        for (at, (byte, mask)) in packed.iter().zip(Mask::default()).enumerate() {
            let place = (at / 24 * width) * 3 + at % 24;
            image.data[place] = 0x80 | ((byte & LOW) ^ mask);
            image.data[place + (width - 8) * 3] = 0x80 | ((byte >> 4) ^ mask);
        }
        for row in 0..rows {
            for column in [8, width - 9] {
                image.data[(row * width + column) * 3..][..3].fill(0);
            }
        }
        check(read(&hidden(&image).unwrap()).unwrap());
        assert!(hidden(&Rgb::filled((8, 8), [0; 3])).is_none());
        assert!(hidden(&Rgb::filled((8, 8), [9; 3])).is_none());
    }

    #[test]
    fn an_embedding_is_a_text_of_a_png() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let write = |text: &str| {
            let mut encoder = png::Encoder::new(std::fs::File::create(&path).unwrap(), 1, 1);
            encoder.set_color(png::ColorType::Rgb);
            encoder.add_text_chunk(KEYWORD.to_owned(), text.to_owned()).unwrap();
            encoder.write_header().unwrap().write_image_data(&[1, 2, 3]).unwrap();
        };
        write(&STANDARD.encode(JSON));
        check(open(&path).unwrap().unwrap());
        for (json, told) in [
            ("{}", "no string_to_param"),
            (r#"{"string_to_param": {"*": {"TORCHTENSOR": [[1], [1, 2]]}}}"#, "of one width"),
            (r#"{"string_to_param": {"*": 1}}"#, "no rows of numbers"),
            ("[", "its JSON"),
        ] {
            write(&STANDARD.encode(json));
            let error = open(&path).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        write("*");
        assert!(open(&path).unwrap_err().contains("not base64"));
    }
}
