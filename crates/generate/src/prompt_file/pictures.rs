//! Files of prompts for pictures: lines of sd-scripts' `gen_img.py` with their choices in braces, lines of the web UI's script
//! that begin with `--`, TOML and JSON.

use std::path::Path;

use anyhow::{Result, bail};
use lorabake_recipe::seed::Seed;
use lorabake_recipe::{Problem, Problems};

use super::file_prompt::FilePrompt;
use super::picture_prompt::PicturePrompt;
use super::variants::expand;
use super::{PromptFile, entries, formats, webui_line};

/// Most prompts of a file.
const MOST_PROMPTS: usize = 100_000;

/// How choices in braces are made.
#[derive(Debug, Clone, Copy)]
pub struct Choices {
    /// Prompts that are made of one whose choices are all made by chance.
    pub repeat: usize,
    /// That of the chance.
    pub seed: Seed,
}

/// Reads the prompts of `path`; those that one line stands for come together. Errors begin with `from`, the option that
/// names the file.
///
/// # Errors
/// When it cannot be read or holds no prompt; as [`Problems`] where it asks for what is not possible, each with its
/// line.
pub fn read_pictures(path: &Path, from: &str, choices: Choices) -> Result<Vec<Vec<FilePrompt>>> {
    let file = PromptFile::open(path, from)?;
    picture_prompts(&file.text, &file.suffix, &file.label, choices)
}

/// The prompts in `text`, the content of a file with this suffix; those that one line stands for come together.
///
/// # Errors
/// As [`read_pictures`]; errors begin with `label`.
pub fn picture_prompts(text: &str, suffix: &str, label: &str, choices: Choices) -> Result<Vec<Vec<FilePrompt>>> {
    let mut reader = Reader { label, choices, problems: Vec::new() };
    let mut all = Vec::new();
    if matches!(suffix, "toml" | "json") {
        let entries = entries(text, suffix, label)?;
        let defaults = PicturePrompt::of(&entries.defaults, &PicturePrompt::default(), label, &mut reader.problems);
        for entry in &entries.prompts {
            let prompt = PicturePrompt::of(entry, &defaults, label, &mut reader.problems);
            all.push(vec![prompt.asked(entry, label, &mut reader.problems)]);
        }
    } else {
        let mut count = 0;
        for (line, number) in formats::prompt_lines(text) {
            let prompts = reader.line(line, number);
            count += prompts.len();
            if count > MOST_PROMPTS {
                bail!(
                    "{label}: line {number}: there are more than {MOST_PROMPTS} prompts up to here; use several files"
                );
            }
            all.push(prompts);
        }
        if all.is_empty() {
            bail!("{label}: there is no prompt in it; write one a line");
        }
    }
    if reader.problems.is_empty() { Ok(all) } else { Err(Problems(reader.problems).into()) }
}

struct Reader<'a> {
    label: &'a str,
    choices: Choices,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// The prompts that a line stands for; `number` is counted from 1.
    fn line(&mut self, line: &str, number: usize) -> Vec<FilePrompt> {
        if line.starts_with("--") {
            return match webui_line::read(line) {
                Ok(asked) => vec![asked],
                Err(why) => self.refuse(number, &why),
            };
        }
        // As in gen_img.py the choices of a whole line are made before it is read; each line has chances of its own.
        let seed = Seed(self.choices.seed.0.wrapping_add(number as u64));
        let lines = match expand(line, self.choices.repeat, seed) {
            Ok(lines) => lines,
            Err(why) => return self.refuse(number, &why),
        };
        let mut prompts = Vec::new();
        for line in lines {
            let before = self.problems.len();
            let entry = formats::from_line(&line, number);
            let prompt = PicturePrompt::of(&entry, &PicturePrompt::default(), self.label, &mut self.problems);
            prompts.push(prompt.asked(&entry, self.label, &mut self.problems));
            if self.problems.len() > before {
                break; // The others of this line have the same.
            }
        }
        prompts
    }

    fn refuse(&mut self, number: usize, why: &str) -> Vec<FilePrompt> {
        let (what, remedy) = why.split_once("; ").unwrap_or((why, "put it right"));
        let what = format!("{}: line {number}: {what}", self.label);
        self.problems.push(Problem { option: None, what, remedy: remedy.to_owned(), file: None });
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditioning::ToldSizes;
    use crate::png_text::PictureSettings;

    const ONE: Choices = Choices { repeat: 1, seed: Seed(1) };

    fn read(text: &str, suffix: &str) -> Vec<Vec<FilePrompt>> {
        picture_prompts(text, suffix, "x", ONE).unwrap()
    }

    #[test]
    fn a_line_of_gen_img_reads_as_in_every_format() {
        let line = "a <lora:x:1:0.3> <lora:y> --n bad --w 512 --h 768 --s 1000 --d 1,2,3 --l 7.5 --nl 2 --t 0.4 --am 0.5,-1 \
            --ow 1024 --oh 1536 --nw 512 --nh 513 --ct 8 --cl 0 --f cat.png --ss DPM++ 2M";
        let mut settings = PictureSettings {
            prompt: Some("a <lora:x:0.5:0.5> <lora:y:-1>".into()),
            negative_prompt: Some("bad".into()),
            width: Some(512),
            height: Some(768),
            denoising_strength: Some(0.4),
            sizes: ToldSizes {
                original_width: Some(1024),
                original_height: Some(1536),
                negative_original_width: Some(512),
                negative_original_height: Some(513),
                crop_top: Some(8),
                crop_left: Some(0),
            },
            ..PictureSettings::default()
        };
        settings.sampling.steps = Some(1000);
        settings.sampling.cfg_scale = Some(7.5);
        settings.sampling.negative_scale = Some(2.0);
        settings.sampling.sampler = Some("DPM++ 2M".into());
        let expected =
            FilePrompt { settings, seeds: vec![1, 2, 3], file_name: Some("cat.png".into()), ..FilePrompt::default() };
        assert_eq!(read(line, "txt"), [vec![expected.clone()]]);
        let same = "prompt = 'a <lora:x:1:1> <lora:y:1>'\nnegative_prompt = 'bad'\nwidth = 513\nheight = 768\n\
            sample_steps = 1000\nseed = [1, 2, 3]\nscale = 7.5\nnegative_scale = 2\nstrength = 0.4\n\
            network_multipliers = [0.5, -1]\noriginal_width = 1024\noriginal_height = 1536\n\
            negative_original_width = 512\nnegative_original_height = 513\ncrop_top = 8\ncrop_left = 0\n\
            file_name = 'cat.png'\nsample_sampler = 'DPM++ 2M'\n";
        let toml = format!("[[prompt.subset]]\n{same}");
        assert_eq!(read(&toml, "toml"), [vec![expected.clone()]]);
        let items = same.trim().split('\n').map(|line| line.split_once(" = ").unwrap());
        let items = items.map(|(key, value)| format!("\"{key}\": {}", value.replace('\'', "\"")));
        let json = format!("[{{{}}}]", items.collect::<Vec<_>>().join(", "));
        assert_eq!(read(&json, "json"), [vec![expected]]);
    }

    #[test]
    fn a_line_stands_for_all_that_its_choices_make() {
        let text = "# {a|b}\na {e$$cat|dog} --w {64|64} --d 5\n\nb \\{x\\}\n{c|d} e\n--prompt \"f {g|h}\" --n_iter 2\n";
        let all = picture_prompts(text, "txt", "x", Choices { repeat: 3, seed: Seed(1) }).unwrap();
        let prompts: Vec<Vec<&str>> =
            all.iter().map(|line| line.iter().map(|one| one.settings.prompt.as_deref().unwrap()).collect()).collect();
        assert_eq!(prompts[0], ["a cat", "a dog"]);
        assert_eq!(prompts[1], ["b {x}"]);
        assert_eq!(prompts[2].len(), 3);
        assert!(prompts[2].iter().all(|prompt| ["c e", "d e"].contains(prompt)), "{prompts:?}");
        assert_eq!(prompts[3], ["f {g|h}"]);
        assert_eq!((all[0][0].settings.width, &all[0][1].seeds[..], all[3][0].count), (Some(64), &[5][..], Some(2)));
        assert!(read("a --nl none", "txt")[0][0].negative_scale_as_prompt);
    }

    #[test]
    fn what_gen_img_asks_for_in_vain_is_refused() {
        for (setting, told) in [
            ("--d 1,x", "it is not a whole number"),
            ("--d -1", "it is not a seed; leave --d out"),
            ("--s 0", "it is not a number of steps; use 1 to 1000"),
            ("--t 2", "it is not a strength"),
            ("--am 1,", "it is not a list of strengths"),
            ("--ow 1e9", "it is not a number of pixels"),
            ("--f ../x", "it is not the name of a file"),
            ("--dsd1 0.3", "--dsd1: Deep Shrink is not built in; leave it out"),
            ("--glt 700", "--glt: a gradual latent is not built in; leave it out"),
            ("--am 0.5", "--am 0.5: the prompt has no network; write one in it"),
            ("--c see", "--c: guidance by CLIP is not built in; leave it out"),
            ("--zz", "--zz is not known; use --n, --w"),
            ("{3$$x|y}", "so many cannot be chosen of 2"),
            ("\n--prompt", "--prompt: its value is missing"),
        ] {
            let error = picture_prompts(&format!("a\nb {setting}"), "txt", "x", ONE).unwrap_err();
            let told_of = &error.downcast_ref::<Problems>().unwrap().0;
            assert_eq!(told_of.len(), 1);
            let text = told_of[0].to_string();
            let line = if setting.starts_with('\n') { 3 } else { 2 };
            assert!(text.starts_with(&format!("x: line {line}: ")) && text.contains(told), "{text}");
        }
    }
}
