//! The normal numbers of PyTorch's generator on an NVIDIA card, computed on a CPU.
//!
//! Philox4x32-10 (Salmon et al. 2011) and Box and Muller's transform, of which the web UI's imitation keeps the sine. It
//! equals a card as long as a draw has no more values than the card runs threads.

/// Rounds of Philox4x32-10.
const ROUNDS: usize = 10;
/// 2⁻³².
const STEP: f64 = 1.0 / 4_294_967_296.0;

/// The generator of an NVIDIA card.
#[derive(Debug, Clone)]
pub struct Philox {
    seed: u64,
    draws: u32,
}

impl Philox {
    /// The generator of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, draws: 0 }
    }

    /// The next tensor of `count` unit normal values.
    pub fn normal(&mut self, count: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(count);
        for index in 0..count {
            values.push(normal(block([self.draws, 0, index as u32, 0], self.seed)));
        }
        self.draws = self.draws.wrapping_add(1);
        values
    }
}

/// A normal number of the first two words of a block.
fn normal(words: [u32; 4]) -> f32 {
    // The constant of the angles is an f32 in the web UI, all else is computed in f64.
    let angle_step = f64::from((STEP * std::f64::consts::TAU) as f32);
    let share = f64::from(words[0]) * STEP + STEP / 2.0;
    let angle = f64::from(words[1]) * angle_step + angle_step / 2.0;
    ((-2.0 * share.ln()).sqrt() * angle.sin()) as f32
}

/// The block of random words of a counter.
fn block(mut counter: [u32; 4], seed: u64) -> [u32; 4] {
    let mut key = [seed as u32, (seed >> 32) as u32];
    for round in 0..ROUNDS {
        if round > 0 {
            key = [key[0].wrapping_add(0x9e37_79b9), key[1].wrapping_add(0xbb67_ae85)];
        }
        let even = u64::from(counter[0]) * 0xd251_1f53;
        let odd = u64::from(counter[2]) * 0xcd9e_8d57;
        counter = [
            (odd >> 32) as u32 ^ counter[1] ^ key[0],
            odd as u32,
            (even >> 32) as u32 ^ counter[3] ^ key[1],
            even as u32,
        ];
    }
    counter
}
