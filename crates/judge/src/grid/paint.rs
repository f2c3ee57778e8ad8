//! Paints the pictures of a plan that are not there yet, and writes each as soon as it is done.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lorabake_generate::easel::{Easel, Finished};
use lorabake_generate::picture_file::{read_text, save};
use lorabake_generate::png_text::{self, PictureSettings};
use lorabake_generate::problems::in_one_line;
use lorabake_weights::whole_file;

use super::folder::Folder;
use super::plan::{Model, Picture, Plan};

/// What is told while a grid is painted. Where it is asked whether to go on, `false` stops.
pub enum Moment<'a> {
    /// A picture is there from an earlier run.
    Found(&'a Picture),
    /// A checkpoint is about to be opened.
    Opens(&'a Model),
    /// Something that the user should know, such as what a network met.
    Tells(&'a str),
    /// A call of the network is done; asks whether to go on.
    Step {
        /// The picture.
        picture: &'a Picture,
        /// Its number among all, from 0.
        index: usize,
        /// Calls so far.
        done: usize,
        /// Calls that there will be, where that is known.
        total: Option<usize>,
    },
    /// A picture is written.
    Written(&'a Picture),
    /// A picture cannot be painted.
    Failed(&'a Failure),
}

/// A picture that could not be painted.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The picture.
    pub picture: Picture,
    /// Why, in one line.
    pub why: String,
}

/// How painting ended.
#[derive(Debug, Clone, Default)]
pub struct Painted {
    /// Pictures that were painted now.
    pub painted: usize,
    /// Pictures that were there before.
    pub found: usize,
    /// Pictures that could not be painted.
    pub failed: Vec<Failure>,
    /// Whether the user has stopped it.
    pub is_stopped: bool,
    /// Texts that were encoded.
    pub texts: usize,
}

/// What ends a picture when the user wishes that.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
struct Stopped;

/// The painter at work, of one model at a time: two do not fit into memory.
struct Studio<'a> {
    plan: &'a Plan,
    open: &'a mut dyn FnMut(&Model) -> Result<Easel>,
    working: Option<Working>,
    /// Models that cannot be opened, and why.
    closed: Vec<(usize, String)>,
    texts: usize,
}

/// A painter and the number of its model.
struct Working {
    model: usize,
    easel: Easel,
}

impl Studio<'_> {
    /// The painter of a model, which is opened unless it was the last one.
    fn easel(&mut self, model: usize, watch: &mut dyn FnMut(Moment<'_>) -> bool) -> Result<&mut Easel> {
        if let Some((_, why)) = self.closed.iter().find(|(closed, _)| *closed == model) {
            bail!("{why}");
        }
        if self.working.as_ref().is_none_or(|working| working.model != model) {
            self.close();
            watch(Moment::Opens(&self.plan.models[model]));
            match (self.open)(&self.plan.models[model]) {
                Ok(easel) => self.working = Some(Working { model, easel }),
                Err(error) => {
                    self.closed.push((model, in_one_line(&error)));
                    return Err(error);
                }
            }
        }
        Ok(&mut self.working.as_mut().expect("it was opened just now").easel)
    }

    fn close(&mut self) {
        self.texts += self.working.take().map_or(0, |working| working.easel.painter.texts_encoded());
    }
}

/// Paints what is missing in `folder`. `open` opens a model for painting, and `watch` is told what happens. A picture
/// that cannot be painted is passed over.
///
/// # Errors
/// When a picture cannot be written.
pub fn paint(
    plan: &Plan,
    folder: &Folder,
    open: &mut dyn FnMut(&Model) -> Result<Easel>,
    watch: &mut dyn FnMut(Moment<'_>) -> bool,
) -> Result<Painted> {
    let mut outcome = Painted::default();
    let mut studio = Studio { plan, open, working: None, closed: Vec::new(), texts: 0 };
    for (index, picture) in plan.pictures.iter().enumerate() {
        let path = folder.picture(&picture.file);
        if path.is_file() {
            if !may_be_of(&path, picture) {
                let why = format!("{}: it is another picture; move it away, and give the same command", path.display());
                let failure = Failure { picture: picture.clone(), why };
                watch(Moment::Failed(&failure));
                outcome.failed.push(failure);
                continue;
            }
            outcome.found += 1;
            watch(Moment::Found(picture));
            continue;
        }
        if copy_twin(picture, folder)? {
            outcome.painted += 1;
            watch(Moment::Written(picture));
            continue;
        }
        let finished = studio.easel(picture.model, watch).and_then(|easel| one(easel, plan, index, watch));
        match finished {
            Ok(finished) => {
                save(&path, &finished.pixels(), &finished.fields.text())?;
                outcome.painted += 1;
                watch(Moment::Written(picture));
            }
            Err(error) if error.is::<Stopped>() => {
                outcome.is_stopped = true;
                break;
            }
            Err(error) => {
                let failure = Failure { picture: picture.clone(), why: in_one_line(&error) };
                watch(Moment::Failed(&failure));
                outcome.failed.push(failure);
            }
        }
    }
    studio.close();
    outcome.texts = studio.texts;
    Ok(outcome)
}

/// Whether the file at `path` can be `picture` from an earlier run: it has a text, and its seed.
fn may_be_of(path: &Path, picture: &Picture) -> bool {
    let Ok(text) = read_text(path) else { return false };
    let told = PictureSettings::of(&png_text::parse(&text)).sampling.seed;
    told.is_some() && told == picture.settings.sampling.seed
}

/// Writes a picture from one that means the same, if that is there.
fn copy_twin(picture: &Picture, folder: &Folder) -> Result<bool> {
    let Some(twin) = picture.twin.as_ref().map(|file| folder.picture(file)) else { return Ok(false) };
    if !twin.is_file() {
        return Ok(false);
    }
    let bytes = std::fs::read(&twin).with_context(|| format!("{}: it cannot be read", twin.display()))?;
    let path = folder.picture(&picture.file);
    let written = whole_file::write(&path, |out| out.write_all(&bytes));
    written.with_context(|| format!("cannot save {}", path.display()))?;
    Ok(true)
}

fn one(easel: &mut Easel, plan: &Plan, index: usize, watch: &mut dyn FnMut(Moment<'_>) -> bool) -> Result<Finished> {
    let picture = &plan.pictures[index];
    let order = plan.order(picture)?;
    for told in easel.hold(&order)? {
        watch(Moment::Tells(&told));
    }
    easel.paint(&order, &mut |progress| {
        if !watch(Moment::Step { picture, index, done: progress.done, total: progress.total }) {
            bail!(Stopped);
        }
        Ok(())
    })
}
