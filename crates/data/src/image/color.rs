//! `--color_aug`: a slight shift of the hue, or a gamma near 1, at about one use in three.
//!
//! Source: sd-scripts `AugHelper.color_aug` (`library/train_util.py`). It gives OpenCV red, green and blue in the order
//! in which that expects blue, green and red, so hues turn the other way round; as they turn either way with equal
//! chance, only the rounding shows it, and it is kept. The 8-bit arithmetic of the two conversions is OpenCV's
//! (`modules/imgproc/src/color_hsv.simd.hpp`): hue in steps of 2 degrees, 0 to 179.

use rand::Rng;

use lorabake_pixels::Rgb;

/// One change of an image's colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ColorShift {
    /// Turn the hue by this many steps of 2 degrees.
    Hue(f64),
    /// Raise every value, 0 to 255, to this power.
    Gamma(f64),
}

impl ColorShift {
    /// What happens at one use; `None` two times in three.
    pub fn draw(rng: &mut impl Rng) -> Option<Self> {
        const MOST_STEPS: f64 = 8.0;
        if rng.random::<f64>() > 0.33 {
            return None;
        }
        if rng.random_bool(0.5) {
            Some(Self::Hue(rng.random_range(-MOST_STEPS..=MOST_STEPS)))
        } else {
            Some(Self::Gamma(rng.random_range(0.95..=1.05)))
        }
    }

    /// The image with other colours.
    pub fn apply(self, image: &Rgb) -> Rgb {
        let mut data = image.data.clone();
        match self {
            Self::Hue(steps) => {
                let steps = if steps < 0.0 { 180.0 + steps } else { steps };
                for pixel in data.chunks_exact_mut(3) {
                    let [hue, saturation, value] = to_hsv([pixel[0], pixel[1], pixel[2]]);
                    let turned = (f64::from(hue) + steps) % 180.0;
                    pixel.copy_from_slice(&from_hsv([turned as u8, saturation, value]));
                }
            }
            Self::Gamma(power) => {
                let table: [u8; 256] = std::array::from_fn(|value| (value as f64).powf(power).min(255.0) as u8);
                for value in &mut data {
                    *value = table[usize::from(*value)];
                }
            }
        }
        Rgb { data, ..*image }
    }
}

/// Fixed-point bits of the divisions.
const SHIFT: u32 = 12;

/// Hue, saturation and value of a pixel whose channels are taken for blue, green and red.
fn to_hsv(pixel: [u8; 3]) -> [u8; 3] {
    let [b, g, r] = pixel.map(i32::from);
    let value = b.max(g).max(r);
    let range = value - b.min(g).min(r);
    let saturation = rounded(range * divided(255, f64::from(value)));
    let sixth = if value == r {
        g - b
    } else if value == g {
        b - r + 2 * range
    } else {
        r - g + 4 * range
    };
    let mut hue = rounded(sixth * divided(180, 6.0 * f64::from(range)));
    if hue < 0 {
        hue += 180;
    }
    [hue as u8, saturation as u8, value as u8]
}

/// A quotient in fixed point; 0 if it has no value.
fn divided(number: i32, by: f64) -> i32 {
    if by == 0.0 { 0 } else { (f64::from(number << SHIFT) / by).round_ties_even() as i32 }
}

/// The whole number nearest to one in fixed point.
fn rounded(number: i32) -> i32 {
    (number + (1 << (SHIFT - 1))) >> SHIFT
}

fn from_hsv([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    // Which level blue, green and red have in each sixth of the circle.
    const LEVELS: [[usize; 3]; 6] = [[1, 3, 0], [1, 0, 2], [3, 0, 1], [0, 2, 1], [0, 1, 3], [2, 1, 0]];
    let saturation = f32::from(saturation) * (1.0 / 255.0);
    let value = f32::from(value) * (1.0 / 255.0);
    let turn = f32::from(hue) * (6.0 / 180.0);
    let sector = turn.floor();
    let rest = turn - sector;
    // OpenCV's vector code adds and multiplies in one rounding here, and cuts the fraction off at the end.
    let falling = value * (-saturation).mul_add(rest, 1.0);
    let rising = value * (-saturation).mul_add(1.0 - rest, 1.0);
    let levels = [value, value * (1.0 - saturation), falling, rising];
    LEVELS[sector as usize % 6].map(|level| (levels[level] * 255.0) as u8)
}
