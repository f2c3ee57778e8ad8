//! What was found, as text for a terminal: folders, buckets, what is left out, warnings, and how the number of steps
//! comes about. Returns text; the caller prints it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use lorabake_recipe::data::{Data, RegPairing};
use lorabake_recipe::train::Duration;

use crate::bucket::Layout;
use crate::facts;
use crate::plan::{Length, Plan};
use crate::problem::count;
use crate::scan::{Dataset, Folder};

/// Files of one reason that are named before the rest is counted.
const NAMED: usize = 12;

/// Everything a user should see before training, ending in a line break.
pub fn report(dataset: &Dataset, layout: &Layout, plan: &Plan, data: &Data, run: (Length, Duration)) -> String {
    let sections = [
        folders(dataset, data),
        buckets(dataset, layout, plan),
        left_out(dataset, data),
        problems(dataset, layout),
        equation(dataset, layout, data, run),
    ];
    let sections: Vec<String> = sections.into_iter().filter(|section| !section.is_empty()).collect();
    sections.join("\n")
}

/// A tree of the folders with images, captions and repeats.
pub fn folders(dataset: &Dataset, data: &Data) -> String {
    let mut text = String::new();
    for (title, indices) in groups(dataset, data) {
        let _ = writeln!(text, "{title}");
        let by_name = |folder: &Folder| folder.is_reg && data.reg_pairing == RegPairing::SameName;
        let rows = indices.iter().map(|&index| &dataset.folders[index]).zip(&indices);
        let rows: Vec<[String; 4]> =
            rows.map(|(folder, &index)| row(dataset, index, folder, by_name(folder))).collect();
        let widths: [usize; 4] = std::array::from_fn(|c| rows.iter().map(|row| width(&row[c])).max().unwrap_or(0));
        for (i, [name, images, captions, uses]) in rows.iter().enumerate() {
            let branch = if i + 1 == rows.len() { "└─" } else { "├─" };
            let name = left(name, widths[0]);
            let _ = writeln!(
                text,
                "{branch} {name}   {images:>w$}   {captions}   {uses}",
                w = widths[1],
                captions = left(captions, widths[2])
            );
        }
    }
    text
}

/// Titles with the folders below them: training and regularization images, or the data sets of a `--dataset_config`.
fn groups(dataset: &Dataset, data: &Data) -> Vec<(String, Vec<usize>)> {
    let all = || dataset.folders.iter().enumerate();
    if let Some(config) = &data.config {
        let mut groups: BTreeMap<usize, (String, Vec<usize>)> = BTreeMap::new();
        for (index, folder) in all() {
            let Some(subset) = folder.subset.and_then(|subset| config.subsets.get(subset)) else { continue };
            let Data { resolution: (width, height), batch_size, .. } = subset.settings;
            let number = subset.dataset + 1;
            let title = format!("data set {number}  {width} × {height}, batches of {batch_size}");
            groups.entry(subset.dataset).or_insert_with(|| (title, Vec::new())).1.push(index);
        }
        return groups.into_values().collect();
    }
    let roots =
        [("training images", Some(&data.train_dir), false), ("regularization images", data.reg_dir.as_ref(), true)];
    let group = |(title, dir, is_reg): (&str, Option<&PathBuf>, bool)| {
        let title = format!("{title}  {}", dir?.display());
        Some((title, all().filter(|(_, folder)| folder.is_reg == is_reg).map(|(index, _)| index).collect()))
    };
    roots.into_iter().filter_map(group).collect()
}

fn row(dataset: &Dataset, index: usize, folder: &Folder, by_name: bool) -> [String; 4] {
    let uses: u64 = dataset.items.iter().filter(|item| item.folder == index).map(|item| u64::from(item.uses)).sum();
    let held_out = dataset.held_out_of(index);
    let product = (folder.images - held_out) as u64 * u64::from(folder.repeats);
    let captions = match folder.captioned {
        some if by_name && some < folder.images => format!("{some} captioned, others like their training image"),
        0 if folder.class_tokens.is_empty() => "no captions".into(),
        0 => format!("caption “{}”", folder.class_tokens),
        all if all == folder.images => "all captioned".into(),
        some => format!("{some} captioned, others “{}”", folder.class_tokens),
    };
    let balanced = if uses == product { String::new() } else { format!(" → {uses} to match the training set") };
    let held_out = if held_out == 0 { String::new() } else { format!(", {held_out} held out for validation") };
    let reg = if folder.is_reg && folder.subset.is_some() { " (regularization)" } else { "" };
    [
        format!("{}{reg}", folder.name),
        count(folder.images, "image"),
        captions,
        format!("× {} = {product}{balanced}{held_out}", folder.repeats),
    ]
}

/// A table of the buckets.
pub fn buckets(dataset: &Dataset, layout: &Layout, plan: &Plan) -> String {
    let header = ["bucket", "images", "uses per epoch", "cropped away", "enlarged"].map(str::to_owned);
    let mut rows = vec![header];
    for (bucket, uses) in plan.uses_per_bucket() {
        let here = dataset.items.iter().zip(&layout.placements).filter(|(item, p)| item.uses > 0 && p.bucket == bucket);
        let here: Vec<_> = here.collect();
        let cropped =
            here.iter().map(|(_, placement)| placement.cropped_share()).sum::<f64>() / here.len().max(1) as f64;
        let enlarged = here.iter().filter(|(item, p)| p.resized.0 > item.size.0 || p.resized.1 > item.size.1).count();
        rows.push([
            format!("{} × {}", bucket.0, bucket.1),
            here.len().to_string(),
            uses.to_string(),
            format!("{:.1} %", 100.0 * cropped),
            if enlarged == 0 { "–".into() } else { enlarged.to_string() },
        ]);
    }
    table(&rows)
}

fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|c| rows.iter().map(|row| width(&row[c])).max().unwrap_or(0));
    let rule = |begin: &str, middle: &str, end: &str| {
        format!("{begin}{}{end}\n", widths.map(|width| "─".repeat(width + 2)).join(middle))
    };
    let mut text = rule("┌", "┬", "┐");
    for (i, row) in rows.iter().enumerate() {
        let cells: [String; N] = std::array::from_fn(|c| format!(" {} ", right(&row[c], widths[c])));
        let _ = writeln!(text, "│{}│", cells.join("│"));
        if i == 0 {
            text += &rule("├", "┼", "┤");
        }
    }
    text + &rule("└", "┴", "┘")
}

/// Every file that takes no part, with the reason; long lists of one reason are cut short.
pub fn left_out(dataset: &Dataset, data: &Data) -> String {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for (path, reason) in &dataset.left_out {
        let (reason, path) = (reason.to_string(), short(path, data));
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, paths)) => paths.push(path),
            None => reasons.push((reason, vec![path])),
        }
    }
    if reasons.is_empty() {
        return String::new();
    }
    let mut text = format!("left out ({})\n", dataset.left_out.len());
    for (i, (reason, paths)) in reasons.iter().enumerate() {
        let last = i + 1 == reasons.len();
        let _ = writeln!(text, "{} {reason}", if last { "└─" } else { "├─" });
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

/// A path without the part that the user typed anyway.
fn short(path: &Path, data: &Data) -> String {
    let roots = [Some(&data.train_dir), data.reg_dir.as_ref()];
    let inner = roots.into_iter().flatten().find_map(|root| Some((root, path.strip_prefix(root).ok()?)));
    match inner {
        Some((root, inner)) => Path::new(root.file_name().unwrap_or_default()).join(inner).display().to_string(),
        None => path.display().to_string(),
    }
}

/// Warnings, a line each.
pub fn problems(dataset: &Dataset, layout: &Layout) -> String {
    dataset.problems.iter().chain(&layout.problems).map(|problem| format!("warning: {problem}\n")).collect()
}

/// How many steps, and why: `6 images × 4 repeats = 24 → 24 batches of 1 × 10 epochs ÷ accumulation 1 = 240 steps`.
pub fn equation(dataset: &Dataset, layout: &Layout, data: &Data, (length, duration): (Length, Duration)) -> String {
    let facts = facts::of_dataset(dataset, layout);
    let products: Vec<String> = facts
        .dataset_dirs
        .iter()
        .map(|dir| format!("{} × {}", count(dir.img_count, "image"), count(dir.n_repeats as usize, "repeat")))
        .collect();
    let reg: u64 = dataset.items.iter().filter(|item| item.is_reg).map(|item| u64::from(item.uses)).sum();
    let reg = if reg > 0 { format!(" (+ {reg} regularization)") } else { String::new() };
    let Length { batches_per_epoch, accumulation, steps_per_epoch, epochs, steps } = length;
    let batches = count(batches_per_epoch as usize, "batch");
    let sizes: BTreeSet<usize> = dataset.items.iter().map(|item| dataset.settings(data, item).batch_size).collect();
    let sizes = sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ");
    let left = format!("{} = {}{reg} → {batches} of {sizes}", products.join(" + "), facts.train_images);
    let whole = batches_per_epoch % accumulation == 0;
    let rounded = if whole { "" } else { " (rounded up each epoch)" };
    let epochs = count(epochs as usize, "epoch");
    match duration {
        Duration::Epochs(_) => {
            format!("{left} × {epochs} ÷ accumulation {accumulation}{rounded} = {}\n", count(steps as usize, "step"))
        }
        Duration::Steps(_) => {
            let per_epoch = count(steps_per_epoch as usize, "step");
            let part = if steps % steps_per_epoch == 0 { "" } else { ", the last one cut short" };
            format!(
                "{left} ÷ accumulation {accumulation}{rounded} = {per_epoch} per epoch → {} are {epochs}{part}\n",
                count(steps as usize, "step")
            )
        }
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn left(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

fn right(text: &str, width: usize) -> String {
    format!("{text:>width$}")
}
