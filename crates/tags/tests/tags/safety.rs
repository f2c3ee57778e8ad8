//! The twelve safety rules for editors of tags, each learnt from what users of others have lost. The issues cited are those of
//! tag-editor (toshiaki1729/stable-diffusion-webui-dataset-tag-editor), BDTM (starik222/BooruDatasetTagManager), picobyte
//! (picobyte/stable-diffusion-webui-wd14-tagger) and unslothai/unsloth.

use lorabake_tags::change::{Change, Existing, Find, Order, Place, Replacement, Scope, write_tags};
use lorabake_tags::filter::Pattern;
use lorabake_tags::{Activation, CaptionSet, Counts, Edit, Journal, Reading};

use crate::set::Set;

fn penny() -> Activation {
    Activation::named("penny", ",")
}

/// One of every kind of change.
fn changes() -> Vec<Change> {
    vec![
        Change::Add { tags: vec!["new".to_owned()], place: Place::Front },
        Change::Add { tags: vec!["new".to_owned()], place: Place::At(1) },
        Change::Remove(vec![Pattern::new("hat")]),
        replace("hat", "cap"),
        Change::MoveFirst(vec!["hat".to_owned()]),
        Change::Dedupe,
        Change::Sort { order: Order::Name, keep: 0 },
        Change::Sort { order: Order::Reverse, keep: 1 },
        Change::Prefix,
    ]
}

fn replace(text: &str, with: &str) -> Change {
    Change::Replace(Replacement::new(Find::Text(text.to_owned()), with, Scope::Tag).unwrap())
}

fn done(set: &Set, name: &str, change: &Change) -> String {
    let mut caption = set.caption(name);
    change.act_on(&mut caption, &penny(), &Counts::default(), false);
    if let Some(edit) = caption.edit() {
        set.journal().apply("test", &[edit]).unwrap();
    }
    String::from_utf8(set.read(name)).unwrap()
}

/// tag-editor#97: "If Empty" tagged captioned files; #32: it did nothing.
#[test]
fn rule_1_a_tagger_never_changes_a_caption_unless_asked() {
    let set = Set::new(&[("a.txt", b"work of days"), ("empty.txt", b"")]);
    let tags = ["1girl".to_owned()];
    for existing in [Existing::default(), Existing::OnlyEmpty] {
        let mut caption = set.caption("a.txt");
        assert!(!write_tags(&mut caption, &tags, existing, &penny(), ", "));
        assert_eq!(caption.edit(), None);
    }
    assert!(write_tags(&mut set.caption("empty.txt"), &tags, Existing::OnlyEmpty, &penny(), ", "));
}

#[test]
fn rule_2_the_activation_tag_is_first_after_every_change() {
    for change in changes() {
        let set = Set::new(&[("a.txt", b"zebra, hat, Hat, penny, 1girl"), ("new.txt", b"")]);
        let after = done(&set, "a.txt", &change);
        assert!(after.starts_with("penny, "), "{change:?}: {after}");
        assert_eq!(after.matches("penny").count(), 1);
    }
    let set = Set::new(&[("a.png", b"")]);
    let change = Change::Add { tags: vec!["hat".to_owned()], place: Place::Back };
    assert_eq!(done(&set, "a.txt", &change), "penny, hat\n");
    // And those without it are counted.
    let set = Set::new(&[("a.png", b""), ("a.txt", b"penny"), ("b.png", b""), ("b.txt", b"hat")]);
    let reading = Reading { activation: Some(penny()), ..Reading::default() };
    assert_eq!(CaptionSet::load(&set.folder(), &reading).unwrap().without_activation(), 1);
}

/// BDTM#55, #54.
#[test]
fn rule_3_adding_never_replaces() {
    let set = Set::new(&[("a.txt", b"penny, hat, red_boots")]);
    let tags: Vec<String> = ["x", "hat", "y"].map(str::to_owned).to_vec();
    for place in [Place::Front, Place::Back, Place::At(2)] {
        let after = done(&set, "a.txt", &Change::Add { tags: tags.clone(), place });
        for tag in ["penny", "hat", "red_boots", "x", "y"] {
            assert!(after.split(", ").any(|other| other == tag), "{tag}: {after}");
        }
    }
}

/// BDTM#100: the tag was gone.
#[test]
fn rule_4_replacing_by_itself_does_nothing_and_by_another_merges() {
    let set = Set::new(&[("a.txt", b"penny, red_boots, hat, boots\n")]);
    for same in ["red_boots", "red boots", "hat"] {
        assert_eq!(done(&set, "a.txt", &replace(same, same)), "penny, red_boots, hat, boots\n");
    }
    assert!(set.journal().history().is_empty());
    assert_eq!(done(&set, "a.txt", &replace("boots", "red boots")), "penny, red_boots, hat\n");
}

/// unsloth PR#6822: a run began before an edit was saved. Here an edit is on disk when the call comes back, or it failed.
#[test]
fn rule_5_what_is_applied_is_on_disk() {
    let set = Set::new(&[("a.txt", b"a")]);
    let mut journal = set.journal();
    for number in 0..20u8 {
        let before = set.read("a.txt");
        let edit = Edit::Write { path: set.path("a.txt"), before: Some(before), after: vec![b'b' + number] };
        journal.apply("test", &[edit]).unwrap();
        assert_eq!(set.read("a.txt"), [b'b' + number]);
    }
}

/// BDTM#104: captions were blank. Kills are tested in `journal`.
#[test]
fn rule_6_files_are_written_whole_and_never_over_others_work() {
    let set = Set::new(&[("a.txt", b"\xef\xbb\xbfpenny, hat\r\nsecond line\r\n")]);
    let after = done(&set, "a.txt", &replace("hat", "cap"));
    assert_eq!(after.as_bytes(), b"\xef\xbb\xbfpenny, cap\r\nsecond line\r\n");
    let mut caption = set.caption("a.txt");
    caption.push("boots");
    set.write("a.txt", b"by hand");
    let error = set.journal().apply("test", &[caption.edit().unwrap()]).unwrap_err().to_string();
    assert!(error.contains("changed by another program meanwhile"), "{error}");
    assert_eq!(set.read("a.txt"), b"by hand");
}

#[test]
fn rule_7_actions_of_all_files_are_undone_after_a_restart() {
    let set = Set::new(&[]);
    let mut edits = Vec::new();
    for number in 0..300 {
        let name = format!("10_penny/{number}.txt");
        set.write(&name, b"\xef\xbb\xbfpenny,hat\r\n");
        let mut caption = set.caption(&name);
        replace("hat", "cap").act_on(&mut caption, &penny(), &Counts::default(), false);
        edits.extend(caption.edit());
    }
    let before = set.content();
    set.journal().apply("tags replace", &edits).unwrap();
    assert_ne!(set.content(), before);
    let undone = Journal::open(&set.path("10_penny")).unwrap().undo(None).unwrap().unwrap();
    assert_eq!((undone.name.as_str(), undone.changes), ("tags replace", 300));
    assert_eq!(set.content(), before);
    assert!(set.beside_path("img.lorabake/captions_at_first.jsonl").is_file());
}

/// picobyte#38: a `db.json` among the images.
#[test]
fn rule_8_the_data_set_holds_the_users_files_only() {
    let set = Set::new(&[("10_penny/a.png", b"image"), ("10_penny/a.txt", b"zebra, hat, Hat, penny")]);
    let names: Vec<String> = set.content().into_keys().collect();
    for change in changes() {
        done(&set, "10_penny/a.txt", &change);
        set.journal().undo(None).unwrap();
    }
    assert_eq!(set.content().into_keys().collect::<Vec<_>>(), names);
    assert_eq!(set.beside(), ["img", "img.lorabake"]);
}

#[test]
fn rule_9_nothing_is_deleted_and_no_name_taken() {
    let set = Set::new(&[("10_x/a.png", b"image"), ("10_x/a.txt", b"x"), ("8_x/b.txt", b"")]);
    let before = set.content();
    let mut journal = set.journal();
    let from = set.path("10_x/a.png");
    let to = journal.home().set_aside(&from).unwrap();
    journal.apply("set aside", &[Edit::Move { from, to: to.clone() }]).unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), b"image");
    assert!(to.ends_with("img.set_aside/10_x/a.png"));
    journal.undo(None).unwrap();
    let taken = Edit::Move { from: set.path("10_x"), to: set.path("8_x") };
    let error = journal.apply("rename", &[taken]).unwrap_err().to_string();
    assert!(error.ends_with("8_x: it is there already; move it away, or choose another name"), "{error}");
    journal.apply("rename", &[Edit::Move { from: set.path("10_x"), to: set.path("5_x") }]).unwrap();
    assert!(set.path("5_x/a.png").is_file() && !set.path("10_x").exists());
    journal.undo(None).unwrap();
    assert_eq!(set.content(), before);
}

/// BDTM#142: `1girl, 1girl` became `(1girl)`, and `poster (object)` two tags.
#[test]
fn rule_10_reading_and_writing_changes_nothing() {
    let text = b"1girl, 1girl, poster (object), \\(o\\), red_boots ,  x,\r\n\r\n";
    let set = Set::new(&[("a.txt", text)]);
    assert_eq!(set.caption("a.txt").to_bytes(), text);
    assert_eq!(done(&set, "a.txt", &replace("nothing", "of this")).as_bytes(), text);
    let after = done(&set, "a.txt", &replace("x", "y"));
    assert_eq!(after.as_bytes(), b"1girl, 1girl, poster (object), \\(o\\), red_boots ,  y,\r\n\r\n");
}

#[test]
fn rule_11_tags_are_compared_folded_and_written_as_they_are() {
    let set = Set::new(&[("a.txt", b"penny, Red_Boots, long_hair, Hat")]);
    let add = Change::Add { tags: vec!["red boots".to_owned(), "HAT".to_owned()], place: Place::Back };
    assert_eq!(done(&set, "a.txt", &add), "penny, Red_Boots, long_hair, Hat");
    assert_eq!(done(&set, "a.txt", &replace("RED boots", "Blue_boots")), "penny, Blue_boots, long_hair, Hat");
}

/// wochenlong/lora-scripts-next#210.
#[test]
fn rule_12_prose_is_no_list_of_tags() {
    let text = "penny, a girl with red boots and hat stands there, hat";
    let set = Set::new(&[("a.txt", text.as_bytes())]);
    for change in changes() {
        assert_eq!(done(&set, "a.txt", &change), text, "{change:?}");
    }
    assert!(set.journal().history().is_empty());
}
