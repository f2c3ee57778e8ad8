//! Which bucket an image goes to, the size it is brought to, and what is cropped. Pure arithmetic, no files.
//!
//! Source: sd-scripts `BucketManager`, `make_bucket_resolutions`, `adjust_min_max_bucket_reso_by_steps`. All divisions
//! are in f64 in the same order, so that ties and roundings fall the same way. Without bucketing there is one bucket,
//! the resolution: sd-scripts does that too when it caches latents (uncached it refuses images of another size).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use lorabake_recipe::data::{Buckets, Data};

use crate::dataset::Dataset;
use crate::error::{Error, Errors};
use crate::problem::{BucketLimit, Problem};
use crate::size::{Size, area, aspect_ratio};

/// Where one image goes; sizes in pixels, (width, height).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// Size of the bucket, and of the pixels that are trained on.
    pub bucket: Size,
    /// Size after resizing, before cropping; covers the bucket.
    pub resized: Size,
    /// Columns cut at the left and rows cut at the top after resizing.
    pub crop: (u32, u32),
    /// left, top, right, bottom as SDXL is told them: in the frame of the bucket, with the image fitted inside.
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
    /// The rule for these settings, with a warning for each limit that had to be moved to a multiple of the step.
    pub fn new(resolution: Size, buckets: Option<&Buckets>) -> Result<(Self, Vec<Problem>), Error> {
        let Some(buckets) = buckets else { return Ok((Self::Nearest(vec![resolution]), Vec::new())) };
        let (limits, problems) = limits(resolution, buckets)?;
        if buckets.no_upscale {
            return Ok((Self::NoUpscale { max_area: area(resolution), step: buckets.step }, problems));
        }
        Ok((Self::Nearest(sizes(resolution, limits, buckets.step)), problems))
    }

    /// The place of an image of this size; `None` if it is too small for any bucket (only with `NoUpscale`).
    pub fn place(&self, image: Size) -> Option<Placement> {
        let aspect = aspect_ratio(image);
        let (bucket, resized) = match self {
            Self::Nearest(sizes) => nearest(sizes, image)?,
            Self::NoUpscale { max_area, step } => no_upscale(*max_area, *step, image)?,
        };
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
    /// Places every item; all images that fit nowhere are reported together.
    pub fn new(dataset: &Dataset, data: &Data) -> Result<Self, Errors> {
        let (mut rules, mut problems): (BTreeMap<usize, Rule>, Vec<Problem>) = (BTreeMap::new(), Vec::new());
        let mut bucketing = data.config.is_none() && data.buckets.is_some();
        for item in &dataset.items {
            let (group, own) = (dataset.group(data, item), dataset.settings(data, item));
            if let Entry::Vacant(vacant) = rules.entry(group) {
                let (rule, told) = Rule::new(own.resolution, own.buckets.as_ref())?;
                vacant.insert(rule);
                problems.extend(told);
                bucketing |= own.buckets.is_some();
            }
        }
        let mut errors = Vec::new();
        let mut placements = Vec::with_capacity(dataset.items.len());
        for item in &dataset.items {
            match rules[&dataset.group(data, item)].place(item.size) {
                Some(placement) => placements.push(placement),
                None => {
                    let step = dataset.settings(data, item).buckets.as_ref().map_or(1, |buckets| buckets.step);
                    errors.push(Error::TooSmall { path: item.path.clone(), size: item.size, step });
                }
            }
        }
        if !errors.is_empty() {
            return Err(Errors(errors));
        }
        let used = dataset.items.iter().zip(&placements).filter(|(item, _)| item.uses > 0);
        let buckets: BTreeSet<Size> = used.map(|(_, placement)| placement.bucket).collect();
        let buckets = buckets.into_iter().collect();
        Ok(Self { placements, buckets, bucketing, problems })
    }
}

/// Limits rounded outwards to multiples of the step, and checked against the resolution.
fn limits(resolution: Size, buckets: &Buckets) -> Result<((u32, u32), Vec<Problem>), Error> {
    let step = buckets.step;
    if step == 0 {
        return Err(Error::Buckets("--bucket_reso_steps must be at least 1; 64 is usual".into()));
    }
    let (min, max) = (buckets.min - buckets.min % step, buckets.max.div_ceil(step) * step);
    let (short, long) = (resolution.0.min(resolution.1), resolution.0.max(resolution.1));
    if min > short {
        return Err(Error::Buckets(format!(
            "--min_bucket_reso {min} is larger than the shorter side of the resolution, {short}; lower it"
        )));
    }
    if max < long {
        return Err(Error::Buckets(format!(
            "--max_bucket_reso {max} is smaller than the longer side of the resolution, {long}; raise it"
        )));
    }
    if min == 0 || area(resolution) < u64::from(step).pow(2) {
        return Err(Error::Buckets(format!(
            "--min_bucket_reso {} and the resolution must be at least --bucket_reso_steps {step}",
            buckets.min
        )));
    }
    let mut problems = Vec::new();
    if min != buckets.min {
        problems.push(Problem::BucketLimitMoved { limit: BucketLimit::Min, from: buckets.min, to: min, step });
    }
    if max != buckets.max {
        problems.push(Problem::BucketLimitMoved { limit: BucketLimit::Max, from: buckets.max, to: max, step });
    }
    Ok(((min, max), problems))
}

/// All bucket sizes of at most the resolution's area, sorted.
fn sizes(resolution: Size, (min, max): (u32, u32), step: u32) -> Vec<Size> {
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

/// The size itself if it is a bucket, else the first bucket with the nearest aspect ratio; resized to cover it.
fn nearest(sizes: &[Size], image: Size) -> Option<(Size, Size)> {
    let aspect = aspect_ratio(image);
    let error = |size: &Size| (aspect_ratio(*size) - aspect).abs();
    let bucket = match sizes.contains(&image) {
        true => image,
        false => *sizes.iter().min_by(|a, b| error(a).total_cmp(&error(b)))?,
    };
    let scale = match aspect > aspect_ratio(bucket) {
        true => f64::from(bucket.1) / f64::from(image.1),
        false => f64::from(bucket.0) / f64::from(image.0),
    };
    Some((bucket, (round(f64::from(image.0) * scale), round(f64::from(image.1) * scale))))
}

/// Shrinks to the area, keeping the side whose rounding to the step changes the aspect ratio least, then cuts.
fn no_upscale(max_area: u64, step: u32, image: Size) -> Option<(Size, Size)> {
    let aspect = aspect_ratio(image);
    let mut resized = image;
    if area(image) > max_area {
        let width = (max_area as f64 * aspect).sqrt();
        let height = max_area as f64 / width;
        let by_width = to_step(width, step);
        let by_width_ratio = aspect_ratio((by_width, to_step(f64::from(by_width) / aspect, step)));
        let by_height = to_step(height, step);
        let by_height_ratio = aspect_ratio((to_step(f64::from(by_height) * aspect, step), by_height));
        if !by_width_ratio.is_finite() || !by_height_ratio.is_finite() {
            return None;
        }
        resized = match (by_width_ratio - aspect).abs() < (by_height_ratio - aspect).abs() {
            true => (by_width, round(f64::from(by_width) / aspect)),
            false => (round(f64::from(by_height) * aspect), by_height),
        };
    }
    let bucket = (resized.0 - resized.0 % step, resized.1 - resized.1 % step);
    (bucket.0 > 0 && bucket.1 > 0).then_some((bucket, resized))
}

fn crop_ltrb(bucket: Size, aspect: f64) -> [f64; 4] {
    let (width, height) = (f64::from(bucket.0), f64::from(bucket.1));
    let fitted = if aspect_ratio(bucket) > aspect { (height * aspect, height) } else { (width, width / aspect) };
    let (left, top) = (((width - fitted.0) / 2.0).floor(), ((height - fitted.1) / 2.0).floor());
    [left, top, left + fitted.0, top + fitted.1]
}

/// Half goes up, as `int(x + 0.5)`.
fn round(x: f64) -> u32 {
    (x + 0.5) as u32
}

fn to_step(x: f64, step: u32) -> u32 {
    let x = round(x);
    x - x % step
}
