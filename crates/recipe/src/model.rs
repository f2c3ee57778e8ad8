//! The checkpoint to train from, and how prompts are encoded.

use std::path::PathBuf;

use serde::Serialize;

use crate::report::Report;

/// Which frozen model is trained from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkpoint {
    /// The small model inside the binary.
    Embedded,
    /// A checkpoint: one file in the original (LDM) layout, or a folder of diffusers.
    File(PathBuf),
}

/// Which of Stable Diffusion's architectures a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// 1.x: CLIP-L.
    Sd1,
    /// 2.x: OpenCLIP-H, most often v-prediction (`--v2`).
    Sd2,
    /// XL: CLIP-L and OpenCLIP-bigG, and a larger UNet that is told sizes (`--sdxl`).
    Sdxl,
}

impl Family {
    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sd1 => "SD1.x",
            Self::Sd2 => "SD2.x",
            Self::Sdxl => "SDXL",
        }
    }

    /// Side in pixels of the pictures that it was made for; those of SD2.x with v-prediction.
    pub fn side(self) -> u32 {
        match self {
            Self::Sd1 => 512,
            Self::Sd2 => 768,
            Self::Sdxl => 1024,
        }
    }
}

/// Sides of pictures are multiples of this many pixels, as sd-scripts demands. Where the family is not known yet, what all
/// families can do is checked once it is.
pub(crate) fn unit(family: Option<Family>) -> u32 {
    match family {
        None | Some(Family::Sdxl) => 32,
        Some(Family::Sd1 | Family::Sd2) => 64,
    }
}

/// Model section of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The frozen base.
    pub checkpoint: Checkpoint,
    /// Another VAE in the place of the checkpoint's (`--vae`).
    pub vae: Option<PathBuf>,
    /// What it is: as declared, or as its file tells once it is open; `None` = not known yet.
    pub family: Option<Family>,
    /// 1 = last layer, 2 = penultimate, and so on (`--clip_skip`).
    pub clip_skip: u32,
    /// Tokens per prompt without BOS/EOS: 75, 150 or 225 (`--max_token_length`).
    pub max_token_length: u32,
}

impl Model {
    /// Side in pixels of the pictures that it was made for; those of SD2.x with v-prediction.
    pub fn side(&self) -> u32 {
        if self.checkpoint == Checkpoint::Embedded { 128 } else { self.family.unwrap_or(Family::Sd1).side() }
    }
}

/// What may be typed about the model; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Model", rename_all = "verbatim")]
pub struct RawModel {
    /// Checkpoint to train from: a .safetensors or .ckpt file of Stable Diffusion 1.x, 2.x or XL, or the folder of such a
    /// model in diffusers' layout. Without it, the small model inside the program is used, to try things out.
    #[arg(long, value_name = "FILE|FOLDER")]
    pub pretrained_model_name_or_path: Option<PathBuf>,
    /// VAE to use in place of the checkpoint's: a file, with names as in checkpoints or as in diffusers, or a folder of
    /// diffusers.
    #[arg(long, value_name = "FILE|FOLDER")]
    pub vae: Option<PathBuf>,
    /// Say that the checkpoint is Stable Diffusion 2.x. Not needed, since the file shows it; a file that shows
    /// otherwise is refused.
    #[arg(long)]
    pub v2: Option<bool>,
    /// Say that the checkpoint is SDXL. Not needed, since the file shows it; a file that shows otherwise is refused.
    #[arg(long)]
    pub sdxl: Option<bool>,
    /// Which layer of the text encoder is used, counted from its end. The same as for making pictures: 2 for NAI and
    /// most anime models, 1 for realistic ones. Up to 12, with SD2.x up to 23. [default: 1]
    #[arg(long, value_name = "N")]
    pub clip_skip: Option<u32>,
    /// Longest caption in tokens: 75, 150 or 225. Raise it for long tag lists; what is longer is cut. [default: 75]
    #[arg(long, value_name = "TOKENS")]
    pub max_token_length: Option<u32>,
    /// What the checkpoint turned out to be; nothing that may be typed.
    #[arg(skip)]
    #[serde(skip)]
    pub found: Option<Family>,
}

/// Layers of CLIP's text encoder in SD1.x.
const LAYERS: u32 = 12;
/// Those of OpenCLIP's in SD2.x that sd-scripts builds; the last one of the file is not used.
const SD2_LAYERS: u32 = 23;

impl RawModel {
    pub(crate) fn resolve(&self, report: &mut Report) -> Model {
        let clip_skip = self.clip_skip.unwrap_or(1);
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
        let family = if checkpoint == Checkpoint::Embedded { Some(Family::Sd1) } else { self.family(report) };
        // Until the checkpoint is open it may be any; what it turns out to be is checked then.
        let layers = if matches!(family, None | Some(Family::Sd2)) { SD2_LAYERS } else { LAYERS };
        if !(1..=layers).contains(&clip_skip) {
            let what = format!("{clip_skip} is not a layer of the text encoder");
            let remedy = match family {
                Some(Family::Sd2) => "use 1 to 23; models of Stable Diffusion 2.x are made for 1",
                _ => "use 2 for NAI and most anime models, 1 for realistic ones",
            };
            report.problem("clip_skip", what, remedy);
        }
        if family == Some(Family::Sdxl) && self.clip_skip.is_some() {
            let text = "has no effect with SDXL, as in sd-scripts: its text encoders are always used up to their last \
                        layer but one";
            report.note("clip_skip", text);
        }
        Model { checkpoint, vae: self.vae.clone(), family, clip_skip, max_token_length }
    }

    /// What the checkpoint is, or is said to be.
    fn family(&self, report: &mut Report) -> Option<Family> {
        let declared = match (self.v2 == Some(true), self.sdxl == Some(true)) {
            (true, true) => {
                report.problem("v2", "--sdxl says something else", "leave out both: the file tells what it is");
                None
            }
            (true, false) => Some(("v2", Family::Sd2)),
            (false, true) => Some(("sdxl", Family::Sdxl)),
            (false, false) => None,
        };
        if let (Some((option, declared)), Some(found)) = (declared, self.found)
            && declared != found
        {
            report.problem(option, format!("the checkpoint is {}", found.name()), "leave it out");
        }
        self.found.or(declared.map(|(_, family)| family))
    }
}

impl From<&Model> for RawModel {
    fn from(model: &Model) -> Self {
        Self {
            pretrained_model_name_or_path: match &model.checkpoint {
                Checkpoint::Embedded => None,
                Checkpoint::File(file) => Some(file.clone()),
            },
            vae: model.vae.clone(),
            v2: (model.family == Some(Family::Sd2)).then_some(true),
            sdxl: (model.family == Some(Family::Sdxl)).then_some(true),
            clip_skip: Some(model.clip_skip),
            // sd-scripts has no 75 among its choices: there it is what stands for none.
            max_token_length: Some(model.max_token_length).filter(|length| *length != 75),
            found: None,
        }
    }
}
