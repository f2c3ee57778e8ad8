//! What can be wrong with image folders: errors that stop a run, reasons for leaving a file out, and warnings.
//!
//! Every message is one line that names the file and the remedy. Nothing here prints.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::scan::IMAGE_DIR;

/// Width and height in pixels.
pub type Size = (u32, u32);

/// Something that must be mended before training.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The folder of a flag is not there or cannot be listed.
    #[error("{flag} {}: {cause}; {}", dir.display(), folder_remedy(flag))]
    Folder {
        /// The flag that names the folder.
        flag: &'static str,
        /// The folder.
        dir: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// Images are there, but not in `N_name` folders directly inside the folder of the flag.
    #[error("{flag} {}: {found}; {remedy}", dir.display())]
    WrongLevel {
        /// The flag that names the folder.
        flag: &'static str,
        /// The folder.
        dir: PathBuf,
        /// Where the images are.
        found: String,
        /// A path or a command that mends it.
        remedy: String,
    },
    /// There is no image that can be used.
    #[error("{flag} {}: no images; put .png, .jpg, .webp or .bmp files into {}", dir.display(), inside(flag, dir))]
    NoImages {
        /// The flag that names the folder.
        flag: &'static str,
        /// The folder.
        dir: PathBuf,
    },
    /// A folder asks for more repeats than any run can use.
    #[error(
        "{}: {repeats} repeats of each image are more than {limit}; rename the folder to e.g. 10_name",
        path.display()
    )]
    Repeats {
        /// The concept folder.
        path: PathBuf,
        /// Repeats in its name.
        repeats: i64,
        /// Most that are accepted.
        limit: i64,
    },
    /// Every training image is held out.
    #[error(
        "--validation_split={share}: all images are held out and none is left to train on; use a smaller number such as 0.1"
    )]
    NothingToTrain {
        /// The largest share.
        share: f64,
    },
    /// No regularization image has the name of a training image.
    #[error(
        "--reg_pairing=same_name: no regularization image is called like a training image; name them alike, e.g. \
         {example}, or leave the option out"
    )]
    NoPairs {
        /// Name of a training image.
        example: String,
    },
    /// The folder of masks is not there or cannot be listed.
    #[error("--conditioning_data_dir {}: {cause}; name the folder that holds the masks", dir.display())]
    MaskFolder {
        /// The folder.
        dir: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// An image has no mask.
    #[error("{}: no mask of that name in {}; add one, all white if the whole image counts", path.display(), dir.display())]
    NoMask {
        /// The image.
        path: PathBuf,
        /// The folder of masks.
        dir: PathBuf,
    },
    /// A mask is not as large as its image.
    #[error(
        "{}: the mask is {} × {} and its image {} × {}; make both alike",
        path.display(), mask.0, mask.1, image.0, image.1
    )]
    MaskSize {
        /// The mask.
        path: PathBuf,
        /// Its size.
        mask: Size,
        /// Size of the image.
        image: Size,
    },
    /// An image cannot be used.
    #[error("{}: {fault}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
    /// A caption file cannot be used.
    #[error("{}: {cause}", path.display())]
    Caption {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the remedy.
        cause: String,
    },
    /// Bucket settings that contradict each other.
    #[error("{0}")]
    Buckets(String),
    /// An image is too small for any bucket when it may not be enlarged.
    #[error(
        "{}: {} × {} is less than one bucket step of {step} px; enlarge it, or leave out --bucket_no_upscale",
        path.display(),
        size.0,
        size.1
    )]
    TooSmall {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: Size,
        /// `--bucket_reso_steps`
        step: u32,
    },
}

/// All errors found in one go, so that a user mends them together. Displays one line per error.
#[derive(Debug, Clone, PartialEq)]
pub struct Errors(pub Vec<Error>);

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

/// What is wrong with an image file.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// 0 bytes.
    #[error("the image file is empty (0 bytes); copy it again or delete it")]
    Empty,
    /// The file ends before the image does.
    #[error("the image file is truncated; copy it again or delete it")]
    Truncated,
    /// The content is not one of the supported formats, whatever the file is called.
    #[error("the content is not PNG, JPEG, WebP or BMP but {0}; save it as PNG")]
    Format(String),
    /// More pixels than are accepted; decoding would take too much memory.
    #[error("{0} × {1} pixels are too many; shrink the image below 178 million pixels")]
    TooLarge(u32, u32),
    /// The size differs from what the scan saw.
    #[error(
        "the image is {} × {} now but was {} × {} when the folder was read; start again",
        .now.0, .now.1, .before.0, .before.1
    )]
    Changed {
        /// Size when the folder was read.
        before: Size,
        /// Size now.
        now: Size,
    },
    /// The system or the decoder refuses.
    #[error("the image cannot be read ({0}); save it again as PNG or delete it")]
    Unreadable(String),
}

/// Why a file or folder takes no part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    #[error("folder name has no repeats ({}); rename it to e.g. 10_{name}", count(*.images, "image"))]
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
    /// Pairing by name, and there is nothing to pair this one with.
    #[error("no training image of this name is left to pair it with (--reg_pairing)")]
    NoPartner,
}

/// A warning: training works, but probably not as meant.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Problem {
    /// Some images of a folder have captions, others do not.
    #[error(
        "{folder}: {missing} of {images} images have no caption file and use {} ({examples})", quoted(.instead)
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
        examples: String,
    },
    /// No caption files and nothing after the number in the folder's name.
    #[error("{folder}: no captions and no words in the folder name; its images train the empty prompt")]
    NothingToSay {
        /// Concept folder name.
        folder: String,
    },
    /// The first line of a caption file is blank, and only the first line counts.
    #[error("{}: the first line is blank, so the caption is empty; only the first line is read", path.display())]
    BlankCaption {
        /// The caption file.
        path: PathBuf,
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
    /// Pairing by name, and some training images have no regularization image.
    #[error("{missing} of {images} training images have no regularization image of their name ({examples})")]
    NoRegPartner {
        /// Training images without one.
        missing: usize,
        /// All training images.
        images: usize,
        /// The first few names.
        examples: String,
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
        path: PathBuf,
    },
    /// A bucket limit was moved to a multiple of the step.
    #[error("{option} {from} is not a multiple of --bucket_reso_steps {step}: {to} is used")]
    BucketLimitMoved {
        /// The flag.
        option: &'static str,
        /// As given.
        from: u32,
        /// As used.
        to: u32,
        /// `--bucket_reso_steps`
        step: u32,
    },
}

fn folder_remedy(flag: &str) -> &'static str {
    match flag {
        IMAGE_DIR => "name the folder that holds the images themselves",
        _ => "give the folder that holds folders such as 10_name",
    }
}

fn inside(flag: &str, dir: &Path) -> String {
    match flag {
        IMAGE_DIR => "it".to_owned(),
        _ => format!("a folder inside it, e.g. {}", dir.join("10_name").display()),
    }
}

fn quoted(text: &str) -> String {
    if text.is_empty() { "an empty caption".into() } else { format!("the folder's words “{text}”") }
}

/// `1 image`, `2 images`, `2 batches`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    match (number, noun) {
        (1, noun) => format!("1 {noun}"),
        (_, "batch") => format!("{number} batches"),
        (_, noun) => format!("{number} {noun}s"),
    }
}
