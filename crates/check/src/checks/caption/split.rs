//! `cap.split`: words that the tokenizer takes apart.

use std::collections::BTreeMap;

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "cap.split",
        scope: Scope::Tag,
        what: "words of which the tokenizer makes many tokens, so that the text encoder knows them by pieces only",
        thresholds: &[Threshold::new("tokens", 4.0, "a hint if a word has so many")],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    let Some(count) = set.wanted.count_tokens else { return };
    let mut words: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for index in set.learnt() {
        let caption = &set.images[index].caption;
        for (tag, key) in caption.tags.iter().zip(&caption.keys) {
            if set.activation(index).is_some_and(|own| own.holds(key)) {
                continue;
            }
            for word in tag.split_whitespace() {
                let images = words.entry(word).or_default();
                if images.last() != Some(&index) {
                    images.push(index);
                }
            }
        }
    }
    for (word, images) in words {
        let tokens = count(word) as f64;
        if tokens < found.limit("tokens") {
            continue;
        }
        let remedy = match word {
            _ if word.contains('_') => "write spaces in place of _, which costs a token each",
            _ if !word.is_ascii() => "write it in Latin letters, or by a word that the model knows",
            _ => "look whether it is spelt right, and whether there is a plainer word",
        };
        found.add(Told {
            subject: word.to_owned(),
            number: tokens,
            threshold: found.limit("tokens"),
            sentence: format!("becomes {tokens} tokens"),
            remedy: remedy.to_owned(),
            images,
            ..Told::default()
        });
    }
}
