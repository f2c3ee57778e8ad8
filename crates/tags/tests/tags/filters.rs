//! Which images a filter takes.

use std::path::Path;

use lorabake_tags::filter::{Facts, NoFacts, parse};
use lorabake_tags::{CaptionSet, Counts, Reading};

use crate::set::Set;

struct Known;

impl Facts for Known {
    fn tokens(&self, text: &str) -> Option<u64> {
        Some(text.split_whitespace().count() as u64)
    }

    fn size(&self, image: &Path) -> Option<(u32, u32)> {
        if image.ends_with("a.png") { Some((512, 768)) } else { None }
    }

    fn issues(&self, image: &Path) -> Vec<String> {
        if image.ends_with("b.png") { vec!["img.soft".to_owned()] } else { Vec::new() }
    }
}

#[test]
fn filters_take_what_they_say() {
    let set = Set::new(&[
        ("10_penny/a.png", b""),
        ("10_penny/a.txt", b"penny, Red_Boots, hat"),
        ("10_penny/b.png", b""),
        ("10_penny/b.txt", b"penny, blue boots"),
        ("10_penny/c.png", b""),
        ("10_penny/c.txt", b"penny"),
        ("5_other/d.png", b""),
        ("5_other/d.txt", b"A girl walks."),
        ("5_other/e.png", b""),
        ("5_other/f.png", b""),
        ("5_other/f.txt", b"hat"),
    ]);
    let captions = CaptionSet::load(&set.folder(), &Reading::default()).unwrap();
    let taken = |filter: &str, facts: &dyn Facts| {
        let filter = parse(filter).unwrap();
        let mut names = String::new();
        for entry in &captions.entries {
            if filter.fits(&captions, entry, facts) {
                names += entry.images[0].file_stem().unwrap().to_str().unwrap();
            }
        }
        names
    };
    for (filter, names) in [
        ("tag:'red boots'", "a"),
        ("tag:*boots", "ab"),
        ("tag:boots", ""),
        ("caption:boots", "ab"),
        ("boots", "ab"),
        ("NOT boots", "cdef"),
        ("boots hat", "a"),
        ("tag:hat OR tag:*boots", "abf"),
        ("(tag:hat OR tag:*boots) AND NOT tag:hat", "b"),
        ("name:B.png", "b"),
        ("path:5_other/", "def"),
        ("folder:10_penny tags:>1", "ab"),
        ("folder:*enny tags:=1", "c"),
        ("tags:!=1", "abe"),
        ("chars:<=5", "cef"),
        ("is:empty", "e"),
        ("is:missing", "e"),
        ("is:prose", "d"),
        ("is:tags", "abcf"),
        ("is:unmarked folder:10_penny", ""),
        ("tokens:>=3", "abd"),
        ("width:512 height:>512", "a"),
        ("size:<768", "a"),
        ("NOT size:>0", "bcdef"),
        ("issue:img.soft", "b"),
        ("issue:img.*", "b"),
    ] {
        assert_eq!(taken(filter, &Known), names, "{filter}");
    }
    assert_eq!(taken("tokens:>0 OR size:>0 OR issue:*", &NoFacts), "");
    let unknown = |filter: &str| parse(filter).unwrap().unknown_issues(&["img.soft", "tag.form"]);
    assert_eq!(unknown("issue:img.soft OR issue:tag.* OR hat"), [""; 0]);
    assert_eq!(unknown("NOT (hat OR issue:img.sofft) issue:x"), ["img.sofft", "x"]);
}

#[test]
fn counts_tell_what_is_stuck() {
    let texts: Vec<String> = (0..100)
        .map(|number| {
            let mut tags = vec!["penny", if number < 10 { "Red boots" } else { "red_boots" }];
            if number < 70 {
                tags.push("hat");
            }
            if number < 30 {
                tags.extend(["bow", "bow"]);
            }
            if number < 2 {
                tags.push("stray");
            }
            tags.join(", ")
        })
        .collect();
    let set = Set::new(&[]);
    let mut files = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        set.write(&format!("{number}.txt"), text.as_bytes());
        files.push(set.caption(&format!("{number}.txt")));
    }
    let counts = Counts::of(&files);
    let told: Vec<String> = counts
        .tags()
        .iter()
        .map(|tag| format!("{} {} {} {:?} {}", tag.tag, tag.on, tag.off, tag.band(), tag.variants.join("|")))
        .collect();
    assert_eq!(
        told,
        [
            "penny 100 0 Stuck ",
            "red_boots 100 0 Stuck Red boots",
            "hat 70 30 Strong ",
            "bow 30 70 Balanced ",
            "stray 2 98 Single ",
        ]
    );
    assert_eq!((counts.captions(), counts.captions_with("RED BOOTS")), (100, 100));
}
