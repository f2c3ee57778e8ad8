//! The journal of a data set: every change of its files is written down before it is made, so that it is made wholly or not at
//! all, whatever ends the program, and can be taken back and made again at any time later.
//!
//! What happens, in this order: the files are compared with what the caller has read of them; what is to be overwritten and is
//! no short text is copied into `.originals`; the step with all its changes is appended to the journal and flushed to disk; the
//! files are written, each beside its place and renamed; the step's end is appended. A step without an end is finished
//! or taken back when the journal is opened next.

mod files;
mod home;
mod log;
mod record;
mod set_lock;
mod snapshot;
mod spot;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use lorabake_weights::lock_file::{LockFile, Taking};

use self::files::{Files, State, Task};
use self::home::JOURNAL;
use self::log::{Log, StepAt};
use self::record::{Change, Content, Ended, Step, Way};
use crate::error::Error;

pub use home::Home;

const LOCK: &str = ".lorabake-journal.lock";

/// What a caller wants of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Another content; also a file that is new.
    Write {
        /// The file, in the data set.
        path: PathBuf,
        /// What was read of it; `None` if there was none. If the file is otherwise by now, nothing is written.
        before: Option<Vec<u8>>,
        /// Its new content.
        after: Vec<u8>,
    },
    /// Another place or name in the data set, or among what is set aside ([`Home::set_aside`]); of a file or a folder.
    /// Nothing may be there.
    Move {
        /// Where it is.
        from: PathBuf,
        /// Where it is to be.
        to: PathBuf,
    },
}

/// An action of the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u64,
    /// What it was called.
    pub name: String,
    /// When it was first done, in seconds since 1970, UTC.
    pub time: u64,
    /// How many changes of files it has.
    pub changes: u64,
    /// Whether it has been taken back.
    pub is_undone: bool,
}

/// What was found of an action that a kill or a power cut had cut off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The action's name.
    pub name: String,
    /// All its files had been written; otherwise those that had been are as before again.
    pub is_done: bool,
    /// Files that somebody else has changed since, and that stayed so.
    pub left: Vec<PathBuf>,
}

/// The journal of a data set.
#[derive(Debug)]
pub struct Journal {
    files: Files,
    log: Log,
    lock: Option<Locks>,
    recovered: Option<Recovered>,
    /// Files that have been parted from others of their content.
    parted: Vec<PathBuf>,
}

/// What keeps other programs out: of the journal, and of the data set.
#[derive(Debug)]
struct Locks {
    _journal: LockFile,
    _set: Option<LockFile>,
}

impl Journal {
    /// Opens the journal of the data set that `folder` is or belongs to; nothing is made before the first change. An action
    /// that was cut off is finished or taken back.
    ///
    /// # Errors
    /// If `folder` is no folder, another program is changing the data set, or the journal is damaged.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        Self::of(Home::of(folder)?)
    }

    /// Opens the journal of a data set.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn of(home: Home) -> Result<Self, Error> {
        let path = home.journal().join(JOURNAL);
        let lock = if home.journal().is_dir() { take_lock(&home)? } else { None };
        let mut journal =
            Self { log: Log::read(&path)?, files: Files { home }, lock, recovered: None, parted: Vec::new() };
        journal.recover()?;
        Ok(journal)
    }

    /// The data set.
    pub fn home(&self) -> &Home {
        &self.files.home
    }

    /// What was found half done when the journal was opened.
    pub fn recovered(&self) -> Option<&Recovered> {
        self.recovered.as_ref()
    }

    /// Files that were one with others (hard links) before they were written, and are no longer: those keep the old content.
    /// Only systems that tell of it.
    pub fn parted(&self) -> &[PathBuf] {
        &self.parted
    }

    /// Makes changes of files, all or none, as one action; returns its number, `None` if there is nothing to do.
    ///
    /// # Errors
    /// If a file is not as it was read, or cannot be written. Nothing is changed then.
    pub fn apply(&mut self, name: &str, edits: &[Edit]) -> Result<Option<u64>, Error> {
        self.start(name).apply(edits)
    }

    /// Begins an action that is done in parts, each all or nothing; those that are done stay if the program ends, and are
    /// undone together.
    pub fn start(&mut self, name: &str) -> Action<'_> {
        Action { journal: self, name: name.to_owned(), number: None }
    }

    /// The actions, the oldest first.
    pub fn history(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for at in &self.log.steps {
            if at.ended != Some(Ended::Done) {
                continue;
            }
            let entry = entries.iter_mut().rev().find(|entry| entry.number == at.step.action);
            match (at.step.way, entry) {
                (Way::Do, Some(entry)) => entry.changes += at.step.changes,
                (Way::Do, None) => entries.push(Entry {
                    number: at.step.action,
                    name: at.step.name.clone(),
                    time: at.step.time,
                    changes: at.step.changes,
                    is_undone: false,
                }),
                (Way::Undo, Some(entry)) => entry.is_undone = true,
                (Way::Redo, Some(entry)) => entry.is_undone = false,
                (Way::Undo | Way::Redo, None) => {}
            }
        }
        entries
    }

    /// Takes back an action, or without a number the last one that is not undone; returns it, `None` if there is none.
    ///
    /// # Errors
    /// If a file of it has been changed since, or cannot be written. Nothing is changed then.
    pub fn undo(&mut self, number: Option<u64>) -> Result<Option<Entry>, Error> {
        let found = self.history().into_iter().rev().find(|entry| match number {
            Some(number) => entry.number == number,
            None => !entry.is_undone,
        });
        match found {
            Some(entry) if !entry.is_undone => self.turn(entry, Way::Undo),
            _ => Ok(None),
        }
    }

    /// Does the action again that was undone last, if nothing else was done since; returns it, `None` if there is none.
    ///
    /// # Errors
    /// If a file of it has been changed since, or cannot be written. Nothing is changed then.
    pub fn redo(&mut self) -> Result<Option<Entry>, Error> {
        let Some(number) = self.undone_last() else { return Ok(None) };
        match self.history().into_iter().find(|entry| entry.number == number) {
            Some(entry) => self.turn(entry, Way::Redo),
            None => Ok(None),
        }
    }

    /// The action that was undone last, if none was done since.
    fn undone_last(&self) -> Option<u64> {
        let mut undone: Vec<u64> = Vec::new();
        for at in self.log.steps.iter().filter(|at| at.ended == Some(Ended::Done)) {
            match at.step.way {
                Way::Do => undone.clear(),
                Way::Undo => undone.push(at.step.action),
                Way::Redo => undone.retain(|number| *number != at.step.action),
            }
        }
        undone.pop()
    }

    fn turn(&mut self, entry: Entry, way: Way) -> Result<Option<Entry>, Error> {
        let mut changes = Vec::new();
        for at in &self.log.steps {
            let is_part = at.step.action == entry.number && at.step.way == Way::Do;
            if is_part && at.ended == Some(Ended::Done) {
                changes.extend(self.log.changes_of_ended(at)?);
            }
        }
        if way == Way::Undo {
            changes = changes.into_iter().rev().map(Change::inverse).collect();
        }
        let tasks: Vec<Task> = changes.into_iter().map(|change| Task { change, bytes: None }).collect();
        let remedy = "mend or remove these files, or leave the action as it is";
        self.run(self.next_step(way, entry.number, &entry.name), tasks, remedy)?;
        Ok(Some(entry))
    }

    fn next_step(&self, way: Way, action: u64, name: &str) -> Step {
        let step = self.log.steps.last().map_or(0, |last| last.step.step) + 1;
        let name = name.to_owned();
        Step { step, way, action, name, time: now(), changes: 0, bytes: 0, sum: String::new() }
    }

    /// Does a step, or nothing.
    fn run(&mut self, step: Step, tasks: Vec<Task>, remedy: &'static str) -> Result<(), Error> {
        self.prepare()?;
        let paths = self.files.not_ready(&tasks)?;
        if !paths.is_empty() {
            return Err(Error::Changed { paths, remedy });
        }
        self.files.keep(&tasks)?;
        let parted = self.files.shared(&tasks);
        let changes: Vec<Change> = tasks.iter().map(|task| task.change.clone()).collect();
        self.log.begin(step, &changes)?;
        if let Err(error) = self.files.make(&tasks) {
            // If that fails too, it is taken back when the journal is opened next.
            self.files.take_back(changes)?;
            self.log.end(Ended::TakenBack)?;
            return Err(error);
        }
        self.parted.extend(parted);
        self.log.end(Ended::Done)
    }

    /// Makes the journal's folder and the snapshot, and takes the lock.
    fn prepare(&mut self) -> Result<(), Error> {
        if self.lock.is_none() {
            let home = self.files.home.clone();
            std::fs::create_dir_all(home.journal()).map_err(|error| {
                Error::file(home.journal(), format!("the journal cannot be made ({error}); name a folder by --journal"))
            })?;
            self.lock = take_lock(&home)?;
            // Somebody else may have begun it since.
            self.log = Log::read(&home.journal().join(JOURNAL))?;
            self.recover()?;
        }
        self.recover()?;
        if self.log.is_new() { snapshot::take(&self.files.home) } else { Ok(()) }
    }

    /// Finishes or takes back a step that was cut off.
    fn recover(&mut self) -> Result<(), Error> {
        let Some(last) = self.log.steps.last().filter(|last| last.ended.is_none()).cloned() else { return Ok(()) };
        let Some(changes) = self.log.changes(&last)? else {
            // They never were on disk whole, so nothing was done.
            self.log.drop_last();
            return Ok(());
        };
        self.files.clean(&changes);
        let is_done = self.is_done(&changes)?;
        let left = if is_done { Vec::new() } else { self.files.take_back(changes)? };
        self.log.end(if is_done { Ended::Done } else { Ended::TakenBack })?;
        let StepAt { step, .. } = last;
        self.recovered = Some(Recovered { name: step.name, is_done, left });
        Ok(())
    }

    fn is_done(&self, changes: &[Change]) -> Result<bool, Error> {
        // Changes that hang together are made in their order.
        let only_writes = changes.iter().all(|change| matches!(change, Change::Write { .. }));
        let looked_at = if only_writes { changes } else { &changes[changes.len().saturating_sub(1)..] };
        for change in looked_at {
            if self.files.state(change)? != State::After {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// An action that is being done.
#[derive(Debug)]
pub struct Action<'j> {
    journal: &'j mut Journal,
    name: String,
    number: Option<u64>,
}

impl Action<'_> {
    /// Makes changes of files, all or none; returns the action's number, `None` if nothing was done yet.
    ///
    /// # Errors
    /// As [`Journal::apply`]; what was done before stays.
    pub fn apply(&mut self, edits: &[Edit]) -> Result<Option<u64>, Error> {
        let mut tasks = Vec::new();
        for edit in edits {
            tasks.extend(self.task(edit)?);
        }
        if tasks.is_empty() {
            return Ok(self.number);
        }
        // Taken before the number is, so that nobody else takes it.
        self.journal.prepare()?;
        let number = match self.number {
            Some(number) => number,
            None => self.journal.log.steps.iter().map(|at| at.step.action).max().unwrap_or(0) + 1,
        };
        let step = self.journal.next_step(Way::Do, number, &self.name);
        self.journal.run(step, tasks, "run the command again")?;
        self.number = Some(number);
        Ok(self.number)
    }

    /// What is to be done for an edit; `None` if it changes nothing.
    fn task<'e>(&self, edit: &'e Edit) -> Result<Option<Task<'e>>, Error> {
        let home = &self.journal.files.home;
        match edit {
            Edit::Write { before, after, .. } if before.as_ref() == Some(after) => Ok(None),
            Edit::Write { path, before, after } => {
                let at = home.spot(path)?;
                let before = Content::of(&at, before.as_deref());
                let content = Content::of(&at, Some(after));
                let change = Change::Write { at, before, after: content };
                Ok(Some(Task { change, bytes: Some(after) }))
            }
            Edit::Move { from, to } => {
                let change = Change::Move { from: home.spot(from)?, to: home.spot(to)? };
                Ok(Some(Task { change, bytes: None }))
            }
        }
    }
}

fn take_lock(home: &Home) -> Result<Option<Locks>, Error> {
    let path = home.journal().join(LOCK);
    match LockFile::take(&path).map_err(|error| Error::io(&path, "written", &error))? {
        Taking::Taken(lock) => Ok(Some(Locks { _journal: lock, _set: set_lock::take(home.root())? })),
        Taking::Busy => Err(Error::Busy { folder: home.root().to_owned() }),
        Taking::Unknown => Ok(None),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
