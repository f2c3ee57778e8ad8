//! The prompts of a command line, of a file, or of the picture that `--like` names, with their settings, styles and seeds.

use std::ffi::OsStr;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use lorabake_generate::png_text::PictureSettings;
use lorabake_generate::prompt::check_length;
use lorabake_generate::prompt::styles::{Styled, Styles};
use lorabake_generate::prompt_file::variants::expand;
use lorabake_generate::prompt_file::{self, Choices, FilePrompt};
use lorabake_recipe::seed::Seed;

use super::PictureArgs;

/// One prompt with its settings, or several that its choices made.
pub struct Wanted {
    /// One for each way in which its choices were made; at least one.
    variants: Vec<PictureSettings>,
    seeds: Vec<u64>,
    count: Option<u32>,
    styles: Vec<String>,
    file_name: Option<String>,
}

/// One picture with its settings.
#[derive(Debug, Clone)]
pub struct Single {
    /// All of them, the seed too.
    pub settings: PictureSettings,
    /// Its file's name, if the prompt file gives one.
    pub file_name: Option<String>,
    /// Whether nobody has said its seed.
    pub has_drawn_seed: bool,
}

impl Wanted {
    fn of(settings: PictureSettings) -> Self {
        Self { variants: vec![settings], seeds: Vec::new(), count: None, styles: Vec::new(), file_name: None }
    }

    /// One for each picture: the seed goes up, or that of the variation if there is one. What choices made is painted once
    /// each.
    pub fn each_seed(self, count: u32) -> Vec<Single> {
        let mut all = Vec::new();
        let sampling = &self.variants[0].sampling;
        let first = sampling.seed.unwrap_or_else(random_seed);
        let variation = sampling.variation_seed.unwrap_or_else(random_seed);
        let has_drawn_seed = sampling.seed.is_none() && self.seeds.is_empty();
        let varies = sampling.variation_strength.unwrap_or(0.0) > 0.0;
        let count = match (self.variants.len(), count) {
            (1, 1) => self.count.map_or(self.seeds.len().max(1), |count| count as usize),
            (1, count) => count as usize,
            (variants, _) => variants,
        };
        for index in 0..count {
            let mut settings = self.variants[index.min(self.variants.len() - 1)].clone();
            let seed = match self.seeds.get(index) {
                Some(seed) => *seed,
                None if varies => first,
                None => first + index as u64,
            };
            settings.sampling.seed = Some(seed);
            settings.sampling.variation_seed = Some(variation + index as u64);
            let file_name = self.file_name.as_deref().map(|name| numbered(name, index, count));
            all.push(Single { settings, file_name, has_drawn_seed });
        }
        all
    }
}

/// The name of a file of one of several pictures, as gen_img.py numbers them.
fn numbered(name: &str, index: usize, count: usize) -> String {
    if count == 1 {
        return name.to_owned();
    }
    let path = Path::new(name);
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match path.extension().and_then(OsStr::to_str) {
        Some(suffix) => format!("{stem}_{index}.{suffix}"),
        None => format!("{stem}_{index}"),
    }
}

fn random_seed() -> u64 {
    u64::from(RandomState::new().build_hasher().finish() as u32)
}

/// The prompts of the command line, then those of the file, each with its settings; else that of `--like`. `count` is how
/// many pictures are wanted of each.
///
/// # Errors
/// Whatever is wrong with prompts, files and styles.
pub fn prompts(args: &PictureArgs, base: &PictureSettings, count: u32) -> Result<Vec<Wanted>> {
    let choices = Choices { repeat: count as usize, seed: Seed(base.sampling.seed.unwrap_or_else(random_seed)) };
    let mut all = Vec::new();
    for prompt in &args.prompt {
        let settings = PictureSettings { prompt: Some(prompt.clone()), ..base.clone() };
        all.push(Wanted { variants: varied(args, settings, choices)?, ..Wanted::of(PictureSettings::default()) });
    }
    if let Some(path) = &args.from_file {
        for line in prompt_file::read_pictures(path, "--from_file", choices)? {
            all.extend(of_line(line, base));
        }
    }
    if all.is_empty() {
        if base.prompt.is_none() {
            bail!("--like: the picture does not tell its prompt; give --prompt");
        }
        all.push(Wanted::of(base.clone()));
    }
    let mut sheets = StyleSheets { args, read: None };
    for wanted in &mut all {
        let names: Vec<String> = args.texts.style.iter().chain(&wanted.styles).cloned().collect();
        if names.is_empty() {
            continue;
        }
        let styles = sheets.styles()?;
        for settings in &mut wanted.variants {
            put_styles(styles, &names, settings)?;
        }
    }
    Ok(all)
}

/// What the choices in braces of a typed prompt make of it, if they are to be made; else it alone.
fn varied(args: &PictureArgs, settings: PictureSettings, choices: Choices) -> Result<Vec<PictureSettings>> {
    if !args.variants {
        return Ok(vec![settings]);
    }
    let prompt = settings.prompt.clone().unwrap_or_default();
    let made = expand(&prompt, choices.repeat, choices.seed).map_err(|why| anyhow!("--prompt: {why}"))?;
    let mut all = Vec::new();
    for prompt in made {
        all.push(PictureSettings { prompt: Some(prompt), ..settings.clone() });
    }
    Ok(all)
}

/// The prompts of a line of a file, whose settings win; its seeds, styles and file name are those of the first.
fn of_line(line: Vec<FilePrompt>, base: &PictureSettings) -> Option<Wanted> {
    let FilePrompt { seeds, count, styles, file_name, .. } = line.first()?.clone();
    let mut variants = Vec::new();
    for prompt in line {
        let mut settings = prompt.settings.over(base);
        if prompt.negative_scale_as_prompt {
            settings.sampling.negative_scale = None;
        }
        variants.push(settings);
    }
    Some(Wanted { variants, seeds, count, styles, file_name })
}

/// The file of styles, read when the first is wanted.
struct StyleSheets<'a> {
    args: &'a PictureArgs,
    read: Option<Styles>,
}

impl StyleSheets<'_> {
    fn styles(&mut self) -> Result<&Styles> {
        if self.read.is_none() {
            let usual = Path::new("styles.csv");
            self.read = Some(match &self.args.texts.styles_file {
                Some(path) => Styles::open(path).context("--styles_file")?,
                None if usual.is_file() => Styles::open(usual)?,
                None => bail!("--style: there is no styles.csv here; name it with --styles_file"),
            });
        }
        Ok(self.read.as_ref().expect("it was read just now"))
    }
}

/// Adds styles to all texts of a picture.
fn put_styles(styles: &Styles, names: &[String], settings: &mut PictureSettings) -> Result<()> {
    let typed = |text: &Option<String>| text.clone().unwrap_or_default();
    let styled = Styled { prompt: typed(&settings.prompt), negative_prompt: typed(&settings.negative_prompt) };
    let styled = with_styles(styles, names, styled)?;
    settings.prompt = Some(styled.prompt);
    settings.negative_prompt = Some(styled.negative_prompt);
    let hires = &mut settings.hires;
    let styled = Styled { prompt: typed(&hires.prompt), negative_prompt: typed(&hires.negative_prompt) };
    let styled = with_styles(styles, names, styled)?;
    // A second pass without a text of its own has that of the first, with its styles.
    if hires.prompt.as_ref().is_some_and(|text| !text.is_empty()) {
        hires.prompt = Some(styled.prompt);
    }
    if hires.negative_prompt.as_ref().is_some_and(|text| !text.is_empty()) {
        hires.negative_prompt = Some(styled.negative_prompt);
    }
    Ok(())
}

/// A text with its styles, one after the other, so that none makes it grow beyond measure.
fn with_styles(styles: &Styles, names: &[String], mut styled: Styled) -> Result<Styled> {
    for name in names {
        styled = styles.apply(std::slice::from_ref(name), styled)?;
        check_length(&styled.prompt)?;
        check_length(&styled.negative_prompt)?;
    }
    Ok(styled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(count: u32, file: &str, variants: usize) -> Vec<Single> {
        let mut settings = PictureSettings::default();
        settings.sampling.seed = Some(5);
        let mut wanted = Wanted { file_name: Some(file.to_owned()), ..Wanted::of(settings.clone()) };
        wanted.variants.resize(variants, settings);
        wanted.each_seed(count)
    }

    #[test]
    fn every_picture_has_a_seed_and_a_name_of_its_own() {
        let told = |singles: Vec<Single>| -> Vec<(u64, String)> {
            singles.into_iter().map(|one| (one.settings.sampling.seed.unwrap(), one.file_name.unwrap())).collect()
        };
        assert_eq!(told(named(1, "cat.png", 1)), [(5, "cat.png".to_owned())]);
        assert_eq!(told(named(2, "cat.png", 1)), [(5, "cat_0.png".to_owned()), (6, "cat_1.png".to_owned())]);
        // Choices have made as many as there are.
        assert_eq!(told(named(4, "cat", 2)), [(5, "cat_0".to_owned()), (6, "cat_1".to_owned())]);
    }
}
