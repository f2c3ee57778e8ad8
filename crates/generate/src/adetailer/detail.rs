//! Paints what detectors find in a finished picture again, one area after the other, each on the result of the one before.

use anyhow::{Result, anyhow};

use super::finder::Finder;
use super::prompts::prompts;
use super::unit::Unit;
use crate::easel::{Easel, Finished, Order, Ordered};
use crate::from_settings::{Library, Originals};
use crate::picture_text::Told;
use crate::png_text::{OUR_VERSION, PictureSettings};

/// A unit with its detector.
#[derive(Debug)]
pub struct OpenUnit {
    /// What is asked.
    pub unit: Unit,
    /// Its detector.
    pub finder: Finder,
}

/// A picture that is detailed, and what it was made with.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    /// Its settings.
    pub settings: &'a PictureSettings,
    /// Where prompts find what they name.
    pub library: &'a Library,
    /// What it began with.
    pub originals: &'a Originals,
    /// The usual side of the checkpoint in pixels.
    pub side: usize,
}

/// Which area is painted, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Which {
    /// The unit, by number.
    pub unit: usize,
    /// The area, by number.
    pub area: usize,
    /// How many areas the unit has in this picture.
    pub of: usize,
}

/// Something that paints an order; it may show how far it is.
pub type Paints<'a> = dyn FnMut(&mut Easel, &Order, Which) -> Result<Finished> + 'a;

impl OpenUnit {
    /// Opens the detector of `unit`.
    ///
    /// # Errors
    /// When it cannot be read, is no detector, or lacks a class.
    pub fn open(unit: Unit) -> Result<Self> {
        let finder = Finder::open(&unit.model)?;
        finder.check_classes(&unit.classes)?;
        Ok(Self { unit, finder })
    }
}

/// The picture of `finished` with what all units found painted again, and their settings in its text; how many areas each
/// unit painted.
///
/// # Errors
/// When a detector cannot be computed, and what `paint` returns.
pub fn detail(
    easel: &mut Easel,
    units: &[OpenUnit],
    base: Base<'_>,
    finished: &mut Finished,
    paint: &mut Paints<'_>,
) -> Result<Vec<usize>> {
    let mut counts = Vec::new();
    for (number, OpenUnit { unit, finder }) in units.iter().enumerate() {
        let image = &finished.painted.image;
        let size = [image.width as usize, image.height as usize];
        let found = finder.find(image, unit.confidence, easel.painter.device())?;
        let areas = unit.areas(&found, size);
        let Told { prompt, negative_prompt, .. } = &finished.told;
        let typed = [prompts(&unit.prompt, prompt), prompts(&unit.negative_prompt, negative_prompt)];
        let mut painted = 0;
        for (index, region) in areas.iter().enumerate() {
            let [Some(prompt), negative] = [&typed[0], &typed[1]].map(|all| of_area(all, index)) else { continue };
            let texts = [prompt, negative.unwrap_or_default()];
            let settings = unit.settings(base.settings, region, index, texts);
            let originals = unit.originals(finished.painted.image.clone(), region, base.originals);
            let originals = originals.map_err(|why| anyhow!("--detailer: {why}"))?;
            let Ordered { order, .. } = Order::of(&settings, base.library, &originals, base.side)
                .map_err(|why| anyhow!("--detailer: {why}"))?;
            let result = paint(easel, &order, Which { unit: number, area: index, of: areas.len() })?;
            finished.painted = result.painted;
            painted += 1;
        }
        unit.put(&mut finished.fields.extra, number);
        counts.push(painted);
    }
    finished.fields.extra.put("ADetailer version", OUR_VERSION);
    Ok(counts)
}

/// The text of an area: the last one serves for all that follow.
fn of_area(all: &[Option<String>], index: usize) -> Option<String> {
    all.get(index).or(all.last()).cloned().flatten()
}
