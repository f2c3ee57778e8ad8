//! What a check says: plain data, which a terminal, a page or another program shows.

use std::path::PathBuf;

use serde::Serialize;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Training goes wrong, or does not start.
    Error,
    /// The result will probably suffer.
    Warning,
    /// Worth a look; often as it should be.
    Hint,
    /// Would be one of these, and the user has said that it is meant so.
    Intended,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// An image or its caption.
    Image,
    /// A tag.
    Tag,
    /// A folder.
    Folder,
    /// All folders together.
    Set,
}

/// Something that a check has found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The check, such as `img.small`.
    pub id: &'static str,
    /// How grave it is.
    pub level: Level,
    /// What it is about.
    pub scope: Scope,
    /// The image, tag or folder; what `lorabake-check.toml` names it by.
    pub subject: String,
    /// What was measured.
    pub number: f64,
    /// From where on that is told; the number itself where there is no threshold.
    pub threshold: f64,
    /// Where the number lies among those of all images, 0 to 100, for measures that every image has.
    pub percentile: Option<f64>,
    /// What is the matter, in one sentence without the subject.
    pub sentence: String,
    /// What to do about it.
    pub remedy: String,
    /// The images concerned.
    #[serde(serialize_with = "lossy")]
    pub images: Vec<PathBuf>,
    /// What `--fix` does about it.
    pub fix: Option<Repair>,
    /// Why it is meant so, for [`Level::Intended`].
    pub reason: Option<String>,
}

/// Something that can be done by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repair {
    /// What `--fix` calls it.
    pub name: &'static str,
    /// The tag that is changed, as tags are compared.
    pub tag: Option<String>,
    /// What is written in its place.
    pub write: Option<String>,
}

impl Repair {
    /// A repair of a whole caption or file.
    pub fn new(name: &'static str) -> Self {
        Self { name, tag: None, write: None }
    }
}

/// Paths as text; what is not Unicode in them is replaced, because JSON cannot hold it.
fn lossy<S: serde::Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}
