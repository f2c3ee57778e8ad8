//! What is done to tags.

use lorabake_tags::change::{Change, Existing, Find, Order, Outcome, Place, Replacement, Scope, proposals, write_tags};
use lorabake_tags::filter::Pattern;
use lorabake_tags::{Activation, Counts};

use crate::set::Set;

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What a change makes of a caption whose activation tag is penny.
fn changed(text: &str, change: &Change) -> String {
    let set = Set::new(&[("a.txt", text.as_bytes())]);
    let mut caption = set.caption("a.txt");
    change.act_on(&mut caption, &Activation::named("penny", ","), &Counts::default(), false);
    String::from_utf8(caption.to_bytes()).unwrap()
}

fn replaced(text: &str, find: Find, with: &str, scope: Scope) -> String {
    changed(text, &Change::Replace(Replacement::new(find, with, scope).unwrap()))
}

#[test]
fn tags_are_added_where_they_are_asked_for() {
    let add = |place| Change::Add { tags: texts(&["hat", "red_boots"]), place };
    for (place, expected) in [
        (Place::Front, "penny, hat, red_boots, 1girl, solo\r\n"),
        (Place::Back, "penny, 1girl, solo, hat, red_boots\r\n"),
        (Place::At(3), "penny, 1girl, hat, red_boots, solo\r\n"),
        (Place::At(1), "penny, hat, red_boots, 1girl, solo\r\n"),
        (Place::At(99), "penny, 1girl, solo, hat, red_boots\r\n"),
    ] {
        assert_eq!(changed("penny, 1girl, solo\r\n", &add(place)), expected, "{place:?}");
    }
    assert_eq!(changed("penny,Hat,Red Boots", &add(Place::Back)), "penny,Hat,Red Boots");
    assert_eq!(changed("", &add(Place::Back)), "penny, hat, red_boots");
    assert_eq!(changed("penny, 1girl, \n", &add(Place::Back)), "penny, 1girl, hat, red_boots, \n");
}

#[test]
fn tags_are_taken_out() {
    let remove = |patterns: &[&str]| Change::Remove(patterns.iter().map(|text| Pattern::new(text)).collect());
    assert_eq!(changed("penny, Red_Boots,hat, red boots", &remove(&["red boots"])), "penny,hat");
    assert_eq!(changed("penny, red boots, blue boots, hat", &remove(&["*boots", "ha?"])), "penny");
    // But for the activation tag.
    assert_eq!(changed("1girl, penny, solo", &remove(&["*"])), "penny");
    assert_eq!(changed("hat, penny", &remove(&["boots"])), "hat, penny");
}

#[test]
fn texts_are_replaced_in_three_scopes() {
    let text = |text: &str| Find::Text(text.to_owned());
    let regex = |text: &str| Find::regex(text).unwrap();
    for (find, with, scope, before, after) in [
        (text("red boots"), "boots", Scope::Tag, "penny, Red_Boots, hat", "penny, boots, hat"),
        (text("boots"), "shoes", Scope::Tag, "penny, red boots, hat", "penny, red boots, hat"),
        (text("boots"), "shoes", Scope::Within, "penny, red boots, hat", "penny, red shoes, hat"),
        (text("t, b"), "t and b", Scope::Caption, "penny, hat, boots", "penny, hat and boots"),
        (text("hat"), "", Scope::Tag, "penny, hat, boots", "penny, boots"),
        (text("hat"), "cap, bow", Scope::Tag, "penny, hat, boots", "penny, cap, bow, boots"),
        (
            regex("(red|blue) (.*)"),
            "$2 in $1",
            Scope::Tag,
            "penny, red boots, infrared boots",
            "penny, boots in red, infrared boots",
        ),
        (regex("(?i)BOOTS?$"), "shoes", Scope::Within, "penny, red boots, boots up", "penny, red shoes, boots up"),
        (regex(", *"), ",", Scope::Caption, " penny,  hat,boots \r\nmore", " penny,hat,boots \r\nmore"),
        (regex(".*_.*"), "", Scope::Tag, "penny, a_b, c", "penny, c"),
        (text("hat"), "a\nb", Scope::Tag, "penny, hat\nmore", "penny, a b\nmore"),
    ] {
        assert_eq!(replaced(before, find, with, scope), after, "{before}");
    }
    let groups = |with: &str| replaced("penny, red boots", regex("(?P<color>red) (.*)"), with, Scope::Tag);
    for (with, after) in [
        ("$1st", "redst"),
        ("${2}2", "boots2"),
        ("$color$$", "red$"),
        ("${color}x$0", "redxred boots"),
        ("a $ b", "a $ b"),
    ] {
        assert_eq!(groups(with), format!("penny, {after}"), "{with}");
    }
    for with in ["$3", "$colour", "${x}"] {
        let error = Replacement::new(regex("(?P<color>red) (.*)"), with, Scope::Tag).unwrap_err();
        assert!(error.contains("is no group of the 2 of the expression"), "{error}");
    }
    assert!(Find::regex("(").unwrap_err().contains("mend the regular expression"));
    // One that would take all memory.
    assert!(Find::regex("(a{1000}){1000}").is_err());
}

#[test]
fn orders_keep_the_first() {
    let set = Set::new(&[("a.txt", b"hat, boots"), ("b.txt", b"hat, zebra"), ("c.txt", b"hat, boots, a long tag")]);
    let files = ["a.txt", "b.txt", "c.txt"].map(|name| set.caption(name));
    let counts = Counts::of(&files);
    let sorted = |order, keep| {
        let mut caption = set.caption("a.txt");
        caption.set_line("zebra,  penny, boots,, a_long tag, hat");
        let change = Change::Sort { order, keep };
        change.act_on(&mut caption, &Activation::named("penny", ","), &counts, false);
        caption.caption()
    };
    assert_eq!(sorted(Order::Name, 0), "penny,  a_long tag, boots,hat, zebra,");
    assert_eq!(sorted(Order::Count, 0), "penny,  hat, boots,a_long tag, zebra,");
    assert_eq!(sorted(Order::Length, 0), "penny,  hat, boots,zebra, a_long tag,");
    assert_eq!(sorted(Order::Reverse, 1), "penny,  zebra, hat,a_long tag, boots,");
}

#[test]
fn doubles_and_empty_parts_go() {
    assert_eq!(changed("penny, Hat, hat,, 1girl, Penny, \n", &Change::Dedupe), "penny, Hat, 1girl\n");
    assert_eq!(changed("poster (object), (hat:1.2), :3", &Change::Dedupe), "poster (object), (hat:1.2), :3");
    let first = Change::MoveFirst(texts(&["solo", "hat"]));
    assert_eq!(changed("penny, hat, 1girl, Solo", &first), "penny, Solo, hat, 1girl");
}

#[test]
fn the_guides_boots_become_red_boots() {
    let consolidated = |captions: &[&str]| {
        let set = Set::new(&[]);
        let mut files = Vec::new();
        for (index, text) in captions.iter().enumerate() {
            set.write(&format!("{index}.txt"), text.as_bytes());
            files.push(set.caption(&format!("{index}.txt")));
        }
        let penny = Activation::named("penny", ",");
        let found = proposals(files.iter().map(|file| (file, penny.clone())));
        let change = Change::Consolidate(found.clone());
        for file in &mut files {
            change.act_on(file, &penny, &Counts::default(), false);
        }
        (found, files.iter().map(|file| file.caption()).collect::<Vec<_>>())
    };
    let (found, after) = consolidated(&[
        "penny, 1girl, boots, red footwear, Red_Boots",
        "penny, boots, red footwear, hat",
        "penny, boots, hat",
        "penny, red footwear, shoes, boots",
        "penny, red footwear, blue footwear, boots",
        "penny, very long hair, long hair, hair ribbon, hair",
        "penny, black thighhighs, black legwear",
        "A girl in red boots, boots and red footwear walks.",
        "red penny, penny",
    ]);
    assert_eq!(
        after,
        [
            "penny, 1girl, Red_Boots",
            "penny, Red_Boots, hat",
            "penny, boots, hat",
            "penny, red footwear, shoes, boots",
            "penny, red footwear, blue footwear, boots",
            "penny, very long hair, hair ribbon, hair",
            "penny, black thighhighs",
            "A girl in red boots, boots and red footwear walks.",
            "red penny, penny",
        ]
    );
    assert_eq!((found[0].keep.as_str(), found[0].captions), ("Red_Boots", 2));
    assert_eq!(found[0].drop, [("boots".to_owned(), 2), ("red footwear".to_owned(), 2)]);
    assert_eq!(found.len(), 3);
}

#[test]
fn a_prefix_comes_to_all_captions() {
    assert_eq!(changed("hat, Penny", &Change::Prefix), "Penny, hat");
    assert_eq!(changed("hat", &Change::Prefix), "penny, hat");
    assert_eq!(changed("A girl stands on a flower field.", &Change::Prefix), "penny, A girl stands on a flower field.");
    assert_eq!(changed("Penny stands on a flower field.", &Change::Prefix), "Penny stands on a flower field.");
}

#[test]
fn a_tagger_touches_what_it_may() {
    let penny = Activation::named("penny", ",");
    let tags = texts(&["1girl", "hat", "Hat"]);
    let written = |name: &str, text: Option<&str>, existing| {
        let set = Set::new(&[]);
        if let Some(text) = text {
            set.write(name, text.as_bytes());
        }
        let mut caption = set.caption(name);
        let changed = write_tags(&mut caption, &tags, existing, &penny, ", ");
        assert_eq!(changed, caption.edit().is_some());
        if changed { Some(caption.caption()) } else { None }
    };
    let all = Some("penny, 1girl, hat".to_owned());
    for existing in [Existing::Keep, Existing::OnlyEmpty, Existing::Append, Existing::Replace] {
        assert_eq!(written("new.txt", None, existing), all, "{existing:?}");
    }
    assert_eq!(Existing::default(), Existing::Keep);
    assert_eq!(written("a.txt", Some(" \n"), Existing::Keep), None);
    assert_eq!(written("a.txt", Some(" \n"), Existing::OnlyEmpty), all);
    for existing in [Existing::Keep, Existing::OnlyEmpty] {
        assert_eq!(written("a.txt", Some("x"), existing), None, "{existing:?}");
    }
    assert_eq!(written("a.txt", Some("hat,x, penny"), Existing::Append).as_deref(), Some("penny,hat, x, 1girl"));
    assert_eq!(written("a.txt", Some("x, Penny"), Existing::Replace), all);
    assert_eq!(written("a.txt", Some("penny, 1girl, hat"), Existing::Append), None);
    // Without the activation tag before, too.
    assert_eq!(written("a.txt", Some("x, y"), Existing::Replace), all);
    assert_eq!(written("a.txt", Some("A girl with a hat and boots stands here."), Existing::Append), None);
    // A caption in the second line is one of its own.
    assert_eq!(written("a.txt", Some("\na hat"), Existing::OnlyEmpty), None);
}

#[test]
fn prose_and_empty_captions_are_left_alone() {
    let set = Set::new(&[("a.txt", b"A girl, walking."), ("b.txt", b"")]);
    let remove = Change::Remove(vec![Pattern::new("a girl")]);
    let none = Activation::none();
    let mut prose = set.caption("a.txt");
    assert_eq!(remove.act_on(&mut prose, &none, &Counts::default(), false), Outcome::Prose);
    assert_eq!(prose.edit(), None);
    assert_eq!(remove.act_on(&mut prose, &none, &Counts::default(), true), Outcome::Done);
    assert_eq!(prose.caption(), "walking.");
    assert_eq!(remove.act_on(&mut set.caption("b.txt"), &none, &Counts::default(), true), Outcome::Nothing);
}
