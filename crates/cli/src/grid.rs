//! A labelled grid of pictures: rows for settings, columns for prompts and seeds.

use font8x8::{BASIC_FONTS, LATIN_FONTS, UnicodeFonts};
use lorabake_generate::picture_file::Pixels;

const PAPER: u8 = 255;
const INK: u8 = 32;
/// Side of a letter before it is enlarged.
const LETTER: usize = 8;
/// Lines of a column's label.
const LINES: usize = 4;

/// Composes pictures of one size: `rows` of a label and one picture per column.
///
/// # Panics
/// If rows have different numbers of pictures, or pictures different sizes.
pub fn compose(columns: &[String], rows: &[(String, Vec<Pixels>)]) -> Pixels {
    let (width, height) = rows.first().and_then(|(_, row)| row.first()).map_or((0, 0), |p| (p.width, p.height));
    // Letters grow with the pictures, so that a grid is readable when it is shown small.
    let zoom = (width / 256).max(1);
    let letter = LETTER * zoom;
    let gap = letter / 2;
    let left = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0) * letter + 2 * gap;
    let wrapped: Vec<_> = columns.iter().map(|label| wrap(label, (width / letter).max(2) - 1)).collect();
    let top = wrapped.iter().map(Vec::len).max().unwrap_or(0) * (letter + zoom) + 2 * gap;
    let mut sheet = Sheet::new(left + columns.len() * (width + gap), top + rows.len() * (height + gap));
    for (column, lines) in wrapped.iter().enumerate() {
        for (line, text) in lines.iter().enumerate() {
            sheet.text(text, [left + column * (width + gap), gap + line * (letter + zoom)], zoom);
        }
    }
    for (row, (label, pictures)) in rows.iter().enumerate() {
        assert_eq!(pictures.len(), columns.len(), "one picture per column");
        let y = top + row * (height + gap);
        sheet.text(label, [gap, y + (height - letter.min(height)) / 2], zoom);
        for (column, picture) in pictures.iter().enumerate() {
            assert_eq!((picture.width, picture.height), (width, height), "pictures of one size");
            sheet.paste(picture, [left + column * (width + gap), y]);
        }
    }
    sheet.0
}

/// `text` in lines of at most `length` letters, cut after [`LINES`].
fn wrap(text: &str, length: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for (index, piece) in letters.chunks(length).enumerate() {
            let fits = |line: &String| index == 0 && line.chars().count() + 1 + piece.len() <= length;
            match lines.last_mut().filter(|line| fits(line)) {
                Some(line) => line.extend(std::iter::once(&' ').chain(piece)),
                None => lines.push(piece.iter().collect()),
            }
        }
    }
    lines.truncate(LINES);
    lines
}

struct Sheet(Pixels);

impl Sheet {
    fn new(width: usize, height: usize) -> Self {
        Self(Pixels { width, height, rgb: vec![PAPER; width * height * 3] })
    }

    fn paste(&mut self, picture: &Pixels, [x, y]: [usize; 2]) {
        for (row, line) in picture.rgb.chunks_exact(picture.width * 3).enumerate() {
            let start = ((y + row) * self.0.width + x) * 3;
            self.0.rgb[start..start + line.len()].copy_from_slice(line);
        }
    }

    fn text(&mut self, text: &str, [x, y]: [usize; 2], zoom: usize) {
        for (index, symbol) in text.chars().enumerate() {
            let glyph = BASIC_FONTS.get(symbol).or_else(|| LATIN_FONTS.get(symbol)).unwrap_or(UNKNOWN);
            for (row, bits) in glyph.iter().enumerate() {
                for column in (0..LETTER).filter(|column| bits >> column & 1 == 1) {
                    self.dot([x + (index * LETTER + column) * zoom, y + row * zoom], zoom);
                }
            }
        }
    }

    /// A square of ink; what lies outside is left away.
    fn dot(&mut self, [x, y]: [usize; 2], side: usize) {
        let Pixels { width, height, rgb } = &mut self.0;
        for y in y..(y + side).min(*height) {
            for x in x..(x + side).min(*width) {
                rgb[(y * *width + x) * 3..][..3].fill(INK);
            }
        }
    }
}

/// An empty box for symbols that the font lacks.
const UNKNOWN: [u8; LETTER] = [0x7e, 0x42, 0x42, 0x42, 0x42, 0x42, 0x7e, 0x00];

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(side: usize, value: u8) -> Pixels {
        Pixels { width: side, height: side, rgb: vec![value; side * side * 3] }
    }

    #[test]
    fn labels_are_wrapped_at_words() {
        assert_eq!(wrap("a penny on a table", 8), ["a penny", "on a", "table"]);
        assert_eq!(wrap("extraordinarily", 8), ["extraord", "inarily"]);
        assert_eq!(wrap("a b c d e f", 1).len(), LINES);
        assert!(wrap(" ", 8).is_empty());
    }

    #[test]
    fn every_picture_is_on_the_sheet_and_labels_beside_them() {
        let rows =
            [("off".to_owned(), vec![plain(64, 1), plain(64, 2)]), ("on".to_owned(), vec![plain(64, 3), plain(64, 4)])];
        let sheet = compose(&["one".to_owned(), "two".to_owned()], &rows);
        assert_eq!(sheet.rgb.len(), sheet.width * sheet.height * 3);
        for value in [1, 2, 3, 4] {
            assert_eq!(sheet.rgb.iter().filter(|byte| **byte == value).count(), 64 * 64 * 3, "{value}");
        }
        // "off" is 3 letters beside the pictures, so its ink lies in the first 24 + 8 columns.
        let ink = |x: std::ops::Range<usize>| {
            let row =
                |y: usize| sheet.rgb[(y * sheet.width + x.start) * 3..(y * sheet.width + x.end) * 3].contains(&INK);
            (0..sheet.height).filter(|y| row(*y)).count()
        };
        assert!(ink(0..32) >= 10);
        assert!(ink(32..sheet.width) > 0 && ink(32..sheet.width) <= 8, "column labels are one line high");
    }
}
