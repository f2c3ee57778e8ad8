//! The report on the image folders in words: folders, buckets, what is left out, warnings, and how the number of steps
//! comes about.

use std::fmt::Write;
use std::mem::discriminant;

use lorabake_data::Problem;
use lorabake_data::dataset::LeftOut;
use lorabake_data::report::{BucketReport, DatasetReport, FolderReport, LengthUnit, NoCaption, Origin};
use lorabake_recipe::count;

use crate::errors::counted;
use crate::terminal::Shown;

/// Files of one reason that are named before the rest is counted.
const NAMED: usize = 12;

/// The whole report, ending in a line break.
pub fn text(report: &DatasetReport) -> String {
    let mut sections = vec![folders(report), buckets(&report.buckets), left_out(&report.left_out), warnings(report)];
    sections.push(equation(report));
    sections.retain(|section| !section.is_empty());
    sections.join("\n")
}

/// A tree of the folders with images, captions and repeats.
fn folders(report: &DatasetReport) -> String {
    let mut text = String::new();
    for group in &report.groups {
        let title = title(&group.origin);
        let _ = writeln!(text, "{title}");
        let in_file = matches!(group.origin, Origin::DataSet { .. });
        let rows: Vec<[String; 4]> = group.folders.iter().map(|folder| row(folder, in_file)).collect();
        let widths = column_widths(&rows);
        for (index, [name, images, captions, uses]) in rows.iter().enumerate() {
            let branch = branch(index + 1 == rows.len());
            let name = left(name, widths[0]);
            let images = right(images, widths[1]);
            let captions = left(captions, widths[2]);
            let _ = writeln!(text, "{branch} {name}   {images}   {captions}   {uses}");
        }
    }
    text
}

fn title(origin: &Origin) -> String {
    match origin {
        Origin::TrainDir(dir) => format!("training images  {}", Shown(dir.display())),
        Origin::RegDir(dir) => format!("regularization images  {}", Shown(dir.display())),
        Origin::DataSet { number, resolution, batch_size } => {
            format!("data set {number}  {} × {}, batches of {batch_size}", resolution.0, resolution.1)
        }
    }
}

/// Name, images, captions and uses of a folder; `in_file` if a `--dataset_config` names it.
fn row(folder: &FolderReport, in_file: bool) -> [String; 4] {
    // The folders of a data set stand together, whatever their images are for.
    let reg = if folder.is_reg && in_file { " (regularization)" } else { "" };
    let repeated = folder.repeated();
    let mut uses = format!("× {} = {repeated}", folder.repeats);
    if folder.uses == 0 && folder.trained() > 0 {
        uses += ", none used";
    } else if folder.uses != repeated {
        uses += &format!(" → {} to match the training set", folder.uses);
    }
    if folder.held_out > 0 {
        uses += &format!(", {} held out for validation", folder.held_out);
    }
    [format!("{}{reg}", Shown(&folder.name)), count(folder.images, "image"), captions(folder), uses]
}

fn captions(folder: &FolderReport) -> String {
    if folder.captioned == folder.images {
        return "all captioned".to_owned();
    }
    match (folder.captioned, &folder.no_caption) {
        (some, NoCaption::OfTrainingImage) => format!("{some} captioned, others like their training image"),
        (0, NoCaption::FolderWords(words)) if words.is_empty() => "no captions".to_owned(),
        (0, NoCaption::FolderWords(words)) => format!("caption “{}”", Shown(words)),
        (some, NoCaption::FolderWords(words)) => format!("{some} captioned, others “{}”", Shown(words)),
    }
}

/// A table of the buckets.
fn buckets(buckets: &[BucketReport]) -> String {
    let mut rows = vec![["bucket", "images", "uses per epoch", "cropped away", "enlarged"].map(str::to_owned)];
    for bucket in buckets {
        rows.push([
            format!("{} × {}", bucket.size.0, bucket.size.1),
            bucket.images.to_string(),
            bucket.uses.to_string(),
            format!("{:.1} %", 100.0 * bucket.cropped),
            if bucket.enlarged == 0 { "–".to_owned() } else { bucket.enlarged.to_string() },
        ]);
    }
    table(&rows)
}

/// Rows between rules; the first row is the heading.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let widths = column_widths(rows);
    let lines = widths.map(|width| "─".repeat(width + 2));
    let mut text = format!("┌{}┐\n", lines.join("┬"));
    for (index, row) in rows.iter().enumerate() {
        let mut cells = Vec::with_capacity(N);
        for (cell, width) in row.iter().zip(widths) {
            cells.push(format!(" {} ", right(cell, width)));
        }
        let _ = writeln!(text, "│{}│", cells.join("│"));
        if index == 0 {
            let _ = writeln!(text, "├{}┤", lines.join("┼"));
        }
    }
    let _ = writeln!(text, "└{}┘", lines.join("┴"));
    text
}

/// Every file that takes no part, with the reason; long lists of one reason are cut short.
fn left_out(files: &[LeftOut]) -> String {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for file in files {
        let reason = Shown(&file.reason).to_string();
        let path = Shown(file.path.display()).to_string();
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, paths)) => paths.push(path),
            None => reasons.push((reason, vec![path])),
        }
    }
    if reasons.is_empty() {
        return String::new();
    }
    let mut text = format!("left out ({})\n", files.len());
    for (index, (reason, paths)) in reasons.iter().enumerate() {
        let last = index + 1 == reasons.len();
        let _ = writeln!(text, "{} {reason}", branch(last));
        let bar = if last { "  " } else { "│ " };
        for path in paths.iter().take(NAMED) {
            let _ = writeln!(text, "{bar}   {path}");
        }
        if paths.len() > NAMED {
            let _ = writeln!(text, "{bar}   … and {} more", paths.len() - NAMED);
        }
    }
    text
}

/// Warnings, a line each; of many of a kind the first ones.
fn warnings(report: &DatasetReport) -> String {
    let is_like = |one: &Problem, other: &Problem| discriminant(one) == discriminant(other);
    counted(&report.warnings, is_like, "warning: ").iter().map(|line| format!("{line}\n")).collect()
}

/// How many steps, and why: `6 images × 4 repeats = 24 → 24 batches of 1 × 10 epochs ÷ accumulation 1 = 240 steps`.
fn equation(report: &DatasetReport) -> String {
    let mut products = Vec::new();
    let mut train = 0;
    let mut reg = 0;
    for folder in report.folders() {
        if folder.is_reg {
            reg += folder.uses;
        } else if folder.trained() > 0 {
            let images = count(folder.trained(), "image");
            products.push(format!("{images} × {}", count(folder.repeats as usize, "repeat")));
            train += folder.repeated();
        }
    }
    let reg = if reg > 0 { format!(" (+ {reg} regularization)") } else { String::new() };
    let length = report.length;
    let batches = match length.batches_per_epoch {
        1 => "1 batch".to_owned(),
        many => format!("{many} batches"),
    };
    let sizes: Vec<String> = report.batch_sizes.iter().map(usize::to_string).collect();
    let uses = format!("{} = {train}{reg} → {batches} of {}", products.join(" + "), sizes.join(" or "));
    let whole = length.batches_per_epoch.is_multiple_of(length.accumulation);
    let rounded = if whole { "" } else { " (rounded up each epoch)" };
    let accumulation = format!("÷ accumulation {}{rounded}", length.accumulation);
    let epochs = count(length.epochs as usize, "epoch");
    let steps = count(length.steps as usize, "step");
    match report.length_unit {
        LengthUnit::Epochs => format!("{uses} × {epochs} {accumulation} = {steps}\n"),
        LengthUnit::Steps => {
            let per_epoch = count(length.steps_per_epoch as usize, "step");
            let part =
                if length.steps.is_multiple_of(length.steps_per_epoch) { "" } else { ", the last one cut short" };
            format!("{uses} {accumulation} = {per_epoch} per epoch → {steps} are {epochs}{part}\n")
        }
    }
}

/// `1 image`, `2 images`.
/// What stands before a line of a tree.
fn branch(last: bool) -> &'static str {
    if last { "└─" } else { "├─" }
}

/// The width of the longest cell of each column.
fn column_widths<const N: usize>(rows: &[[String; N]]) -> [usize; N] {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    widths
}

fn left(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

fn right(text: &str, width: usize) -> String {
    format!("{text:>width$}")
}

#[cfg(test)]
mod tests {
    use lorabake_data::Reason;
    use lorabake_data::epoch_order::Length;
    use lorabake_data::report::FolderGroup;

    use super::*;

    fn folder(name: &str, images: usize, repeats: u32, words: &str) -> FolderReport {
        FolderReport {
            name: name.to_owned(),
            is_reg: false,
            images,
            captioned: images,
            no_caption: NoCaption::FolderWords(words.to_owned()),
            held_out: 0,
            repeats,
            uses: images as u64 * u64::from(repeats),
        }
    }

    fn left_out(path: &str, reason: Reason) -> LeftOut {
        LeftOut { path: path.into(), reason }
    }

    /// Six images of 4 repeats, four regularization images of 2, and three files that take no part.
    fn report() -> DatasetReport {
        let train = folder("4_penny", 6, 4, "penny");
        let reg = FolderReport { is_reg: true, captioned: 0, uses: 24, ..folder("2_girl", 4, 2, "girl") };
        let gif = Reason::UnsupportedType("gif".to_owned());
        DatasetReport {
            groups: vec![
                FolderGroup { origin: Origin::TrainDir("train".into()), folders: vec![train] },
                FolderGroup { origin: Origin::RegDir("reg".into()), folders: vec![reg] },
            ],
            buckets: vec![
                BucketReport { size: (64, 192), images: 4, uses: 24, cropped: 1.0 / 3.0, enlarged: 0 },
                BucketReport { size: (128, 128), images: 6, uses: 24, cropped: 0.0, enlarged: 0 },
            ],
            left_out: vec![
                left_out("train/4_penny/x.gif", gif.clone()),
                left_out("train/penny", Reason::NoRepeats { name: "penny".to_owned(), images: 1 }),
                left_out("train/4_penny/y.gif", gif),
            ],
            warnings: Vec::new(),
            batch_sizes: vec![1],
            length: Length { batches_per_epoch: 48, accumulation: 1, steps_per_epoch: 48, epochs: 10, steps: 480 },
            length_unit: LengthUnit::Epochs,
        }
    }

    #[test]
    fn the_text_shows_it_all() {
        let expected = "\
training images  train
└─ 4_penny   6 images   all captioned   × 4 = 24
regularization images  reg
└─ 2_girl   4 images   caption “girl”   × 2 = 8 → 24 to match the training set

┌───────────┬────────┬────────────────┬──────────────┬──────────┐
│    bucket │ images │ uses per epoch │ cropped away │ enlarged │
├───────────┼────────┼────────────────┼──────────────┼──────────┤
│  64 × 192 │      4 │             24 │       33.3 % │        – │
│ 128 × 128 │      6 │             24 │        0.0 % │        – │
└───────────┴────────┴────────────────┴──────────────┴──────────┘

left out (3)
├─ image type .gif is not read; save it as PNG
│    train/4_penny/x.gif
│    train/4_penny/y.gif
└─ folder name has no repeats (1 image); rename it to e.g. 10_penny
     train/penny

6 images × 4 repeats = 24 (+ 24 regularization) → 48 batches of 1 × 10 epochs ÷ accumulation 1 = 480 steps
";
        assert_eq!(text(&report()), expected);
    }

    #[test]
    fn steps_are_explained_by_epochs_and_the_other_way_round() {
        let length = Length { batches_per_epoch: 48, accumulation: 5, steps_per_epoch: 10, epochs: 3, steps: 30 };
        let by_steps = DatasetReport { length, length_unit: LengthUnit::Steps, ..report() };
        let expected = "6 images × 4 repeats = 24 (+ 24 regularization) → 48 batches of 1 \
                        ÷ accumulation 5 (rounded up each epoch) \
                        = 10 steps per epoch → 30 steps are 3 epochs\n";
        assert_eq!(equation(&by_steps), expected);
        let cut_short = DatasetReport { length: Length { steps: 25, ..length }, ..by_steps };
        assert!(equation(&cut_short).ends_with("→ 25 steps are 3 epochs, the last one cut short\n"));
    }

    #[test]
    fn data_sets_stand_one_below_the_other() {
        let reg = FolderReport { is_reg: true, uses: 6, ..folder("reg", 2, 1, "") };
        let large = Origin::DataSet { number: 1, resolution: (128, 128), batch_size: 2 };
        let small = Origin::DataSet { number: 2, resolution: (64, 64), batch_size: 3 };
        let report = DatasetReport {
            groups: vec![
                FolderGroup { origin: large, folders: vec![folder("a", 2, 3, ""), reg] },
                FolderGroup { origin: small, folders: vec![folder("a", 2, 1, ""), folder("b", 1, 5, "")] },
            ],
            batch_sizes: vec![2, 3],
            length: Length { batches_per_epoch: 9, accumulation: 1, steps_per_epoch: 9, epochs: 2, steps: 18 },
            ..report()
        };
        let expected = "\
data set 1  128 × 128, batches of 2
├─ a                      2 images   all captioned   × 3 = 6
└─ reg (regularization)   2 images   all captioned   × 1 = 2 → 6 to match the training set
data set 2  64 × 64, batches of 3
├─ a   2 images   all captioned   × 1 = 2
└─ b    1 image   all captioned   × 5 = 5
";
        assert_eq!(folders(&report), expected);
        let expected = "2 images × 3 repeats + 2 images × 1 repeat + 1 image × 5 repeats = 13 (+ 6 regularization) → \
                        9 batches of 2 or 3 × 2 epochs ÷ accumulation 1 = 18 steps\n";
        assert_eq!(equation(&report), expected);
    }

    #[test]
    fn captions_and_held_out_images_are_told() {
        let some = FolderReport { captioned: 1, ..folder("4_x", 3, 4, "penny") };
        assert_eq!(captions(&some), "1 captioned, others “penny”");
        let wordless = FolderReport { captioned: 0, ..folder("4", 3, 4, "") };
        assert_eq!(captions(&wordless), "no captions");
        let paired = FolderReport { no_caption: NoCaption::OfTrainingImage, ..some.clone() };
        assert_eq!(captions(&paired), "1 captioned, others like their training image");
        let alone = FolderReport { is_reg: true, uses: 0, ..folder("reg", 2, 3, "") };
        assert_eq!(row(&alone, true)[3], "× 3 = 6, none used");
        let held_out = FolderReport { held_out: 2, uses: 24, ..folder("3_penny", 10, 3, "penny") };
        assert_eq!(row(&held_out, false)[3], "× 3 = 24, 2 held out for validation");
    }

    #[test]
    fn long_lists_are_cut_short_and_warnings_have_a_line_each() {
        let files: Vec<LeftOut> = (0..14).map(|i| left_out(&format!("train/{i}.txt"), Reason::NotAnImage)).collect();
        let text = super::left_out(&files);
        assert!(text.starts_with("left out (14)\n└─ neither an image nor a caption\n     train/0.txt\n"), "{text}");
        assert!(text.ends_with("     train/11.txt\n     … and 2 more\n"), "{text}");
        let warning = Problem::NothingToSay { folder: "3".to_owned() };
        let expected = "warning: 3: no captions and no words in the folder name; its images train the empty prompt; write \
                        words behind the number, as in 10_penny, or a text file beside each image\n";
        assert_eq!(warnings(&DatasetReport { warnings: vec![warning], ..report() }), expected);
        let blank = |index: usize| Problem::BlankCaption { path: format!("{index}.txt").into() };
        let text = warnings(&DatasetReport { warnings: (0..200).map(blank).collect(), ..report() });
        assert!(text.lines().count() == 11 && text.ends_with("  and 190 more of this kind\n"), "{text}");
    }
}
