//! What ADetailer has written into a picture's text, read back: the settings of each of its tabs. Keys are those that
//! [`Unit::put`] writes; the second tab's end with ` 2nd`.

use std::path::PathBuf;

use super::boxes::KeepBy;
use super::regions::Merge;
use super::unit::{DetailControl, Unit};
use crate::png_text::{Entry, Value};

/// Most tabs that a text may tell of; the extension has 15 at most.
const MOST: usize = 16;
/// Numbers are taken within these bounds, in pixels.
const FARTHEST: i64 = 4096;

/// The units of a picture's text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToldUnits {
    /// The units in order; `model` is the detector's name without folder.
    pub units: Vec<Unit>,
    /// Settings that are not known, and values that are not what they need.
    pub not_understood: Vec<Entry>,
}

/// Reads the entries of ADetailer.
pub fn told_units(entries: &[Entry]) -> ToldUnits {
    let mut told = ToldUnits::default();
    for entry in entries {
        let key = entry.key.strip_prefix("ADetailer ").unwrap_or(&entry.key);
        if key == "version" {
            continue;
        }
        let (key, number) = numbered(key);
        if number >= MOST {
            told.not_understood.push(entry.clone());
            continue;
        }
        while told.units.len() <= number {
            told.units.push(Unit { padding: None, ..Unit::new(PathBuf::new()) });
        }
        if !take(&mut told.units[number], key, &entry.value) {
            told.not_understood.push(entry.clone());
        }
    }
    // Without a detector there is nothing to do.
    told.units.retain(|unit| !unit.model.as_os_str().is_empty());
    told
}

/// A key without the tab that it is of, and that tab, from 0.
fn numbered(key: &str) -> (&str, usize) {
    let Some((rest, last)) = key.rsplit_once(' ') else { return (key, 0) };
    let number = ["nd", "rd", "th"].iter().find_map(|end| last.strip_suffix(end)?.parse::<usize>().ok());
    match number {
        Some(number) if number >= 2 => (rest, number - 1),
        _ => (key, 0),
    }
}

/// Takes one setting; false if it is not understood.
fn take(unit: &mut Unit, key: &str, value: &Value) -> bool {
    let text = value.to_string();
    match key {
        "model" => unit.model = PathBuf::from(text),
        "model classes" => {
            unit.classes = text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        }
        "prompt" => unit.prompt = text,
        "negative prompt" => unit.negative_prompt = text,
        "method to decide top k masks" => match text.as_str() {
            "Area" => unit.choice.by = KeepBy::Area,
            "Confidence" => unit.choice.by = KeepBy::Confidence,
            _ => return false,
        },
        "mask merge invert" => match text.as_str() {
            "None" => unit.shape.merge = Merge::None,
            "Merge" => unit.shape.merge = Merge::Merge,
            "Merge and Invert" => unit.shape.merge = Merge::MergeAndInvert,
            _ => return false,
        },
        "inpaint only masked" => {
            return set(value.flag(), |is_only| {
                if !is_only {
                    unit.padding = None
                }
            });
        }
        // They say that the setting behind them acts, which is seen.
        _ if key.starts_with("use ") => {}
        "sampler" => unit.instead.sampler = Some(text),
        "scheduler" if text == "Use same scheduler" => {}
        "scheduler" => unit.instead.scheduler = Some(text),
        "checkpoint" => unit.own.checkpoint = named(text, "Use same checkpoint"),
        "VAE" => unit.own.vae = named(text, "Use same VAE"),
        "ControlNet model" => control(unit).settings.model = Some(text),
        "ControlNet module" => control(unit).settings.module = Some(text),
        _ => return take_number(unit, key, value),
    }
    true
}

/// Takes a setting that is a number.
fn take_number(unit: &mut Unit, key: &str, value: &Value) -> bool {
    let share = value.number().filter(|share| (0.0..=1.0).contains(share));
    let pixels = value.whole().filter(|pixels| (-FARTHEST..=FARTHEST).contains(pixels));
    let number = value.number();
    let count = value.whole().and_then(|count| usize::try_from(count).ok()).filter(|count| *count <= FARTHEST as usize);
    match key {
        "confidence" => set(share, |share| unit.confidence = share),
        "mask only top k" => set(count, |most| unit.choice.most = most),
        "mask min ratio" => set(share, |share| unit.choice.least_area = share),
        "mask max ratio" => set(share, |share| unit.choice.largest_area = share),
        "x offset" => set(pixels, |pixels| unit.shape.right = pixels),
        "y offset" => set(pixels, |pixels| unit.shape.up = pixels),
        "dilate erode" => set(pixels, |pixels| unit.shape.grow = pixels as i32),
        "mask blur" => set(number.filter(|blur| (0.0..=64.0).contains(blur)), |blur| unit.mask_blur = blur),
        "denoising strength" => set(share, |share| unit.denoise = share),
        "inpaint padding" => set(count, |pixels| unit.padding = Some(pixels as u32)),
        "inpaint width" => set(count, |width| unit.size = Some([width, unit.size.map_or(width, |size| size[1])])),
        "inpaint height" => set(count, |height| unit.size = Some([unit.size.map_or(height, |size| size[0]), height])),
        "steps" => set(count.filter(|steps| *steps > 0), |steps| unit.instead.steps = Some(steps)),
        "CFG scale" => set(number, |scale| unit.instead.cfg_scale = Some(scale)),
        "noise multiplier" => set(number, |factor| unit.instead.noise_multiplier = Some(factor)),
        "CLIP skip" => {
            set(count.filter(|layers| (1..=12).contains(layers)), |skip| unit.instead.clip_skip = Some(skip))
        }
        "ControlNet weight" => set(number, |weight| control(unit).settings.weight = Some(weight)),
        "ControlNet guidance start" => set(share, |share| control(unit).settings.start = Some(share)),
        "ControlNet guidance end" => set(share, |share| control(unit).settings.end = Some(share)),
        _ => false,
    }
}

/// Uses a value, if it is one.
fn set<T>(value: Option<T>, take: impl FnOnce(T)) -> bool {
    let Some(value) = value else { return false };
    take(value);
    true
}

/// A file's name, unless it stands for the picture's own.
fn named(text: String, same: &str) -> Option<PathBuf> {
    if text == same || text == "None" { None } else { Some(PathBuf::from(text)) }
}

fn control(unit: &mut Unit) -> &mut DetailControl {
    unit.control.get_or_insert_with(DetailControl::default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::png_text::{Entries, Fields, PictureSettings, parse};

    #[test]
    fn what_is_written_is_read_back() {
        let mut first = Unit::new(PathBuf::from("face_yolov8n.pt"));
        first.prompt = "a, \"b\" [SEP] c: d".to_owned();
        first.choice.most = 2;
        first.choice.by = KeepBy::Confidence;
        first.shape.grow = -8;
        first.shape.merge = Merge::MergeAndInvert;
        first.size = Some([512, 768]);
        first.instead.steps = Some(28);
        first.instead.sampler = Some("DPM++ 2M".to_owned());
        first.instead.cfg_scale = Some(7.5);
        first.own.checkpoint = Some(PathBuf::from("anime.safetensors"));
        first.own.vae = Some(PathBuf::from("sharp.safetensors"));
        let mut second = Unit { padding: None, ..Unit::new(PathBuf::from("hand.onnx")) };
        second.classes = vec!["hand".to_owned(), "foot".to_owned()];
        let control = control(&mut second);
        control.model = PathBuf::from("tile.safetensors");
        control.settings.module = Some("tile_resample".to_owned());
        control.settings.weight = Some(0.5);
        control.settings.end = Some(0.75);
        let mut fields = Fields { prompt: "x".into(), version: None, ..Fields::default() };
        first.put(&mut fields.extra, 0);
        second.put(&mut fields.extra, 1);
        fields.extra.put("ADetailer version", "25.3.0");
        let settings = PictureSettings::of(&parse(&fields.text()));
        let ToldUnits { units, not_understood } = told_units(&settings.detailer);
        assert_eq!(not_understood, []);
        assert_eq!(units[0], first);
        let own = units[1].control.clone().unwrap();
        assert_eq!(own.settings.model.as_deref(), Some("tile"));
        assert_eq!((own.settings.weight, own.settings.end), (Some(0.5), Some(0.75)));
        assert_eq!(units[1].classes, second.classes);
        assert_eq!(units[1].padding, None);
    }

    #[test]
    fn a_strangers_text_asks_for_nothing_endless() {
        let mut entries = Entries::default();
        for (key, value) in [
            ("ADetailer model", "a.pt"),
            ("ADetailer confidence", "7"),
            ("ADetailer dilate erode", "99999999999"),
            ("ADetailer restore face", "True"),
            ("ADetailer model 4000000000th", "b.pt"),
            ("ADetailer prompt 3rd", "nobody finds it"),
        ] {
            entries.put(key, value);
        }
        let told = told_units(&entries.iter().cloned().collect::<Vec<Entry>>());
        assert_eq!(told.units.len(), 1);
        assert_eq!(told.not_understood.len(), 4, "{:?}", told.not_understood);
    }
}
