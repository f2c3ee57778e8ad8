//! What the commands that paint have in common: the options of a picture, and the pictures that they ask for.

mod control;
mod effect;
mod hires;
mod init;
pub mod jobs;
pub mod library;
pub mod model;
pub mod sampling;
mod sizes;
mod texts;
pub mod trained_on;
pub mod values;
mod wanted;

use std::path::PathBuf;

use lorabake_generate::png_text::PictureSettings;

/// All that a picture may be asked to be; comments are the texts of `--help`.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim")]
pub struct PictureArgs {
    #[command(flatten)]
    pub model: model::ModelArgs,
    /// What the picture should show, written as for the web UI; <lora:NAME:STRENGTH> adds a LoRA. May be given several
    /// times.
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["from_file", "like"], allow_hyphen_values = true)]
    pub prompt: Vec<String>,
    /// Makes the choices in braces of --prompt, as in lines of --from_file: {a|b} is one of them by chance, {2$$a|b|c} two,
    /// {e$$a|b} each in a picture of its own.
    #[arg(long, requires = "prompt")]
    pub variants: bool,
    /// A file of prompts, one a line with --n, --w, --h, --d, --s, --l and so on as sd-scripts' gen_img.py reads them, or with
    /// --prompt "…" --steps 20 as the web UI's script does, or TOML or JSON.
    #[arg(long, value_name = "FILE", conflicts_with = "latent")]
    pub from_file: Option<PathBuf>,
    /// What it should not show.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub negative_prompt: Option<String>,
    /// Takes prompt, seed and all settings from this picture, of lorabake or the web UI; options that are typed win.
    #[arg(long, value_name = "FILE")]
    pub like: Option<PathBuf>,
    /// Width in pixels, a multiple of 8. [default: 512, for SD2.x 768, for SDXL 1024; 128 with the model inside the
    /// program]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(64..=4096))]
    pub width: Option<u32>,
    /// Height in pixels, a multiple of 8. [default: as the width]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(64..=4096))]
    pub height: Option<u32>,
    /// Makes the picture's edges fit together.
    #[arg(long)]
    pub tiling: bool,
    /// Begin with the tensor `latent` (1, 4, height/8, width/8), unit normal, of a safetensors file, to compare programs.
    #[arg(long, value_name = "FILE", conflicts_with = "init_image")]
    pub latent: Option<PathBuf>,
    #[command(flatten)]
    pub library: library::LibraryArgs,
    #[command(flatten)]
    pub texts: texts::TextArgs,
    #[command(flatten)]
    pub sampling: sampling::SamplingArgs,
    #[command(flatten)]
    pub sizes: sizes::SizeArgs,
    #[command(flatten)]
    pub init: init::InitArgs,
    #[command(flatten)]
    pub hires: hires::HiresArgs,
    #[command(flatten)]
    pub control: control::ControlArgs,
}

impl PictureArgs {
    /// What was typed, but for the prompt.
    fn typed(&self) -> PictureSettings {
        let mut settings = PictureSettings {
            negative_prompt: self.negative_prompt.clone(),
            width: self.width.map(|side| side as usize),
            height: self.height.map(|side| side as usize),
            tiling: self.tiling.then_some(true),
            ..PictureSettings::default()
        };
        self.sampling.put(&mut settings);
        self.sizes.put(&mut settings);
        self.texts.put(&mut settings);
        self.init.put(&mut settings);
        self.hires.put(&mut settings);
        settings
    }
}
