//! What a tagger's outputs mean: a name and a category each, by row of its list.
//!
//! Categories go by row and not by position, because not every list begins with its ratings and ends with its characters.

use std::path::Path;

use serde_json::{Map, Value};

use super::csv;
use crate::error::{Error, Name};
use crate::read_text::read_text;

/// The most outputs that a tagger may have.
const MOST: usize = 1 << 20;

/// A kind of tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    /// What is seen.
    General,
    /// Who is seen.
    Character,
    /// From which work.
    Copyright,
    /// By whom.
    Artist,
    /// About the picture as a file: its size, its medium.
    Meta,
    /// Which animal (e621).
    Species,
    /// Which model painted it.
    Model,
    /// For whom it is; one of them is true.
    Rating,
    /// How good it is; one of them is true.
    Quality,
    /// When it was made.
    Year,
    /// Anything else, which is never written.
    Other,
}

impl Category {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::General,
        Self::Character,
        Self::Copyright,
        Self::Artist,
        Self::Meta,
        Self::Species,
        Self::Model,
        Self::Rating,
        Self::Quality,
        Self::Year,
        Self::Other,
    ];

    /// Its name in files and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Character => "character",
            Self::Copyright => "copyright",
            Self::Artist => "artist",
            Self::Meta => "meta",
            Self::Species => "species",
            Self::Model => "model",
            Self::Rating => "rating",
            Self::Quality => "quality",
            Self::Year => "year",
            Self::Other => "other",
        }
    }

    /// The category of a name, in whatever case.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.name().eq_ignore_ascii_case(name.trim()))
    }

    /// Danbooru's numbers; 10 is the year in Camie's lists.
    fn of_danbooru(number: u32) -> Self {
        match number {
            0 => Self::General,
            1 => Self::Artist,
            3 => Self::Copyright,
            4 => Self::Character,
            5 => Self::Meta,
            9 => Self::Rating,
            10 => Self::Year,
            _ => Self::Other,
        }
    }

    /// e621's numbers.
    fn of_e621(number: u32) -> Self {
        match number {
            5 => Self::Species,
            7 => Self::Meta,
            9 => Self::Rating,
            number if number < 5 => Self::of_danbooru(number),
            _ => Self::Other,
        }
    }
}

/// What one output means.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// The tag as its list writes it, with underscores; empty where the list says nothing.
    pub name: String,
    /// Its kind.
    pub category: Category,
    /// From which score on it is true, if its list says so (`best_threshold`).
    pub threshold: Option<f32>,
}

impl Label {
    /// A tag of a kind.
    pub(super) fn new(name: &str, category: Category) -> Self {
        // What no caption should hold, and no terminal show.
        let name = name.trim().replace(char::is_control, " ");
        Self { name, category, threshold: None }
    }
}

/// Reads the list of tags at `path`: `.csv`, `.json`, or a tag a line.
///
/// # Errors
/// When it cannot be read, or makes no sense.
pub fn read(path: &Path) -> Result<Vec<Label>, Error> {
    let text = read_text(path)?;
    let suffix = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let labels = match suffix.as_str() {
        "csv" => of_csv(path, &text)?,
        "json" => of_json(path, &text)?,
        _ => of_lines(path, &text),
    };
    if labels.is_empty() {
        return Err(Error::of(path, "it has no tags; download it again"));
    }
    if labels.len() > MOST {
        return Err(Error::of(
            path,
            format!("it has {} tags, more than taggers have; name another file", labels.len()),
        ));
    }
    Ok(labels)
}

fn of_csv(path: &Path, text: &str) -> Result<Vec<Label>, Error> {
    let mut rows = csv::rows(text).into_iter();
    let header = rows.next().unwrap_or_default();
    let column = |name: &str| header.iter().position(|cell| cell.trim().eq_ignore_ascii_case(name));
    let Some(name) = column("name") else {
        return Err(Error::of(
            path,
            "its first row has no column `name`; it is no list of tags, name selected_tags.csv",
        ));
    };
    let category = column("category");
    let threshold = column("best_threshold");
    let is_e621 = path.file_name().is_some_and(|name| name == "tags-selected.csv");
    let mut labels = Vec::new();
    for (index, row) in rows.enumerate() {
        let Some(tag) = row.get(name) else {
            let what = format!("row {} has {} cells and no tag; download it again", index + 2, row.len());
            return Err(Error::of(path, what));
        };
        let cell = category.and_then(|column| row.get(column)).map_or("0", |cell| cell.trim());
        let kind = match cell.parse() {
            Ok(number) if is_e621 => Category::of_e621(number),
            Ok(number) => Category::of_danbooru(number),
            Err(_) => Category::of_name(cell).unwrap_or(Category::Other),
        };
        let best = threshold.and_then(|column| row.get(column)).and_then(|cell| cell.trim().parse().ok());
        labels.push(Label { threshold: best.filter(|best: &f32| best.is_finite()), ..Label::new(tag, kind) });
    }
    Ok(labels)
}

/// A tag a line. Ratings are known by what they begin with; DeepDanbooru has a list of characters beside.
fn of_lines(path: &Path, text: &str) -> Vec<Label> {
    let beside = path.with_file_name("tags-character.txt");
    let characters = if beside == path { String::new() } else { read_text(&beside).unwrap_or_default() };
    let characters: std::collections::HashSet<&str> = characters.lines().map(str::trim).collect();
    let mut labels = Vec::new();
    for line in text.lines() {
        let tag = line.trim();
        let category = match tag {
            tag if tag.starts_with("rating:") => Category::Rating,
            tag if characters.contains(tag) => Category::Character,
            _ => Category::General,
        };
        labels.push(Label::new(tag, category));
    }
    // An empty line at the end is no output.
    while labels.last().is_some_and(|label| label.name.is_empty()) {
        labels.pop();
    }
    labels
}

/// `{"0": {"tag": …, "category": …}, …}`, or `{"idx_to_tag": {"0": …}, "tag_to_category": {…: …}}`.
fn of_json(path: &Path, text: &str) -> Result<Vec<Label>, Error> {
    let wrong = |what: &str| Error::of(path, format!("{what}; it is no list of tags, name tag_mapping.json"));
    let value: Value = serde_json::from_str(text).map_err(|why| wrong(&why.to_string()))?;
    let Value::Object(map) = value else { return Err(wrong("it holds no names")) };
    let mut labels = Vec::new();
    match map.get("idx_to_tag").and_then(Value::as_object) {
        Some(names) => {
            let kinds = map.get("tag_to_category").and_then(Value::as_object);
            for (index, name) in names {
                let name = name.as_str().ok_or_else(|| wrong("idx_to_tag holds what is no name"))?;
                let kind = kinds.and_then(|kinds| kinds.get(name)).and_then(Value::as_str);
                put(&mut labels, index, name, kind).map_err(|why| wrong(&why))?;
            }
        }
        None => {
            for (index, entry) in &map {
                let text =
                    |key: &str| entry.as_object().and_then(|entry: &Map<_, _>| entry.get(key)).and_then(Value::as_str);
                let name = text("tag").ok_or_else(|| wrong(&format!("{} has no `tag`", Name(index))))?;
                put(&mut labels, index, name, text("category")).map_err(|why| wrong(&why))?;
            }
        }
    }
    Ok(labels)
}

/// Puts a label at its number; what lies between says nothing.
fn put(labels: &mut Vec<Label>, index: &str, name: &str, kind: Option<&str>) -> Result<(), String> {
    let index: usize = index.parse().map_err(|_| format!("`{}` is no number of an output", Name(index)))?;
    if index >= MOST {
        return Err(format!("{index} is beyond what taggers have"));
    }
    if labels.len() <= index {
        labels.resize(index + 1, Label::new("", Category::Other));
    }
    let category = kind.map_or(Category::General, |kind| Category::of_name(kind).unwrap_or(Category::Other));
    labels[index] = Label::new(name, category);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_signs_that_move_a_terminal() {
        assert_eq!(Label::new(" so\u{1b}[31mlo\0 ", Category::General).name, "so [31mlo ");
    }

    fn read_as(name: &str, text: &str) -> Result<Vec<Label>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path).map_err(|error| error.to_string().replace(&path.display().to_string(), name))
    }

    #[test]
    fn categories_go_by_row() {
        let labels = read_as(
            "selected_tags.csv",
            "tag_id,name,category,count\r\n1,miku,4,9\r\n2,\"a,\"\"b\",0,1\r\n3,safe,9,1\r\n",
        );
        let labels = labels.unwrap();
        assert_eq!(labels[0], Label::new("miku", Category::Character));
        assert_eq!(labels[1], Label::new("a,\"b", Category::General));
        assert_eq!(labels[2], Label::new("safe", Category::Rating));
        let labels = read_as("tags-selected.csv", "name,category\nwolf,5\nhi_res,7\nanthro,0\n").unwrap();
        let kinds: Vec<Category> = labels.iter().map(|label| label.category).collect();
        assert_eq!(kinds, [Category::Species, Category::Meta, Category::General]);
    }

    #[test]
    fn mappings_may_have_gaps() {
        let both = [
            r#"{"2": {"tag": "miku", "category": "Character"}, "0": {"tag": "1girl", "category": "General"}}"#,
            r#"{"idx_to_tag": {"2": "miku", "0": "1girl"}, "tag_to_category": {"miku": "Character"}}"#,
        ];
        for text in both {
            let labels = read_as("tag_mapping.json", text).unwrap();
            let names: Vec<&str> = labels.iter().map(|label| label.name.as_str()).collect();
            assert_eq!(names, ["1girl", "", "miku"]);
            assert_eq!(labels[2].category, Category::Character);
        }
    }

    #[test]
    fn what_makes_no_sense_is_one_line() {
        for (name, text) in [
            ("selected_tags.csv", ""),
            ("selected_tags.csv", "name,category\n"),
            ("selected_tags.csv", "id,name\n1\n"),
            ("tag_mapping.json", "[1]"),
            ("tag_mapping.json", r#"{"a": {"tag": "b"}}"#),
            ("tag_mapping.json", r#"{"99999999999": {"tag": "b"}}"#),
            ("tag_mapping.json", r#"{"1": "b"}"#),
            ("tags.txt", "\n\n"),
        ] {
            let error = read_as(name, text).unwrap_err();
            assert!(error.starts_with(&format!("{name}: ")) && error.contains("; "), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
