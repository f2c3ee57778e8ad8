//! A report as text: the gravest first, findings of one check together.

use std::fmt::Write;

use lorabake_check::report::FolderReport;
use lorabake_check::{Finding, Level, Report};
use lorabake_recipe::count;

use crate::terminal::Shown;

/// Findings of one check that are shown, hints fewer.
const SOME: usize = 8;
const SOME_HINTS: usize = 3;

/// The levels in the order in which they are shown, with their titles.
const LEVELS: [(Level, &str); 4] =
    [(Level::Error, "errors"), (Level::Warning, "warnings"), (Level::Hint, "hints"), (Level::Intended, "intended")];

/// The report in words; `is_whole` shows every finding.
pub fn text(report: &Report, is_whole: bool) -> String {
    let mut text = format!("{} in {}\n", count(report.images, "image"), count(report.folders.len(), "folder"));
    for folder in &report.folders {
        let _ = writeln!(text, "  {}", of_folder(folder));
    }
    for (level, title) in LEVELS {
        let own: Vec<&Finding> = report.findings.iter().filter(|finding| finding.level == level).collect();
        if own.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{title} ({})", own.len());
        for group in own.chunk_by(|one, other| one.id == other.id) {
            text += &of_group(group, is_whole);
        }
    }
    if !report.not_checked.is_empty() {
        text += "\nnot checked\n";
        for one in &report.not_checked {
            let _ = writeln!(text, "  {}: {}", one.what, Shown(&one.why));
        }
    }
    let _ = writeln!(text, "\n{}", summary(report));
    text
}

/// How many findings of each level there are.
pub fn summary(report: &Report) -> String {
    let counts = report.counts;
    if counts.errors + counts.warnings + counts.hints + counts.intended == 0 {
        return "nothing is wrong".to_owned();
    }
    let mut parts = vec![count(counts.errors, "error"), count(counts.warnings, "warning"), count(counts.hints, "hint")];
    if counts.intended > 0 {
        parts.push(format!("{} intended", counts.intended));
    }
    parts.join(", ")
}

/// A folder with what calls it up.
pub fn of_folder(folder: &FolderReport) -> String {
    let kind = if folder.regularization { ", regularization" } else { "" };
    let called = match &folder.activation {
        Some(words) if folder.activation_guessed => {
            format!(", called by “{}” (guessed from the captions)", Shown(words))
        }
        Some(words) => format!(", called by “{}”", Shown(words)),
        None => String::new(),
    };
    let repeats = if folder.repeats > 1 { format!(" × {}", folder.repeats) } else { String::new() };
    format!("{}: {}{repeats}{kind}{called}", Shown(&folder.name), count(folder.images, "image"))
}

fn of_group(group: &[&Finding], is_whole: bool) -> String {
    let most = match group[0].level {
        _ if is_whole => usize::MAX,
        Level::Error | Level::Warning => SOME,
        Level::Hint | Level::Intended => SOME_HINTS,
    };
    let has_one_remedy = group.iter().all(|finding| finding.remedy == group[0].remedy);
    let mut text = format!("  {}\n", group[0].id);
    for finding in group.iter().take(most) {
        let _ = write!(text, "    {}: {}", Shown(&finding.subject), Shown(&finding.sentence));
        if !has_one_remedy {
            let _ = write!(text, "; {}", Shown(&finding.remedy));
        }
        if let Some(reason) = &finding.reason {
            let _ = write!(text, " ({})", Shown(reason));
        }
        text.push('\n');
    }
    if group.len() > most {
        let _ = writeln!(text, "    … and {} more (--all)", group.len() - most);
    }
    if has_one_remedy {
        let _ = writeln!(text, "    → {}", Shown(&group[0].remedy));
    }
    text
}
