//! What of a run's recipe decides which advice makes sense.

use lorabake_recipe::Recipe;
use lorabake_recipe::model::Checkpoint;
use lorabake_recipe::train::Duration;
use serde::{Deserialize, Serialize};

/// A run's settings as far as advice depends on them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// It was trained on the model inside the program, for which all thresholds were fitted.
    #[serde(default)]
    pub is_embedded: bool,
    /// The words that call up the LoRA, if the recipe or the captions tell them.
    pub trigger: Option<String>,
    /// Whether it is meant to act with a trigger only.
    pub has_trigger: bool,
    /// Rank of linear layers.
    pub rank: u32,
    /// Alpha of linear layers.
    pub alpha: f64,
    /// The UNet's learning rate.
    pub unet_lr: f64,
    /// The text encoder's learning rate.
    pub text_encoder_lr: f64,
    /// Name of the optimizer.
    pub optimizer: String,
    /// It finds its rates itself, from 1 (D-Adaptation, Prodigy).
    pub finds_rates: bool,
    /// Epochs, if the length is given so.
    pub epochs: Option<u64>,
    /// Steps, if the length is given so.
    pub steps: Option<u64>,
    /// Strength of the noise offset.
    pub noise_offset: f64,
    /// Images were mirrored.
    pub flip_aug: bool,
    /// What the model knows was kept (`--prior_prediction`, regularization images).
    pub keeps_prior: bool,
}

impl RunFacts {
    /// Of a recipe; `trigger` is what the captions tell, if the recipe does not.
    pub fn of(recipe: &Recipe, trigger: Option<&str>) -> Self {
        let own = recipe.prior.trigger.as_ref().map(|trigger| trigger.words.as_str());
        let trigger = own.or(trigger).map(str::to_owned);
        let optimizer = recipe.optim.optimizer.name().to_owned();
        let lower = optimizer.to_lowercase();
        let (epochs, steps) = match recipe.train.duration {
            Duration::Epochs(epochs) => (Some(epochs), None),
            Duration::Steps(steps) => (None, Some(steps)),
        };
        Self {
            is_embedded: recipe.model.checkpoint == Checkpoint::Embedded,
            has_trigger: trigger.is_some(),
            trigger,
            rank: recipe.network.linear.rank as u32,
            alpha: recipe.network.linear.alpha,
            unet_lr: recipe.optim.unet_lr,
            text_encoder_lr: recipe.optim.text_encoder_lr,
            finds_rates: lower.starts_with("dadapt") || lower.starts_with("prodigy"),
            optimizer,
            epochs,
            steps,
            noise_offset: recipe.diffusion.noise_offset.map_or(0.0, |offset| offset.strength),
            flip_aug: recipe.data.flip_aug,
            keeps_prior: recipe.prior.prediction || recipe.data.has_reg(),
        }
    }
}
