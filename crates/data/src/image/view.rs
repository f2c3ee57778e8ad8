//! What one use of an image shows: which crop of it, in which colours, and with which mask.

use lorabake_pixels::Rgb;
use lorabake_pixels::decode::{self, Decoded};
use lorabake_recipe::data::{Data, Mask};
use lorabake_recipe::seed::Seed;

use super::color::ColorShift;
use super::crop;
use super::face::{Face, FaceFrame};
use super::resize::resize;
use crate::bucket::Placement;
use crate::dataset::Item;
use crate::error::Error;
use lorabake_recipe::seed::UseId;

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
    pub fn flip_horizontal(&self) -> Self {
        self.map(Rgb::flip_horizontal)
    }

    /// Image and mask, both changed in the same way.
    fn map(&self, change: impl Fn(&Rgb) -> Rgb) -> Self {
        Self { image: change(&self.image), mask: self.mask.as_ref().map(change) }
    }
}

impl Source {
    /// Decodes an item, whose settings are `data`.
    ///
    /// # Errors
    /// If the image or its mask cannot be read, or has another size than when the folder was read; names the file.
    pub fn load(item: &Item, placement: &Placement, data: &Data) -> Result<Self, Error> {
        let crop = Crop::of(item, placement, data);
        let alpha = data.mask == Some(Mask::Alpha);
        let files = Files::read(item, alpha)?;
        let kept = match crop {
            Crop::Face(_) => None,
            Crop::Middle | Crop::Anywhere => Some(files.view.map(|image| resize(image, placement.resized))),
        };
        Ok(Self {
            item: item.clone(),
            kept,
            placement: *placement,
            crop,
            colors: data.color_aug,
            alpha,
            transparent: files.transparent && !alpha,
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
    ///
    /// # Errors
    /// If the file has to be read again and cannot be.
    pub fn unaugmented(&self) -> Result<View, Error> {
        let Placement { resized, bucket, crop, .. } = self.placement;
        self.view(|image| resize(image, resized).crop(bucket, crop))
    }

    /// One use: the same for the same seed, whatever was drawn before.
    ///
    /// # Errors
    /// If the file has to be read again and cannot be.
    pub fn draw(&self, seed: Seed, at: UseId) -> Result<View, Error> {
        let indices = [at.epoch, at.position];
        let mut view = match self.crop {
            Crop::Middle => self.unaugmented()?,
            Crop::Anywhere => {
                let corner = crop::draw_crop(&self.placement, &mut seed.stream("crop", &indices));
                self.view(|image| image.crop(self.placement.bucket, corner))?
            }
            Crop::Face(frame) => {
                let drawn = frame.draw(&mut seed.stream("face crop", &indices));
                self.view(|image| resize(image, drawn.resized).crop(frame.target, drawn.at))?
            }
        };
        if self.colors
            && let Some(shift) = ColorShift::draw(&mut seed.stream("color", &indices))
        {
            view.image = shift.apply(&view.image);
        }
        Ok(view)
    }

    /// Image and mask, brought to size in the same way.
    fn view(&self, cut: impl Fn(&Rgb) -> Rgb) -> Result<View, Error> {
        match &self.kept {
            Some(kept) => Ok(kept.map(cut)),
            None => Ok(Files::read(&self.item, self.alpha)?.view.map(cut)),
        }
    }
}

impl Crop {
    /// How uses of an item are cropped.
    fn of(item: &Item, placement: &Placement, data: &Data) -> Self {
        if let Some(range) = data.face_crop
            && let Some(face) = Face::in_name(&item.path)
            && let Some(frame) = FaceFrame::new(face, item.size, placement.bucket, range, data.random_crop)
        {
            return Self::Face(frame);
        }
        if data.random_crop && placement.resized != placement.bucket { Self::Anywhere } else { Self::Middle }
    }
}

/// An item's image and mask as they are in the files.
struct Files {
    view: View,
    /// Some pixels are not opaque.
    transparent: bool,
}

impl Files {
    /// Reads an item's files; the mask is the image's own alpha channel if `alpha` says so.
    fn read(item: &Item, alpha: bool) -> Result<Self, Error> {
        let Decoded { image, transparent } = decode_unchanged(item)?;
        let mask = match &item.mask {
            Some(path) => Some(decode::decode(path)?.image),
            None if alpha => Some(decode::decode_alpha(&item.path)?),
            None => None,
        };
        Ok(Self { view: View { image, mask }, transparent })
    }
}

/// Decodes the item's file, whose size has to be what the scan saw.
fn decode_unchanged(item: &Item) -> Result<Decoded, Error> {
    let decoded = decode::decode(&item.path)?;
    let now = decoded.image.size();
    if now != item.size {
        return Err(Error::Changed { path: item.path.clone(), before: item.size, now });
    }
    Ok(decoded)
}
