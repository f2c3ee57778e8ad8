//! `set.near`: the same picture in another size or file, mirrored, or with a thing edited in or out.
//!
//! Hashes find candidates, the small pictures confirm them, since flat drawings share hashes. What is a copy and what
//! an edit is told by the place that differs most: saving again changes all places a little, an edit some places
//! much. Edits with other tags are what the guide asks for (the subject with and without a thing); crops are not
//! found.

use std::collections::BTreeMap;

use crate::about::{About, Threshold};
use crate::caption::Caption;
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;
use crate::measure::phash::Signature;
use crate::tag_counts::some_of;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "set.near",
        scope: Scope::Image,
        what: "near copies: other sizes and files of a picture, mirror images, edits",
        thresholds: &[
            Threshold::new("distance", 8.0, "candidates differ in at most so many of 64 bits (pHash)"),
            Threshold::new("correlation", 0.95, "and their 32 × 32 pictures are at least so correlated"),
            Threshold::new("edit", 6.0, "an edit differs somewhere in these by more, of 255; what does not is a copy"),
        ],
    },
    run,
};

/// How two pictures are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    Copy,
    Mirror,
    Edit,
}

struct Pair {
    one: usize,
    other: usize,
    likeness: Likeness,
    distance: u32,
}

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let pairs = pairs(set, found);
    let copies = groups(pairs.iter().filter(|pair| pair.likeness == Likeness::Copy));
    // Of copies the best one stands for all, so that a small one with other tags makes no edit of a large one.
    let is_spare = |image: &usize| copies.iter().any(|group| group.contains(image) && best_of(set, group) != *image);
    for likeness in [Likeness::Copy, Likeness::Mirror, Likeness::Edit] {
        for images in groups(pairs.iter().filter(|pair| pair.likeness == likeness)) {
            let inside = |pair: &&Pair| pair.likeness == likeness && images.contains(&pair.one);
            let distance = f64::from(pairs.iter().filter(inside).map(|pair| pair.distance).max().unwrap_or(0));
            if likeness != Likeness::Edit {
                tell(set, found, likeness, images, distance);
                continue;
            }
            let images: Vec<usize> = images.into_iter().filter(|image| !is_spare(image)).collect();
            let by_tags = by_tags(set, &images);
            for alike in by_tags.iter().filter(|alike| alike.len() > 1) {
                tell(set, found, likeness, alike.clone(), distance);
            }
            if by_tags.len() > 1 {
                let first_of_each = by_tags.iter().map(|alike| best_of(set, alike)).collect();
                tell(set, found, likeness, first_of_each, distance);
            }
        }
    }
}

/// Images in groups of the same tags.
fn by_tags(set: &Set<'_>, images: &[usize]) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
    for image in images {
        let mut keys = set.images[*image].caption.keys.clone();
        keys.sort_unstable();
        groups.entry(keys).or_default().push(*image);
    }
    groups.into_values().collect()
}

fn pairs(set: &Set<'_>, found: &Found<'_>) -> Vec<Pair> {
    let signatures: Vec<(usize, &Signature, &str)> =
        set.measured().map(|(index, measures)| (index, &measures.signature, measures.pixels.as_str())).collect();
    let most = found.limit("distance") as u32;
    let mut pairs = Vec::new();
    for (place, (one, own, pixels)) in signatures.iter().enumerate() {
        for (other, theirs, their_pixels) in &signatures[..place] {
            let plain = (own.hash ^ theirs.hash).count_ones();
            let mirrored = (own.mirrored ^ theirs.hash).count_ones();
            if plain.min(mirrored) > most || pixels == their_pixels {
                continue;
            }
            // A symmetrical picture is both; what it is turned the right way round counts.
            let is_mirror = mirrored < plain && own.correlation(theirs, true) > own.correlation(theirs, false);
            if own.correlation(theirs, is_mirror) < found.limit("correlation") {
                continue;
            }
            let is_edit = own.largest_difference(theirs, is_mirror) > found.limit("edit");
            let likeness = match (is_edit, is_mirror) {
                (true, _) => Likeness::Edit,
                (_, true) => Likeness::Mirror,
                (_, false) => Likeness::Copy,
            };
            pairs.push(Pair { one: *other, other: *one, likeness, distance: plain.min(mirrored) });
        }
    }
    pairs
}

/// Images that hang together by pairs, each group in order.
fn groups<'p>(pairs: impl Iterator<Item = &'p Pair>) -> Vec<Vec<usize>> {
    let mut leader: BTreeMap<usize, usize> = BTreeMap::new();
    for pair in pairs {
        let one = lead(&leader, pair.one);
        let other = lead(&leader, pair.other);
        leader.insert(pair.one, one);
        leader.insert(pair.other, other);
        leader.insert(one.max(other), one.min(other));
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for image in leader.keys() {
        groups.entry(lead(&leader, *image)).or_default().push(*image);
    }
    groups.into_values().collect()
}

fn lead(leader: &BTreeMap<usize, usize>, image: usize) -> usize {
    let mut at = image;
    while let Some(next) = leader.get(&at).filter(|next| **next != at) {
        at = *next;
    }
    at
}

fn tell(set: &Set<'_>, found: &mut Found<'_>, likeness: Likeness, images: Vec<usize>, distance: f64) {
    let best = best_of(set, &images);
    let others: Vec<String> = images.iter().filter(|index| **index != best).map(|index| set.name(*index)).collect();
    let others = some_of(&others);
    let difference = tag_difference(set, &images);
    let flips = set.settings(best).flip_aug;
    let (level, sentence, remedy) = match likeness {
        Likeness::Copy if !difference.is_empty() => (
            Level::Warning,
            format!("is the same picture as {others}, with other tags ({})", some_of(&difference)),
            format!("keep {}, the largest, and the tags that are right", set.name(best)),
        ),
        Likeness::Copy => (
            Level::Warning,
            format!("is the same picture as {others}: it counts as often as it is there"),
            format!("keep {}, the largest; for more weight use repeats", set.name(best)),
        ),
        Likeness::Mirror if flips => (
            Level::Warning,
            format!("is the mirror image of {others}, and --flip_aug makes mirror images anyway"),
            "keep one".to_owned(),
        ),
        Likeness::Mirror => (
            Level::Hint,
            format!("is the mirror image of {others}"),
            "keep one if the subject is asymmetrical; else --flip_aug does the same for all".to_owned(),
        ),
        Likeness::Edit if difference.is_empty() => (
            Level::Hint,
            format!("is nearly the same picture as {others}, with the same tags"),
            "if something was edited in or out, tag it where it is; else keep one".to_owned(),
        ),
        Likeness::Edit => (
            Level::Intended,
            format!("is an edit of {others}; tags tell the difference ({})", some_of(&difference)),
            "nothing: such pairs teach what a tag is for".to_owned(),
        ),
    };
    found.add(Told {
        level,
        subject: set.name(best),
        number: distance,
        threshold: found.limit("distance"),
        sentence,
        remedy,
        images,
        ..Told::default()
    });
}

/// The image with the most pixels; of these the least compressed.
fn best_of(set: &Set<'_>, images: &[usize]) -> usize {
    let worth = |index: &usize| {
        let image = &set.images[*index];
        let quality = image.measures.as_ref().and_then(|measures| measures.content.quality).unwrap_or(u8::MAX);
        (u64::from(image.item.size.0) * u64::from(image.item.size.1), quality)
    };
    let mut best = images[0];
    for image in images {
        if worth(image) > worth(&best) {
            best = *image;
        }
    }
    best
}

/// Tags that some of the images have and others not.
fn tag_difference(set: &Set<'_>, images: &[usize]) -> Vec<String> {
    let captions: Vec<&Caption> = images.iter().map(|index| &set.images[*index].caption).collect();
    let mut difference = Vec::new();
    for key in captions.iter().flat_map(|caption| &caption.keys) {
        if !difference.contains(key) && captions.iter().any(|caption| !caption.has(key)) {
            difference.push(key.clone());
        }
    }
    difference
}
