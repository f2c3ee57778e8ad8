//! `--color_aug`: a slight shift of the hue, or a gamma near 1, at about one use in three.
//!
//! Source: sd-scripts `AugHelper.color_aug` (`library/train_util.py`). It gives OpenCV red, green and blue in the order
//! in which that expects blue, green and red, so hues turn the other way round; as they turn either way with equal
//! chance, only the rounding shows it, and it is kept. The 8-bit arithmetic of the two conversions is OpenCV's
//! (`modules/imgproc/src/color_hsv.simd.hpp`): hue in steps of 2 degrees, 0 to 179.

use rand::Rng;

use super::rgb::Rgb;

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
        Some(match rng.random_bool(0.5) {
            true => Self::Hue(rng.random_range(-MOST_STEPS..=MOST_STEPS)),
            false => Self::Gamma(rng.random_range(0.95..=1.05)),
        })
    }

    /// The image with other colours.
    pub fn apply(self, image: &Rgb) -> Rgb {
        let mut data = image.data.clone();
        match self {
            Self::Hue(steps) => {
                for pixel in data.chunks_exact_mut(3) {
                    let [hue, saturation, value] = to_hsv([pixel[0], pixel[1], pixel[2]]);
                    let steps = if steps < 0.0 { 180.0 + steps } else { steps };
                    let turned = (f64::from(hue) + steps) % 180.0;
                    pixel.copy_from_slice(&from_hsv([turned as u8, saturation, value]));
                }
            }
            Self::Gamma(power) => {
                let table: [u8; 256] = std::array::from_fn(|value| (value as f64).powf(power).min(255.0) as u8);
                data.iter_mut().for_each(|value| *value = table[usize::from(*value)]);
            }
        }
        Rgb { data, ..*image }
    }
}

/// Fixed-point bits of the divisions.
const SHIFT: u32 = 12;

/// (first, second, third) taken for (blue, green, red).
fn to_hsv([b, g, r]: [u8; 3]) -> [u8; 3] {
    let [b, g, r] = [b, g, r].map(i32::from);
    let (value, least) = (b.max(g).max(r), b.min(g).min(r));
    let range = value - least;
    let divided =
        |number: i32, by: f64| if by == 0.0 { 0 } else { (f64::from(number << SHIFT) / by).round_ties_even() as i32 };
    let rounded = |number: i32| (number + (1 << (SHIFT - 1))) >> SHIFT;
    let saturation = rounded(range * divided(255, f64::from(value)));
    let sixth = match value {
        _ if value == r => g - b,
        _ if value == g => b - r + 2 * range,
        _ => r - g + 4 * range,
    };
    let hue = rounded(sixth * divided(180, 6.0 * f64::from(range)));
    [if hue < 0 { hue + 180 } else { hue } as u8, saturation as u8, value as u8]
}

fn from_hsv([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    let (s, v) = (f32::from(saturation) * (1.0 / 255.0), f32::from(value) * (1.0 / 255.0));
    let turn = f32::from(hue) * (6.0 / 180.0);
    let sector = turn.floor();
    let rest = turn - sector;
    // OpenCV's vector code adds and multiplies in one rounding here, and cuts the fraction off at the end.
    let less = |share: f32| v * (-s).mul_add(share, 1.0);
    let levels = [v, v * (1.0 - s), less(rest), less(1.0 - rest)];
    // Which level blue, green and red have in each sixth of the circle.
    const LEVELS: [[usize; 3]; 6] = [[1, 3, 0], [1, 0, 2], [3, 0, 1], [0, 2, 1], [0, 1, 3], [2, 1, 0]];
    LEVELS[sector as usize % 6].map(|level| (levels[level] * 255.0) as u8)
}
