//! What all commands of surgery on weights share: where the result goes, and how far it is.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{LazyLock, Mutex};

use anyhow::{Result, bail};
use lorabake_model::tokenizer::{self, Tokenizer};
use lorabake_recipe::output::SavePrecision;
use lorabake_surgery::Error;
use lorabake_surgery::convert::settings::Vocabulary;
use lorabake_surgery::output::Output;
use lorabake_surgery::target::Layout;
use lorabake_weights::file_kind::{self, FileKind};
use lorabake_weights::formats::tensor_file::TensorFile;

use crate::progress::Counter;
use crate::stop;
use crate::terminal::{self, Shown};

/// Where a result goes.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "Output")]
pub struct OutputArgs {
    /// The file to write, .safetensors, or with --to diffusers a folder. It is whole or absent, and never one that is read.
    #[arg(long, value_name = "FILE", alias = "save_to")]
    pub output: PathBuf,
    /// Type of its numbers; what is computed is computed in f32 and rounded once. [default: as they were]
    #[arg(long, value_name = "float|fp16|bf16", value_parser = precision)]
    pub save_precision: Option<SavePrecision>,
    /// Replaces a file that is there already.
    #[arg(long)]
    pub overwrite: bool,
}

/// Reads a precision by sd-scripts' name.
fn precision(name: &str) -> Result<SavePrecision, String> {
    match name {
        "float" | "fp32" => Ok(SavePrecision::F32),
        "fp16" => Ok(SavePrecision::F16),
        "bf16" => Ok(SavePrecision::Bf16),
        _ => Err("write float, fp16 or bf16".to_owned()),
    }
}

/// Reads a size such as 64MB, 64 MiB or 1.5GB.
///
/// # Errors
/// When it is none.
pub fn size(text: &str) -> Result<usize, String> {
    let text = text.trim().to_ascii_uppercase();
    let digits = text.trim_end_matches(|symbol: char| symbol.is_ascii_alphabetic()).trim();
    let number: f64 = digits.parse().map_err(|_| "write a number with MB, such as 64MB".to_owned())?;
    let unit = match text[digits.len()..].trim() {
        "" | "B" => 1.0,
        "KB" | "K" => 1e3,
        "MB" | "M" => 1e6,
        "GB" | "G" => 1e9,
        "KIB" => 1024.0,
        "MIB" => 1024.0 * 1024.0,
        "GIB" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err("write a number with KB, MB or GB, such as 64MB".to_owned()),
    };
    if number > 0.0 && number * unit < 1e15 { Ok((number * unit) as usize) } else { Err("it is no size".to_owned()) }
}

/// Reads a number, which infinity and what is none are not.
///
/// # Errors
/// When it is none.
pub fn finite(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("write a number, such as 0.5".to_owned()),
    }
}

/// Reads a number above 0.
///
/// # Errors
/// When it is none.
pub fn above_zero(text: &str) -> Result<f64, String> {
    match finite(text) {
        Ok(number) if number > 0.0 => Ok(number),
        _ => Err("write a number above 0, such as 0.5".to_owned()),
    }
}

/// What kind of thing is in a file; `None` if it cannot be read, which whoever opens it then says.
fn kind(path: &Path) -> Option<FileKind> {
    if path.is_dir() {
        return None;
    }
    Some(file_kind::kind(&TensorFile::open(path).ok()?.into()))
}

/// Refuses a LoRA where a model belongs, with what to type instead.
///
/// # Errors
/// When it is one.
pub fn no_net(option: &str, path: &Path, remedy: &str) -> Result<()> {
    if kind(path) == Some(FileKind::Adapter) {
        bail!("{option}: {} is a LoRA and no model; {remedy}", path.display());
    }
    Ok(())
}

/// Refuses a model where a LoRA belongs, with what to type instead.
///
/// # Errors
/// When it is one.
pub fn no_model(path: &Path, remedy: &str) -> Result<()> {
    if path.is_dir() || kind(path) == Some(FileKind::Checkpoint) {
        bail!("{}: it is a model and no LoRA; {remedy}", path.display());
    }
    Ok(())
}

/// A folder that diffusers opens.
pub fn for_diffusers() -> Layout<'static> {
    static OWN: LazyLock<tokenizer::Vocabulary> = LazyLock::new(Tokenizer::vocabulary);
    let own = &*OWN;
    Layout::Folder(Vocabulary { tokens: &own.tokens, merges: &own.merges })
}

impl OutputArgs {
    /// For the crate that writes it.
    pub fn output(&self) -> Output {
        Output { path: self.output.clone(), precision: self.save_precision, overwrite: self.overwrite }
    }

    /// Does the work of `what`, shows how far it is, and ends it at Ctrl-C, which leaves nothing behind.
    ///
    /// # Errors
    /// Those of the work.
    pub fn run<T>(
        &self,
        what: &'static str,
        work: impl FnOnce(&(dyn Fn(u64, u64) -> bool + Sync)) -> lorabake_surgery::Result<T>,
    ) -> Result<Option<T>> {
        let wished = stop::wished()?;
        // The total is known at the first look.
        let counter: Mutex<Option<Counter>> = Mutex::new(None);
        let watch = |done: u64, total: u64| {
            if let Ok(mut counter) = counter.try_lock() {
                counter.get_or_insert_with(|| Counter::new(what, total)).set(done, String::new());
            }
            !wished.load(Ordering::Relaxed)
        };
        let worked = work(&watch);
        if let Ok(Some(counter)) = counter.into_inner() {
            counter.clear();
        }
        match worked {
            Ok(result) => Ok(Some(result)),
            Err(Error::Stopped) => {
                terminal::say(&Error::Stopped.to_string());
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Tells the file that was written; the exit code of a command that is done.
    pub fn told(&self, notes: &[String]) -> ExitCode {
        for note in notes {
            terminal::say(&format!("note: {note}"));
        }
        terminal::result(&Shown(self.output.display()).to_string());
        ExitCode::SUCCESS
    }
}

/// The exit code of a command that Ctrl-C ended.
pub fn interrupted() -> ExitCode {
    ExitCode::from(stop::INTERRUPTED as u8)
}

/// A share in percent, so that what is nearly all is not called all.
pub fn percent(share: f64) -> String {
    if share < 1.0 && share > 0.999_95 { ">99.99 %".to_owned() } else { format!("{:.2} %", share * 100.0) }
}
