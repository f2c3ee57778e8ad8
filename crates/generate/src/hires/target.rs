//! The size of the second pass.
//!
//! Source: AUTOMATIC1111's stable-diffusion-webui (`modules/processing.py`).

use lorabake_pixels::Size;

/// Pixels per latent, along each side.
const CELL: u32 = 8;
/// Pixels that the second pass may have on a side; beyond, sizes are refused before anything is computed.
const MOST: u32 = 8192;

/// How much larger the second pass is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Enlarge {
    /// By a factor (`Hires upscale`).
    By(f64),
    /// To a size (`Hires resize`); a side of 0 follows from the other.
    To(Size),
}

/// The size of the second pass, and what of it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Width and height that the first pass's picture is enlarged to.
    pub upscaled: Size,
    /// Width and height of the latent of that.
    pub latent: Size,
    /// Left and upper edge of what is kept of that latent.
    pub crop_at: (u32, u32),
    /// Width and height of the latent that is kept and painted.
    pub kept: Size,
}

impl Target {
    /// Width and height of the picture that comes out.
    pub fn picture(&self) -> Size {
        (self.kept.0 * CELL, self.kept.1 * CELL)
    }
}

/// The target for a first pass of `size`. If both sides are wanted, the enlarged picture covers them and is cropped around
/// its middle.
///
/// # Errors
/// If a side would be less than a latent or too large.
pub fn target(size: Size, enlarge: Enlarge) -> Result<Target, String> {
    let (upscaled, truncated) = match enlarge {
        Enlarge::By(factor) => {
            let by = |side: u32| (f64::from(side) * factor) as u64;
            ((by(size.0), by(size.1)), (0, 0))
        }
        Enlarge::To((0, 0)) => return Err("a size of 0 × 0; give one side at least".to_owned()),
        Enlarge::To((x, 0)) => ((x.into(), scaled(size.1, x, size.0)), (0, 0)),
        Enlarge::To((0, y)) => ((scaled(size.0, y, size.1), y.into()), (0, 0)),
        Enlarge::To((x, y)) => covering(size, (x, y)),
    };
    let checked = |side: u64| match u32::try_from(side) {
        Ok(side) if (CELL..=MOST).contains(&side) => Ok(side),
        _ => Err(format!("a side of {side} pixels; use {CELL} to {MOST}")),
    };
    let upscaled = (checked(upscaled.0)?, checked(upscaled.1)?);
    let latent = (upscaled.0 / CELL, upscaled.1 / CELL);
    let kept = |latent: u32, truncated: u32| latent.saturating_sub(truncated).max(1);
    Ok(Target {
        upscaled,
        latent,
        crop_at: (truncated.0 / 2, truncated.1 / 2),
        kept: (kept(latent.0, truncated.0), kept(latent.1, truncated.1)),
    })
}

/// `side` times `to` divided by `from`.
fn scaled(side: u32, to: u32, from: u32) -> u64 {
    u64::from(side) * u64::from(to) / u64::from(from.max(1))
}

/// The size that covers `wanted`, and how much of its latent is cut off.
fn covering(size: Size, wanted: Size) -> ((u64, u64), (u32, u32)) {
    let own_aspect = f64::from(size.0) / f64::from(size.1);
    let aspect = f64::from(wanted.0) / f64::from(wanted.1);
    let upscaled = if own_aspect < aspect {
        (u64::from(wanted.0), scaled(size.1, wanted.0, size.0))
    } else {
        (scaled(size.0, wanted.1, size.1), u64::from(wanted.1))
    };
    let truncated = |upscaled: u64, wanted: u32| (upscaled.saturating_sub(u64::from(wanted)) / u64::from(CELL)) as u32;
    (upscaled, (truncated(upscaled.0, wanted.0), truncated(upscaled.1, wanted.1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_cannot_be_painted_are_refused() {
        for enlarge in [
            Enlarge::By(0.0),
            Enlarge::By(-2.0),
            Enlarge::By(f64::NAN),
            Enlarge::By(f64::INFINITY),
            Enlarge::By(1e9),
            Enlarge::To((0, 0)),
            Enlarge::To((u32::MAX, 0)),
            Enlarge::To((7, 0)),
            Enlarge::To((u32::MAX, 8)),
        ] {
            assert!(target((512, 512), enlarge).is_err(), "{enlarge:?}");
        }
    }

    #[test]
    fn what_is_kept_lies_within_the_latent() {
        for size in [(64, 64), (512, 768), (1024, 64)] {
            for wanted in [(8, 8192), (1000, 700), (64, 64), (0, 900), (900, 0)] {
                let Ok(target) = target(size, Enlarge::To(wanted)) else { continue };
                assert!(target.crop_at.0 + target.kept.0 <= target.latent.0, "{target:?}");
                assert!(target.crop_at.1 + target.kept.1 <= target.latent.1, "{target:?}");
            }
        }
    }
}
