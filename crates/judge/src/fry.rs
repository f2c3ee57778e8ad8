//! M8: whether pictures are "fried": too saturated, too contrasty, too sharp, cut off at black and white.
//!
//! Definition: z = (mean of a value over the LoRA's pictures − mean over the base's for the same prompts) ÷ spread of the
//! base's. Where the training set itself lies on that side of the base, z is taken from the set, and is 0 up to it: neon
//! signs may be as saturated as the neon signs that were trained on. Signs of overtraining that people look for by eye.
//! Misleads: high CFG and noise offset do the same, so all pictures are to be made at CFG 5. A set of line drawings is
//! sharp; that is why the set is asked, too.

use lorabake_pixels::pillow::{Filter, resize};
use lorabake_pixels::{Rgb, Size};

use crate::bootstrap::{mean, spread};
use crate::picture::{Luma, Spectrum};
use crate::quantile::quantile;

/// Sharpness depends on the size, so it is measured at one.
const SHARP_AT: Size = (256, 256);
/// A channel at or below the first, or at or above the second, is cut off.
const CUT_OFF: [u8; 2] = [1, 254];

/// A value that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The share of pixels with a channel at black or full, 0 to 1.
    CutOff,
    /// The 99th percentile of saturation (of hue, saturation, value), 0 to 1.
    Saturation,
    /// The standard deviation of brightness, 0 to 1.
    Contrast,
    /// The mean |Laplacian| of brightness at 256 × 256 pixels.
    Sharpness,
    /// The share of power beyond half the Nyquist frequency, 0 to 1.
    FineDetail,
    /// The 99.9th percentile of |latents| in the UNet's scale.
    LatentExtremes,
    /// The mean of one of the four latent channels.
    LatentMean(usize),
}

/// All values, in the order in which a picture has them.
pub const LOOKS: [Look; 10] = [
    Look::CutOff,
    Look::Saturation,
    Look::Contrast,
    Look::Sharpness,
    Look::FineDetail,
    Look::LatentExtremes,
    Look::LatentMean(0),
    Look::LatentMean(1),
    Look::LatentMean(2),
    Look::LatentMean(3),
];

impl Look {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CutOff => "cut off at black or full",
            Self::Saturation => "saturation",
            Self::Contrast => "contrast",
            Self::Sharpness => "sharpness",
            Self::FineDetail => "fine detail",
            Self::LatentExtremes => "extremes of latents",
            Self::LatentMean(0) => "brightness of latents",
            Self::LatentMean(_) => "tint of latents",
        }
    }

    /// The least spread that counts, in the value's unit: a base whose few pictures agree by chance is no measure.
    fn least_spread(self) -> f64 {
        match self {
            Self::CutOff => 0.01,
            Self::Saturation | Self::Contrast => 0.02,
            Self::Sharpness => 0.002,
            Self::FineDetail => 1e-4,
            Self::LatentExtremes => 0.1,
            Self::LatentMean(_) => 0.05,
        }
    }
}

/// The values of one picture, in the order of [`LOOKS`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Looks([f64; LOOKS.len()]);

impl Looks {
    /// The values of a picture with its latents in the UNet's scale, 4 channels one after another.
    pub fn of(picture: &Rgb, latents: &[f32]) -> Self {
        let luma = Luma::of(picture);
        let sizes: Vec<f64> = latents.iter().map(|value| f64::from(value.abs())).collect();
        let values = LOOKS.map(|look| match look {
            Look::CutOff => cut_off(picture),
            Look::Saturation => quantile(&saturations(picture), 0.99),
            Look::Contrast => luma.contrast(),
            Look::Sharpness => Luma::of(&resize(picture, SHARP_AT, Filter::Bilinear)).sharpness(),
            Look::FineDetail => Spectrum::of(&luma).fine(),
            Look::LatentExtremes => quantile(&sizes, 0.999),
            Look::LatentMean(channel) => {
                let plane = latents.len() / 4;
                let own = &latents[channel * plane..][..plane];
                own.iter().copied().map(f64::from).sum::<f64>() / plane as f64
            }
        });
        Self(values)
    }

    /// One of the values.
    pub fn get(&self, look: Look) -> f64 {
        let place = LOOKS.iter().position(|own| *own == look).expect("all looks are in the list");
        self.0[place]
    }
}

fn cut_off(picture: &Rgb) -> f64 {
    let mut count = 0;
    for pixel in picture.pixels() {
        if pixel.iter().any(|channel| *channel <= CUT_OFF[0] || *channel >= CUT_OFF[1]) {
            count += 1;
        }
    }
    f64::from(count) / picture.pixels().len() as f64
}

/// (largest − smallest channel) ÷ largest, 0 for black.
fn saturations(picture: &Rgb) -> Vec<f64> {
    let mut all = Vec::with_capacity(picture.pixels().len());
    for [red, green, blue] in picture.pixels() {
        let [largest, smallest] = [*red.max(green).max(blue), *red.min(green).min(blue)].map(f64::from);
        all.push(if largest > 0.0 { (largest - smallest) / largest } else { 0.0 });
    }
    all
}

/// How far a value has gone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// Which value.
    pub look: Look,
    /// How many spreads of the base beyond base and training set: above 0 = more of it.
    pub z: f64,
    /// The means over the LoRA's pictures, the base's, and the training set's if there is one.
    pub means: [Option<f64>; 3],
}

/// How fried pictures are.
#[derive(Debug, Clone, PartialEq)]
pub struct Fry {
    /// The values, the farthest gone first.
    pub shifts: Vec<Shift>,
    /// The three pictures that have gone farthest in any value, the farthest first.
    pub worst: Vec<usize>,
}

/// How fried pictures with a LoRA are beside the base's for the same prompts, and the training set (which may be empty).
/// `None` if there are no pictures of one kind.
pub fn fry(lora: &[Looks], base: &[Looks], set: &[Looks]) -> Option<Fry> {
    if lora.is_empty() || base.is_empty() {
        return None;
    }
    let mut shifts = Vec::with_capacity(LOOKS.len());
    let mut farthest = vec![0.0_f64; lora.len()];
    for look in LOOKS {
        let values = |all: &[Looks]| -> Vec<f64> { all.iter().map(|looks| looks.get(look)).collect() };
        let [ours, theirs, real] = [values(lora), values(base), values(set)];
        let scale = Beyond::of(look, &theirs, &real);
        let own = mean(&ours);
        let real = if real.is_empty() { None } else { Some(mean(&real)) };
        shifts.push(Shift { look, z: scale.z(own), means: [Some(own), Some(mean(&theirs)), real] });
        for (far, value) in farthest.iter_mut().zip(&ours) {
            *far = far.max(scale.z(*value).abs());
        }
    }
    shifts.sort_by(|one, other| other.z.abs().total_cmp(&one.z.abs()));
    let mut worst: Vec<usize> = (0..lora.len()).collect();
    worst.sort_by(|one, other| farthest[*other].total_cmp(&farthest[*one]));
    worst.truncate(3);
    Some(Fry { shifts, worst })
}

/// Looks of the set that are so many units beyond the base's tell whether they come along.
const MARKED: f64 = 2.0;

/// How far the looks of pictures have gone from the base's for the same prompts to the training set's, 0 = nowhere, 1 = all
/// the way: the mean over values in which the set differs from the base. `None` where there are none, or no pictures.
/// Of prompts without the trigger it tells whether the set's style comes along.
pub fn way_to_set(lora: &[Looks], base: &[Looks], set: &[Looks]) -> Option<f64> {
    if lora.is_empty() || base.is_empty() || set.is_empty() {
        return None;
    }
    let mut shares = Vec::new();
    for look in LOOKS {
        let middle = |all: &[Looks]| mean(&all.iter().map(|looks| looks.get(look)).collect::<Vec<f64>>());
        let [own, from, to] = [middle(lora), middle(base), middle(set)];
        let unit = Beyond::of(look, &base.iter().map(|looks| looks.get(look)).collect::<Vec<f64>>(), &[]).unit;
        if (to - from).abs() > MARKED * unit {
            shares.push((own - from) / (to - from));
        }
    }
    if shares.is_empty() { None } else { Some(mean(&shares)) }
}

/// What is usual for a value, and the unit of what is beyond.
struct Beyond {
    base: f64,
    set: Option<f64>,
    unit: f64,
}

impl Beyond {
    fn of(look: Look, base: &[f64], set: &[f64]) -> Self {
        let mut unit = spread(base).max(look.least_spread());
        let mut middle = None;
        if !set.is_empty() {
            unit = unit.max(spread(set));
            middle = Some(mean(set));
        }
        Self { base: mean(base), set: middle, unit }
    }

    fn z(&self, value: f64) -> f64 {
        let [low, high] = match self.set {
            Some(set) => [self.base.min(set), self.base.max(set)],
            None => [self.base, self.base],
        };
        (value - value.clamp(low, high)) / self.unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks whose saturation alone differs.
    fn saturated(values: &[f64]) -> Vec<Looks> {
        let mut all = Vec::new();
        for value in values {
            let mut looks = [0.5; LOOKS.len()];
            looks[1] = *value;
            all.push(Looks(looks));
        }
        all
    }

    fn z(lora: &[f64], set: &[f64]) -> f64 {
        let found = fry(&saturated(lora), &saturated(&[0.4, 0.5, 0.6]), &saturated(set)).unwrap();
        let shift = found.shifts.iter().find(|shift| shift.look == Look::Saturation).unwrap();
        assert!(found.shifts.iter().all(|other| other.look == Look::Saturation || other.z == 0.0));
        shift.z
    }

    #[test]
    fn more_than_the_base_counts_in_its_spreads() {
        let spread = (0.02_f64 / 3.0).sqrt();
        assert!((z(&[0.8, 0.9], &[]) - 0.35 / spread).abs() < 1e-9);
        assert!((z(&[0.3], &[]) + 0.2 / spread).abs() < 1e-9);
    }

    #[test]
    fn what_the_set_has_is_no_fault() {
        assert_eq!(z(&[0.8, 0.9], &[0.9, 0.9]), 0.0);
        // Beyond the set it counts from there, and a set on the other side changes nothing.
        assert!((z(&[0.95], &[0.85, 0.85]) - z(&[0.6], &[])).abs() < 1e-9);
        assert!((z(&[0.9], &[0.4]) - z(&[0.9], &[])).abs() < 1e-9);
    }

    #[test]
    fn the_worst_three_are_named() {
        let lora = saturated(&[0.5, 0.99, 0.6, 0.1, 0.7]);
        let found = fry(&lora, &saturated(&[0.4, 0.6]), &[]).unwrap();
        assert_eq!(found.worst, [1, 3, 4]);
        assert_eq!(found.shifts[0].look, Look::Saturation);
        assert_eq!(fry(&[], &lora, &[]), None);
        assert_eq!(fry(&lora, &[], &[]), None);
    }

    #[test]
    fn the_way_to_the_set_counts_where_the_set_differs() {
        let base = saturated(&[0.1, 0.11]);
        let way = |own: f64| way_to_set(&saturated(&[own]), &base, &saturated(&[0.905]));
        assert!((way(0.505).unwrap() - 0.5).abs() < 1e-9 && way(0.105).unwrap().abs() < 1e-9);
        assert_eq!(way_to_set(&base, &base, &saturated(&[0.12])), None);
        assert_eq!(way_to_set(&base, &base, &[]), None);
    }

    #[test]
    fn latents_are_looked_at_channel_by_channel() {
        let picture = Rgb::filled((8, 8), [255, 0, 0]);
        let looks = Looks::of(&picture, &[1.0, 3.0, -1.0, -1.0, 0.0, 0.0, 0.5, -4.0]);
        let means = [0, 1, 2, 3].map(|channel| looks.get(Look::LatentMean(channel)));
        assert_eq!(means, [2.0, -1.0, 0.0, -1.75]);
        assert!(looks.get(Look::LatentExtremes) > 3.9);
        assert_eq!([looks.get(Look::CutOff), looks.get(Look::Saturation)], [1.0, 1.0]);
        assert!(looks.get(Look::Contrast) < 1e-12);
    }
}
