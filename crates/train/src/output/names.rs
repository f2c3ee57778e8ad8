//! The names under which a run will write: tried in its folder before anything is trained, and compared with what is
//! there already.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use lorabake_data::epoch_order::Length;
use lorabake_generate::sample::Request;
use lorabake_recipe::Recipe;
use lorabake_recipe::model::Checkpoint;
use lorabake_recipe::output::{Output, SaveState};
use lorabake_weights::file_names::{self, Moment};

use super::earlier::resumes_itself;
use super::prune;
use super::run_lock::RunLock;
use super::state;

/// The names of one run.
struct Names<'r> {
    output: &'r Output,
    length: Length,
}

/// Finds out whether everything that the run will write can be written, without leaving anything behind.
///
/// # Errors
/// When the folder or a name cannot be written, or something is in the place that must not be replaced.
pub(crate) fn try_all(recipe: &Recipe, length: Length, pictures: &[Request]) -> Result<()> {
    // Of several processes one writes.
    if lorabake_device::launched().is_some_and(|rank| rank > 0) {
        return Ok(());
    }
    let output = &recipe.output;
    let dir = &output.dir;
    RunLock::look(output)?;
    let names = Names { output, length };
    let why = || format!("--output_dir {}: cannot be written to; choose a folder of your own", dir.display());
    let _made = MadeFolders::all(dir).with_context(why)?;
    try_file(&dir.join(format!(".lorabake-{}", std::process::id()))).with_context(why)?;
    names.compare_with_what_is_there(recipe)?;
    for name in names.longest() {
        try_file(&dir.join(&name)).with_context(|| unwritable(&name, dir))?;
        if output.save_state != SaveState::Never {
            let state = file_names::state_of(&name);
            MadeFolders::all(&dir.join(&state)).with_context(|| unwritable(&state, dir))?;
        }
    }
    try_pictures(&names, pictures)
}

/// A note about LoRAs of an earlier run that this one will keep under another name.
pub(crate) fn earlier_files(recipe: &Recipe, length: Length) -> Option<String> {
    let output = &recipe.output;
    if resumes_itself(output) {
        return None;
    }
    let names = Names { output, length };
    let dir = if output.dir.as_os_str().is_empty() { Path::new(".") } else { &output.dir };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).ok()?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if names.writes_lora(&name) {
            files.push(name);
        }
    }
    files.sort();
    let first = output.dir.join(files.first()?);
    let kept = file_names::old(&files[0], "DATE");
    let more = match files.len() - 1 {
        0 => String::new(),
        more => format!(", and so are {more} more of this name"),
    };
    Some(format!("{}: it is there already, and will be kept as {kept}{more}", first.display()))
}

fn unwritable(name: &str, dir: &Path) -> String {
    format!("--output_name: {name} cannot be written in {}; give another name, or a shorter one", dir.display())
}

impl Names<'_> {
    /// Whether the run writes a LoRA at this moment.
    fn writes_at(&self, moment: Moment) -> bool {
        match moment {
            Moment::End => true,
            Moment::Epoch(epoch) => {
                let every = prune::every_epochs(self.output, self.length.epochs);
                epoch > 0 && epoch < self.length.epochs && every.is_some_and(|every| epoch.is_multiple_of(every))
            }
            Moment::Step(step) => {
                let every = prune::every_steps(self.output);
                step > 0 && step <= self.length.steps && every.is_some_and(|every| step.is_multiple_of(every))
            }
        }
    }

    fn writes_lora(&self, file: &str) -> bool {
        file_names::moment(file, &self.output.name).is_some_and(|moment| self.writes_at(moment))
    }

    fn writes_state(&self, folder: &str) -> bool {
        let Some(moment) = file_names::moment_of_state(folder, &self.output.name) else { return false };
        match self.output.save_state {
            SaveState::Never => false,
            SaveState::AtEnd => moment == Moment::End,
            SaveState::Always => self.writes_at(moment),
        }
    }

    /// The longest name of each kind.
    fn longest(&self) -> Vec<String> {
        let name = &self.output.name;
        let mut longest = vec![file_names::last(name)];
        if prune::every_epochs(self.output, self.length.epochs).is_some() {
            longest.push(file_names::at_epoch(name, self.length.epochs));
        }
        if prune::every_steps(self.output).is_some() {
            longest.push(file_names::at_step(name, self.length.steps));
        }
        longest
    }

    /// Refuses what the run would have to replace and must not.
    fn compare_with_what_is_there(&self, recipe: &Recipe) -> Result<()> {
        let refuses = self.output.no_overwrite && !resumes_itself(self.output);
        let dir = &self.output.dir;
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        for entry in std::fs::read_dir(dir)?.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let shown = path.display();
            if self.writes_lora(&name) {
                if path.is_dir() {
                    bail!("--output_name: {shown} is a folder, and is to be a file; move it, or give another name");
                }
                if let Some(option) = read_by(recipe, &path) {
                    bail!("--output_name: {shown} is the file of --{option}, and would be replaced; give another name");
                }
                // Elsewhere what counts is the folder.
                if cfg!(windows) && entry.metadata().is_ok_and(|about| about.permissions().readonly()) {
                    bail!("--output_name: {shown} is read-only; give another name, or allow writing to it");
                }
                if refuses {
                    bail!("--no_overwrite: {shown} is there already; move it, or give another --output_name");
                }
            }
            if self.writes_state(&name) && !path.is_dir() {
                bail!("--output_name: {shown} is a file, and is to be a folder; move it, or give another name");
            }
            if self.writes_state(&name) && path.join(state::FILE).is_dir() {
                let file = path.join(state::FILE);
                bail!("--output_name: {} is a folder, and is to be a file; move it", file.display());
            }
        }
        Ok(())
    }
}

/// The option that names this file as one that the run reads while it trains.
fn read_by(recipe: &Recipe, path: &Path) -> Option<&'static str> {
    let is_it =
        |other: &Path| path.canonicalize().is_ok_and(|path| other.canonicalize().is_ok_and(|other| path == other));
    match &recipe.model.checkpoint {
        Checkpoint::File(checkpoint) if is_it(checkpoint) => Some("pretrained_model_name_or_path"),
        _ if recipe.model.vae.as_deref().is_some_and(is_it) => Some("vae"),
        _ => None,
    }
}

/// The folder of pictures and the longest name in it.
fn try_pictures(names: &Names<'_>, pictures: &[Request]) -> Result<()> {
    let Some(seed) = pictures.iter().map(|picture| picture.seed).max() else { return Ok(()) };
    let folder = names.output.dir.join("sample");
    if folder.exists() && !folder.is_dir() {
        bail!(
            "--sample_prompts: {} is a file, and the pictures go into a folder of that name; move it",
            folder.display()
        );
    }
    let Names { output, length } = names;
    let index = pictures.len();
    let name = format!("{}_e{:06}_{index:02}_20261130073500_{seed}.png", output.name, length.steps);
    let _made = MadeFolders::all(&folder).with_context(|| unwritable("sample", &output.dir))?;
    try_file(&folder.join(&name)).with_context(|| unwritable(&name, &folder))
}

/// Makes an empty file and deletes it, unless there is one.
fn try_file(path: &Path) -> io::Result<()> {
    match File::options().write(true).create_new(true).open(path) {
        Ok(_) => std::fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Folders that were made to try something, deleted again when this is dropped.
struct MadeFolders(Vec<PathBuf>);

impl MadeFolders {
    /// Makes what is missing of `dir`.
    fn all(dir: &Path) -> Result<Self> {
        let mut missing: Vec<&Path> = dir.ancestors().take_while(|path| !path.exists()).collect();
        missing.retain(|path| !path.as_os_str().is_empty());
        let mut made = Self(Vec::new());
        if let Some(file) = dir.ancestors().find(|path| path.exists() && !path.is_dir()) {
            return Err(anyhow!("{} is a file", file.display()));
        }
        for folder in missing.into_iter().rev() {
            match std::fs::create_dir(folder) {
                Ok(()) => made.0.push(folder.to_owned()),
                // Such as `a/..`, once `a` is there.
                Err(_) if folder.is_dir() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(made)
    }
}

impl Drop for MadeFolders {
    fn drop(&mut self) {
        for folder in self.0.iter().rev() {
            std::fs::remove_dir(folder).ok();
        }
    }
}
