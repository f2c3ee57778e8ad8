//! How large an image may grow on its way to a control map.

use lorabake_pixels::Size;

/// Pixels that an image may have on its way.
const MOST_PIXELS: f64 = (1 << 26) as f64;
/// Those that one may have whose aspect no picture can have: it would take minutes and be cut away.
const MOST_OF_STRIPS: f64 = (1 << 22) as f64;
/// The aspect of the narrowest picture that can be painted, 64 × 4096.
const NARROWEST: f64 = 64.0;

/// Refuses to bring an image of `from` to so many pixels that they would take too much memory or time.
///
/// # Errors
/// The sizes, and what to do.
pub(super) fn check(from: Size, to: [f64; 2]) -> Result<(), String> {
    let [width, height] = to;
    let is_strip = from.0.max(from.1) as f64 > NARROWEST * f64::from(from.0.min(from.1));
    let most = if is_strip { MOST_OF_STRIPS } else { MOST_PIXELS };
    if width * height <= most {
        return Ok(());
    }
    Err(format!(
        "an image of {} × {} would be enlarged to {width} × {height}; crop it to an aspect nearer to the picture's, or use a \
         lower resolution",
        from.0, from.1
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_may_grow_less_than_pictures() {
        assert!(check((10_000, 1), [640_000.0, 64.0]).unwrap_err().contains("crop it"));
        assert!(check((10_000, 1), [64.0, 64.0]).is_ok());
        assert!(check((6000, 4000), [6144.0, 4096.0]).is_ok());
        assert!(check((64, 4096), [512.0, 32_768.0]).is_ok());
        assert!(check((2, 2), [1e5, 1e5]).is_err());
    }
}
