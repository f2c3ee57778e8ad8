//! Paints the scenes that snapshots are judged by, with them and with the checkpoint alone.

use std::path::Path;

use anyhow::Result;
use lorabake_generate::easel::{Easel, Finished};
use lorabake_pixels::Rgb;

use crate::plain::{PaintPlan, PlainPicture};
use crate::scenes::Scene;

/// Paints scenes.
#[derive(Debug)]
pub struct Studio<'a> {
    /// How.
    pub plan: &'a PaintPlan,
    /// Which.
    pub scenes: &'a [Scene],
    /// Prompts without trigger.
    pub plain: &'a [PlainPicture],
}

/// A picture before it is looked at.
#[derive(Debug, Clone)]
pub struct Raw {
    /// Its prompt.
    pub prompt: String,
    /// Its seed.
    pub seed: u64,
    /// Its pixels.
    pub image: Rgb,
    /// Its last latents, row-major.
    pub latents: Vec<f32>,
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
    /// Paints with the LoRA at `lora`, or with the checkpoint alone; `done` is told after each picture.
    ///
    /// # Errors
    /// As [`Easel::paint`], and what `done` returns.
    pub fn paint(
        &self,
        easel: &mut Easel,
        lora: Option<&Path>,
        done: &mut dyn FnMut() -> Result<()>,
    ) -> Result<RawGallery> {
        let mut scenes = Vec::new();
        for scene in self.scenes {
            let prompt = if lora.is_some() { &scene.prompt } else { &scene.class_prompt };
            let first = self.one(easel, lora, prompt, scene.seed)?;
            done()?;
            let second = self.one(easel, lora, prompt, scene.seed + SEEDS)?;
            done()?;
            scenes.push([first, second]);
        }
        let mut plain = Vec::new();
        for picture in self.plain {
            // The checkpoint alone has another seed here, for the distance between two of its pictures.
            let seed = if lora.is_some() { picture.seed } else { picture.seed + SEEDS };
            plain.push(self.one(easel, lora, &picture.prompt, seed)?);
            done()?;
        }
        Ok(RawGallery { scenes, plain })
    }

    /// Pictures that [`Self::paint`] paints.
    pub fn count(&self) -> usize {
        2 * self.scenes.len() + self.plain.len()
    }

    fn one(&self, easel: &mut Easel, lora: Option<&Path>, prompt: &str, seed: u64) -> Result<Raw> {
        let order = self.plan.order(prompt, seed, lora)?;
        let Finished { painted, .. } = easel.paint(&order, &mut |_| Ok(()))?;
        Ok(Raw { prompt: prompt.to_owned(), seed, image: painted.image, latents: painted.latent })
    }
}
