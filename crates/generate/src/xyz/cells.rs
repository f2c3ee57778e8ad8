//! The cells of a plot: in which order they are painted, where they lie, with which seed.

/// A cell by its place on the three axes, each from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Column of its grid.
    pub x: usize,
    /// Row of its grid.
    pub y: usize,
    /// Grid among the grids.
    pub z: usize,
}

/// How many values each axis has; an axis of nothing has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cells {
    /// Columns.
    pub x: usize,
    /// Rows.
    pub y: usize,
    /// Grids.
    pub z: usize,
}

/// Axes along which the seed rises from cell to cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Varied {
    /// By 1 a column.
    pub x: bool,
    /// By the number of columns a row, or by 1 if it does not vary along x.
    pub y: bool,
    /// By all cells of a grid a grid, those of the axes that vary.
    pub z: bool,
}

impl Cells {
    /// Pictures in all; at most `usize::MAX`.
    pub fn count(&self) -> usize {
        self.x.saturating_mul(self.y).saturating_mul(self.z)
    }

    /// Where a cell's picture is among all: x runs fastest, then y.
    pub fn index(&self, cell: Cell) -> usize {
        cell.x + self.x * (cell.y + self.y * cell.z)
    }

    /// The cells in the order in which they are painted: `costs` of x, y and z say which axis changes least often. Of
    /// equal ones z is outside and x inside.
    pub fn in_order(&self, costs: [f64; 3]) -> Vec<Cell> {
        let counts = [self.x, self.y, self.z];
        let mut axes = [2, 1, 0];
        axes.sort_by(|a, b| costs[*b].total_cmp(&costs[*a]));
        let mut cells = Vec::new();
        for outer in 0..counts[axes[0]] {
            for middle in 0..counts[axes[1]] {
                for inner in 0..counts[axes[2]] {
                    let mut place = [0; 3];
                    place[axes[0]] = outer;
                    place[axes[1]] = middle;
                    place[axes[2]] = inner;
                    cells.push(Cell { x: place[0], y: place[1], z: place[2] });
                }
            }
        }
        cells
    }

    /// What is added to the seed of a cell.
    pub fn seed_offset(&self, cell: Cell, varied: Varied) -> usize {
        let mut offset = 0;
        let mut stride = 1;
        for (is_varied, place, count) in
            [(varied.x, cell.x, self.x), (varied.y, cell.y, self.y), (varied.z, cell.z, self.z)]
        {
            if is_varied {
                offset += place * stride;
                stride *= count;
            }
        }
        offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dearest_axis_is_outermost() {
        let cells = Cells { x: 2, y: 2, z: 1 };
        let order = |costs| cells.in_order(costs).iter().map(|cell| [cell.x, cell.y]).collect::<Vec<_>>();
        assert_eq!(order([0.0; 3]), [[0, 0], [1, 0], [0, 1], [1, 1]]);
        assert_eq!(order([1.0, 0.7, 0.0]), [[0, 0], [0, 1], [1, 0], [1, 1]]);
        let last = Cell { x: 1, y: 1, z: 0 };
        assert_eq!(cells.index(last), 3);
        assert_eq!(cells.seed_offset(last, Varied { x: true, y: true, z: false }), 3);
        assert_eq!(cells.seed_offset(last, Varied { y: true, ..Varied::default() }), 1);
    }
}
