//! Several tags for one thing become one. The guide: "Interrogators will usually return a group of tags when an element is
//! detected. Like 'boots, red footwear, red boots' … consolidate those into a single one. 'Red boots' is the most directly
//! descriptive there."
//!
//! Two rules, per caption: a tag goes if another one of the caption says the same and more, with the same word at its end
//! (`boots` by `red boots`, `long hair` by `very long hair`); and a colour with the name of a class (`red footwear`) goes
//! with the one member of that class (`boots`) into one tag (`red boots`).

use std::collections::{BTreeMap, BTreeSet};

use crate::activation::Activation;
use crate::caption_file::{CaptionFile, Kind};
use crate::text::folded;

/// Classes that taggers name beside what belongs to them. Own wording, after booru tags.
const CLASSES: [(&str, &[&str]); 7] = [
    (
        "footwear",
        &[
            "boots",
            "knee boots",
            "thigh boots",
            "ankle boots",
            "high heel boots",
            "cowboy boots",
            "shoes",
            "high heels",
            "sneakers",
            "loafers",
            "mary janes",
            "sandals",
            "slippers",
            "geta",
            "flats",
            "pumps",
        ],
    ),
    (
        "legwear",
        &["socks", "kneehighs", "thighhighs", "pantyhose", "leggings", "stockings", "over-kneehighs", "bobby socks"],
    ),
    (
        "headwear",
        &[
            "hat",
            "cap",
            "beret",
            "helmet",
            "hood",
            "baseball cap",
            "witch hat",
            "top hat",
            "sun hat",
            "straw hat",
            "beanie",
        ],
    ),
    ("eyewear", &["glasses", "sunglasses", "goggles", "monocle"]),
    ("handwear", &["gloves", "mittens", "elbow gloves", "fingerless gloves"]),
    ("neckwear", &["necktie", "bowtie", "neckerchief", "scarf", "cravat", "choker", "ascot"]),
    ("swimwear", &["bikini", "swimsuit", "one-piece swimsuit", "school swimsuit"]),
];

/// Colours as booru tags name them.
const COLORS: [&str; 22] = [
    "aqua",
    "beige",
    "black",
    "blue",
    "brown",
    "dark blue",
    "gold",
    "green",
    "grey",
    "gray",
    "light blue",
    "light brown",
    "orange",
    "pink",
    "purple",
    "red",
    "silver",
    "tan",
    "teal",
    "white",
    "yellow",
    "violet",
];

/// Tags that say something of their own although others end like them. Compared folded.
const OWN_MEANING: [&str; 6] = ["solo", "hair", "eyes", "looking at viewer", "focus", "background"];

/// What is proposed: these tags go where they stand beside the one that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The tag that is kept, or made; as it is written most often.
    pub keep: String,
    /// The tags that go, folded, with the number of captions in which they do.
    pub drop: Vec<(String, usize)>,
    /// Captions that change.
    pub captions: usize,
}

/// In one caption: this tag is kept, or made, and those go.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Merge {
    /// Folded.
    keep: String,
    /// Folded.
    drop: BTreeSet<String>,
}

/// What is proposed for captions, those of most captions first. `activation` tags are never dropped.
pub fn proposals<'a>(captions: impl IntoIterator<Item = (&'a CaptionFile, Activation)>) -> Vec<Proposal> {
    let mut found: BTreeMap<String, (BTreeMap<String, usize>, usize)> = BTreeMap::new();
    let mut written: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for (caption, activation) in captions {
        if caption.kind() != Kind::Tags {
            continue;
        }
        for tag in caption.tags() {
            *written.entry(folded(tag)).or_default().entry(tag.to_owned()).or_default() += 1;
        }
        for merge in merges(caption, &activation) {
            let (drop, captions) = found.entry(merge.keep).or_default();
            *captions += 1;
            for tag in merge.drop {
                *drop.entry(tag).or_default() += 1;
            }
        }
    }
    let mut list = Vec::new();
    for (keep, (drop, captions)) in found {
        let most = written.get(&keep).and_then(|texts| texts.iter().max_by_key(|(_, count)| **count));
        let keep = most.map_or(keep.clone(), |(text, _)| text.clone());
        list.push(Proposal { keep, drop: drop.into_iter().collect(), captions });
    }
    list.sort_by(|one, other| other.captions.cmp(&one.captions).then(one.keep.cmp(&other.keep)));
    list
}

/// Does in a caption what is `accepted`.
pub(super) fn act_on(caption: &mut CaptionFile, accepted: &[Proposal], activation: &Activation) {
    for merge in merges(caption, activation) {
        let Some(proposal) = accepted.iter().find(|proposal| folded(&proposal.keep) == merge.keep) else { continue };
        let drop: Vec<&String> =
            merge.drop.iter().filter(|tag| proposal.drop.iter().any(|(accepted, _)| accepted == *tag)).collect();
        if drop.is_empty() {
            continue;
        }
        if !caption.has(&merge.keep) {
            // It takes the place of the first that goes.
            let first = caption.parts().iter().position(|part| drop.contains(&&folded(part)));
            if let Some(first) = first {
                caption.replace(first, &proposal.keep);
            }
        }
        for index in (0..caption.parts().len()).rev() {
            if drop.contains(&&folded(&caption.parts()[index])) {
                caption.remove(index);
            }
        }
    }
}

/// Tags of a tagger with one for each thing that they say: of `boots, red footwear, red boots` only the last. What is made
/// stands where the first of those stood that go.
pub fn consolidated(tags: Vec<String>) -> Vec<String> {
    let mut list = tags;
    for merge in merges_of(list.iter().map(|tag| folded(tag)).collect(), &Activation::none()) {
        let first = list.iter().position(|tag| merge.drop.contains(&folded(tag)));
        let is_there = list.iter().any(|tag| folded(tag) == merge.keep);
        if let Some(first) = first.filter(|_| !is_there) {
            let has_underscores = list[first].contains('_');
            list[first] = if has_underscores { merge.keep.replace(' ', "_") } else { merge.keep.clone() };
        }
        list.retain(|tag| !merge.drop.contains(&folded(tag)));
    }
    list
}

/// Of tags of a tagger those that say something beside a caption that is there: not `boots` beside its `red boots`. The caption's
/// own tags stay.
pub fn beside(caption: &CaptionFile, tags: &[String]) -> Vec<String> {
    let mut all: Vec<String> = caption.tags().map(folded).collect();
    all.extend(tags.iter().map(|tag| folded(tag)));
    let mut list = tags.to_vec();
    for merge in merges_of(all.clone(), &Activation::none()) {
        // What would have to be made of both is the user's business.
        if all.contains(&merge.keep) {
            list.retain(|tag| !merge.drop.contains(&folded(tag)));
        }
    }
    list
}

/// What can be merged in a caption.
fn merges(caption: &CaptionFile, activation: &Activation) -> Vec<Merge> {
    merges_of(caption.tags().map(folded).collect(), activation)
}

/// What can be merged of folded tags.
fn merges_of(tags: Vec<String>, activation: &Activation) -> Vec<Merge> {
    let mut dropped: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    // A colour and a class first: what comes out of it may say more than other tags.
    let mut made = Vec::new();
    for (class, members) in CLASSES {
        if let Some(merge) = of_class(&tags, class, members) {
            made.push(merge.keep.clone());
            dropped.entry(merge.keep).or_default().extend(merge.drop);
        }
    }
    let all: Vec<&String> = tags.iter().chain(&made).collect();
    for tag in &tags {
        let longer =
            all.iter().filter(|other| says_more(other, tag)).max_by_key(|other| (other.len(), (**other).clone()));
        if let Some(longer) = longer {
            dropped.entry((*longer).clone()).or_default().insert(tag.clone());
        }
    }
    // What goes itself hands on what it would have taken.
    let mut list = Vec::new();
    for (keep, drop) in dropped {
        let drop: BTreeSet<String> = drop.into_iter().filter(|tag| *tag != keep && !activation.contains(tag)).collect();
        if !drop.is_empty() {
            list.push(Merge { keep, drop });
        }
    }
    list
}

/// `red footwear` and `boots`, if nothing else is of that class: `red boots`.
fn of_class(tags: &[String], class: &str, members: &[&str]) -> Option<Merge> {
    let mut colored = tags.iter().filter_map(|tag| {
        let color = tag.strip_suffix(class)?.strip_suffix(' ')?;
        if COLORS.contains(&color) { Some((tag, color)) } else { None }
    });
    let (class_tag, color) = colored.next()?;
    if colored.next().is_some() {
        return None;
    }
    // Members, as such or with words before them.
    let mut names: Vec<&str> = Vec::new();
    for tag in tags {
        let member = members.iter().filter(|member| is_tail(member, tag)).max_by_key(|member| member.len());
        if let Some(member) = member
            && !names.contains(member)
        {
            names.push(member);
        }
    }
    // `boots` and `knee boots` are one thing.
    let longest = names.iter().copied().max_by_key(|name| name.len())?;
    if !names.iter().all(|name| *name == longest || is_tail(name, longest)) {
        return None;
    }
    let other_color =
        tags.iter().any(|tag| COLORS.iter().any(|other| *other != color && *tag == format!("{other} {longest}")));
    if other_color {
        return None;
    }
    let keep = format!("{color} {longest}");
    let drop = BTreeSet::from([class_tag.clone(), longest.to_owned()]);
    let drop = drop.into_iter().filter(|tag| tags.contains(tag)).collect();
    Some(Merge { keep, drop })
}

/// Whether `long` ends with the words of `short`.
fn is_tail(short: &str, long: &str) -> bool {
    match long.strip_suffix(short) {
        Some(before) => before.is_empty() || before.ends_with(' '),
        None => false,
    }
}

/// Whether `long` says what `short` says and more: all its words in their order, and the same last word.
fn says_more(long: &str, short: &str) -> bool {
    if OWN_MEANING.contains(&short) || short.starts_with(|letter: char| letter.is_ascii_digit()) {
        return false;
    }
    let mut rest = long.split(' ');
    let has_words = short.split(' ').all(|word| rest.any(|other| other == word));
    has_words && rest.next().is_none() && long.len() > short.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tagger_says_each_thing_once() {
        let of = |line: &str| consolidated(line.split(", ").map(str::to_owned).collect()).join(", ");
        assert_eq!(of("1girl, boots, red footwear, long hair, very long hair"), "1girl, red boots, very long hair");
        assert_eq!(of("boots, red footwear, red boots"), "red boots");
        assert_eq!(of("red_footwear, boots, hat"), "red_boots, hat");
        assert_eq!(of("hat, sky"), "hat, sky");
        let mut caption = CaptionFile::load(std::path::Path::new("/nowhere/a.txt"), ",").unwrap();
        caption.set_line("penny, red boots, hat");
        let new = ["boots", "red footwear", "black hat", "sky"].map(str::to_owned);
        assert_eq!(beside(&caption, &new), ["black hat", "sky"]);
    }

    #[test]
    fn a_tag_says_more_only_about_the_same_thing() {
        for (long, short) in [("red boots", "boots"), ("very long hair", "long hair"), ("red hair bow", "red bow")] {
            assert!(says_more(long, short), "{long} {short}");
        }
        for (long, short) in [
            ("hair ribbon", "hair"),
            ("earrings", "ear"),
            ("boots", "boots"),
            ("long hair", "hair"),
            ("2girls", "1girl"),
            ("multiple 1girl", "1girl"),
            ("boots red", "red boots"),
            ("male focus", "focus"),
        ] {
            assert!(!says_more(long, short), "{long} {short}");
        }
    }
}
