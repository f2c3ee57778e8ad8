//! `files/`: names of files.

use anyhow::Result;
use lorabake_generate::file_names::{Spaces, sanitize};
use serde_json::json;

use crate::pack::Pack;
use crate::verdict::{Case, same};

/// All cases of the folder.
pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (index, case) in pack.cases("files/sanitize.json")?.iter().enumerate() {
        let text = case["in"].as_str().unwrap_or_default();
        let ours = json!([sanitize(text, Spaces::Replaced), sanitize(text, Spaces::Kept)]);
        let recorded = json!([case["spaces_replaced"], case["spaces_kept"]]);
        cases.push(Case::of(format!("sanitize.json {index}"), same(&ours, &recorded)));
    }
    Ok(cases)
}
