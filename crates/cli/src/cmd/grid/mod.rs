//! `lorabake grid`: pictures that differ in two or three things, beside each other, as a sheet and as a page.

mod axes;
mod outlook;
mod progress;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use lorabake_generate::easel::Easel;
use lorabake_judge::grid::{self, Asked, Folder, Model, ModelChoice, Painted, Plan, Seeds};
use lorabake_recipe::count;
use lorabake_recipe::model::Checkpoint;

use crate::held_folder::HeldFolder;
use crate::picture_args::PictureArgs;
use crate::picture_args::jobs::{Batch, Single, Wishes};
use crate::picture_args::model::ModelArgs;
use crate::stop;
use crate::terminal::{self, Shown};
use crate::told::Told;

/// The options; their comments are the texts of `--help`.
#[derive(Debug, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct Args {
    #[command(flatten)]
    axes: axes::AxisArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten, next_help_heading = "Model and picture")]
    picture: PictureArgs,
}

/// What is written, and where.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "Output")]
struct OutputArgs {
    /// Folder of the grid. The same command goes on where it was stopped; another grid gets a folder beside it: NAME-2,
    /// NAME-3 and so on.
    #[arg(long, value_name = "FOLDER", default_value = "out/grid")]
    out: PathBuf,
    /// Paints nothing; tells how many pictures it is, what is read, how long it will take (by a try with few steps) and
    /// in how much memory.
    #[arg(long)]
    dry_run: bool,
    /// Writes no grid.html.
    #[arg(long)]
    no_html: bool,
}

/// A grid that is planned, and where it goes.
struct Planned {
    plan: Plan,
    folder: Folder,
    identity: String,
    seeds: Seeds,
}

/// Paints the grid that `args` ask for.
///
/// # Errors
/// Whatever is wrong with options, prompts or files.
pub fn run(args: &Args) -> Result<ExitCode> {
    let planned = planned(args)?;
    let Planned { plan, folder, identity, seeds } = &planned;
    for note in plan.notes.iter().chain(&folder.notes) {
        terminal::say(&format!("note: {note}"));
    }
    args.picture.model.set_threads()?;
    let tiling = plan.pictures.iter().any(|picture| picture.settings.tiling == Some(true));
    let mut told = Told::default();
    let mut open = |model: &Model| easel(args, model, tiling, &mut told);
    if args.output.dry_run {
        return outlook::tell(plan, folder, &mut open);
    }
    let _held = HeldFolder::take(&folder.path)?;
    folder.claim(plan, identity, *seeds)?;
    let painted = match progress::paint(plan, folder, &mut open) {
        Err(error) => {
            tell_there("note", &planned);
            return Err(error);
        }
        Ok(painted) => painted,
    };
    if painted.is_stopped {
        tell_there("stopped", &planned);
        return Ok(ExitCode::from(stop::INTERRUPTED as u8));
    }
    finish(args, &planned, &painted)
}

/// How many pictures there are, and how they become more.
fn tell_there(why: &str, planned: &Planned) {
    let Planned { plan, folder, .. } = planned;
    let there = plan.pictures.iter().filter(|picture| folder.picture(&picture.file).is_file()).count();
    let all = plan.pictures.len();
    let folder = Shown(folder.path.display());
    terminal::say(&format!("{why}: {there} of {all} pictures are in {folder}; the same command goes on"));
}

/// Writes sheets and page.
fn finish(args: &Args, planned: &Planned, painted: &Painted) -> Result<ExitCode> {
    let Planned { plan, folder, .. } = planned;
    if painted.painted == 0 && painted.failed.is_empty() {
        terminal::say(&format!(
            "note: all {} of this grid are in {} already; give another --seed or --out for others",
            count(plan.pictures.len(), "picture"),
            Shown(folder.path.display())
        ));
    }
    let sheets = grid::write_sheets(plan, folder)?;
    if let Some(scale) = sheets.scale {
        terminal::say(&format!(
            "note: the sheet would have more than 200 megapixels, so its pictures are scaled to {:.0} %; those in {} are not",
            scale * 100.0,
            Shown(folder.path.join("cells").display())
        ));
    }
    for kept in &sheets.kept {
        tell_kept(kept);
    }
    for sheet in &sheets.files {
        terminal::result(&Shown(sheet.display()).to_string());
    }
    if !args.output.no_html {
        let page = grid::write_page(plan, folder, &painted.failed)?;
        if let Some(kept) = &page.kept {
            tell_kept(kept);
        }
        if !page.is_alone {
            terminal::say(
                "note: grid.html would have more than 100 MB, so it shows the pictures of the folder cells; pass both on",
            );
        }
        terminal::result(&Shown(page.path.display()).to_string());
    }
    if painted.failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    terminal::say(&format!(
        "{} of {} could not be painted and stay black; the same command tries them again",
        painted.failed.len(),
        count(plan.pictures.len(), "picture")
    ));
    Ok(ExitCode::FAILURE)
}

/// That another file lay where a sheet or the page belongs.
fn tell_kept(kept: &Path) {
    terminal::say(&format!(
        "note: a file that this grid has not written lay in its place; it is kept as {}",
        Shown(kept.display())
    ));
}

fn planned(args: &Args) -> Result<Planned> {
    let Args { axes, output, picture } = args;
    if picture.from_file.is_some() {
        bail!("--from_file: a grid has one prompt; give it by --prompt, and what differs by --x prompt=OLD,NEW");
    }
    if picture.latent.is_some() {
        bail!("--latent: the pictures of a grid have seeds of their own; leave it out");
    }
    if picture.texts.explain {
        bail!("--explain: it belongs to `lorabake generate`; leave it out");
    }
    let beside = output.out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut wishes = Wishes::of(picture, Batch { count: 1, skip: 0, out: beside })?;
    if wishes.singles.len() > 1 {
        bail!(
            "--prompt: a grid has one prompt, and it is given {} times; use --x prompt=OLD,NEW",
            wishes.singles.len()
        );
    }
    let Single { settings, has_drawn_seed, .. } = wishes.singles.remove(0);
    let plot = wishes.like.as_ref().map(|like| like.plot.as_slice()).unwrap_or_default();
    let ModelArgs { vae, .. } = &picture.model;
    let mut asked = Asked {
        settings,
        library: wishes.library,
        originals: wishes.originals,
        control: wishes.control,
        model: ModelChoice { checkpoint: picture.model.which(), vae: vae.clone() },
        axes: axes.typed(plot)?,
        per_cell: axes.per_cell as usize,
        run: axes.run.clone(),
        axis_lora: axes.axis_lora.clone(),
    };
    let mut plan = Plan::of(&asked)?;
    let identity = grid::identity(&asked, &plan, has_drawn_seed, &acts_besides(&picture.model));
    let folder = Folder::find(&output.out, &identity)?;
    let sampling = &asked.settings.sampling;
    let drawn = Seeds { seed: sampling.seed.unwrap_or(0), variation_seed: sampling.variation_seed.unwrap_or(0) };
    let seeds = folder.begun.unwrap_or(drawn);
    if seeds != drawn {
        // The seeds that were drawn when the grid was begun.
        asked.settings.sampling.seed = Some(seeds.seed);
        asked.settings.sampling.variation_seed = Some(seeds.variation_seed);
        plan = Plan::of(&asked)?;
    }
    Ok(Planned { plan, folder, identity, seeds })
}

/// What of the model's options changes pictures, beside files.
fn acts_besides(model: &ModelArgs) -> String {
    format!("{:?} {} {}", model.mixed_precision, model.v_parameterization, model.zero_terminal_snr)
}

/// Opens a checkpoint of the grid, with the options of the command line.
fn easel(args: &Args, model: &Model, tiling: bool, told: &mut Told) -> Result<Easel> {
    let own = ModelArgs {
        pretrained_model_name_or_path: match &model.choice.checkpoint {
            Checkpoint::Embedded => None,
            Checkpoint::File(path) => Some(path.clone()),
        },
        vae: model.choice.vae.clone(),
        ..args.picture.model.clone()
    };
    let opened = own.open_model(told)?;
    own.easel(opened, tiling, &args.picture.library.embedding_dir, told)
}
