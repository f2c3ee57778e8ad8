//! The items of one tag, by place and by name.

use std::borrow::Cow;

use crate::prompt::tags::{Named, Tag, named};

/// The items of a tag, with those of `blocks=`, whose value holds colons, in one piece.
pub(super) struct Items<'a> {
    items: Vec<Cow<'a, str>>,
}

/// Names that a tag may use.
pub(super) const KEYS: [&str; 12] =
    ["te", "unet", "dyn", "lbw", "w", "lwb", "lbwe", "start", "stop", "step", "x", "blocks"];

impl<'a> Items<'a> {
    pub(super) fn of(tag: &'a Tag) -> Self {
        let mut items: Vec<Cow<'a, str>> = Vec::new();
        let mut in_blocks = false;
        for item in &tag.items {
            if in_blocks && !item.contains('=') {
                if let Some(last) = items.last_mut() {
                    last.to_mut().push(':');
                    last.to_mut().push_str(item);
                }
                continue;
            }
            in_blocks = item.starts_with("blocks=");
            items.push(Cow::Borrowed(item));
        }
        Self { items }
    }

    /// The item at `index`, counted over all items, if it has no `=`: lora-block-weight's places.
    pub(super) fn place(&self, index: usize) -> Option<&str> {
        let item = self.items.get(index)?;
        if item.contains('=') { None } else { Some(item) }
    }

    /// The items that are not named: the web UI's places.
    pub(super) fn positional(&self) -> Vec<&str> {
        self.items.iter().map(AsRef::as_ref).filter(|item| named(item).is_none()).collect()
    }

    /// The items that are named.
    pub(super) fn named(&self) -> impl Iterator<Item = Named<'_>> {
        self.items.iter().filter_map(|item| named(item))
    }

    /// The value of `key`; the last one if it stands several times.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.named().filter(|item| item.key == key).last().map(|item| item.value)
    }

    /// The first item, named or not.
    pub(super) fn first(&self) -> &str {
        self.items.first().map_or("", AsRef::as_ref)
    }
}
