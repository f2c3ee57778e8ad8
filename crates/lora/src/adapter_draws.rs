//! What chance decides about the adapters in one pass: DyLoRA's blocks and dropout. Like all that is random, an input of
//! the step: drawn from named streams by batch, or recorded.

use lorabake_adapter::{AdapterDraw, Masks, dialect_of};
use lorabake_recipe::network::Network as NetworkSettings;
use lorabake_recipe::network::adapter::Dropout;
use lorabake_recipe::network::algo::Dialect;
use lorabake_recipe::seed::{BatchId, Seed};

use crate::network::NetworkModule;

/// What is decided for one pass.
#[derive(Debug, Clone, Default)]
pub enum AdapterDraws {
    /// Nothing is left out; every rank of every module is trained.
    #[default]
    None,
    /// First rank of the block that each module trains.
    Starts(Vec<usize>),
    /// From the streams of a seed.
    Drawn {
        /// The run's seed.
        seed: Seed,
        /// The batch that the pass is for.
        batch: BatchId,
        /// How much is dropped.
        dropout: Dropout,
        /// Whose rules of dropout hold.
        dialect: Dialect,
    },
}

impl AdapterDraws {
    /// The draws for one batch.
    pub fn new(seed: Seed, batch: BatchId, settings: &NetworkSettings) -> Self {
        Self::Drawn { seed, batch, dropout: settings.dropout, dialect: dialect_of(&settings.adapter) }
    }

    /// The draws for module number `index`.
    pub(crate) fn of(&self, index: usize, module: &NetworkModule) -> AdapterDraw {
        match *self {
            Self::None => AdapterDraw::default(),
            Self::Starts(ref starts) => AdapterDraw { start: starts.get(index).copied(), masks: None },
            Self::Drawn { seed, batch, dropout, dialect } => {
                let at = [batch.epoch, batch.batch, index as u64];
                let start = module.spec.draw_start(&mut seed.stream("dylora", &at));
                let masks = if dropout.is_off() { None } else { Some(Masks { settings: dropout, dialect, seed, at }) };
                AdapterDraw { start, masks }
            }
        }
    }
}
