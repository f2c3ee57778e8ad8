//! Styles: named pieces of prompts in a file `styles.csv`, merged into a prompt before anything else is read (the web
//! UI's `styles.py`).

mod csv;

use std::path::Path;

use anyhow::{Result, bail};

use super::by_name::ByName;
use super::characters::trim;
use super::nearest::{nearest, shortened};
use super::text_file;

/// The styles of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Styles {
    styles: ByName<Style>,
}

/// A piece of prompts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    /// What is added to the prompt, or surrounds its `{prompt}`.
    pub prompt: String,
    /// The same for the negative prompt.
    pub negative_prompt: String,
}

/// A prompt with its styles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Styled {
    /// The prompt.
    pub prompt: String,
    /// The negative prompt.
    pub negative_prompt: String,
}

impl Styles {
    /// The styles of the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or lacks a column.
    pub fn open(path: &Path) -> Result<Self> {
        let text = text_file::read(path)?;
        match Self::read(&text) {
            Ok(styles) => Ok(styles),
            Err(error) => bail!("{}: {error}", path.display()),
        }
    }

    /// Reads a table with the columns `name`, `prompt` (once called `text`) and `negative_prompt`, in any order. Rows without
    /// a name, and those whose name begins with `#`, are left out. Of two with one name the last counts.
    ///
    /// # Errors
    /// When a column is missing, or a quote has no end.
    pub fn read(text: &str) -> Result<Self> {
        let mut rows = csv::rows(text.strip_prefix('\u{feff}').unwrap_or(text))?.into_iter();
        let Some(header) = rows.next() else { return Ok(Self::default()) };
        let column = |name: &str| header.iter().position(|field| field == name);
        let Some(name_column) = column("name") else {
            bail!("it has no column name; its first line must be name,prompt,negative_prompt");
        };
        let Some(prompt_column) = column("prompt").or(column("text")) else {
            bail!("it has no column prompt; its first line must be name,prompt,negative_prompt");
        };
        let negative_column = column("negative_prompt");
        let mut styles = Self::default();
        for row in rows {
            let field = |index: usize| row.get(index).cloned().unwrap_or_default();
            let name = field(name_column);
            if name.is_empty() || name.starts_with('#') {
                continue;
            }
            let negative_prompt = negative_column.map(field).unwrap_or_default();
            styles.styles.put(&name, Style { prompt: field(prompt_column), negative_prompt });
        }
        Ok(styles)
    }

    /// The names of all styles, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.styles.names()
    }

    /// The style of that name.
    pub fn get(&self, name: &str) -> Option<&Style> {
        self.styles.get(name)
    }

    /// A prompt and its negative prompt with the styles `names`, one after the other.
    ///
    /// # Errors
    /// Names all styles that are not known, one a line, with the nearest.
    pub fn apply(&self, names: &[String], mut styled: Styled) -> Result<Styled> {
        let mut unknown = Vec::new();
        for name in names {
            let Some(style) = self.get(name) else {
                let near = nearest(name, self.names());
                unknown.push(format!("--style: there is no style `{}`; the nearest are {near}", shortened(name)));
                continue;
            };
            styled.prompt = merge(&style.prompt, &styled.prompt);
            styled.negative_prompt = merge(&style.negative_prompt, &styled.negative_prompt);
        }
        if !unknown.is_empty() {
            bail!("{}", unknown.join("\n"));
        }
        Ok(styled)
    }
}

/// The style around `prompt` if it has `{prompt}`, else behind it.
fn merge(style: &str, prompt: &str) -> String {
    const PLACE: &str = "{prompt}";
    if style.contains(PLACE) {
        return style.replace(PLACE, prompt);
    }
    let parts = [trim(prompt), trim(style)];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn styled(prompt: &str, negative_prompt: &str) -> Styled {
        Styled { prompt: prompt.to_owned(), negative_prompt: negative_prompt.to_owned() }
    }

    #[test]
    fn styles_surround_a_prompt_or_follow_it() {
        let styles = Styles::read(
            "\u{feff}name,prompt,negative_prompt\r\n\
             Photo,\"a photo of {prompt}, \"\"35 mm\"\"\",\"drawing,\nsketch\"\r\n\
             #off,x,y\r\n\r\n\
             Fine, fine ,\r\n",
        )
        .unwrap();
        assert_eq!(styles.names().count(), 2);
        let both = ["Photo".to_owned(), "Fine".to_owned()];
        let result = styles.apply(&both, styled("a cat", " bad ")).unwrap();
        assert_eq!(result, styled("a photo of a cat, \"35 mm\", fine", "bad, drawing,\nsketch"));
        assert_eq!(styles.apply(&both[1..], styled(" ", "")).unwrap(), styled("fine", ""));
        let error = styles.apply(&["photo".to_owned(), "fin".to_owned()], styled("", "")).unwrap_err().to_string();
        assert_eq!(
            error,
            "--style: there is no style `photo`; the nearest are Photo, Fine\n\
             --style: there is no style `fin`; the nearest are Fine, Photo"
        );
    }

    #[test]
    fn older_and_incomplete_tables() {
        let old = Styles::read("name,text\nA,b\nA,c\nD\n").unwrap();
        assert_eq!(old.names().collect::<Vec<_>>(), ["A", "D"]);
        assert_eq!(old.get("A").unwrap().prompt, "c");
        assert_eq!(old.get("D").unwrap().prompt, "");
        assert_eq!(Styles::read("").unwrap(), Styles::default());
        assert!(Styles::read("a,b\n1,2\n").unwrap_err().to_string().starts_with("it has no column name;"));
        assert!(Styles::read("name\n1\n").unwrap_err().to_string().starts_with("it has no column prompt;"));
        assert!(Styles::read("name,prompt\n\"a,b\n").unwrap_err().to_string().contains("has no end"));
    }

    #[test]
    fn a_file_is_named_in_its_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("styles.csv");
        assert!(Styles::open(&path).unwrap_err().to_string().contains("styles.csv: it cannot be read"));
        std::fs::write(&path, b"name,prompt\n\xff,x\n").unwrap();
        assert!(Styles::open(&path).unwrap_err().to_string().contains("styles.csv: it is no text in UTF-8"));
        std::fs::write(&path, "a\n").unwrap();
        assert!(Styles::open(&path).unwrap_err().to_string().contains("styles.csv: it has no column name;"));
    }
}
