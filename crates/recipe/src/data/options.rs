//! The options about images and the files beside them, as they may be typed.

use std::path::PathBuf;

use serde::Serialize;

/// What may be typed about images and the files beside them; the field comments are the texts of `--help`.
#[derive(Debug, Clone, Default, PartialEq, clap::Args, Serialize)]
#[command(next_help_heading = "Images", rename_all = "verbatim")]
pub struct RawData {
    /// Folder of the training set. It holds folders called REPEATS_NAME, for instance 10_penny, with the images and
    /// their caption files. Required.
    #[arg(long, value_name = "FOLDER")]
    pub train_data_dir: Option<PathBuf>,
    /// Folder of regularization images ("dreambooth style"), built like the training set, for instance 1_girl. It
    /// doubles the steps of an epoch.
    #[arg(long, value_name = "FOLDER")]
    pub reg_data_dir: Option<PathBuf>,
    /// Suffix of the caption files beside the images. [default: .txt, else .caption]
    #[arg(long, value_name = "SUFFIX")]
    pub caption_extension: Option<String>,
    /// An old spelling of --caption_extension, still taken.
    #[arg(long, hide = true)]
    pub caption_extention: Option<String>,
    /// Training size in pixels, "512" or "512,768" (width, height). 512 is a fine default for Stable Diffusion 1.x; 576
    /// shows more detail and takes longer. [default: 512; 128 with the model inside the program]
    #[arg(long, value_name = "PIXELS")]
    pub resolution: Option<String>,
    /// Sort images into buckets of like shape instead of cropping all of them to one shape.
    #[arg(long)]
    pub enable_bucket: Option<bool>,
    /// Shortest side of a bucket in pixels; 320 is usual at resolution 512. [default: 256]
    #[arg(long, value_name = "PIXELS")]
    pub min_bucket_reso: Option<u32>,
    /// Longest side of a bucket in pixels; 768 to 1024 is usual at resolution 512. [default: 1024]
    #[arg(long, value_name = "PIXELS")]
    pub max_bucket_reso: Option<u32>,
    /// Bucket sides are multiples of this many pixels, itself a multiple of 64; of 32 for SDXL. [default: 64]
    #[arg(long, value_name = "PIXELS")]
    pub bucket_reso_steps: Option<u32>,
    /// Never enlarge a small image to fill its bucket; buckets follow the images instead.
    #[arg(long)]
    pub bucket_no_upscale: Option<bool>,
    /// Images per step. Two images at once make half as many steps, each of them slower. [default: 1]
    #[arg(long, value_name = "IMAGES")]
    pub train_batch_size: Option<u32>,
    /// Mirror images at random. Useful unless the subject is asymmetrical.
    #[arg(long)]
    pub flip_aug: Option<bool>,
    /// Crop an image that does not fit its bucket at another place at each use, not in the middle. Such images are
    /// encoded at each use, which takes time, and --cache_latents is not possible.
    #[arg(long)]
    pub random_crop: Option<bool>,
    /// Change hue or gamma a little at about one use in three. Every image is then encoded at each use, which takes
    /// time, and --cache_latents is not possible.
    #[arg(long)]
    pub color_aug: Option<bool>,
    /// Crop around the face in images whose name ends with its place, _CX_CY_WIDTH_HEIGHT, as face detectors write it:
    /// the training size is this many times the face, "2.0,4.0" for between two and four times. Not with
    /// --enable_bucket.
    #[arg(long, value_name = "LEAST,MOST")]
    pub face_crop_aug_range: Option<String>,
    /// Which regularization image goes with which training image: count (as many of them as training images, whatever
    /// their names) or same_name (the one with the same file name, used as often). [default: count]
    #[arg(long, value_name = "count|same_name")]
    pub reg_pairing: Option<String>,
    /// Weigh the loss by masks: images of the same name in --conditioning_data_dir, white where it counts, black where
    /// it does not.
    #[arg(long)]
    pub masked_loss: Option<bool>,
    /// Folder of the masks of --masked_loss. Each is as large as its image; only the red channel is read.
    #[arg(long, value_name = "FOLDER")]
    pub conditioning_data_dir: Option<PathBuf>,
    /// Weigh the loss by the images' own alpha channels: what is transparent is not learnt.
    #[arg(long)]
    pub alpha_mask: Option<bool>,
    /// TOML file with [general], [[datasets]] and [[datasets.subsets]] of sd-scripts' form, or a .json of the same content,
    /// instead of --train_data_dir: several folders with settings of their own, also at several sizes.
    #[arg(long, value_name = "FILE")]
    #[allow(rustdoc::broken_intra_doc_links, reason = "these are the words of --help")]
    pub dataset_config: Option<PathBuf>,
    /// Encode each image once and keep the result, which makes training much faster.
    #[arg(long)]
    pub cache_latents: Option<bool>,
}
