//! What chance decides about the adapters in one pass: DyLoRA's blocks and dropout. Like all that is random, an input of
//! the step: drawn from named streams by (epoch, batch), or recorded.

use lorabake_adapter::{Chance, Masks, dialect_of};
use lorabake_recipe::network::Network;
use lorabake_recipe::network::adapter::Dropout;
use lorabake_recipe::network::algo::Dialect;
use lorabake_recipe::seed::Seed;

use crate::network::Module;

/// What is decided for one pass.
#[derive(Debug, Clone, Default)]
pub enum Chances {
    /// Nothing is left out; every rank of every module is trained.
    #[default]
    None,
    /// First rank of the block that each module trains.
    Starts(Vec<usize>),
    /// From the streams of a seed.
    Drawn {
        /// The run's seed.
        seed: Seed,
        /// (epoch, batch).
        at: (u64, u64),
        /// How much is dropped.
        dropout: Dropout,
        /// Whose dropout.
        dialect: Dialect,
    },
}

impl Chances {
    /// The chances of batch `at` = (epoch, batch).
    pub fn new(seed: Seed, at: (u64, u64), network: &Network) -> Self {
        Self::Drawn { seed, at, dropout: network.dropout, dialect: dialect_of(&network.adapter) }
    }

    /// Those of module number `index`.
    pub(crate) fn of(&self, index: usize, module: &Module) -> Chance {
        match *self {
            Self::None => Chance::default(),
            Self::Starts(ref starts) => Chance { start: starts.get(index).copied(), masks: None },
            Self::Drawn { seed, at, dropout, dialect } => {
                let at = [at.0, at.1, index as u64];
                let start = module.plan.draw_start(&mut seed.stream("dylora", &at));
                let masks = (!dropout.is_off()).then_some(Masks { settings: dropout, dialect, seed, at });
                Chance { start, masks }
            }
        }
    }
}
