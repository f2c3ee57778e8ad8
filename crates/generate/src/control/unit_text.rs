//! What sd-webui-controlnet writes of a unit into a picture's text, and reads back: all of it but the picture.
//!
//! Two forms are read: `Module: canny, Model: NAME [hash], Weight: 1.0, …`, which is written, and that of versions before
//! 1.1.220, `preprocessor: canny, model: NAME [hash], …, starting/ending: (0, 1), preprocessor params: (512, 100, 200)`.

use std::fmt;
use std::path::PathBuf;

use lorabake_model::control::Mode;
use lorabake_pixels::Rgb;

use super::{ControlResize, ControlUnit, Preprocessor};

/// Pixels at which preprocessors work, if nothing else is said.
const PROCESSOR_RES: u32 = 512;

/// A unit's settings; what is not said is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UnitText {
    /// The preprocessor's name.
    pub module: Option<String>,
    /// The net's file name without suffix.
    pub model: Option<String>,
    /// First hex digits of the net's old hash.
    pub hash: Option<String>,
    /// How strongly it acts.
    pub weight: Option<f64>,
    /// How its map comes to the painted size.
    pub resize: Option<ControlResize>,
    /// Pixels of the shorter side at which its preprocessor works.
    pub processor_res: Option<u32>,
    /// Whether these pixels are as the painted size wants it.
    pub pixel_perfect: Option<bool>,
    /// First number of its preprocessor.
    pub threshold_a: Option<f64>,
    /// Second number of its preprocessor.
    pub threshold_b: Option<f64>,
    /// Share of the steps at which it begins.
    pub start: Option<f64>,
    /// Share of the steps at which it ends.
    pub end: Option<f64>,
    /// Which is more important, prompt or control.
    pub mode: Option<Mode>,
    /// Settings that are not known, and values that are not what they need.
    pub not_understood: Vec<String>,
}

impl UnitText {
    /// The settings in `text`, the value of a key such as `ControlNet 0`.
    pub fn read(text: &str) -> Self {
        let mut unit = Self::default();
        for item in items(text) {
            let Some((key, value)) = item.split_once(':') else {
                unit.not_understood.push(item.to_owned());
                continue;
            };
            if unit.take(key.trim(), value.trim()).is_none() {
                unit.not_understood.push(item.to_owned());
            }
        }
        unit
    }

    /// Takes over a setting; `None` if it is not understood.
    fn take(&mut self, key: &str, value: &str) -> Option<()> {
        match key.to_ascii_lowercase().as_str() {
            "module" | "preprocessor" => self.module = Some(value.to_owned()),
            "model" => self.take_model(value),
            "weight" => self.weight = Some(number(value)?),
            "resize mode" => self.resize = Some(value.parse().ok()?),
            "processor res" => self.processor_res = pixels(value),
            "pixel perfect" => self.pixel_perfect = Some(value.eq_ignore_ascii_case("true")),
            "threshold a" => self.threshold_a = threshold(value),
            "threshold b" => self.threshold_b = threshold(value),
            "guidance start" => self.start = Some(number(value)?),
            "guidance end" => self.end = Some(number(value)?),
            "starting/ending" => {
                let [start, end] = list(value)?;
                self.start = Some(number(start)?);
                self.end = Some(number(end)?);
            }
            "preprocessor params" => {
                let [resolution, a, b] = list(value)?;
                self.processor_res = pixels(resolution);
                self.threshold_a = threshold(a);
                self.threshold_b = threshold(b);
            }
            "control mode" => self.mode = Some(value.parse().ok()?),
            // Without effect on the picture that one unit makes of another picture.
            "enabled" | "low vram" | "save detected map" | "input mode" | "use preview as input" => {}
            "hr option" if value.eq_ignore_ascii_case("both") => {}
            _ => return None,
        }
        Some(())
    }

    /// `NAME [hash]`, or `None`, which is no net.
    fn take_model(&mut self, value: &str) {
        let (name, hash) = match value.strip_suffix(']').and_then(|value| value.rsplit_once(" [")) {
            Some((name, hash)) => (name, Some(hash.to_owned())),
            None => (value, None),
        };
        if name != "None" {
            self.model = Some(name.to_owned());
            self.hash = hash;
        }
    }

    /// These settings, and those of `other` where these say nothing.
    pub fn over(&self, other: &Self) -> Self {
        let said = |own: &Option<String>, other: &Option<String>| own.clone().or_else(|| other.clone());
        Self {
            module: said(&self.module, &other.module),
            model: said(&self.model, &other.model),
            hash: if self.model.is_some() { self.hash.clone() } else { other.hash.clone() },
            weight: self.weight.or(other.weight),
            resize: self.resize.or(other.resize),
            processor_res: self.processor_res.or(other.processor_res),
            pixel_perfect: self.pixel_perfect.or(other.pixel_perfect),
            // Numbers of another preprocessor mean something else.
            threshold_a: self.threshold_a.or(if self.module.is_some() { None } else { other.threshold_a }),
            threshold_b: self.threshold_b.or(if self.module.is_some() { None } else { other.threshold_b }),
            start: self.start.or(other.start),
            end: self.end.or(other.end),
            mode: self.mode.or(other.mode),
            not_understood: Vec::new(),
        }
    }

    /// The preprocessor with its numbers.
    ///
    /// # Errors
    /// When it is not built in.
    pub fn preprocessor(&self) -> Result<Preprocessor, String> {
        let name = self.module.as_deref().unwrap_or("none");
        Preprocessor::of_name(name, self.threshold_a, self.threshold_b).ok_or_else(|| {
            format!(
                "--control_module: there is no `{name}`; use none, canny, invert, threshold, tile_resample, \
                 scribble_xdog, blur_gaussian, lineart_standard, recolor_luminance or recolor_intensity"
            )
        })
    }

    /// The unit with the net at `model`, which follows `image`.
    ///
    /// # Errors
    /// Names the option that cannot be.
    pub fn unit(&self, model: PathBuf, image: Rgb) -> Result<ControlUnit, String> {
        let preprocessor = self.preprocessor()?;
        let weight = self.weight.unwrap_or(1.0);
        if !(0.0..=2.0).contains(&weight) {
            return Err(format!("--control_weight {weight}: it is not a number from 0 to 2; use one, for instance 1"));
        }
        let start = self.start.unwrap_or(0.0);
        let end = self.end.unwrap_or(1.0);
        for (option, share) in [("--control_guidance_start", start), ("--control_guidance_end", end)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(format!("{option} {share}: it is not a share of the steps; use a number from 0 to 1"));
            }
        }
        if start >= end {
            return Err(format!(
                "--control_guidance_start {start}: it is not before --control_guidance_end {end}; give a lower one"
            ));
        }
        Ok(ControlUnit {
            model,
            image,
            preprocessor,
            processor_res: match (self.pixel_perfect, self.processor_res) {
                (Some(true), _) => None,
                (_, pixels) => Some(pixels.unwrap_or(PROCESSOR_RES)),
            },
            resize: self.resize.unwrap_or_default(),
            weight,
            start,
            end,
            mode: self.mode.unwrap_or_default(),
        })
    }
}

impl fmt::Display for UnitText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A value with one of these would be taken for several, so the web UI leaves it empty.
        let bare = |text: &str| if text.contains([',', ':']) { String::new() } else { text.to_owned() };
        let model = bare(self.model.as_deref().unwrap_or("None"));
        let is_perfect = self.pixel_perfect == Some(true);
        write!(f, "Module: {}, Model: {model}", bare(self.module.as_deref().unwrap_or("none")))?;
        if let Some(hash) = &self.hash {
            write!(f, " [{hash}]")?;
        }
        write!(f, ", Weight: {:?}", self.weight.unwrap_or(1.0))?;
        write!(f, ", Resize Mode: {}", self.resize.unwrap_or_default().label())?;
        if !is_perfect {
            write!(f, ", Processor Res: {}", self.processor_res.unwrap_or(PROCESSOR_RES))?;
        }
        for (key, value) in [("Threshold A", self.threshold_a), ("Threshold B", self.threshold_b)] {
            if let Some(value) = value {
                write!(f, ", {key}: {value:?}")?;
            }
        }
        write!(f, ", Guidance Start: {:?}", self.start.unwrap_or(0.0))?;
        write!(f, ", Guidance End: {:?}", self.end.unwrap_or(1.0))?;
        write!(f, ", Pixel Perfect: {}", if is_perfect { "True" } else { "False" })?;
        write!(f, ", Control Mode: {}", self.mode.unwrap_or_default().label())
    }
}

/// What commas separate, but for those in round brackets.
fn items(text: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let mut begin = 0;
    let mut depth = 0_usize;
    for (at, symbol) in text.char_indices() {
        match symbol {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                items.push(text[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    items.push(text[begin..].trim());
    items.retain(|item| !item.is_empty());
    items
}

/// The values of `(0, 1)`.
fn list<const N: usize>(value: &str) -> Option<[&str; N]> {
    let inner = value.strip_prefix('(')?.strip_suffix(')')?;
    let values: Vec<&str> = inner.split(',').map(str::trim).collect();
    values.try_into().ok()
}

fn number(value: &str) -> Option<f64> {
    value.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A number of a preprocessor; one below 0 stands for the preprocessor's own.
fn threshold(value: &str) -> Option<f64> {
    number(value).filter(|number| *number >= 0.0)
}

/// Pixels; a number below 1 stands for the usual ones.
fn pixels(value: &str) -> Option<u32> {
    let pixels = number(value)?;
    if (1.0..=8192.0).contains(&pixels) { Some(pixels as u32) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same_and_what_is_written_is_read() {
        let new = "Module: canny, Model: control_v11p_sd15_canny [d14c016b], Weight: 0.8, Resize Mode: Resize and Fill, \
            Low Vram: False, Processor Res: 640, Threshold A: 50.0, Threshold B: 150.0, Guidance Start: 0.1, \
            Guidance End: 0.9, Pixel Perfect: False, Control Mode: ControlNet is more important";
        let unit = UnitText::read(new);
        assert_eq!(unit.model.as_deref(), Some("control_v11p_sd15_canny"));
        assert_eq!(unit.hash.as_deref(), Some("d14c016b"));
        assert_eq!((unit.start, unit.end, unit.weight), (Some(0.1), Some(0.9), Some(0.8)));
        assert_eq!((unit.resize, unit.mode), (Some(ControlResize::ResizeAndFill), Some(Mode::Control)));
        assert_eq!((unit.processor_res, unit.threshold_a, unit.threshold_b), (Some(640), Some(50.0), Some(150.0)));
        let old = "preprocessor: canny, model: control_v11p_sd15_canny [d14c016b], weight: 0.8, starting/ending: (0.1, 0.9), \
            resize mode: Resize and Fill, pixel perfect: False, control mode: ControlNet is more important, \
            preprocessor params: (640, 50, 150)";
        assert_eq!(UnitText::read(old), unit);
        assert_eq!(UnitText::read(&unit.to_string()), unit);
    }

    #[test]
    fn defaults_are_the_extensions_own_and_the_rest_is_named() {
        let unit = UnitText::read(
            "Module: invert (from white bg & black line), Model: None, Threshold A: -1, Processor Res: -1, Pixel Perfect: \
             True, Mood: good, Weight: x, odd",
        );
        assert_eq!((unit.model, unit.threshold_a, unit.processor_res), (None, None, None));
        assert_eq!(unit.module.as_deref(), Some("invert (from white bg & black line)"));
        assert_eq!(unit.not_understood, ["Mood: good", "Weight: x", "odd"]);
        let plain = UnitText::default().unit(PathBuf::new(), Rgb::filled((1, 1), [0; 3])).unwrap();
        assert_eq!((plain.weight, plain.start, plain.end, plain.processor_res), (1.0, 0.0, 1.0, Some(512)));
    }

    #[test]
    fn what_is_typed_wins_and_numbers_stay_with_their_preprocessor() {
        let said =
            UnitText::read("Module: canny, Model: a [01234567], Weight: 0.5, Threshold A: 50, Guidance End: 0.5");
        let typed = UnitText { weight: Some(1.5), ..UnitText::default() };
        let both = typed.over(&said);
        assert_eq!((both.weight, both.threshold_a, both.end), (Some(1.5), Some(50.0), Some(0.5)));
        let other = UnitText { module: Some("threshold".to_owned()), ..UnitText::default() }.over(&said);
        assert_eq!((other.threshold_a, other.end), (None, Some(0.5)));
        assert!(UnitText { weight: Some(3.0), ..said }.unit(PathBuf::new(), Rgb::filled((1, 1), [0; 3])).is_err());
    }
}
