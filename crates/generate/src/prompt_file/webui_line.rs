//! Lines of the web UI's script "Prompts from file or textbox" that begin with options: `--prompt "a cat" --steps 20`.
//!
//! Source: `scripts/prompts_from_file.py` of AUTOMATIC1111's stable-diffusion-webui (facts only). Words behind `--prompt`
//! and `--negative_prompt` belong to them up to the next option, with quotation marks or without.

use std::str::FromStr;

use super::file_prompt::FilePrompt;
use super::shell_words::split;
use crate::prompt::MOST_BYTES;

/// The options that act, in messages.
const KNOWN: &str = "--prompt, --negative_prompt, --styles, --seed, --subseed, --subseed_strength, --seed_resize_from_w, \
    --seed_resize_from_h, --sampler_name, --steps, --cfg_scale, --width, --height, --tiling, --n_iter and --batch_size";
/// Most batches of a line, and most pictures of a batch: those of the web UI's sliders.
const MOST: u32 = 100;

/// The picture that `line` asks for.
///
/// # Errors
/// What is wrong, and what to do.
pub(super) fn read(line: &str) -> Result<FilePrompt, String> {
    if line.len() > MOST_BYTES {
        return Err(format!("a line of {} bytes; 225 tokens are seen, so shorten it", line.len()));
    }
    let words = split(line).map_err(|what| format!("it has {what}; put it right"))?;
    let mut asked = FilePrompt::default();
    let mut counts = [1, 1];
    let mut at = 0;
    while at < words.len() {
        let Some(option) = words[at].strip_prefix("--") else {
            return Err(format!("`{}` belongs to no option; write its name before it", words[at]));
        };
        let begin = at + 1;
        let mut end = (begin + 1).min(words.len());
        if matches!(option, "prompt" | "negative_prompt") {
            end = begin + words[begin..].iter().skip(1).take_while(|word| !word.starts_with("--")).count() + 1;
        }
        let Some(values) = words.get(begin..end).filter(|values| !values.is_empty()) else {
            return Err(format!("--{option}: its value is missing; write it behind"));
        };
        take(&mut asked, &mut counts, option, &values.join(" "))?;
        at = end;
    }
    if asked.settings.prompt.is_none() {
        return Err("it has no prompt; begin it with --prompt".to_owned());
    }
    if counts != [1, 1] {
        asked.count = Some(counts[0] * counts[1]);
    }
    Ok(asked)
}

/// Takes over one option; `counts` are batches and their size.
fn take(asked: &mut FilePrompt, counts: &mut [u32; 2], option: &str, value: &str) -> Result<(), String> {
    let settings = &mut asked.settings;
    let sampling = &mut settings.sampling;
    match option {
        "prompt" => settings.prompt = Some(value.to_owned()),
        "negative_prompt" => settings.negative_prompt = Some(value.to_owned()),
        "styles" => asked.styles = value.split(',').map(|name| name.trim().to_owned()).collect(),
        // The web UI draws one at random where it is below 0.
        "seed" => sampling.seed = seed(option, value)?,
        "subseed" => sampling.variation_seed = seed(option, value)?,
        "subseed_strength" => sampling.variation_strength = Some(number(option, value)?),
        "seed_resize_from_w" => sampling.seed_resize_width = Some(number(option, value)?),
        "seed_resize_from_h" => sampling.seed_resize_height = Some(number(option, value)?),
        "sampler_name" => sampling.sampler = Some(value.to_owned()),
        "steps" => sampling.steps = Some(number(option, value)?),
        "cfg_scale" => sampling.cfg_scale = Some(number(option, value)?),
        "width" => settings.width = Some(number::<usize>(option, value)? / 8 * 8),
        "height" => settings.height = Some(number::<usize>(option, value)? / 8 * 8),
        "tiling" => settings.tiling = Some(value == "true"),
        "n_iter" => counts[0] = pictures(option, value)?,
        "batch_size" => counts[1] = pictures(option, value)?,
        // Nothing is restored and nothing left unsaved without being told to; grids are made with --grid only.
        "restore_faces" | "do_not_save_samples" if value != "true" => {}
        "do_not_save_grid" | "prompt_for_display" => {}
        "restore_faces" => return Err("--restore_faces: it is not built in; leave it out".to_owned()),
        "do_not_save_samples" => return Err("--do_not_save_samples: nothing would be left; leave it out".to_owned()),
        "sampler_index" => {
            return Err("--sampler_index: numbers change between versions; give --sampler_name".to_owned());
        }
        "outpath_samples" | "outpath_grids" => {
            return Err(format!("--{option}: pictures go where --out of the command says; leave it out"));
        }
        "sd_model" => return Err("--sd_model: a command has one checkpoint; leave it out".to_owned()),
        _ => return Err(format!("--{option} is not known; use {KNOWN}")),
    }
    Ok(())
}

fn number<T: FromStr>(option: &str, value: &str) -> Result<T, String> {
    value.trim().parse().map_err(|_| format!("--{option} {value}: it is not a number that it takes; correct it"))
}

/// A seed; none for one below 0.
fn seed(option: &str, value: &str) -> Result<Option<u64>, String> {
    let seed: i64 = number(option, value)?;
    Ok(u64::try_from(seed).ok())
}

fn pictures(option: &str, value: &str) -> Result<u32, String> {
    let count: u32 = number(option, value)?;
    if (1..=MOST).contains(&count) {
        Ok(count)
    } else {
        Err(format!("--{option} {value}: it is not a number of pictures; use 1 to {MOST}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_script_becomes_settings() {
        let line = r#"--prompt "photo of sunset, (red:1.2)" by the sea --negative_prompt 'orange, "pink"' --steps 30 \
            --sampler_name "DPM++ 2M Karras" --seed 7 --width 513 --height 512 --cfg_scale 6.5 --n_iter 2 --batch_size 3 \
            --tiling true --restore_faces false --do_not_save_grid true --styles "one, two""#;
        let asked = read(&line.replace("\\\n", "")).unwrap();
        let settings = &asked.settings;
        assert_eq!(settings.prompt.as_deref(), Some("photo of sunset, (red:1.2) by the sea"));
        assert_eq!(settings.negative_prompt.as_deref(), Some("orange, \"pink\""));
        assert_eq!(settings.sampling.sampler.as_deref(), Some("DPM++ 2M Karras"));
        assert_eq!((settings.width, settings.height, settings.tiling), (Some(512), Some(512), Some(true)));
        assert_eq!((settings.sampling.steps, settings.sampling.cfg_scale), (Some(30), Some(6.5)));
        assert_eq!((settings.sampling.seed, asked.count), (Some(7), Some(6)));
        assert_eq!(asked.styles, ["one", "two"]);
        assert_eq!(read("--prompt a --seed -1").unwrap().settings.sampling.seed, None);
    }

    #[test]
    fn what_cannot_be_is_told_in_a_line() {
        for (line, told) in [
            ("--steps 20", "it has no prompt"),
            ("--prompt", "--prompt: its value is missing"),
            ("--prompt a --steps", "--steps: its value is missing"),
            ("--prompt a --steps x", "--steps x: it is not a number"),
            ("--prompt a --steps 20 21", "`21` belongs to no option"),
            ("--prompt a --mood good", "--mood is not known; use --prompt"),
            ("--prompt a --restore_faces true", "--restore_faces: it is not built in"),
            ("--prompt \"a", "it has a quotation mark that is not closed"),
            ("--prompt a --n_iter 0", "--n_iter 0: it is not a number of pictures"),
            ("--prompt a --outpath_samples /etc", "--outpath_samples: pictures go where --out"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.starts_with(told), "{line}: {error}");
        }
    }
}
