//! Rules for any file, whatever its language: no unfinished work, no paths of somebody's machine.

use super::Finding;
use super::tree::File;

/// Words that stand for work that was put off. Split, so that this file passes.
const UNFINISHED: [&str; 4] =
    [concat!("to", "do!"), concat!("unimple", "mented!"), concat!("FIX", "ME"), concat!("XX", "X:")];

/// How a path begins that exists on one machine only. Split, so that this file passes.
const MACHINE: [&str; 6] = [
    concat!("/ho", "me/"),
    concat!("/Use", "rs/"),
    concat!("/ro", "ot/"),
    concat!("/tm", "p/"),
    concat!("/wo", "rk/"),
    concat!("\\Use", "rs\\"),
];

/// Looks at a file as bytes, since the metadata inside a binary file is published too.
pub fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    if file.rust().is_some() {
        for word in UNFINISHED {
            let what = || format!("`{word}` marks unfinished work; finish it, or leave it out and say so in the docs");
            findings.extend(find(&file.bytes, word).map(|at| Finding::at(&file.path, line(&file.bytes, at), what())));
        }
    }
    for start in MACHINE {
        let what = || format!("`{start}…` is a path of one machine; write a relative one");
        // Within a longer path or an address it is nobody's machine.
        let begins = |at: &usize| at.checked_sub(1).is_none_or(|before| !within_path(file.bytes[before]));
        let places = find(&file.bytes, start).filter(begins);
        findings.extend(places.map(|at| Finding::at(&file.path, line(&file.bytes, at), what())));
    }
    findings
}

fn within_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-~}".contains(&byte)
}

fn find<'a>(bytes: &'a [u8], word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let first = word.as_bytes()[0];
    let starts = bytes.iter().enumerate().filter(move |(_, byte)| **byte == first);
    starts.map(|(at, _)| at).filter(move |at| bytes[*at..].starts_with(word.as_bytes()))
}

fn line(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(path: &str, text: &str) -> Vec<String> {
        let file = File { path: path.to_owned(), bytes: text.as_bytes().to_vec() };
        check(&file).into_iter().map(|finding| finding.place).collect()
    }

    #[test]
    fn unfinished_work_is_found_in_sources() {
        for word in UNFINISHED {
            assert_eq!(places("a.rs", &format!("fn a() {{\n    {word}\n}}\n")), ["a.rs:2"], "{word}");
        }
        assert_eq!(places("a.rs", "//! A list of todo items.\n"), [""; 0]);
    }

    #[test]
    fn machine_paths_are_found_in_any_file() {
        for start in MACHINE {
            assert_eq!(places("a.bin", &format!("\n\n\"{start}ann\"")), ["a.bin:3"], "{start}");
        }
        let elsewhere = format!("https://example.org{}ann and crates{}ann", MACHINE[0], MACHINE[4]);
        assert_eq!(places("a.md", &elsewhere), [""; 0]);
    }
}
