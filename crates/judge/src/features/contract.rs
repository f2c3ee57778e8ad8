//! What an image encoder wants of a picture, and which of its outputs describes it.
//!
//! ONNX files don't say it, so it is taken from the first of these that is there: `NAME.toml` beside `NAME.onnx`; Hugging
//! Face's `preprocessor_config.json` beside it or in the folder above, where exporters put it; and what is usual: the size of
//! the network's input or 224, its middle, and the mean and spread of ImageNet, or CLIP's if the name has `clip` in it.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lorabake_pixels::pillow::{Filter, resize};
use lorabake_pixels::{Rgb, Size};
use serde::Deserialize;
use serde_json::Value;

/// Files of settings are small.
const LONGEST_FILE: u64 = 1 << 20;
/// Sides that pictures may be brought to.
const SIDES: std::ops::RangeInclusive<u32> = 16..=2048;
/// The usual side of a picture in pixels.
const USUAL_SIDE: u32 = 224;
/// ImageNet's mean and spread of red, green and blue, as torchvision has them.
const IMAGENET: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
/// CLIP's own (OpenAI's `clip.py`).
const CLIP: [[f32; 3]; 2] = [[0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_6, 0.275_777_1]];

/// How pictures become numbers, and numbers a vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// Width and height that the network sees.
    pub size: Size,
    /// The shorter side before the middle is cut out; only with [`Fit::Crop`].
    pub resize: u32,
    /// How a picture of another shape is brought to that size.
    pub fit: Fit,
    /// By which filter.
    pub filter: Filter,
    /// What is subtracted from red, green and blue of 0 to 1.
    pub mean: [f32; 3],
    /// By what they are divided then.
    pub std: [f32; 3],
    /// The output that describes the picture, if it is not the usual one.
    pub output: Option<String>,
    /// How tokens become one vector, if it is said.
    pub pool: Option<Pool>,
}

/// How a picture is brought to the network's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The middle is cut out.
    Crop,
    /// It is squeezed.
    Squash,
}

/// How the tokens of a picture become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// The first token, which stands for the whole picture.
    Cls,
    /// The mean of all tokens.
    Mean,
}

/// `NAME.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    size: Option<u32>,
    resize: Option<u32>,
    fit: Option<Fit>,
    filter: Option<String>,
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
    output: Option<String>,
    pool: Option<Pool>,
}

impl Contract {
    /// The contract of the network at `path`, whose input has this fixed size (width, height) if it has one.
    ///
    /// # Errors
    /// When a file beside it cannot be read or makes no sense, naming the file.
    pub fn of(path: &Path, fixed: Option<Size>) -> Result<Self> {
        let mut contract = Self::usual(path, fixed);
        let toml = path.with_extension("toml");
        if toml.is_file() {
            let text = read(&toml)?;
            let written: Written = toml::from_str(&text)
                .map_err(|why| anyhow::anyhow!("{}: {}", toml.display(), why.to_string().trim().replace('\n', " ")))?;
            contract.take(written).with_context(|| toml.display().to_string())?;
        } else if let Some(json) = preprocessor(path) {
            let text = read(&json)?;
            let value: Value = serde_json::from_str(&text).with_context(|| json.display().to_string())?;
            contract.take(from_preprocessor(&value)).with_context(|| json.display().to_string())?;
        }
        // A network that sees one size only is given that.
        if let Some(size) = fixed {
            contract.size = size;
        }
        contract.resize = contract.resize.max(contract.size.0).max(contract.size.1);
        Ok(contract)
    }

    fn usual(path: &Path, fixed: Option<Size>) -> Self {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let [mean, std] = if name.contains("clip") { CLIP } else { IMAGENET };
        let size = fixed.unwrap_or((USUAL_SIDE, USUAL_SIDE));
        Self { size, resize: 0, fit: Fit::Crop, filter: Filter::Bicubic, mean, std, output: None, pool: None }
    }

    fn take(&mut self, written: Written) -> Result<()> {
        let Written { size, resize, fit, filter, mean, std, output, pool } = written;
        for (name, side) in [("size", size), ("resize", resize)] {
            if let Some(side) = side.filter(|side| !SIDES.contains(side)) {
                bail!("{name}: {side} pixels make no sense; use {} to {}", SIDES.start(), SIDES.end());
            }
        }
        if let Some(spread) = std.filter(|std| std.iter().any(|spread| !spread.is_finite() || *spread <= 0.0)) {
            bail!("std: {spread:?} cannot be divided by; use three numbers above 0");
        }
        if let Some(mean) = mean.filter(|mean| mean.iter().any(|mean| !mean.is_finite())) {
            bail!("mean: {mean:?} are no numbers; use three from 0 to 1");
        }
        if let Some(name) = filter {
            self.filter = match name.as_str() {
                "bicubic" => Filter::Bicubic,
                "bilinear" => Filter::Bilinear,
                "lanczos" => Filter::Lanczos,
                other => bail!("filter: `{other}` is not known; use bicubic, bilinear or lanczos"),
            };
        }
        self.size = size.map_or(self.size, |side| (side, side));
        self.resize = resize.unwrap_or(self.resize);
        self.fit = fit.unwrap_or(self.fit);
        self.mean = mean.unwrap_or(self.mean);
        self.std = std.unwrap_or(self.std);
        self.output = output.or(self.output.take());
        self.pool = pool.or(self.pool);
        Ok(())
    }

    /// A picture's values as the network wants them: (3, height, width), row-major.
    pub fn values(&self, picture: &Rgb) -> Vec<f32> {
        let seen = self.fitted(picture);
        let mut values = Vec::with_capacity(seen.data.len());
        for channel in 0..3 {
            for byte in seen.data.iter().skip(channel).step_by(3) {
                values.push((f32::from(*byte) / 255.0 - self.mean[channel]) / self.std[channel]);
            }
        }
        values
    }

    fn fitted(&self, picture: &Rgb) -> Rgb {
        let (width, height) = picture.size();
        if self.fit == Fit::Squash {
            return resize(picture, self.size, self.filter);
        }
        // As torchvision and transformers: the longer side is rounded down, the corner of the middle as well.
        let shorter = u64::from(width.min(height).max(1));
        let long = |side: u32| (u64::from(self.resize) * u64::from(side) / shorter) as u32;
        let whole = if width <= height { (self.resize, long(height)) } else { (long(width), self.resize) };
        let corner = ((whole.0 - self.size.0) / 2, (whole.1 - self.size.1) / 2);
        resize(picture, whole, self.filter).crop(self.size, corner)
    }
}

/// Hugging Face's file of how pictures are prepared.
fn preprocessor(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    let above = folder.join("..");
    [folder, &above].into_iter().map(|folder| folder.join("preprocessor_config.json")).find(|file| file.is_file())
}

/// What of it is understood; what is not there stays as usual.
fn from_preprocessor(value: &Value) -> Written {
    let side = |value: &Value| -> Option<u32> {
        let length = value.as_u64().or_else(|| value["shortest_edge"].as_u64()).or_else(|| value["height"].as_u64())?;
        u32::try_from(length).ok()
    };
    let colours = |value: &Value| -> Option<[f32; 3]> {
        let numbers: Vec<f32> = value.as_array()?.iter().filter_map(|number| Some(number.as_f64()? as f32)).collect();
        numbers.try_into().ok()
    };
    let is_cropped = value["do_center_crop"].as_bool().unwrap_or(!value["crop_size"].is_null());
    let size = side(&value["size"]);
    let is_normalized = value["do_normalize"].as_bool().unwrap_or(true);
    Written {
        size: if is_cropped { side(&value["crop_size"]).or(size) } else { size },
        resize: if is_cropped { size } else { None },
        fit: Some(if is_cropped { Fit::Crop } else { Fit::Squash }),
        filter: match value["resample"].as_u64() {
            Some(1) => Some("lanczos".to_owned()),
            Some(2) => Some("bilinear".to_owned()),
            _ => None,
        },
        mean: if is_normalized { colours(&value["image_mean"]) } else { Some([0.0; 3]) },
        std: if is_normalized { colours(&value["image_std"]) } else { Some([1.0; 3]) },
        output: None,
        pool: None,
    }
}

fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    file.take(LONGEST_FILE).read_to_string(&mut text).with_context(|| path.display().to_string())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(name: &str, files: &[(&str, &str)]) -> Result<Contract> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("onnx")).unwrap();
        for (file, text) in files {
            std::fs::write(folder.path().join(file), text).unwrap();
        }
        Contract::of(&folder.path().join(name), None)
    }

    #[test]
    fn what_is_usual_depends_on_the_name() {
        let clip = contract("CLIP-ViT-B-32.onnx", &[]).unwrap();
        assert_eq!((clip.size, clip.resize, clip.mean), ((224, 224), 224, CLIP[0]));
        assert_eq!(contract("dino.onnx", &[]).unwrap().std, IMAGENET[1]);
        assert_eq!(Contract::of(Path::new("x.onnx"), Some((336, 320))).unwrap().size, (336, 320));
    }

    #[test]
    fn a_file_beside_it_says_more() {
        let toml =
            "size = 288\nfit = \"squash\"\nfilter = \"bilinear\"\npool = \"mean\"\noutput = \"x\"\nstd = [1, 1, 1]";
        let written = contract("a.onnx", &[("a.toml", toml), ("preprocessor_config.json", "no JSON")]).unwrap();
        assert_eq!((written.size, written.fit, written.pool), ((288, 288), Fit::Squash, Some(Pool::Mean)));
        assert_eq!((written.filter, written.std, written.output.as_deref()), (Filter::Bilinear, [1.0; 3], Some("x")));
        let json = r#"{"crop_size": {"height": 224, "width": 224}, "size": {"shortest_edge": 256}, "resample": 2,
            "do_center_crop": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}"#;
        for (name, file) in [("b.onnx", "preprocessor_config.json"), ("onnx/b.onnx", "preprocessor_config.json")] {
            let read = contract(name, &[(file, json)]).unwrap();
            assert_eq!((read.size, read.resize, read.mean), ((224, 224), 256, [0.5; 3]), "{name}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_one_line_with_the_file() {
        for (text, said) in [
            ("size = 5", "size: 5 pixels make no sense; use 16 to 2048"),
            ("std = [0, 1, 1]", "std: [0.0, 1.0, 1.0] cannot be divided by"),
            ("filter = \"nearest\"", "filter: `nearest` is not known"),
            ("sice = 3", "unknown field `sice`"),
        ] {
            let error = format!("{:#}", contract("a.onnx", &[("a.toml", text)]).unwrap_err());
            assert!(error.contains("a.toml") && error.contains(said) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn the_middle_is_cut_out() {
        let wide = Rgb { width: 4, height: 2, data: [[9, 9, 9], [51, 0, 0], [51, 0, 0], [9, 9, 9]].concat().repeat(2) };
        let mut contract = Contract::usual(Path::new("x"), Some((2, 2)));
        contract.resize = 2;
        [contract.mean, contract.std] = [[0.1; 3], [0.1; 3]];
        let values = contract.values(&wide);
        assert_eq!(values.len(), 12);
        for (value, expected) in values.iter().zip([[1.0; 4], [-1.0; 4], [-1.0; 4]].concat()) {
            assert!((value - expected).abs() < 1e-6, "{values:?}");
        }
    }
}
