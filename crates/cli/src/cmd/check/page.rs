//! A report as one page that needs no network: findings by level and check, with the pictures that they are about.
//!
//! A picture that several findings show stands in the page once, as a background in its style sheet.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use lorabake_check::{About, Finding, Level, Report, Set, abouts};
use lorabake_judge::html::{escaped, thumbnail_address};
use lorabake_pixels::decode;
use rayon::prelude::*;

use super::words;

const STYLE: &str = include_str!("page.css");
/// Longer side of a picture, and the quality of its JPEG file.
const SIDE: u32 = 160;
const QUALITY: u8 = 80;
/// Pictures of one finding.
const SOME: usize = 12;
/// Pictures of the page; with more, it would be too large for a browser.
const MOST: usize = 2000;
/// Findings of one check.
const MOST_FINDINGS: usize = 500;

const LEVELS: [(Level, &str, &str); 4] = [
    (Level::Error, "error", "Errors"),
    (Level::Warning, "warning", "Warnings"),
    (Level::Hint, "hint", "Hints"),
    (Level::Intended, "intended", "Intended"),
];

/// The page of a report.
pub fn page(set: &Set<'_>, report: &Report) -> String {
    let numbers = numbered(report);
    let abouts = abouts();
    let title = report.folders.first().map_or("data set", |folder| folder.name.as_str());
    let title = escaped(&format!("{title}: {}", words::summary(report)));
    let mut body = format!("<h1>{title}</h1>\n<ul>\n");
    for folder in &report.folders {
        let _ = writeln!(body, "<li>{}</li>", escaped(&words::of_folder(folder)));
    }
    body += "</ul>\n";
    for (level, class, title) in LEVELS {
        let own: Vec<&Finding> = report.findings.iter().filter(|finding| finding.level == level).collect();
        if own.is_empty() {
            continue;
        }
        let _ = writeln!(body, "<h2 class=\"{class}\">{title} ({})</h2>", own.len());
        for group in own.chunk_by(|one, other| one.id == other.id) {
            let about = abouts.iter().find(|about| about.id == group[0].id);
            body += &section(set, group, about, &numbers);
        }
    }
    if !report.not_checked.is_empty() {
        body += "<h2>Not checked</h2>\n<ul>\n";
        for one in &report.not_checked {
            let _ = writeln!(body, "<li>{}: {}</li>", escaped(one.what), escaped(&one.why));
        }
        body += "</ul>\n";
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"generator\" content=\"lorabake check\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}{}</style>\n\
         </head>\n<body>\n{body}</body>\n</html>\n",
        pictures(&numbers)
    )
}

/// The pictures that are shown, each with its number.
fn numbered(report: &Report) -> BTreeMap<&PathBuf, usize> {
    let mut numbers = BTreeMap::new();
    for finding in &report.findings {
        for path in finding.images.iter().take(SOME) {
            let next = numbers.len();
            if next < MOST {
                numbers.entry(path).or_insert(next);
            }
        }
    }
    numbers
}

/// The style sheet that holds the pictures.
fn pictures(numbers: &BTreeMap<&PathBuf, usize>) -> String {
    let all: Vec<(&&PathBuf, &usize)> = numbers.iter().collect();
    let rules: Vec<String> = all
        .par_iter()
        .map(|(path, number)| {
            let Ok(decoded) = decode(path) else { return String::new() };
            let address = thumbnail_address(&decoded.image, SIDE, QUALITY);
            let (width, height) = decoded.image.size();
            let longest = width.max(height).max(SIDE);
            let [width, height] = [width, height].map(|side| (side * SIDE / longest).max(1));
            format!(".p{number}{{width:{width}px;height:{height}px;background-image:url({address})}}\n")
        })
        .collect();
    rules.concat()
}

/// All findings of one check at one level.
fn section(set: &Set<'_>, group: &[&Finding], about: Option<&About>, numbers: &BTreeMap<&PathBuf, usize>) -> String {
    let first = group[0];
    let what = about.map_or("", |about| about.what);
    let open = if first.level <= Level::Warning { " open" } else { "" };
    let mut html = format!(
        "<details{open}>\n<summary><b>{}</b>{} <span>{}</span></summary>\n",
        first.id,
        group.len(),
        escaped(what)
    );
    let has_one_remedy = group.iter().all(|finding| finding.remedy == first.remedy);
    if has_one_remedy {
        let _ = writeln!(html, "<p class=\"remedy\">→ {}</p>", escaped(&first.remedy));
    }
    html += "<ul>\n";
    for finding in group.iter().take(MOST_FINDINGS) {
        html += &of_finding(set, finding, has_one_remedy, numbers);
    }
    html += "</ul>\n";
    if group.len() > MOST_FINDINGS {
        let _ = writeln!(
            html,
            "<p class=\"remedy more\">… and {} more; --json has them all</p>",
            group.len() - MOST_FINDINGS
        );
    }
    html + "</details>\n"
}

fn of_finding(set: &Set<'_>, finding: &Finding, has_remedy: bool, numbers: &BTreeMap<&PathBuf, usize>) -> String {
    let mut html = format!("<li><code>{}</code>: {}", escaped(&finding.subject), escaped(&finding.sentence));
    if let Some(reason) = &finding.reason {
        let _ = write!(html, " ({})", escaped(reason));
    }
    if !has_remedy {
        let _ = write!(html, "<p>→ {}</p>", escaped(&finding.remedy));
    }
    if let Some(percentile) = finding.percentile {
        let _ = write!(html, "<p class=\"numbers\">{percentile:.0} % of the images have a lower number</p>");
    }
    let shown: Vec<(&PathBuf, &usize)> =
        finding.images.iter().take(SOME).filter_map(|path| numbers.get_key_value(path)).map(|(p, n)| (*p, n)).collect();
    if !shown.is_empty() {
        html += "<div class=\"pictures\">";
        for (path, number) in &shown {
            let name = escaped(&told(set, path));
            let _ =
                write!(html, "<span class=\"p{number}\" role=\"img\" aria-label=\"{name}\" title=\"{name}\"></span>");
        }
        html += "</div>";
    }
    if finding.images.len() > shown.len() {
        let _ = write!(html, "<p class=\"more\">… and {} more images</p>", finding.images.len() - shown.len());
    }
    html + "</li>\n"
}

/// An image's name with its caption.
fn told(set: &Set<'_>, path: &Path) -> String {
    let Some(index) = set.images.iter().position(|image| image.item.path == path) else {
        return path.display().to_string();
    };
    format!("{}\n{}", set.name(index), set.images[index].caption.text)
}
