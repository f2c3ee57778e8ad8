//! OpenCV's `cvtColor` between RGB and CIE L*a*b*, on 8 bits: L is 0 to 255, a and b have their zero at 128.
//!
//! Source: OpenCV 4 (`modules/imgproc/src/color_lab.cpp`), whose way for 8 bits is tables and whole numbers. All 16.7 million
//! colours were compared in both directions.

use std::sync::LazyLock;

use crate::image::{Image, Rgb};

/// Bits after the point of the matrices.
const MATRIX_BITS: u32 = 12;
/// Bits after the point of the cube roots.
const ROOT_BITS: u32 = 15;
/// Bits after the point of what lies between L*a*b* and linear RGB.
const LINEAR_BITS: u32 = 14;

/// Linear RGB to X, Y, Z over the white point of D65.
const TO_XYZ: [[i32; 3]; 3] = [[1777, 1541, 778], [871, 2929, 296], [73, 448, 3575]];
/// X, Y, Z over the white point to linear RGB.
const FROM_XYZ: [[i32; 3]; 3] = [[12615, -6296, -2223], [-3773, 7684, 185], [217, -836, 4715]];

/// L*a*b* of an image.
pub fn rgb_to_lab(image: &Rgb) -> Image<3> {
    let tables = &*TO_LAB;
    image.map(|rgb| tables.convert(rgb))
}

/// RGB of L*a*b*; colours that RGB lacks are cut off.
pub fn lab_to_rgb(image: &Image<3>) -> Rgb {
    let tables = &*TO_RGB;
    image.map(|lab| tables.convert(lab))
}

static TO_LAB: LazyLock<ToLab> = LazyLock::new(ToLab::new);
static TO_RGB: LazyLock<ToRgb> = LazyLock::new(ToRgb::new);

struct ToLab {
    /// Linear light of a value, times 255 · 8.
    linear: Vec<i32>,
    /// The cube root, or the line that stands for it near black, of linear light.
    roots: Vec<i32>,
}

impl ToLab {
    fn new() -> Self {
        let linear =
            (0..256).map(|value| (255.0 * 8.0 * linear_light(f64::from(value) / 255.0)).round_ties_even() as i32);
        let one = f64::from(1 << ROOT_BITS);
        let mut roots: Vec<i32> = (0..256 * 3 / 2 * 8)
            .map(|light| {
                let light = f64::from(light) / (255.0 * 8.0);
                let root = if light < 0.008856 { light * 7.787 + 16.0 / 116.0 } else { light.cbrt() };
                (one * root).round_ties_even() as i32
            })
            .collect();
        // OpenCV's own cube root is a little off; at these two it matters.
        roots[49] = 9454;
        roots[628] = 22126;
        Self { linear: linear.collect(), roots }
    }

    fn convert(&self, rgb: [u8; 3]) -> [u8; 3] {
        let light = rgb.map(|value| self.linear[usize::from(value)]);
        let [x, y, z] = TO_XYZ.map(|row| self.roots[rounded(product(row, light), MATRIX_BITS) as usize]);
        let middle = 128 << ROOT_BITS;
        let lightness = (116 * 255 + 50) / 100 * y - (16 * 255 * (1 << ROOT_BITS) + 50) / 100;
        [lightness, 500 * (x - y) + middle, 200 * (y - z) + middle].map(|value| clamped(rounded(value, ROOT_BITS)))
    }
}

struct ToRgb {
    /// Y and its root for each L.
    lightness: Vec<Lightness>,
    /// The value of linear light in steps of 1 ÷ 4096.
    values: Vec<u8>,
}

struct Lightness {
    y: i32,
    root: i32,
}

impl ToRgb {
    fn new() -> Self {
        let one = f64::from(1 << LINEAR_BITS);
        let lightness = |value: u32| {
            let lightness = f64::from(value) * 100.0 / 255.0;
            let line = lightness / 903.3;
            let root = (lightness + 16.0) / 116.0;
            let (y, root) = if lightness <= 8.0 { (line, 7.787 * line + 16.0 / 116.0) } else { (root.powi(3), root) };
            Lightness { y: (y * one).round_ties_even() as i32, root: (root * one).round_ties_even() as i32 }
        };
        let value = |light: u32| (255.0 * gamma(f64::from(light) / 4096.0)).round_ties_even() as u8;
        Self { lightness: (0..256).map(lightness).collect(), values: (0..4096).map(value).collect() }
    }

    fn convert(&self, lab: [u8; 3]) -> [u8; 3] {
        let [a, b] = [i32::from(lab[1]), i32::from(lab[2])];
        let Lightness { y, root } = self.lightness[usize::from(lab[0])];
        let one = 1 << LINEAR_BITS;
        let a = ((5 * a * 53687 + (1 << 7)) >> 13) - 128 * one / 500;
        let b = ((b * 41943 + (1 << 4)) >> 9) - 128 * one / 200 + 1;
        let xyz = [cube(root + a), y, cube(root - b)];
        FROM_XYZ.map(|row| {
            let light = rounded(product(row, xyz), MATRIX_BITS + LINEAR_BITS - 12);
            self.values[light.clamp(0, 4095) as usize]
        })
    }
}

/// The cube of a root, or the line that stands for it near black.
fn cube(root: i32) -> i32 {
    const ONE: i32 = 1 << LINEAR_BITS;
    if root <= 3390 { root * 108 / 841 - ONE * 16 / 116 * 108 / 841 } else { root * root / ONE * root / ONE }
}

fn linear_light(value: f64) -> f64 {
    if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

fn gamma(light: f64) -> f64 {
    if light <= 0.0031308 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
}

fn product(row: [i32; 3], column: [i32; 3]) -> i32 {
    row[0] * column[0] + row[1] * column[1] + row[2] * column[2]
}

fn rounded(value: i32, bits: u32) -> i32 {
    (value + (1 << (bits - 1))) >> bits
}

fn clamped(value: i32) -> u8 {
    value.clamp(0, 255) as u8
}
