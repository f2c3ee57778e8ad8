//! A grid that can be painted: its axes, and all its pictures with their settings in the order in which they are
//! painted.

use std::path::PathBuf;

use anyhow::Result;
use lorabake_generate::easel::Order;
use lorabake_generate::from_settings::{Library, Originals};
use lorabake_generate::png_text::PictureSettings;
use lorabake_generate::xyz::{Cell, Cells};
use lorabake_recipe::model::Family;

use super::change::ModelChoice;
use super::values::AxisValues;

/// The options of the axes.
pub const OPTIONS: [&str; 3] = ["--x", "--y", "--z"];

/// What a grid is asked to be.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The settings that all pictures have unless an axis says otherwise, the seed too.
    pub settings: PictureSettings,
    /// Where what they name is found.
    pub library: Library,
    /// What they begin with beside settings.
    pub originals: Originals,
    /// Texts of ControlNet's units.
    pub control: Vec<String>,
    /// What paints unless an axis says otherwise.
    pub model: ModelChoice,
    /// What is typed behind `--x`, `--y` and `--z`: `NAME=VALUES`.
    pub axes: [Option<String>; 3],
    /// Pictures of a cell, each with the next seed.
    pub per_cell: usize,
    /// The run whose snapshots the axis `epoch` means: a LoRA of it, its name or its folder.
    pub run: Option<PathBuf>,
    /// Which LoRA of the prompt axes act on, if it has several.
    pub axis_lora: Option<String>,
}

/// A grid that can be painted.
pub struct Plan {
    /// Its axes; x has one at least.
    pub axes: [Option<AxisValues>; 3],
    /// How many values each axis has.
    pub cells: Cells,
    /// Pictures of a cell.
    pub per_cell: usize,
    /// Checkpoints with VAEs.
    pub models: Vec<Model>,
    /// The pictures in the order in which they are painted.
    pub pictures: Vec<Picture>,
    /// Where what they name is found.
    pub library: Library,
    /// Files of networks, each once.
    pub network_files: Vec<PathBuf>,
    /// What the user should know.
    pub notes: Vec<String>,
    pub(super) originals: Originals,
    pub(super) control: Vec<String>,
}

/// A checkpoint with its VAE, and what its header says.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Which.
    pub choice: ModelChoice,
    /// Its name in the web UI's text.
    pub name: String,
    /// What kind of model it is.
    pub family: Family,
    /// Usual side of its pictures in pixels.
    pub side: usize,
}

/// A picture of a grid.
#[derive(Debug, Clone)]
pub struct Picture {
    /// Where it lies.
    pub cell: Cell,
    /// Which of its cell, from 0.
    pub number: usize,
    /// All its settings.
    pub settings: PictureSettings,
    /// Which of the plan's models paints it.
    pub model: usize,
    /// The name of its file.
    pub file: String,
    /// The file of an earlier picture that means the same, such as one without a LoRA at another strength.
    pub twin: Option<String>,
    /// What it shares with others.
    pub shares: Shares,
}

/// Numbers that are the same for two pictures of one model where they share something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Shares {
    /// Networks and how they act; 0 = there are none.
    pub networks: usize,
    /// Files of networks.
    pub files: usize,
    /// Texts, and what acts on the text encoders.
    pub texts: usize,
}

impl Plan {
    /// What is painted for `picture`.
    ///
    /// # Errors
    /// As [`Order::of`].
    pub fn order(&self, picture: &Picture) -> Result<Order> {
        let side = self.models[picture.model].side;
        let mut order = Order::of(&picture.settings, &self.library, &self.originals, side)?.order;
        order.control = self.control.clone();
        Ok(order)
    }

    /// The labels of the axes at `cell`, those that there are: x, y, z.
    pub fn labels(&self, cell: Cell) -> Vec<&str> {
        let mut labels = Vec::new();
        for (axis, index) in self.axes.iter().zip([cell.x, cell.y, cell.z]) {
            if let Some(axis) = axis {
                labels.push(axis.values[index].label.as_str());
            }
        }
        labels
    }

    /// The picture of a cell.
    pub fn picture(&self, cell: Cell, number: usize) -> Option<&Picture> {
        self.pictures.iter().find(|picture| picture.cell == cell && picture.number == number)
    }
}
