//! The upscalers that resize the latent itself, as torch's `interpolate` does.
//!
//! Source: PyTorch (`aten/src/ATen/native/UpSample*`): positions without aligned corners; a = -0.75 for cubics, -0.5 for
//! antialiased ones, whose windows grow when a side shrinks.

use lorabake_pixels::Size;

/// An upscaler that resizes the latent itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LatentUpscaler {
    /// `Latent`.
    #[default]
    Bilinear,
    /// `Latent (antialiased)`.
    BilinearAntialiased,
    /// `Latent (bicubic)`.
    Bicubic,
    /// `Latent (bicubic antialiased)`.
    BicubicAntialiased,
    /// `Latent (nearest)`.
    Nearest,
    /// `Latent (nearest-exact)`.
    NearestExact,
}

impl LatentUpscaler {
    /// All of them, in the web UI's order.
    pub const ALL: [Self; 6] = [
        Self::Bilinear,
        Self::BilinearAntialiased,
        Self::Bicubic,
        Self::BicubicAntialiased,
        Self::Nearest,
        Self::NearestExact,
    ];

    /// Its name in the web UI.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bilinear => "Latent",
            Self::BilinearAntialiased => "Latent (antialiased)",
            Self::Bicubic => "Latent (bicubic)",
            Self::BicubicAntialiased => "Latent (bicubic antialiased)",
            Self::Nearest => "Latent (nearest)",
            Self::NearestExact => "Latent (nearest-exact)",
        }
    }

    /// The upscaler of a name, whatever its case.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|upscaler| upscaler.name().eq_ignore_ascii_case(name.trim()))
    }

    fn taps(self, target: u32, from: u32, to: u32) -> Taps {
        let scale = from as f32 / to as f32;
        let position = (target as f32 + 0.5) * scale - 0.5;
        match self {
            Self::Nearest => Taps::one((target as f32 * scale) as usize, from),
            Self::NearestExact => Taps::one(((target as f32 + 0.5) * scale) as usize, from),
            Self::Bilinear => {
                let position = position.max(0.0);
                let share = position - position.floor();
                Taps::clamped(position as isize, &[1.0 - share, share], from)
            }
            Self::Bicubic => {
                let share = position - position.floor();
                let weights = [1.0 + share, share, 1.0 - share, 2.0 - share].map(|distance| cubic(distance, -0.75));
                Taps::clamped(position.floor() as isize - 1, &weights, from)
            }
            Self::BilinearAntialiased => Taps::antialiased(target, scale, from, 1.0, |x| (1.0 - x).max(0.0)),
            Self::BicubicAntialiased => Taps::antialiased(target, scale, from, 2.0, |x| cubic(x, -0.5)),
        }
    }
}

/// A latent of another size. `latent` is planes of `from.0` × `from.1` values, rows from the top; any number of them.
///
/// # Panics
/// If `latent` is no whole number of planes, or a side is 0.
pub fn resize_latent(latent: &[f32], from: Size, to: Size, upscaler: LatentUpscaler) -> Vec<f32> {
    let columns = from.0 as usize;
    let plane = columns * from.1 as usize;
    assert!(plane > 0 && latent.len().is_multiple_of(plane), "no whole planes");
    let across: Vec<Taps> = (0..to.0).map(|target| upscaler.taps(target, from.0, to.0)).collect();
    let down: Vec<Taps> = (0..to.1).map(|target| upscaler.taps(target, from.1, to.1)).collect();
    let planes = latent.len() / plane;
    let mut resized = Vec::with_capacity(planes * across.len() * down.len());
    for source in latent.chunks_exact(plane) {
        let mut narrowed = Vec::with_capacity(across.len() * from.1 as usize);
        for row in source.chunks_exact(columns) {
            narrowed.extend(across.iter().map(|taps| taps.sum(|x| row[x])));
        }
        for taps in &down {
            for x in 0..across.len() {
                resized.push(taps.sum(|y| narrowed[y * across.len() + x]));
            }
        }
    }
    resized
}

/// The part of `size` that begins `at` = (columns, rows) of a latent, which is planes of `from.0` × `from.1` values.
///
/// # Panics
/// If the part does not lie within the latent.
pub fn crop_latent(latent: &[f32], from: Size, size: Size, at: (u32, u32)) -> Vec<f32> {
    let columns = from.0 as usize;
    let mut cropped = Vec::new();
    for plane in latent.chunks_exact(columns * from.1 as usize) {
        for row in plane.chunks_exact(columns).skip(at.1 as usize).take(size.1 as usize) {
            cropped.extend_from_slice(&row[at.0 as usize..][..size.0 as usize]);
        }
    }
    cropped
}

/// The source positions of one target position along a side.
struct Taps(Vec<Tap>);

struct Tap {
    source: usize,
    weight: f32,
}

impl Taps {
    fn one(source: usize, from: u32) -> Self {
        Self(vec![Tap { source: source.min(from as usize - 1), weight: 1.0 }])
    }

    /// Neighbouring positions; those beyond the edge are the edge.
    fn clamped(first: isize, weights: &[f32], from: u32) -> Self {
        let last = from as isize - 1;
        let taps = (first..).zip(weights);
        Self(taps.map(|(at, weight)| Tap { source: at.clamp(0, last) as usize, weight: *weight }).collect())
    }

    /// A window that covers what a target position covers at least; weights that sum up to one.
    fn antialiased(target: u32, scale: f32, from: u32, reach: f32, weight: impl Fn(f32) -> f32) -> Self {
        let stretch = scale.max(1.0);
        let reach = reach * stretch;
        let center = (target as f32 + 0.5) * scale;
        let first = (center - reach + 0.5).max(0.0) as usize;
        let end = ((center + reach + 0.5) as usize).min(from as usize);
        let mut taps: Vec<Tap> = (first..end)
            .map(|source| Tap { source, weight: weight(((source as f32 - center + 0.5) / stretch).abs()) })
            .collect();
        let total: f32 = taps.iter().map(|tap| tap.weight).sum();
        for tap in &mut taps {
            tap.weight /= total;
        }
        Self(taps)
    }

    fn sum(&self, at: impl Fn(usize) -> f32) -> f32 {
        self.0.iter().map(|tap| tap.weight * at(tap.source)).sum()
    }
}

/// A cubic of Keys at a distance of 0 to 2.
fn cubic(x: f32, a: f32) -> f32 {
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_value_fills_any_size_and_the_own_size_changes_nothing() {
        let latent = [1.5, -2.0, 0.25, 4.0, 8.0, -1.0];
        for upscaler in LatentUpscaler::ALL {
            let single = resize_latent(&latent[..2], (1, 1), (3, 2), upscaler);
            assert!(single[..6].iter().all(|value| (value - 1.5).abs() < 1e-6), "{upscaler:?}");
            assert!(single[6..].iter().all(|value| (value + 2.0).abs() < 1e-6), "{upscaler:?}");
            assert_eq!(resize_latent(&latent, (3, 2), (3, 2), upscaler), latent, "{upscaler:?}");
            assert_eq!(LatentUpscaler::of_name(upscaler.name()), Some(upscaler));
            assert_eq!(resize_latent(&latent, (3, 2), (1, 1), upscaler).len(), 1);
        }
        assert_eq!(LatentUpscaler::of_name("Lanczos"), None);
    }

    #[test]
    fn a_part_of_each_plane_is_kept() {
        let latent: Vec<f32> = (0..12).map(|value| value as f32).collect();
        assert_eq!(crop_latent(&latent, (3, 2), (2, 1), (1, 1)), [4.0, 5.0, 10.0, 11.0]);
    }
}
