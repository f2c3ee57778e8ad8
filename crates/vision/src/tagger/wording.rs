//! From tags that count to the words of a caption: order, underscores, brackets, what is left out, put first or replaced.
//!
//! Source of the options: kohya's sd-scripts (`finetune/tag_images_by_wd14_tagger.py`, commit 48d368fa), whose words these
//! are, byte by byte, with [`Order::List`] and [`Underscores::Kohya`]. On purpose not as there: replacements act (there they
//! change nothing, or everything), and expanded names may be left out or replaced, each part by itself.

use std::collections::BTreeSet;

use super::choose::Tag;
use super::label::Category;

/// Tags whose underscores are part of a face: as the extension of the web UI and taggui keep them.
const FACES: [&str; 19] = [
    "0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3", "6_9", ">_o", "@_@", "^_^",
    "o_o", "u_u", "x_x", "|_|", "||_||",
];

/// How tags become words.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wording {
    /// What becomes of underscores.
    pub underscores: Underscores,
    /// Whether brackets are escaped as prompts want it; captions are read as they stand.
    pub escapes: bool,
    /// Whether `name_(series)` of characters becomes `name` and `series`.
    pub expands_characters: bool,
    /// Tags that are left out.
    pub undesired: Vec<String>,
    /// What is written in place of tags.
    pub replacements: Vec<Replacement>,
    /// Which tag comes first.
    pub order: Order,
    /// Whether characters come before the rest.
    pub characters_first: bool,
    /// Where the rating stands, if it is written.
    pub rating: Option<Place>,
    /// Where the quality stands, if it is written.
    pub quality: Option<Place>,
    /// Tags that come to the front if they are there: one after the other, so that the last of them is the first word.
    pub first: Vec<String>,
    /// So many tags at most, the likeliest; ratings and qualities not counted.
    pub most: Option<usize>,
}

/// What becomes of underscores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Underscores {
    /// They become spaces, but in faces such as `^_^`.
    #[default]
    Spaces,
    /// They become spaces in tags of more than three letters: sd-scripts' rule.
    Kohya,
    /// They stay.
    Keep,
}

/// Which tag comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// The likeliest.
    #[default]
    Probability,
    /// As in the tagger's list.
    List,
}

/// Where a tag stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before all others.
    First,
    /// Behind all others.
    Last,
}

/// What is written in place of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The tag.
    pub from: String,
    /// What is written.
    pub to: String,
}

impl Replacement {
    /// Reads `from,to;from,to;…`, where `\,` and `\;` are part of a tag.
    ///
    /// # Errors
    /// When one has no comma, or several.
    pub fn read_all(text: &str) -> Result<Vec<Self>, String> {
        let mut all = Vec::new();
        for pair in split(text, ';').iter().filter(|pair| !pair.trim().is_empty()) {
            let parts = split(pair, ',');
            let [from, to] = &parts[..] else {
                return Err(format!("`{}` is no pair; write `from,to`, and `\\,` for a comma in a tag", pair.trim()));
            };
            let plain = |part: &str| part.replace("\\,", ",").replace("\\;", ";").trim().to_owned();
            all.push(Self { from: plain(from), to: plain(to) });
        }
        Ok(all)
    }
}

/// The parts between separators that no backslash stands before.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before = ' ';
    for symbol in text.chars() {
        if symbol == separator && before != '\\' {
            parts.push(String::new());
        } else {
            parts.last_mut().expect("there is one").push(symbol);
        }
        before = symbol;
    }
    parts
}

/// A tag as it is compared: small letters, spaces for underscores, none around it.
pub fn folded(tag: &str) -> String {
    tag.replace('_', " ").trim().to_lowercase()
}

impl Wording {
    /// The words of `tags`, which come in the order of their list; each word once.
    pub fn words(&self, tags: &[Tag]) -> Vec<String> {
        let mut words = Vec::new();
        for tag in self.in_order(tags) {
            for word in self.of(tag) {
                words.push(word);
            }
        }
        for (category, place) in [(Category::Quality, self.quality), (Category::Rating, self.rating)] {
            let Some(place) = place else { continue };
            let Some(tag) = tags.iter().find(|tag| tag.category == category) else { continue };
            for word in self.of(tag) {
                match place {
                    Place::First => words.insert(0, word),
                    Place::Last => words.push(word),
                }
            }
        }
        let mut seen = BTreeSet::new();
        words.retain(|word| seen.insert(folded(word)));
        for first in &self.first {
            if let Some(at) = words.iter().position(|word| folded(word) == folded(first)) {
                let word = words.remove(at);
                words.insert(0, word);
            }
        }
        if self.escapes {
            words = words.iter().map(|word| escaped(word)).collect();
        }
        words
    }

    /// All but rating and quality, in the order in which they are written.
    fn in_order<'a>(&self, tags: &'a [Tag]) -> Vec<&'a Tag> {
        let mut ordered: Vec<&Tag> = Vec::new();
        for tag in tags {
            if !matches!(tag.category, Category::Rating | Category::Quality) && !self.of(tag).is_empty() {
                ordered.push(tag);
            }
        }
        if let Some(most) = self.most
            && ordered.len() > most
        {
            let mut scores: Vec<f32> = ordered.iter().map(|tag| tag.score).collect();
            scores.sort_by(|one, other| other.total_cmp(one));
            let least = if most == 0 { f32::INFINITY } else { scores[most - 1] };
            ordered.retain(|tag| tag.score >= least);
            ordered.truncate(most);
        }
        if self.order == Order::Probability {
            ordered.sort_by(|one, other| other.score.total_cmp(&one.score));
        }
        if self.characters_first {
            let mut characters = Vec::new();
            let mut rest = Vec::new();
            for tag in ordered {
                let is_character = tag.category == Category::Character;
                if is_character { characters.push(tag) } else { rest.push(tag) }
            }
            // sd-scripts puts one after the other to the front.
            if self.order == Order::List {
                characters.reverse();
            }
            characters.extend(rest);
            return characters;
        }
        ordered
    }

    /// The words of one tag: none if it is left out, two if it is expanded.
    fn of(&self, tag: &Tag) -> Vec<String> {
        let mut parts = vec![tag.name.clone()];
        if self.expands_characters
            && tag.category == Category::Character
            && let Some(expanded) = expanded(&tag.name)
        {
            parts = expanded;
        }
        let mut words = Vec::new();
        for part in parts {
            let mut word = self.underscores.apply(&part);
            if let Some(new) = self.replacements.iter().find(|new| folded(&new.from) == folded(&word)) {
                word = new.to.clone();
            }
            let is_undesired = self.undesired.iter().any(|undesired| folded(undesired) == folded(&word));
            if !is_undesired && !word.trim().is_empty() {
                words.push(word);
            }
        }
        words
    }
}

impl Underscores {
    fn apply(self, tag: &str) -> String {
        let keeps = match self {
            Self::Spaces => FACES.contains(&tag),
            Self::Kohya => tag.chars().count() <= 3,
            Self::Keep => true,
        };
        if keeps { tag.to_owned() } else { tag.replace('_', " ") }
    }
}

/// `name_(series)` → `name` and `series`; of several brackets the last counts.
fn expanded(tag: &str) -> Option<Vec<String>> {
    if !tag.ends_with(')') {
        return None;
    }
    let (name, series) = tag.rsplit_once('(')?;
    let name = name.strip_suffix('_').unwrap_or(name);
    if name.is_empty() {
        return None;
    }
    Some(vec![name.to_owned(), series.replace(')', "")])
}

fn escaped(word: &str) -> String {
    let mut escaped = String::new();
    for symbol in word.chars() {
        if matches!(symbol, '(' | ')' | '\\') {
            escaped.push('\\');
        }
        escaped.push(symbol);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(name: &str, category: Category, score: f32) -> Tag {
        Tag { name: name.to_owned(), category, score }
    }

    fn some() -> Vec<Tag> {
        vec![
            tag("sensitive", Category::Rating, 0.8),
            tag("long_hair", Category::General, 0.5),
            tag("^_^", Category::General, 0.9),
            tag("1girl", Category::General, 0.7),
            tag("miku_(cat)_(vocaloid)", Category::Character, 0.6),
        ]
    }

    #[test]
    fn tags_are_written_as_they_are_wanted() {
        let plain = Wording::default();
        assert_eq!(plain.words(&some()), ["^_^", "1girl", "miku (cat) (vocaloid)", "long hair"]);
        let all = Wording {
            expands_characters: true,
            characters_first: true,
            rating: Some(Place::First),
            undesired: vec!["Long Hair".to_owned()],
            replacements: Replacement::read_all(r"1girl,a\,b;x,y").unwrap(),
            first: vec!["^_^".to_owned()],
            escapes: true,
            ..plain.clone()
        };
        assert_eq!(all.words(&some()), ["^_^", "sensitive", r"miku \(cat\)", "vocaloid", "a,b"]);
        let few = Wording { most: Some(2), order: Order::List, rating: Some(Place::Last), ..plain };
        assert_eq!(few.words(&some()), ["^_^", "1girl", "sensitive"]);
    }

    #[test]
    fn a_word_is_written_once() {
        let tags = [tag("a_b", Category::General, 0.5), tag("A b", Category::General, 0.4)];
        assert_eq!(Wording::default().words(&tags), ["a b"]);
    }

    #[test]
    fn replacements_are_pairs() {
        assert!(Replacement::read_all("a").unwrap_err().contains("; "));
        assert!(Replacement::read_all("a,b,c").is_err());
        assert!(Replacement::read_all(" ; ").unwrap().is_empty());
        let tags = [tag("hat", Category::General, 0.5), tag("cat", Category::General, 0.4)];
        let gone = Wording { replacements: Replacement::read_all("hat,").unwrap(), ..Wording::default() };
        assert_eq!(gone.words(&tags), ["cat"]);
    }
}
