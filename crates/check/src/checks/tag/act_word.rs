//! `act.word`: what the text encoder makes of the activation tag.

use crate::about::{About, Threshold};
use crate::finding::Scope;
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "act.word",
        scope: Scope::Folder,
        what: "activation tags of many tokens, and such as have a meaning already",
        thresholds: &[Threshold::new("tokens", 4.0, "a hint if it has more")],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for folder in set.learnt_folders() {
        let Some(activation) = &set.activations[folder] else { continue };
        let subject = activation.words.clone();
        let limit = found.limit("tokens");
        if let Some(count) = set.wanted.count_tokens {
            let tokens = count(&activation.words) as f64;
            if tokens > limit {
                found.add(Told {
                    subject: subject.clone(),
                    number: tokens,
                    threshold: limit,
                    sentence: format!("the activation tag of {} has {tokens} tokens", set.dataset.folders[folder].name),
                    remedy: "a short, rare word is learnt a little faster; a long one works too".to_owned(),
                    ..Told::default()
                });
            }
        }
        for list in set.wanted.tag_lists {
            for key in &activation.keys {
                let tag = list.aliases.get(key).unwrap_or(key);
                let Some(posts) = list.posts.get(tag) else { continue };
                found.add(Told {
                    subject: subject.clone(),
                    number: *posts as f64,
                    sentence: format!("{key} has a meaning already: {posts} posts in {}", list.name),
                    remedy: "keep it to build on what the checkpoint knows, or take another word to begin anew"
                        .to_owned(),
                    ..Told::default()
                });
            }
        }
    }
}
