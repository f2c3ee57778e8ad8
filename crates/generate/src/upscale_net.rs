//! A picture enlarged by a network of the ESRGAN family, tile by tile.

use anyhow::Result;
use lorabake_model::upscaler::Upscaler;
use lorabake_pixels::Rgb;

use crate::painter::Painter;
use crate::upscale::{Tiles, in_tiles};

impl Painter {
    /// The picture as many times as large as `net` makes it. The network sees red, green and blue in the order that it was
    /// trained with; the web UI gives it blue first.
    pub(crate) fn upscaled_by_net(&self, net: &Upscaler, picture: &Rgb) -> Result<Rgb> {
        in_tiles(picture, Tiles::default(), |tile| Ok(self.through(net, tile)))
    }

    /// One tile through the network.
    fn through(&self, net: &Upscaler, tile: &Rgb) -> Rgb {
        let larger = net.forward(self.image_tensor(tile, 0.0));
        let [_, _, height, width] = larger.dims();
        let values: Vec<f32> = larger.into_data().try_into_vec().expect("the networks compute in f32");
        let plane = width * height;
        let mut data = Vec::with_capacity(values.len());
        for pixel in 0..plane {
            for channel in 0..3 {
                data.push((values[channel * plane + pixel].clamp(0.0, 1.0) * 255.0).round_ties_even() as u8);
            }
        }
        Rgb { width: width as u32, height: height as u32, data }
    }
}
