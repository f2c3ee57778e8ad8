//! Paints pictures with an easel and shows how far each is, and compares them without and with their LoRAs.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use lorabake_generate::easel::{Easel, Finished, Order};
use lorabake_generate::picture_file::{Pixels, write_over};
use lorabake_generate::xyz::Cell;
use lorabake_judge::sheet::{LabelledSheet, Labels, Places};
use lorabake_model::vae;
use lorabake_pixels::Rgb;

use crate::progress::Counter;
use crate::{stop, terminal, words};

/// What a picture ends with when the user wishes that.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub struct Stopped;

/// A rough preview of the picture that is being painted.
#[derive(Debug)]
pub struct Preview {
    /// Calls of the network from one to the next.
    pub every: usize,
    /// Its file, which goes when the picture is done.
    pub path: PathBuf,
}

/// Pictures without and with their LoRAs.
#[derive(Debug)]
pub struct Compared {
    /// A labelled grid, a column a picture.
    pub sheet: Pixels,
    /// The text of the first picture with its LoRAs.
    pub text: String,
}

/// Brings the networks of `order` into memory, and tells of new ones.
///
/// # Errors
/// As [`Easel::hold`].
pub fn hold(easel: &mut Easel, order: &Order) -> Result<()> {
    easel.hold(order)?.iter().for_each(|line| terminal::say(line));
    Ok(())
}

/// Paints one picture and shows how far it is; `name` says which one it is.
///
/// # Errors
/// As [`Easel::paint`], when the preview cannot be written, and [`Stopped`].
pub fn paint(easel: &mut Easel, order: &Order, name: &str, preview: Option<Preview>) -> Result<Finished> {
    let wished = stop::wished()?;
    let telling = stop::Telling::begin(wished);
    let began = Instant::now();
    let mut counter: Option<Counter> = None;
    let colors = easel.latent_colors();
    let finished = easel.paint(order, &mut |progress| {
        if wished.load(Ordering::Relaxed) {
            return Err(anyhow!(Stopped));
        }
        let of = progress.total.map_or_else(String::new, |total| format!(" of {total}"));
        let last = if progress.total == Some(progress.done) { ", decoding" } else { "" };
        let counter = counter.get_or_insert_with(|| Counter::new("painting", progress.total.unwrap_or(0) as u64));
        counter.set(progress.done as u64, format!("{name}: step {}{of}{last}", progress.done));
        if let Some(Preview { every, path }) = &preview
            && progress.done.is_multiple_of(*every)
        {
            let rough = vae::preview(&colors, progress.denoised());
            write_over(path, &Pixels { width: rough.width, height: rough.height, rgb: rough.rgb }, "")?;
        }
        Ok(())
    });
    telling.end();
    if let Some(counter) = counter {
        counter.clear();
    }
    if let Some(Preview { path, .. }) = &preview {
        let _ = std::fs::remove_file(path);
    }
    let finished = finished?;
    terminal::say(&format!("{name} in {}", words::duration(began.elapsed().as_secs_f64())));
    Ok(finished)
}

/// Paints every picture without and with its LoRAs.
///
/// # Errors
/// When a picture has no LoRA to compare with, their sizes differ, and as [`paint`].
pub fn compare(easel: &mut Easel, orders: &[&Order]) -> Result<Compared> {
    if let Some(order) = orders.iter().find(|order| order.request.networks.is_empty()) {
        bail!("--compare: there is no LoRA in the prompt \"{}\"; write for instance <lora:NAME:1>", order.prompt);
    }
    let mut columns = Vec::new();
    for order in orders {
        columns.push(format!("{} #{}", order.request.prompt.trim(), order.request.seed.seed));
    }
    let mut text = String::new();
    let mut rows = Vec::new();
    // All without networks first, so that they are read once.
    for (label, is_plain) in [("without", true), ("with", false)] {
        let mut row: Vec<Pixels> = Vec::new();
        for (index, order) in orders.iter().enumerate() {
            let order = if is_plain { &order.without_networks() } else { *order };
            hold(easel, order)?;
            let name = format!("picture {} of {} {label} LoRA", index + 1, orders.len());
            let finished = paint(easel, order, &name, None)?;
            if index == 0 {
                text = finished.fields.text();
            }
            let pixels = finished.pixels();
            if let Some(first) = row.first()
                && [first.width, first.height] != [pixels.width, pixels.height]
            {
                bail!("--compare: the pictures of a sheet are of one size; paint those of another size by themselves");
            }
            row.push(pixels);
        }
        rows.push((label.to_owned(), row));
    }
    Ok(Compared { sheet: sheet(columns, rows), text })
}

/// Pictures of one size in rows with a label each.
fn sheet(columns: Vec<String>, rows: Vec<(String, Vec<Pixels>)>) -> Pixels {
    let first = rows.first().and_then(|(_, row)| row.first());
    let size = first.map_or([1, 1], |picture| [picture.width, picture.height]);
    let labels = Labels { columns, rows: rows.iter().map(|(label, _)| label.clone()).collect(), corner: String::new() };
    let mut sheet = LabelledSheet::new(&labels, Places::new(&labels, size));
    for (y, (_, row)) in rows.into_iter().enumerate() {
        for (x, Pixels { width, height, rgb }) in row.into_iter().enumerate() {
            let picture = Rgb { width: width as u32, height: height as u32, data: rgb };
            sheet.put(picture, Cell { x, y, z: 0 }, [0, 0], size);
        }
    }
    let Rgb { width, height, data } = sheet.image;
    Pixels { width: width as usize, height: height as usize, rgb: data }
}
