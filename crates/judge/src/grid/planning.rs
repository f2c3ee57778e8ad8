//! From what is asked for to a plan: axes are read, and every cell gets its settings.

use anyhow::{Context, Result};
use lorabake_generate::easel::{Order, model_name};
use lorabake_generate::from_settings::Library;
use lorabake_generate::open_for_painting;
use lorabake_generate::png_text::PictureSettings;
use lorabake_generate::problems::{Problems, in_one_line};
use lorabake_generate::xyz::{Cell, Cells};
use lorabake_recipe::model::Checkpoint;

use super::change::{Change, Draft, ModelChoice};
use super::checks;
use super::epochs;
use super::lora_tag::LoraTag;
use super::meaning::Meaning;
use super::plan::{Asked, Model, OPTIONS, Picture, Plan, Shares};
use super::values::{AxisValues, Ground};
use crate::runs::Run;

/// Most pictures of a grid.
const MOST_PICTURES: usize = 10_000;
/// So many problems are told.
const MOST_PROBLEMS: usize = 20;
/// Side of pictures of the model inside the program.
const EMBEDDED_SIDE: usize = 128;

impl Plan {
    /// The grid that `asked` means.
    ///
    /// # Errors
    /// All that is wrong, a line each: axes, values that cannot be, files that are not found or do not fit, an axis
    /// that varies nothing.
    pub fn of(asked: &Asked) -> Result<Self> {
        let mut library = asked.library.clone();
        let run = asked.run.as_deref().map(Run::find).transpose().context("--run")?;
        let mut target = target(asked, run.as_ref())?;
        let axes = read_axes(asked, run.as_ref(), &target, &mut library)?;
        let mut notes = Vec::new();
        if let Some(run) = &run
            && !axes.iter().flatten().any(|axis| axis.axis.name == "epoch")
        {
            notes.push(target.show_last(run));
            library.loras.insert(0, run.folder.clone());
        }
        let count = |axis: &Option<AxisValues>| axis.as_ref().map_or(1, |axis| axis.values.len());
        let cells = Cells { x: count(&axes[0]), y: count(&axes[1]), z: count(&axes[2]) };
        let pictures = cells.count().saturating_mul(asked.per_cell);
        if pictures > MOST_PICTURES {
            let why = format!("--x: the grid has {pictures} pictures; use fewer values, for {MOST_PICTURES} at most");
            return Err(Problems(vec![why]).into());
        }
        let mut plan = Self {
            axes,
            cells,
            per_cell: asked.per_cell,
            models: Vec::new(),
            pictures: Vec::new(),
            library,
            network_files: Vec::new(),
            notes,
            originals: asked.originals.clone(),
            control: asked.control.clone(),
        };
        let meanings = plan.fill(asked, &target)?;
        checks::all(&plan, &meanings)?;
        plan.put_in_order(&meanings);
        Ok(plan)
    }

    /// Makes every cell's settings; what they mean, in the order of the cells.
    fn fill(&mut self, asked: &Asked, target: &Target) -> Result<Vec<Meaning>> {
        let mut problems: Vec<String> = Vec::new();
        let mut meanings = Vec::new();
        for cell in self.cells.in_order([0.0; 3]) {
            let made = self.draft(asked, target, cell).and_then(|made| Ok((self.meaning(&made)?, made)));
            match made {
                Ok((meaning, made)) => {
                    meanings.push(meaning);
                    self.put_pictures(cell, &made);
                }
                Err(lines) => {
                    for line in lines {
                        if !problems.contains(&line) && problems.len() < MOST_PROBLEMS {
                            problems.push(line);
                        }
                    }
                }
            }
        }
        if problems.is_empty() { Ok(meanings) } else { Err(Problems(problems).into()) }
    }

    /// The settings of a cell, and which model paints it.
    fn draft(&mut self, asked: &Asked, target: &Target, cell: Cell) -> Result<Drafted, Vec<String>> {
        let library = self.library.clone();
        let mut draft = Draft {
            settings: asked.settings.clone(),
            model: asked.model.clone(),
            target: target.name.clone(),
            adds_lora: target.adds_lora,
            is_plain: false,
            library: &library,
        };
        let mut changes: Vec<(String, &Change)> = Vec::new();
        if let Some(shown) = &target.shown {
            changes.push(("--run".to_owned(), shown));
        }
        for (place, axis) in self.axes.iter().enumerate() {
            if let Some(axis) = axis {
                let index = [cell.x, cell.y, cell.z][place];
                changes.push((format!("{} {}", OPTIONS[place], axis.axis.name), &axis.values[index].change));
            }
        }
        changes.sort_by_key(|(_, change)| change.rank());
        for (option, change) in changes {
            change.apply(&mut draft).map_err(|why| vec![format!("{option}: {why}")])?;
        }
        let Draft { settings, model, .. } = draft;
        let model = self.model(model).map_err(|error| vec![in_one_line(&error)])?;
        Ok(Drafted { settings, model })
    }

    /// The number of a model, whose header is read if it is a new one.
    fn model(&mut self, choice: ModelChoice) -> Result<usize> {
        if let Some(known) = self.models.iter().position(|model| model.choice == choice) {
            return Ok(known);
        }
        let family = open_for_painting(&choice.checkpoint, choice.vae.as_deref())?.family();
        let side = if choice.checkpoint == Checkpoint::Embedded { EMBEDDED_SIDE } else { family.side() as usize };
        self.models.push(Model { name: model_name(&choice.checkpoint), choice, family, side });
        Ok(self.models.len() - 1)
    }

    fn meaning(&mut self, made: &Drafted) -> Result<Meaning, Vec<String>> {
        let side = self.models[made.model].side;
        let ordered = Order::of(&made.settings, &self.library, &self.originals, side);
        let ordered = ordered.map_err(|error| match error.downcast::<Problems>() {
            Ok(Problems(lines)) => lines,
            Err(error) => vec![in_one_line(&error)],
        })?;
        for note in ordered.notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        let [width, height] = ordered.order.request.size;
        if !width.is_multiple_of(8) || !height.is_multiple_of(8) {
            return Err(vec![format!("--width {width} --height {height}: both must be multiples of 8 pixels")]);
        }
        Ok(Meaning::of(ordered.order.request, made.model))
    }

    fn put_pictures(&mut self, cell: Cell, made: &Drafted) {
        for number in 0..self.per_cell {
            let mut settings = made.settings.clone();
            let sampling = &mut settings.sampling;
            let varies = sampling.variation_strength.unwrap_or(0.0) > 0.0;
            let seed = if varies { &mut sampling.variation_seed } else { &mut sampling.seed };
            *seed = Some(seed.unwrap_or(0).wrapping_add(number as u64));
            let file = self.file_name(cell, number);
            self.pictures.push(Picture {
                cell,
                number,
                settings,
                model: made.model,
                file,
                twin: None,
                shares: Shares::default(),
            });
        }
    }

    /// `x02-y01.png`: places from 1, those of axes that there are.
    fn file_name(&self, cell: Cell, number: usize) -> String {
        let mut parts = vec![format!("x{:02}", cell.x + 1)];
        if self.axes[1].is_some() {
            parts.push(format!("y{:02}", cell.y + 1));
        }
        if self.axes[2].is_some() {
            parts.push(format!("z{:02}", cell.z + 1));
        }
        if self.per_cell > 1 {
            parts.push((number + 1).to_string());
        }
        format!("{}.png", parts.join("-"))
    }
}

/// The settings of a cell.
struct Drafted {
    settings: PictureSettings,
    model: usize,
}

/// Which LoRA axes act on.
struct Target {
    name: Option<String>,
    adds_lora: bool,
    /// Has every picture show the same snapshot of `--run`, where no axis says which.
    shown: Option<Change>,
}

impl Target {
    /// Has every picture show the last snapshot of `run`; what is to be told of that.
    fn show_last(&mut self, run: &Run) -> String {
        let Some(last) = epochs::last(run) else { return format!("--run: there is no snapshot of {}", run.name) };
        self.shown = Some(Change::Lora(last.name));
        format!(
            "--run: no axis asks for its snapshots, so that every picture has the last one ({}); epoch=all shows all",
            last.label
        )
    }
}

/// With `--run` it is that run's LoRA in the prompt, or one that comes beside those that are there.
fn target(asked: &Asked, run: Option<&Run>) -> Result<Target> {
    let prompt = asked.settings.prompt.as_deref().unwrap_or_default();
    if let Some(name) = &asked.axis_lora {
        if let Err(why) = LoraTag::find(prompt, Some(name)) {
            return Err(Problems(vec![format!("--axis_lora: {why}")]).into());
        }
        return Ok(Target { name: asked.axis_lora.clone(), adds_lora: false, shown: None });
    }
    let Some(run) = run else { return Ok(Target { name: None, adds_lora: false, shown: None }) };
    let stems = run.snapshots.iter().filter_map(|snapshot| snapshot.path.file_stem());
    let mut names: Vec<String> = stems.map(|stem| stem.to_string_lossy().into_owned()).collect();
    names.push(run.name.clone());
    let found = LoraTag::all(prompt).into_iter().find(|tag| names.iter().any(|name| name == tag.name()));
    Ok(Target { adds_lora: found.is_none(), name: found.map(|tag| tag.name().to_owned()), shown: None })
}

fn read_axes(
    asked: &Asked,
    run: Option<&Run>,
    target: &Target,
    library: &mut Library,
) -> Result<[Option<AxisValues>; 3]> {
    let mut ground = Ground {
        prompt: asked.settings.prompt.as_deref().unwrap_or_default(),
        target: target.name.as_deref(),
        run,
        model: &asked.model,
        library: &asked.library,
        folders: Vec::new(),
    };
    let mut problems = Vec::new();
    let mut axes = [None, None, None];
    for (place, typed) in asked.axes.iter().enumerate() {
        let Some(typed) = typed else { continue };
        match AxisValues::read(OPTIONS[place], typed, &mut ground) {
            Ok(axis) => axes[place] = Some(axis),
            Err(why) => problems.push(why),
        }
    }
    for (place, axis) in axes.iter().enumerate() {
        let Some(axis) = axis else { continue };
        let is_twice = |earlier: &AxisValues| earlier.axis.name == axis.axis.name && axis.axis.name != "prompt";
        if axes[..place].iter().flatten().any(is_twice) {
            problems.push(format!("{} {}: this axis is there already; leave one out", OPTIONS[place], axis.axis.name));
        }
    }
    let is_lora = |axis: &AxisValues| ["epoch", "lora"].contains(&axis.axis.name);
    if axes.iter().flatten().filter(|axis| is_lora(axis)).count() > 1 {
        problems.push("--y: epoch and lora both say which LoRA it is; leave one of them out".to_owned());
    }
    if run.is_some() && axes.iter().flatten().any(|axis| axis.axis.name == "lora") {
        problems.push("--run: an axis says which LoRA it is already; leave --run out, or take epoch=all".to_owned());
    }
    if !problems.is_empty() {
        return Err(Problems(problems).into());
    }
    // Found there first, since these are the files that are meant.
    for folder in ground.folders {
        if !library.loras.contains(&folder) {
            library.loras.insert(0, folder);
        }
    }
    Ok(axes)
}
