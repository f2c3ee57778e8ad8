//! Light, colours and their spread.
//!
//! Brightness is √(0.241 R² + 0.691 G² + 0.068 B²) ÷ 255 as in cleanvision, and so are its percentiles; saturation is
//! that of HSV.

use lorabake_pixels::{Gray, Rgb};

/// Light and colours of a picture.
pub struct Tone {
    /// Mean saturation, 0 to 1.
    pub saturation: f64,
    /// Share of pixels that have a channel at 0 or 255 and are coloured: what a too high CFG makes. White and black
    /// paper is none.
    pub clipped: f64,
    /// Brightness that 5 % of the pixels stay below.
    pub dark_end: f64,
    /// Brightness that 99 % of the pixels stay below.
    pub light_end: f64,
    /// Entropy of the luma histogram in bits.
    pub entropy: f64,
    /// Mean of the largest minus the smallest channel.
    pub chroma: f64,
}

/// Steps of brightness that are counted.
const STEPS: usize = 1000;

impl Tone {
    /// The tone of a picture; `luma` is that of the same.
    pub fn of(image: &Rgb, luma: &Gray) -> Self {
        const COLORED: u8 = 64;
        let mut saturation = 0.0;
        let mut clipped = 0_usize;
        let mut chroma = 0_u64;
        let mut brightness = vec![0_usize; STEPS + 1];
        for [red, green, blue] in image.pixels() {
            let high = *red.max(green).max(blue);
            let low = *red.min(green).min(blue);
            if high > 0 {
                saturation += f64::from(high - low) / f64::from(high);
            }
            if (high == u8::MAX || low == 0) && high - low >= COLORED {
                clipped += 1;
            }
            chroma += u64::from(high - low);
            let [red, green, blue] = [red, green, blue].map(|value| f64::from(*value).powi(2));
            let bright = (0.241 * red + 0.691 * green + 0.068 * blue).sqrt() / 255.0;
            brightness[(bright * STEPS as f64) as usize] += 1;
        }
        let count = image.pixels().len().max(1);
        Self {
            saturation: saturation / count as f64,
            clipped: clipped as f64 / count as f64,
            dark_end: percentile(&brightness, count, 0.05),
            light_end: percentile(&brightness, count, 0.99),
            entropy: entropy(luma),
            chroma: chroma as f64 / count as f64,
        }
    }
}

/// The brightness that `share` of `count` pixels stay below.
fn percentile(counts: &[usize], count: usize, share: f64) -> f64 {
    let wanted = share * count as f64;
    let mut below = 0;
    for (step, own) in counts.iter().enumerate() {
        below += own;
        if below as f64 >= wanted {
            return step as f64 / STEPS as f64;
        }
    }
    1.0
}

fn entropy(luma: &Gray) -> f64 {
    let mut counts = [0_u64; 256];
    for value in &luma.data {
        counts[usize::from(*value)] += 1;
    }
    let all = luma.data.len().max(1) as f64;
    let mut bits = 0.0;
    for count in counts.into_iter().filter(|count| *count > 0) {
        let share = count as f64 / all;
        bits -= share * share.log2();
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use lorabake_pixels::pillow::gray;

    #[test]
    fn a_red_picture_is_saturated_and_white_paper_is_not_clipped() {
        let red = Rgb::filled((4, 4), [255, 0, 0]);
        let tone = Tone::of(&red, &gray(&red));
        assert_eq!((tone.saturation, tone.clipped, tone.chroma, tone.entropy), (1.0, 1.0, 255.0, 0.0));
        assert!((tone.light_end - 0.490).abs() < 1e-9, "{}", tone.light_end);
        let white = Rgb::filled((4, 4), [255, 255, 255]);
        let tone = Tone::of(&white, &gray(&white));
        assert_eq!((tone.saturation, tone.clipped, tone.dark_end), (0.0, 0.0, 1.0));
    }

    #[test]
    fn four_values_alike_are_two_bits() {
        let luma = Gray { width: 4, height: 1, data: vec![0, 80, 160, 240] };
        assert_eq!(entropy(&luma), 2.0);
    }
}
