//! The normal numbers of PyTorch's generator on a CPU (`torch.randn` with `manual_seed`), as its vectorised kernel makes
//! them; after PyTorch's `MT19937RNGEngine.h` and `DistributionTemplates.h`.

use std::f64::consts::TAU;

/// Words in the state of MT19937.
const STATE: usize = 624;
/// The distance at which MT19937 twists.
const SHIFT: usize = 397;
/// Values that are transformed together: eight radii, eight angles.
const BLOCK: usize = 16;
/// 2⁻²⁴: a float has 24 random bits.
const FLOAT_STEP: f32 = 1.0 / 16_777_216.0;
/// 2⁻⁵³: a double has 53 random bits.
const DOUBLE_STEP: f64 = 1.0 / 9_007_199_254_740_992.0;

/// PyTorch's generator on a CPU.
#[derive(Debug, Clone)]
pub struct TorchCpu {
    state: Vec<u32>,
    next: usize,
    /// The second number of a pair, kept for the next tensor of fewer than 16 values.
    kept: Option<f64>,
}

impl TorchCpu {
    /// The generator of `seed`, of which the low 32 bits count.
    pub fn new(seed: u64) -> Self {
        let mut state = Vec::with_capacity(STATE);
        let mut word = seed as u32;
        state.push(word);
        for index in 1..STATE as u32 {
            word = 1_812_433_253_u32.wrapping_mul(word ^ (word >> 30)).wrapping_add(index);
            state.push(word);
        }
        Self { state, next: STATE, kept: None }
    }

    /// The next tensor of `count` unit normal values.
    pub fn normal(&mut self, count: usize) -> Vec<f32> {
        if count < BLOCK {
            return (0..count).map(|_| self.single() as f32).collect();
        }
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            values.push(self.uniform());
        }
        for block in values.chunks_exact_mut(BLOCK) {
            transform(block);
        }
        if !count.is_multiple_of(BLOCK) {
            // The last 16 places are drawn anew, those that are done already too.
            let last = &mut values[count - BLOCK..];
            for value in last.iter_mut() {
                *value = self.uniform();
            }
            transform(last);
        }
        values
    }

    /// One normal number of a pair.
    fn single(&mut self) -> f64 {
        if let Some(kept) = self.kept.take() {
            return kept;
        }
        let turn = self.uniform_double();
        let radius = (-2.0 * (-self.uniform_double()).ln_1p()).sqrt();
        let angle = TAU * turn;
        self.kept = Some(radius * angle.sin());
        radius * angle.cos()
    }

    /// A number from 0 up to 1.
    fn uniform(&mut self) -> f32 {
        (self.word() & 0x00ff_ffff) as f32 * FLOAT_STEP
    }

    /// A number from 0 up to 1.
    fn uniform_double(&mut self) -> f64 {
        let high = u64::from(self.word());
        let bits = (high << 32) | u64::from(self.word());
        (bits & ((1 << 53) - 1)) as f64 * DOUBLE_STEP
    }

    /// The next word of MT19937 (Matsumoto and Nishimura 1998).
    fn word(&mut self) -> u32 {
        if self.next == STATE {
            self.twist();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn twist(&mut self) {
        for index in 0..STATE {
            let mixed = (self.state[index] & 0x8000_0000) | (self.state[(index + 1) % STATE] & 0x7fff_ffff);
            let odd = if mixed & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[index] = self.state[(index + SHIFT) % STATE] ^ (mixed >> 1) ^ odd;
        }
        self.next = 0;
    }
}

/// Sixteen uniform numbers to normal ones (Box and Muller), the angles rounded to f32 as in PyTorch's kernel.
fn transform(block: &mut [f32]) {
    let (radii, angles) = block.split_at_mut(BLOCK / 2);
    for (first, second) in radii.iter_mut().zip(angles) {
        let radius = (-2.0 * f64::from(1.0 - *first).ln()).sqrt();
        let angle = f64::from(TAU as f32 * *second);
        *first = (radius * angle.cos()) as f32;
        *second = (radius * angle.sin()) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_low_bits_of_a_seed_count() {
        assert_eq!(TorchCpu::new(5).normal(40), TorchCpu::new(5 + (1 << 32)).normal(40));
    }

    #[test]
    fn no_values_take_no_numbers() {
        let mut generator = TorchCpu::new(5);
        assert!(generator.normal(0).is_empty());
        assert_eq!(generator.normal(20), TorchCpu::new(5).normal(20));
    }
}
