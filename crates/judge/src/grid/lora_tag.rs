//! The tag of a LoRA in a prompt, and the same tag with another name, other strengths or other block weights.

use lorabake_generate::prompt::networks::Multiplier;
use lorabake_generate::prompt::tags::{self, Tag};

use super::axis::Acts;

/// A LoRA's tag, its pieces as the prompt has them.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraTag {
    /// All of it, from `<` to `>`.
    pub whole: String,
    /// The name first; `blocks=`, whose value holds colons, is one piece.
    pieces: Vec<String>,
    kind: String,
}

impl LoraTag {
    fn of(tag: &Tag) -> Self {
        let mut pieces: Vec<String> = Vec::new();
        for item in &tag.items {
            match pieces.last_mut() {
                Some(last) if last.starts_with("blocks=") && !item.contains('=') => {
                    last.push(':');
                    last.push_str(item);
                }
                _ => pieces.push(item.clone()),
            }
        }
        Self { whole: tag.to_string(), pieces, kind: tag.kind.clone() }
    }

    /// The LoRAs of a prompt, in its order.
    pub fn all(prompt: &str) -> Vec<Self> {
        let mut all = Vec::new();
        for tag in tags::take(prompt).tags {
            if tag.kind == "lora" || tag.kind == "lyco" {
                all.push(Self::of(&tag));
            }
        }
        all
    }

    /// The tag that axes act on: that of `name`, or the only one.
    ///
    /// # Errors
    /// When it is not clear which.
    pub fn find(prompt: &str, name: Option<&str>) -> Result<Option<Self>, String> {
        let all = Self::all(prompt);
        let names: Vec<&str> = all.iter().map(Self::name).collect();
        if let Some(name) = name {
            return match all.iter().find(|tag| tag.name() == name) {
                Some(tag) => Ok(Some(tag.clone())),
                None if names.is_empty() => {
                    Err(format!("the prompt has no LoRA {name}; write <lora:{name}:1> into it"))
                }
                None => Err(format!("the prompt has no LoRA {name}; it has {}", names.join(", "))),
            };
        }
        match all.as_slice() {
            [] => Ok(None),
            [tag] => Ok(Some(tag.clone())),
            _ => Err(format!("the prompt has the LoRAs {}; say which one is meant by --axis_lora", names.join(", "))),
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.pieces.first().map_or("", |name| name.trim())
    }

    /// The same tag with another name.
    pub fn with_name(&self, name: &str) -> String {
        let mut pieces = self.pieces.clone();
        if let Some(first) = pieces.first_mut() {
            *first = name.to_owned();
        }
        self.written(&pieces)
    }

    /// The same tag with a strength for `acts`; `now` are the strengths that it has, of text encoders and UNet.
    ///
    /// # Errors
    /// When the tag's places cannot be told apart.
    pub fn with_strength(&self, acts: Acts, strength: f64, now: [&Multiplier; 2]) -> Result<String, String> {
        let strength = number(strength);
        let text = if acts == Acts::Unet { now[0].to_string() } else { strength.clone() };
        let unet = if acts == Acts::Text { now[1].to_string() } else { strength };
        let mut pieces = vec![self.name().to_owned()];
        if text == unet {
            pieces.push(text);
        } else {
            pieces.push(format!("te={text}"));
            pieces.push(format!("unet={unet}"));
        }
        pieces.extend(self.others()?);
        Ok(self.written(&pieces))
    }

    /// The same tag with `weights`, such as `lbw=MIDD` or `blocks=IN:0`, in place of its block weights.
    ///
    /// # Errors
    /// When the tag's places cannot be told apart.
    pub fn with_blocks(&self, weights: &str, now: [&Multiplier; 2]) -> Result<String, String> {
        let mut pieces = vec![self.name().to_owned()];
        // Named, since places mean something else beside block weights.
        pieces.push(format!("te={}", now[0]));
        pieces.push(format!("unet={}", now[1]));
        let is_weights =
            |piece: &String| ["lbw=", "w=", "lwb=", "blocks=", "x="].iter().any(|key| piece.starts_with(key));
        pieces.extend(self.others()?.into_iter().filter(|piece| !is_weights(piece)));
        pieces.push(weights.to_owned());
        Ok(self.written(&pieces))
    }

    /// All pieces behind the name but for strengths, those that were told by their place by name.
    fn others(&self) -> Result<Vec<String>, String> {
        let mut others = Vec::new();
        let mut place = 0;
        for piece in self.pieces.iter().skip(1) {
            if piece.contains('=') {
                if !piece.starts_with("te=") && !piece.starts_with("unet=") {
                    others.push(piece.clone());
                }
                continue;
            }
            place += 1;
            match place {
                1 => {}
                2 if Multiplier::read(piece).is_ok() => {}
                2 => others.push(format!("lbw={piece}")),
                3 if piece.trim().parse::<usize>().is_ok() => others.push(format!("dyn={}", piece.trim())),
                _ => {
                    return Err(format!(
                        "the old form {} cannot be varied; write its parts by name, as lbw=, lbwe=, x=",
                        self.whole
                    ));
                }
            }
        }
        Ok(others)
    }

    fn written(&self, pieces: &[String]) -> String {
        format!("<{}:{}>", self.kind, pieces.join(":"))
    }
}

/// A number without the rounding of a sum of steps.
fn number(value: f64) -> String {
    let rounded: f64 = format!("{value:.8}").parse().unwrap_or(value);
    rounded.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_that_is_meant_is_found() {
        let two = "a <lora:penny:0.8> b <lyco:hat> <hypernet:h:1>";
        assert_eq!(LoraTag::find(two, Some("hat")).unwrap().unwrap().whole, "<lyco:hat>");
        assert_eq!(LoraTag::find("a", None), Ok(None));
        let error = LoraTag::find(two, None).unwrap_err();
        assert_eq!(error, "the prompt has the LoRAs penny, hat; say which one is meant by --axis_lora");
        assert!(LoraTag::find(two, Some("x")).unwrap_err().contains("it has penny, hat"));
    }

    #[test]
    fn one_thing_changes_and_the_rest_stays() {
        let now = [&Multiplier::from(0.8), &Multiplier::from(0.5)];
        for (tag, both, text) in [
            ("<lora:a>", "<lora:a:1.2>", "<lora:a:te=1.2:unet=0.5>"),
            ("<lora:a:0.8:0.5:8>", "<lora:a:1.2:dyn=8>", "<lora:a:te=1.2:unet=0.5:dyn=8>"),
            ("<lora:a:te=0.8:unet=0.5:start=3>", "<lora:a:1.2:start=3>", "<lora:a:te=1.2:unet=0.5:start=3>"),
            (
                "<lyco:a:0.8:blocks=IN:0,IN04:1:unet=0.5>",
                "<lyco:a:1.2:blocks=IN:0,IN04:1>",
                "<lyco:a:te=1.2:unet=0.5:blocks=IN:0,IN04:1>",
            ),
            ("<lora:a:0.8:MIDD>", "<lora:a:1.2:lbw=MIDD>", "<lora:a:te=1.2:unet=0.5:lbw=MIDD>"),
        ] {
            let read = LoraTag::find(tag, None).unwrap().unwrap();
            assert_eq!(read.with_strength(Acts::Both, 1.2000000000000002, now).unwrap(), both);
            assert_eq!(read.with_strength(Acts::Text, 1.2, now).unwrap(), text);
        }
        let read = LoraTag::find("<lora:a:0.8:blocks=IN:0:dyn=4>", None).unwrap().unwrap();
        assert_eq!(read.with_blocks("lbw=OUTS", now).unwrap(), "<lora:a:te=0.8:unet=0.5:dyn=4:lbw=OUTS>");
        assert_eq!(read.with_name("b"), "<lora:b:0.8:blocks=IN:0:dyn=4>");
        assert!(LoraTag::find("<lora:a:1:MIDD:0.5>", None).unwrap().unwrap().with_blocks("", now).is_err());
    }
}
