//! What SDXL is told of a picture's size: of images that it trained on, the size before they were made smaller, and what was
//! cut off (Podell et al. 2023, 2.2). Names are those of sd-scripts' `gen_img.py`.

/// Sizes in pixels; what is not said is the picture's own, and nothing was cut off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ToldSizes {
    /// Width that the picture is said to have had.
    pub original_width: Option<usize>,
    /// Height that the picture is said to have had.
    pub original_height: Option<usize>,
    /// The width for the negative prompt; else that of the prompt.
    pub negative_original_width: Option<usize>,
    /// The height for the negative prompt; else that of the prompt.
    pub negative_original_height: Option<usize>,
    /// Pixels that are said to be cut off above.
    pub crop_top: Option<usize>,
    /// Pixels that are said to be cut off on the left.
    pub crop_left: Option<usize>,
}

impl ToldSizes {
    /// Original height and width, crop from above and from the left, and the height and width that are painted, in SDXL's
    /// order, for a picture of `size` [width, height].
    pub fn numbers(&self, size: [usize; 2], is_negative: bool) -> [f32; 6] {
        let [width, height] = size;
        let mut original_width = self.original_width.unwrap_or(width);
        let mut original_height = self.original_height.unwrap_or(height);
        if is_negative {
            original_width = self.negative_original_width.unwrap_or(original_width);
            original_height = self.negative_original_height.unwrap_or(original_height);
        }
        let top = self.crop_top.unwrap_or(0);
        let left = self.crop_left.unwrap_or(0);
        [original_height, original_width, top, left, height, width].map(|pixels| pixels as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_the_pictures_own() {
        let plain = ToldSizes::default();
        assert_eq!(plain.numbers([640, 512], true), [512.0, 640.0, 0.0, 0.0, 512.0, 640.0]);
        let told = ToldSizes {
            original_width: Some(2048),
            negative_original_height: Some(256),
            crop_left: Some(8),
            ..ToldSizes::default()
        };
        assert_eq!(told.numbers([640, 512], false), [512.0, 2048.0, 0.0, 8.0, 512.0, 640.0]);
        assert_eq!(told.numbers([640, 512], true), [256.0, 2048.0, 0.0, 8.0, 512.0, 640.0]);
    }
}
