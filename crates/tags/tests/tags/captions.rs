//! What a caption file is, and what stays of it.

use lorabake_tags::{Activation, Edit, Kind};

use crate::set::Set;

/// Files as editors on all systems write them.
const FILES: [&[u8]; 14] = [
    b"penny, 1girl, solo",
    b"penny, 1girl, solo\n",
    b"penny,1girl , solo\t,hat\r\n",
    b"\xef\xbb\xbfpenny, 1girl\r\nsecond line, x\r\n\r\n",
    b"  penny, 1girl  \n\n\n",
    b"a,, b, ,c,\n",
    b"\n",
    b"",
    b"   ",
    b"\r\nonly the second line\r\n",
    b"one\rtwo\r",
    b"1girl, 1girl, poster (object), (hat:1.2), \\(x\\)",
    b",",
    b"\xef\xbb\xbf",
];

#[test]
fn what_is_not_changed_stays_byte_for_byte() {
    for bytes in FILES {
        let set = Set::new(&[("a.txt", bytes)]);
        let caption = set.caption("a.txt");
        assert_eq!(caption.to_bytes(), bytes, "{}", caption.caption());
        assert_eq!(caption.edit(), None);
    }
}

#[test]
fn a_tag_that_comes_and_goes_leaves_nothing() {
    for bytes in FILES {
        let set = Set::new(&[("a.txt", bytes)]);
        let mut caption = set.caption("a.txt");
        let count = caption.parts().len();
        for index in 0..count {
            caption.insert(index, "new");
            caption.remove(index);
            assert_eq!(caption.to_bytes(), bytes, "{index}: {}", caption.caption());
        }
    }
}

#[test]
fn what_stands_between_tags_stays_as_it_is() {
    let set = Set::new(&[("a.txt", b"\xef\xbb\xbf penny,1girl,solo ,  hat\r\nmore\r\n")]);
    let mut caption = set.caption("a.txt");
    caption.push("red_boots");
    caption.insert(1, "x");
    assert_eq!(caption.to_bytes(), b"\xef\xbb\xbf penny,x,1girl,solo ,  hat,red_boots\r\nmore\r\n");
    caption.remove(0);
    assert_eq!(caption.to_bytes(), b"\xef\xbb\xbf x,1girl,solo ,  hat,red_boots\r\nmore\r\n");
    caption.move_part(4, 0);
    caption.replace(1, " y ");
    assert_eq!(caption.to_bytes(), b"\xef\xbb\xbf red_boots,y,1girl ,  solo,hat\r\nmore\r\n");
    caption.reorder(&[4, 3, 2, 1, 0]);
    assert_eq!(caption.caption(), "hat,solo,1girl ,  y,red_boots");
    assert_eq!(caption.line_end(), Some("\r\n"));
    assert_eq!(caption.further_lines().collect::<Vec<_>>(), ["more"]);
}

#[test]
fn a_file_may_be_new_or_empty() {
    let set = Set::new(&[("empty.txt", b"")]);
    let mut new = set.caption("new.txt");
    assert!(!new.exists() && new.kind() == Kind::Empty && new.edit().is_none());
    new.push("hat");
    let penny = Activation::named("penny, blue dress", ",");
    new.keep_first(&penny);
    let path = set.path("new.txt");
    assert_eq!(new.edit(), Some(Edit::Write { path, before: None, after: b"penny, blue dress, hat\n".to_vec() }));
    let mut empty = set.caption("empty.txt");
    empty.push("hat");
    empty.keep_first(&penny);
    assert_eq!(empty.to_bytes(), b"penny, blue dress, hat");
}

#[test]
fn what_is_no_caption_is_said_and_left() {
    let long = b"x, ".repeat(30_000);
    let set = Set::new(&[("utf16.txt", b"\xff\xfea\0"), ("latin.txt", b"caf\xe9"), ("long.txt", &long)]);
    std::fs::create_dir(set.path("folder.txt")).unwrap();
    for (name, said) in [
        ("utf16.txt", "the caption is UTF-16; save it as UTF-8"),
        ("latin.txt", "not UTF-8 (byte 0xE9 in line 1"),
        ("long.txt", "longer than 64 kB"),
        ("folder.txt", "it is no file"),
    ] {
        let error = lorabake_tags::CaptionFile::load(&set.path(name), ",").unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(said), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    let set = Set::new(&[("a.txt", b"a")]);
    std::os::unix::fs::symlink(set.path("a.txt"), set.path("b.txt")).unwrap();
    let error = lorabake_tags::CaptionFile::load(&set.path("b.txt"), ",").unwrap_err().to_string();
    assert!(error.contains("it is a link to another file"), "{error}");
}

#[test]
fn tags_and_prose_are_told_apart() {
    let set = Set::new(&[]);
    for (text, kind) in [
        ("penny, 1girl, red boots", Kind::Tags),
        ("penny, a girl stands on a flower field in spring", Kind::Prose),
        ("Penny smiles.", Kind::Prose),
        (" , ", Kind::Empty),
    ] {
        let mut caption = set.caption("a.txt");
        caption.set_line(text);
        assert_eq!(caption.kind(), kind, "{text}");
    }
}

/// A caption of nothing but separators costs no more than others.
#[test]
fn many_empty_parts_are_no_trap() {
    let set = Set::new(&[("a.txt", &b",".repeat(65_000))]);
    let mut caption = set.caption("a.txt");
    for _ in 0..10 {
        caption.push("x");
        caption.insert(usize::MAX, "y");
    }
    assert_eq!(caption.tags().count(), 20);
}
