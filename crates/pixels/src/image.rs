//! Images in memory: values of 8 bits, and those that a VAE takes.

use crate::size::Size;

/// An image of `C` channels, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image<const C: usize, T = u8> {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// height × width × `C` values.
    pub data: Vec<T>,
}

/// 8-bit RGB.
pub type Rgb = Image<3>;
/// 8-bit RGB with alpha, straight unless a function says that it is premultiplied.
pub type Rgba = Image<4>;
/// 8-bit grey, also a mask.
pub type Gray = Image<1>;

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

impl<const C: usize, T: Copy> Image<C, T> {
    /// An image of one colour.
    pub fn filled(size: Size, color: [T; C]) -> Self {
        let data = color.repeat(size.0 as usize * size.1 as usize);
        Self { width: size.0, height: size.1, data }
    }

    /// The image with another colour in place of each of its own.
    pub fn map<const D: usize, U: Copy>(&self, color: impl Fn([T; C]) -> [U; D]) -> Image<D, U> {
        let mut data = Vec::with_capacity(self.data.len() / C * D);
        for pixel in self.pixels() {
            data.extend_from_slice(&color(*pixel));
        }
        Image { width: self.width, height: self.height, data }
    }

    /// The pixels, row by row.
    pub fn pixels(&self) -> impl ExactSizeIterator<Item = &[T; C]> {
        self.data.as_chunks::<C>().0.iter()
    }

    /// The image of the pixels at these columns and rows, each as often as it is named.
    pub(crate) fn picked(&self, columns: &[usize], rows: &[usize]) -> Self {
        let stride = self.width as usize * C;
        let mut data = Vec::with_capacity(columns.len() * rows.len() * C);
        for row in rows {
            let line = &self.data[row * stride..][..stride];
            for column in columns {
                data.extend_from_slice(&line[column * C..][..C]);
            }
        }
        Self { width: columns.len() as u32, height: rows.len() as u32, data }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> Size {
        (self.width, self.height)
    }

    /// The mirror image, left and right exchanged.
    pub fn flip_horizontal(&self) -> Self {
        let mut data = Vec::with_capacity(self.data.len());
        for row in self.data.chunks_exact(C * self.width as usize) {
            for pixel in row.chunks_exact(C).rev() {
                data.extend_from_slice(pixel);
            }
        }
        Self { data, ..*self }
    }

    /// The part of `size` that begins `at` = (columns, rows) from the left upper corner.
    ///
    /// # Panics
    /// If it does not lie within the image.
    pub fn crop(&self, size: Size, at: (u32, u32)) -> Self {
        let stride = C * self.width as usize;
        let start = C * at.0 as usize;
        let length = C * size.0 as usize;
        let mut data = Vec::with_capacity(length * size.1 as usize);
        for row in at.1..at.1 + size.1 {
            data.extend_from_slice(&self.data[row as usize * stride + start..][..length]);
        }
        Self { width: size.0, height: size.1, data }
    }
}

impl Rgb {
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
