//! Options of the commands that paint for how prompts are read.

use std::path::PathBuf;

use lorabake_generate::png_text::PictureSettings;
use lorabake_generate::prompt::emphasis::Emphasis;

/// How prompts are read.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "Prompts")]
pub struct TextArgs {
    /// Style that is added to every prompt, by its name in --styles_file; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub style: Vec<String>,
    /// File of styles as the web UI keeps it. [default: styles.csv in this folder]
    #[arg(long, value_name = "FILE")]
    pub styles_file: Option<PathBuf>,
    /// Which layer of the text encoder is used, counted from its end: 2 for NAI and most anime models of SD1. [default: 1]
    #[arg(long, value_name = "1-23", value_parser = clap::value_parser!(u8).range(1..=23))]
    clip_skip: Option<u8>,
    /// What (word:1.2) does: Original, "No norm", Ignore or None. [default: Original]
    #[arg(long, value_name = "MODE")]
    emphasis: Option<Emphasis>,
    /// Makes prompt and negative prompt equally long: pad (with the empty prompt) or v0 (as versions before 1.6).
    #[arg(long, value_name = "pad|v0", value_parser = ["pad", "v0"])]
    pad_prompts: Option<String>,
    /// Reads [a:b:0.5] as versions of the web UI before 1.6 did.
    #[arg(long)]
    old_prompt_editing: bool,
    /// Shows what became of each prompt (texts over the steps, weights, networks), without painting.
    #[arg(long)]
    pub explain: bool,
}

impl TextArgs {
    /// Puts what was typed into `settings`.
    pub fn put(&self, settings: &mut PictureSettings) {
        settings.clip_skip = self.clip_skip.map(usize::from);
        settings.emphasis = self.emphasis.map(|emphasis| emphasis.to_string());
        settings.old_prompt_editing = self.old_prompt_editing.then_some(true);
        settings.pad_conds = (self.pad_prompts.as_deref() == Some("pad")).then_some(true);
        settings.pad_conds_v0 = (self.pad_prompts.as_deref() == Some("v0")).then_some(true);
    }
}
