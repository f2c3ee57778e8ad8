//! Options of the commands that paint for where LoRAs and the rest that prompts name are found.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lorabake_generate::from_settings::Library;
use lorabake_generate::prompt::block_weights::{Elements, Presets};

use crate::terminal;

/// Folders and files of what prompts name.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "Files that prompts name")]
pub struct LibraryArgs {
    /// Folder in which LoRAs are looked up by name; may be given several times. [default: that of --out, and this one]
    #[arg(long, value_name = "FOLDER")]
    pub lora_dir: Vec<PathBuf>,
    /// Folder of embeddings (textual inversion), which prompts name by their files' names; may be given several times.
    #[arg(long, value_name = "FOLDER")]
    pub embedding_dir: Vec<PathBuf>,
    /// Folder in which hypernetworks are looked up by name; may be given several times. [default: those of --lora_dir]
    #[arg(long, value_name = "FOLDER")]
    pub hypernetwork_dir: Vec<PathBuf>,
    /// File of named block weights as the extension lora-block-weight keeps it (lbwpresets.txt).
    #[arg(long, value_name = "FILE")]
    pub lbw_presets: Option<PathBuf>,
    /// File of named rules for kinds of layers, as the same extension keeps it (elempresets.txt).
    #[arg(long, value_name = "FILE")]
    pub lbw_elements: Option<PathBuf>,
    /// Folder of upscalers (ESRGAN, .pth or .safetensors).
    #[arg(long, value_name = "FOLDER")]
    pub upscaler_dir: Vec<PathBuf>,
}

impl LibraryArgs {
    /// Refuses folders that are not there.
    ///
    /// # Errors
    /// Names the first.
    pub fn check_folders(&self) -> Result<()> {
        for (option, folders) in [
            ("--lora_dir", &self.lora_dir),
            ("--embedding_dir", &self.embedding_dir),
            ("--hypernetwork_dir", &self.hypernetwork_dir),
            ("--upscaler_dir", &self.upscaler_dir),
        ] {
            if let Some(folder) = folders.iter().find(|folder| !folder.is_dir()) {
                bail!("{option} {}: there is no such folder; correct the name", folder.display());
            }
        }
        Ok(())
    }

    /// Where prompts find what they name; LoRAs lie in `beside` unless --lora_dir says otherwise.
    ///
    /// # Errors
    /// When a file of presets cannot be read.
    pub fn library(&self, beside: &Path) -> Result<Library> {
        let loras: Vec<PathBuf> = match self.lora_dir.is_empty() {
            true => vec![beside.to_owned(), PathBuf::from(".")],
            false => self.lora_dir.clone(),
        };
        let hypernetworks = match self.hypernetwork_dir.is_empty() {
            true => loras.clone(),
            false => self.hypernetwork_dir.clone(),
        };
        let mut presets = Presets::built_in();
        if let Some(path) = &self.lbw_presets {
            let read = Presets::open(path).context("--lbw_presets")?;
            terminal::say_some(read.notes.iter().map(|note| format!("note: --lbw_presets: {note}")));
            presets = read.or(presets);
        }
        let elements = match &self.lbw_elements {
            Some(path) => Elements::open(path).context("--lbw_elements")?,
            None => Elements::read(""),
        };
        Ok(Library { loras, hypernetworks, upscalers: self.upscaler_dir.clone(), presets, elements })
    }
}
