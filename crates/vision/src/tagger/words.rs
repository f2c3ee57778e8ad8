//! A tagger's contract in words, for its self test.

use std::fmt;

use lorabake_pixels::pillow::Filter;

use super::contract::Activation;
use super::stage::{Colors, Layout, Numbers, Resampling, Stage};

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Square(color) => write!(f, "padded to a square with {}", named(*color)),
            Self::Within { size, color, by, .. } => {
                write!(f, "fitted into {} × {}, {by}, the rest {}", size.0, size.1, named(*color))
            }
            Self::To(size, by) => write!(f, "brought to {} × {}, {by}", size.0, size.1),
            Self::ShorterSide(side, by) => write!(f, "the shorter side brought to {side}, {by}"),
            Self::Middle(size) => write!(f, "cut to {} × {} in the middle", size.0, size.1),
        }
    }
}

impl fmt::Display for Resampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pillow(Filter::Box) => "box",
            Self::Pillow(Filter::Bilinear) => "bilinear",
            Self::Pillow(Filter::Bicubic) => "bicubic",
            Self::Pillow(Filter::Lanczos) => "Lanczos",
            Self::Nearest => "by the nearest pixel",
            Self::Kohya => "by area, or Lanczos where it grows",
        })
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colors = if self.colors == Colors::Rgb { "red, green, blue" } else { "blue, green, red" };
        let layout = if self.layout == Layout::ColorsLast { "side by side" } else { "plane after plane" };
        write!(f, "{colors} {layout}; bytes ÷ {}", self.divisor)?;
        if self.mean != [0.0; 3] || self.std != [1.0; 3] {
            write!(f, ", minus {:?}, ÷ {:?}", self.mean, self.std)?;
        }
        Ok(())
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "probabilities",
            Self::Sigmoid => "logits, one by one (sigmoid)",
            Self::Softmax => "logits of which one is true (softmax)",
            Self::ByRange => "probabilities, or logits if one is below 0 or above 1",
        })
    }
}

fn named(color: [u8; 3]) -> String {
    match color {
        [0, 0, 0] => "black".to_owned(),
        [255, 255, 255] => "white".to_owned(),
        [red, green, blue] => format!("#{red:02x}{green:02x}{blue:02x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::Parts;
    use super::*;

    #[test]
    fn a_contract_is_told_in_words() {
        let stage = Stage::Within {
            size: (448, 448),
            color: [255; 3],
            by: Resampling::Pillow(Filter::Bicubic),
            parts: Parts::Cut,
        };
        assert_eq!(stage.to_string(), "fitted into 448 × 448, bicubic, the rest white");
        assert_eq!(Stage::Square([1, 2, 3]).to_string(), "padded to a square with #010203");
        let mut numbers =
            Numbers { layout: Layout::ColorsLast, colors: Colors::Bgr, divisor: 1.0, mean: [0.0; 3], std: [1.0; 3] };
        assert_eq!(numbers.to_string(), "blue, green, red side by side; bytes ÷ 1");
        numbers.std = [0.5; 3];
        assert!(numbers.to_string().ends_with(", minus [0.0, 0.0, 0.0], ÷ [0.5, 0.5, 0.5]"));
    }
}
