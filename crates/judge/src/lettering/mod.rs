//! Labels on pictures: text in Roboto, as the web UI's plots have it, in lines that fit a width.
//!
//! Signs beyond Latin, Greek and Cyrillic are boxes. Source of the rules: the web UI's `draw_grid_annotations`: words
//! are wrapped, and letters become smaller until the longest line fits.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, ScaleFont};
use lorabake_pixels::Rgb;

static ROBOTO: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("Roboto-Latin.ttf")).expect("the font is part of the program")
});

/// Letters are not smaller than this, in pixels; then words are broken.
const SMALLEST: usize = 9;
/// Most lines of a label.
const MOST_LINES: usize = 12;
/// Most signs of a text that are looked at: a prompt may be of any length.
const MOST_SIGNS: usize = 600;
/// What stands in place of what is left out.
const REST: char = '…';

/// A text in lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    lines: Vec<String>,
    size: usize,
}

impl Label {
    /// `text` in letters of `size` pixels, or smaller ones if a word is wider than `width` pixels.
    pub fn new(text: &str, width: usize, size: usize) -> Self {
        let mut plain: String =
            text.chars().take(MOST_SIGNS).map(|sign| if sign.is_control() { ' ' } else { sign }).collect();
        if text.chars().count() > MOST_SIGNS {
            plain.push(REST);
        }
        let mut size = size.max(SMALLEST);
        while size > SMALLEST && plain.split_whitespace().any(|word| line_width(word, size) > width) {
            size -= 1;
        }
        let mut lines = wrap(&plain, width, size);
        if lines.len() > MOST_LINES {
            lines.truncate(MOST_LINES);
            lines[MOST_LINES - 1].push(REST);
        }
        Self { lines, size }
    }

    /// Its height in pixels; lines are half a letter's size apart.
    pub fn height(&self) -> usize {
        let count = self.lines.len();
        count * self.size + count.saturating_sub(1) * (self.size / 2)
    }

    /// Writes it with its middle at `middle`; what lies outside of the sheet is left away.
    pub fn draw(&self, sheet: &mut Rgb, middle: [usize; 2], ink: [u8; 3]) {
        let top = middle[1] as f32 - self.height() as f32 / 2.0;
        for (index, line) in self.lines.iter().enumerate() {
            let left = middle[0] as f32 - line_width(line, self.size) as f32 / 2.0;
            let line_top = top + (index * (self.size + self.size / 2)) as f32;
            draw_line(sheet, line, self.size, [left, line_top], ink);
        }
    }
}

/// Width of a line in pixels.
fn line_width(text: &str, size: usize) -> usize {
    let font = ROBOTO.as_scaled(size as f32);
    let width: f32 = text.chars().map(|sign| font.h_advance(font.glyph_id(sign))).sum();
    width.ceil() as usize
}

/// Lines of at most `width` pixels, wrapped between words, and within words that are wider.
fn wrap(text: &str, width: usize, size: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        if let Some(last) = lines.last_mut() {
            let longer = format!("{last} {word}");
            if line_width(&longer, size) <= width {
                *last = longer;
                continue;
            }
        }
        let mut line = String::new();
        for sign in word.chars() {
            line.push(sign);
            if line_width(&line, size) > width && line.chars().count() > 1 {
                line.pop();
                lines.push(std::mem::take(&mut line));
                line.push(sign);
            }
        }
        lines.push(line);
    }
    lines
}

/// A line whose letters begin at `corner`, the left upper one.
fn draw_line(sheet: &mut Rgb, text: &str, size: usize, corner: [f32; 2], ink: [u8; 3]) {
    let font = ROBOTO.as_scaled(size as f32);
    let mut x = corner[0];
    // The letters' own height is a little above their size.
    let base = corner[1] + size as f32 * 0.5 + (font.ascent() + font.descent()) / 2.0;
    for sign in text.chars() {
        let id = font.glyph_id(sign);
        let glyph = id.with_scale_and_position(size as f32, ab_glyph::point(x, base));
        x += font.h_advance(id);
        let Some(outline) = ROBOTO.outline_glyph(glyph) else { continue };
        let bounds = outline.px_bounds();
        outline.draw(|column, row, cover| {
            let x = bounds.min.x as i64 + i64::from(column);
            let y = bounds.min.y as i64 + i64::from(row);
            blend(sheet, x, y, cover, ink);
        });
    }
}

/// Puts ink on a pixel, as much as `cover` says, from 0 to 1.
fn blend(sheet: &mut Rgb, x: i64, y: i64, cover: f32, ink: [u8; 3]) {
    if x < 0 || y < 0 || x >= i64::from(sheet.width) || y >= i64::from(sheet.height) {
        return;
    }
    let at = (y as usize * sheet.width as usize + x as usize) * 3;
    let cover = cover.clamp(0.0, 1.0);
    for (value, ink) in sheet.data[at..at + 3].iter_mut().zip(ink) {
        *value = (f32::from(*value) * (1.0 - cover) + f32::from(ink) * cover).round() as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_and_wide_ones_become_smaller_or_are_broken() {
        let label = Label::new("a penny on a table", 100, 20);
        assert!(label.lines.len() > 1 && label.size == 20, "{label:?}");
        assert!(label.lines.iter().all(|line| line_width(line, 20) <= 100), "{label:?}");
        assert_eq!(label.lines.join(" "), "a penny on a table");
        let wide = Label::new("extraordinarily", 90, 40);
        assert!(wide.size < 40 && wide.lines.len() == 1, "{wide:?}");
        let broken = Label::new(&"w".repeat(200), 60, 40);
        assert_eq!((broken.size, broken.lines.len()), (SMALLEST, MOST_LINES));
        assert_eq!(Label::new(" \n", 60, 40).height(), 0);
        Label::new(&"x y ".repeat(1_000_000), 1, 40);
    }

    #[test]
    fn letters_are_drawn_in_the_middle_and_stay_on_the_sheet() {
        let mut sheet = Rgb::filled((120, 60), [255; 3]);
        Label::new("Hxg 猫", 120, 24).draw(&mut sheet, [60, 30], [0; 3]);
        let mut rows = Vec::new();
        let mut columns = Vec::new();
        for (index, pixel) in sheet.data.chunks_exact(3).enumerate() {
            if pixel[0] < 128 {
                columns.push(index % 120);
                rows.push(index / 120);
            }
        }
        let middle = |places: &[usize]| (places.iter().min().unwrap() + places.iter().max().unwrap()) as f32 / 2.0;
        assert!((middle(&columns) - 60.0).abs() < 4.0, "{}", middle(&columns));
        assert!((middle(&rows) - 30.0).abs() < 4.0, "{}", middle(&rows));
        Label::new("outside", 120, 24).draw(&mut sheet, [0, 59], [0; 3]);
    }
}
