//! The axes of an X/Y/Z plot: what may vary, typed values, prompts with a word replaced, labels, the order of
//! cells and their places.
//!
//! Source: the behaviour of the web UI's script `xyz_grid.py` (1.10). [`Rule::WebUi`] is exactly that; [`Rule::Strict`] is
//! ours: no value beyond the end of a range, no empty axis, no part of a prompt that is missing, and commas inside
//! brackets separate nothing.

mod axis;
mod cells;
mod list;
mod numbers;
mod prompts;
mod range;
mod sheet;

pub use axis::{AXES, Axis, Kind, Label, Values};
pub use cells::{Cell, Cells, Varied};
pub use list::split_list;
pub use prompts::{Prompts, reorder, replace};
pub use sheet::{Sheet, SheetPlan};

/// Whose rules hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Those of the web UI, whatever comes of it.
    WebUi,
    /// What cannot be meant is refused or cut.
    Strict,
}
