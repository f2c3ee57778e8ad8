//! The checkpoint to train from, and how prompts are encoded.

use std::path::PathBuf;

use serde::Serialize;

use crate::report::Report;

/// Which frozen model is trained from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkpoint {
    /// The small model inside the binary.
    Embedded,
    /// A single-file checkpoint in the original (LDM) layout.
    File(PathBuf),
}

/// Model section of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The frozen base.
    pub checkpoint: Checkpoint,
    /// 1 = last layer, 2 = penultimate, and so on (`--clip_skip`).
    pub clip_skip: u32,
    /// Tokens per prompt without BOS/EOS: 75, 150 or 225 (`--max_token_length`).
    pub max_token_length: u32,
}

/// What may be typed about the model; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Model", rename_all = "verbatim")]
pub struct RawModel {
    /// Checkpoint to train from: a Stable Diffusion 1.x .safetensors or .ckpt file. Without it, the small model inside
    /// the program is used, to try things out.
    #[arg(long, value_name = "FILE")]
    pub pretrained_model_name_or_path: Option<PathBuf>,
    /// Which layer of the text encoder is used, counted from its end. The same as for making pictures: 2 for NAI and
    /// most anime models, 1 for realistic ones. [default: 1]
    #[arg(long, value_name = "1-12")]
    pub clip_skip: Option<u32>,
    /// Longest caption in tokens: 75, 150 or 225. Raise it for long tag lists; what is longer is cut. [default: 75]
    #[arg(long, value_name = "TOKENS")]
    pub max_token_length: Option<u32>,
}

impl RawModel {
    pub(crate) fn resolve(&self, report: &mut Report) -> Model {
        let clip_skip = self.clip_skip.unwrap_or(1);
        if !(1..=12).contains(&clip_skip) {
            let what = format!("{clip_skip} is not a layer of the text encoder");
            report.problem("clip_skip", what, "use 2 for NAI and most anime models, 1 for realistic ones");
        }
        let max_token_length = self.max_token_length.unwrap_or(75);
        if ![75, 150, 225].contains(&max_token_length) {
            let what = format!("{max_token_length} tokens are not possible");
            report.problem("max_token_length", what, "use 75, 150 or 225");
        }
        let checkpoint = match &self.pretrained_model_name_or_path {
            Some(file) => Checkpoint::File(file.clone()),
            None => {
                let text = "not given, so the small model inside the program is trained from; \
                            give a Stable Diffusion 1.x file for real use";
                report.note("pretrained_model_name_or_path", text);
                Checkpoint::Embedded
            }
        };
        Model { checkpoint, clip_skip, max_token_length }
    }
}

impl From<&Model> for RawModel {
    fn from(model: &Model) -> Self {
        Self {
            pretrained_model_name_or_path: match &model.checkpoint {
                Checkpoint::Embedded => None,
                Checkpoint::File(file) => Some(file.clone()),
            },
            clip_skip: Some(model.clip_skip),
            // sd-scripts has no 75 among its choices: there it is what stands for none.
            max_token_length: Some(model.max_token_length).filter(|length| *length != 75),
        }
    }
}
