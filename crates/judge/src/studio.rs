//! Paints the scenes that snapshots are judged by, with them and with the checkpoint alone.

use anyhow::Result;
use lorabake_generate::easel::Easel;

use crate::plain::{Applied, PaintPlan, Raw, Wanted, plain_seed};
use crate::progress::Tell;
use crate::scenes::Scene;
use crate::shelf::{Shelf, content};

/// Paints scenes.
#[derive(Debug)]
pub struct Studio<'a> {
    /// How.
    pub plan: &'a PaintPlan,
    /// Which.
    pub scenes: &'a [Scene],
    /// Prompts without trigger.
    pub plain: &'a [&'static str],
    /// Where pictures are that were painted already.
    pub shelf: &'a Shelf,
}

/// The pictures of one snapshot, or of the checkpoint alone, before they are looked at.
#[derive(Debug, Clone)]
pub struct RawGallery {
    /// The scenes, each with two seeds.
    pub scenes: Vec<[Raw; 2]>,
    /// Prompts without trigger.
    pub plain: Vec<Raw>,
}

/// How far seeds of one scene are apart.
const SEEDS: u64 = 1000;

impl Studio<'_> {
    /// Paints with a LoRA, or with the checkpoint alone; `tell` is told after each step.
    ///
    /// # Errors
    /// As [`Easel::paint`], and what `tell` returns.
    pub fn paint(&self, easel: &mut Easel, lora: Option<Applied<'_>>, tell: &mut Tell<'_>) -> Result<RawGallery> {
        let content = match lora {
            Some(lora) => content(lora.path)?,
            None => String::new(),
        };
        let mut paint = |prompt: &str, seed: u64| {
            let wanted = Wanted { prompt, seed, lora, content: &content };
            self.plan.paint(easel, wanted, self.shelf, tell)
        };
        let mut scenes = Vec::new();
        for scene in self.scenes {
            let prompt = if lora.is_some() { &scene.prompt } else { &scene.class_prompt };
            scenes.push([paint(prompt, scene.seed)?, paint(prompt, scene.seed + SEEDS)?]);
        }
        let mut plain = Vec::new();
        for (index, prompt) in self.plain.iter().enumerate() {
            // The checkpoint alone has another seed here, for the distance between two of its pictures.
            let first = plain_seed(index);
            let seed = if lora.is_some() { first } else { first + SEEDS };
            plain.push(paint(prompt, seed)?);
        }
        Ok(RawGallery { scenes, plain })
    }

    /// Passes through the UNet that [`Self::paint`] takes.
    pub fn passes(&self) -> u64 {
        let pictures = 2 * self.scenes.len() + self.plain.len();
        (pictures * self.plan.steps) as u64 * self.plan.step_passes()
    }
}
