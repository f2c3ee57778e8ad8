//! Loss and learning rates as TensorBoard event files, under the folder and the tags of sd-scripts.
//!
//! A file is a row of TFRecords (length, its CRC, protobuf message, its CRC); the messages are so small that they are
//! encoded by hand. Format: TensorFlow's `event.proto`, `summary.proto` and `record_writer.cc`. Which tags there are:
//! `generate_step_logs` of sd-scripts' `train_network.py`.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use lorabake_judge::while_training::Examined;
use lorabake_recipe::output::Output;
use lorabake_train::event::{Event, Validated};

use crate::jsonl::Lines;
use crate::judging;

/// An open event file, with the same as JSON lines beside it.
pub struct Log {
    file: File,
    lines: Lines,
}

impl Log {
    /// Begins the log of a run that starts now: `logging_dir/<log_prefix><YYYYmmddHHMMSS>/network_train/`.
    ///
    /// # Errors
    /// When folder or file cannot be made.
    pub fn begin(output: &Output, logging_dir: &Path) -> io::Result<Self> {
        let date = chrono::Local::now().format("%Y%m%d%H%M%S");
        let run = format!("{}{date}", output.log_prefix.as_deref().unwrap_or_default());
        let folder = logging_dir.join(run).join("network_train");
        std::fs::create_dir_all(&folder)?;
        Self::create(&folder)
    }

    fn create(folder: &Path) -> io::Result<Self> {
        let seconds = now() as u64;
        let path: PathBuf = folder.join(format!("events.out.tfevents.{seconds}.lorabake.{}.0", std::process::id()));
        let mut log = Self { file: File::create_new(path)?, lines: Lines::create(folder)? };
        let mut event = wall_time();
        bytes_field(&mut event, 3, b"brain.Event:2");
        log.record(&event)?;
        Ok(log)
    }

    /// Writes what `event` has to say to a chart, if anything.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn show(&mut self, event: &Event) -> io::Result<()> {
        self.lines.show(event)?;
        match event {
            Event::Stepped(step) => {
                self.scalar("loss/current", step.loss, step.step)?;
                self.scalar("loss/average", step.average, step.step)?;
                if let Some(norms) = &step.norms {
                    self.scalar("max_norm/keys_scaled", norms.keys_scaled as f64, step.step)?;
                    self.scalar("max_norm/max_key_norm", norms.max, step.step)?;
                    self.scalar("norm/avg_key_norm", norms.average, step.step)?;
                }
                for (part, rate) in &step.rates {
                    self.scalar(&format!("lr/{part}"), *rate, step.step)?;
                }
                let adapted = step.d_times_lr.iter();
                adapted
                    .map(|(part, rate)| (format!("lr/d*lr/{part}"), rate))
                    .try_for_each(|(tag, rate)| self.scalar(&tag, *rate, step.step))
            }
            Event::EpochEnded { epoch, average } => self.scalar("loss/epoch_average", *average, *epoch),
            Event::Validated(Validated { step, epoch, loss, divergence }) => {
                // sd-scripts counts the charts of epochs by epochs.
                let (kind, at) = epoch.map_or(("step", *step), |epoch| ("epoch", epoch));
                self.scalar(&format!("loss/validation/{kind}_average"), *loss, at)?;
                self.scalar(&format!("loss/validation/{kind}_divergence"), *divergence, at)
            }
            _ => Ok(()),
        }
    }

    /// Writes what was found by judging, as charts over epochs.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn show_judged(&mut self, examined: &Examined) -> io::Result<()> {
        self.lines.show_judged(examined)?;
        let numbers = judging::numbers(examined);
        numbers.into_iter().try_for_each(|(name, value)| self.scalar(&format!("judge/{name}"), value, examined.epoch))
    }

    fn scalar(&mut self, tag: &str, value: f64, step: u64) -> io::Result<()> {
        let mut point = Vec::new();
        bytes_field(&mut point, 1, tag.as_bytes());
        point.push(2 << 3 | 5); // simple_value, 32 bits
        point.extend((value as f32).to_le_bytes());
        let mut summary = Vec::new();
        bytes_field(&mut summary, 1, &point);
        let mut event = wall_time();
        event.push(2 << 3); // step, a varint
        varint(&mut event, step);
        bytes_field(&mut event, 5, &summary);
        self.record(&event)
    }

    /// One write call for a whole record, so that a reader never meets half of one.
    fn record(&mut self, message: &[u8]) -> io::Result<()> {
        let length = (message.len() as u64).to_le_bytes();
        let parts = [&length[..], &masked_crc(&length), message, &masked_crc(message)];
        self.file.write_all(&parts.concat())
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The begin of an `Event`: field 1, a double.
fn wall_time() -> Vec<u8> {
    let mut event = vec![1 << 3 | 1];
    event.extend(now().to_le_bytes());
    event
}

fn bytes_field(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    message.push(field << 3 | 2);
    varint(message, bytes.len() as u64);
    message.extend(bytes);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// CRC-32C, rotated and shifted so that records may hold records.
fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The record that TensorBoard's own `RecordWriter` writes for `Event(wall_time=1.5, step=300, summary=[("loss/current", 0.25)])`.
    #[test]
    fn a_record_is_the_one_that_tensorboard_writes() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::create(folder.path()).unwrap();
        let mut files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let path = files.find(|path| path.to_string_lossy().contains("tfevents")).unwrap();
        let header = std::fs::metadata(&path).unwrap().len() as usize;
        log.scalar("loss/current", 0.25, 300).unwrap();
        let mut bytes = std::fs::read(&path).unwrap().split_off(header);
        bytes[13..21].copy_from_slice(&1.5_f64.to_le_bytes());
        let end = bytes.len() - 4;
        let crc = masked_crc(&bytes[12..end]);
        bytes[end..].copy_from_slice(&crc);
        assert_eq!(bytes, EXPECTED);
    }

    const EXPECTED: [u8; 51] = [
        0x23, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xb0, 0x9f, 0x77, 0x43, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0xf8, 0x3f, 0x10, 0xac, 0x02, 0x2a, 0x15, 0x0a, 0x13, 0x0a, 0x0c, 0x6c, 0x6f, 0x73, 0x73, 0x2f, 0x63,
        0x75, 0x72, 0x72, 0x65, 0x6e, 0x74, 0x15, 0x00, 0x00, 0x80, 0x3e, 0x3b, 0x64, 0x73, 0xf4,
    ];
}
