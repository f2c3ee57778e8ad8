//! `<lora:NAME:STRENGTH>`, taken out of a prompt.
//!
//! Not here: emphasis, `BREAK`, `AND` and prompt editing; [`Prompt::note`] says so where a prompt uses them.

use anyhow::{Result, bail};

use lorabake_lora::Strength;

use super::length::check_length;
use super::tags::unclosed;

/// A prompt, and the LoRAs that it asks for.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// The text for the tokenizer, without tags.
    pub text: String,
    /// The LoRAs, in the order of their tags.
    pub loras: Vec<LoraTag>,
}

/// `<lora:NAME>`, `<lora:NAME:BOTH>`, `<lora:NAME:TEXT:UNET>`; `te=` and `unet=` may name the numbers.
#[derive(Debug, Clone)]
pub struct LoraTag {
    /// A file's name without suffix, or a path.
    pub name: String,
    /// How strongly it acts, 1 if the tag has no number.
    pub strength: Strength,
}

impl Prompt {
    /// Reads `text`.
    ///
    /// # Errors
    /// Names a tag that cannot be read, or that is not supported.
    pub fn parse(text: &str) -> Result<Self> {
        check_length(text)?;
        let mut prompt = Self { text: String::new(), loras: Vec::new() };
        let mut rest = text;
        while let Some((before, kind, body, after)) = next_tag(rest) {
            prompt.text.push_str(before);
            if let Some(tag) = unclosed(body) {
                bail!("the prompt's tag <{kind}:{body}> has another one inside, {tag}; close the first with >");
            }
            match kind {
                "lora" | "lyco" => prompt.loras.push(LoraTag::parse(body)?),
                _ => bail!("the prompt's tag <{kind}:{body}> is not supported; only <lora:NAME:STRENGTH> is"),
            }
            rest = after;
        }
        if let Some(tag) = unclosed(rest) {
            bail!("the prompt's tag {tag} has no > at its end; write {}>", tag.trim_end());
        }
        prompt.text.push_str(rest);
        prompt.text = prompt.text.trim().to_owned();
        Ok(prompt)
    }

    /// What the user should know about this prompt: syntax that is read as plain text.
    pub fn note(&self) -> Option<String> {
        let weighted = self.text.contains(['(', '[']);
        let word = ["BREAK", "AND"].into_iter().find(|word| self.text.split_whitespace().any(|w| w == *word));
        let what = if weighted { "brackets, as in (word:1.2)," } else { word? };
        Some(format!("{what} in \"{}\" have no special meaning yet: they are read as plain text", self.text))
    }
}

impl LoraTag {
    /// Reads what stands behind `<lora:`.
    fn parse(body: &str) -> Result<Self> {
        let tag = || format!("the prompt's tag <lora:{body}>");
        let number = |text: &str| match text.trim().parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => bail!("{}: `{text}` is not a number; write for instance <lora:NAME:0.8>", tag()),
        };
        let (mut positional, mut te, mut unet) = (Vec::new(), None, None);
        for part in body.split(':') {
            match part.split_once('=') {
                None => positional.push(part),
                Some(("te", value)) => te = Some(number(value)?),
                Some(("unet", value)) => unet = Some(number(value)?),
                Some((key, _)) => bail!("{}: {key}= is not supported; te= and unet= are", tag()),
            }
        }
        let &[name, ref strengths @ ..] = positional.as_slice() else { bail!("{} names no file", tag()) };
        if name.trim().is_empty() {
            bail!("{} names no file; write <lora:NAME:1>", tag());
        }
        if strengths.len() > 2 {
            bail!("{}: two numbers at most, for text encoder and UNet", tag());
        }
        let given = |index: usize| strengths.get(index).map(|text| number(text)).transpose();
        // The web UI's order: the UNet follows the text encoder unless it is told otherwise.
        let text = te.or(given(0)?).unwrap_or(1.0);
        let unet = unet.or(given(1)?).unwrap_or(text);
        Ok(Self { name: name.trim().to_owned(), strength: Strength { text, unet } })
    }
}

/// The first `<kind:body>`: (text before, kind, body, text after).
fn next_tag(text: &str) -> Option<(&str, &str, &str, &str)> {
    // A tag needs a `>` behind it, so that none is looked for in vain from each `<`.
    let last = text.rfind('>')?;
    text[..last].match_indices('<').find_map(|(start, _)| {
        let inner = &text[start + 1..];
        let kind = &inner[..inner.find(|c: char| !c.is_alphanumeric() && c != '_')?];
        let (body, after) = inner[kind.len()..].strip_prefix(':')?.split_once('>')?;
        (!kind.is_empty() && !body.is_empty()).then_some((&text[..start], kind, body, after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &str) -> (String, Vec<(String, f64, f64)>) {
        let prompt = Prompt::parse(text).unwrap();
        let tags = prompt.loras.into_iter().map(|tag| (tag.name, tag.strength.text, tag.strength.unet));
        (prompt.text, tags.collect())
    }

    /// Strengths as `extensions-builtin/Lora/extra_networks_lora.py` of the web UI assigns them.
    #[test]
    fn tags_are_read_as_the_web_ui_reads_them() {
        for (text, plain, name, text_strength, unet_strength) in [
            ("a cat <lora:penny>", "a cat", "penny", 1.0, 1.0),
            ("a cat <lora:penny:0.7>", "a cat", "penny", 0.7, 0.7),
            ("<lora:penny:0.7:0.5> a cat", "a cat", "penny", 0.7, 0.5),
            ("<lora:penny:te=0.2>", "", "penny", 0.2, 0.2),
            ("<lora:penny:unet=0.2>", "", "penny", 1.0, 0.2),
            ("<lora:penny:0.7:0.5:te=0:unet=-1>", "", "penny", 0.0, -1.0),
            ("<lyco:my penny:1>, x", ", x", "my penny", 1.0, 1.0),
            ("a < b <lora:out/penny.safetensors:2> > c", "a < b  > c", "out/penny.safetensors", 2.0, 2.0),
        ] {
            assert_eq!(tags(text), (plain.to_owned(), vec![(name.to_owned(), text_strength, unet_strength)]), "{text}");
        }
        assert_eq!(tags("<lora:a:1>x<lora:b:0>").1, [("a".into(), 1.0, 1.0), ("b".into(), 0.0, 0.0)]);
        assert_eq!(tags("1 < 2 and <3 : 4>"), ("1 < 2 and <3 : 4>".into(), vec![]));
    }

    #[test]
    fn tags_that_cannot_be_read_are_named() {
        for (text, said) in [
            ("<lora:penny:strong>", "`strong` is not a number"),
            ("<lora:penny:nan>", "`nan` is not a number"),
            ("<lora: :1>", "names no file"),
            ("<lora:te=1>", "names no file"),
            ("<lora:penny:1:1:64>", "two numbers at most"),
            ("<lora:penny:1:lbw=ALL>", "lbw= is not supported"),
            ("a cat <lora:penny:0.8", "tag <lora:penny:0.8 has no > at its end; write <lora:penny:0.8>"),
            ("<lora:penny:0.8, a cat", "tag <lora:penny:0.8 has no > at its end"),
            ("<lora:penny:0.8 a <lora:hat:1>", "has another one inside, <lora:hat:1; close the first"),
            ("a <LORA:penny", "has no > at its end"),
            ("<hypernet:x:1>", "<hypernet:x:1> is not supported"),
        ] {
            let error = Prompt::parse(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn syntax_without_effect_is_mentioned() {
        for (text, mentioned) in [
            ("a (cat:1.2)", true),
            ("a [cat]", true),
            ("a BREAK b", true),
            ("a cat AND a dog", true),
            ("a cat and BREAKFAST", false),
        ] {
            assert_eq!(Prompt::parse(text).unwrap().note().is_some(), mentioned, "{text}");
        }
    }

    #[test]
    fn a_prompt_that_would_only_cost_time_is_refused() {
        let error = Prompt::parse(&"<a:".repeat(1 << 20)).unwrap_err().to_string();
        assert_eq!(error, "the prompt \"<a:<a:<a:<a:<a:<a:<a…\" is longer than 64 kB; shorten it");
        let many = "<".repeat(1 << 20);
        assert!(next_tag(&many).is_none());
        assert_eq!(next_tag(&format!("{many}lora:x>")).unwrap().2, "x");
        assert!(next_tag(&"<a:".repeat(1 << 18)).is_none());
    }
}
