//! `xyz/`: axes as they are typed, prompts that vary, the plain grid.

use anyhow::{Context, Result};
use lorabake_generate::picture_grid::{PictureGrid, Rows};
use lorabake_generate::xyz::{Kind, Label, Prompts, Rule, Values, reorder, replace, split_list};
use serde_json::{Value, json};

use crate::number::reread;
use crate::pack::Pack;
use crate::verdict::{Case, same};

/// All cases of the folder.
pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (index, case) in pack.cases("xyz/axes.json")?.iter().enumerate() {
        cases.push(Case::of(format!("axes.json {index}"), axis(case)));
    }
    for (index, case) in pack.cases("xyz/prompt_sr.json")?.iter().enumerate() {
        cases.push(Case::of(format!("prompt_sr.json {index}"), search(case)));
    }
    for (index, case) in pack.cases("xyz/prompt_order.json")?.iter().enumerate() {
        cases.push(Case::of(format!("prompt_order.json {index}"), order(case)));
    }
    for (index, case) in pack.cases("xyz/image_grid.json")?.iter().enumerate() {
        let result = grid(case).with_context(|| format!("image_grid.json {index}"))?;
        cases.push(Case::of(format!("image_grid.json {index}"), result));
    }
    Ok(cases)
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_default()
}

/// The web UI's rule gives what was recorded; ours gives the same or less of it, and refuses what is empty.
fn axis(case: &Value) -> Result<(), String> {
    let (kind, label) = match text(case, "type") {
        "int" => (Kind::Whole, Label::Named),
        "float" => (Kind::Float, Label::Named),
        "str" => (Kind::Text, Label::Named),
        "str_permutations" => (Kind::Orders, Label::Joined),
        other => return Err(format!("there is no type {other}")),
    };
    let typed = text(case, "text");
    let ours = kind.values(typed, Rule::WebUi);
    let strict = kind.values(typed, Rule::Strict);
    if !case["error"].is_null() {
        return match (ours, strict) {
            (Err(_), Err(_)) => Ok(()),
            other => Err(format!("recorded {}, ours {other:?}", case["error"])),
        };
    }
    let ours = ours?;
    same(&json(&ours), &case["values"])?;
    same(&json!(ours.labels("X", label)), &case["labels"])?;
    match strict {
        Err(_) if ours.is_empty() => Ok(()),
        Ok(strict) if strict.len() <= ours.len() && !ours.is_empty() => Ok(()),
        other => Err(format!("by our own rule {other:?}")),
    }
}

fn json(values: &Values) -> Value {
    match values {
        Values::Whole(values) => json!(values),
        Values::Float(values) => json!(values.iter().map(|value| reread(*value)).collect::<Vec<_>>()),
        Values::Text(values) => json!(values),
        Values::Orders(values) => json!(values),
    }
}

fn search(case: &Value) -> Result<(), String> {
    let values = split_list(text(case, "text"), Rule::WebUi);
    same(&json!(values), &case["values"])?;
    let prompts =
        Prompts { prompt: text(case, "prompt").to_owned(), negative_prompt: text(case, "negative").to_owned() };
    for (value, recorded) in values.iter().zip(case["results"].as_array().into_iter().flatten()) {
        match replace(&prompts, &values[0], value) {
            Ok(ours) => same(&json!([ours.prompt, ours.negative_prompt]), recorded)?,
            Err(_) if !recorded["error"].is_null() => {}
            Err(why) => return Err(why),
        }
    }
    Ok(())
}

fn order(case: &Value) -> Result<(), String> {
    let Values::Orders(orders) = Kind::Orders.values(text(case, "text"), Rule::WebUi)? else {
        return Err("no orders".to_owned());
    };
    let mut results = Vec::new();
    for order in orders {
        let result = reorder(text(case, "prompt"), &order, Rule::WebUi)?;
        results.push(json!([order, result]));
    }
    same(&json!(results), &case["results"])
}

fn grid(case: &Value) -> Result<Result<(), String>> {
    let sizes: Vec<[usize; 2]> = serde_json::from_value(case["images"].clone())?;
    let batch = case["batch_size"].as_u64().context("no batch_size")? as usize;
    let rows = match case["rows_argument"].as_u64() {
        Some(rows) => Rows::Number(rows as usize),
        None => {
            let setting = case["n_rows"].as_i64().context("no n_rows")?;
            Rows::of_setting(setting, batch, case["prevent_empty"] == true)
        }
    };
    let Some(grid) = PictureGrid::new(&sizes, rows) else { return Ok(Err("there is no grid".to_owned())) };
    let ours = json!([grid.cell, grid.columns, grid.rows, grid.size()]);
    Ok(same(&ours, &json!([case["cell"], case["cols"], case["rows"], case["size"]])))
}
