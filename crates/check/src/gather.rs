//! Everything that checks look at: the images of a data section with their captions and numbers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use lorabake_data::bucket::{Placement, Rule};
use lorabake_data::scan::{Survey, survey};
use lorabake_data::{Dataset, Error, Item, LeftOut};
use lorabake_recipe::data::Data;
use lorabake_recipe::guide::question::Category;
use lorabake_tags::images::Seen;
use rayon::prelude::*;

use crate::activation::Activation;
use crate::cache::{Cache, Known, Stamp, content};
use crate::caption::Caption;
use crate::measure::{Frame, Measures, measure};
use crate::settings::Settings;
use crate::sight::{LookedFor, TagScores};
use crate::tag_list::TagList;

/// Counts the tokens of a text.
pub type CountTokens<'a> = dyn Fn(&str) -> usize + Sync + 'a;

/// What is to be checked, and what is known beside the folders.
pub struct Wanted<'a> {
    /// The data section that is trained with.
    pub data: &'a Data,
    /// What the user has settled.
    pub settings: &'a Settings,
    /// What else is known of the run.
    pub run: RunFacts,
    /// Counts CLIP's tokens; checks of tokens need it.
    pub count_tokens: Option<&'a CountTokens<'a>>,
    /// Lists of known tags.
    pub tag_lists: &'a [TagList],
    /// Scores of taggers, if there are any.
    pub tag_scores: Option<&'a TagScores>,
    /// Folder for numbers of images; `None` measures all anew.
    pub cache: Option<PathBuf>,
    /// Which images are measured.
    pub measuring: Measuring,
}

/// Which images are measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Measuring {
    /// All of which the numbers are not known.
    #[default]
    New,
    /// None: what is not known stays so, and nothing is said of it.
    Nothing,
}

/// What is known of the run that the data is for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunFacts {
    /// Steps × images per step, if a recipe says so.
    pub images_seen: Option<u64>,
    /// The recipe trains dreambooth style with regularization images against a style or such; what is to be learnt.
    pub category: Option<Category>,
    /// The words that call the LoRA up.
    pub trigger: Option<String>,
    /// Tokens of a caption that are used; `None` if no recipe says so.
    pub most_tokens: Option<usize>,
}

/// What checks look at.
pub struct Set<'a> {
    /// What was asked for.
    pub wanted: &'a Wanted<'a>,
    /// Folders of the data set; its items are in `images`.
    pub dataset: Dataset,
    /// Every image once, whatever many data sets it is in.
    pub images: Vec<Image>,
    /// What calls each folder up, where it is known or can be guessed.
    pub activations: Vec<Option<Activation>>,
    /// Files that cannot be used, and settings.
    pub errors: Vec<Error>,
    /// What detectors have looked for.
    pub looked_for: LookedFor,
}

/// An image with its caption and numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// As the data set has it.
    pub item: Item,
    /// Where it goes; `None` if it fits nowhere.
    pub placement: Option<Placement>,
    /// Its caption.
    pub caption: Caption,
    /// Its numbers; `None` if it cannot be decoded, or is not measured.
    pub measures: Option<Measures>,
    /// SHA-256 of its file in hexadecimal; `None` as with its numbers.
    pub content: Option<String>,
    /// What detectors have seen in it.
    pub seen: Vec<Seen>,
}

/// How far a gathering is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Images that are measured.
    pub done: usize,
    /// Images in all.
    pub all: usize,
}

/// Reads folders, captions and images; `tell` is told after each image, from several threads, and `stop` asked before
/// each: once it says so, no further image is measured, and `None` is returned. What was measured is kept.
pub fn gather<'a>(
    wanted: &'a Wanted<'a>,
    tell: &(dyn Fn(Progress) + Sync),
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<Set<'a>> {
    let Survey { mut dataset, mut errors } = survey(wanted.data);
    let items = std::mem::take(&mut dataset.items);
    let places = place(&dataset, wanted.data, &items, &mut errors);
    let mut seen = HashSet::new();
    let mut images = Vec::new();
    for (item, placement) in items.into_iter().zip(places) {
        if !seen.insert(item.path.clone()) {
            continue;
        }
        let separator = &dataset.settings(wanted.data, &item).captions.separator;
        let caption = Caption::new(item.caption_file.as_deref(), &item.caption, separator);
        images.push(Image { item, placement, caption, measures: None, content: None, seen: Vec::new() });
    }
    errors.extend(measure_all(&mut images, &dataset, wanted, tell, stop)?);
    let is_one_of_several = dataset.folders.iter().filter(|folder| !folder.is_reg).count() > 1;
    let mut activations = Vec::new();
    for (index, folder) in dataset.folders.iter().enumerate() {
        let captions = images.iter().filter(|image| image.item.folder == index).map(|image| &image.caption);
        let mut trigger = wanted.run.trigger.as_deref();
        // Of several subjects, it is that of some.
        if is_one_of_several && !trigger.is_some_and(|words| Activation::is_used(captions.clone(), words)) {
            trigger = None;
        }
        activations.push(if folder.is_reg { None } else { Activation::of(captions, &folder.class_tokens, trigger) });
    }
    Some(Set { wanted, dataset, images, activations, errors, looked_for: LookedFor::new() })
}

/// Where each item goes.
fn place(dataset: &Dataset, data: &Data, items: &[Item], errors: &mut Vec<Error>) -> Vec<Option<Placement>> {
    let mut rules: BTreeMap<usize, Option<Rule>> = BTreeMap::new();
    let mut places = Vec::with_capacity(items.len());
    for item in items {
        let settings = dataset.settings(data, item);
        let group = dataset.group(data, item);
        let rule =
            rules.entry(group).or_insert_with(|| match Rule::new(settings.resolution, settings.buckets.as_ref()) {
                Ok(rule) => Some(rule),
                Err(error) => {
                    errors.push(error);
                    None
                }
            });
        places.push(rule.as_ref().and_then(|rule| rule.place(item.size)));
    }
    places
}

/// Images that are measured before what is known of them is kept.
const KEPT_TOGETHER: usize = 64;
/// More pixels than this are not made of an image that is enlarged.
const MOST_PIXELS: u64 = 1 << 26;

/// Measures all images; returns those that cannot be decoded, or `None` if it was stopped.
fn measure_all(
    images: &mut [Image],
    dataset: &Dataset,
    wanted: &Wanted<'_>,
    tell: &(dyn Fn(Progress) + Sync),
    stop: &(dyn Fn() -> bool + Sync),
) -> Option<Vec<Error>> {
    let all = images.len();
    let done = AtomicUsize::new(0);
    let mut errors = Vec::new();
    let mut by_folder: HashMap<usize, Vec<&mut Image>> = HashMap::new();
    for image in images {
        by_folder.entry(image.item.folder).or_default().push(image);
    }
    for (folder, mut images) in by_folder {
        let mut cache = Cache::open(wanted.cache.as_deref(), &dataset.folders[folder].path);
        let mut stamps = Vec::with_capacity(images.len());
        for images in images.chunks_mut(KEPT_TOGETHER) {
            let looked: Vec<Option<Looked>> = images
                .par_iter()
                .map(|image| {
                    if stop() {
                        return None;
                    }
                    let looked = look(image, &cache, wanted.measuring);
                    tell(Progress { done: done.fetch_add(1, Ordering::Relaxed) + 1, all });
                    Some(looked)
                })
                .collect();
            let mut new = Vec::new();
            let mut is_stopped = false;
            for (image, looked) in images.iter_mut().zip(looked) {
                let Some(looked) = looked else {
                    is_stopped = true;
                    continue;
                };
                stamps.extend(looked.stamp);
                new.extend(looked.new);
                errors.extend(looked.error);
                image.measures = looked.measures;
                image.content = looked.content;
            }
            cache.add(new);
            if is_stopped {
                return None;
            }
        }
        cache.tidy(&stamps);
    }
    Some(errors)
}

/// What came of looking at an image.
#[derive(Default)]
struct Looked {
    stamp: Option<Stamp>,
    measures: Option<Measures>,
    content: Option<String>,
    /// What was not known before.
    new: Option<Known>,
    error: Option<Error>,
}

fn look(image: &Image, cache: &Cache, measuring: Measuring) -> Looked {
    let path = &image.item.path;
    let Some(placement) = &image.placement else { return Looked::default() };
    if u64::from(placement.resized.0) * u64::from(placement.resized.1) > MOST_PIXELS {
        return Looked::default();
    }
    let frame = Frame::from(placement);
    let stamp = Stamp::of(path);
    if let Some(known) = stamp.as_ref().and_then(|stamp| cache.unchanged(stamp, frame)) {
        let Known { measures, content, .. } = known.clone();
        return Looked { stamp, measures: Some(measures), content: Some(content), ..Looked::default() };
    }
    if measuring == Measuring::Nothing {
        return Looked { stamp, ..Looked::default() };
    }
    let Ok(bytes) = std::fs::read(path) else { return Looked::default() };
    let content = content(&bytes);
    let measures = match cache.with_content(&content, frame) {
        Some(known) => known.clone(),
        None => match measure(path, &bytes, frame) {
            Ok(measures) => measures,
            Err(error) => return Looked { stamp, error: Some(error.into()), ..Looked::default() },
        },
    };
    let mut new = None;
    if let Some(stamp) = &stamp {
        new = Some(Known { stamp: stamp.clone(), content: content.clone(), frame, measures: measures.clone() });
    }
    Looked { stamp, measures: Some(measures), content: Some(content), new, error: None }
}

impl Set<'_> {
    /// Numbers of the images that are learnt: not those of regularization.
    pub fn learnt(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        (0..self.images.len()).filter(|index| !self.images[*index].item.is_reg)
    }

    /// Images that are learnt, with their numbers.
    pub fn measured(&self) -> impl Iterator<Item = (usize, &Measures)> + Clone {
        self.learnt().filter_map(|index| Some((index, self.images[index].measures.as_ref()?)))
    }

    /// Images of a folder.
    pub fn of_folder(&self, folder: usize) -> impl Iterator<Item = usize> + Clone + '_ {
        (0..self.images.len()).filter(move |index| self.images[*index].item.folder == folder)
    }

    /// Folders with images that are learnt.
    pub fn learnt_folders(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.dataset.folders.len())
            .filter(|folder| !self.dataset.folders[*folder].is_reg && self.of_folder(*folder).next().is_some())
    }

    /// Images that are learnt and have captions of tags in files of their own.
    pub fn tagged(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        self.learnt().filter(|index| {
            let caption = &self.images[*index].caption;
            caption.file.is_some() && !caption.is_prose && !caption.tags.is_empty()
        })
    }

    /// The settings of an image.
    pub fn settings(&self, index: usize) -> &Data {
        self.dataset.settings(self.wanted.data, &self.images[index].item)
    }

    /// What calls up the folder of an image.
    pub fn activation(&self, index: usize) -> Option<&Activation> {
        self.activations[self.images[index].item.folder].as_ref()
    }

    /// The name of an image as it is told: folder and file.
    pub fn name(&self, index: usize) -> String {
        let item = &self.images[index].item;
        let folder = &self.dataset.folders[item.folder].name;
        let file = item.path.file_name().unwrap_or_default().to_string_lossy();
        format!("{folder}/{file}")
    }

    /// Files and folders that take no part.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.dataset.left_out
    }
}
