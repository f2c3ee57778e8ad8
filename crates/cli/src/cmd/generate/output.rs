//! Options of `lorabake generate` for what is written.

use std::path::PathBuf;

use anyhow::Result;
use lorabake_generate::picture_file::Target;

/// What is written, and where.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "Output")]
pub struct OutputArgs {
    /// A .png, .jpg or .webp file, numbered if there are several pictures, or a folder.
    #[arg(long, value_name = "PATH", default_value = "out")]
    pub out: PathBuf,
    /// Pictures per prompt, each with the next seed.
    #[arg(long, value_name = "PICTURES", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=10000))]
    pub count: u32,
    /// Leaves the first pictures out: to go on where a batch was stopped.
    #[arg(long, value_name = "PICTURES", default_value = "0")]
    pub skip: u32,
    /// Paint every picture without and with its LoRAs, and write one labelled grid of them.
    #[arg(long)]
    pub compare: bool,
    /// Writes a rough preview beside the picture every so many calls of the network: NAME.preview.png.
    #[arg(long, value_name = "CALLS", value_parser = clap::value_parser!(u16).range(1..))]
    pub preview: Option<u16>,
}

impl OutputArgs {
    /// Where `count` pictures go.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn target(&self, count: usize) -> Result<Target> {
        Target::new(&self.out, if self.compare { 1 } else { count })
    }
}
