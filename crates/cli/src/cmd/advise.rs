//! `lorabake advise`: a recipe with reasons for a subject that the user describes.

use std::process::ExitCode;

use anyhow::Result;
use lorabake_recipe::guide::advise::advise;
use lorabake_recipe::guide::question::{Category, Learner, Question};
use lorabake_recipe::model::Family;

use crate::terminal;

/// What follows `lorabake advise`.
#[derive(Debug, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    /// What is to be learnt: style, concept, vehicle, or a character's difficulty from A (a simple human) to I; a wrong
    /// letter lists them all.
    #[arg(long, value_name = "A-I|style|concept|vehicle")]
    category: Category,
    /// How many images there are.
    #[arg(long, value_name = "IMAGES", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    images: u32,
    /// The images are few, poor, or in a style that the LoRA should not take over.
    #[arg(long)]
    bad_images: bool,
    /// DAdaptAdam or Prodigy, which find the size of their steps themselves, or AdamW8bit with rates by hand.
    #[arg(long, value_name = "NAME", default_value = "DAdaptAdam")]
    optimizer_type: Learner,
    /// You train from an SDXL model.
    #[arg(long)]
    sdxl: bool,
}

/// Prints a recipe file.
///
/// # Errors
/// None.
pub fn run(args: &Args) -> Result<ExitCode> {
    let question = Question {
        category: args.category,
        images: args.images,
        bad_images: args.bad_images,
        optimizer: args.optimizer_type,
        family: if args.sdxl { Family::Sdxl } else { Family::Sd1 },
    };
    terminal::data(&advise(&question));
    Ok(ExitCode::SUCCESS)
}
