//! Names that are near to one that is not known.

/// Letters of a name that are compared; it may be as long as a prompt.
const LONGEST: usize = 100;

/// Up to three of `names`, the nearest to `name` first, joined by commas; "none" if there are no names.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let begin: String = name.chars().take(LONGEST).flat_map(char::to_lowercase).collect();
    let mut known: Vec<&str> = names.collect();
    known.sort_by_cached_key(|other| {
        let other: String = other.chars().take(LONGEST).flat_map(char::to_lowercase).collect();
        (strsim::damerau_levenshtein(&other, &begin), other)
    });
    known.dedup();
    known.truncate(3);
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

/// The one of `names` that somebody meant who has mistyped it as `name`, in whatever case: as many letters as a third of it
/// may be wrong, two turned ones count once.
pub fn meant<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed: String = name.chars().take(LONGEST).flat_map(char::to_lowercase).collect();
    let mut best = None;
    let mut fewest = typed.chars().count() / 3 + 1;
    for other in names {
        let wrong = strsim::damerau_levenshtein(&other.to_lowercase(), &typed);
        if wrong < fewest {
            best = Some(other);
            fewest = wrong;
        }
    }
    best
}

/// The beginning of a text that stands in a message.
pub(super) fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let begin: String = text.chars().take(MOST).collect();
    format!("{begin}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_mistyped_is_meant() {
        let names = ["cfg", "strength", "steps"];
        for (typed, found) in [
            ("cgf", Some("cfg")),
            ("CFG", Some("cfg")),
            ("strenght", Some("strength")),
            ("step", Some("steps")),
            ("lr", None),
            ("", None),
        ] {
            assert_eq!(meant(typed, names.into_iter()), found, "{typed}");
        }
    }
}
