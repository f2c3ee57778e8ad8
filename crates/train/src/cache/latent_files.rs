//! Latents beside their images (`--cache_latents_to_disk`), in files that sd-scripts reads and writes.
//!
//! Source: sd-scripts `SdSdxlLatentsCachingStrategy`, `_default_cache_batch_latents`. Up to 0.10 its arrays are called
//! `latents`, `original_size`, `crop_ltrb`, `latents_flipped` and `alpha_mask`; later ones end in the size of the latents,
//! `_64x64` for height and width, so that a file holds several sizes. Both are read and both are written. sd-scripts
//! looks at names only. Here each latents array has a seal beside it, a hash of the VAE, the pixels and the array: it
//! holds for just these, so that nothing stale is used, whoever wrote into the file since.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use lorabake_data::bucket::Placement;
use lorabake_data::image::Rgb;
use lorabake_data::{Item, comparable_path};
use lorabake_model::family::latent_scale;
use lorabake_ops::WeightDtype;
use lorabake_recipe::data::caches::Trust;
use lorabake_recipe::{Recipe, count};
use lorabake_weights::formats::npz::{Array, Npz};
use lorabake_weights::{Checkpoint, Family};
use sha2::{Digest, Sha256};

use super::latents::Latents;

/// Pixels per latent, along each side.
const CELL: usize = 8;
/// The two arrays of an image: upright, mirrored.
const NAMES: [&str; 2] = ["latents", "latents_flipped"];
/// Latents that stray further from the VAE's mean than its own spread explains, by this share, are those of another VAE
/// or image. Half-precision VAEs stray by some thousandths.
const TOLERANCE: f64 = 0.05;

/// One image whose latents are wanted.
pub(crate) struct Subject<'a> {
    /// Where it comes from.
    pub item: &'a Item,
    /// How it was brought to size.
    pub placement: &'a Placement,
    /// Its pixels: upright, and mirrored if it is mirrored.
    pub views: [Option<&'a Rgb>; 2],
    /// Its alpha channel, if that weighs the loss.
    pub alpha: Option<&'a Rgb>,
}

/// The files of a run, and what came of them.
pub(crate) struct LatentFiles {
    trust: Trust,
    /// SHA-256 of the VAE's encoder; in half precision, of that and the precision, since it makes other latents then.
    vae: [u8; 32],
    family: Family,
    /// Whether foreign latents are those of this VAE, once one was compared.
    same_vae: Option<bool>,
    /// Files that would be those of several images, as names are compared.
    shared: HashSet<PathBuf>,
    tally: Tally,
}

/// Images, by what happened to their files.
#[derive(Default)]
struct Tally {
    read: usize,
    written: usize,
    stale: usize,
    /// Used though nothing says what they were made from.
    foreign: Vec<PathBuf>,
    /// Not used: of another VAE or image, as a comparison shows.
    mismatched: Vec<PathBuf>,
    /// Not used: older than their images, or made from an image of another size.
    doubtful: Vec<PathBuf>,
    damaged: Vec<String>,
    unwritable: Vec<String>,
    /// Images whose file would be another image's too.
    nameless: Vec<PathBuf>,
}

/// What a file has for one view.
enum CachedLatents {
    /// Made by us from this very image, by this VAE.
    Sealed(Vec<f32>),
    /// Made by another program, of what it does not say.
    Foreign(Vec<f32>),
    /// Nothing that can be used.
    Nothing,
}

/// An image as it is used, upright or mirrored.
#[derive(Clone, Copy)]
struct View<'a> {
    /// Name of its array.
    name: &'static str,
    image: &'a Rgb,
}

/// One sample of the latents of a view.
struct Sample {
    latents: Latents,
    /// Whether it was made now, and is not in the file yet.
    is_new: bool,
}

impl LatentFiles {
    /// For a run of this recipe with this checkpoint's VAE, held so, if it wants any.
    ///
    /// # Errors
    /// When the VAE cannot be read.
    pub fn of(recipe: &Recipe, checkpoint: &Checkpoint, dtype: WeightDtype) -> Result<Option<Self>> {
        let Some(trust) = recipe.caches.latents_on_disk else { return Ok(None) };
        let family = checkpoint.family();
        let vae = checkpoint.encoder_digest()?;
        let vae = match dtype {
            WeightDtype::F32 => vae,
            WeightDtype::Bf16 | WeightDtype::Int8 => {
                Sha256::new_with_prefix("bf16").chain_update(vae).finalize().into()
            }
        };
        Ok(Some(Self { trust, vae, family, same_vae: None, shared: HashSet::new(), tally: Tally::default() }))
    }

    /// One sample per view: read where it can be, otherwise made by `encode` and written.
    ///
    /// # Errors
    /// Those of `encode`. A file that cannot be read or written is worth a note.
    pub fn latents(
        &mut self,
        subject: &Subject<'_>,
        encode: impl Fn(&Rgb) -> Result<Latents>,
    ) -> Result<[Option<Latents>; 2]> {
        let Some((path, mut file)) = self.open(subject.item) else {
            self.tally.nameless.push(subject.item.path.clone());
            return keep_views(subject, encode);
        };
        let shape = shape(subject.placement);
        let mut samples = [None, None];
        for (index, image) in subject.views.into_iter().enumerate() {
            let Some(image) = image else { continue };
            let values = match self.find(&file, &path, subject, View { name: NAMES[index], image }) {
                CachedLatents::Sealed(values) => Some(values),
                CachedLatents::Foreign(values) if self.is_of_same_vae(&path, &values, image, &encode)? => Some(values),
                CachedLatents::Foreign(_) | CachedLatents::Nothing => None,
            };
            let is_new = values.is_none();
            let latents = match values {
                Some(values) => Latents::kept(latent_scale(self.family), shape, values),
                None => encode(image)?.keep_one(image),
            };
            samples[index] = Some(Sample { latents, is_new });
        }
        if samples.iter().flatten().any(|sample| sample.is_new) {
            self.put(&mut file, subject, &samples);
            match file.write(&path) {
                Ok(()) => self.tally.written += 1,
                Err(error) => self.tally.unwritable.push(error.to_string()),
            }
        } else {
            self.tally.read += 1;
        }
        Ok(samples.map(|sample| sample.map(|sample| sample.latents)))
    }

    /// Looks for files that would be those of several images, whose names differ in their suffix only: nobody could say
    /// whose latents they hold, and each image would overwrite those of the other.
    pub fn set_apart(&mut self, items: &[Item]) {
        let mut owners: HashMap<PathBuf, &Path> = HashMap::new();
        for item in items {
            for place in self.places(item) {
                let place = comparable_path(&place);
                if *owners.entry(place.clone()).or_insert(&item.path) != item.path {
                    self.shared.insert(place);
                }
            }
        }
    }

    /// The files in which sd-scripts looks for an item's latents, the one that is written last.
    fn places(&self, item: &Item) -> [PathBuf; 2] {
        let mut stem = item.path.file_stem().unwrap_or_default().to_owned();
        let kind = if self.family == Family::Sdxl { "sdxl" } else { "sd" };
        stem.push(format!("_{:04}x{:04}_{kind}.npz", item.size.0, item.size.1));
        [item.path.with_extension("npz"), item.path.with_file_name(stem)]
    }

    /// The item's file and what it holds: the one that sd-scripts would use. `None` if it is another image's as well.
    fn open(&mut self, item: &Item) -> Option<(PathBuf, Npz)> {
        let [old, new] = self.places(item);
        if self.shared.contains(&comparable_path(&new)) {
            return None;
        }
        for path in [old, new.clone()] {
            if !path.exists() || self.shared.contains(&comparable_path(&path)) {
                continue;
            }
            match Npz::read(&path) {
                Ok(file) => return Some((path, file)),
                Err(error) => self.tally.damaged.push(error.to_string()),
            }
        }
        Some((new, Npz::default()))
    }

    /// What the file has for a view: under the name with the size of the latents, or else under the plain one.
    fn find(&mut self, file: &Npz, path: &Path, subject: &Subject<'_>, view: View<'_>) -> CachedLatents {
        let shape = shape(subject.placement);
        let suffix = suffix(subject.placement);
        let sized_name = format!("{}{suffix}", view.name);
        let sized = fitting(file, &sized_name, shape);
        if let Some(values) = &sized
            && let Some(seal) = file.get::<u8>(&seal_of(&sized_name))
        {
            if seal.values == self.seal(view.image, values) {
                return CachedLatents::Sealed(values.clone());
            }
            if self.trust == Trust::Checked {
                self.tally.stale += usize::from(view.name == NAMES[0]);
                return CachedLatents::Nothing;
            }
        }
        let mut found = None;
        if let Some(values) = sized {
            found = Some((values, suffix.as_str()));
        } else if let Some(values) = fitting(file, view.name, shape) {
            found = Some((values, ""));
        }
        let Some((values, suffix)) = found else { return CachedLatents::Nothing };
        if self.trust == Trust::Checked && !is_likely(file, path, suffix, subject.item) {
            remember(&mut self.tally.doubtful, path);
            return CachedLatents::Nothing;
        }
        CachedLatents::Foreign(values)
    }

    /// Whether foreign latents are to be used. The first are compared with what the VAE gives; that speaks for all.
    fn is_of_same_vae(
        &mut self,
        path: &Path,
        values: &[f32],
        image: &Rgb,
        encode: &impl Fn(&Rgb) -> Result<Latents>,
    ) -> Result<bool> {
        let same_vae = match (self.trust, self.same_vae) {
            (Trust::Blind, _) => true,
            (Trust::Checked, Some(same_vae)) => same_vae,
            (Trust::Checked, None) => encode(image)?.is_plausible_sample(values, TOLERANCE),
        };
        self.same_vae = Some(same_vae);
        let files = if same_vae { &mut self.tally.foreign } else { &mut self.tally.mismatched };
        remember(files, path);
        Ok(same_vae)
    }

    /// Puts what was made of an image's latents, and what sd-scripts wants to know beside them, into its file.
    fn put(&self, file: &mut Npz, subject: &Subject<'_>, samples: &[Option<Sample>; 2]) {
        let suffix = suffix(subject.placement);
        self.put_arrays(file, subject, samples, &suffix);
        // Arrays without a size in their name may be those of another size, which they are left to.
        let shape = shape(subject.placement);
        if file.get::<f32>(NAMES[0]).is_none_or(|array| array.shape == shape) {
            self.put_arrays(file, subject, samples, "");
        }
    }

    /// Puts the arrays whose names end in `suffix` into a file.
    fn put_arrays(&self, file: &mut Npz, subject: &Subject<'_>, samples: &[Option<Sample>; 2], suffix: &str) {
        let Subject { item, placement, views, alpha } = subject;
        let size = [i64::from(item.size.0), i64::from(item.size.1)];
        file.put(&format!("original_size{suffix}"), &[2], &size);
        file.put(&format!("crop_ltrb{suffix}"), &[4], &placement.crop_ltrb);
        let upright_is_new = samples[0].as_ref().is_some_and(|sample| sample.is_new);
        for (index, image) in views.iter().enumerate() {
            let name = format!("{}{suffix}", NAMES[index]);
            match (image, &samples[index]) {
                (Some(image), Some(sample)) if sample.is_new => {
                    let values = sample.latents.values();
                    file.put(&name, &shape(placement), values);
                    if !suffix.is_empty() {
                        file.put(&seal_of(&name), &[32], &self.seal(image, values));
                    }
                }
                // Beside a new upright image an old mirrored one is that of another image.
                (None, _) if upright_is_new => file.remove(&name),
                _ => {}
            }
        }
        let name = format!("alpha_mask{suffix}");
        match alpha {
            Some(alpha) => {
                let white: Vec<f32> = alpha.data.iter().step_by(3).map(|value| f32::from(*value) / 255.0).collect();
                file.put(&name, &[alpha.height as usize, alpha.width as usize], &white);
            }
            None => file.remove(&name),
        }
    }

    /// What vouches for `values`.
    fn seal(&self, image: &Rgb, values: &[f32]) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix("lorabake latents 1");
        hash.update(self.vae);
        hash.update([image.width, image.height].map(u32::to_le_bytes).concat());
        hash.update(&image.data);
        hash.update(values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
        hash.finalize().into()
    }

    /// What the user should know.
    pub fn notes(self) -> Vec<String> {
        let Tally { read, written, stale, foreign, mismatched, doubtful, damaged, unwritable, nameless } = self.tally;
        let old = if stale > 0 { format!(", {stale} of them because image or VAE changed") } else { String::new() };
        let mut notes =
            vec![format!("latents on disk: found for {}, written for {written}{old}", count(read, "image"))];
        let list = |files: &[PathBuf], text: &str| {
            let first = files.first()?;
            Some(format!("{} of latents (first: {}) {text}", count(files.len(), "file"), first.display()))
        };
        let used = match self.trust {
            Trust::Blind => "are used without a check, as --skip_cache_check says",
            Trust::Checked => {
                "of another program are used, which do not tell what they were made from; the first was compared with \
                 what this VAE gives and agrees, the others are taken on trust; delete them to have them made anew"
            }
        };
        notes.extend(list(&foreign, used));
        notes.extend(list(
            &mismatched,
            "of another program are not used: the first differs from what this VAE makes of its image; \
             --skip_cache_check takes them all the same",
        ));
        notes.extend(list(
            &doubtful,
            "of another program are not used: they are older than their images, or made at another image size; \
             --skip_cache_check takes them all the same",
        ));
        notes.extend(damaged.into_iter().map(|what| format!("{what}; these latents are made anew")));
        if let Some(first) = unwritable.first() {
            notes.push(format!(
                "{first}; the latents of {} are kept for this run only",
                count(unwritable.len(), "image")
            ));
        }
        if let Some(first) = nameless.first() {
            notes.push(format!(
                "the latents of {} are kept for this run only, since other images have their names (first: {}); \
                 rename them to keep latents on disk",
                count(nameless.len(), "image"),
                first.display()
            ));
        }
        notes
    }
}

/// One sample per view, for this run only.
fn keep_views(subject: &Subject<'_>, encode: impl Fn(&Rgb) -> Result<Latents>) -> Result<[Option<Latents>; 2]> {
    let mut kept = [None, None];
    for (kept, image) in kept.iter_mut().zip(subject.views) {
        if let Some(image) = image {
            *kept = Some(encode(image)?.keep_one(image));
        }
    }
    Ok(kept)
}

/// Channels, height, width of an image's latents.
fn shape(placement: &Placement) -> [usize; 3] {
    [4, placement.bucket.1 as usize / CELL, placement.bucket.0 as usize / CELL]
}

/// What names of arrays end in since sd-scripts 0.11.
fn suffix(placement: &Placement) -> String {
    let [_, height, width] = shape(placement);
    format!("_{height}x{width}")
}

/// The values of an array, if it is there, of this shape and finite.
fn fitting(file: &Npz, name: &str, shape: [usize; 3]) -> Option<Vec<f32>> {
    let array: Array<f32> = file.get(name)?;
    let fits = array.shape == shape && array.values.iter().all(|value| value.is_finite());
    if fits { Some(array.values) } else { None }
}

fn seal_of(name: &str) -> String {
    format!("lorabake_{name}")
}

/// Whether foreign latents were made at the image's size, not before its file was last written.
fn is_likely(file: &Npz, path: &Path, suffix: &str, item: &Item) -> bool {
    let name = format!("original_size{suffix}");
    // Python on Windows has 32-bit integers here.
    let small = file.get::<i32>(&name).map(|array| array.values.into_iter().map(i64::from).collect());
    let size: Option<Vec<i64>> = file.get::<i64>(&name).map(|array| array.values).or(small);
    let written = |path: &Path| std::fs::metadata(path).and_then(|about| about.modified()).ok();
    let in_time = written(path).zip(written(&item.path)).is_none_or(|(latents, image)| latents >= image);
    size == Some(vec![i64::from(item.size.0), i64::from(item.size.1)]) && in_time
}

/// Adds a file once.
fn remember(files: &mut Vec<PathBuf>, path: &Path) {
    if files.last().is_none_or(|last| last != path) {
        files.push(path.to_owned());
    }
}
