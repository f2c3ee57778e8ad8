//! docs/check.md tells every check with its thresholds as they are.

use lorabake_check::fix::FIXES;
use lorabake_check::{About, abouts};

const PAGE: &str = include_str!("../../../../docs/check.md");

/// How the row of a check begins.
fn row(about: &About) -> String {
    let mut thresholds = Vec::new();
    for threshold in about.thresholds {
        thresholds.push(format!("`{}` {}: {}", threshold.name, threshold.value, threshold.what));
    }
    format!("| `{}` | {} | {} |", about.id, about.what.replace('|', "\\|"), thresholds.join("; "))
}

#[test]
fn every_check_and_every_fix_stands_in_the_page() {
    let mut missing: Vec<String> = abouts().iter().map(row).filter(|row| !PAGE.contains(row)).collect();
    missing
        .extend(FIXES.iter().map(|fix| format!("| `{}` | {} |", fix.name, fix.what)).filter(|row| !PAGE.contains(row)));
    assert!(missing.is_empty(), "docs/check.md lacks\n{}", missing.join("\n"));
}
