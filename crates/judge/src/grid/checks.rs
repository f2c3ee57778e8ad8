//! What is wrong with a plan although each of its pictures can be painted: axes that vary nothing, LoRAs of another
//! family.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use lorabake_generate::problems::Problems;
use lorabake_recipe::model::Family;
use lorabake_weights::lora::NetFile;

use super::meaning::Meaning;
use super::plan::{OPTIONS, Plan};

/// Refuses what cannot be meant.
///
/// # Errors
/// All of it, a line each.
pub fn all(plan: &Plan, meanings: &[Meaning]) -> Result<()> {
    let mut problems = idle_axes(plan, meanings);
    problems.extend(misfits(plan, meanings));
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems).into()) }
}

/// Axes along which nothing changes anywhere.
fn idle_axes(plan: &Plan, meanings: &[Meaning]) -> Vec<String> {
    let mut problems = Vec::new();
    for (place, axis) in plan.axes.iter().enumerate() {
        let Some(axis) = axis else { continue };
        let mut varies = false;
        for cell in plan.cells.in_order([0.0; 3]) {
            let mut first = cell;
            *[&mut first.x, &mut first.y, &mut first.z][place] = 0;
            let here = &meanings[plan.cells.index(cell)];
            let there = &meanings[plan.cells.index(first)];
            varies |= here.whole != there.whole || here.model != there.model;
        }
        if !varies {
            let name = axis.axis.name;
            problems.push(format!("{} {name}: it changes nothing; {}", OPTIONS[place], axis.axis.needs));
        }
    }
    problems
}

/// What the header of a LoRA tells.
struct Header {
    family: Option<Family>,
    acts_on_texts: bool,
}

impl Header {
    fn read(path: &Path) -> Result<Self, String> {
        let file = NetFile::open(path).map_err(|error| error.to_string())?;
        let acts_on_texts = file.modules.iter().any(|module| module.name.contains("text_model"));
        Ok(Self { family: file.family(), acts_on_texts })
    }
}

/// LoRAs that were trained for another family than the checkpoint's, as far as their files tell; and those without text
/// encoder where its strength is an axis.
fn misfits(plan: &Plan, meanings: &[Meaning]) -> Vec<String> {
    let mut headers: HashMap<&PathBuf, Result<Header, String>> = HashMap::new();
    let mut problems: Vec<String> = Vec::new();
    for meaning in meanings {
        let model = &plan.models[meaning.model];
        for path in &meaning.loras {
            let problem = match headers.entry(path).or_insert_with(|| Header::read(path)) {
                Ok(Header { family: Some(family), .. }) if *family != model.family => format!(
                    "{}: it was trained for {}, and {} is {}; give a LoRA or a checkpoint of the same family",
                    path.display(),
                    family.name(),
                    model.name,
                    model.family.name()
                ),
                Ok(_) => continue,
                Err(why) => why.clone(),
            };
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
    for (place, axis) in plan.axes.iter().enumerate() {
        let is_text = axis.as_ref().is_some_and(|axis| axis.axis.name == "te");
        let acts = headers.values().any(|header| header.as_ref().is_ok_and(|header| header.acts_on_texts));
        if is_text && !acts && problems.is_empty() {
            problems.push(format!(
                "{} te: it changes nothing, since the LoRA has no text encoder; use unet or strength",
                OPTIONS[place]
            ));
        }
    }
    problems
}
