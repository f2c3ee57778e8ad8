//! Which bucket an image goes to, the size it is brought to, and what is cropped. Pure arithmetic, no files.
//!
//! Source: sd-scripts `BucketManager`, `make_bucket_resolutions`, `adjust_min_max_bucket_reso_by_steps`. All divisions
//! are in f64 in the same order, so that ties and roundings fall the same way. Without bucketing there is one bucket,
//! the resolution: sd-scripts does that too when it caches latents (uncached it refuses images of another size).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use lorabake_recipe::data::{Buckets, Data};

use crate::dataset::{Dataset, Item};
use crate::error::{Error, Errors};
use crate::problem::{BucketLimit, Problem};
use crate::size::{Size, area, aspect_ratio};
use lorabake_pixels::probe::MAX_PIXELS;

/// Where one image goes; sizes in pixels, (width, height).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// Size of the bucket, and of the pixels that are trained on.
    pub bucket: Size,
    /// Size after resizing, before cropping; covers the bucket.
    pub resized: Size,
    /// Columns cut at the left and rows cut at the top after resizing.
    pub crop: (u32, u32),
    /// Left, top, right and bottom as SDXL is told them: in the frame of the bucket, with the image fitted inside.
    pub crop_ltrb: [f64; 4],
    /// Aspect ratio of the bucket minus that of the image.
    pub ar_error: f64,
}

impl Placement {
    /// Share of the resized image that the crop removes, 0 to 1.
    pub fn cropped_share(&self) -> f64 {
        1.0 - area(self.bucket) as f64 / area(self.resized) as f64
    }
}

/// How images are assigned to buckets.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// Nearest aspect ratio among these sizes, enlarging where needed.
    Nearest(Vec<Size>),
    /// Never enlarge: shrink to `max_area` if larger, then cut to multiples of `step`.
    NoUpscale {
        /// Largest area in pixels.
        max_area: u64,
        /// Sides of buckets are multiples of this.
        step: u32,
    },
}

impl Rule {
    /// The rule for these settings; without bucketing, that of the one size.
    ///
    /// # Errors
    /// If the settings contradict each other or the resolution.
    pub fn new(resolution: Size, buckets: Option<&Buckets>) -> Result<Self, Error> {
        let Some(buckets) = buckets else { return Ok(Self::Nearest(vec![resolution])) };
        let limits = Limits::new(buckets)?;
        limits.check(resolution, buckets)?;
        if buckets.no_upscale {
            return Ok(Self::NoUpscale { max_area: area(resolution), step: buckets.step });
        }
        Ok(Self::Nearest(limits.sizes(resolution)))
    }

    /// The place of an image of this size; `None` if it is too small for any bucket (only with `NoUpscale`).
    pub fn place(&self, image: Size) -> Option<Placement> {
        let fit = match self {
            Self::Nearest(sizes) => nearest(sizes, image)?,
            Self::NoUpscale { max_area, step } => no_upscale(*max_area, *step, image)?,
        };
        let Fit { bucket, resized } = fit;
        let aspect = aspect_ratio(image);
        Some(Placement {
            bucket,
            resized,
            crop: ((resized.0 - bucket.0) / 2, (resized.1 - bucket.1) / 2),
            crop_ltrb: crop_ltrb(bucket, aspect),
            ar_error: aspect_ratio(bucket) - aspect,
        })
    }
}

/// The placement of every item of a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// One per item of the data set, in its order.
    pub placements: Vec<Placement>,
    /// The buckets that hold at least one use, by width, then height.
    pub buckets: Vec<Size>,
    /// Whether `--enable_bucket` is on.
    pub bucketing: bool,
    /// Warnings about the settings.
    pub problems: Vec<Problem>,
}

impl Layout {
    /// Places every item.
    ///
    /// # Errors
    /// If bucket settings contradict each other, or else if images fit nowhere: all of these together.
    pub fn new(dataset: &Dataset, data: &Data) -> Result<Self, Errors> {
        let mut rules: BTreeMap<usize, Rule> = BTreeMap::new();
        let mut problems = Vec::new();
        let mut bucketing = data.config.is_none() && data.buckets.is_some();
        for item in &dataset.items {
            let settings = dataset.settings(data, item);
            if let Entry::Vacant(vacant) = rules.entry(dataset.group(data, item)) {
                vacant.insert(Rule::new(settings.resolution, settings.buckets.as_ref())?);
                if let Some(buckets) = &settings.buckets {
                    problems.extend(moved_limits(buckets)?);
                    bucketing = true;
                }
            }
        }
        let mut errors = Vec::new();
        let mut placements = Vec::with_capacity(dataset.items.len());
        for item in &dataset.items {
            match rules[&dataset.group(data, item)].place(item.size) {
                Some(placement) => {
                    errors.extend(too_much(item, &placement));
                    placements.push(placement);
                }
                None => {
                    let step = dataset.settings(data, item).buckets.as_ref().map_or(1, |buckets| buckets.step);
                    errors.push(Error::TooSmall { path: item.path.clone(), size: item.size, step });
                }
            }
        }
        Errors::check(errors)?;
        let buckets = used_buckets(&dataset.items, &placements);
        Ok(Self { placements, buckets, bucketing, problems })
    }
}

/// The buckets that hold at least one use, by width, then height.
pub(crate) fn used_buckets(items: &[Item], placements: &[Placement]) -> Vec<Size> {
    let mut buckets = BTreeSet::new();
    for (item, placement) in items.iter().zip(placements) {
        if item.uses > 0 {
            buckets.insert(placement.bucket);
        }
    }
    buckets.into_iter().collect()
}

/// Warnings about limits of bucket sides that are no multiples of the step, and are moved outwards to one.
///
/// # Errors
/// If the step is 0.
pub fn moved_limits(buckets: &Buckets) -> Result<Vec<Problem>, Error> {
    let Limits { min, max, step } = Limits::new(buckets)?;
    let mut problems = Vec::new();
    if min != buckets.min {
        problems.push(Problem::BucketLimitMoved { limit: BucketLimit::Min, from: buckets.min, to: min, step });
    }
    if max != buckets.max {
        problems.push(Problem::BucketLimitMoved { limit: BucketLimit::Max, from: buckets.max, to: max, step });
    }
    Ok(problems)
}

/// Shortest and longest side of a bucket, both multiples of the step.
struct Limits {
    min: u32,
    max: u32,
    step: u32,
}

impl Limits {
    fn new(buckets: &Buckets) -> Result<Self, Error> {
        let step = buckets.step;
        if step == 0 {
            return Err(Error::Buckets("--bucket_reso_steps must be at least 1; 64 is usual".into()));
        }
        Ok(Self { min: buckets.min - buckets.min % step, max: buckets.max.div_ceil(step) * step, step })
    }

    /// Whether a bucket of the resolution is possible.
    fn check(&self, resolution: Size, buckets: &Buckets) -> Result<(), Error> {
        let Self { min, max, step } = self;
        let shorter = resolution.0.min(resolution.1);
        if *min > shorter {
            return Err(Error::Buckets(format!(
                "--min_bucket_reso {min} is larger than the shorter side of the resolution, {shorter}; lower it"
            )));
        }
        let longer = resolution.0.max(resolution.1);
        if *max < longer {
            return Err(Error::Buckets(format!(
                "--max_bucket_reso {max} is smaller than the longer side of the resolution, {longer}; raise it"
            )));
        }
        if *min == 0 || area(resolution) < u64::from(*step).pow(2) {
            return Err(Error::Buckets(format!(
                "--min_bucket_reso {} and the resolution must be at least --bucket_reso_steps {step}",
                buckets.min
            )));
        }
        Ok(())
    }

    /// All bucket sizes of at most the resolution's area, sorted.
    fn sizes(&self, resolution: Size) -> Vec<Size> {
        let Self { min, max, step } = *self;
        let max_area = area(resolution);
        let square = ((max_area as f64).sqrt() / f64::from(step)).floor() as u32 * step;
        let mut sizes = BTreeSet::from([(square, square)]);
        for width in (min..=max).step_by(step as usize) {
            let fitting = (max_area / u64::from(width) / u64::from(step)) * u64::from(step);
            let height = fitting.min(u64::from(max)) as u32;
            if height >= min {
                sizes.insert((width, height));
                sizes.insert((height, width));
            }
        }
        sizes.into_iter().collect()
    }
}

/// Share of an image that may be cropped away at most.
const MOST_CROPPED: f64 = 0.99;

/// Why an image is not brought to the size of its placement: it would cost much and leave little.
fn too_much(item: &Item, placement: &Placement) -> Option<Error> {
    let Placement { bucket, resized, .. } = *placement;
    let path = item.path.clone();
    if placement.cropped_share() > MOST_CROPPED {
        return Some(Error::TooExtreme { path, size: item.size, bucket });
    }
    if area(resized) > MAX_PIXELS {
        return Some(Error::TooEnlarged { path, size: item.size, resized, bucket });
    }
    None
}

/// The bucket of an image, and the size that it is brought to before cropping.
struct Fit {
    bucket: Size,
    resized: Size,
}

/// The size itself if it is a bucket, else the first bucket with the nearest aspect ratio; resized to cover it.
fn nearest(sizes: &[Size], image: Size) -> Option<Fit> {
    let aspect = aspect_ratio(image);
    let bucket = if sizes.contains(&image) { image } else { nearest_aspect(sizes, aspect)? };
    let scale = if aspect > aspect_ratio(bucket) {
        f64::from(bucket.1) / f64::from(image.1)
    } else {
        f64::from(bucket.0) / f64::from(image.0)
    };
    let resized = (round(f64::from(image.0) * scale), round(f64::from(image.1) * scale));
    Some(Fit { bucket, resized })
}

/// The first of the sizes whose aspect ratio is nearest.
fn nearest_aspect(sizes: &[Size], aspect: f64) -> Option<Size> {
    let mut nearest = None;
    let mut least = f64::INFINITY;
    for size in sizes {
        let error = (aspect_ratio(*size) - aspect).abs();
        if error < least {
            least = error;
            nearest = Some(*size);
        }
    }
    nearest
}

/// Shrinks to the area, keeping the side whose rounding to the step changes the aspect ratio least, then cuts.
fn no_upscale(max_area: u64, step: u32, image: Size) -> Option<Fit> {
    let resized = if area(image) > max_area { shrunk(max_area, step, aspect_ratio(image))? } else { image };
    let bucket = (resized.0 - resized.0 % step, resized.1 - resized.1 % step);
    if area(bucket) == 0 {
        return None;
    }
    Some(Fit { bucket, resized })
}

/// The size of about `max_area` pixels with this aspect ratio, one side of which is a multiple of the step.
fn shrunk(max_area: u64, step: u32, aspect: f64) -> Option<Size> {
    let width = (max_area as f64 * aspect).sqrt();
    let height = max_area as f64 / width;
    let by_width = to_step(width, step);
    let by_width_ratio = aspect_ratio((by_width, to_step(f64::from(by_width) / aspect, step)));
    let by_height = to_step(height, step);
    let by_height_ratio = aspect_ratio((to_step(f64::from(by_height) * aspect, step), by_height));
    if !by_width_ratio.is_finite() || !by_height_ratio.is_finite() {
        return None;
    }
    if (by_width_ratio - aspect).abs() < (by_height_ratio - aspect).abs() {
        Some((by_width, round(f64::from(by_width) / aspect)))
    } else {
        Some((round(f64::from(by_height) * aspect), by_height))
    }
}

fn crop_ltrb(bucket: Size, aspect: f64) -> [f64; 4] {
    let width = f64::from(bucket.0);
    let height = f64::from(bucket.1);
    let mut fitted_width = width;
    let mut fitted_height = height;
    if aspect_ratio(bucket) > aspect {
        fitted_width = height * aspect;
    } else {
        fitted_height = width / aspect;
    }
    let left = ((width - fitted_width) / 2.0).floor();
    let top = ((height - fitted_height) / 2.0).floor();
    [left, top, left + fitted_width, top + fitted_height]
}

/// Half goes up, as `int(x + 0.5)`.
fn round(x: f64) -> u32 {
    (x + 0.5) as u32
}

fn to_step(x: f64, step: u32) -> u32 {
    let x = round(x);
    x - x % step
}
