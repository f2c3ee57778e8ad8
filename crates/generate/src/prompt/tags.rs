//! `<word:arguments>`: the tags by which a prompt asks for networks, taken out of the text as the web UI does
//! (`extra_networks.py`). What they mean: [`super::networks`].

use super::characters::is_word;

/// A tag of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The word behind `<`: `lora`, `lyco`, `hypernet`, or any other.
    pub kind: String,
    /// What stands between the colons, in order, nothing stripped.
    pub items: Vec<String>,
}

/// An item with exactly one `=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    /// What stands before `=`.
    pub key: &'a str,
    /// What stands behind it.
    pub value: &'a str,
}

/// A prompt without its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The text; each tag left nothing, so that `a, <lora:x:1>, b` is `a, , b`.
    pub text: String,
    /// The tags in their order.
    pub tags: Vec<Tag>,
}

impl Tag {
    /// The items that count as positions: those without `=`, and those with several.
    pub fn positional(&self) -> Vec<&str> {
        self.items.iter().map(String::as_str).filter(|item| named(item).is_none()).collect()
    }

    /// The items `key=value`. Where a key stands twice, the last one counts.
    pub fn named(&self) -> Vec<Named<'_>> {
        self.items.iter().filter_map(|item| named(item)).collect()
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<{}:{}>", self.kind, self.items.join(":"))
    }
}

/// `key=value`, if `item` has exactly one `=`.
pub(super) fn named(item: &str) -> Option<Named<'_>> {
    let (key, value) = item.split_once('=')?;
    if value.contains('=') { None } else { Some(Named { key, value }) }
}

/// Takes all tags out of `text`. Arguments reach to the first `>`, over newlines too.
///
/// ```
/// use lorabake_generate::prompt::tags;
///
/// let taken = tags::take("a cat <lora:penny:0.7:te=0.5>");
/// assert_eq!(taken.text, "a cat ");
/// assert_eq!(taken.tags[0].items, ["penny", "0.7", "te=0.5"]);
/// ```
pub fn take(text: &str) -> Taken {
    let mut taken = Taken { text: String::new(), tags: Vec::new() };
    let mut rest = text;
    while let Some(found) = next_tag(rest) {
        taken.text.push_str(&rest[..found.start]);
        let items = found.arguments.split(':').map(ToOwned::to_owned).collect();
        taken.tags.push(Tag { kind: found.kind.to_owned(), items });
        rest = &rest[found.end..];
    }
    taken.text.push_str(rest);
    taken
}

/// A network's tag that begins in `text` and has no end there: somebody forgot the `>`. Up to the next comma or newline.
pub fn unclosed(text: &str) -> Option<&str> {
    let begins = ["<lora:", "<lyco:", "<hypernet:"];
    let (start, _) = text.match_indices('<').find(|(start, _)| {
        begins.iter().any(|begin| text[*start..].get(..begin.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(begin)))
    })?;
    let end = text[start..].find([',', '\n']).map_or(text.len(), |end| start + end);
    Some(&text[start..end])
}

/// Where a tag stands, in bytes, and what it is.
pub(super) struct Found<'a> {
    pub start: usize,
    pub end: usize,
    pub kind: &'a str,
    pub arguments: &'a str,
}

/// The first tag.
pub(super) fn next_tag(text: &str) -> Option<Found<'_>> {
    // A tag needs a `>` behind it, so that none is looked for in vain from each `<`.
    let last = text.rfind('>')?;
    for (start, _) in text[..last].match_indices('<') {
        let inner = &text[start + 1..];
        let word = inner.find(|c: char| !is_word(c))?;
        let Some(arguments) = inner[word..].strip_prefix(':') else { continue };
        let length = arguments.find('>')?;
        if word > 0 && length > 0 {
            let end = start + 1 + word + 1 + length + 1;
            return Some(Found { start, end, kind: &inner[..word], arguments: &arguments[..length] });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_tag_stays() {
        for text in ["1 < 2 and <3 : 4>", "lora:a:1>", "<lora:a", "<:a>", "<lora:>", "< lora:a>", "<lora :a>"] {
            assert_eq!(take(text), Taken { text: text.to_owned(), tags: Vec::new() }, "{text}");
        }
    }

    #[test]
    fn any_word_makes_a_tag_and_arguments_reach_to_the_first_end() {
        let taken = take("a <b<lora:x\n<y:1>> <ü_1:=:a=b=c>");
        assert_eq!(taken.text, "a <b> ");
        assert_eq!(taken.tags[0].items, ["x\n<y", "1"]);
        assert_eq!(taken.tags[1].kind, "ü_1");
        assert_eq!(taken.tags[1].positional(), ["a=b=c"]);
        assert_eq!(taken.tags[1].named(), [Named { key: "", value: "" }]);
    }

    #[test]
    fn a_hostile_prompt_costs_no_time() {
        assert_eq!(take(&"<a:".repeat(1 << 20)).tags.len(), 0);
        let many = "<".repeat(1 << 20);
        assert_eq!(take(&format!("{many}lora:x>")).tags.len(), 1);
        assert_eq!(take(&"<>".repeat(1 << 15)).tags.len(), 0);
    }
}
