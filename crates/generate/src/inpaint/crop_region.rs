//! "Only masked": the part of the picture around the mask that is painted.
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui 1.10 (`modules/masking.py`).

use lorabake_pixels::{Gray, Size};

/// A rectangle of a picture, in pixels; the ends are outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Left edge.
    pub left: u32,
    /// Upper edge.
    pub top: u32,
    /// Right edge.
    pub right: u32,
    /// Lower edge.
    pub bottom: u32,
}

impl Region {
    /// Width and height.
    pub fn size(&self) -> Size {
        (self.right - self.left, self.bottom - self.top)
    }

    /// The region grown to the aspect of the size that is painted, as far as the picture reaches.
    ///
    /// Half of what is added lies on each side, the odd pixel at the end; what would reach beyond the picture is shifted
    /// inside. Where the picture is too small, the aspect stays another one.
    pub fn expanded(self, painted: Size, picture: Size) -> Self {
        let own = self.size();
        let own_aspect = f64::from(own.0) / f64::from(own.1);
        let aspect = f64::from(painted.0) / f64::from(painted.1);
        let mut columns = Span { from: self.left.into(), to: self.right.into() };
        let mut rows = Span { from: self.top.into(), to: self.bottom.into() };
        if own_aspect > aspect {
            rows.grow((f64::from(own.0) / aspect - f64::from(own.1)) as i64, picture.1.into());
        } else {
            columns.grow((f64::from(own.1) * aspect - f64::from(own.0)) as i64, picture.0.into());
        }
        Self { left: columns.from as u32, top: rows.from as u32, right: columns.to as u32, bottom: rows.to as u32 }
    }
}

/// One side of a region.
struct Span {
    from: i64,
    to: i64,
}

impl Span {
    fn grow(&mut self, by: i64, limit: i64) {
        self.from -= by / 2;
        self.to += by - by / 2;
        if self.to >= limit {
            let beyond = self.to - limit;
            self.to -= beyond;
            self.from -= beyond;
        }
        if self.from < 0 {
            self.to -= self.from;
            self.from = 0;
        }
        self.to = self.to.min(limit);
    }
}

/// The box around all that the mask has above 0, with `padding` pixels around it, within the picture; `None` if there is
/// nothing.
pub fn crop_region(mask: &Gray, padding: u32) -> Option<Region> {
    let found = bounds(mask)?;
    Some(Region {
        left: found.left.saturating_sub(padding),
        top: found.top.saturating_sub(padding),
        right: found.right.saturating_add(padding).min(mask.width),
        bottom: found.bottom.saturating_add(padding).min(mask.height),
    })
}

/// The box as the web UI up to 1.9 told it. It is that of [`crop_region`], but an empty mask gives [width - padding,
/// height - padding, padding, padding]: left, top, right and bottom, kept within 0 and the picture.
pub fn crop_region_1_9(mask: &Gray, padding: u32) -> [u32; 4] {
    match crop_region(mask, padding) {
        Some(Region { left, top, right, bottom }) => [left, top, right, bottom],
        None => [
            mask.width.saturating_sub(padding),
            mask.height.saturating_sub(padding),
            padding.min(mask.width),
            padding.min(mask.height),
        ],
    }
}

/// The box around all that the mask has above 0.
fn bounds(mask: &Gray) -> Option<Region> {
    let mut found: Option<Region> = None;
    for (y, row) in (0..mask.height).zip(mask.data.chunks_exact(mask.width as usize)) {
        let Some(first) = row.iter().position(|value| *value > 0) else { continue };
        let last = row.iter().rposition(|value| *value > 0).unwrap_or(first);
        let (left, right) = (first as u32, last as u32 + 1);
        found = Some(match found {
            None => Region { left, top: y, right, bottom: y + 1 },
            Some(so_far) => {
                Region { left: so_far.left.min(left), right: so_far.right.max(right), bottom: y + 1, ..so_far }
            }
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_stays_within_the_picture_and_holds_the_mask() {
        for (width, height) in [(1, 1), (1, 9), (9, 1), (7, 5)] {
            for at in 0..width * height {
                let mut mask = Gray::filled((width, height), [0]);
                mask.data[at as usize] = 1;
                for padding in [0, 1, 3, u32::MAX] {
                    let region = crop_region(&mask, padding).unwrap();
                    for painted in [(64, 64), (64, 4096), (4096, 64), (512, 768)] {
                        let grown = region.expanded(painted, (width, height));
                        assert!(grown.right <= width && grown.bottom <= height, "{grown:?}");
                        assert!(grown.left <= at % width && at % width < grown.right, "{grown:?}");
                        assert!(grown.top <= at / width && at / width < grown.bottom, "{grown:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_empty_mask_has_no_region_and_an_odd_one_in_old_versions() {
        let mask = Gray::filled((100, 50), [0]);
        assert_eq!(crop_region(&mask, 32), None);
        assert_eq!(crop_region_1_9(&mask, 32), [68, 18, 32, 32]);
        assert_eq!(crop_region_1_9(&mask, 80), [20, 0, 80, 50]);
    }
}
