//! Begins a run with the user's images, or finds the one that is there.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lorabake_data::caption;
use lorabake_judge::gachamax::{Taken, Workshop};
use lorabake_pixels::probe::size;
use lorabake_recipe::data::captions::CaptionRules;

use super::{Args, train};
use crate::picture_args::values;
use crate::terminal::{self, Shown};

/// The run of `--out`, begun if there is none.
///
/// # Errors
/// When there is neither a run nor an image, or an image has no caption.
pub fn open_or_begin(args: &Args) -> Result<Workshop> {
    if args.out.exists() && !args.out.is_dir() {
        bail!("--out {}: it is a file; name a folder", args.out.display());
    }
    if let Some(workshop) = Workshop::open(&args.out)? {
        let round = workshop.run.rounds.len().max(1);
        terminal::say(&format!("{}: going on with round {round}", Shown(args.out.display())));
        if !args.image.is_empty() && !began_with(&workshop, &args.image)? {
            bail!("--image: the run in {} began with other images; name another --out", args.out.display());
        }
        train::write_recipe(args, &workshop)?;
        return Ok(workshop);
    }
    if args.image.is_empty() {
        bail!("--image: name the image to begin with; there is no run in {} that could go on", args.out.display());
    }
    let mut images = Vec::new();
    for path in &args.image {
        if path.is_dir() {
            bail!("--image {}: it is a folder; name an image", path.display());
        }
        size(values::there("--image", path)?).context("--image")?;
        images.push(Taken { path: path.clone(), caption: caption_of(args, path)? });
    }
    let words = images[0].caption.split(',').next().unwrap_or_default().to_owned();
    let name = file_name(&words);
    let workshop = Workshop::begin(&args.out, &name, train::SEED, &images)?;
    train::write_recipe(args, &workshop)?;
    Ok(workshop)
}

/// Whether these are the images that a run began with, byte by byte.
fn began_with(workshop: &Workshop, images: &[PathBuf]) -> Result<bool> {
    if images.len() != workshop.run.originals.len() {
        return Ok(false);
    }
    for (image, original) in images.iter().zip(workshop.originals()) {
        // An original that is gone is told by what needs it.
        let Ok(kept) = std::fs::read(&original.path) else { continue };
        let given = std::fs::read(image).with_context(|| format!("--image: {}", image.display()))?;
        if given != kept {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The caption of an image: that of the file beside it, or the one that is typed.
fn caption_of(args: &Args, image: &Path) -> Result<String> {
    let file = image.with_extension("txt");
    let text = if file.is_file() {
        caption::read(&file, &CaptionRules::default())?.text
    } else {
        args.caption.clone().unwrap_or_default()
    };
    let text = text.trim();
    if text.is_empty() {
        bail!(
            "--caption: {} has no caption; give tags, first the word that is to call the character up, or write {}",
            image.display(),
            file.display()
        );
    }
    Ok(text.to_owned())
}

/// Words as part of a file's name: letters, digits and what joins them.
fn file_name(words: &str) -> String {
    let mut name = String::new();
    for symbol in words.trim().chars().take(40) {
        name.push(if symbol.is_alphanumeric() || symbol == '-' { symbol } else { '_' });
    }
    let name = name.trim_matches('_');
    if name.is_empty() { "character".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_everywhere() {
        assert_eq!(file_name(" penny: (a/b) "), "penny___a_b");
        assert_eq!(file_name("猫-2"), "猫-2");
        assert_eq!(file_name("..."), "character");
    }
}
