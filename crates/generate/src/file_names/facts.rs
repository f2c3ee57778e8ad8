//! What a name may tell of a picture.

use chrono::{DateTime, Local};

use crate::png_text::Fields;

/// What a picture's name is made of.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What it was made with.
    pub fields: &'a Fields,
    /// Red, green and blue of every pixel.
    pub rgb: &'a [u8],
    /// When it was made.
    pub time: DateTime<Local>,
    /// Its number in its batch from 1; none in a batch of one.
    pub batch_number: Option<usize>,
    /// Pictures of a batch.
    pub batch_size: usize,
    /// Its number in its job from 1; none in a job of one.
    pub generation_number: Option<usize>,
}
