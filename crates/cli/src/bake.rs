//! Runs a bake on a thread of its own, shows its events, and passes the wish to end on to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use lorabake_device::launched;
use lorabake_generate::easel::model_name;
use lorabake_generate::picture_file::{self, Pixels};
use lorabake_generate::png_text::{Fields, Value};
use lorabake_generate::sample::Request;
use lorabake_judge::while_training::Told as Verdict;
use lorabake_recipe::output::Output;
use lorabake_recipe::{Parsed, count};
use lorabake_train::event::{Command, Event, Outcome, Painted};

use lorabake_train::Milestone;
use lorabake_train::onlooker::Onlooker;

use crate::judging;
use crate::progress::Progress;
use crate::stop;
use crate::tensorboard::Log;
use crate::terminal::Shown;
use crate::told::Told;
use crate::words;

/// Prints the notes of `parsed`, bakes it, and shows everything that happens.
///
/// # Errors
/// What ended the bake.
pub fn bake(parsed: &Parsed) -> Result<Outcome> {
    watched(parsed, None)
}

/// As [`bake`], for one of several trainings: notes that were told of an earlier one are not repeated.
///
/// # Errors
/// As there.
pub fn bake_telling(parsed: &Parsed, told: &mut Told) -> Result<Outcome> {
    watched(parsed, Some(told))
}

fn watched(parsed: &Parsed, told: Option<&mut Told>) -> Result<Outcome> {
    check_logging_dir(&parsed.recipe.output)?;
    let (events_in, events) = channel();
    let (commands_in, commands) = channel();
    let (progress, asked, quiet) = (Progress::default(), stop::wished()?, is_quiet());
    let mut watch = Watch { progress, log: None, commands: commands_in, asked, quiet, told };
    if !quiet {
        for note in &parsed.notes {
            watch.note(&note.to_string());
        }
    }
    let (found_in, found) = channel();
    let mut examiner = match quiet {
        true => None,
        false => judging::examiner(&parsed.recipe, found_in),
    };
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || {
            let onlooker = examiner.as_mut().map(|examiner| examiner as &mut dyn Onlooker);
            lorabake_train::bake_before(parsed, &events_in, &commands, onlooker)
        });
        watch.until_end(&events, &found, parsed);
        worker.join().unwrap_or_else(|_| Err(anyhow!("lorabake itself has failed, see above; please report it")))
    })
}

/// Whether another process of the same run does the talking.
pub fn is_quiet() -> bool {
    launched().is_some_and(|rank| rank > 0)
}

/// How it ended, for stdout: the file, and what to do with it.
pub fn summary(parsed: &Parsed, outcome: &Outcome) -> String {
    let Outcome { file, steps, planned, average, seconds, best_epoch } = outcome;
    let (name, folder) = (file.file_stem().unwrap_or_default().to_string_lossy(), file.parent().unwrap_or(file));
    let stopped = match best_epoch {
        Some(_) => format!(" of {planned}, ended as overcooked,"),
        None if steps < planned => format!(" of {planned}, stopped early"),
        None => String::new(),
    };
    let time = words::duration(*seconds);
    let mut next = "lorabake generate".to_owned();
    if let Some(model) = &parsed.raw.model.pretrained_model_name_or_path {
        next += &format!(" --pretrained_model_name_or_path {}", words::quoted(&model.to_string_lossy()));
    }
    if let Some(vae) = &parsed.recipe.model.vae {
        next += &format!(" --vae {}", words::quoted(&vae.to_string_lossy()));
    }
    if parsed.recipe.model.clip_skip > 1 {
        next += &format!(" --clip_skip {}", parsed.recipe.model.clip_skip);
    }
    let folder = words::quoted(&folder.to_string_lossy());
    next +=
        &format!(" --lora_dir {folder} --compare --prompt {}", words::quoted(&format!("YOUR WORDS <lora:{name}:1>")));
    let went_back = best_epoch.map_or(String::new(), |epoch| {
        format!("It is the LoRA of epoch {epoch}, the best that was judged; the last one is kept beside it.\n")
    });
    format!(
        "{}  {}{stopped} in {time}, average loss {average:.4}\n{went_back}\
         To use it, write <lora:{}:1> in a prompt. For instance:\n  {}",
        Shown(file.display()),
        count(*steps, "step"),
        Shown(&name),
        Shown(next),
    )
}

/// What watches a bake.
struct Watch<'t> {
    progress: Progress,
    log: Option<Log>,
    commands: Sender<Command>,
    asked: &'static AtomicBool,
    quiet: bool,
    /// What was told of earlier trainings, where that is not to be repeated.
    told: Option<&'t mut Told>,
}

impl Watch<'_> {
    /// Tells a note, unless it was told of an earlier training.
    fn note(&mut self, note: &str) {
        if self.told.as_mut().is_none_or(|told| told.is_new(note)) {
            self.progress.say(&format!("note: {note}"));
        }
    }

    /// Ends the program, which has not begun to train.
    fn stopped_before(&mut self) -> ! {
        self.progress.clear();
        self.progress.say("stopped before the first step; nothing was written");
        std::process::exit(stop::INTERRUPTED);
    }

    fn until_end(&mut self, events: &Receiver<Event>, found: &Receiver<Verdict>, parsed: &Parsed) {
        let output = &parsed.recipe.output;
        let (mut training, mut told) = (false, false);
        loop {
            let event = events.recv_timeout(Duration::from_millis(100));
            for told in found.try_iter() {
                match told {
                    Verdict::Preparing(news) => self.progress.prepare(news),
                    Verdict::Examined(examined) => {
                        self.progress.say(&judging::line(&examined));
                        self.log(|log| log.show_judged(&examined));
                    }
                }
            }
            match event {
                Ok(event) => {
                    match &event {
                        Event::Note(note) => self.note(note),
                        event => self.progress.show(event),
                    }
                    if matches!(event, Event::Started(_)) {
                        training = true;
                        self.begin_log(output);
                    }
                    if let Event::Painted(painted) = &event {
                        self.keep_picture(painted, parsed);
                    }
                    self.log(|log| log.show(&event));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.progress.clear(),
            }
            if self.asked.load(Ordering::Relaxed) && !told {
                told = true;
                if !training && !self.quiet {
                    self.stopped_before();
                }
                // Before anything is said: the wish counts whether or not somebody hears the answer. If the bake has
                // ended by itself there is nothing left to stop.
                self.commands.send(Command::Stop).unwrap_or_default();
                if !self.quiet {
                    self.progress.say("stopping: this step is finished and the LoRA saved; Ctrl-C again quits at once");
                }
            }
        }
    }

    /// Saves a picture under sd-scripts' name for it.
    fn keep_picture(&self, painted: &Painted, parsed: &Parsed) {
        let Painted { milestone, index, request, picture } = painted;
        let Output { dir, name, .. } = &parsed.recipe.output;
        let moment = match milestone {
            Milestone::Step(step) => format!("{step:06}"),
            Milestone::Epoch(epoch) => format!("e{epoch:06}"),
        };
        let date = chrono::Local::now().format("%Y%m%d%H%M%S");
        let path = dir.join("sample").join(format!("{name}_{moment}_{index:02}_{date}_{}.png", request.seed));
        let pixels = Pixels { width: picture.width, height: picture.height, rgb: picture.rgb.clone() };
        let model = model_name(&parsed.recipe.model.checkpoint);
        match picture_file::save(&path, &pixels, &parameters(request, &model)) {
            Ok(_) => self.progress.say(&format!("painted {}", path.display())),
            Err(error) => self.progress.say(&format!("note: {error:#}; training goes on")),
        }
    }

    fn begin_log(&mut self, output: &Output) {
        let Some(folder) = &output.logging_dir else { return };
        self.log = Log::begin(output, folder).map_err(|error| self.without_charts(&error)).ok();
    }

    fn log(&mut self, write: impl FnOnce(&mut Log) -> std::io::Result<()>) {
        let Some(log) = &mut self.log else { return };
        if let Err(error) = write(log) {
            self.without_charts(&error);
            self.log = None;
        }
    }

    fn without_charts(&self, error: &std::io::Error) {
        self.progress.say(&format!("note: --logging_dir: {error}; training goes on without charts"));
    }
}

/// The text that the web UI keeps in a picture, and reads back from it, of a picture made during training.
fn parameters(request: &Request, model: &str) -> String {
    let fields = Fields {
        prompt: request.prompt.clone(),
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

/// A folder that cannot be made is told before hours of training, though nothing is written yet.
fn check_logging_dir(output: &Output) -> Result<()> {
    let Some(folder) = &output.logging_dir else { return Ok(()) };
    let existing = folder.ancestors().find(|path| path.exists());
    if let Some(file) = existing.filter(|path| !path.is_dir()) {
        bail!("--logging_dir {}: {} is a file; name another folder", folder.display(), file.display());
    }
    Ok(())
}
