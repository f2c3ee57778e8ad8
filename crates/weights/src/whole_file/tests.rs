//! Tests of [`super`].

use std::io::Read;

use super::*;

fn busy() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "busy")
}

#[test]
fn a_file_that_is_there_is_moved_and_a_folder_stays() {
    let folder = tempfile::tempdir().unwrap();
    let [path, old] = ["one.png", "one.old.png"].map(|name| folder.path().join(name));
    let write = |text: &'static str| write_keeping(&path, |out| out.write_all(text.as_bytes()), || old.clone());
    assert_eq!(write("first").unwrap(), None);
    assert_eq!(write("second").unwrap(), Some(old.clone()));
    assert_eq!([&path, &old].map(|path| std::fs::read_to_string(path).unwrap()), ["second", "first"]);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(write("third").is_err());
    assert!(path.is_dir() && std::fs::read_to_string(&old).unwrap() == "first");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "a part file is left");
}

/// Of several writers of one name each finds its file, under that name or another.
#[test]
fn files_that_are_written_at_once_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.png");
    let number = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let (path, number) = (&path, &number);
            scope.spawn(move || {
                let elsewhere = || {
                    // Two ask for each name.
                    let next = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed) / 2;
                    path.with_extension(format!("old-{next}"))
                };
                write_keeping(path, |out| write!(out, "{writer}"), elsewhere).unwrap();
            });
        }
    });
    let mut found: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    found.sort();
    assert_eq!(found, ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[test]
fn a_rename_waits_for_who_holds_the_file() {
    let mut left = 2;
    let rename = || {
        if left == 0 {
            return Ok(());
        }
        left -= 1;
        Err(busy())
    };
    patiently(rename, |_| true).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn who_never_lets_go_is_named_as_the_cause() {
    let mut calls = 0;
    let error = patiently(
        || {
            calls += 1;
            Err(busy())
        },
        |_| true,
    )
    .unwrap_err();
    assert_eq!((calls, error.kind()), (ATTEMPTS, io::ErrorKind::PermissionDenied));
    assert_eq!(error.to_string(), "busy; another program has it open, close that and try again");
}

#[test]
fn other_failures_are_final() {
    let mut calls = 0;
    let rename = || {
        calls += 1;
        Err(busy())
    };
    assert_eq!(patiently(rename, |_| false).unwrap_err().to_string(), "busy");
    assert_eq!(calls, 1);
}

/// Whoever has opened the old file reads it to its end.
#[test]
fn a_file_that_is_being_read_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    write(&path, |out| out.write_all(b"old")).unwrap();
    let mut reader = File::open(&path).unwrap();
    write(&path, |out| out.write_all(b"new")).unwrap();
    let mut old = String::new();
    reader.read_to_string(&mut old).unwrap();
    assert_eq!((old.as_str(), std::fs::read(&path).unwrap().as_slice()), ("old", b"new".as_slice()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_is_renamed_takes_no_place_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["one/a", "two/a"].map(|name| folder.path().join(name));
    write(&from, |out| out.write_all(b"first")).unwrap();
    rename(&from, &to).unwrap();
    assert!(!from.exists() && std::fs::read(&to).unwrap() == b"first");
    write(&from, |out| out.write_all(b"second")).unwrap();
    assert_eq!(rename(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert!(std::fs::read(&to).unwrap() == b"first" && std::fs::read(&from).unwrap() == b"second");
    rename(&folder.path().join("one"), &folder.path().join("three")).unwrap();
    assert_eq!(std::fs::read(folder.path().join("three/a")).unwrap(), b"second");
}

#[test]
fn a_file_that_is_kept_stays_when_its_name_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let old = folder.path().join("a.old");
    write(&path, |out| out.write_all(b"old")).unwrap();
    keep_as(&path, &old).unwrap();
    write(&path, |out| out.write_all(b"new")).unwrap();
    assert_eq!((std::fs::read(&old).unwrap(), std::fs::read(&path).unwrap()), (b"old".to_vec(), b"new".to_vec()));
    assert_eq!(keep_as(&path, &old).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
}

/// Each operation fails once: the old file or the new one is there, whole, and nothing beside it.
#[test]
fn whatever_fails_the_old_file_or_the_new_one_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let attempt = || write(&path, |out| out.write_all(&[7; 3 << 20]));
    let operations = faults::during(0..0, || attempt().unwrap());
    assert!(operations >= 5, "{operations}");
    for failing in 0..operations {
        std::fs::write(&path, b"old").unwrap();
        faults::during(failing..failing + 1, || assert!(attempt().is_err()));
        assert_eq!(std::fs::read(&path).unwrap(), b"old", "operation {failing}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

/// Windows takes 260 characters unless the program asks for more; one name may have 255 everywhere.
#[test]
fn paths_may_be_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x".repeat(120)).join("y".repeat(120)).join("z".repeat(120));
    write(&path, |out| out.write_all(b"long")).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"long");
}

#[test]
fn a_file_that_cannot_be_filled_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    write(&path, |out| out.write_all(b"old")).unwrap();
    let failed = write(&path, |out| {
        out.write_all(b"half")?;
        Err(busy())
    });
    assert_eq!(failed.unwrap_err().to_string(), "busy");
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A file that goes to the disk while it is written, and whose first bytes are written last.
#[test]
fn what_is_large_is_flushed_meanwhile_and_may_be_gone_back_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let piece = vec![7; 50 << 20];
    write_seeking(&path, |out| {
        for _ in 0..3 {
            out.write_all(&piece)?;
        }
        out.seek(SeekFrom::Start(1))?;
        out.write_all(b"head")
    })
    .unwrap();
    let read = std::fs::read(&path).unwrap();
    assert_eq!(read.len(), 150 << 20);
    assert_eq!(read[..6], *b"\x07head\x07");
    assert!(read[6..].iter().all(|byte| *byte == 7));
}
