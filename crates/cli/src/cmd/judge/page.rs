//! The verdict as one page that needs no network: words, table, the response to strength as a chart, pictures.

use lorabake_judge::Report;
use lorabake_judge::html::{escaped, picture_address};
use lorabake_judge::paintings::ContactSheet;
use lorabake_judge::strength::Response;
use lorabake_judge::verdict::Verdict;

use super::{table, words};

const STYLE: &str = include_str!("page.css");

/// Width and height of a chart.
const CHART: [f64; 2] = [420.0, 220.0];

/// The page of a report.
pub fn page(report: &Report, sheet: &ContactSheet) -> String {
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
    body += &format!("<h2>How to read it</h2>\n{}", include_str!("reading.html"));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"generator\" content=\"lorabake judge\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// The table of the terminal.
fn numbers(report: &Report) -> String {
    let rows = table::rows(&report.measures, &report.pictures, &report.judgement);
    let mut html = String::from("<div class=\"scroll\"><table class=\"numbers\">\n");
    for (index, row) in rows.iter().enumerate() {
        let tag = if index == 0 { "th" } else { "td" };
        let kept = index > 0 && report.judgement.keep == Some(index - 1);
        html += if kept { "<tr class=\"kept\">" } else { "<tr>" };
        for cell in row {
            html += &format!("<{tag}>{}</{tag}>", escaped(cell));
        }
        html += "</tr>\n";
    }
    html + "</table></div>\n"
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
            html += &format!("<td><img src=\"{}\" alt=\"\" loading=\"lazy\"></td>", picture_address(picture));
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
