//! What is no checkpoint of Stable Diffusion 1.x, 2.x or SDXL but may be taken for one: relatives of the three families,
//! models of other families, and networks that stand beside a model. Told by names and shapes of tensors alone.
//!
//! `inspect`, `train`, `plan` and `generate` all ask [`find`], so they name a file in the same way.

mod loras;
mod table;

use lorabake_recipe::model::Family;

use crate::file_kind::FileKind;
use crate::keys;
use crate::tensors::Tensors;

pub(crate) use loras::other_family as lora_of_other_family;
pub(crate) use loras::refusal as lora_refusal;

/// What to say of models of other families.
pub(crate) const ONLY: &str = "only SD1.x, SD2.x and SDXL checkpoints are supported";

/// What the names of a network's tensors may begin with, before those of the network itself.
const WRAPPERS: [&str; 6] = ["", "model.diffusion_model.", "diffusion_model.", "model.", "net.", "transformer."];

/// A model that cannot be used as a checkpoint.
#[derive(Debug)]
pub(crate) struct Relative {
    /// What kind of file it is.
    pub kind: FileKind,
    /// The model's name, such as `Stable Diffusion 2.x, unCLIP`.
    pub name: &'static str,
    /// The model in a sentence, behind "it is".
    is: &'static str,
    /// What to use instead.
    instead: &'static str,
    /// What its tensors have in common; all of it.
    marks: &'static [Mark],
}

/// A property of a file's tensors. Names may have one of [`WRAPPERS`] in front.
#[derive(Debug)]
enum Mark {
    /// Some name begins so.
    Has(&'static str),
    /// No name begins so.
    Lacks(&'static str),
    /// The tensor of this name has this length along this axis.
    Axis(&'static str, usize, usize),
    /// The text encoders, or else the UNet, are those of this family.
    Of(Family),
}

impl Relative {
    /// What it is, behind "it is".
    pub(crate) fn is(&self) -> &'static str {
        self.is
    }

    /// Whether it is a ControlNet that is built otherwise than those of our families.
    pub(crate) fn is_unlike_ours(&self) -> bool {
        !["SDXL", "Stable Diffusion 1.x or 2.x"].contains(&self.name)
    }

    /// Whether it is one of our families, trained for inpainting: its UNet takes a mask and an image beside the latents.
    pub(crate) fn is_inpainting(&self) -> bool {
        self.name.ends_with(", inpainting")
    }

    /// Why it cannot be used, and what to do.
    pub(crate) fn refusal(&self) -> String {
        format!("it is {}; {}", self.is, self.instead)
    }

    /// Why it is no LoRA, and what to do.
    pub(crate) fn refusal_as_lora(&self) -> String {
        format!("it is {}, not a LoRA; give a LoRA of SD1.x, SD2.x or SDXL", self.is)
    }
}

/// Which relative these tensors are of; the first that fits.
pub(crate) fn find(tensors: &Tensors) -> Option<&'static Relative> {
    table::RELATIVES.iter().find(|relative| relative.marks.iter().all(|mark| mark.holds(tensors)))
}

/// The relative that a folder of diffusers with this class of pipeline has, where its networks are not as ours.
pub(crate) fn of_pipeline(class: &str) -> Option<&'static Relative> {
    let (_, name) = table::PIPELINES.iter().find(|(part, _)| class.contains(part))?;
    of_name(name)
}

/// The relative of this name.
pub(crate) fn of_name(name: &str) -> Option<&'static Relative> {
    table::RELATIVES.iter().find(|relative| relative.kind == FileKind::Checkpoint && relative.name == name)
}

impl Mark {
    fn holds(&self, tensors: &Tensors) -> bool {
        let has = |start: &str| WRAPPERS.iter().any(|wrapper| tensors.has_start(&format!("{wrapper}{start}")));
        match *self {
            Self::Has(start) => has(start),
            Self::Lacks(start) => !has(start),
            Self::Axis(name, axis, length) => WRAPPERS.iter().any(|wrapper| {
                let shape = tensors.shape(&format!("{wrapper}{name}"));
                shape.is_some_and(|shape| shape.get(axis) == Some(&length))
            }),
            Self::Of(family) => keys::family_of(tensors.names().iter().map(String::as_str)) == family,
        }
    }
}
