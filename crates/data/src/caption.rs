//! Captions: reading the file beside an image, and making the prompt of one use of it.
//!
//! Source: sd-scripts `read_caption` and `process_caption`. The stages keep its order (field.md 4.5); prefix and
//! suffix, dropout, wildcards, token warmup and the secondary separator have their places in [`compose`] but are not
//! there yet. Two things are read more kindly than there: a byte order mark is removed, and a file holding nothing else
//! is empty.

use std::path::Path;

use lorabake_recipe::data::CaptionRules;
use lorabake_recipe::seed::Seed;
use rand::Rng;
use rand::seq::SliceRandom;

use crate::problem::Error;

/// First line of a caption file, stripped; may be blank. Not UTF-8 and empty files are errors.
pub fn read(path: &Path) -> Result<String, Error> {
    let fail = |cause: &str| Error::Caption { path: path.into(), cause: cause.into() };
    let bytes = std::fs::read(path).map_err(|error| fail(&format!("the caption cannot be read ({error})")))?;
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(fail("the caption is UTF-16; save it as UTF-8"));
    }
    let text = str::from_utf8(&bytes).map_err(|_| fail("the caption is not UTF-8; save it as UTF-8"))?;
    let text = text.trim_start_matches('\u{feff}');
    if text.is_empty() {
        return Err(fail("the caption file is empty; write a caption, or delete it to use the folder's words"));
    }
    Ok(text.split(['\n', '\r']).next().unwrap_or_default().trim().to_owned())
}

/// The prompt of the use at `position` of `epoch`: the same for the same seed, whatever was drawn before.
pub fn draw(caption: &str, rules: &CaptionRules, seed: Seed, epoch: u64, position: u64) -> String {
    compose(caption, rules, &mut seed.stream("caption", &[epoch, position]))
}

/// Runs a caption through the rules.
pub fn compose(caption: &str, rules: &CaptionRules, rng: &mut impl Rng) -> String {
    let caption = caption.split('\n').next().unwrap_or_default();
    // Without shuffling the text stays as it was typed, odd spaces included.
    if !rules.shuffle {
        return caption.to_owned();
    }
    let mut tags: Vec<&str> = split(caption.trim(), &rules.separator).map(str::trim).collect();
    let fixed = rules.keep_tokens.min(tags.len());
    tags[fixed..].shuffle(rng);
    tags.join(", ")
}

/// An empty separator leaves the caption whole (Python refuses it).
fn split<'a>(caption: &'a str, separator: &'a str) -> impl Iterator<Item = &'a str> {
    let whole = separator.is_empty().then_some(caption);
    let parts = (!separator.is_empty()).then(|| caption.split(separator));
    whole.into_iter().chain(parts.into_iter().flatten())
}
