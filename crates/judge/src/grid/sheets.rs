//! The sheets of a grid, one PNG for each z. Unlike in the web UI all pictures of a cell are shown, and a sheet that
//! would be too large is scaled down.

use std::path::PathBuf;

use anyhow::Result;
use lorabake_generate::picture_file::{Pixels, read_text, write_over};
use lorabake_generate::picture_grid::MOST_PIXELS;
use lorabake_generate::png_text::quote;
use lorabake_pixels::decode::decode;
use lorabake_pixels::{Rgb, probe};

use super::folder::Folder;
use super::plan::Plan;
use crate::sheet::{LabelledSheet, Labels, Places};

/// A picture that could not be painted.
const FAILED: [u8; 3] = [0; 3];
/// Where no picture tells its size.
const NO_SIZE: [usize; 2] = [64, 64];

/// The sheets of a grid.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sheets {
    /// Their files, one for each z.
    pub files: Vec<PathBuf>,
    /// Other files that were in their places, under the names that they have now.
    pub kept: Vec<PathBuf>,
    /// By how much pictures are scaled down, if they are.
    pub scale: Option<f64>,
}

/// Sizes of a cell, in pixels and pictures.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// Width and height of the place for one picture.
    picture: [usize; 2],
    /// Pictures of a cell beside each other.
    beside: usize,
    /// Pictures of a cell above each other.
    above: usize,
}

impl Block {
    fn cell(&self) -> [usize; 2] {
        [self.picture[0] * self.beside, self.picture[1] * self.above]
    }
}

/// Writes the sheets of `plan` into its folder, from the pictures that are there.
///
/// # Errors
/// When a sheet cannot be written. A picture that cannot be read is black.
pub fn write_sheets(plan: &Plan, folder: &Folder) -> Result<Sheets> {
    let largest = largest(plan, folder);
    let beside = (plan.per_cell as f64).sqrt().ceil() as usize;
    let mut block = Block { picture: largest, beside, above: plan.per_cell.div_ceil(beside) };
    let mut scale = 1.0;
    let mut pixels = Places::new(&labels(plan, 0), block.cell()).pixels();
    while pixels > MOST_PIXELS {
        // Labels do not shrink as pictures do, so that it may take more than one try.
        scale *= (MOST_PIXELS as f64 / pixels as f64).sqrt().min(0.98);
        block.picture = largest.map(|side| ((side as f64 * scale) as usize).max(1));
        pixels = Places::new(&labels(plan, 0), block.cell()).pixels();
    }
    let mut sheets = Sheets { scale: if scale < 1.0 { Some(scale) } else { None }, ..Sheets::default() };
    let text = text(plan, folder);
    for z in 0..plan.cells.z {
        let name = if plan.axes[2].is_some() { format!("grid-{}.png", z + 1) } else { "grid.png".to_owned() };
        let Rgb { width, height, data } = compose(plan, folder, block, z);
        let pixels = Pixels { width: width as usize, height: height as usize, rgb: data };
        sheets.kept.extend(folder.replace(&name, |path| write_over(path, &pixels, &text))?);
        sheets.files.push(folder.path.join(name));
    }
    Ok(sheets)
}

/// Width of the widest and height of the highest picture.
fn largest(plan: &Plan, folder: &Folder) -> [usize; 2] {
    let mut largest = [0; 2];
    for picture in &plan.pictures {
        if let Ok((width, height)) = probe::size(&folder.picture(&picture.file)) {
            largest = [largest[0].max(width as usize), largest[1].max(height as usize)];
        }
    }
    if largest == [0; 2] { NO_SIZE } else { largest }
}

fn labels(plan: &Plan, z: usize) -> Labels {
    let all = |place: usize| -> Vec<String> {
        match &plan.axes[place] {
            Some(axis) => axis.values.iter().map(|value| value.label.clone()).collect(),
            None => vec![String::new()],
        }
    };
    Labels { columns: all(0), rows: all(1), corner: all(2)[z].clone() }
}

fn compose(plan: &Plan, folder: &Folder, block: Block, z: usize) -> Rgb {
    let labels = labels(plan, z);
    let mut sheet = LabelledSheet::new(&labels, Places::new(&labels, block.cell()));
    for picture in plan.pictures.iter().filter(|picture| picture.cell.z == z) {
        let x = picture.number % block.beside * block.picture[0];
        let y = picture.number / block.beside * block.picture[1];
        let image = match decode(&folder.picture(&picture.file)) {
            Ok(decoded) => decoded.image,
            Err(_) => Rgb::filled((block.picture[0] as u32, block.picture[1] as u32), FAILED),
        };
        sheet.put(image, picture.cell, [x, y], block.picture);
    }
    sheet.image
}

/// The text of the first picture, and the axes as the web UI writes them.
fn text(plan: &Plan, folder: &Folder) -> String {
    let mut text = String::new();
    for picture in &plan.pictures {
        if let Ok(found) = read_text(&folder.picture(&picture.file)) {
            text = found;
            break;
        }
    }
    text += ", Script: X/Y/Z plot";
    for (axis, letter) in plan.axes.iter().zip(["X", "Y", "Z"]) {
        if let Some(axis) = axis {
            text += &format!(", {letter} Type: {}, {letter} Values: {}", axis.axis.web_ui, quote(&axis.typed));
        }
    }
    text
}
