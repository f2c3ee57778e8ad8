//! What the UNet is told of a picture whose errors are measured.

/// What the UNet is told: a text, and for SDXL the size of the picture [width, height].
#[derive(Debug, Clone, Copy)]
pub struct Caption<'a> {
    /// The text.
    pub text: &'a str,
    /// The size of the picture as it is trained on, in pixels, even if its errors are measured at a smaller one.
    pub size: [usize; 2],
}
