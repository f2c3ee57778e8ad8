//! What a run goes on in spite of: reasons for leaving a file out, and warnings.
//!
//! Every message is one line that names the file and the remedy. Nothing here prints.

use std::fmt;
use std::path::{Path, PathBuf};

use lorabake_recipe::count;
use serde::{Deserialize, Serialize, Serializer};

/// Writes a path as text; what is not Unicode in it is replaced, because JSON cannot hold it.
pub(crate) fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// Why a file or folder takes no part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Reason {
    /// An image of a type that sd-scripts does not read either.
    #[error("image type .{0} is not read; save it as PNG")]
    UnsupportedType(String),
    /// Name begins with a dot.
    #[error("hidden file")]
    Hidden,
    /// Not an image, not a caption.
    #[error("neither an image nor a caption")]
    NotAnImage,
    /// No image has this name.
    #[error("caption without an image of that name")]
    CaptionWithoutImage,
    /// Another caption of the same image comes first.
    #[error("the image's .txt caption is used instead")]
    OtherCaptionUsed,
    /// A caption whose suffix is not the one asked for.
    #[error("captions are read from {0} files (--caption_extension)")]
    OtherCaptionExtension(String),
    /// A folder whose name has no repeats.
    #[error("folder name has no repeats ({}); rename it to e.g. {}", count(*.images, "image"), with_repeats(name))]
    NoRepeats {
        /// Folder name.
        name: String,
        /// Images anywhere below it.
        images: usize,
    },
    /// Repeats below one.
    #[error("{0} repeats")]
    ZeroRepeats(i64),
    /// A concept folder without images.
    #[error("folder without images")]
    EmptyFolder,
    /// A folder whose name begins with a dot, as `.ipynb_checkpoints` and `.git` do.
    #[error("hidden folder")]
    HiddenFolder,
    /// What archives of a Mac hold beside the files.
    #[error("folder left by an archive program")]
    ArchiveFolder,
    /// A folder that a system or a network drive makes for itself.
    #[error("folder of the system's own")]
    SystemFolder,
    /// A folder in which lorabake keeps its journal, or what was set aside.
    #[error("folder of what lorabake keeps or has set aside")]
    OwnFolder,
    /// A folder inside a concept folder.
    #[error("folder inside a concept folder ({}); move its content up into {into}", count(*.images, "image"))]
    Nested {
        /// Images anywhere below it.
        images: usize,
        /// The concept folder's name.
        into: String,
    },
    /// An image beside the concept folders.
    #[error("image outside the concept folders; move it into one of them")]
    OutsideConcept,
    /// There are more regularization images than training images times repeats.
    #[error("more regularization images than training images × repeats; this one is not used")]
    RegSurplus,
    /// A regularization image of a data set that has nothing to train on.
    #[error("regularization image of a data set without training images")]
    RegAlone,
    /// Pairing by name, and there is nothing to pair this one with.
    #[error("no training image of this name is left to pair it with (--reg_pairing)")]
    NoPartner,
}

/// A warning: training works, but probably not as meant.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub enum Problem {
    /// Some images of a folder have captions, others do not.
    #[error(
        "{folder}: {missing} of {images} images have no caption file and use {} ({})", quoted(.instead), first_few(.examples, *.missing)
    )]
    CaptionsMissing {
        /// Concept folder name.
        folder: String,
        /// Images without a caption file.
        missing: usize,
        /// All images of the folder.
        images: usize,
        /// What these images use instead.
        instead: String,
        /// The first few names.
        examples: Vec<String>,
    },
    /// No training image has a caption file; the folders' words stand in for them.
    #[error(
        "no image has a caption file, so that all train the words of their folder's name alone (“{instead}”); put a text file with \
         tags beside each image, such as {example}, or give --caption_extension if yours end otherwise"
    )]
    NoCaptions {
        /// What the first image uses instead.
        instead: String,
        /// The file that it lacks.
        example: String,
    },
    /// No caption files and nothing after the number in the folder's name.
    #[error(
        "{folder}: no captions and no words in the folder name; its images train the empty prompt; write words behind \
         the number, as in 10_penny, or a text file beside each image"
    )]
    NothingToSay {
        /// Concept folder name.
        folder: String,
    },
    /// The first line of a caption file is blank, and only the first line counts.
    #[error("{}: the first line is blank, so the caption is empty; only the first line is read", path.display())]
    BlankCaption {
        /// The caption file.
        #[serde(serialize_with = "lossy")]
        path: PathBuf,
    },
    /// Images of a folder whose names differ in their suffix only.
    #[error(
        "{folder}: {}{} have one name, so that they have one caption and one file of latents between them; rename one \
         of them",
        .names.join(" and "),
        if *.others == 0 { String::new() } else { format!(", and the images of {},", count(*.others, "other name")) }
    )]
    SameName {
        /// Concept folder name.
        folder: String,
        /// The first images of one name.
        names: Vec<String>,
        /// Further names that stand for several images.
        others: usize,
    },
    /// Two masks have the name of an image.
    #[error("{}: {} has the name of the same image; it is not used, so delete or rename one of them", used.display(), name)]
    SameMask {
        /// The mask that is used.
        #[serde(serialize_with = "lossy")]
        used: PathBuf,
        /// Name of the other.
        name: String,
    },
    /// Caption files have several lines, and only the first counts.
    #[error(
        "{} more than one line, of which only the first is read ({}); put tags on one line, or give --enable_wildcard \
         to draw one line at each use",
        if *.captions == 1 { "1 caption has".to_owned() } else { format!("{captions} captions have") },
        first_few(.examples, *.captions)
    )]
    UnreadLines {
        /// Caption files with other lines that are not blank.
        captions: usize,
        /// The first few names.
        examples: Vec<String>,
    },
    /// A number of repeats that looks like a year or a date.
    #[error(
        "{folder}: repeats each image {repeats} times per epoch; if that is not meant, rename it to e.g. 10_{folder}"
    )]
    ManyRepeats {
        /// Concept folder name.
        folder: String,
        /// Repeats in its name.
        repeats: u32,
    },
    /// The folder of regularization images is empty.
    #[error("--reg_data_dir {}: it holds no images, so there is no regularization", dir.display())]
    NoRegularization {
        /// The folder.
        #[serde(serialize_with = "lossy")]
        dir: PathBuf,
    },
    /// Regularization images are not all used.
    #[error(
        "{unused} of {images} regularization images are not used: training images × repeats are only {train}; \
         lower the number of the regularization folder or raise that of the training folder"
    )]
    RegSurplus {
        /// Images without use.
        unused: usize,
        /// All regularization images.
        images: usize,
        /// Training images times repeats.
        train: u64,
    },
    /// A data set of several holds regularization images and nothing that they could accompany.
    #[error(
        "data set {number}: {} never used, because it has no training images; regularization images belong into the \
         data set ([[datasets]]) of the images that they accompany",
        if *.images == 1 { "its regularization image is".to_owned() } else { format!("its {images} regularization images are") }
    )]
    RegAlone {
        /// Which data set of the `--dataset_config`, from 1.
        number: usize,
        /// Its regularization images.
        images: usize,
    },
    /// Pairing by name, and some training images have no regularization image.
    #[error(
        "{missing} of {images} training images have no regularization image of their name ({})",
        first_few(.examples, *.missing)
    )]
    NoRegPartner {
        /// Training images without one.
        missing: usize,
        /// All training images.
        images: usize,
        /// The first few names.
        examples: Vec<String>,
    },
    /// No folder has so many images that the share makes one.
    #[error(
        "--validation_split={share} makes not one image of any folder, so nothing is held out; use a larger number"
    )]
    NothingHeldOut {
        /// The largest share.
        share: f64,
    },
    /// Validation with an image that is trained on too.
    #[error(
        "{}: it is held out in one data set and trained on in another, so the loss over it tells nothing; give both the \
         same validation_split and validation_seed", path.display()
    )]
    HeldOutElsewhere {
        /// The first such image.
        #[serde(serialize_with = "lossy")]
        path: PathBuf,
    },
    /// A bucket limit was moved to a multiple of the step.
    #[error("{limit} {from} is not a multiple of --bucket_reso_steps {step}: {to} is used")]
    BucketLimitMoved {
        /// Which limit.
        limit: BucketLimit,
        /// The limit as given.
        from: u32,
        /// The limit as used.
        to: u32,
        /// `--bucket_reso_steps`
        step: u32,
    },
}

/// A limit of the sides of buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BucketLimit {
    /// `--min_bucket_reso`
    Min,
    /// `--max_bucket_reso`
    Max,
}

impl fmt::Display for BucketLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Min => "--min_bucket_reso",
            Self::Max => "--max_bucket_reso",
        })
    }
}

/// Names that are told of many before the rest is cut short.
const EXAMPLES: usize = 3;

/// The first names of a list that is told in short.
pub(crate) fn examples(names: &[String]) -> Vec<String> {
    names.iter().take(EXAMPLES).cloned().collect()
}

/// Adds caption files of several lines to the one warning of the whole data set about such.
pub(crate) fn add_unread_lines(problems: &mut Vec<Problem>, names: &[String]) {
    if names.is_empty() {
        return;
    }
    for problem in problems.iter_mut() {
        if let Problem::UnreadLines { captions, examples } = problem {
            *captions += names.len();
            examples.extend_from_slice(names);
            examples.truncate(EXAMPLES);
            return;
        }
    }
    problems.push(Problem::UnreadLines { captions: names.len(), examples: examples(names) });
}

fn first_few(examples: &[String], all: usize) -> String {
    let more = if all > examples.len() { ", …" } else { "" };
    examples.join(", ") + more
}

fn quoted(text: &str) -> String {
    if text.is_empty() { "an empty caption".into() } else { format!("the folder's words “{text}”") }
}

/// Repeats in a proposed folder name; kohya's guides use 10.
const PROPOSED: &str = "10";

/// A name with repeats for a folder that has none: `10-penny` is `10_penny`, and `penny` is so too.
pub(crate) fn with_repeats(name: &str) -> String {
    let digits = name.len() - name.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let (number, rest) = name.split_at(digits);
    let words = rest.trim_start_matches(['-', ' ', '.', '+', '~']);
    let is_number = (1..=2).contains(&digits) && !number.trim_start_matches('0').is_empty();
    if is_number && words.len() < rest.len() && !words.is_empty() {
        return format!("{number}_{words}");
    }
    format!("{PROPOSED}_{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_another_sign_behind_it_is_kept() {
        for (name, proposed) in [
            ("10-penny", "10_penny"),
            ("5 red hat", "5_red hat"),
            ("3.penny", "3_penny"),
            ("penny", "10_penny"),
            ("3d_render", "10_3d_render"),
            ("2024-05", "10_2024-05"),
            ("0-penny", "10_0-penny"),
            ("10-", "10_10-"),
            ("7", "10_7"),
            ("鳥", "10_鳥"),
        ] {
            assert_eq!(with_repeats(name), proposed);
        }
    }
}
