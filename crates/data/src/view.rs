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

/// An image of which uses can be drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    item: Item,
    /// Image and mask, resized to cover the bucket; `None` where uses differ in size: photos are large, so that they are
    /// read at each use instead of being kept.
    kept: Option<View>,
    placement: Placement,
    crop: Crop,
    colors: bool,
    /// The alpha channel is the mask.
    alpha: bool,
    /// Some pixels are not opaque, and their alpha is not used: what they hid is now seen.
    pub transparent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Crop {
    Middle,
    Anywhere,
    Face(FaceFrame),
}

/// One use of an image.
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
        self.map(Rgb::mirrored)
    }

    fn map(&self, change: impl Fn(&Rgb) -> Rgb) -> Self {
        Self { image: change(&self.image), mask: self.mask.as_ref().map(change) }
    }
}

impl Source {
    /// Decodes an item, whose settings are `data`. Fails with a message that names the file.
    pub fn load(item: &Item, placement: &Placement, data: &Data) -> Result<Self, Error> {
        let frame = data
            .face_crop
            .zip(Face::in_name(&item.path))
            .and_then(|(range, face)| FaceFrame::new(face, (item.size, placement.bucket), range, data.random_crop));
        let alpha = data.mask == Some(Mask::Alpha);
        let crop = match frame {
            Some(frame) => Crop::Face(frame),
            None if data.random_crop && placement.resized != placement.bucket => Crop::Anywhere,
            None => Crop::Middle,
        };
        let (whole, transparent) = read(item, alpha)?;
        let kept = frame.is_none().then(|| whole.map(|image| resize::resize(image, placement.resized)));
        let (item, placement, transparent) = (item.clone(), *placement, transparent && !alpha);
        Ok(Self { item, kept, placement, crop, colors: data.color_aug, alpha, transparent })
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
    ///
    /// # Errors
    /// If the file has to be read again and cannot be.
    pub fn still(&self) -> Result<View, Error> {
        let Placement { resized, bucket, crop, .. } = self.placement;
        self.view(|image| image::crop(&resize::resize(image, resized), bucket, crop))
    }

    /// The use `at` = (epoch, position): the same for the same seed, whatever was drawn before.
    ///
    /// # Errors
    /// If the file has to be read again and cannot be.
    pub fn draw(&self, seed: Seed, at: (u64, u64)) -> Result<View, Error> {
        let stream = |name| seed.stream(name, &[at.0, at.1]);
        let mut view = match self.crop {
            Crop::Middle => self.still()?,
            Crop::Anywhere => {
                let corner = image::draw_crop(&self.placement, &mut stream("crop"));
                self.view(|image| image::crop(image, self.placement.bucket, corner))?
            }
            Crop::Face(frame) => {
                let drawn = frame.draw(&mut stream("face crop"));
                self.view(|image| image::crop(&resize::resize(image, drawn.resized), frame.target, drawn.at))?
            }
        };
        if let Some(shift) = self.colors.then(|| ColorShift::draw(&mut stream("color"))).flatten() {
            view.image = shift.apply(&view.image);
        }
        Ok(view)
    }

    /// Image and mask, brought to size in the same way.
    fn view(&self, cut: impl Fn(&Rgb) -> Rgb) -> Result<View, Error> {
        match &self.kept {
            Some(kept) => Ok(kept.map(cut)),
            None => Ok(read(&self.item, self.alpha)?.0.map(cut)),
        }
    }
}

/// An item's image and mask as they are in the files, and whether some pixels are not opaque.
fn read(item: &Item, alpha: bool) -> Result<(View, bool), Error> {
    let Loaded { image, transparent } = image::decode_item(item)?;
    let mask = match &item.mask {
        Some(path) => Some(image::decode(path)?.image),
        None if alpha => Some(image::decode_alpha(&item.path)?),
        None => None,
    };
    Ok((View { image, mask }, transparent))
}
