//! The page of a grid: one HTML file with all pictures in it, which needs no network and no other file.
//!
//! Prompts, names of files and texts of pictures may be a stranger's: in HTML they are escaped, in the script's data
//! too, and the script puts them on the page as text only.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::html::{escaped, png_address};

use anyhow::{Context, Result};
use lorabake_generate::picture_file::read_text;
use lorabake_generate::xyz::Cell;
use lorabake_pixels::probe;
use lorabake_weights::whole_file;
use serde::Serialize;

use super::folder::Folder;
use super::paint::Failure;
use super::plan::{Picture, Plan};

/// The page's name.
const FILE: &str = "grid.html";
const HTML: &str = include_str!("page.html");
const CSS: &str = include_str!("page.css");
const JS: &str = include_str!("page.js");
/// Most bytes of a page with its pictures in it; beyond, they stay in their files.
const MOST_BYTES: u64 = 100_000_000;
/// Sides of a picture on the page at first, in pixels.
const SIDES: std::ops::RangeInclusive<usize> = 96..=384;

/// A page that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its file.
    pub path: PathBuf,
    /// Another file that was in its place, under the name that it has now.
    pub kept: Option<PathBuf>,
    /// Whether the pictures are in it; else it needs the files beside it.
    pub is_alone: bool,
}

/// What the script knows of a picture.
#[derive(Serialize)]
struct Known {
    place: [usize; 3],
    labels: Vec<String>,
    text: String,
}

/// The page while it is written.
struct Writer<'a> {
    plan: &'a Plan,
    folder: &'a Folder,
    failed: &'a [Failure],
    is_alone: bool,
    known: Vec<Known>,
}

/// Writes `grid.html` into the folder of `plan`; `failed` pictures have their reason in their place.
///
/// # Errors
/// When a picture cannot be read, or the page cannot be written.
pub fn write_page(plan: &Plan, folder: &Folder, failed: &[Failure]) -> Result<Page> {
    let mut bytes = 0;
    for picture in &plan.pictures {
        bytes += std::fs::metadata(folder.picture(&picture.file)).map_or(0, |data| data.len()) * 4 / 3;
    }
    let is_alone = bytes <= MOST_BYTES;
    let mut writer = Writer { plan, folder, failed, is_alone, known: Vec::new() };
    let kept = folder.replace(FILE, |path| {
        let written = whole_file::write(path, |out| writer.write(out));
        written.with_context(|| format!("cannot save {}", path.display()))
    })?;
    Ok(Page { path: folder.path.join(FILE), kept, is_alone })
}

impl Writer<'_> {
    fn write(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let mut rest = HTML;
        while let Some((before, behind)) = rest.split_once("{{") {
            let (name, behind) = behind.split_once("}}").expect("the page's own marks are whole");
            out.write_all(before.as_bytes())?;
            match name {
                "title" => out.write_all(escaped(&self.title()).as_bytes())?,
                "style" => out.write_all(CSS.as_bytes())?,
                "side" => write!(out, "{}", self.side())?,
                "grids" => self.grids(out)?,
                "data" => out.write_all(self.data()?.as_bytes())?,
                _ => out.write_all(JS.as_bytes())?,
            }
            rest = behind;
        }
        out.write_all(rest.as_bytes())
    }

    /// The axes, such as `epoch × strength`.
    fn title(&self) -> String {
        let names: Vec<&str> = self.plan.axes.iter().flatten().map(|axis| axis.axis.name).collect();
        format!("lorabake grid: {}", names.join(" × "))
    }

    /// How wide pictures are at first.
    fn side(&self) -> usize {
        let sizes = self.plan.pictures.iter().map(|picture| probe::size(&self.folder.picture(&picture.file)));
        let largest = sizes.filter_map(Result::ok).map(|size| size.0 as usize).max().unwrap_or(*SIDES.end());
        largest.clamp(*SIDES.start(), *SIDES.end()) / 8 * 8
    }

    fn grids(&mut self, out: &mut dyn Write) -> io::Result<()> {
        for z in 0..self.plan.cells.z {
            if let Some(axis) = &self.plan.axes[2] {
                writeln!(out, "<h2>{}</h2>", escaped(&axis.values[z].label))?;
            }
            let beside = (self.plan.per_cell as f64).sqrt().ceil() as usize;
            writeln!(out, "<div class=\"scroll\" style=\"--per:{beside}\"><table>")?;
            self.head(out)?;
            out.write_all(b"<tbody>\n")?;
            for y in 0..self.plan.cells.y {
                self.row(out, y, z)?;
            }
            out.write_all(b"</tbody></table></div>\n")?;
        }
        Ok(())
    }

    fn head(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"<thead><tr><th></th>")?;
        for value in self.plan.axes[0].iter().flat_map(|axis| &axis.values) {
            write!(out, "<th scope=\"col\">{}</th>", escaped(&value.label))?;
        }
        out.write_all(b"</tr></thead>\n")
    }

    fn row(&mut self, out: &mut dyn Write, y: usize, z: usize) -> io::Result<()> {
        let label = self.plan.axes[1].as_ref().map_or("", |axis| axis.values[y].label.as_str());
        write!(out, "<tr><th scope=\"row\">{}</th>", escaped(label))?;
        for x in 0..self.plan.cells.x {
            out.write_all(b"<td><div class=\"pair\">")?;
            for number in 0..self.plan.per_cell {
                self.cell(out, Cell { x, y, z }, number)?;
            }
            out.write_all(b"</div></td>")?;
        }
        out.write_all(b"</tr>\n")
    }

    fn cell(&mut self, out: &mut dyn Write, cell: Cell, number: usize) -> io::Result<()> {
        let Some(picture) = self.plan.picture(cell, number) else { return Ok(()) };
        let labels: Vec<String> = self.plan.labels(cell).into_iter().map(str::to_owned).collect();
        let name = escaped(&labels.join(", "));
        out.write_all(b"<button class=\"cell\" type=\"button\">")?;
        let text = self.picture(out, picture, &name)?;
        out.write_all(b"</button>")?;
        let beside = (self.plan.per_cell as f64).sqrt().ceil() as usize;
        let above = self.plan.per_cell.div_ceil(beside);
        let place = [cell.x * beside + number % beside, cell.y * above + number / beside, cell.z];
        self.known.push(Known { place, labels, text });
        Ok(())
    }

    /// The picture or why there is none; its text.
    fn picture(&self, out: &mut dyn Write, picture: &Picture, name: &str) -> io::Result<String> {
        let path = self.folder.picture(&picture.file);
        if !path.is_file() {
            let failure = self.failed.iter().find(|failure| failure.picture.file == picture.file);
            let why = failure.map_or("not painted", |failure| failure.why.as_str());
            write!(out, "<div class=\"failed\">{}</div>", escaped(why))?;
            return Ok(why.to_owned());
        }
        let source =
            if self.is_alone { png_address(&std::fs::read(&path)?) } else { format!("cells/{}", picture.file) };
        let size = probe::size(&path).unwrap_or((1, 1));
        write!(
            out,
            "<img src=\"{source}\" width=\"{}\" height=\"{}\" loading=\"lazy\" alt=\"{name}\">",
            size.0, size.1
        )?;
        Ok(read_text(&path).unwrap_or_default())
    }

    /// JSON that may stand in HTML.
    fn data(&self) -> io::Result<String> {
        let json = serde_json::to_string(&self.known)?;
        Ok(json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_marks_are_known_and_text_is_escaped() {
        let marks: Vec<&str> = HTML.split("{{").skip(1).map(|part| part.split_once("}}").unwrap().0).collect();
        assert_eq!(marks, ["title", "style", "title", "side", "grids", "data", "script"]);
        assert_eq!(escaped("<script>\"'&"), "&lt;script&gt;&quot;&#39;&amp;");
        for part in [HTML, CSS, JS] {
            assert!(!part.contains("http://") && !part.contains("https://"), "a page that needs a network");
        }
    }
}
