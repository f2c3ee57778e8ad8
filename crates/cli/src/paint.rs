//! Paints the pictures of a command: progress, the web UI's `parameters` text, and the comparison without and with LoRAs.

use std::time::Instant;

use anyhow::{Result, bail};
use lorabake_generate::picture_file::Pixels;
use lorabake_generate::png_text::{Fields, Value};
use lorabake_generate::sample::{Pipeline, Request};

use crate::grid;
use crate::progress::Counter;
use crate::{terminal, words};

/// A picture to be painted.
#[derive(Clone)]
pub struct Job {
    /// The prompt as typed, with its tags.
    pub typed: String,
    /// What it means.
    pub request: Request,
}

/// Paints one picture and shows how far it is; `name` says which one it is.
///
/// # Errors
/// As [`Pipeline::paint`].
pub fn paint(painter: &Pipeline, shot: &Job, name: &str) -> Result<Pixels> {
    let began = Instant::now();
    let mut counter = Counter::new("painting", shot.request.steps.get() as u64);
    let picture = painter.paint(&shot.request, &mut |done, total| {
        let stage = if done == total { ", decoding" } else { "" };
        counter.set(done as u64, format!("{name}{stage}"));
    });
    counter.clear();
    let picture = picture?;
    terminal::say(&format!("{name} in {}", words::duration(began.elapsed().as_secs_f64())));
    Ok(Pixels { width: picture.width, height: picture.height, rgb: picture.rgb })
}

/// Paints every shot without and with its LoRAs; a labelled grid, one column per shot.
///
/// # Errors
/// When a shot has no LoRA to compare with, and as [`Pipeline::paint`].
pub fn compare(painter: &Pipeline, shots: &[Job]) -> Result<Pixels> {
    if let Some(shot) = shots.iter().find(|shot| shot.request.loras.is_empty()) {
        bail!("--compare: there is no LoRA in the prompt \"{}\"; write for instance <lora:NAME:1>", shot.typed);
    }
    let columns: Vec<String> =
        shots.iter().map(|shot| format!("{} #{}", shot.request.prompt, shot.request.seed)).collect();
    let mut rows = vec![("without".to_owned(), Vec::new()), ("with".to_owned(), Vec::new())];
    for (index, shot) in shots.iter().enumerate() {
        let plain = Job { request: Request { loras: Vec::new(), ..shot.request.clone() }, ..shot.clone() };
        for ((label, row), shot) in rows.iter_mut().zip([&plain, shot]) {
            row.push(paint(painter, shot, &format!("picture {} of {} {label} LoRA", index + 1, shots.len()))?);
        }
    }
    Ok(grid::compose(&columns, &rows))
}

/// The text that the web UI keeps in a picture, and reads back from it.
pub fn parameters(shot: &Job, model: &str) -> String {
    let request = &shot.request;
    let fields = Fields {
        prompt: shot.typed.clone(),
        negative_prompt: request.negative_prompt.clone(),
        steps: request.steps.get() as i64,
        sampler: request.sampler.to_string(),
        cfg_scale: Value::short(request.cfg_scale),
        seed: request.seed,
        size: [request.width, request.height],
        model: Some(model.to_owned()),
        clip_skip: request.clip_skip as i64,
        ..Fields::default()
    };
    fields.text()
}
