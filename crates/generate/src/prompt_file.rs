//! Files of prompts, as sd-scripts reads them: text with one prompt a line, TOML, JSON. [`SamplePrompt`] is for pictures
//! during training, [`FilePrompt`] for others, with all that `gen_img.py` takes, and the lines of the web UI's script.
//!
//! Source: `load_prompts` and `line_to_prompt_dict` of sd-scripts' `train_util.py`. What belongs to other models (`--g`,
//! `--ctr`), needs ControlNet (`--cn`), or is more than `lorabake generate` takes, is refused with the line's number.

mod entry;
mod file_prompt;
mod formats;
mod picture_prompt;
mod pictures;
mod shell_words;
pub mod variants;
mod webui_line;

use std::path::Path;

use anyhow::{Context, Result, bail};
use lorabake_diffusion::{Sampler, StepCount};
use lorabake_model::vae::FACTOR;
use lorabake_recipe::Problems;
use lorabake_recipe::text_file::decode;

use crate::sample::Request;
pub use file_prompt::FilePrompt;
use formats::Entries;
pub use pictures::{Choices, picture_prompts, read_pictures};

/// A prompt and how it is painted; what the file leaves open is `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SamplePrompt {
    /// What the picture should show.
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

/// Reads the prompts of `path` for pictures during training; errors begin with `from`, the option that names it.
///
/// # Errors
/// When it cannot be read or holds no prompt; as [`Problems`] where it asks for what is not possible, each with its
/// line.
pub fn read(path: &Path, from: &str) -> Result<Vec<SamplePrompt>> {
    let file = PromptFile::open(path, from)?;
    prompts(&file.text, &file.suffix, &file.label)
}

/// The prompts in `text`, the content of a file with this suffix.
///
/// # Errors
/// As [`read`]; errors begin with `label`.
pub fn prompts(text: &str, suffix: &str, label: &str) -> Result<Vec<SamplePrompt>> {
    let entries = entries(text, suffix, label)?;
    let mut problems = Vec::new();
    let defaults = entries.defaults.over(&SamplePrompt::default(), label, &mut problems);
    let prompts = entries.prompts.iter().map(|entry| entry.over(&defaults, label, &mut problems)).collect();
    if problems.is_empty() { Ok(prompts) } else { Err(Problems(problems).into()) }
}

/// A file's text, and how messages call it.
struct PromptFile {
    text: String,
    suffix: String,
    label: String,
}

impl PromptFile {
    fn open(path: &Path, from: &str) -> Result<Self> {
        let label = format!("{from} {}", path.display());
        if path.exists() && !path.is_file() {
            bail!("{label}: it is not a file; name a file of prompts");
        }
        let bytes = std::fs::read(path).with_context(|| format!("{label}: cannot be read"))?;
        let text = match decode(bytes) {
            Ok(text) => text,
            Err(encoding) => bail!("{label}: it is {encoding}; save it as UTF-8"),
        };
        let suffix = path.extension().map(|suffix| suffix.to_string_lossy().to_lowercase());
        Ok(Self { text, suffix: suffix.unwrap_or_default(), label })
    }
}

fn entries(text: &str, suffix: &str, label: &str) -> Result<Entries> {
    let entries = match suffix {
        "toml" => formats::from_toml(text),
        "json" => formats::from_json(text),
        _ => Ok(formats::from_lines(text)),
    };
    match entries {
        Ok(entries) if entries.prompts.is_empty() => bail!("{label}: there is no prompt in it; write one a line"),
        Ok(entries) => Ok(entries),
        Err(why) => bail!("{label}: {why}"),
    }
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
    let (near, called) = match name.to_ascii_lowercase().as_str() {
        "ddim" => return Ok((Sampler::DdimDiffusers, None)),
        "euler_a" | "k_euler_a" | "euler a" => return Ok((Sampler::EulerA, None)),
        "k_dpm_2_a" | "dpm_2_a" => (Sampler::EulerA, "euler_a"),
        "pndm" | "lms" | "euler" | "heun" | "dpm_2" | "dpmsolver" | "dpmsolver++" | "dpmsingle" | "k_lms"
        | "k_euler" | "k_dpm_2" => (Sampler::DdimDiffusers, "ddim"),
        _ => bail!("there is no sampler `{name}`; use ddim or euler_a"),
    };
    Ok((near, Some(format!("sampler {name} is not built in; pictures during training use {called}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str, suffix: &str) -> Vec<String> {
        let error = prompts(text, suffix, "x").unwrap_err();
        match error.downcast_ref::<Problems>() {
            Some(problems) => problems.0.iter().map(ToString::to_string).collect(),
            None => vec![error.to_string()],
        }
    }

    #[test]
    fn a_line_reads_as_in_sd_scripts() {
        let line = "cat, hat --n lowres, bad --w 512 --h 768 --D 42 --l 7.5 --s 28 --ss euler_a";
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
        for end in ["\n", "\r\n", "\r"] {
            let text = format!("# a remark{end}{end}{line}{end}");
            assert_eq!(prompts(&text, "txt", "x").unwrap(), std::slice::from_ref(&expected), "{end:?}");
        }
        let told = [
            "x: line 2: --w wide: it is not a size that can be painted; use 64 to 4096 pixels",
            "x: line 2: --x is not known",
        ];
        let problems = problems("cat\ndog --w wide --x 1", "txt");
        assert!(problems[0] == told[0] && problems[1].starts_with(told[1]), "{problems:?}");
    }

    #[test]
    fn toml_subsets_fall_back_to_the_defaults() {
        let text = "[prompt]\nwidth = 64\nscale = 5.0\n[[prompt.subset]]\nprompt = \"a\"\n[[prompt.subset]]\n\
                    prompt = \"b\"\nwidth = 128\n";
        let read = prompts(text, "toml", "x").unwrap();
        assert_eq!(
            read.iter().map(|p| (p.prompt.as_str(), p.width)).collect::<Vec<_>>(),
            [("a", Some(64)), ("b", Some(128))]
        );
        assert_eq!(read[1].scale, Some(5.0));
        let misspelt = problems("[prompt]\n[[prompt.subset]]\npromt = \"a\"\n", "toml");
        assert!(misspelt[0].starts_with("x: line 3: promt is not known; use prompt, "), "{misspelt:?}");
    }

    #[test]
    fn what_generate_refuses_is_refused_in_every_format_with_its_line() {
        let impossible = [
            ("--w", "width", "18446744073709551615"),
            ("--w", "width", "100000"),
            ("--h", "height", "63"),
            ("--h", "height", "-64"),
            ("--s", "sample_steps", "1"),
            ("--s", "sample_steps", "501"),
            ("--l", "scale", "nan"),
            ("--l", "scale", "1e400"),
            ("--l", "scale", "-1"),
            ("--l", "scale", "100.5"),
            ("--d", "seed", "-1"),
            ("--ss", "sample_sampler", "magic"),
        ];
        for (short, long, value) in impossible {
            let line = problems(&format!("cat\ndog {short} {value}"), "txt");
            assert_eq!(line.len(), 1, "{line:?}");
            assert!(line[0].starts_with(&format!("x: line 2: {short} {value}: it is not ")), "{line:?}");
            let toml =
                problems(&format!("[prompt]\n{long} = '{value}'\n[[prompt.subset]]\n[[prompt.subset]]\n"), "toml");
            assert_eq!(toml.len(), 1, "{toml:?}");
            assert!(toml[0].starts_with(&format!("x: line 2: {long} = {value}: it is not ")), "{toml:?}");
            let json = problems(&format!("[\n{{\"prompt\": \"\\\"}}{{[\"}},\n{{\"{long}\": \"{value}\"}}]"), "json");
            assert!(json[0].starts_with(&format!("x: line 3: {long} = {value}: it is not ")), "{json:?}");
        }
        for (text, suffix, key) in [("cat --d -1", "txt", "--d -1"), (r#"[{"seed": -1}]"#, "json", "seed = -1")] {
            let name = key.split(' ').next().unwrap();
            let told = format!("x: line 1: {key}: it is not a seed; leave {name} out for a random one");
            assert_eq!(problems(text, suffix), [told]);
        }
        let long = problems(&"a".repeat(70_000), "txt");
        assert_eq!(long, ["x: line 1: prompt: a text of 70000 bytes; 225 tokens are seen, so shorten it"]);
    }

    #[test]
    fn numbers_of_toml_and_json_are_those_of_a_line() {
        let of_line = prompts("a --w 64 --h 4096 --s 2 --l 100 --d 18446744073709551615", "txt", "x").unwrap();
        let json = r#"[{"prompt": "a", "width": 64, "height": 4096, "sample_steps": 2, "scale": 100.0,
            "seed": 18446744073709551615, "sample_sampler": null}]"#;
        assert_eq!(prompts(json, "json", "x").unwrap(), of_line);
        let toml = "[[prompt.subset]]\nprompt = 'a'\nwidth = 64\nheight = 4096\nsample_steps = 2\nscale = 100.0\n\
                    seed = 18446744073709551615\n";
        assert_eq!(prompts(toml, "toml", "x").unwrap(), of_line);
    }

    #[test]
    fn a_file_that_is_no_list_of_prompts_is_named() {
        for (text, suffix, told) in [
            ("", "txt", "there is no prompt in it"),
            ("{}", "json", "a list of prompts is needed"),
            ("[prompt]\nwidth = \n", "toml", "line 2 is not TOML"),
            ("prompt = 'a'\n", "toml", "line 1: only [prompt] with [[prompt.subset]] is read"),
            ("[prompt]\nwidth = 64\n", "toml", "there is no prompt in it"),
        ] {
            let problems = problems(text, suffix);
            assert!(problems[0].starts_with(&format!("x: {told}")), "{problems:?}");
        }
    }

    #[test]
    fn files_of_windows_editors_are_read_or_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prompts.txt");
        std::fs::write(&path, "\u{feff}# what I want to see\r\na cat\r\n").unwrap();
        let read = super::read(&path, "--from_file").unwrap();
        assert_eq!(read, [SamplePrompt { prompt: "a cat".into(), ..SamplePrompt::default() }]);
        for (bytes, told) in [
            (&b"\xff\xfea\0"[..], "it is UTF-16; save it as UTF-8"),
            (
                b"one\ncaf\xe9",
                "it is not UTF-8 (byte 0xE9 in line 2, an accented letter of Windows?); save it as UTF-8",
            ),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = super::read(&path, "--from_file").unwrap_err().to_string();
            assert_eq!(error, format!("--from_file {}: {told}", path.display()));
        }
    }
}
