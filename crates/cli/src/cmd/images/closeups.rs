//! `lorabake images closeups`: parts of images as further images with captions, where a detector sees figures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use lorabake_data::bucket::Rule;
use lorabake_pixels::pillow;
use lorabake_recipe::count;
use lorabake_tags::caption_file::Kind as CaptionKind;
use lorabake_tags::change::write_view;
use lorabake_tags::images::{Cut, Picture, Seen, View};
use lorabake_tags::journal::Action;
use lorabake_tags::set::Entry;
use lorabake_tags::{Activation, CaptionFile, Edit};

use super::SOME;
use super::args::{Closeups, ViewName};
use crate::cmd::tags::scope::{Found, typed};
use crate::detector::Eyes;
use crate::progress::Counter;
use crate::stop;
use crate::terminal::{self, Shown};

/// A part of this share of the image is no other view.
const WHOLE: f64 = 0.8;

/// Cuts out what `args` ask for.
///
/// # Errors
/// Whatever is wrong with options, folders or files.
pub fn run(args: &Closeups) -> Result<ExitCode> {
    let Some(eyes) = args.detector.open()? else {
        bail!("--detector: it is missing; name a detector of faces or persons, such as face_yolov8n.onnx");
    };
    if !args.most_enlarged.is_finite() || args.most_enlarged < 1.0 {
        bail!("--most_enlarged: it is no number from 1 on; leave it out for 1.25");
    }
    let views = views(args, &eyes)?;
    let rule = args.buckets.rule()?;
    let found = args.scope.find()?;
    let mut journal = args.scope.journal()?;
    let mut action = journal.start("images closeups");
    let mut work = Work { args, eyes, views, rule, found: &found, report: Report::default() };
    let done = work.all(&mut action)?;
    work.tell(done)
}

/// The views that are cut out: those that were named, or the nearest that the detector tells of.
fn views(args: &Closeups, eyes: &Eyes) -> Result<Vec<View>> {
    let kinds = eyes.kinds();
    let can = |view: View| kinds.iter().any(|kind| view.is_around(*kind));
    let mut views: Vec<View> = args.view.iter().copied().map(ViewName::view).collect();
    if views.is_empty() {
        views.extend([View::Portrait, View::UpperBody, View::FullBody].into_iter().find(|view| can(*view)));
    }
    views.sort_unstable();
    views.dedup();
    if views.is_empty() {
        bail!(
            "--detector: neither its classes nor its name tell that it finds faces, heads or persons; call it for instance \
             face.onnx"
        );
    }
    if let Some(view) = views.iter().find(|view| !can(**view)) {
        let needs = if *view == View::FullBody { "persons" } else { "faces or heads" };
        bail!("--view: the detector does not tell where a {} is; name a detector of {needs}", view.name());
    }
    Ok(views)
}

/// What became of the images.
#[derive(Default)]
struct Report {
    made: BTreeMap<View, usize>,
    sources: usize,
    /// Images in which there are more figures than were cut out.
    several: usize,
    nothing: usize,
    small: usize,
    whole: usize,
    there: usize,
    /// Captions from which tags were left out.
    without: usize,
}

struct Work<'a> {
    args: &'a Closeups,
    eyes: Eyes,
    views: Vec<View>,
    rule: Rule,
    found: &'a Found,
    report: Report,
}

/// An image, with what its parts' captions come from.
struct Source<'a> {
    path: &'a Path,
    picture: Picture,
    entry: &'a Entry,
    activation: Activation,
}

impl Work<'_> {
    /// Looks at all images; how many it came to.
    fn all(&mut self, action: &mut Action<'_>) -> Result<usize> {
        let stopped = stop::wished()?;
        let found = self.found;
        let images = found.entries().map(|entry| entry.images.len()).sum::<usize>();
        let mut counter = Counter::new("looking for figures", images as u64);
        let mut done = 0;
        for entry in found.entries() {
            for path in &entry.images {
                if stopped.load(Ordering::Relaxed) {
                    counter.clear();
                    return Ok(done);
                }
                done += 1;
                counter.set(done as u64, String::new());
                if is_part(path) {
                    continue;
                }
                match Picture::load(path) {
                    Ok(picture) => {
                        let activation = found.set.activation(entry);
                        self.cut_out(&Source { path, picture, entry, activation }, action)?;
                    }
                    Err(error) => terminal::say(&format!("note: {}", Shown(error))),
                }
            }
        }
        counter.clear();
        Ok(done)
    }

    fn cut_out(&mut self, source: &Source<'_>, action: &mut Action<'_>) -> Result<()> {
        let areas = self.eyes.areas(&pillow::without_alpha(source.picture.pixels()))?;
        let mut figures: Vec<Seen> =
            areas.iter().map(|area| self.eyes.seen(area)).filter(|seen| seen.kind.is_figure()).collect();
        figures.sort_by(|one, other| area(other).total_cmp(&area(one)));
        if figures.is_empty() {
            self.report.nothing += 1;
            return Ok(());
        }
        let mut made = 0;
        let mut is_one_of_several = false;
        for view in self.views.clone() {
            let mut around: Vec<&Seen> = figures.iter().filter(|seen| view.is_around(seen.kind)).collect();
            // A face within a head is the same figure.
            if let Some(first) = around.first().map(|seen| seen.kind) {
                around.retain(|seen| seen.kind == first);
            }
            if !self.args.each && around.len() > 1 {
                is_one_of_several = true;
                around.truncate(1);
            }
            for (index, seen) in around.into_iter().enumerate() {
                let Some(cut) = view.cut(seen, source.picture.pixels().size()) else { continue };
                made += usize::from(self.take(source, Part { view, index, cut }, action)?);
            }
        }
        self.report.several += usize::from(is_one_of_several);
        self.report.sources += usize::from(made > 0);
        Ok(())
    }

    /// Writes a part with its caption; whether it is one.
    fn take(&mut self, source: &Source<'_>, part: Part, action: &mut Action<'_>) -> Result<bool> {
        let size = source.picture.pixels().size();
        if part.cut.share(size) >= WHOLE {
            self.report.whole += 1;
            return Ok(false);
        }
        if enlarged(&self.rule, part.cut.size) > self.args.most_enlarged {
            self.report.small += 1;
            return Ok(false);
        }
        let path = part.path(source.path);
        if path.exists() {
            self.report.there += 1;
            return Ok(false);
        }
        let made: usize = self.report.made.values().sum();
        *self.report.made.entry(part.view).or_default() += 1;
        let mut edits = vec![source.picture.part(part.cut, &path)?];
        edits.extend(self.caption(source, part.view, &path)?);
        if !self.args.dry_run {
            action.apply(&edits)?;
        } else if self.args.all || made < SOME {
            let folder = &self.args.scope.folder;
            let [from, to] = [source.path, &path].map(|path| Shown(self.found.shown(folder, path)).to_string());
            let Cut { at, size } = part.cut;
            terminal::result(&format!("{from}: {} × {} from column {} and row {} → {to}", size.0, size.1, at.0, at.1));
        }
        Ok(true)
    }

    /// The caption of a part, if its image has one.
    fn caption(&mut self, source: &Source<'_>, view: View, path: &Path) -> Result<Option<Edit>> {
        let whole = &source.entry.caption;
        if whole.kind() == CaptionKind::Empty {
            return Ok(None);
        }
        let suffix = whole.path().extension().unwrap_or_default();
        let mut caption = CaptionFile::load(&path.with_extension(suffix), whole.separator())?;
        if caption.exists() {
            return Ok(None);
        }
        let gone = write_view(&mut caption, whole, view, &source.activation);
        self.report.without += usize::from(!gone.is_empty());
        Ok(caption.edit())
    }

    fn tell(&self, done: usize) -> Result<ExitCode> {
        let Report { made, sources, several, nothing, small, whole, there, without } = &self.report;
        for (number, what) in [
            (nothing, "image|in which no figure was seen"),
            (several, "image|with several figures, of which the largest was taken; --each takes all"),
            (whole, "part|as large as the image, which is such a view already"),
            (
                small,
                "part|left out, since training would have to enlarge it; take larger originals, or --most_enlarged",
            ),
            (there, "part|there already"),
        ] {
            let (name, rest) = what.split_once('|').unwrap_or((what, ""));
            if *number > 0 {
                terminal::say(&format!("note: {} {rest}", count(*number, name)));
            }
        }
        let all = made.values().sum::<usize>();
        let folder = typed(&self.args.scope.folder);
        if self.args.dry_run {
            if all > SOME && !self.args.all {
                terminal::say(&format!("… and {} more; --all shows them", all - SOME));
            }
            terminal::say(&format!("{} would be cut out; nothing was written", count(all, "part")));
        } else if all > 0 {
            let parts: Vec<String> = made.iter().map(|(view, number)| format!("{number} × {}", view.name())).collect();
            let sources = count(*sources, "image");
            terminal::say(&format!(
                "{} cut out of {sources}; `lorabake images undo {folder}` takes them back",
                parts.join(", ")
            ));
            if *without > 0 {
                let without = count(*without, "caption");
                terminal::say(&format!("note: tags of legs and feet left out of {without}"));
            }
            terminal::say(&format!(
                "note: other tags of what is outside of a part are still in its caption; look at them: `lorabake tags list \
                 {folder} --only name:_{}`",
                self.views[0].name().replace(' ', "_")
            ));
        } else {
            terminal::say("nothing was cut out");
        }
        let images = self.found.entries().map(|entry| entry.images.len()).sum::<usize>();
        if done < images {
            terminal::say(&format!("stopped: {done} of {images} images; the same command goes on"));
            return Ok(ExitCode::from(stop::INTERRUPTED as u8));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A part of an image.
#[derive(Clone, Copy)]
struct Part {
    view: View,
    /// Which of several figures it is.
    index: usize,
    cut: Cut,
}

impl Part {
    /// Where it is written: beside its image, called after it.
    fn path(&self, image: &Path) -> PathBuf {
        let stem = image.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let view = self.view.name().replace(' ', "_");
        let number = if self.index == 0 { String::new() } else { format!("_{}", self.index + 1) };
        image.with_file_name(format!("{stem}_{view}{number}.png"))
    }
}

/// Whether an image is a part itself, by its name.
fn is_part(image: &Path) -> bool {
    let stem = image.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let without_number = stem.trim_end_matches(|letter: char| letter.is_ascii_digit()).trim_end_matches('_');
    [View::Portrait, View::UpperBody, View::FullBody].iter().any(|view| {
        let end = format!("_{}", view.name().replace(' ', "_"));
        stem.ends_with(&end) || without_number.ends_with(&end)
    })
}

fn area(seen: &Seen) -> f64 {
    let [width, height] = seen.extent();
    width * height
}

/// How many times as large training would make it.
fn enlarged(rule: &Rule, size: (u32, u32)) -> f64 {
    let Some(placement) = rule.place(size) else { return f64::INFINITY };
    let across = f64::from(placement.resized.0) / f64::from(size.0);
    across.max(f64::from(placement.resized.1) / f64::from(size.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_called_after_their_images_and_known_by_it() {
        let part = Part { view: View::UpperBody, index: 1, cut: Cut { at: (0, 0), size: (1, 1) } };
        let path = part.path(Path::new("img/10_penny/a.jpg"));
        assert_eq!(path, Path::new("img/10_penny/a_upper_body_2.png"));
        assert!(is_part(&path) && is_part(Path::new("a_portrait.png")));
        assert!(!is_part(Path::new("portrait.png")) && !is_part(Path::new("a_2.png")));
    }
}
