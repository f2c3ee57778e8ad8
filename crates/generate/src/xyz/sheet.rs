//! Where pictures and labels of one grid of a plot lie.
//!
//! Source: the behaviour of the web UI's `draw_grid_annotations`. Not here: letters.

use super::cells::Cell;

/// What a sheet is made for, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SheetPlan {
    /// Pictures beside each other.
    pub columns: usize,
    /// Pictures above each other.
    pub rows: usize,
    /// Width and height of a picture.
    pub cell: [usize; 2],
    /// Between pictures.
    pub margin: usize,
    /// Height of the highest label above a column; 0 = there are none.
    pub column_labels: usize,
    /// Whether rows have labels.
    pub has_row_labels: bool,
}

/// A sheet with its labels' places, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sheet {
    plan: SheetPlan,
    /// Width of the labels on the left.
    pub left: usize,
    /// Height of the labels above.
    pub top: usize,
}

impl SheetPlan {
    /// Size of the letters at first; a label that is wider than its place is written smaller.
    pub fn font_size(&self) -> usize {
        (self.cell[0] + self.cell[1]) / 25
    }

    /// Between lines of a label, and twice around all of it.
    pub fn line_spacing(&self) -> usize {
        self.font_size() / 2
    }
}

impl Sheet {
    /// Lays out `plan`: three quarters of a picture are for the labels of rows.
    pub fn new(plan: SheetPlan) -> Self {
        let left = if plan.has_row_labels { plan.cell[0] * 3 / 4 } else { 0 };
        let top = if plan.column_labels > 0 { plan.column_labels + 2 * plan.line_spacing() } else { 0 };
        Self { plan, left, top }
    }

    /// Width and height of all of it.
    pub fn size(&self) -> [usize; 2] {
        let SheetPlan { columns, rows, cell, margin, .. } = self.plan;
        let long = |count: usize, side: usize| count * side + count.saturating_sub(1) * margin;
        [self.left + long(columns, cell[0]), self.top + long(rows, cell[1])]
    }

    /// The left upper corner of a cell's picture.
    pub fn place(&self, cell: Cell) -> [usize; 2] {
        let SheetPlan { cell: [width, height], margin, .. } = self.plan;
        [self.left + cell.x * (width + margin), self.top + cell.y * (height + margin)]
    }

    /// The middle of the label above a column.
    pub fn column_label(&self, column: usize) -> [usize; 2] {
        let corner = self.place(Cell { x: column, y: 0, z: 0 });
        [corner[0] + self.plan.cell[0] / 2, self.top / 2]
    }

    /// The middle of the label beside a row.
    pub fn row_label(&self, row: usize) -> [usize; 2] {
        let corner = self.place(Cell { x: 0, y: row, z: 0 });
        [self.left / 2, corner[1] + self.plan.cell[1] / 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_and_labels_have_their_places() {
        let plan =
            SheetPlan { columns: 3, rows: 2, cell: [512, 768], margin: 10, column_labels: 40, has_row_labels: true };
        assert_eq!((plan.font_size(), plan.line_spacing()), (51, 25));
        let sheet = Sheet::new(plan);
        assert_eq!((sheet.left, sheet.top), (384, 90));
        assert_eq!(sheet.size(), [384 + 3 * 512 + 20, 90 + 2 * 768 + 10]);
        assert_eq!(sheet.place(Cell { x: 2, y: 1, z: 0 }), [384 + 2 * 522, 90 + 778]);
        assert_eq!(sheet.column_label(0), [384 + 256, 45]);
        assert_eq!(sheet.row_label(1), [192, 90 + 778 + 384]);
        let bare = Sheet::new(SheetPlan { column_labels: 0, has_row_labels: false, ..plan });
        assert_eq!(bare.place(Cell { x: 0, y: 0, z: 0 }), [0, 0]);
    }
}
