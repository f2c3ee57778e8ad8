//! Pictures that snapshots paint, beside those of the checkpoint alone and the images of the set.

use std::sync::Arc;

use anyhow::{Context, Result};
use lorabake_pixels::Rgb;

use crate::adherence::{Asked, heeded};
use crate::bleed::{PlainPrompt, bleed};
use crate::bootstrap::Bootstrap;
use crate::copies::{Training, composition, copies};
use crate::diversity::{BetweenSeeds, diversity};
use crate::features::{Features, Yardstick};
use crate::fry::{Looks, fry, way_to_set};
use crate::gallery::{Eye, Gallery, Painting};
use crate::likeness::{Fidelity, ToTraining, likeness};
use crate::losses::LossMeter;
use crate::material::{HeldOut, Material};
use crate::nearest::{Nearest, distances, leave_one_out, nearest};
use crate::noise_blobs::noise_blobs;
use crate::pictures::{PictureMeasures, TagHeed};
use crate::plain::PlainPicture;
use crate::studio::RawGallery;

/// Pictures beside each other, for people to look at.
#[derive(Debug, Clone, Default)]
pub struct ContactSheet {
    /// Numbers of the snapshots that were painted with.
    pub snapshots: Vec<usize>,
    /// Scenes with the trigger, then prompts without it.
    pub rows: Vec<SheetRow>,
}

/// Pictures of one prompt.
#[derive(Debug, Clone)]
pub struct SheetRow {
    /// The prompt.
    pub prompt: String,
    /// Whether the trigger is in it.
    pub has_trigger: bool,
    /// By the checkpoint alone.
    pub base: Rgb,
    /// By each snapshot.
    pub pictures: Vec<Rgb>,
    /// The training image that is most like the last one; none without the trigger.
    pub nearest: Option<Rgb>,
}

/// What snapshots' pictures are held against.
#[derive(Debug)]
pub struct Comparison {
    yardstick: Yardstick,
    references: References,
    training: Vec<Arc<Features>>,
    set_looks: Vec<Looks>,
    /// The checkpoint's own pictures.
    pub base: Gallery,
    plain: Vec<Arc<Features>>,
    plain_looks: Vec<Looks>,
    /// Training images by number, for the report.
    pub images: Vec<Rgb>,
}

impl Comparison {
    /// Looks at the set and at the checkpoint's own pictures.
    ///
    /// # Errors
    /// When a network cannot be read.
    pub fn new(eye: &Eye<'_>, material: &Material, base: RawGallery, plain: &[PlainPicture]) -> Result<Self> {
        let mut training = Vec::new();
        let mut set_looks = Vec::new();
        for sample in &material.training {
            training.push(eye.sight.features(&sample.view.image)?);
            let latents = sample.latents.clone().into_data().try_into_vec().context("latents are f32")?;
            set_looks.push(Looks::of(&sample.view.image, &latents));
        }
        let mut held_out = Vec::new();
        if material.kind == HeldOut::Split {
            for sample in &material.held_out {
                held_out.push(eye.sight.features(&sample.view.image)?);
            }
        }
        let base = eye.look(base)?;
        let mut known: Vec<Arc<Features>> = training.clone();
        known.extend(base.scenes.iter().flatten().map(|painting| Arc::clone(&painting.features)));
        let yardstick = eye.sight.yardstick(&known);
        let references = References::new(&yardstick, &training, &held_out, &base);
        let mut plain_looks = Vec::new();
        for picture in plain {
            let latents = picture.latents.clone().into_data().try_into_vec().context("latents are f32")?;
            plain_looks.push(Looks::of(&picture.image, &latents));
        }
        let plain = plain.iter().map(|picture| eye.sight.features(&picture.image)).collect::<Result<_>>()?;
        let images = material.training.iter().map(|sample| sample.view.image.clone()).collect();
        Ok(Self { yardstick, references, training, set_looks, base, plain, plain_looks, images })
    }

    /// Pictures beside each other; `plain` are the checkpoint's own of prompts without trigger.
    pub fn sheet(&self, galleries: &[(usize, Gallery)], plain: &[PlainPicture]) -> ContactSheet {
        let mut sheet = ContactSheet::default();
        sheet.snapshots.extend(galleries.iter().map(|(index, _)| *index));
        for (place, base) in self.base.scenes.iter().enumerate() {
            let own: Vec<&Painting> = galleries.iter().map(|(_, gallery)| &gallery.scenes[place][0]).collect();
            let Some(last) = own.last() else { continue };
            let near = self.yardstick.near(&[Arc::clone(&last.features)], &self.training);
            sheet.rows.push(SheetRow {
                prompt: last.prompt.clone(),
                has_trigger: true,
                base: base[0].image.clone(),
                nearest: near.first().map(|near| self.images[near.index].clone()),
                pictures: own.into_iter().map(|painting| painting.image.clone()).collect(),
            });
        }
        for (place, base) in plain.iter().enumerate() {
            let own = galleries.iter().map(|(_, gallery)| gallery.plain[place].image.clone());
            sheet.rows.push(SheetRow {
                prompt: base.prompt.clone(),
                has_trigger: false,
                base: base.image.clone(),
                pictures: own.collect(),
                nearest: None,
            });
        }
        sheet
    }

    /// How well the tags of the scenes are heeded in a snapshot's pictures.
    ///
    /// # Errors
    /// When a prompt is much too long.
    pub fn heed(&self, eye: &Eye<'_>, meter: &LossMeter<'_>, gallery: &Gallery) -> Result<Vec<TagHeed>> {
        let latents = [&self.base, gallery].map(|own| eye.latents(own));
        let prompts: Vec<&str> = self.base.scenes.iter().flatten().map(|painting| painting.prompt.as_str()).collect();
        let [base, own] = latents.each_ref().map(|latents| {
            let asked = prompts.iter().zip(latents).enumerate();
            asked.map(|(key, (prompt, latents))| Asked { prompt, latents, key: key as u64 }).collect::<Vec<_>>()
        });
        heeded(meter, &own, &base)
    }

    /// What is measured of a snapshot's pictures.
    ///
    /// # Errors
    /// When a network cannot be read.
    pub fn measure(&self, eye: &Eye<'_>, raw: RawGallery) -> Result<(PictureMeasures, Gallery)> {
        let gallery = eye.look(raw)?;
        let bootstrap = Bootstrap::default();
        let own = self.yardstick.near(&gallery.features(), &self.training);
        let copied_by_base = self.references.copied_by_base;
        let copied = copies(&own, &self.references.training()).map_or(0.0, |copies| copies.share);
        let fried = fry(&gallery.looks(), &self.base.looks(), &self.set_looks);
        let noise = noise_blobs(&gallery.textures(), &self.base.textures());
        let measures = PictureMeasures {
            likeness: self.likeness(&gallery, &bootstrap),
            // What the checkpoint itself paints as near is no copy.
            copies: (copied - copied_by_base).max(0.0),
            diversity: diversity(&self.between_seeds(&gallery), &bootstrap).map(|diversity| diversity.ratio),
            bleed: bleed(&self.moved(&gallery), &bootstrap).map(|bleed| bleed.ratio),
            fry: fried.map_or_else(Vec::new, |fry| {
                fry.shifts.iter().map(|shift| (shift.look.name().to_owned(), shift.z)).collect()
            }),
            noise: noise.map_or(0.0, |noise| noise.share),
            looks_along: way_to_set(&gallery.plain_looks(), &self.plain_looks, &self.set_looks),
            composition: self.composition(&gallery, &own),
            tags: Vec::new(),
        };
        Ok((measures, gallery))
    }

    /// By what pictures are as a whole, which tells styles and characters; by their patches where that tells nothing.
    fn likeness(&self, gallery: &Gallery, bootstrap: &Bootstrap) -> Option<f64> {
        let features = gallery.features();
        let References { whole, subject, .. } = &self.references;
        let by_whole = nearest(&features, &self.training, |one, other| self.yardstick.whole(one, other));
        let by_subject = self.yardstick.near(&features, &self.training);
        for (own, way) in [(by_whole, whole), (by_subject, subject)] {
            let distances = ToTraining { base: &way.base, lora: &distances(&own), real: &way.real };
            if let Fidelity::Of(share, _) = likeness(&distances, bootstrap).fidelity {
                return Some(share);
            }
        }
        None
    }

    /// How much more of the composition is that of the nearest training image than in pictures that never saw it.
    fn composition(&self, gallery: &Gallery, near: &[Nearest]) -> Option<f64> {
        let usual = self.references.composition?;
        let own = composition(&self.yardstick, &gallery.features(), near, &self.training)?;
        if usual < 1.0 { Some((own - usual) / (1.0 - usual)) } else { None }
    }

    fn between_seeds(&self, gallery: &Gallery) -> Vec<BetweenSeeds> {
        let mut all = Vec::new();
        for (own, base) in gallery.scenes.iter().zip(&self.base.scenes) {
            all.push(BetweenSeeds {
                lora: self.yardstick.subject(&own[0].features, &own[1].features),
                base: self.yardstick.subject(&base[0].features, &base[1].features),
            });
        }
        all
    }

    /// How far pictures without the trigger have moved.
    fn moved(&self, gallery: &Gallery) -> Vec<PlainPrompt> {
        let mut all = Vec::new();
        for (place, own) in gallery.plain.iter().enumerate() {
            let base = &self.plain[place];
            all.push(PlainPrompt {
                moved: self.yardstick.subject(&own.features, base),
                seeds: self.yardstick.subject(&self.base.plain[place].features, base),
            });
        }
        all
    }
}

impl Yardstick {
    /// The nearest of `set` for each of `pictures`, by what they show.
    fn near(&self, pictures: &[Arc<Features>], set: &[Arc<Features>]) -> Vec<Nearest> {
        nearest(pictures, set, |one, other| self.subject(one, other))
    }
}

/// Distances that do not depend on a snapshot.
#[derive(Debug)]
struct References {
    /// Each training image's nearest fellow.
    fellows: Vec<Nearest>,
    /// Nearest training images of held-out ones.
    held_out: Vec<Nearest>,
    /// The way from the checkpoint's pictures to the set, by what pictures are as a whole.
    whole: Way,
    /// The same by their patches.
    subject: Way,
    /// Mean distance of two seeds of the checkpoint.
    seeds: Option<f64>,
    /// Share of the checkpoint's own pictures that are as near as copies.
    copied_by_base: f64,
    /// How much of their composition held-out images share with the nearest training image, or the checkpoint's pictures
    /// if that is more.
    composition: Option<f64>,
    images: usize,
}

/// Distances to the nearest training image at both ends of the way.
#[derive(Debug)]
struct Way {
    /// Of the checkpoint's own pictures.
    base: Vec<f64>,
    /// Of images that were held out, or of each training image to the nearest other one.
    real: Vec<f64>,
}

impl Way {
    fn new(
        training: &[Arc<Features>],
        held_out: &[Arc<Features>],
        base: &[Arc<Features>],
        far: impl Fn(&Arc<Features>, &Arc<Features>) -> f64,
    ) -> Self {
        let real = match held_out.is_empty() {
            true => leave_one_out(training, &far),
            false => nearest(held_out, training, &far),
        };
        Self { base: distances(&nearest(base, training, &far)), real: distances(&real) }
    }
}

impl References {
    fn new(yardstick: &Yardstick, training: &[Arc<Features>], held_out: &[Arc<Features>], base: &Gallery) -> Self {
        let pairs = base.scenes.iter().map(|[first, second]| yardstick.subject(&first.features, &second.features));
        let own = base.features();
        let mut references = Self {
            whole: Way::new(training, held_out, &own, |one, other| yardstick.whole(one, other)),
            subject: Way::new(training, held_out, &own, |one, other| yardstick.subject(one, other)),
            fellows: leave_one_out(training, |one, other| yardstick.subject(one, other)),
            held_out: yardstick.near(held_out, training),
            seeds: mean(pairs),
            copied_by_base: 0.0,
            composition: None,
            images: training.len(),
        };
        for pictures in [held_out, own.as_slice()] {
            if let Some(usual) = composition(yardstick, pictures, &yardstick.near(pictures, training), training) {
                references.composition = Some(usual.max(references.composition.unwrap_or(0.0)));
            }
        }
        let copied = copies(&yardstick.near(&own, training), &references.training());
        references.copied_by_base = copied.map_or(0.0, |copies| copies.share);
        references
    }

    fn training(&self) -> Training<'_> {
        let Self { fellows, held_out, images, seeds, .. } = self;
        Training { fellows, held_out, images: *images, seeds: *seeds }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    if values.is_empty() { None } else { Some(values.iter().sum::<f64>() / values.len() as f64) }
}
