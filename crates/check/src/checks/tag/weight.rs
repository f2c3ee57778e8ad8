//! `tag.weight`: weights and backslashes of prompts, which captions take for letters.

use crate::about::About;
use crate::finding::{Level, Scope};
use crate::found::{Check, Found, Told};
use crate::gather::Set;

/// The check.
pub const CHECK: Check = Check {
    about: About {
        id: "tag.weight",
        scope: Scope::Image,
        what: "(tag:1.2), \\( and \\) in captions, which go in as letters unless --weighted_captions is given",
        thresholds: &[],
    },
    run,
};

fn run(set: &Set<'_>, found: &mut Found<'_>) {
    for index in set.learnt() {
        let caption = &set.images[index].caption;
        if caption.file.is_none() || set.settings(index).captions.weighted {
            continue;
        }
        let said: Vec<&str> = caption.tags.iter().map(String::as_str).filter(|tag| is_prompt_like(tag)).collect();
        if said.is_empty() {
            continue;
        }
        found.image(
            index,
            Told {
                level: Level::Warning,
                number: said.len() as f64,
                threshold: 1.0,
                sentence: format!(
                    "has signs of prompts in its caption, which are trained as letters: {}",
                    said.join(", ")
                ),
                remedy: "write the tag as it is, without weight and backslashes, or give --weighted_captions"
                    .to_owned(),
                ..Told::default()
            },
        );
    }
}

/// Whether a tag has a weight or escaped brackets.
pub fn is_prompt_like(tag: &str) -> bool {
    if tag.contains("\\(") || tag.contains("\\)") {
        return true;
    }
    let Some(inside) = tag.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else { return false };
    let Some((_, weight)) = inside.rsplit_once(':') else { return false };
    weight.trim().parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::is_prompt_like;

    #[test]
    fn weights_and_backslashes_are_known_and_names_are_not() {
        for tag in ["(hat:1.2)", "aru \\(blue archive\\)", "(red hat: 0.8)"] {
            assert!(is_prompt_like(tag), "{tag}");
        }
        for tag in ["aru (blue archive)", ":3", "(o)_(o)", "re:zero", "hat"] {
            assert!(!is_prompt_like(tag), "{tag}");
        }
    }
}
