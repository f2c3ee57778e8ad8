//! What stops a run: errors in folders, images, captions, masks and bucket settings.
//!
//! Every message is one line that names the file and the remedy. Nothing here prints.

use std::fmt;
use std::mem::discriminant;
use std::path::{Path, PathBuf};

use lorabake_pixels::{Fault, FileError};

use crate::size::Size;

/// What names a folder of a `--dataset_config` in messages.
pub(crate) const IMAGE_DIR: &str = "image_dir";

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
    /// All folders of a `--dataset_config` are for regularization.
    #[error(
        "{}: all its folders hold regularization images, so there are no training images; leave out is_reg for those \
         that are to be learnt",
        file.display()
    )]
    OnlyRegularization {
        /// The file of the `--dataset_config`.
        file: PathBuf,
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
        /// Size of the mask.
        mask: Size,
        /// Size of the image.
        image: Size,
    },
    /// An image cannot be used.
    #[error("{}: {fault}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with the image.
        fault: Fault,
    },
    /// An image's size differs from what the scan saw.
    #[error(
        "{}: the image is {} × {} now but was {} × {} when the folder was read; start again",
        path.display(), now.0, now.1, before.0, before.1
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// Size when the folder was read.
        before: Size,
        /// Size now.
        now: Size,
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
    /// An image is so long that cropping would leave next to nothing of it.
    #[error(
        "{}: it is {} ({} × {}), so that more than 99 % of it would be cropped away for {} × {}; crop it yourself, or \
         delete it",
        path.display(), ratio(*size), size.0, size.1, bucket.0, bucket.1
    )]
    TooExtreme {
        /// The file.
        path: PathBuf,
        /// Size of the image.
        size: Size,
        /// Size of its bucket.
        bucket: Size,
    },
    /// An image would be enlarged beyond what memory is for.
    #[error(
        "{}: {} × {} would become {} × {} before it is cropped to {} × {}, which are too many pixels; crop it yourself, \
         or give --enable_bucket",
        path.display(), size.0, size.1, resized.0, resized.1, bucket.0, bucket.1
    )]
    TooEnlarged {
        /// The file.
        path: PathBuf,
        /// Size of the image.
        size: Size,
        /// Size after resizing.
        resized: Size,
        /// Size of its bucket.
        bucket: Size,
    },
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
        /// Size of the image.
        size: Size,
        /// `--bucket_reso_steps`
        step: u32,
    },
}

impl Error {
    /// Whether it is of the same kind as `other`, whatever file it is about: what many have in common is told in short.
    pub fn is_like(&self, other: &Self) -> bool {
        let same_fault = match (self, other) {
            (Self::Image { fault, .. }, Self::Image { fault: other, .. }) => discriminant(fault) == discriminant(other),
            // What is wrong has its line in it; what to do about it is the same.
            (Self::Caption { cause, .. }, Self::Caption { cause: other, .. }) => remedy(cause) == remedy(other),
            _ => true,
        };
        discriminant(self) == discriminant(other) && same_fault
    }
}

/// What a message says is to be done.
fn remedy(message: &str) -> Option<&str> {
    Some(message.rsplit_once("; ")?.1)
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

impl Errors {
    /// Fails if there are errors.
    pub(crate) fn check(errors: Vec<Error>) -> Result<(), Self> {
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        Self::Image { path: error.path, fault: error.fault }
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

/// How much longer one side is than the other, in words.
fn ratio(size: Size) -> String {
    if size.0 > size.1 {
        format!("{} times as wide as high", size.0 / size.1)
    } else {
        format!("{} times as high as wide", size.1 / size.0)
    }
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
