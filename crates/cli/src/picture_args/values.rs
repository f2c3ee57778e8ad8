//! How single values on the command line are read.

use std::path::Path;

use anyhow::bail;
use lorabake_generate::request::LARGEST_SCALE;
use lorabake_recipe::train::Precision;

/// A share from 0 to 1.
///
/// # Errors
/// What it should be.
pub fn share(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| (0.0..=1.0).contains(value));
    value.ok_or_else(|| "it is not a number from 0 to 1".to_owned())
}

/// A size, `512x768`.
///
/// # Errors
/// What it should be.
pub fn size(text: &str) -> Result<[usize; 2], String> {
    let sides = text.split_once(['x', 'X', '×']).and_then(|(width, height)| {
        let width: usize = width.trim().parse().ok()?;
        let height: usize = height.trim().parse().ok()?;
        Some([width, height])
    });
    match sides {
        Some([0, 0]) => Err("both sides are 0, which changes nothing; leave it out".to_owned()),
        Some([width, height]) if width <= 8192 && height <= 8192 => Ok([width, height]),
        _ => Err("it is not a size; write for instance 512x768".to_owned()),
    }
}

/// A seed.
///
/// # Errors
/// What it should be.
pub fn seed(text: &str) -> Result<u32, String> {
    if text.starts_with('-') {
        return Err("leave it out for a random one".to_owned());
    }
    text.parse().map_err(|_| format!("it is not a whole number from 0 to {}", u32::MAX))
}

/// Guidance.
///
/// # Errors
/// What it should be.
pub fn scale(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| (0.0..=LARGEST_SCALE).contains(value));
    value.ok_or_else(|| "it is not a number from 0 to 100".to_owned())
}

/// Arithmetic of the networks.
///
/// # Errors
/// What it should be.
pub fn precision(text: &str) -> Result<Precision, String> {
    match text {
        "no" => Ok(Precision::No),
        "fp16" => Ok(Precision::Fp16),
        "bf16" => Ok(Precision::Bf16),
        _ => Err("use no, bf16 or fp16".to_owned()),
    }
}

/// A number that is not negative.
///
/// # Errors
/// What it should be.
pub fn number(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0);
    value.ok_or_else(|| "it is not a number of 0 or more".to_owned())
}

/// Words, at least one.
///
/// # Errors
/// What it should be.
pub fn words(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("it is empty; write what pictures should show".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// The file that an option names.
///
/// # Errors
/// When there is none.
pub fn there<'p>(option: &str, path: &'p Path) -> anyhow::Result<&'p Path> {
    if !path.exists() {
        bail!("{option} {}: there is no such file; correct the name", path.display());
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_do_nothing_are_refused() {
        assert_eq!(size("512X768"), Ok([512, 768]));
        assert_eq!(size("0x768"), Ok([0, 768]));
        assert!(size("0x0").unwrap_err().contains("leave it out"));
        assert!(size("9000x8").is_err() && words(" ").is_err());
        assert!(there("--mask", Path::new("nowhere.png")).unwrap_err().to_string().starts_with("--mask nowhere.png: "));
    }
}
