//! Subjects of the newest commits: `area: what now works`, at most 60 characters.
//!
//! Looks at no more than [`NEWEST`] commits, so that an old slip does not fail for ever, and at none before the rule
//! was checked. A clone without history has fewer; merges are named by git.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Finding;

const NEWEST: usize = 20;
const LONGEST: usize = 60;
/// Commits up to this one are not checked: two of them have a word too many.
const UNCHECKED: &str = "4e87ddd";

/// Checks the commits that lead to the present one.
///
/// # Errors
/// If git is missing or finds no repository.
pub fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["log", "--no-merges", "--topo-order", "--format=%H %s"]);
    let log =
        git.arg(format!("--max-count={NEWEST}")).output().context("git cannot be started; it lists the commits")?;
    ensure!(log.status.success(), "git log: {}", String::from_utf8_lossy(&log.stderr).trim());
    Ok(findings(&String::from_utf8_lossy(&log.stdout)))
}

/// What is wrong in a list of commits, each a line of hash and subject, newest first.
fn findings(log: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for commit in log.lines() {
        let Some((hash, subject)) = commit.split_once(' ') else { continue };
        if hash.starts_with(UNCHECKED) {
            break;
        }
        let place = format!("commit {}", &hash[..hash.len().min(7)]);
        let length = subject.chars().count();
        if length > LONGEST {
            let what =
                format!("its subject has {length} characters, more than {LONGEST}; the body has room for the rest");
            findings.push(Finding::new(&place, what));
        }
        if !names_area(subject) {
            let what = "its subject does not begin with the area, as in `data: webp images with EXIF rotation`";
            findings.push(Finding::new(&place, what));
        }
    }
    findings
}

/// Whether a subject begins with one area or several, in small letters: `ops, train: …`.
fn names_area(subject: &str) -> bool {
    let Some((areas, what)) = subject.split_once(": ") else { return false };
    let is_area = |area: &str| {
        let mut letters = area.chars();
        !area.is_empty()
            && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_/.".contains(letter))
    };
    areas.split(", ").all(is_area) && !what.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(log: &str) -> Vec<String> {
        findings(log).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn subjects_name_their_area_and_are_short() {
        let fits = format!("0123456789 ops, train: {}", "x".repeat(LONGEST - 12));
        assert_eq!(found(&fits), ["commit 0123456: its subject has 60"; 0]);
        let told = found(&format!("{fits}x\n"));
        assert!(told.len() == 1 && told[0].starts_with("commit 0123456: its subject has 61 characters"), "{told:?}");
        for subject in ["webp images", "Data: webp images", "data webp: images", "data: "] {
            assert!(found(&format!("0123456789 {subject}"))[0].contains("does not begin with the area"), "{subject}");
        }
    }

    #[test]
    fn commits_before_the_check_are_left_alone() {
        let log = format!("0123456789 docs: a word\n{UNCHECKED}0000 an old subject\n0000000000 an older one\n");
        assert_eq!(found(&log), [""; 0]);
    }
}
