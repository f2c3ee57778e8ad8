//! A picture that is asked for: its request, and its texts as they were typed.

use anyhow::Result;

use crate::from_settings::{self, Asked, Library, Originals};
use crate::png_text::PictureSettings;
use crate::request::Request;

/// A picture to be painted, with what its text says and its request does not.
#[derive(Debug, Clone)]
pub struct Order {
    /// The prompt with its tags.
    pub prompt: String,
    /// The negative prompt.
    pub negative_prompt: String,
    /// The second pass's prompt with its tags.
    pub hires_prompt: Option<String>,
    /// Texts of ControlNet's units.
    pub control: Vec<String>,
    /// What it means.
    pub request: Request,
}

/// An order, and what the user should know of it.
#[derive(Debug, Clone)]
pub struct Ordered {
    /// The order.
    pub order: Order,
    /// What was read otherwise than one may think.
    pub notes: Vec<String>,
}

impl Order {
    /// The picture that `settings` mean; `side` is the usual one of the checkpoint in pixels.
    ///
    /// # Errors
    /// As [`from_settings::request`].
    pub fn of(settings: &PictureSettings, library: &Library, originals: &Originals, side: usize) -> Result<Ordered> {
        let Asked { request, notes } = from_settings::request(settings, library, originals, side)?;
        let order = Self {
            prompt: settings.prompt.clone().unwrap_or_default(),
            negative_prompt: settings.negative_prompt.clone().unwrap_or_default(),
            hires_prompt: settings.hires.prompt.clone(),
            control: Vec::new(),
            request,
        };
        Ok(Ordered { order, notes })
    }

    /// The same picture without LoRAs and hypernetworks.
    pub fn without_networks(&self) -> Self {
        let mut plain = self.clone();
        plain.request.networks.clear();
        if let Some(hires) = &mut plain.request.hires {
            hires.networks = hires.networks.take().map(|_| Vec::new());
        }
        plain
    }
}
