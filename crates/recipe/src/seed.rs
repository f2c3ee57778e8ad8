//! One seed, many named random streams.
//!
//! A stream is a function of (seed, name, indices) and of nothing else, so any part of a run can be drawn again without
//! replaying what came before it: resume is exact, and a new consumer never shifts the numbers of another.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The seed of a run (`--seed`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The stream `name` at `indices` (for instance `("caption", [epoch, position])`).
    pub fn stream(self, name: &str, indices: &[u64]) -> ChaCha8Rng {
        let mut hash = Fnv::new();
        hash.bytes(&self.0.to_le_bytes());
        hash.bytes(name.as_bytes());
        for index in indices {
            hash.bytes(&[0xff]);
            hash.bytes(&index.to_le_bytes());
        }
        ChaCha8Rng::from_seed(hash.key())
    }
}

/// One use of an image in a run, by which all that is random about it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UseId {
    /// Counted from 0.
    pub epoch: u64,
    /// Running number of the use within its epoch, counted from 0.
    pub position: u64,
}

/// A batch of a run, by which all that is random about it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchId {
    /// Counted from 0.
    pub epoch: u64,
    /// Place in the epoch, counted from 0.
    pub batch: u64,
}

/// 256 bits of key from four FNV-1a lanes with different offsets: enough to keep streams apart, no secrecy needed.
struct Fnv([u64; 4]);

impl Fnv {
    fn new() -> Self {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        Self([OFFSET, OFFSET ^ 0x9e37_79b9_7f4a_7c15, OFFSET ^ 0xbf58_476d_1ce4_e5b9, OFFSET ^ 0x94d0_49bb_1331_11eb])
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for lane in &mut self.0 {
            for byte in bytes {
                *lane = (*lane ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
    }

    fn key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        for (part, lane) in key.chunks_exact_mut(8).zip(self.0) {
            part.copy_from_slice(&lane.to_le_bytes());
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use rand::RngCore;

    use super::*;

    #[test]
    fn a_stream_depends_on_seed_name_and_indices_only() {
        let draw = |seed: u64, name: &str, at: &[u64]| Seed(seed).stream(name, at).next_u64();
        assert_eq!(draw(1, "noise", &[3]), draw(1, "noise", &[3]));
        assert_ne!(draw(1, "noise", &[3]), draw(2, "noise", &[3]));
        assert_ne!(draw(1, "noise", &[3]), draw(1, "timestep", &[3]));
        assert_ne!(draw(1, "noise", &[3]), draw(1, "noise", &[4]));
        assert_ne!(draw(1, "noise", &[3]), draw(1, "noise", &[3, 0]));
    }
}
