//! Lists of known tags, as the extension a1111-tagcomplete has them: `tag,category,posts,"alias,alias"` a line.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::caption::folded;

/// Most bytes of a list; the largest that people use have 20 MB.
const MOST_BYTES: u64 = 256 << 20;

/// The tags of one site.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TagList {
    /// What the file is called.
    pub name: String,
    /// Posts by tag, as tags are compared.
    pub posts: HashMap<String, u64>,
    /// The same, for what is written otherwise there, with the tag that it stands for.
    pub aliases: HashMap<String, String>,
}

/// A list that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct TagListError {
    path: PathBuf,
    what: String,
}

impl TagList {
    /// Reads a list.
    ///
    /// # Errors
    /// When it cannot be read, or has no tags.
    pub fn read(path: &Path) -> Result<Self, TagListError> {
        let error = |what: String| TagListError { path: path.to_owned(), what };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(|cause| error(format!("it cannot be read ({cause})")))?;
        let read = file.take(MOST_BYTES).read_to_end(&mut bytes);
        read.map_err(|cause| error(format!("it cannot be read ({cause})")))?;
        let text = lorabake_recipe::text_file::decode(bytes)
            .map_err(|encoding| error(format!("it is {encoding}; save it as UTF-8")))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let list = Self::parse(name, &text);
        if list.posts.is_empty() {
            let what = "no tags in it; a line of such a list is tag,category,posts,\"aliases\"";
            return Err(error(what.to_owned()));
        }
        Ok(list)
    }

    fn parse(name: String, text: &str) -> Self {
        let mut list = Self { name, ..Self::default() };
        for line in text.lines() {
            let mut fields = line.splitn(4, ',');
            let Some(tag) = fields.next().map(folded).filter(|tag| !tag.is_empty()) else { continue };
            let Some(posts) = fields.nth(1).and_then(|posts| posts.trim().parse().ok()) else { continue };
            for alias in fields.next().unwrap_or_default().trim().trim_matches('"').split(',') {
                let alias = folded(alias);
                if !alias.is_empty() {
                    list.aliases.insert(alias, tag.clone());
                }
            }
            list.posts.insert(tag, posts);
        }
        list
    }

    /// Whether it knows a tag, by this name or another.
    pub fn knows(&self, key: &str) -> bool {
        self.posts.contains_key(key) || self.aliases.contains_key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_posts_and_aliases_are_read() {
        let list = TagList::parse(
            "x".into(),
            "1girl,0,6008644,\"1girls,sole_female\"\nred_hat,0,200,\nbroken\nname,category,posts,\n",
        );
        assert_eq!(list.posts.len(), 2);
        assert_eq!(list.posts["red hat"], 200);
        assert!(list.knows("sole female") && !list.knows("broken"));
    }
}
