//! Options of the commands that paint for what SDXL is told of sizes.

use lorabake_generate::conditioning::ToldSizes;
use lorabake_generate::png_text::PictureSettings;

/// What SDXL is told of a picture's size beside the one that is painted.
#[derive(Debug, Clone, clap::Args)]
#[command(rename_all = "verbatim", next_help_heading = "Sizes that SDXL is told")]
pub struct SizeArgs {
    /// Width in pixels that the picture is said to have had; small ones make it look like an enlarged small image.
    /// [default: that of the picture]
    #[arg(long, value_name = "PIXELS")]
    original_width: Option<usize>,
    /// Height in pixels that the picture is said to have had. [default: that of the picture]
    #[arg(long, value_name = "PIXELS")]
    original_height: Option<usize>,
    /// The width for the negative prompt. [default: --original_width]
    #[arg(long, value_name = "PIXELS")]
    negative_original_width: Option<usize>,
    /// The height for the negative prompt. [default: --original_height]
    #[arg(long, value_name = "PIXELS")]
    negative_original_height: Option<usize>,
    /// Pixels that are said to be cut off above. [default: 0]
    #[arg(long, value_name = "PIXELS")]
    crop_top: Option<usize>,
    /// Pixels that are said to be cut off on the left. [default: 0]
    #[arg(long, value_name = "PIXELS")]
    crop_left: Option<usize>,
}

impl SizeArgs {
    /// Puts what was typed into `settings`.
    pub fn put(&self, settings: &mut PictureSettings) {
        settings.sizes = ToldSizes {
            original_width: self.original_width,
            original_height: self.original_height,
            negative_original_width: self.negative_original_width,
            negative_original_height: self.negative_original_height,
            crop_top: self.crop_top,
            crop_left: self.crop_left,
        };
    }
}
