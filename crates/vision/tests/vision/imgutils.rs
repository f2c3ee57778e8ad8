//! Words of captions beside those of dghs-imgutils' `tags_to_text` (`oracle/imgutils_golden.py`).

use std::collections::BTreeMap;

use lorabake_vision::tagger::{Category, Tag, Underscores, Wording};
use serde::Deserialize;

use crate::golden;

#[derive(Deserialize)]
struct Recorded {
    scores: BTreeMap<String, f32>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    spaces: bool,
    escape: bool,
    text: String,
}

#[test]
fn words_are_those_of_imgutils() {
    let recorded = std::fs::read_to_string(golden("imgutils.json")).unwrap();
    let Recorded { scores, cases } = serde_json::from_str(&recorded).unwrap();
    let tags: Vec<Tag> =
        scores.into_iter().map(|(name, score)| Tag { name, category: Category::General, score }).collect();
    assert_eq!((tags.len(), cases.len()), (39, 4));
    for Case { spaces, escape, text } in cases {
        let underscores = if spaces { Underscores::Spaces } else { Underscores::Keep };
        let wording = Wording { underscores, escapes: escape, ..Wording::default() };
        assert_eq!(wording.words(&tags).join(", "), text, "spaces: {spaces}, escape: {escape}");
    }
}
