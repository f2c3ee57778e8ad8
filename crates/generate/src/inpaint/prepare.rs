//! From a picture and a mask to what is encoded, what is masked, and what is laid over the result.
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui 1.10 (`modules/processing.py`). Where it fails with an error of Python
//! (masked content "fill" with the resize mode that resizes the latent), the mask is brought to the picture's size.

use lorabake_pixels::pillow::inverted;
use lorabake_pixels::{Gray, Rgb, Rgba, Size};

use super::crop_region::{Region, crop_region};
use super::fill::{MaskedContent, fill};
use super::{mask, overlay};
use crate::resize_mode::ResizeMode;

/// How a masked picture is painted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inpaint {
    /// What is not masked is painted instead.
    pub invert: bool,
    /// Standard deviations of the mask's blur, in pixels: along the rows, along the columns.
    pub blur: (f64, f64),
    /// What the masked part holds at first.
    pub content: MaskedContent,
    /// Which part is painted.
    pub area: Area,
    /// How the picture is brought to the painted size, if the whole of it is painted.
    pub resize: ResizeMode,
}

/// Which part of a masked picture is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// The whole of it.
    WholePicture,
    /// The surroundings of the mask.
    OnlyMasked {
        /// Pixels around the mask.
        padding: u32,
    },
}

impl Default for Inpaint {
    /// As the web UI offers it at first.
    fn default() -> Self {
        Self {
            invert: false,
            blur: (4.0, 4.0),
            content: MaskedContent::Original,
            area: Area::WholePicture,
            resize: ResizeMode::JustResize,
        }
    }
}

/// A picture that is ready to be encoded and painted.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// What is encoded; of the painted size, unless the resize mode is to resize the latent.
    pub image: Rgb,
    /// What the mask did; `None` if it is empty and only what is masked was asked for: the picture is painted without mask.
    pub masked: Option<Masked>,
}

/// The masked side of a prepared picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Masked {
    /// The blurred mask at the painted size; [`mask::of_latent`] makes the latent's of it.
    pub mask: Gray,
    /// The picture that the result is laid back into.
    pub original: Rgb,
    /// What is kept of the original; [`overlay::laid_over`] puts it over the result.
    pub overlay: Rgba,
    /// Which part of the picture is painted, if not all.
    pub paste_to: Option<Region>,
}

/// The largest blur of a mask, in pixels.
const MOST_BLUR: f64 = 1024.0;

/// Prepares a picture and its mask (255 is painted) for the size that is painted.
///
/// # Errors
/// If only what is masked is painted, and picture and mask differ in size; if the blur is too wide.
pub fn prepare(picture: &Rgb, mask: &Gray, settings: &Inpaint, painted: Size) -> Result<Prepared, String> {
    let widest = settings.blur.0.max(settings.blur.1);
    if widest > MOST_BLUR {
        return Err(format!("a mask blur of {widest} pixels; use at most {MOST_BLUR}"));
    }
    let own = if settings.invert { inverted(mask) } else { mask.clone() };
    let blurred = mask::blurred(&own, settings.blur.0, settings.blur.1);
    match settings.area {
        Area::WholePicture => Ok(whole(picture, &blurred, settings, painted)),
        Area::OnlyMasked { .. } if picture.size() != mask.size() => {
            let own = format!("{} × {}", mask.width, mask.height);
            let other = format!("{} × {}", picture.width, picture.height);
            Err(format!("the mask is {own} and its picture {other}; make both alike, or inpaint the whole picture"))
        }
        Area::OnlyMasked { padding } => Ok(match crop_region(&blurred, padding) {
            Some(region) => part(picture, &blurred, region.expanded(painted, mask.size()), settings.content, painted),
            None => Prepared { image: brought(picture, settings.resize, painted), masked: None },
        }),
    }
}

/// The picture as it is encoded if the whole of it is painted.
fn brought(picture: &Rgb, mode: ResizeMode, painted: Size) -> Rgb {
    if mode == ResizeMode::Latent { picture.clone() } else { mode.apply(picture, painted) }
}

fn whole(picture: &Rgb, blurred: &Gray, settings: &Inpaint, painted: Size) -> Prepared {
    let mode = settings.resize;
    let mask = mode.apply(blurred, painted);
    let image = brought(picture, mode, painted);
    let overlay_mask = at_size_of(&image, mask::for_overlay(&mask), mode);
    let overlay = overlay::overlay_image(&image, &overlay_mask);
    let original = image.clone();
    let image = filled(image, &mask, settings.content, mode);
    Prepared { image, masked: Some(Masked { mask, original, overlay, paste_to: None }) }
}

fn part(picture: &Rgb, blurred: &Gray, region: Region, content: MaskedContent, painted: Size) -> Prepared {
    let overlay = overlay::overlay_image(picture, blurred);
    let mode = ResizeMode::ResizeAndFill;
    let mask = mode.apply(&blurred.crop(region.size(), (region.left, region.top)), painted);
    let image = mode.apply(&picture.crop(region.size(), (region.left, region.top)), painted);
    let image = filled(image, &mask, content, mode);
    Prepared { image, masked: Some(Masked { mask, original: picture.clone(), overlay, paste_to: Some(region) }) }
}

fn filled(image: Rgb, mask: &Gray, content: MaskedContent, mode: ResizeMode) -> Rgb {
    if content == MaskedContent::Original {
        return image;
    }
    fill(&image, &at_size_of(&image, mask.clone(), mode))
}

fn at_size_of(image: &Rgb, mask: Gray, mode: ResizeMode) -> Gray {
    if mask.size() == image.size() { mask } else { mode.apply(&mask, image.size()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: [ResizeMode; 4] =
        [ResizeMode::JustResize, ResizeMode::CropAndResize, ResizeMode::ResizeAndFill, ResizeMode::Latent];

    fn striped(width: u32, height: u32) -> Rgb {
        let data = (0..width * height * 3).map(|at| (at * 37 % 251) as u8).collect();
        Rgb { width, height, data }
    }

    fn only_masked(padding: u32) -> Inpaint {
        Inpaint { area: Area::OnlyMasked { padding }, ..Inpaint::default() }
    }

    #[test]
    fn a_mask_of_another_size_is_refused_where_it_shows_a_place() {
        let mask = Gray::filled((30, 20), [255]);
        let refused = prepare(&striped(40, 20), &mask, &only_masked(32), (64, 64)).unwrap_err();
        assert!(refused.starts_with("the mask is 30 × 20 and its picture 40 × 20; "), "{refused}");
        let whole = prepare(&striped(40, 20), &mask, &Inpaint::default(), (64, 64)).unwrap();
        assert_eq!(whole.masked.unwrap().mask.size(), (64, 64));
    }

    #[test]
    fn a_blur_without_end_is_refused() {
        let mask = Gray::filled((8, 8), [255]);
        for blur in [1025.0, 1e18, f64::INFINITY] {
            let settings = Inpaint { blur: (0.0, blur), ..Inpaint::default() };
            assert!(prepare(&striped(8, 8), &mask, &settings, (64, 64)).is_err());
        }
        let settings = Inpaint { blur: (f64::NAN, -3.0), ..Inpaint::default() };
        assert!(prepare(&striped(8, 8), &mask, &settings, (64, 64)).is_ok());
    }

    #[test]
    fn an_empty_mask_paints_the_whole_picture_if_only_masked() {
        let picture = striped(40, 20);
        let mask = Gray::filled((40, 20), [0]);
        let prepared = prepare(&picture, &mask, &only_masked(32), (64, 64)).unwrap();
        assert_eq!(prepared.image, ResizeMode::JustResize.apply(&picture, (64, 64)));
        assert!(prepared.masked.is_none());
        let whole = prepare(&picture, &mask, &Inpaint::default(), (64, 64)).unwrap();
        let masked = whole.masked.unwrap();
        assert!(masked.overlay.pixels().all(|pixel| pixel[3] == 255));
        let result = overlay::laid_over(&Rgb::filled((64, 64), [9; 3]), &masked.overlay, None);
        assert_eq!(result, masked.original);
    }

    #[test]
    fn an_inverted_empty_mask_is_a_full_one() {
        let settings = Inpaint { invert: true, ..only_masked(0) };
        let mask = Gray::filled((24, 24), [0]);
        let masked = prepare(&striped(24, 24), &mask, &settings, (64, 64)).unwrap().masked.unwrap();
        assert_eq!(masked.paste_to, Some(Region { left: 0, top: 0, right: 24, bottom: 24 }));
        assert!(masked.mask.data.iter().all(|value| *value == 255));
    }

    #[test]
    fn the_smallest_and_the_longest_pictures_are_prepared() {
        for (width, height) in [(1, 1), (1, 3000), (3000, 1), (2, 7)] {
            for resize in MODES {
                for content in [MaskedContent::Fill, MaskedContent::Original] {
                    for area in [Area::WholePicture, Area::OnlyMasked { padding: u32::MAX }] {
                        let settings = Inpaint { content, area, resize, ..Inpaint::default() };
                        let mask = Gray::filled((width, height), [255]);
                        let prepared = prepare(&striped(width, height), &mask, &settings, (64, 128)).unwrap();
                        let masked = prepared.masked.unwrap();
                        assert_eq!(masked.mask.size(), (64, 128));
                        let result = Rgb::filled((64, 128), [7; 3]);
                        if masked.paste_to.is_some() {
                            let laid = overlay::laid_over(&result, &masked.overlay, masked.paste_to);
                            assert_eq!(laid, Rgb::filled((width, height), [7; 3]));
                        }
                    }
                }
            }
        }
    }
}
