//! Images in memory: 8-bit RGB, and the values that a VAE takes.

/// 8-bit RGB, three bytes per pixel, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// height × width × 3 bytes.
    pub data: Vec<u8>,
}

/// An image as a VAE takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// 3 × height × width values in [-1, 1]: all red, all green, all blue.
    pub chw: Vec<f32>,
}

impl Rgb {
    /// The mirror image, left and right exchanged.
    pub fn flip_horizontal(&self) -> Self {
        let mut data = Vec::with_capacity(self.data.len());
        for row in self.data.chunks_exact(3 * self.width as usize) {
            for pixel in row.chunks_exact(3).rev() {
                data.extend_from_slice(pixel);
            }
        }
        Self { data, ..*self }
    }

    /// value ÷ 255, then (x - 0.5) ÷ 0.5 in f32, as torchvision's `ToTensor` and `Normalize` do.
    pub fn to_pixels(&self) -> Pixels {
        let mut chw = Vec::with_capacity(self.data.len());
        for channel in 0..3 {
            for value in self.data.iter().skip(channel).step_by(3) {
                chw.push((f32::from(*value) / 255.0 - 0.5) / 0.5);
            }
        }
        Pixels { width: self.width, height: self.height, chw }
    }
}
