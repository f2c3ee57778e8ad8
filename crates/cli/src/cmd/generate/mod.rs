//! `lorabake generate`: pictures from prompts, as the AUTOMATIC1111 web UI makes them.

mod detail_units;
mod detailer;
mod output;
mod own_easels;
mod pictures;
mod show;
mod tokens;

use std::cell::RefCell;
use std::process::ExitCode;

use anyhow::{Context, Result};
use lorabake_generate::adetailer::OwnModel;

use crate::picture_args::PictureArgs;
use crate::picture_args::jobs::{Batch, Jobs};
use crate::told::Told;
use own_easels::OwnEasels;
use pictures::Work;

/// The options; their comments are the texts of `--help`.
#[derive(Debug, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    #[command(flatten)]
    picture: PictureArgs,
    #[command(flatten)]
    detailer: detailer::DetailerArgs,
    #[command(flatten)]
    output: output::OutputArgs,
}

/// Paints what `args` ask for.
///
/// # Errors
/// Whatever is wrong with options, prompts or files.
pub fn run(args: &Args) -> Result<ExitCode> {
    let Args { picture, detailer, output } = args;
    let mut told = Told::default();
    let model = picture.model.open_model(&mut told)?;
    let batch = Batch { count: output.count, skip: output.skip, out: &output.out };
    let jobs = Jobs::of(picture, batch, model.side)?;
    if picture.texts.explain {
        output.naming()?;
        return show::explain(picture, &model, &jobs);
    }
    let target = output.target(jobs.pictures.len())?;
    picture.model.set_threads()?;
    let units = detailer.units(jobs.like.as_ref())?;
    let tiling = jobs.pictures.iter().any(|picture| picture.order.request.tiling);
    let own = OwnEasels::new(&picture.model, &picture.library.embedding_dir, tiling);
    own.check(&units)?;
    let easel = picture.model.easel(model, tiling, &picture.library.embedding_dir, &mut told)?;
    // Nets that don't fit are told before anything is painted; those of a detector's own checkpoint come with it.
    for unit in units.iter().map(|open| &open.unit).filter(|unit| unit.own == OwnModel::default()) {
        if let Some(control) = &unit.control {
            easel.painter.bring_control_net(&control.model).context("--detailer_control_model")?;
        }
    }
    let work = Work { jobs: &jobs, units: &units, target: &target, own: RefCell::new(own) };
    pictures::paint_all(output, easel, &work)
}
