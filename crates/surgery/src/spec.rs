//! `FILE:RATIO:BLOCKS`: nets with their strengths as they are typed, in supermerger's form and with words of the web UI's
//! prompts: `te=0.5`, `unet=1`, `lbw=MIDD`.
//!
//! Several stand with commas between. A preset of blocks multiplies the ratio; a list of numbers stands for itself, as in
//! supermerger, so that the ratio is without effect.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lorabake_recipe::model::Family;

use crate::block::BlockWeights;
use crate::net::{NetUse, Strength};

/// A net as it was typed.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The file.
    pub path: PathBuf,
    /// How strong it is, 1 if nothing was said.
    pub ratio: f64,
    /// How strong it is in the UNet, if that was said apart.
    pub unet: Option<f64>,
    /// How strong it is in text encoders, if that was said apart.
    pub text: Option<f64>,
    /// Numbers by block.
    pub blocks: Option<BlockList>,
}

/// Numbers by block as they were typed.
#[derive(Debug, Clone, PartialEq)]
pub enum BlockList {
    /// The name of a preset.
    Preset(String),
    /// Numbers.
    Numbers(Vec<f64>),
}

/// Presets of lora-block-weight and supermerger, for lists of 17 numbers: the text encoder's, then the blocks'.
const PRESETS: [(&str, [f64; 17]); 10] = {
    const L: f64 = 1.0;
    const O: f64 = 0.0;
    const H: f64 = 0.5;
    [
        ("NONE", [O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O]),
        ("ALL", [L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L]),
        ("INS", [L, L, L, L, O, O, O, O, O, O, O, O, O, O, O, O, O]),
        ("IND", [L, O, O, O, L, L, L, O, O, O, O, O, O, O, O, O, O]),
        ("INALL", [L, L, L, L, L, L, L, O, O, O, O, O, O, O, O, O, O]),
        ("MIDD", [L, O, O, O, L, L, L, L, L, L, L, L, O, O, O, O, O]),
        ("OUTD", [L, O, O, O, O, O, O, O, L, L, L, L, O, O, O, O, O]),
        ("OUTS", [L, O, O, O, O, O, O, O, O, O, O, O, L, L, L, L, L]),
        ("OUTALL", [L, O, O, O, O, O, O, O, L, L, L, L, L, L, L, L, L]),
        ("ALL0.5", [H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H, H]),
    ]
};

/// Named lists of numbers by block.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Presets(BTreeMap<String, Vec<f64>>);

impl Presets {
    /// The usual ones.
    pub fn usual() -> Self {
        Self(PRESETS.iter().map(|(name, numbers)| ((*name).to_string(), numbers.to_vec())).collect())
    }

    /// Adds those of a text, one a line: `NAME:0.5,1,…`; blank lines and those with `#` in front are no presets.
    ///
    /// # Errors
    /// When a line is none.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let wrong = || format!("`{line}` is no preset; write NAME:1,0.5,… with 12, 17, 20 or 26 numbers");
            let (name, list) = line.split_once([':', '\t']).ok_or_else(wrong)?;
            let numbers = finite(list).ok_or_else(wrong)?;
            self.0.insert(name.trim().to_string(), numbers);
        }
        Ok(())
    }

    /// The numbers of a preset.
    ///
    /// # Errors
    /// When there is none of this name; all names are told.
    pub fn get(&self, name: &str) -> Result<&[f64], String> {
        let found = self.0.get(name).or_else(|| self.0.get(&name.to_ascii_uppercase()));
        let names = || self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        found.map(Vec::as_slice).ok_or_else(|| format!("`{name}` is no preset of blocks; there are {}", names()))
    }
}

impl Spec {
    /// Reads one or several.
    ///
    /// # Errors
    /// When what stands behind a colon is no number, preset or list.
    pub fn parse(text: &str) -> Result<Vec<Self>, String> {
        if Path::new(text).exists() {
            return Ok(vec![Self::of_fields(text, text.into(), &[])?]);
        }
        let mut texts: Vec<String> = Vec::new();
        for piece in text.split(',') {
            // Numbers go on with the list before; what has no colon, with a file's name.
            let is_number = piece.trim().parse::<f64>().is_ok();
            match texts.last_mut() {
                Some(last) if is_number && last.contains(':') => {
                    last.push(',');
                    last.push_str(piece);
                }
                Some(last) if fields(last).1.is_empty() && !Path::new(last.as_str()).exists() => {
                    last.push(',');
                    last.push_str(piece);
                }
                _ => texts.push(piece.trim().to_string()),
            }
        }
        let mut specs = Vec::new();
        for text in &texts {
            let (path, fields) = fields(text);
            specs.push(Self::of_fields(text, path.into(), &fields)?);
        }
        Ok(specs)
    }

    fn of_fields(text: &str, path: PathBuf, fields: &[&str]) -> Result<Self, String> {
        let mut spec = Self { path, ratio: 1.0, unet: None, text: None, blocks: None };
        let number = |text: &str| {
            let number: f64 = text.trim().parse().map_err(|_| format!("`{text}` is no number"))?;
            if number.is_finite() { Ok(number) } else { Err(format!("`{text}` is no number")) }
        };
        for (index, field) in fields.iter().enumerate() {
            let wrong = |what: String| format!("{what} in `{text}`; write FILE:RATIO or FILE:RATIO:BLOCKS");
            match field.split_once('=') {
                Some(("te" | "text", value)) => spec.text = Some(number(value).map_err(wrong)?),
                Some(("unet", value)) => spec.unet = Some(number(value).map_err(wrong)?),
                Some(("lbw", value)) => spec.blocks = Some(BlockList::of(value).map_err(wrong)?),
                Some((name, _)) => return Err(wrong(format!("`{name}=` is not known"))),
                None if index == 0 => spec.ratio = number(field).map_err(wrong)?,
                None => spec.blocks = Some(BlockList::of(field).map_err(wrong)?),
            }
        }
        Ok(spec)
    }

    /// The net for models of a family. Blocks that a list does not name have `others`.
    ///
    /// # Errors
    /// When there is no such preset, or a list has not as many numbers as the family has blocks.
    pub fn resolved(&self, presets: &Presets, family: Family, others: f64) -> Result<NetUse, String> {
        let mut strength = Strength::everywhere(self.ratio);
        let list = match &self.blocks {
            None => None,
            Some(BlockList::Preset(name)) => Some(BlockWeights::of_list(presets.get(name)?, family, others)?),
            Some(BlockList::Numbers(numbers)) => {
                // The numbers stand for themselves.
                strength = Strength::everywhere(1.0);
                Some(BlockWeights::of_list(numbers, family, others)?)
            }
        };
        strength.blocks = list;
        strength.unet = self.unet.unwrap_or(strength.unet);
        strength.text = self.text.unwrap_or(strength.text);
        Ok(NetUse { path: self.path.clone(), strength })
    }
}

impl BlockList {
    fn of(text: &str) -> Result<Self, String> {
        if !text.contains(',') {
            return Ok(Self::Preset(text.trim().to_string()));
        }
        let numbers = finite(text).ok_or_else(|| format!("`{text}` is no list of numbers"))?;
        Ok(Self::Numbers(numbers))
    }
}

/// Numbers with commas between, if all are.
fn finite(list: &str) -> Option<Vec<f64>> {
    let mut numbers = Vec::new();
    for text in list.split(',') {
        numbers.push(text.trim().parse::<f64>().ok().filter(|number| number.is_finite())?);
    }
    Some(numbers)
}

/// A file's path and what stands behind it; the colon of a drive, as in `C:\a`, is the path's.
fn fields(text: &str) -> (&str, Vec<&str>) {
    let bytes = text.as_bytes();
    let has_drive =
        bytes.len() > 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' && matches!(bytes[2], b'\\' | b'/');
    let from = if has_drive { 2 } else { 0 };
    match text[from..].find(':') {
        Some(colon) => (&text[..from + colon], text[from + colon + 1..].split(':').collect()),
        None => (text, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Block;

    #[test]
    fn forms_of_supermerger_and_of_prompts() {
        let specs = Spec::parse("a.safetensors:0.8:MIDD,b:-0.5,c:1:1,0,0.5,d").unwrap();
        let paths: Vec<&str> = specs.iter().map(|spec| spec.path.to_str().unwrap()).collect();
        assert_eq!(paths, ["a.safetensors", "b", "c", "d"]);
        assert_eq!(specs[0].blocks, Some(BlockList::Preset("MIDD".into())));
        assert_eq!((specs[1].ratio, specs[3].ratio), (-0.5, 1.0));
        assert_eq!(specs[2].blocks, Some(BlockList::Numbers(vec![1.0, 0.0, 0.5])));
        let [drive] = &Spec::parse(r"C:\my loras\a, b.safetensors:0.7:te=0.2:lbw=OUTS").unwrap()[..] else { panic!() };
        assert_eq!(drive.path.to_str(), Some(r"C:\my loras\a, b.safetensors"));
        assert_eq!((drive.ratio, drive.text), (0.7, Some(0.2)));
        for wrong in ["a:much", "a:1:x=2", "a:nan", "a:1:te=much", "a:1,5", "a:1:0,nan"] {
            assert!(Spec::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_preset_multiplies_and_a_list_stands_for_itself() {
        let presets = Presets::usual();
        let of = |text: &str| Spec::parse(text).unwrap()[0].resolved(&presets, Family::Sd1, 0.0).unwrap().strength;
        let module = "lora_unet_mid_block_attentions_0_proj_in";
        assert_eq!(of("a:0.5:MIDD").of(module, Family::Sd1), 0.5);
        assert_eq!(of("a:0.5:OUTS").of(module, Family::Sd1), 0.0);
        let list = vec!["0.25"; 17].join(",");
        let listed = of(&format!("a:0.5:{list}"));
        assert_eq!((listed.of(module, Family::Sd1), listed.blocks.unwrap().of(Block::In(0))), (0.25, 0.0));
        assert!(Spec::parse("a:1:NO").unwrap()[0].resolved(&presets, Family::Sd1, 0.0).unwrap_err().contains("INALL"));
        assert!(Spec::parse("a:1:1,2").unwrap()[0].resolved(&presets, Family::Sd1, 0.0).unwrap_err().contains("17"));
    }
}
