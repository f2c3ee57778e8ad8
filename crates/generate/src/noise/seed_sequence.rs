//! numpy's `SeedSequence`: many words of a few, after Melissa O'Neill's `seed_seq_fe`.

/// Words in the pool, as torchsde has them for its trees.
const POOL: usize = 24;
const FIRST_HASH: u32 = 0x43b0_d7e5;
const FIRST_FACTOR: u32 = 0x931e_8875;
const STATE_HASH: u32 = 0x8b51_f9dd;
const STATE_FACTOR: u32 = 0x58f3_8ded;
const MIX_LEFT: u32 = 0xca01_f9dd;
const MIX_RIGHT: u32 = 0x4973_f715;

/// A pool of 24 mixed words.
#[derive(Debug, Clone)]
pub struct SeedSequence {
    pool: [u32; POOL],
}

impl SeedSequence {
    /// `numpy.random.SeedSequence(entropy, pool_size=24)`.
    pub fn new(entropy: u64) -> Self {
        Self::mixed(entropy, &[])
    }

    /// The same with `spawn_key`.
    pub fn spawned(entropy: u64, spawn_key: &[u64]) -> Self {
        let mut words = Vec::new();
        for key in spawn_key {
            words.push(*key as u32);
            if *key > u64::from(u32::MAX) {
                words.push((key >> 32) as u32);
            }
        }
        Self::mixed(entropy, &words)
    }

    /// `generate_state(N)`.
    pub fn state<const N: usize>(&self) -> [u32; N] {
        let mut hash = Hash { value: STATE_HASH, factor: STATE_FACTOR };
        let mut words = [0; N];
        for (word, source) in words.iter_mut().zip(self.pool.iter().cycle()) {
            *word = hash.of(*source);
        }
        words
    }

    /// The pool of `entropy`, then of more words.
    fn mixed(entropy: u64, more: &[u32]) -> Self {
        let mut hash = Hash { value: FIRST_HASH, factor: FIRST_FACTOR };
        let mut pool = [0; POOL];
        pool[0] = entropy as u32;
        pool[1] = (entropy >> 32) as u32;
        for word in &mut pool {
            *word = hash.of(*word);
        }
        for source in 0..POOL {
            for target in 0..POOL {
                if source != target {
                    pool[target] = mix(pool[target], hash.of(pool[source]));
                }
            }
        }
        for source in more {
            for word in &mut pool {
                *word = mix(*word, hash.of(*source));
            }
        }
        Self { pool }
    }
}

/// A hash that changes with each word.
struct Hash {
    value: u32,
    factor: u32,
}

impl Hash {
    fn of(&mut self, word: u32) -> u32 {
        let word = word ^ self.value;
        self.value = self.value.wrapping_mul(self.factor);
        let word = word.wrapping_mul(self.value);
        word ^ (word >> 16)
    }
}

fn mix(left: u32, right: u32) -> u32 {
    let mixed = MIX_LEFT.wrapping_mul(left).wrapping_sub(MIX_RIGHT.wrapping_mul(right));
    mixed ^ (mixed >> 16)
}
