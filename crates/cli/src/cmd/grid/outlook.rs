//! `--dry_run`: what a grid would be, without painting it.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use lorabake_device::free_memory;
use lorabake_generate::easel::Easel;
use lorabake_judge::grid::{self, Folder, Model, Picture, Plan};
use lorabake_recipe::count;

use crate::terminal::{self, Shown};
use crate::{memory, words};

/// Tells it.
///
/// # Errors
/// As [`grid::try_out`].
pub fn tell(plan: &Plan, folder: &Folder, open: &mut dyn FnMut(&Model) -> Result<Easel>) -> Result<ExitCode> {
    let mut axes = Vec::new();
    for (letter, axis) in ["x", "y", "z"].iter().zip(&plan.axes) {
        if let Some(axis) = axis {
            axes.push(format!("{letter} = {} ({})", axis.axis.name, count(axis.values.len(), "value")));
        }
    }
    terminal::result(&format!("grid: {}", axes.join(", ")));
    let missing: Vec<&Picture> =
        plan.pictures.iter().filter(|picture| !folder.picture(&picture.file).is_file()).collect();
    let there = plan.pictures.len() - missing.len();
    let already = if there > 0 { format!(", {there} of them are there") } else { String::new() };
    let pictures = count(plan.pictures.len(), "picture");
    terminal::result(&format!("pictures: {pictures}{already}, in {}", Shown(folder.path.display())));
    if missing.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let work = plan.work(|picture| folder.picture(&picture.file).is_file());
    terminal::result(&format!(
        "read: {}{}; texts are encoded {}",
        count(work.models, "checkpoint"),
        loras(plan.network_files.len(), work.network_reads),
        count(work.texts, "time")
    ));
    terminal::say("the first picture is tried with few steps, to tell the time");
    let began = Instant::now();
    let mut easel = open(&plan.models[plan.pictures[0].model])?;
    let opening = began.elapsed().as_secs_f64();
    let free = free_memory();
    let trial = grid::try_out(plan, &mut easel)?;
    trial.told.iter().for_each(|line| terminal::say(line));
    let to_paint: Vec<&Picture> = missing.into_iter().filter(|picture| picture.twin.is_none()).collect();
    let seconds = trial.seconds(plan, &to_paint)? + opening * plan.models.len() as f64;
    let measured = if plan.models.len() > 1 { "the first checkpoint was measured" } else { "measured here" };
    terminal::result(&format!(
        "time: about {}, {} a step at the size of the first picture ({measured})",
        words::duration(seconds),
        words::duration(trial.call)
    ));
    if let (Some(most), Some(free)) = (most_memory(), free) {
        terminal::result(&format!(
            "memory: {} at the most while it tried, {} more are free",
            memory::gb(most),
            memory::gb(free)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// How many LoRAs there are, and how often they are read: each time that another one, or another strength, follows.
fn loras(files: usize, reads: usize) -> String {
    if reads == 0 {
        return String::new();
    }
    let often = if reads > files { format!(", {reads} reads in all") } else { String::new() };
    format!(", {}{often}", count(files, "LoRA"))
}

/// Most bytes of memory that this process had so far, where the system tells.
fn most_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
