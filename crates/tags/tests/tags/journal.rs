//! Actions, undo, redo, and kills at every moment.

use std::collections::BTreeMap;

use lorabake_tags::{Edit, Error, Journal};
use lorabake_weights::faults;

use crate::set::Set;

fn write(set: &Set, name: &str, before: Option<&[u8]>, after: &[u8]) -> Edit {
    Edit::Write { path: set.path(name), before: before.map(<[u8]>::to_vec), after: after.to_vec() }
}

/// A data set, and an action of everything that there is: captions changed and made, an image changed, one set aside, a
/// folder renamed.
fn everything() -> (Set, Vec<Edit>) {
    let image = b"\x89PNG one".as_slice();
    let set = Set::new(&[
        ("10_penny/a.txt", b"\xef\xbb\xbfpenny, hat\r\n"),
        ("10_penny/a.png", image),
        ("10_penny/b.png", b"\x89PNG two"),
        ("10_penny/latin.txt", b"caf\xe9"),
        ("5_hat/c.txt", b"hat"),
    ]);
    let from = set.path("10_penny/b.png");
    let to = set.journal().home().set_aside(&from).unwrap();
    let edits = vec![
        write(&set, "10_penny/a.txt", Some(b"\xef\xbb\xbfpenny, hat\r\n"), b"\xef\xbb\xbfpenny, red hat\r\n"),
        write(&set, "10_penny/b.txt", None, b"penny\n"),
        write(&set, "10_penny/latin.txt", Some(b"caf\xe9"), "caf\u{e9}".as_bytes()),
        write(&set, "10_penny/a.png", Some(image), b"\x89PNG smaller"),
        Edit::Move { from, to },
        Edit::Move { from: set.path("5_hat"), to: set.path("8_hat") },
    ];
    (set, edits)
}

#[test]
fn an_action_is_done_undone_and_done_again() {
    let (set, edits) = everything();
    let before = set.content();
    let mut journal = set.journal();
    assert_eq!(set.beside(), ["img"], "opening makes nothing");
    assert_eq!(journal.apply("all", &edits).unwrap(), Some(1));
    let after = set.content();
    assert_eq!(after["img/10_penny/a.txt"], b"\xef\xbb\xbfpenny, red hat\r\n");
    assert_eq!(after["img/10_penny/a.png"], b"\x89PNG smaller");
    assert_eq!(after["img.set_aside/10_penny/b.png"], b"\x89PNG two");
    assert_eq!(after["img/8_hat/c.txt"], b"hat");
    assert_eq!(after.len(), before.len() + 1);
    assert_eq!(set.beside(), ["img", "img.lorabake", "img.set_aside"]);

    for _ in 0..3 {
        assert_eq!(journal.undo(None).unwrap().unwrap().name, "all");
        assert_eq!(set.content(), before);
        assert_eq!(journal.undo(None).unwrap(), None);
        // Another program may come later.
        drop(journal);
        journal = set.journal();
        assert_eq!(journal.redo().unwrap().unwrap().number, 1);
        assert_eq!(set.content(), after);
        assert_eq!(journal.redo().unwrap(), None);
    }
    let history = journal.history();
    assert_eq!((history.len(), history[0].changes, history[0].is_undone), (1, 6, false));
}

#[test]
fn actions_are_undone_one_by_one_and_a_new_one_ends_redo() {
    let set = Set::new(&[("a.txt", b"0")]);
    let mut journal = set.journal();
    for number in 0..3u8 {
        let edit = write(&set, "a.txt", Some(&[b'0' + number]), &[b'1' + number]);
        assert_eq!(journal.apply("count", &[edit]).unwrap(), Some(u64::from(number) + 1));
    }
    journal.undo(None).unwrap();
    journal.undo(None).unwrap();
    assert_eq!(set.read("a.txt"), b"1");
    assert_eq!(journal.redo().unwrap().unwrap().number, 2);
    journal.undo(None).unwrap();
    journal.apply("other", &[write(&set, "a.txt", Some(b"1"), b"x")]).unwrap();
    assert_eq!(journal.redo().unwrap(), None);
    let undone: Vec<bool> = journal.history().iter().map(|entry| entry.is_undone).collect();
    assert_eq!(undone, [false, true, true, false]);
    // An earlier one can be undone alone only while its files are as it left them.
    let error = journal.undo(Some(1)).unwrap_err();
    assert!(matches!(&error, Error::Changed { paths, .. } if paths.len() == 1), "{error}");
    assert_eq!(set.read("a.txt"), b"x");
}

#[test]
fn an_action_in_parts_is_undone_as_one() {
    let set = Set::new(&[("a.txt", b"a"), ("b.txt", b"b")]);
    let before = set.content();
    let mut journal = set.journal();
    let mut action = journal.start("tag");
    assert_eq!(action.apply(&[]).unwrap(), None);
    action.apply(&[write(&set, "a.txt", Some(b"a"), b"penny, a")]).unwrap();
    // A part that fails leaves the others.
    action.apply(&[write(&set, "b.txt", Some(b"other"), b"penny")]).unwrap_err();
    action.apply(&[write(&set, "b.txt", Some(b"b"), b"penny, b")]).unwrap();
    action.apply(&[write(&set, "a.txt", Some(b"penny, a"), b"penny, a, c")]).unwrap();
    assert_eq!(journal.history().len(), 1);
    journal.undo(None).unwrap();
    assert_eq!(set.content(), before);
    journal.redo().unwrap();
    assert_eq!(set.read("a.txt"), b"penny, a, c");
}

#[test]
fn nothing_to_do_makes_no_journal() {
    let set = Set::new(&[("a.txt", b"a")]);
    assert_eq!(set.journal().apply("none", &[write(&set, "a.txt", Some(b"a"), b"a")]).unwrap(), None);
    assert_eq!(set.beside(), ["img"]);
}

#[test]
fn what_was_changed_meanwhile_is_not_written_over() {
    let set = Set::new(&[("a.txt", b"a"), ("b.txt", b"b")]);
    let edits = [write(&set, "a.txt", Some(b"a"), b"penny, a"), write(&set, "b.txt", Some(b"b"), b"penny, b")];
    set.write("b.txt", b"by hand");
    let before = set.content();
    let error = set.journal().apply("add", &edits).unwrap_err().to_string();
    assert!(error.contains("b.txt: changed by another program meanwhile, so nothing was written"), "{error}");
    assert_eq!(set.content(), before);
    // A new file where there is one already.
    let new = [write(&set, "b.txt", None, b"penny")];
    set.journal().apply("add", &new).unwrap_err();
    // A target that is taken.
    let taken = [edits[0].clone(), Edit::Move { from: set.path("a.txt"), to: set.path("b.txt") }];
    set.journal().apply("move", &taken).unwrap_err();
    assert_eq!(set.content(), before);
}

#[test]
fn undo_writes_over_nothing_that_was_changed_since() {
    let (set, edits) = everything();
    set.journal().apply("all", &edits).unwrap();
    set.write("10_penny/a.txt", b"by hand");
    let now = set.content();
    let error = set.journal().undo(None).unwrap_err().to_string();
    assert!(error.contains("a.txt: changed by another program"), "{error}");
    assert_eq!(set.content(), now);
}

/// After a kill at any moment, and after a second one while that is mended, all files are old or all are new.
#[test]
fn a_kill_leaves_all_or_nothing() {
    let mut outcomes = BTreeMap::new();
    for way in ["do", "undo", "redo"] {
        for moment in 0.. {
            let (set, edits) = everything();
            let mut old = set.content();
            let mut journal = set.journal();
            if way != "do" {
                journal.apply("all", &edits).unwrap();
                old = set.content();
            }
            if way == "redo" {
                journal.undo(None).unwrap();
                old = set.content();
            }
            let mut failed = false;
            faults::during(moment..u64::MAX, || {
                failed = match way {
                    "do" => journal.apply("all", &edits).is_err(),
                    "undo" => journal.undo(None).is_err(),
                    _ => journal.redo().is_err(),
                };
            });
            drop(journal);
            faults::during(moment % 11..u64::MAX, || drop(Journal::open(&set.folder())));
            let mut journal = set.journal();
            let is_old = set.content() == old;
            *outcomes.entry((way, is_old)).or_insert(0) += 1;
            if !is_old {
                // All is new: it can be taken back as a whole.
                if way == "undo" { journal.redo() } else { journal.undo(None) }.unwrap().unwrap();
                assert_eq!(set.content(), old, "{way} {moment}");
            }
            // And what was to be done can be done.
            match way {
                "do" => journal.apply("all", &edits).map(|_| ()),
                "undo" => journal.undo(None).map(|_| ()),
                _ => journal.redo().map(|_| ()),
            }
            .unwrap();
            assert_ne!(set.content(), old, "{way} {moment}");
            if !failed {
                break;
            }
        }
    }
    // Both were seen, many times.
    assert!(outcomes.len() == 6 && outcomes.iter().all(|((_, is_old), count)| !is_old || *count > 20), "{outcomes:?}");
}

/// A disk that is full for a moment: the program itself takes back what it began.
#[test]
fn a_failed_write_is_taken_back_at_once() {
    let mut failures = 0;
    for moment in 0.. {
        let (set, edits) = everything();
        let old = set.content();
        let mut journal = set.journal();
        let mut failed = false;
        faults::during(moment..moment + 1, || failed = journal.apply("all", &edits).is_err());
        if !failed {
            assert_ne!(set.content(), old);
            break;
        }
        failures += 1;
        // But for the very last line, which says that all is done.
        let is_done = journal.history().len() == 1 || set.content() != old;
        if !is_done {
            assert_eq!(set.content(), old, "{moment}");
            journal.apply("all", &edits).unwrap();
        }
        assert_eq!(set.journal_after(journal).history().len(), 1, "{moment}");
    }
    assert!(failures > 20, "{failures}");
}

/// A journal that ends anywhere: what is behind was not on disk, so nothing was done of it.
#[test]
fn a_journal_that_is_cut_off_anywhere_is_read() {
    let set = Set::new(&[("a.txt", b"a")]);
    set.journal().apply("first", &[write(&set, "a.txt", Some(b"a"), b"b")]).unwrap();
    let path = set.beside_path("img.lorabake/journal.jsonl");
    let first = std::fs::read(&path).unwrap();
    set.journal().apply("second", &[write(&set, "a.txt", Some(b"b"), b"c")]).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let step_end = whole.len() - br#"{"end":{"step":2,"result":"done"}}"#.len() - 1;
    // Every end of a line, and many moments between.
    let is_looked_at = |length: &usize| length.is_multiple_of(13) || *length > 0 && whole[length - 1] == b'\n';
    for length in (0..=whole.len()).filter(is_looked_at) {
        let is_begun = length >= step_end;
        set.write(
            "a.txt",
            if length < first.len() {
                b"a"
            } else if is_begun {
                b"c"
            } else {
                b"b"
            },
        );
        std::fs::write(&path, &whole[..length]).unwrap();
        let journal = set.journal();
        let expected = if length < first.len() { 0..=1 } else { 1..=2 };
        assert!(expected.contains(&journal.history().len()), "{length}");
        drop(journal);
        if is_begun {
            assert_eq!(set.journal().undo(None).unwrap().unwrap().name, "second");
            assert_eq!(set.read("a.txt"), b"b");
        } else if length >= first.len() {
            // The next step takes the place of the tail.
            set.journal().apply("other", &[write(&set, "a.txt", Some(b"b"), b"d")]).unwrap();
            assert_eq!(set.journal().history().len(), 2);
        }
    }
}

#[test]
fn a_journal_of_a_stranger_leads_nowhere() {
    let set = Set::new(&[("a.txt", b"a")]);
    set.journal().apply("first", &[write(&set, "a.txt", Some(b"a"), b"b")]).unwrap();
    let path = set.beside_path("img.lorabake/journal.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(set.beside_path("victim.txt"), "b").unwrap();
    for (from, to) in
        [("a.txt", "../victim.txt"), ("{\"step\":{", "{\"step\":["), ("\"text\":\"a\"", "\"text\":\"evil\"")]
    {
        std::fs::write(&path, whole.replace(from, to)).unwrap();
        let opened = Journal::open(&set.folder());
        let error = opened.and_then(|mut journal| journal.undo(None)).unwrap_err();
        assert!(error.to_string().contains("the journal is damaged at byte"), "{error}");
        assert_eq!(set.read("a.txt"), b"b");
    }
    assert_eq!(std::fs::read(set.beside_path("victim.txt")).unwrap(), b"b");
}

/// What somebody has written into a journal is told: nothing that was done is forgotten for it.
#[test]
fn a_journal_that_somebody_edited_is_not_cut_off() {
    let set = Set::new(&[("a.txt", b"a")]);
    set.journal().apply("first", &[write(&set, "a.txt", Some(b"a"), b"b")]).unwrap();
    set.journal().apply("second", &[write(&set, "a.txt", Some(b"b"), b"c")]).unwrap();
    let path = set.beside_path("img.lorabake/journal.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    let digit = whole.replacen("\"bytes\":", "\"bytes\":9", 1);
    // The last step without its end, its changes otherwise.
    let body = whole[..whole.rfind("{\"end\":").unwrap()].replace("\"text\":\"c\"", "\"text\":\"x\"");
    for edited in [digit, body] {
        std::fs::write(&path, &edited).unwrap();
        let error = Journal::open(&set.folder()).unwrap_err().to_string();
        assert!(error.contains("the journal is damaged at byte"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), edited);
        assert_eq!(set.read("a.txt"), b"c");
    }
}

#[test]
fn folders_of_a_journal_are_no_data_set() {
    let set = Set::new(&[("a.txt", b"a")]);
    set.journal().apply("first", &[write(&set, "a.txt", Some(b"a"), b"b")]).unwrap();
    let error = Journal::open(&set.beside_path("img.lorabake")).unwrap_err().to_string();
    assert!(error.contains("it belongs to a journal of lorabake"), "{error}");
}

#[cfg(unix)]
#[test]
fn permissions_stay_and_locked_files_are_named() {
    use std::os::unix::fs::PermissionsExt;
    let set = Set::new(&[("a.txt", b"a"), ("locked.txt", b"a")]);
    let mode = |name: &str| set.path(name).metadata().unwrap().permissions().mode() & 0o777;
    let put = |name: &str, mode| std::fs::set_permissions(set.path(name), PermissionsExt::from_mode(mode)).unwrap();
    put("a.txt", 0o600);
    put("locked.txt", 0o444);
    set.journal().apply("first", &[write(&set, "a.txt", Some(b"a"), b"b")]).unwrap();
    assert_eq!(mode("a.txt"), 0o600);
    set.journal().undo(None).unwrap();
    assert_eq!((mode("a.txt"), set.read("a.txt")), (0o600, b"a".to_vec()));
    let both = [write(&set, "a.txt", Some(b"a"), b"b"), write(&set, "locked.txt", Some(b"a"), b"b")];
    let error = set.journal().apply("second", &both).unwrap_err().to_string();
    assert!(error.contains("locked.txt: it is read-only"), "{error}");
    assert_eq!((set.read("a.txt"), set.read("locked.txt")), (b"a".to_vec(), b"a".to_vec()));
}

#[test]
fn two_programs_do_not_meet() {
    let set = Set::new(&[("a.txt", b"a")]);
    let mut journal = set.journal();
    journal.apply("first", &[write(&set, "a.txt", Some(b"a"), b"b")]).unwrap();
    let error = Journal::open(&set.folder()).unwrap_err().to_string();
    assert!(error.contains("another lorabake is changing this data set"), "{error}");
    drop(journal);
    assert_eq!(set.journal().history().len(), 1);
}

#[test]
fn the_first_change_keeps_all_captions_as_they_were() {
    let set = Set::new(&[("10_a/a.png", b"x"), ("10_a/a.txt", b"\xef\xbb\xbfa, b\r\n"), ("10_a/lost.txt", b"c")]);
    set.journal().apply("first", &[write(&set, "10_a/lost.txt", Some(b"c"), b"d")]).unwrap();
    let snapshot = std::fs::read_to_string(set.beside_path("img.lorabake/captions_at_first.jsonl")).unwrap();
    let lines: Vec<&str> = snapshot.lines().collect();
    assert_eq!(
        lines,
        ["{\"file\":\"10_a/a.txt\",\"text\":\"\u{feff}a, b\\r\\n\"}", r#"{"file":"10_a/lost.txt","text":"c"}"#]
    );
    set.journal().apply("second", &[write(&set, "10_a/lost.txt", Some(b"d"), b"e")]).unwrap();
    let again = std::fs::read_to_string(set.beside_path("img.lorabake/captions_at_first.jsonl")).unwrap();
    assert_eq!(again, snapshot);
}

/// More files than are written one after the other.
#[test]
fn many_files_are_one_action() {
    let names: Vec<String> = (0..200).map(|number| format!("10_a/{number}.txt")).collect();
    let set = Set::new(&[]);
    let mut edits = Vec::new();
    for name in &names {
        set.write(name, b"a");
        edits.push(write(&set, name, Some(b"a"), b"penny, a"));
    }
    let before = set.content();
    set.journal().apply("add", &edits).unwrap();
    assert!(set.content().values().all(|text| text == b"penny, a"));
    set.journal().undo(None).unwrap();
    assert_eq!(set.content(), before);
    // One of them fails.
    std::fs::remove_file(set.path(&names[150])).unwrap();
    std::fs::create_dir(set.path(&names[150])).unwrap();
    let now = set.content();
    set.journal().apply("add", &edits).unwrap_err();
    assert_eq!(set.content(), now);
}

/// Two journals, and a folder within the data set: whoever comes second is told, and later may.
#[test]
fn programs_with_other_journals_notice_each_other() {
    let set = Set::new(&[("a/1.txt", b"a"), ("a/1.png", b""), ("b/2.txt", b"b"), ("b/2.png", b"")]);
    let home = |folder: &str, journal: &str| {
        lorabake_tags::journal::Home::with_journal(&set.path(folder), &set.beside_path(journal)).unwrap()
    };
    let mut whole = Journal::of(home("", "one")).unwrap();
    whole.apply("first", &[write(&set, "a/1.txt", Some(b"a"), b"A")]).unwrap();
    for (folder, journal) in [("", "two"), ("a", "three")] {
        let mut other = Journal::of(home(folder, journal)).unwrap();
        let error = other.apply("second", &[write(&set, "a/1.txt", Some(b"A"), b"B")]).unwrap_err();
        assert!(matches!(error, Error::Busy { .. }), "{error}");
    }
    drop(whole);
    let mut inner = Journal::of(home("a", "three")).unwrap();
    inner.apply("second", &[write(&set, "a/1.txt", Some(b"A"), b"B")]).unwrap();
    // A folder beside it is nobody's business.
    Journal::of(home("b", "four")).unwrap().apply("third", &[write(&set, "b/2.txt", Some(b"b"), b"C")]).unwrap();
    let error = Journal::of(home("", "one")).unwrap_err();
    assert!(matches!(error, Error::Busy { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn files_with_several_names_are_told() {
    let set = Set::new(&[("a.txt", b"a"), ("b.txt", b"b")]);
    std::fs::hard_link(set.path("a.txt"), set.beside_path("elsewhere.txt")).unwrap();
    let mut journal = set.journal();
    let edits = [write(&set, "a.txt", Some(b"a"), b"A"), write(&set, "b.txt", Some(b"b"), b"B")];
    journal.apply("both", &edits).unwrap();
    assert_eq!(journal.parted(), [set.path("a.txt")]);
    assert_eq!(std::fs::read(set.beside_path("elsewhere.txt")).unwrap(), b"a");
}
