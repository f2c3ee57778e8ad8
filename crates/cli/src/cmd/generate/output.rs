//! Options of `lorabake generate` for what is written.

use std::path::PathBuf;

use anyhow::{Result, bail};
use lorabake_generate::file_names::Pattern;
use lorabake_generate::picture_file::Target;

/// What is written, and where.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "Output")]
pub struct OutputArgs {
    /// A .png, .jpg or .webp file, numbered if there are several pictures, or a folder.
    #[arg(long, value_name = "PATH", default_value = "out")]
    pub out: PathBuf,
    /// Pictures per prompt, each with the next seed.
    #[arg(long, alias = "n_iter", alias = "batch_count", alias = "batch_size", alias = "images_per_prompt", value_name = "PICTURES", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=10000))]
    pub count: u32,
    /// Leaves the first pictures out: to go on where a batch was stopped.
    #[arg(long, value_name = "PICTURES", default_value = "0")]
    pub skip: u32,
    /// How pictures in a folder are called behind their number: text with `[seed]`, `[prompt_words]`, `[sampler]`,
    /// `[steps]`, `[cfg]`, `[model_name]`, `[date]`, `[datetime<%Y%m%d>]` and the rest of the web UI's patterns.
    #[arg(long, value_name = "PATTERN", default_value = "[seed]")]
    pub name: String,
    /// Format of pictures in a folder: png, jpg or webp (lossless). [default: png]
    #[arg(long, value_name = "FORMAT", value_parser = ["png", "jpg", "webp"])]
    pub format: Option<String>,
    /// Also writes one sheet of all pictures.
    #[arg(long)]
    pub grid: bool,
    /// Paint every picture without and with its LoRAs, and write one labelled grid of them.
    #[arg(long, conflicts_with_all = ["grid", "skip", "preview", "name", "format", "detailer"])]
    pub compare: bool,
    /// Writes a rough preview beside the picture every so many calls of the network, lorabake-preview.png or
    /// NAME.preview.png; it goes when the picture is done.
    #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(u16).range(1..))]
    pub preview: Option<u16>,
}

/// How pictures in a folder are called.
#[derive(Debug)]
pub struct Naming {
    /// What stands behind the number.
    pub pattern: Pattern,
    /// The suffix.
    pub format: String,
}

impl OutputArgs {
    /// Where `count` pictures go.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn target(&self, count: usize) -> Result<Target> {
        let target = Target::new(&self.out, if self.compare { 1 } else { count })?;
        if !matches!(target, Target::Folder(_)) && (self.format.is_some() || self.name != "[seed]") {
            bail!("--name, --format: they are for folders, and --out {} is a file", self.out.display());
        }
        Ok(target)
    }

    /// How pictures are called.
    ///
    /// # Errors
    /// Names a pattern that is not known.
    pub fn naming(&self) -> Result<Naming> {
        let format = self.format.clone().unwrap_or_else(|| "png".to_owned());
        Ok(Naming { pattern: Pattern::parse(&self.name, "--name")?, format })
    }
}
