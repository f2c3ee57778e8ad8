//! The journal's file: only ever appended to, flushed to disk before anything is done; a tail that a kill or a power cut left
//! half written is cut off, since nothing was done of it yet.
//!
//! Changes are passed over when the file is opened, and read when they are wanted, so that a long history costs no memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use lorabake_weights::{faults, whole_file};

use super::record::{Change, Ended, Line, Step, sum};
use crate::error::Error;

/// The form of the lines.
const VERSION: u32 = 1;

/// A longer line is none of ours, but for those of changes.
const LONGEST_LINE: u64 = 64 << 10;

/// A step with where its changes are in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StepAt {
    pub step: Step,
    /// The first byte of its changes.
    pub offset: u64,
    /// How it ended; `None` if it was cut off.
    pub ended: Option<Ended>,
}

/// The file with all its steps.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    pub steps: Vec<StepAt>,
    /// Bytes of the file that are whole lines.
    length: u64,
}

impl Log {
    /// Reads the file; one that is not there has no steps. Writes nothing.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let mut log = Self { path: path.to_owned(), steps: Vec::new(), length: 0 };
        let cause = |error: io::Error| Error::io(path, "read", &error);
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(log),
            file => file.map_err(cause)?,
        };
        let size = file.metadata().map_err(cause)?.len();
        let mut file = BufReader::new(file);
        loop {
            let mut text = Vec::new();
            file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut text).map_err(cause)?;
            let end = log.length + text.len() as u64;
            if text.last() != Some(&b'\n') {
                // A line that was cut off is the last one.
                if end < size {
                    return Err(log.damaged());
                }
                return Ok(log);
            }
            let Ok(line) = serde_json::from_slice(&text) else { return Err(log.damaged()) };
            if !log.take(line, end, size)? {
                return if has_own_line(&mut file).map_err(cause)? { Err(log.damaged()) } else { Ok(log) };
            }
            file.seek(SeekFrom::Start(log.length)).map_err(cause)?;
        }
    }

    /// Takes in a line that ends at the byte `end`; whether the file goes on behind it.
    fn take(&mut self, line: Line, end: u64, size: u64) -> Result<bool, Error> {
        self.length = match line {
            Line::Journal(VERSION) if self.length == 0 => end,
            Line::Journal(_) => return Err(self.damaged()),
            Line::Step(step) => {
                let after = end.saturating_add(step.bytes);
                if after > size {
                    return Ok(false);
                }
                self.steps.push(StepAt { step, offset: end, ended: None });
                after
            }
            Line::End(ended) => match self.steps.last_mut() {
                Some(last) if last.step.step == ended.step && last.ended.is_none() => {
                    last.ended = Some(ended.result);
                    end
                }
                _ => return Err(self.damaged()),
            },
        };
        Ok(true)
    }

    /// Whether nothing was ever written.
    pub(super) fn is_new(&self) -> bool {
        self.length == 0
    }

    /// The changes of a step; `None` if they are not what was written.
    pub(super) fn changes(&self, at: &StepAt) -> Result<Option<Vec<Change>>, Error> {
        let cause = |error: io::Error| Error::io(&self.path, "read", &error);
        let mut file = File::open(&self.path).map_err(cause)?;
        file.seek(SeekFrom::Start(at.offset)).map_err(cause)?;
        let mut text = Vec::new();
        file.take(at.step.bytes).read_to_end(&mut text).map_err(cause)?;
        let is_whole = sum(&text) == at.step.sum;
        let mut changes = Vec::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            match serde_json::from_slice::<Change>(line) {
                Ok(change) if change.is_safe() => changes.push(change),
                _ => return Ok(None),
            }
        }
        // What a power cut leaves does not read as changes; somebody has written in here, and the step may have been done.
        if is_whole { Ok(Some(changes)) } else { Err(Error::Damaged { path: self.path.clone(), offset: at.offset }) }
    }

    /// The changes of a step that ended.
    pub(super) fn changes_of_ended(&self, at: &StepAt) -> Result<Vec<Change>, Error> {
        self.changes(at)?.ok_or_else(|| Error::Damaged { path: self.path.clone(), offset: at.offset })
    }

    /// Forgets the last step, whose lines never came to the disk; the next one is written over it.
    pub(super) fn drop_last(&mut self) {
        if let Some(last) = self.steps.pop() {
            let head = head_of(&last.step);
            self.length = last.offset - head.len() as u64;
        }
    }

    /// Writes a step down; it is on disk when this returns.
    pub(super) fn begin(&mut self, mut step: Step, changes: &[Change]) -> Result<(), Error> {
        let mut body = Vec::new();
        for change in changes {
            serde_json::to_writer(&mut body, change)
                .map_err(|error| Error::io(&self.path, "written", &error.into()))?;
            body.push(b'\n');
        }
        step.changes = changes.len() as u64;
        step.bytes = body.len() as u64;
        step.sum = sum(&body);
        let mut text = Vec::new();
        if self.is_new() {
            text.extend(line(&Line::Journal(VERSION)));
        }
        text.extend(head_of(&step));
        let offset = self.length + text.len() as u64;
        text.extend(body);
        self.append(&text)?;
        self.steps.push(StepAt { step, offset, ended: None });
        Ok(())
    }

    /// Writes down how the last step ended.
    pub(super) fn end(&mut self, result: Ended) -> Result<(), Error> {
        let Some(last) = self.steps.last() else { return Ok(()) };
        let step = last.step.step;
        self.append(&line(&Line::End(super::record::End { step, result })))?;
        if let Some(last) = self.steps.last_mut() {
            last.ended = Some(result);
        }
        Ok(())
    }

    fn append(&mut self, text: &[u8]) -> Result<(), Error> {
        self.append_at_end(text).map_err(|error| Error::io(&self.path, "written", &error))?;
        self.length += text.len() as u64;
        Ok(())
    }

    fn append_at_end(&self, text: &[u8]) -> io::Result<()> {
        faults::check()?;
        let mut file = File::options().write(true).create(true).truncate(false).open(&self.path)?;
        // What is behind is a tail that was cut off.
        file.set_len(self.length)?;
        file.seek(SeekFrom::Start(self.length))?;
        faults::check()?;
        file.write_all(text)?;
        faults::check()?;
        file.sync_all()?;
        if self.length == 0
            && let Some(folder) = self.path.parent()
        {
            whole_file::sync_folder(folder);
        }
        Ok(())
    }

    fn damaged(&self) -> Error {
        Error::Damaged { path: self.path.clone(), offset: self.length }
    }
}

/// Whether a line of the journal itself follows, so that it goes on behind what seems to be cut off.
fn has_own_line(file: &mut BufReader<File>) -> io::Result<bool> {
    loop {
        let mut text = Vec::new();
        if file.read_until(b'\n', &mut text)? == 0 {
            return Ok(false);
        }
        if serde_json::from_slice::<Line>(&text).is_ok() {
            return Ok(true);
        }
    }
}

fn head_of(step: &Step) -> Vec<u8> {
    line(&Line::Step(step.clone()))
}

fn line(line: &Line) -> Vec<u8> {
    let mut text = serde_json::to_vec(line).expect("numbers and words are JSON");
    text.push(b'\n');
    text
}
