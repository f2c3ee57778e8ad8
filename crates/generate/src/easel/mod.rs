//! A painter at work on many pictures: networks of prompts stay in memory from one picture to the next, and each comes
//! with the text that is written into it.
//!
//! Not here: what a picture asks for (`order`), the passes (`paint`), files (`picture_file`).

mod model_facts;
mod order;

use std::collections::BTreeSet;

use anyhow::Result;
use lorabake_model::vae::LatentColors;
use lorabake_weights::Family;

use crate::conditioning::ToldSizes;
use crate::embedded;
use crate::file_hashes;
use crate::nets::{FoundNetwork, Nets};
use crate::painter::Painter;
use crate::pass::Watch;
use crate::picture_file::Pixels;
use crate::picture_text::{Told, fields};
use crate::png_text::{Fields, NamedHash};
use crate::request::Painted;

pub use model_facts::{ModelFacts, model_name};
pub use order::{Order, Ordered};

/// A painter, what is told of its checkpoint, and the networks that are in memory.
#[derive(Debug)]
pub struct Easel {
    /// What paints.
    pub painter: Painter,
    model: ModelFacts,
    held: Held,
    held_hires: Held,
    /// Notes that were told.
    noted: BTreeSet<String>,
}

/// A picture with what is told of it.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The picture, its values and its last latents.
    pub painted: Painted,
    /// The text that is written into it.
    pub fields: Fields,
    /// What of the text is not in the request.
    pub told: Told,
}

/// Networks in memory, and whose they are.
#[derive(Debug, Default)]
struct Held {
    networks: Vec<FoundNetwork>,
    nets: Nets,
    /// Nothing is held before the first picture, which is not the same as no networks: embeddings come with them.
    is_filled: bool,
}

impl Held {
    /// Holds `networks`; what is told of them, if they were not held before.
    fn fill(&mut self, painter: &Painter, networks: &[FoundNetwork]) -> Result<Vec<String>> {
        if self.is_filled && self.networks == networks {
            return Ok(Vec::new());
        }
        let nets = painter.nets(networks)?;
        let lines = nets.reports.iter().zip(networks).flat_map(|(report, network)| report.lines(network)).collect();
        *self = Self { networks: networks.to_vec(), nets, is_filled: true };
        Ok(lines)
    }
}

impl Easel {
    /// A painter of the checkpoint that `model` tells of.
    pub fn new(painter: Painter, model: ModelFacts) -> Self {
        Self { painter, model, held: Held::default(), held_hires: Held::default(), noted: BTreeSet::new() }
    }

    /// Brings the networks of `order` into memory, unless they are there; what is to be told of new ones, a line each, and
    /// each note once.
    ///
    /// # Errors
    /// When a file cannot be read, is none, or does not fit.
    pub fn hold(&mut self, order: &Order) -> Result<Vec<String>> {
        let mut lines = self.held.fill(&self.painter, &order.request.networks)?;
        if let Some(networks) = hires_networks(order) {
            lines.extend(self.held_hires.fill(&self.painter, networks)?);
        }
        let mut notes = Vec::new();
        for skipped in self.painter.embeddings.skipped_in(&format!("{} {}", order.prompt, order.negative_prompt)) {
            notes.push(format!("note: {}", skipped.reason));
        }
        if order.request.text.sizes != ToldSizes::default() && self.painter.family() != Family::Sdxl {
            notes.push("note: original sizes and crops have no effect: only SDXL is told of them".to_owned());
        }
        for note in notes {
            if self.noted.insert(note.clone()) {
                lines.push(note);
            }
        }
        Ok(lines)
    }

    /// The colours of its latents, for previews.
    pub fn latent_colors(&self) -> LatentColors {
        if self.model.is_embedded { embedded::LATENT_COLORS } else { LatentColors::of(self.painter.family()) }
    }

    /// The networks that [`Self::hold`] brought into memory.
    pub fn nets(&self) -> &Nets {
        &self.held.nets
    }

    /// Paints `order`, whose networks are brought into memory if they are not there.
    ///
    /// # Errors
    /// As [`Self::hold`] and [`Painter::paint`].
    pub fn paint(&mut self, order: &Order, watch: &mut Watch<'_>) -> Result<Finished> {
        self.hold(order)?;
        let hires_nets = if hires_networks(order).is_some() { Some(&self.held_hires.nets) } else { None };
        let painted = self.painter.paint(&order.request, &self.held.nets, hires_nets, watch)?;
        let told = self.told(order)?;
        Ok(Finished { painted, fields: fields(&order.request, &told), told })
    }

    /// The text that the picture of `order` will have, without painting it; waits for the hash of the checkpoint.
    ///
    /// # Errors
    /// As [`Self::hold`].
    pub fn text_of(&mut self, order: &Order) -> Result<String> {
        self.hold(order)?;
        let told = self.told(order)?;
        Ok(fields(&order.request, &told).text())
    }

    /// What is told of a picture beside its request; waits for the hash of the checkpoint.
    ///
    /// # Errors
    /// When a file, or a text, cannot be read.
    pub fn told(&mut self, order: &Order) -> Result<Told> {
        let mut loras: Vec<NamedHash> = Vec::new();
        for network in order.request.networks.iter().chain(hires_networks(order).into_iter().flatten()) {
            let name = network.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if !loras.iter().any(|known| known.name == name) {
                loras.push(NamedHash { name, hash: file_hashes::lora_hash(&network.path)? });
            }
        }
        let weight = order.request.init.as_ref().map(|init| init.conditional_mask_weight);
        let hashes = self.model.hashes();
        Ok(Told {
            prompt: order.prompt.clone(),
            negative_prompt: order.negative_prompt.clone(),
            hires_prompt: order.hires_prompt.clone(),
            model: self.model.name.clone(),
            model_hash: hashes.model,
            vae: self.model.vae.clone(),
            vae_hash: hashes.vae,
            loras,
            embeddings: self.painter.embedding_hashes(&order.request, &self.held.nets)?,
            control: order.control.clone(),
            conditional_mask_weight: self.painter.is_inpainting_model().then(|| weight.unwrap_or(1.0)),
        })
    }
}

impl Finished {
    /// The picture's pixels, as files are written from them.
    pub fn pixels(&self) -> Pixels {
        let image = &self.painted.image;
        Pixels { width: image.width as usize, height: image.height as usize, rgb: image.data.clone() }
    }
}

/// The networks of the second pass, if it has others than the first.
fn hires_networks(order: &Order) -> Option<&Vec<FoundNetwork>> {
    order.request.hires.as_ref().and_then(|hires| hires.networks.as_ref())
}
