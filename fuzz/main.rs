//! The program that libFuzzer drives: each input is written into the file `LORABAKE_FILE` and given to the reader
//! `LORABAKE_READER`.

#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

// Its good inputs are laid out by `cargo xtask attack`.
#[allow(dead_code)]
#[path = "../xtask/src/attack/readers.rs"]
mod readers;

/// A reader, and the file that it reads.
struct Subject {
    read: fn(&Path),
    file: PathBuf,
}

static SUBJECT: LazyLock<Subject> = LazyLock::new(|| {
    let name = std::env::var("LORABAKE_READER").expect("LORABAKE_READER names a reader");
    let file = std::env::var_os("LORABAKE_FILE").expect("LORABAKE_FILE names a file");
    let reader = readers::Reader::named(&name).expect("there is a reader of this name");
    Subject { read: reader.read, file: PathBuf::from(file) }
});

fuzz_target!(|input: &[u8]| {
    std::fs::write(&SUBJECT.file, input).expect("the input is written");
    (SUBJECT.read)(&SUBJECT.file);
});
