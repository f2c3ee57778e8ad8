//! A sheet: pictures beside and above each other, with labels above columns and beside rows.
//!
//! Source of the places: the web UI's plots, see [`lorabake_generate::xyz::Sheet`].

use lorabake_generate::xyz::{Cell, Sheet, SheetPlan};
use lorabake_pixels::Rgb;
use lorabake_pixels::pillow::{Filter, paste, resize};

use crate::lettering::Label;

const PAPER: [u8; 3] = [255; 3];
const INK: [u8; 3] = [20; 3];

/// What is written on a sheet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// Above columns, one for each.
    pub columns: Vec<String>,
    /// Beside rows, one for each; an empty one is not written.
    pub rows: Vec<String>,
    /// In the corner above the rows' labels; empty = nothing.
    pub corner: String,
}

/// A sheet on which pictures are put.
#[derive(Debug, Clone)]
pub struct LabelledSheet {
    /// Its pixels.
    pub image: Rgb,
    places: Places,
}

/// Where everything lies.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    plan: SheetPlan,
    sheet: Sheet,
}

impl Places {
    /// For cells of this width and height in pixels.
    pub fn new(labels: &Labels, cell: [usize; 2]) -> Self {
        let mut plan = SheetPlan {
            columns: labels.columns.len(),
            rows: labels.rows.len(),
            cell,
            margin: (cell[0] / 64).max(2),
            column_labels: 0,
            has_row_labels: !labels.corner.is_empty() || labels.rows.iter().any(|label| !label.is_empty()),
        };
        for label in &labels.columns {
            plan.column_labels = plan.column_labels.max(Label::new(label, cell[0], plan.font_size()).height());
        }
        Self { plan, sheet: Sheet::new(plan) }
    }

    /// Pixels of the whole sheet; at most `usize::MAX`.
    pub fn pixels(&self) -> usize {
        let [width, height] = self.sheet.size();
        width.saturating_mul(height)
    }
}

impl LabelledSheet {
    /// A sheet with its labels, without pictures.
    pub fn new(labels: &Labels, places: Places) -> Self {
        let [width, height] = places.sheet.size();
        let mut image = Rgb::filled((width as u32, height as u32), PAPER);
        let Places { plan, sheet } = places;
        let font = plan.font_size();
        for (column, text) in labels.columns.iter().enumerate() {
            Label::new(text, plan.cell[0], font).draw(&mut image, sheet.column_label(column), INK);
        }
        let wide = sheet.left.saturating_sub(plan.margin);
        for (row, text) in labels.rows.iter().enumerate() {
            Label::new(text, wide, font).draw(&mut image, sheet.row_label(row), INK);
        }
        Label::new(&labels.corner, wide, font).draw(&mut image, [sheet.left / 2, sheet.top / 2], INK);
        Self { image, places }
    }

    /// Puts `picture` into a part of a cell: a place of `size` whose left upper corner is `at` in the cell. It lies in
    /// the middle of its place; one that is larger is made smaller.
    pub fn put(&mut self, picture: Rgb, cell: Cell, at: [usize; 2], size: [usize; 2]) {
        let corner = self.places.sheet.place(Cell { z: 0, ..cell });
        let scale = (size[0] as f64 / f64::from(picture.width)).min(size[1] as f64 / f64::from(picture.height));
        let mut picture = picture;
        if scale < 1.0 {
            let side = |side: u32| ((f64::from(side) * scale) as u32).max(1);
            picture = resize(&picture, (side(picture.width), side(picture.height)), Filter::Lanczos);
        }
        let x = corner[0] + at[0] + (size[0] - picture.width as usize) / 2;
        let y = corner[1] + at[1] + (size[1] - picture.height as usize) / 2;
        paste(&mut self.image, &picture, (x as i64, y as i64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(sheet: &Rgb, is_meant: impl Fn(u8) -> bool) -> usize {
        sheet.data.chunks_exact(3).filter(|pixel| is_meant(pixel[0])).count()
    }

    #[test]
    fn every_picture_is_on_the_sheet_and_labels_beside_them() {
        let labels = Labels {
            columns: vec!["one".to_owned(), "two words".to_owned()],
            rows: vec!["off".to_owned(), "on".to_owned()],
            corner: String::new(),
        };
        let mut sheet = LabelledSheet::new(&labels, Places::new(&labels, [128, 128]));
        assert_eq!(sheet.image.data.len(), 3 * sheet.places.pixels());
        // The ink of letters is dark, and the pictures are light.
        let inked = count(&sheet.image, |shade| shade < 128);
        assert!(inked > 40, "{inked}");
        for (index, shade) in [201, 202, 203, 204].into_iter().enumerate() {
            let cell = Cell { x: index % 2, y: index / 2, z: 0 };
            sheet.put(Rgb::filled((128, 128), [shade; 3]), cell, [0, 0], [128, 128]);
            assert!(count(&sheet.image, |here| here == shade) >= 128 * 128);
        }
        // No label lies under a picture.
        assert_eq!(count(&sheet.image, |shade| shade < 128), inked);
        let before = count(&sheet.image, |shade| shade == 130);
        sheet.put(Rgb::filled((512, 256), [130; 3]), Cell { x: 0, y: 0, z: 0 }, [0, 0], [128, 128]);
        assert_eq!(count(&sheet.image, |shade| shade == 130) - before, 128 * 64);
    }
}
