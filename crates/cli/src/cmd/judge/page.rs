//! The verdict as one page that needs no network: words, table, the response to strength as a chart, pictures; the same of
//! other checkpoints.

use lorabake_judge::Report;
use lorabake_judge::elsewhere::Tried;
use lorabake_judge::html::{escaped, small_picture_address};
use lorabake_judge::paintings::ContactSheet;
use lorabake_judge::standing::Elsewhere;
use lorabake_judge::strength::Response;
use lorabake_judge::verdict::Verdict;
use lorabake_pixels::Rgb;

use super::{card, table, words};

const STYLE: &str = include_str!("page.css");

/// Width and height of a chart.
const CHART: [f64; 2] = [420.0, 220.0];

/// The page of a report.
pub fn page(report: &Report, sheet: &ContactSheet, places: &[Tried]) -> String {
    let Report { run, measures, judgement, advice, .. } = report;
    let title = escaped(run);
    let mut body = format!("<h1>{title}: {}</h1>\n", words::verdict(judgement.verdict));
    for line in words::summary(measures, judgement) {
        body += &format!("<p>{}</p>\n", escaped(&line));
    }
    if let Some(keep) = judgement.keep {
        body += "<h2>What points to it</h2>\n<ul>\n";
        for finding in &judgement.snapshots[keep].findings {
            body += &format!("<li>{}</li>\n", escaped(&words::finding(finding, measures)));
        }
        body += "</ul>\n";
    }
    if !advice.is_empty() {
        body += "<h2>Next time</h2>\n<ul>\n";
        for piece in advice {
            body += &format!("<li>{}</li>\n", escaped(&words::advice(piece, measures)));
        }
        body += "</ul>\n";
    }
    body += "<h2>Snapshots</h2>\n";
    body += &numbers(report);
    body += &charts(report);
    body += &pictures(report, sheet);
    if let Some(elsewhere) = &report.elsewhere {
        body += &other_checkpoints(elsewhere, places);
    }
    body += &format!("<h2>How to read it</h2>\n{}", include_str!("reading.html"));
    let by = match &report.features {
        Some(file) => format!("compared by {}", escaped(file)),
        None => "compared by the checkpoint's own UNet".to_owned(),
    };
    body += &format!("<p>Not looked at: faces, hands, taste. Pictures are {by}.</p>\n");
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"generator\" content=\"lorabake judge\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// The table of the terminal.
fn numbers(report: &Report) -> String {
    let rows = table::rows(&report.measures, &report.pictures, &report.judgement);
    html_table(&rows, report.judgement.keep)
}

/// A table whose row `marked` is the important one.
fn html_table(rows: &[Vec<String>], marked: Option<usize>) -> String {
    let mut html = String::from("<div class=\"scroll\"><table class=\"numbers\">\n");
    for (index, row) in rows.iter().enumerate() {
        let tag = if index == 0 { "th" } else { "td" };
        let is_marked = index > 0 && marked == Some(index - 1);
        html += if is_marked { "<tr class=\"kept\">" } else { "<tr>" };
        for cell in row {
            html += &format!("<{tag}>{}</{tag}>", escaped(cell));
        }
        html += "</tr>\n";
    }
    html + "</table></div>\n"
}

/// The snapshot to keep on several checkpoints: numbers, the line for the model card, pictures side by side.
fn other_checkpoints(elsewhere: &Elsewhere, places: &[Tried]) -> String {
    let mut html = String::from("<h2>Other checkpoints</h2>\n");
    html += &format!("<p>For the model card: <b>{}</b></p>\n", escaped(&card::line(elsewhere)));
    html += &html_table(&card::rows(elsewhere), elsewhere.best);
    let rows = places.iter().map(|tried| tried.rows.len()).max().unwrap_or(0);
    if rows == 0 {
        return html;
    }
    html += "<div class=\"scroll\"><table class=\"pictures\">\n<tr><th></th>";
    for (index, place) in elsewhere.checkpoints.iter().enumerate() {
        let wide = 1 + place.pictures.len();
        let word = card::word(place.standing, elsewhere.best == Some(index));
        html += &format!("<th colspan=\"{wide}\">{}<br>{word}</th>", escaped(&place.name));
    }
    html += "</tr>\n<tr><th></th>";
    for place in &elsewhere.checkpoints {
        html += "<th>without LoRA</th>";
        for at in &place.pictures {
            html += &format!("<th>at {}</th>", at.strength);
        }
    }
    html += "</tr>\n";
    for index in 0..rows {
        let prompt = places.iter().find_map(|tried| tried.rows.get(index)).map_or("", |row| &row.prompt);
        html += &format!("<tr><th>{}</th>", escaped(prompt));
        for tried in places {
            match tried.rows.get(index) {
                Some(row) => std::iter::once(&row.base).chain(&row.pictures).for_each(|picture| html += &cell(picture)),
                None => html += "<td></td>",
            }
        }
        html += "</tr>\n";
    }
    html + "</table></div>\n"
}

fn cell(picture: &Rgb) -> String {
    format!("<td><img src=\"{}\" alt=\"\" loading=\"lazy\"></td>", small_picture_address(picture))
}

/// The response to strength of the snapshot to keep.
fn charts(report: &Report) -> String {
    let Some(kept) = report.judgement.keep.map(|keep| &report.measures.snapshots[keep]) else { return String::new() };
    let mut html = String::from("<h2>Response to strength</h2>\n<div class=\"charts\">\n");
    for (name, response) in [("whole LoRA", &kept.whole), ("UNet", &kept.unet), ("text encoder", &kept.te)] {
        if let Some(response) = response {
            html += &chart(name, response);
        }
    }
    html + "</div>\n<p>Errors on held-out images beside the checkpoint's own, in percent: lower is better.</p>\n"
}

fn chart(name: &str, response: &Response) -> String {
    let [width, height] = CHART;
    let points: Vec<[f64; 2]> =
        response.points.iter().map(|point| [point.strength, (point.mean().exp() - 1.0) * 100.0]).collect();
    let last = points.last().map_or(1.0, |point| point[0]);
    let low = points.iter().map(|point| point[1]).fold(0.0, f64::min);
    let high = points.iter().map(|point| point[1]).fold(0.0, f64::max).min(100.0).max(low + 1.0);
    let x = |strength: f64| 45.0 + strength / last * (width - 60.0);
    let y = |value: f64| 15.0 + (high - value.clamp(low, high)) / (high - low) * (height - 50.0);
    let line: Vec<String> = points.iter().map(|point| format!("{:.1},{:.1}", x(point[0]), y(point[1]))).collect();
    let mut svg = format!(
        "<figure><figcaption>{name}: best at {:.2}</figcaption><svg viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"errors over the strength of the {name}\">\n",
        response.best
    );
    svg += &format!("<line class=\"one\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"10\" y2=\"{1}\"/>\n", x(1.0), height - 30.0);
    svg += &format!("<line class=\"axis\" x1=\"45\" x2=\"{}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/>\n", width - 10.0, y(0.0));
    svg += &format!("<polyline points=\"{}\"/>\n", line.join(" "));
    for point in &points {
        svg += &format!("<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\"/>", x(point[0]), y(point[1]));
        svg += &format!("<text x=\"{:.1}\" y=\"{}\">{}</text>\n", x(point[0]), height - 10.0, point[0]);
    }
    svg += &format!("<text class=\"value\" x=\"40\" y=\"{:.1}\">{low:.0} %</text>", y(low));
    svg += &format!("<text class=\"value\" x=\"40\" y=\"{:.1}\">{high:.0} %</text>", y(high) + 8.0);
    svg + "</svg></figure>\n"
}

fn pictures(report: &Report, sheet: &ContactSheet) -> String {
    if sheet.rows.is_empty() {
        return String::new();
    }
    let mut html = String::from("<h2>Pictures</h2>\n<div class=\"scroll\"><table class=\"pictures\">\n<tr><th></th>");
    html += "<th>without LoRA</th>";
    for index in &sheet.snapshots {
        let verdict = report.judgement.snapshots[*index].verdict;
        let mark = if report.judgement.keep == Some(*index) { " (keep)" } else { "" };
        html += &format!(
            "<th class=\"{}\">{}{mark}<br>{}</th>",
            class(verdict),
            escaped(&words::moment(report.measures.snapshots[*index].saved)),
            words::verdict(verdict)
        );
    }
    html += "<th>nearest training image</th></tr>\n";
    for row in &sheet.rows {
        html += &format!("<tr><th>{}</th>", escaped(&row.prompt));
        let nearest = row.nearest.iter();
        for picture in std::iter::once(&row.base).chain(&row.pictures).chain(nearest) {
            html += &cell(picture);
        }
        html += "</tr>\n";
    }
    html + "</table></div>\n"
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fine => "fine",
        Verdict::CannotTell => "open",
        Verdict::Broken | Verdict::Undercooked | Verdict::Overcooked => "spoilt",
    }
}
