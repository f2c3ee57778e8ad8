//! Prompts that a LoRA is tried with, made from the captions of its images: its trigger in scenes that are not in the set.
//!
//! A scene is a caption in which a tag that few images have is replaced by one of another image, so that it asks for a
//! combination that was never trained. Captions that are sentences are taken as they are.

use std::collections::BTreeMap;

use lorabake_generate::prompt::tags;

/// Tags in more captions than this are what all images have in common.
const RARE: f64 = 0.3;

/// A scene as it is asked for with the LoRA and without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// With the trigger.
    pub prompt: String,
    /// With the class in the place of the trigger, for the checkpoint alone.
    pub class_prompt: String,
    /// Its seed.
    pub seed: u64,
}

/// What calls up the LoRA, and what it is one of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Words<'a> {
    /// The trigger.
    pub trigger: Option<&'a str>,
    /// What stands in its place for the checkpoint alone; nothing if there is no class.
    pub class: Option<&'a str>,
}

/// At most `count` scenes from `captions`, each with the next seed.
pub fn scenes(captions: &[String], words: Words<'_>, count: usize) -> Vec<Scene> {
    let lists: Vec<Vec<&str>> = captions.iter().map(|caption| split(caption)).collect();
    let rare = rare_tags(&lists);
    let mut scenes: Vec<Scene> = Vec::new();
    let chosen = captions.len().min(count);
    for place in 0..chosen {
        let index = place * captions.len() / chosen;
        let prompt = tags::take(&varied(&lists, index, &rare)).text;
        let class_prompt = without(&prompt, words);
        scenes.push(Scene { prompt, class_prompt, seed: 101 + place as u64 });
    }
    scenes
}

fn split(caption: &str) -> Vec<&str> {
    caption.split(',').map(str::trim).filter(|tag| !tag.is_empty()).collect()
}

/// Tags that few captions have.
fn rare_tags<'a>(lists: &[Vec<&'a str>]) -> Vec<&'a str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for tag in lists.iter().flatten() {
        *counts.entry(tag).or_default() += 1;
    }
    let most = (RARE * lists.len() as f64).max(1.0);
    counts.into_iter().filter(|(_, count)| *count as f64 <= most).map(|(tag, _)| tag).collect()
}

/// A caption whose last rare tag is that of the next caption that has another one.
fn varied(lists: &[Vec<&str>], index: usize, rare: &[&str]) -> String {
    let own = &lists[index];
    let is_rare = |tag: &&str| rare.contains(tag);
    let Some(at) = own.iter().rposition(is_rare) else { return own.join(", ") };
    for step in 1..lists.len() {
        let other = &lists[(index + step) % lists.len()];
        if let Some(tag) = other.iter().rev().find(|tag| is_rare(tag) && !own.contains(tag)) {
            let mut changed = own.clone();
            changed[at] = tag;
            return changed.join(", ");
        }
    }
    own.join(", ")
}

/// The prompt with the class in the place of the trigger.
fn without(prompt: &str, words: Words<'_>) -> String {
    let Some(trigger) = words.trigger.filter(|trigger| !trigger.is_empty()) else { return prompt.to_owned() };
    let replaced = prompt.replace(trigger, words.class.unwrap_or_default());
    split(&replaced).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes_are_combinations_that_no_caption_has() {
        let captions: Vec<String> = [
            "penny, standing, red background",
            "penny, running, blue background",
            "penny, sitting, green background",
            "penny, jumping, pink background",
        ]
        .map(str::to_owned)
        .to_vec();
        let words = Words { trigger: Some("penny"), class: Some("girl") };
        let found = scenes(&captions, words, 2);
        assert_eq!(found[0].prompt, "penny, standing, blue background");
        assert_eq!(found[0].class_prompt, "girl, standing, blue background");
        assert_eq!((found.len(), found[1].seed), (2, 102));
        assert!(!captions.contains(&found[1].prompt));
        let prose = vec!["a woman who walks <lora:x:1>".to_owned()];
        let alone = scenes(&prose, Words { trigger: Some("woman"), class: None }, 8);
        assert_eq!((alone[0].prompt.trim(), alone[0].class_prompt.as_str()), ("a woman who walks", "a  who walks"));
    }
}
