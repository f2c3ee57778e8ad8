//! The card as far as a launch depends on it, and the choice of a tile: the rule of `kernels/tiles.json`.

use super::manifest::{Compiled, tiles};
use super::target::Target;

/// What of a card a launch depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Card {
    /// Which kernels it runs.
    pub target: Target,
    /// How many blocks keep it busy at least.
    pub multiprocessors: usize,
}

/// A kernel with the grid that its tile makes of the extents.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chosen {
    pub kernel: &'static Compiled,
    /// Blocks in each direction.
    pub grid: [usize; 3],
}

impl Card {
    /// The first tile that makes at least as many blocks as the card has multiprocessors and is meant for that many rows;
    /// if none does, the last that is meant for them.
    ///
    /// # Panics
    /// If there is no such kernel.
    pub(crate) fn choose(&self, kernel: &str, rows: usize, grid: impl Fn(&Compiled) -> [usize; 3]) -> Chosen {
        let mut last = None;
        for kernel in tiles(kernel, self.target) {
            if kernel.most_rows > 0 && rows > kernel.most_rows {
                continue;
            }
            let chosen = Chosen { kernel, grid: grid(kernel) };
            if chosen.grid.iter().product::<usize>() >= self.multiprocessors {
                return chosen;
            }
            last = Some(chosen);
        }
        last.unwrap_or_else(|| panic!("no kernel {kernel} for {}", self.target.name()))
    }

    /// The only tile of a kernel.
    pub(crate) fn only(&self, kernel: &str) -> &'static Compiled {
        let mut found = tiles(kernel, self.target);
        let one = found.next().unwrap_or_else(|| panic!("no kernel {kernel} for {}", self.target.name()));
        assert!(found.next().is_none(), "{kernel} has several tiles");
        one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(multiprocessors: usize, target: Target, rows: usize, outputs: usize) -> String {
        let card = Card { target, multiprocessors };
        let grid = |kernel: &Compiled| [outputs.div_ceil(kernel.side("BN")), rows.div_ceil(kernel.side("BM")), 1];
        card.choose("linear", rows, grid).kernel.name.clone()
    }

    #[test]
    fn a_tile_keeps_all_multiprocessors_busy() {
        // SD1.5's first level on an H200, an RTX 3060 and one with less to do.
        assert_eq!(linear(132, Target::Sm90a, 4096, 2560), "linear_bf16_128x256x64");
        assert_eq!(linear(132, Target::Sm90a, 4096, 320), "linear_bf16_64x64x64");
        assert_eq!(linear(28, Target::Sm80, 4096, 320), "linear_bf16_128x128x64");
        assert_eq!(linear(28, Target::Sm80, 64, 1280), "linear_bf16_64x64x64");
    }

    #[test]
    fn few_rows_have_a_tile_of_their_own() {
        assert_eq!(linear(28, Target::Sm80, 1, 1280), "linear_bf16_16x64x128");
        // Too many for it, though no tile keeps the card busy.
        assert_eq!(linear(28, Target::Sm80, 17, 320), "linear_bf16_64x64x64");
    }
}
