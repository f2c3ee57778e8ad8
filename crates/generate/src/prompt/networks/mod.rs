//! The networks that a prompt's tags ask for, and how strongly each acts where.
//!
//! | form | read as |
//! |---|---|
//! | `<lora:NAME:TE:UNET:DYN>` | strength in the text encoders (1), in the UNet (as there), rank used (all) |
//! | `te=` `unet=` `dyn=` | the same by name |
//! | `lbw=` or `w=` | block weights: a preset or a list; `lbwe=`: rules for layers; `x=`: what `X` in a list is |
//! | `start=` `stop=` `step=A-B` | the steps in which it acts |
//! | `<lora:NAME:M:WEIGHTS>`, `<lora:NAME:M:WEIGHTS:X>` | the two old forms: block weights in third place |
//! | `0@0,1@0.5` for a strength | strengths over the steps (loractl) |
//! | `blocks=IN04:0.2,OUT:1` | our own: block weights by name, see [`super::block_weights::named_blocks`] |
//! | `<hypernet:NAME:M>` | a hypernetwork |
//!
//! `lyco` is `lora`. If a tag of the prompt uses lora-block-weight, that extension sets the strengths of all of them, and
//! by its own rule: places count all items, and a lone `te=` or `unet=` is meant for both.
//!
//! What the web UI or the extension drops without a word, or answers by dropping all networks, is an error here: block
//! weights that are none, numbers that are none, a tag without a name. Read all the same, with a note: the old forms,
//! `lwb=` for `lbw=`, strengths over the steps. Names that mean nothing are ignored as there, with a note.

mod multiplier;
mod one_tag;
mod tag_items;
mod window;

use anyhow::Result;

use super::block_weights::{BlockWeights, Elements, Presets};
use super::tags::{Taken, unclosed};
use crate::problems::Problems;
use one_tag::Draft;

pub use multiplier::Multiplier;
pub use window::{Pass, Window};

/// A network as a prompt asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkUse {
    /// What it is.
    pub kind: NetworkKind,
    /// A file's name without suffix, an alias, or a path.
    pub name: String,
    /// Strength in the text encoders, those of block BASE.
    pub te: Multiplier,
    /// Strength in the UNet; of a hypernetwork the strength.
    pub unet: Multiplier,
    /// How many of the rank's dimensions are used; `None` = all.
    pub dyn_dim: Option<usize>,
    /// What the change is multiplied by besides.
    pub blocks: BlockWeights,
    /// The steps in which it acts in the UNet.
    pub window: Window,
    /// The tag, for messages.
    pub tag: String,
}

/// The kinds of networks that tags name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkKind {
    /// `lora`, `lyco`: every kind that changes weights.
    Lora,
    /// `hypernet`.
    Hypernet,
}

/// What tags may refer to.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Presets of block weights.
    pub presets: &'a Presets,
    /// Sets of rules for layers.
    pub elements: &'a Elements,
    /// Where the letters `R` and `U` of block weights are drawn from: the picture's seed.
    pub seed: u64,
}

/// What the tags of a prompt say.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Networks {
    /// In the order of the tags. One that stands twice acts twice: its strengths add up.
    pub networks: Vec<NetworkUse>,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Reads the tags of a positive prompt.
///
/// # Errors
/// All tags that cannot be read, one a line.
pub fn read(taken: &Taken, known: Known<'_>) -> Result<Networks> {
    let mut problems = Vec::new();
    let mut drafts = Vec::new();
    let mut found = Networks::default();
    if let Some(tag) = unclosed(&taken.text) {
        problems.push(format!("the prompt's tag {tag} has no > at its end; write {}>", tag.trim_end()));
    }
    for (index, tag) in taken.tags.iter().enumerate() {
        let kind = match tag.kind.as_str() {
            "lora" | "lyco" => NetworkKind::Lora,
            "hypernet" => NetworkKind::Hypernet,
            _ => {
                found.notes.push(format!("the tag {tag} means nothing and is left out, as the web UI does"));
                continue;
            }
        };
        match Draft::read(tag, kind, known, index as u64) {
            Ok(draft) => drafts.push(draft),
            Err(error) => problems.push(format!("the prompt's tag {tag}: {error:#}")),
        }
    }
    let by_extension = drafts.iter().any(Draft::uses_block_weight);
    for draft in drafts {
        let tag = draft.tag.to_string();
        match draft.finish(by_extension, &mut found.notes) {
            Ok(network) => found.networks.push(network),
            Err(error) => problems.push(format!("the prompt's tag {tag}: {error:#}")),
        }
    }
    if !problems.is_empty() {
        return Err(Problems(problems).into());
    }
    note_twice(&mut found);
    Ok(found)
}

/// What the user should know about a negative prompt: tags there are not read, neither here nor in the web UI.
pub fn negative_notes(text: &str) -> Vec<String> {
    let tags = super::tags::take(text).tags.into_iter();
    let tags = tags.filter(|tag| ["lora", "lyco", "hypernet"].contains(&tag.kind.as_str()));
    tags.map(|tag| format!("the negative prompt's tag {tag} is read as text; put it into the prompt")).collect()
}

fn note_twice(found: &mut Networks) {
    for (index, network) in found.networks.iter().enumerate() {
        let same = |other: &&NetworkUse| other.name == network.name && other.kind == network.kind;
        // Named once, at its second place.
        if found.networks[..index].iter().filter(same).count() == 1 {
            found.notes.push(format!(
                "`{}` stands several times: its strengths add up (the web UI would apply the last one every time)",
                network.name
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::tags::take;

    fn reading(text: &str) -> Result<Networks> {
        let presets = Presets::built_in();
        let elements = Elements::read("ATTNOFF::attn:0");
        read(&take(text), Known { presets: &presets, elements: &elements, seed: 1 })
    }

    fn only(text: &str) -> NetworkUse {
        let mut read = reading(text).unwrap();
        assert_eq!(read.networks.len(), 1, "{text}");
        read.networks.remove(0)
    }

    /// TE and UNet, as they are typed.
    fn strengths(text: &str) -> [String; 2] {
        let network = only(text);
        [network.te.to_string(), network.unet.to_string()]
    }

    #[test]
    fn places_and_names_as_the_web_ui_reads_them() {
        for (text, te, unet) in [
            ("<lora:penny>", "1", "1"),
            ("<lora:penny:0.7:0.5:te=0:unet=-1>", "0", "-1"),
            ("<lora:penny:te=0.5:0.8>", "0.5", "0.5"),
            ("<lyco:penny:unet=0.2>", "1", "0.2"),
            ("<lora:penny:blocks=IN:0,OUT:0.5:te=0.5>", "0.5", "0.5"),
            ("<lora:penny:unet=0.2:lbw=MIDD>", "0.2", "0.2"),
            ("<lora:penny:unet=0.2> <foo:bar>", "1", "0.2"),
            ("<hypernet:h:0.5>", "0.5", "0.5"),
        ] {
            assert_eq!(strengths(text), [te, unet], "{text}");
        }
        assert_eq!(only("<lora:a:1:1:8>").dyn_dim, Some(8));
        assert_eq!(only("<lora:a:1:blocks=IN04:0.2,OUT:0.5:te=1>").blocks.ratios[5], 0.2);
        let both = reading("<lora:a:1:lbw=ALL><lora:b:unet=0.4>").unwrap();
        assert_eq!(both.networks[1].te.constant(), Some(0.4));
    }

    #[test]
    fn old_forms_are_read_and_named() {
        let named = only("<lora:a:0.6:lbw=OUTS>");
        let old = reading("<lora:a:0.6:OUTS>").unwrap();
        assert_eq!(old.networks[0].blocks, named.blocks);
        assert_eq!(old.networks[0].unet.constant(), Some(0.6));
        assert!(old.notes[0].contains("are an old form; write lbw=OUTS"), "{:?}", old.notes);
        let list = "X,0,0,0,0,0,0,0,0,0,0,1";
        let with_x = reading(&format!("<lora:a:1:{list}:0.3>")).unwrap();
        assert_eq!(with_x.networks[0].blocks.ratios[0], 0.3);
        assert_eq!(with_x.networks[0].dyn_dim, None);
        assert_eq!(only("<lora:a:1:MIDD:ATTNOFF>").blocks.elements.len(), 1);
        let wrong = reading("<lora:a:1:lwb=OUTS>").unwrap();
        assert_eq!(wrong.networks[0].blocks, named.blocks);
        assert!(wrong.notes[0].contains("lwb= is read as lbw="), "{:?}", wrong.notes);
    }

    #[test]
    fn what_would_be_dropped_without_a_word_is_refused() {
        for (text, said) in [
            ("<lora:a:strong>", "the prompt's tag <lora:a:strong>: `strong` is not a number; write for instance"),
            ("<lora:a:x:te=1>", "`x` is not a number"),
            ("<lora: :1>", "it names no file; the name comes first"),
            ("<lora:w=1:1>", "it names no file"),
            ("<lora:a:1:MIDDD>", "`MIDDD` is neither a number nor block weights; the nearest presets are MIDD, "),
            ("<lora:a:1:lbw=midd>", "write MIDD as it is spelled"),
            ("<lora:a:1:lbw=>", "it names no block weights"),
            ("<lora:a:1:lbw=1,1>", "`1,1` has 2 block weights, and must have 12, 17, 20 or 26"),
            ("<lora:a:1:lbwe=NOPE>", "there are no rules for layers called `NOPE`; known are ATTNOFF"),
            ("<lora:a:1:lbw=ALL:blocks=IN:1>", "it has block weights twice; use either lbw= or blocks="),
            ("<lora:a:1:blocks=1>", "`1` is no block weight"),
            ("<lora:a:1:1:0.5>", "`0.5` is no rank; write a whole number from 1, as dyn=8"),
            ("<lora:a:1:start=3.5>", "start=3.5 is not a whole number"),
            ("<lora:a:1:step=5>", "step=5 must be two steps; write for instance step=5-15"),
            ("<lora:a:1:lbw=ALL:x=b>", "`b` is not a number"),
            ("<lora:penny:0.8, a cat", "tag <lora:penny:0.8 has no > at its end; write <lora:penny:0.8>"),
            ("<lora:penny:0.8 a <lora:hat:1>", "it has another one inside, <lora:hat:1; close the first with >"),
        ] {
            let error = reading(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        let both = reading("<lora:a:b> <lora:c:d>").unwrap_err().to_string();
        assert_eq!(both.lines().count(), 2, "{both}");
    }

    #[test]
    fn what_has_no_effect_is_noted() {
        for (text, said) in [
            ("<foo:bar>", "the tag <foo:bar> means nothing and is left out"),
            ("<lora:a:1:tee=2>", "tee=2 means nothing and is ignored; the nearest names are te"),
            ("<lora:a:te=1:te=2>", "te= stands twice; the last one counts"),
            ("<lora:a:1:1:8:9>", "`9` and what follows mean nothing"),
            ("<lora:a:1><lora:a:0.5>", "`a` stands several times: its strengths add up"),
            ("<lora:a:unet=0.4:lbw=ALL>", "its strengths are te=0.4 unet=0.4"),
            ("<lora:a:0@0,1@0.5>", "changes over the steps"),
            ("<hypernet:a:te=0.5>", "te= means nothing to a hypernetwork"),
        ] {
            let notes = reading(text).unwrap().notes;
            assert!(notes.len() == 1 && notes[0].contains(said), "{text}: {notes:?}");
        }
        assert!(reading("a cat <lora:a:1:lbw=ALL:start=3>").unwrap().notes.is_empty());
        assert_eq!(negative_notes("ugly <lora:a:1> <b:c>").len(), 1);
    }
}
