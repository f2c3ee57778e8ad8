//! `lorabake demo`: bakes the example recipe, then paints the same pictures without and with the LoRA.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use lorabake_diffusion::Sampler;
use lorabake_recipe::Recipe;
use lorabake_recipe::parse_toml;
use lorabake_train::event::Outcome;
use lorabake_train::generate::{LoraUse, Painter, Request};
use lorabake_train::network::Strength;
use lorabake_train::session::{open_checkpoint, storage};

use super::{generate, train};
use crate::bake::{bake, summary};
use crate::paint::{self, Shot};
use crate::picture_file;
use crate::words;

const RECIPE: &str = include_str!("../../../../examples/penny.toml");
const RECIPE_PATH: &str = "examples/penny.toml";

const PROMPTS: [&str; 2] =
    ["penny, 1girl, solo, straw hat, red dress, smile", "penny, 1girl, solo, straw hat, blue dress, night"];
const SEEDS: [u64; 2] = [1, 2];

/// Bakes and paints.
///
/// # Errors
/// When the current folder is not the repository's, and whatever ends a bake.
pub fn run() -> Result<ExitCode> {
    let parsed = match parse_toml(RECIPE, Path::new(RECIPE_PATH)) {
        Ok(parsed) => parsed,
        Err(error) => return Ok(train::refuse(&error)),
    };
    let images = &parsed.recipe.data.train_dir;
    if !images.is_dir() {
        bail!(
            "the folder {} is not here; run `lorabake demo` from the root of lorabake's repository",
            images.display()
        );
    }
    let outcome = bake(&parsed)?;
    let painter =
        Painter::load(&open_checkpoint(&parsed.recipe.model.checkpoint)?, storage(parsed.recipe.train.precision))?;
    let shots = shots(&parsed.recipe, &outcome)?;
    let sheet = paint::compare(&painter, &shots)?;
    let path = outcome.file.with_file_name(format!("{}_before_after.png", parsed.recipe.output.name));
    let model = generate::model_name(&parsed.recipe.model.checkpoint);
    picture_file::save(&path, &sheet, &paint::parameters(&shots[0], &model))?;
    eprintln!(
        "note: the small model inside the program is not trained yet, so its pictures are patterns; what counts is that \
         they change"
    );
    words::result(&summary(&parsed, &outcome));
    words::result(&format!("{}  the same pictures without and with the LoRA", path.display()));
    Ok(ExitCode::SUCCESS)
}

/// Every prompt with every seed.
fn shots(recipe: &Recipe, outcome: &Outcome) -> Result<Vec<Shot>> {
    let (width, height) = recipe.data.resolution;
    let request = Request {
        prompt: String::new(),
        negative_prompt: String::new(),
        loras: vec![LoraUse { path: outcome.file.clone(), strength: Strength::FULL }],
        width: width as usize,
        height: height as usize,
        steps: 30.try_into()?,
        cfg_scale: 7.5,
        seed: 0,
        sampler: Sampler::Ddim,
        clip_skip: recipe.model.clip_skip as usize,
        noise: None,
    };
    let all = PROMPTS.iter().flat_map(|prompt| SEEDS.map(|seed| (prompt.to_string(), seed)));
    let name = &recipe.output.name;
    let shot = |(prompt, seed): (String, u64)| Shot {
        typed: format!("{prompt} <lora:{name}:1>"),
        request: Request { prompt, seed, ..request.clone() },
    };
    Ok(all.map(shot).collect())
}
