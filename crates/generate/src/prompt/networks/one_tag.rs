//! One tag.

use anyhow::{Result, bail};

use super::multiplier::number;
use super::tag_items::{Items, KEYS};
use super::{Known, Multiplier, NetworkKind, NetworkUse, Window};
use crate::prompt::block_weights::{BlockWeights, ElementRule, List, ListValues, named_blocks};
use crate::prompt::characters::trim;
use crate::prompt::nearest::{nearest, shortened};
use crate::prompt::tags::{Tag, unclosed};

/// A tag whose parts are read, when it is not known yet whether lora-block-weight acts.
pub(super) struct Draft<'a> {
    pub(super) tag: &'a Tag,
    items: Items<'a>,
    kind: NetworkKind,
    name: String,
    weights: Option<Weights>,
    elements: Option<Vec<ElementRule>>,
    named: Option<[f64; 26]>,
    /// Whether the fourth item is used up by block weights.
    fourth_is_taken: bool,
    window: Window,
    notes: Vec<String>,
}

/// Block weights of the extension.
struct Weights {
    ratios: [f64; 26],
    /// Whether they stand in third place.
    in_third: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn read(tag: &'a Tag, kind: NetworkKind, known: Known<'_>, index: u64) -> Result<Self> {
        let items = Items::of(tag);
        let name = trim(items.first()).to_owned();
        if let Some(inner) = unclosed(&tag.items.join(":")) {
            bail!("it has another one inside, {inner}; close the first with >");
        }
        if name.is_empty() || tag.positional().first() != Some(&items.first()) {
            bail!("it names no file; the name comes first and has no =, as in <lora:NAME:1>");
        }
        let mut draft = Self {
            tag,
            items,
            kind,
            name,
            weights: None,
            elements: None,
            named: None,
            fourth_is_taken: false,
            window: Window::default(),
            notes: Vec::new(),
        };
        draft.note_keys();
        if kind == NetworkKind::Lora {
            draft.read_weights(known, index)?;
            draft.window = Window::read(&draft.items)?;
            draft.named = draft.items.value("blocks").map(named_blocks).transpose()?;
            if draft.named.is_some() && draft.weights.is_some() {
                bail!("it has block weights twice; use either lbw= or blocks=");
            }
        }
        Ok(draft)
    }

    /// Whether the tag makes lora-block-weight act.
    pub(super) fn uses_block_weight(&self) -> bool {
        self.weights.is_some() || self.elements.is_some() || self.window != Window::default()
    }

    /// Names that mean nothing, or stand twice.
    fn note_keys(&mut self) {
        let mut seen: Vec<&str> = Vec::new();
        for item in self.items.named() {
            if self.kind == NetworkKind::Hypernet {
                self.notes.push(format!("{}= means nothing to a hypernetwork", shortened(item.key)));
            } else if !KEYS.contains(&item.key) {
                let near = nearest(item.key, KEYS.into_iter());
                let item = shortened(&format!("{}={}", item.key, item.value));
                self.notes.push(format!("{item} means nothing and is ignored; the nearest names are {near}"));
            } else if seen.contains(&item.key) {
                self.notes.push(format!("{}= stands twice; the last one counts", item.key));
            }
            seen.push(item.key);
        }
    }

    /// `lbw=`, `w=`, `lwb=` or the third place; `lbwe=` or the fourth.
    fn read_weights(&mut self, known: Known<'_>, index: u64) -> Result<()> {
        let by_name = self.items.value("lbw").or(self.items.value("w"));
        let misspelled = self.items.value("lwb");
        if misspelled.is_some() {
            self.notes.push("lwb= is read as lbw=; the web UI ignores it".to_owned());
        }
        let third = match self.items.place(2) {
            Some(text) if Multiplier::read(text).is_err() => Some(text),
            _ => None,
        };
        let named = by_name.or(misspelled);
        let Some(text) = named.or(third) else {
            return self.read_elements(known);
        };
        let in_third = named.is_none();
        if in_third && !known.presets.has(text) && !text.contains(',') {
            let near = nearest(text, known.presets.names());
            bail!("`{}` is neither a number nor block weights; the nearest presets are {near}", shortened(text));
        }
        let list = known.presets.list(text)?;
        if in_third {
            self.notes.push(format!("block weights in third place are an old form; write lbw={}", shortened(text)));
        }
        self.read_elements(known)?;
        let ratios = list.ratios(ListValues { x: self.x(&list)?, seed: known.seed, index });
        self.weights = Some(Weights { ratios, in_third });
        Ok(())
    }

    fn read_elements(&mut self, known: Known<'_>) -> Result<()> {
        if let Some(name) = self.items.value("lbwe") {
            self.elements = Some(known.elements.get(name)?);
        } else if let Some(name) = self.items.place(3)
            && known.elements.has(name)
        {
            self.elements = Some(known.elements.get(name)?);
            self.fourth_is_taken = true;
        }
        Ok(())
    }

    /// What `X` in a list is: `x=`, or the fourth item, or 1.
    fn x(&mut self, list: &List) -> Result<f64> {
        if let Some(text) = self.items.value("x") {
            if !list.needs_x() {
                self.notes.push("x= has no effect, since the block weights have no X".to_owned());
            }
            return number(text);
        }
        if list.needs_x() {
            if let Some(x) = self.items.place(3).and_then(|text| number(text).ok()) {
                self.fourth_is_taken = true;
                return Ok(x);
            }
            self.notes.push("X in the block weights is 1; x= sets it".to_owned());
        }
        Ok(1.0)
    }

    /// The network; `by_extension`: lora-block-weight acts in this prompt.
    pub(super) fn finish(mut self, by_extension: bool, notes: &mut Vec<String>) -> Result<NetworkUse> {
        let (strengths, dyn_dim) = match self.kind {
            NetworkKind::Hypernet => (self.strength_of_hypernetwork()?, None),
            NetworkKind::Lora => (self.strengths(by_extension)?, self.dyn_dim()?),
        };
        if strengths.te.constant().is_none() || strengths.unet.constant().is_none() {
            self.notes.push("its strength changes over the steps, which the web UI refuses without loractl".to_owned());
        }
        let mut blocks = BlockWeights::default();
        if let Some(ratios) = self.weights.map(|weights| weights.ratios).or(self.named) {
            blocks.ratios = ratios;
        }
        blocks.elements = self.elements.unwrap_or_default();
        let tag = self.tag.to_string();
        notes.extend(self.notes.into_iter().map(|note| format!("{tag}: {note}")));
        let Strengths { te, unet } = strengths;
        Ok(NetworkUse { kind: self.kind, name: self.name, te, unet, dyn_dim, blocks, window: self.window, tag })
    }

    fn strengths(&mut self, by_extension: bool) -> Result<Strengths> {
        let of_web_ui = self.strengths_of_web_ui();
        if !by_extension {
            return of_web_ui;
        }
        let strengths = self.strengths_of_extension()?;
        let in_third = self.weights.as_ref().is_some_and(|weights| weights.in_third);
        let as_in_web_ui = of_web_ui.is_ok_and(|others| others == strengths);
        if !in_third && !as_in_web_ui {
            self.notes.push(format!(
                "with lora-block-weight's syntax in the prompt, its strengths are te={} unet={}",
                strengths.te, strengths.unet
            ));
        }
        Ok(strengths)
    }

    /// `dyn=`, or the fourth of the places without names.
    fn dyn_dim(&mut self) -> Result<Option<usize>> {
        let positional = self.items.positional();
        if positional.len() > 4 {
            let extra = shortened(positional[4]);
            self.notes.push(format!("`{extra}` and what follows mean nothing; a tag has four places at most"));
        }
        let fourth = if self.fourth_is_taken { None } else { positional.get(3).copied() };
        let Some(text) = self.items.value("dyn").or(fourth) else { return Ok(None) };
        match trim(text).parse() {
            Ok(rank @ 1..) => Ok(Some(rank)),
            _ => bail!("`{}` is no rank; write a whole number from 1, as dyn=8", shortened(text)),
        }
    }

    /// The web UI's rule: places count the items without names.
    fn strengths_of_web_ui(&self) -> Result<Strengths> {
        let positional = self.items.positional();
        // Read even if a name overrides them, since the web UI refuses them all the same.
        let first = positional.get(1).map(|text| Multiplier::read(text)).transpose()?;
        let second = positional.get(2).map(|text| Multiplier::read(text)).transpose()?;
        let te = self.named_strength("te")?.or(first).unwrap_or(1.0.into());
        let unet = self.named_strength("unet")?.or(second).unwrap_or(te.clone());
        Ok(Strengths { te, unet })
    }

    /// A hypernetwork has one strength, in the second place.
    fn strength_of_hypernetwork(&self) -> Result<Strengths> {
        let strength = match self.items.positional().get(1) {
            Some(text) => Multiplier::read(text)?,
            None => 1.0.into(),
        };
        Ok(Strengths { te: strength.clone(), unet: strength })
    }

    fn named_strength(&self, key: &str) -> Result<Option<Multiplier>> {
        self.items.value(key).map(Multiplier::read).transpose()
    }

    /// The extension's rule: places count all items, and one strength is meant for both.
    fn strengths_of_extension(&self) -> Result<Strengths> {
        let in_third = self.weights.as_ref().is_some_and(|weights| weights.in_third);
        let third = self.items.place(2).filter(|_| !in_third);
        let te = self.items.value("te").or(self.items.place(1)).map(Multiplier::read).transpose()?;
        let unet = self.items.value("unet").or(third).map(Multiplier::read).transpose()?;
        let one = te.clone().or(unet.clone()).unwrap_or(1.0.into());
        Ok(Strengths { te: te.unwrap_or(one.clone()), unet: unet.unwrap_or(one) })
    }
}

/// A network's strengths.
#[derive(Debug, Clone, PartialEq)]
struct Strengths {
    te: Multiplier,
    unet: Multiplier,
}
