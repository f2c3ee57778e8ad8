//! Files of prompts for pictures during training, as sd-scripts reads them: text with one prompt a line, TOML, JSON.
//!
//! Source: `load_prompts` and `line_to_prompt_dict` of sd-scripts' `train_util.py`. What belongs to other models (`--g`,
//! `--ctr`) or needs ControlNet (`--cn`) is refused with the line's number.

use std::path::Path;

use anyhow::{Context, Result, bail};
use lorabake_diffusion::{Sampler, StepCount};
use lorabake_model::vae::FACTOR;
use serde::Deserialize;

use crate::prompt::check_length;
use crate::request::Request;

/// A prompt and how it is painted; what the file leaves open is `None`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplePrompt {
    /// What the picture should show.
    #[serde(default)]
    pub prompt: String,
    /// What it should not show.
    pub negative_prompt: Option<String>,
    /// Pixels; rounded down to a multiple of 8.
    pub width: Option<usize>,
    /// Pixels; rounded down to a multiple of 8.
    pub height: Option<usize>,
    /// Seed of the noise.
    pub seed: Option<u64>,
    /// Sampling steps.
    pub sample_steps: Option<usize>,
    /// Guidance scale.
    pub scale: Option<f64>,
    /// Name of the sampler.
    pub sample_sampler: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TomlFile {
    prompt: TomlPrompts,
}

#[derive(Deserialize)]
struct TomlPrompts {
    #[serde(default)]
    subset: Vec<toml::Table>,
    #[serde(flatten)]
    defaults: toml::Table,
}

/// Reads the prompts of `path`; errors begin with `from`, the option that names it.
///
/// # Errors
/// When it cannot be read or holds no prompt; names the line or key that is wrong.
pub fn read(path: &Path, from: &str) -> Result<Vec<SamplePrompt>> {
    let label = || format!("{from} {}", path.display());
    let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", label()))?;
    let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_lowercase());
    let prompts = match suffix.as_deref() {
        Some("toml") => from_toml(&text),
        Some("json") => serde_json::from_str(&text).context("a list of prompts is needed"),
        _ => from_lines(&text),
    };
    let prompts = prompts.with_context(label)?;
    if prompts.is_empty() {
        bail!("{}: there is no prompt in it; write one a line", label());
    }
    for sample in &prompts {
        let texts = [Some(&sample.prompt), sample.negative_prompt.as_ref()];
        texts.into_iter().flatten().try_for_each(|text| check_length(text)).with_context(label)?;
    }
    Ok(prompts)
}

fn from_toml(text: &str) -> Result<Vec<SamplePrompt>> {
    let file: TomlFile = toml::from_str(text)?;
    let merged = file.prompt.subset.into_iter().map(|subset| {
        let mut table = file.prompt.defaults.clone();
        table.extend(subset);
        Ok(table.try_into()?)
    });
    merged.collect()
}

fn from_lines(text: &str) -> Result<Vec<SamplePrompt>> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let prompts = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    prompts.map(|(number, line)| from_line(line).with_context(|| format!("line {number}"))).collect()
}

fn from_line(line: &str) -> Result<SamplePrompt> {
    let mut parts = line.split(" --");
    let mut sample =
        SamplePrompt { prompt: parts.next().unwrap_or_default().trim().to_owned(), ..SamplePrompt::default() };
    for part in parts {
        let (key, value) = part.trim().split_once(char::is_whitespace).unwrap_or((part.trim(), ""));
        let value = value.trim();
        let wrong = || format!("--{key} {value}: it is not a number");
        match key.to_ascii_lowercase().as_str() {
            "n" => sample.negative_prompt = Some(value.to_owned()),
            "w" => sample.width = Some(value.parse().with_context(wrong)?),
            "h" => sample.height = Some(value.parse().with_context(wrong)?),
            "d" => sample.seed = Some(value.parse().with_context(wrong)?),
            "s" => sample.sample_steps = Some(value.parse().with_context(wrong)?),
            "l" => sample.scale = Some(value.parse().with_context(wrong)?),
            "ss" => sample.sample_sampler = Some(value.to_owned()),
            "cn" => bail!("--cn: ControlNet is not built in; leave it out"),
            _ => bail!("--{key} is not known; --n, --w, --h, --d, --s, --l and --ss are"),
        }
    }
    Ok(sample)
}

impl SamplePrompt {
    /// `base` with everything that this prompt says of itself, and a note where another sampler has to do.
    ///
    /// # Errors
    /// When the sampler is not known, or cannot make so many steps.
    pub fn over(&self, base: &Request) -> Result<(Request, Option<String>)> {
        let side = |given: Option<usize>, base| given.map_or(base, |pixels| (pixels / FACTOR * FACTOR).max(64));
        let named = self.sample_sampler.as_deref().map(sampler).transpose()?;
        let (sampler, note) = named.unwrap_or((base.sampler, None));
        let request = Request {
            prompt: self.prompt.clone(),
            negative_prompt: self.negative_prompt.clone().unwrap_or_else(|| base.negative_prompt.clone()),
            width: side(self.width, base.width),
            height: side(self.height, base.height),
            steps: self.sample_steps.map_or(Ok(base.steps), StepCount::try_from)?,
            cfg_scale: self.scale.unwrap_or(base.cfg_scale),
            seed: self.seed.unwrap_or(base.seed),
            sampler,
            ..base.clone()
        };
        Ok((request, note))
    }
}

/// The sampler that `name` asks for, and a note where another one has to do.
///
/// # Errors
/// When sd-scripts does not know it either.
pub fn sampler(name: &str) -> Result<(Sampler, Option<String>)> {
    if let Ok(sampler) = name.parse() {
        return Ok((sampler, None));
    }
    let (near, called) = match name.to_ascii_lowercase().as_str() {
        "k_dpm_2_a" | "dpm_2_a" => (Sampler::EulerA, "euler_a"),
        "pndm" | "lms" | "euler" | "heun" | "dpm_2" | "dpmsolver" | "dpmsolver++" | "dpmsingle" | "k_lms"
        | "k_euler" | "k_dpm_2" => (Sampler::Ddim, "ddim"),
        _ => bail!("there is no sampler `{name}`; use ddim or euler_a"),
    };
    Ok((near, Some(format!("sampler {name} is not built in; pictures during training use {called}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_in_sd_scripts() {
        let line = "cat, hat --n lowres, bad --w 512 --h 768 --d 42 --l 7.5 --s 28 --ss euler_a";
        let expected = SamplePrompt {
            prompt: "cat, hat".into(),
            negative_prompt: Some("lowres, bad".into()),
            width: Some(512),
            height: Some(768),
            seed: Some(42),
            sample_steps: Some(28),
            scale: Some(7.5),
            sample_sampler: Some("euler_a".into()),
        };
        assert_eq!(from_lines(&format!("# a remark\n\n{line}\n")).unwrap(), [expected]);
        let error = from_lines("cat\ndog --w wide").unwrap_err();
        assert_eq!(format!("{error:#}"), "line 2: --w wide: it is not a number: invalid digit found in string");
        assert!(format!("{:#}", from_lines("cat --x 1").unwrap_err()).contains("--x is not known"));
    }

    #[test]
    fn toml_subsets_fall_back_to_the_defaults() {
        let text = "[prompt]\nwidth = 64\nscale = 5.0\n[[prompt.subset]]\nprompt = \"a\"\n[[prompt.subset]]\n\
                    prompt = \"b\"\nwidth = 128\n";
        let read = from_toml(text).unwrap();
        assert_eq!(
            read.iter().map(|p| (p.prompt.as_str(), p.width)).collect::<Vec<_>>(),
            [("a", Some(64)), ("b", Some(128))]
        );
        assert_eq!(read[1].scale, Some(5.0));
        assert!(from_toml("[prompt]\n[[prompt.subset]]\npromt = \"a\"\n").is_err());
    }
}
