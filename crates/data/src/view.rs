//! What one use of an image shows: which crop of it, in which colours, and with which mask.

use lorabake_recipe::data::{Data, Mask};
use lorabake_recipe::seed::Seed;

use crate::bucket::Placement;
use crate::color::ColorShift;
use crate::face::{Face, FaceFrame};
use crate::image::{self, Loaded, Rgb};
use crate::problem::Error;
use crate::resize;
use crate::scan::Item;

/// An image, decoded, of which uses can be drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Resized to cover its bucket; around a face, as it is in the file.
    image: Rgb,
    /// The mask, of the same size.
    mask: Option<Rgb>,
    placement: Placement,
    crop: Crop,
    colors: bool,
    /// Some pixels are not opaque, and their alpha is not used: what they hid is now seen.
    pub transparent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Crop {
    Middle,
    Anywhere,
    Face(FaceFrame),
}

/// One use of an image, of the size of its bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// The pixels.
    pub image: Rgb,
    /// Where the loss counts, if the item has a mask.
    pub mask: Option<Rgb>,
}

impl View {
    /// The mirror image, left and right exchanged.
    pub fn mirrored(&self) -> Self {
        Self { image: self.image.mirrored(), mask: self.mask.as_ref().map(Rgb::mirrored) }
    }
}

impl Source {
    /// Decodes an item, whose settings are `data`. Fails with a message that names the file.
    pub fn load(item: &Item, placement: &Placement, data: &Data) -> Result<Self, Error> {
        let frame = data
            .face_crop
            .zip(Face::in_name(&item.path))
            .and_then(|(range, face)| FaceFrame::new(face, (item.size, placement.bucket), range, data.random_crop));
        let Loaded { image, transparent } = image::decode_item(item)?;
        let alpha = data.mask == Some(Mask::Alpha);
        let mask = match &item.mask {
            Some(path) => Some(image::decode(path)?.image),
            None if alpha => Some(image::decode_alpha(&item.path)?),
            None => None,
        };
        let crop = match frame {
            Some(frame) => Crop::Face(frame),
            None if data.random_crop && placement.resized != placement.bucket => Crop::Anywhere,
            None => Crop::Middle,
        };
        let covering = |image: Rgb| match crop {
            Crop::Face(_) => image,
            Crop::Middle | Crop::Anywhere => resize::resize(&image, placement.resized),
        };
        Ok(Self {
            image: covering(image),
            mask: mask.map(covering),
            placement: *placement,
            crop,
            colors: data.color_aug,
            transparent: transparent && !alpha,
        })
    }

    /// Whether uses differ by more than being mirrored.
    pub fn varies(&self) -> bool {
        self.colors || self.crop != Crop::Middle
    }

    /// Whether uses differ by a crop that `--random_crop` draws.
    pub fn is_cropped_at_random(&self) -> bool {
        match self.crop {
            Crop::Middle => false,
            Crop::Anywhere => true,
            Crop::Face(frame) => frame.anywhere,
        }
    }

    /// Whether uses are cropped around a face.
    pub fn has_face(&self) -> bool {
        matches!(self.crop, Crop::Face(_))
    }

    /// The middle of the image in its own colours.
    pub fn still(&self) -> View {
        let Placement { resized, bucket, crop, .. } = self.placement;
        self.view(|image| image::crop(&resize::resize(image, resized), bucket, crop))
    }

    /// The use `at` = (epoch, position): the same for the same seed, whatever was drawn before.
    pub fn draw(&self, seed: Seed, at: (u64, u64)) -> View {
        let stream = |name| seed.stream(name, &[at.0, at.1]);
        let mut view = match self.crop {
            Crop::Middle => self.still(),
            Crop::Anywhere => {
                let corner = image::draw_crop(&self.placement, &mut stream("crop"));
                self.view(|image| image::crop(image, self.placement.bucket, corner))
            }
            Crop::Face(frame) => {
                let drawn = frame.draw(&mut stream("face crop"));
                self.view(|image| image::crop(&resize::resize(image, drawn.resized), frame.target, drawn.at))
            }
        };
        if let Some(shift) = self.colors.then(|| ColorShift::draw(&mut stream("color"))).flatten() {
            view.image = shift.apply(&view.image);
        }
        view
    }

    /// Image and mask, brought to size in the same way.
    fn view(&self, cut: impl Fn(&Rgb) -> Rgb) -> View {
        View { image: cut(&self.image), mask: self.mask.as_ref().map(cut) }
    }
}
