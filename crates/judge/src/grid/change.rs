//! What one value of an axis changes of a picture, and the picture while its axes act on it.

use std::path::PathBuf;

use lorabake_generate::from_settings::Library;
use lorabake_generate::png_text::PictureSettings;
use lorabake_generate::prompt::networks::{self, Known, Multiplier, NetworkUse};
use lorabake_generate::prompt::tags;
use lorabake_generate::xyz::{Prompts, Rule, reorder, replace};
use lorabake_recipe::model::Checkpoint;

use super::axis::Acts;
use super::lora_tag::LoraTag;

/// A checkpoint with its VAE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelChoice {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The VAE in the place of its own.
    pub vae: Option<PathBuf>,
}

/// What one value changes.
#[derive(Debug, Clone)]
pub enum Change {
    /// Sets a number.
    Number(fn(&mut PictureSettings, f64), f64),
    /// Sets a whole number.
    Whole(fn(&mut PictureSettings, usize), usize),
    /// Sets a text.
    Text(fn(&mut PictureSettings, &str), String),
    /// Switches something on or off.
    Flag(fn(&mut PictureSettings, bool), bool),
    /// Sets width and height.
    Size([usize; 2]),
    /// Replaces the first by the second in both prompts.
    Replace(String, String),
    /// Puts parts of the prompt into this order.
    Order(Vec<String>),
    /// The prompt's LoRA is this one, or is left out.
    Lora(Option<String>),
    /// The strength of the prompt's LoRA.
    Strength(Acts, f64),
    /// A piece of the tag with its block weights.
    Block(String),
    /// The checkpoint.
    Checkpoint(Checkpoint),
    /// The VAE.
    Vae(Option<PathBuf>),
}

/// A picture on which axes act.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    /// Its settings.
    pub settings: PictureSettings,
    /// What paints it.
    pub model: ModelChoice,
    /// The LoRA that axes act on: named, or the only one.
    pub target: Option<String>,
    /// Whether a LoRA comes beside those of the prompt.
    pub adds_lora: bool,
    /// Whether an axis has taken the LoRA away.
    pub is_plain: bool,
    /// Where names are found.
    pub library: &'a Library,
}

impl Change {
    /// When it acts: words first, then the LoRA, then what its tag says.
    pub fn rank(&self) -> usize {
        match self {
            Self::Replace(..) | Self::Order(_) => 0,
            Self::Lora(_) => 1,
            Self::Strength(Acts::Both, _) => 2,
            Self::Strength(..) => 3,
            Self::Block(_) => 4,
            _ => 5,
        }
    }

    /// Changes `draft`.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn apply(&self, draft: &mut Draft<'_>) -> Result<(), String> {
        match self {
            Self::Number(put, value) => put(&mut draft.settings, *value),
            Self::Whole(put, value) => put(&mut draft.settings, *value),
            Self::Text(put, value) => put(&mut draft.settings, value),
            Self::Flag(put, value) => put(&mut draft.settings, *value),
            Self::Size([width, height]) => {
                draft.settings.width = Some(*width);
                draft.settings.height = Some(*height);
            }
            Self::Replace(search, value) => draft.replace(search, value)?,
            Self::Order(parts) => {
                draft.settings.prompt = Some(reorder(draft.prompt(), parts, Rule::Strict)?);
            }
            Self::Lora(name) => draft.put_lora(name.as_deref())?,
            Self::Strength(..) | Self::Block(_) if draft.is_plain => {}
            Self::Strength(acts, value) => {
                let (tag, used) = draft.lora()?;
                let changed = tag.with_strength(*acts, *value, [&used.te, &used.unet])?;
                draft.put_tag(&tag, &changed);
            }
            Self::Block(weights) => {
                let (tag, used) = draft.lora()?;
                let strengths: [&Multiplier; 2] = [&used.te, &used.unet];
                let changed = tag.with_blocks(weights, strengths)?;
                draft.put_tag(&tag, &changed);
            }
            Self::Checkpoint(checkpoint) => draft.model.checkpoint = checkpoint.clone(),
            Self::Vae(vae) => draft.model.vae = vae.clone(),
        }
        Ok(())
    }
}

impl Draft<'_> {
    fn prompt(&self) -> &str {
        self.settings.prompt.as_deref().unwrap_or_default()
    }

    /// In the prompts of the second pass too, where it has its own.
    fn replace(&mut self, search: &str, value: &str) -> Result<(), String> {
        let prompts = Prompts {
            prompt: self.prompt().to_owned(),
            negative_prompt: self.settings.negative_prompt.clone().unwrap_or_default(),
        };
        let replaced = replace(&prompts, search, value)?;
        self.settings.prompt = Some(replaced.prompt);
        self.settings.negative_prompt = Some(replaced.negative_prompt);
        let hires = &mut self.settings.hires;
        for text in [&mut hires.prompt, &mut hires.negative_prompt].into_iter().flatten() {
            *text = text.replace(search, value);
        }
        Ok(())
    }

    /// Puts another LoRA into the place of the one that is meant, or beside what is there.
    fn put_lora(&mut self, name: Option<&str>) -> Result<(), String> {
        let found = if self.adds_lora { None } else { LoraTag::find(self.prompt(), self.target.as_deref())? };
        match (found, name) {
            (Some(tag), Some(name)) => {
                let changed = tag.with_name(name);
                self.put_tag(&tag, &changed);
            }
            (Some(tag), None) => self.put_tag(&tag, ""),
            (None, Some(name)) => {
                let prompt = format!("{} <lora:{name}:1>", self.prompt());
                self.settings.prompt = Some(prompt.trim_start().to_owned());
            }
            (None, None) => {}
        }
        self.target = name.map(str::to_owned);
        self.is_plain = name.is_none();
        Ok(())
    }

    /// The tag that is meant, and what the prompt says by it.
    fn lora(&self) -> Result<(LoraTag, NetworkUse), String> {
        let Some(tag) = LoraTag::find(self.prompt(), self.target.as_deref())? else {
            return Err("there is no LoRA in the prompt; write <lora:NAME:1> into it".to_owned());
        };
        let seed = self.settings.sampling.seed.unwrap_or(0);
        let known = Known { presets: &self.library.presets, elements: &self.library.elements, seed };
        let read = networks::read(&tags::take(self.prompt()), known).map_err(|error| format!("{error:#}"))?;
        let used = read.networks.into_iter().find(|used| used.tag == tag.whole);
        match used {
            Some(used) => Ok((tag, used)),
            None => Err(format!("the tag {} cannot be varied; write it as <lora:NAME:1>", tag.whole)),
        }
    }

    fn put_tag(&mut self, tag: &LoraTag, text: &str) {
        let hires = &mut self.settings.hires.prompt;
        for prompt in [&mut self.settings.prompt, hires].into_iter().flatten() {
            *prompt = prompt.replace(&tag.whole, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt_after(prompt: &str, adds_lora: bool, changes: &[Change]) -> Result<String, String> {
        let library = Library::of_loras(Vec::new());
        let mut draft = Draft {
            settings: PictureSettings { prompt: Some(prompt.to_owned()), ..PictureSettings::default() },
            model: ModelChoice { checkpoint: Checkpoint::Embedded, vae: None },
            target: None,
            adds_lora,
            is_plain: false,
            library: &library,
        };
        for change in changes {
            change.apply(&mut draft)?;
        }
        Ok(draft.prompt().to_owned())
    }

    #[test]
    fn axes_act_on_the_prompts_lora() {
        let lora = |name: &str| Change::Lora(Some(name.to_owned()));
        let strength = Change::Strength(Acts::Both, 0.5);
        let text = Change::Strength(Acts::Text, 0.0);
        let block = Change::Block("lbw=MIDD".to_owned());
        let after = |prompt: &str, changes: &[Change]| prompt_after(prompt, false, changes).unwrap();
        assert_eq!(after("a <lora:x:0.8>", &[lora("y-000003")]), "a <lora:y-000003:0.8>");
        assert_eq!(after("a", &[lora("y"), strength.clone()]), "a <lora:y:0.5>");
        assert_eq!(after("a <lora:x:0.8>", &[Change::Lora(None), strength.clone()]), "a ");
        assert_eq!(after("a <lora:x:0.8>", &[text, block]), "a <lora:x:te=0:unet=0.8:lbw=MIDD>");
        assert_eq!(prompt_after("<lora:hat:1> a", true, &[lora("y")]).unwrap(), "<lora:hat:1> a <lora:y:1>");
        assert!(prompt_after("a", false, &[strength]).unwrap_err().contains("no LoRA in the prompt"));
        let both = Change::Replace("cat".to_owned(), "dog".to_owned());
        assert_eq!(after("a cat", &[both]), "a dog");
    }
}
