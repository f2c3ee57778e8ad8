//! What a file of prompts asks for, whatever its form.

use crate::png_text::PictureSettings;

/// A picture that a file asks for, or several by their seeds; what the file leaves open is `None` or empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FilePrompt {
    /// What it says of the picture, but for seeds.
    pub settings: PictureSettings,
    /// Seeds, one for each picture.
    pub seeds: Vec<u64>,
    /// How many pictures there are.
    pub count: Option<u32>,
    /// Names of styles.
    pub styles: Vec<String>,
    /// Name of the file, without folders.
    pub file_name: Option<String>,
    /// Whether the negative prompt has no guidance scale of its own, whatever holds elsewhere.
    pub negative_scale_as_prompt: bool,
}
