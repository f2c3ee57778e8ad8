//! Scores in a file, a line of JSON for each picture and tagger, so that thresholds can be moved without asking again.
//!
//! Lines are added as pictures are done; of several about one picture the last counts. What a killed program left of a line
//! is passed over.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::label::Category;
use super::scores::{ScoredTag, Scores};
use crate::error::Error;

/// What is kept of one picture by one tagger.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The picture's path, for people.
    pub image: String,
    /// The hash of its file, by which it is known again.
    pub key: String,
    /// Its width and height in pixels.
    pub size: [u32; 2],
    /// The tagger.
    pub model: String,
    /// Its scores.
    pub scores: Scores,
}

/// A file of scores.
#[derive(Debug)]
pub struct Kept {
    path: PathBuf,
    file: File,
    rows: HashMap<[String; 2], Row>,
    /// Lines that were passed over, because they are no scores.
    pub passed_over: usize,
}

impl Kept {
    /// Opens the file at `path`, or begins one.
    ///
    /// # Errors
    /// When it cannot be read or written, or holds something else than scores.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |why: std::io::Error| Error::of(path, format!("{why}; give --scores a file that can be written"));
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
        let Lines { rows, passed_over } = read_lines(path, &file)?;
        end_line(&mut file).map_err(failed)?;
        Ok(Self { path: path.to_owned(), file, rows, passed_over })
    }

    /// All scores of the file at `path`, which is only read.
    ///
    /// # Errors
    /// When it cannot be read, or holds something else than scores.
    pub fn rows_in(path: &Path) -> Result<Vec<Row>, Error> {
        let failed = |why: std::io::Error| {
            Error::of(path, format!("{why}; name a file that `lorabake tag --scores` has written"))
        };
        let file = File::open(path).map_err(failed)?;
        Ok(read_lines(path, &file)?.rows.into_values().collect())
    }

    /// The scores of the picture with this hash by this tagger.
    pub fn get(&self, key: &str, model: &str) -> Option<&Row> {
        self.rows.get(&[key.to_owned(), model.to_owned()])
    }

    /// The taggers whose scores there are.
    pub fn models(&self) -> Vec<String> {
        let mut models: Vec<String> = self.rows.keys().map(|[_, model]| model.clone()).collect();
        models.sort();
        models.dedup();
        models
    }

    /// Adds scores at the end.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, row: Row) -> Result<(), Error> {
        let line = format!("{}\n", line_of(&row));
        let failed = |why: std::io::Error| Error::of(&self.path, format!("{why}; free some space"));
        self.file.write_all(line.as_bytes()).map_err(failed)?;
        self.rows.insert([row.key.clone(), row.model.clone()], row);
        Ok(())
    }
}

/// What a file of scores holds.
struct Lines {
    rows: HashMap<[String; 2], Row>,
    passed_over: usize,
}

fn read_lines(path: &Path, file: &File) -> Result<Lines, Error> {
    let mut lines = Lines { rows: HashMap::new(), passed_over: 0 };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line);
        if read.map_err(|why| Error::of(path, format!("{why}; give --scores a file that can be read")))? == 0 {
            break;
        }
        match std::str::from_utf8(&line).ok().and_then(read_row) {
            Some(row) => {
                lines.rows.insert([row.key.clone(), row.model.clone()], row);
            }
            None => lines.passed_over += 1,
        }
    }
    if lines.rows.is_empty() && lines.passed_over > 0 {
        return Err(Error::of(path, "it holds something else than scores; give --scores another file"));
    }
    Ok(lines)
}

/// A line that was not finished ends before the next begins.
fn end_line(file: &mut File) -> std::io::Result<()> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok(())
}

fn line_of(row: &Row) -> Value {
    let mut tags = Vec::new();
    for tag in &row.scores.tags {
        let mut entry = vec![json!(tag.name), json!(tag.category.name()), json!(tag.score)];
        entry.extend(tag.threshold.map(|threshold| json!(threshold)));
        tags.push(Value::Array(entry));
    }
    let mut cuts = serde_json::Map::new();
    for (category, cut) in &row.scores.cuts {
        cuts.insert(category.name().to_owned(), json!(cut));
    }
    let Row { image, key, size, model, .. } = row;
    json!({ "image": image, "sha256": key, "image_size": size, "model": model, "tags": tags, "mcut": cuts })
}

fn read_row(line: &str) -> Option<Row> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let number = |value: &Value| value.as_f64().map(|number| number as f32).filter(|number| number.is_finite());
    let mut scores = Scores::default();
    for entry in value.get("tags")?.as_array()? {
        let entry = entry.as_array()?;
        scores.tags.push(ScoredTag {
            name: entry.first()?.as_str()?.to_owned(),
            category: Category::of_name(entry.get(1)?.as_str()?)?,
            score: number(entry.get(2)?)?,
            threshold: entry.get(3).and_then(number),
        });
    }
    let mut cuts = BTreeMap::new();
    for (name, cut) in value.get("mcut")?.as_object()? {
        cuts.insert(Category::of_name(name)?, number(cut)?);
    }
    scores.cuts = cuts;
    let sides = value.get("image_size")?.as_array()?;
    let side = |index: usize| sides.get(index).and_then(Value::as_u64).and_then(|side| u32::try_from(side).ok());
    Some(Row { image: text("image")?, key: text("sha256")?, size: [side(0)?, side(1)?], model: text("model")?, scores })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str) -> Row {
        let tag =
            |name: &str, category, threshold| ScoredTag { name: name.to_owned(), category, score: 0.1, threshold };
        let tags = vec![tag("a\"b", Category::General, None), tag("c", Category::Character, Some(0.25))];
        let scores = Scores { tags, cuts: BTreeMap::from([(Category::General, 0.3)]) };
        Row { image: "x/é.png".to_owned(), key: key.to_owned(), size: [3, 4], model: "m".to_owned(), scores }
    }

    #[test]
    fn scores_come_back_as_they_were_also_behind_a_torn_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.jsonl");
        Kept::open(&path).unwrap().add(row("1")).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], &whole[..whole.len() / 2]].concat()).unwrap();
        let mut kept = Kept::open(&path).unwrap();
        assert_eq!(kept.passed_over, 1);
        kept.add(row("2")).unwrap();
        let kept = Kept::open(&path).unwrap();
        assert_eq!(kept.get("1", "m"), Some(&row("1")));
        assert_eq!(kept.get("2", "m"), Some(&row("2")));
        assert_eq!(kept.get("2", "n"), None);
        assert_eq!(kept.models(), ["m"]);
        assert_eq!(Kept::rows_in(&path).unwrap().len(), 2);
        assert!(Kept::rows_in(&folder.path().join("none.jsonl")).is_err());
    }

    #[test]
    fn another_file_is_not_written_into() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("caption.txt");
        std::fs::write(&path, "1girl, hat").unwrap();
        assert!(Kept::open(&path).unwrap_err().to_string().contains("something else than scores; "));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1girl, hat");
    }
}
