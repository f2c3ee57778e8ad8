//! `upscale/tiles.json`: edges of the tiles.

use anyhow::Result;
use lorabake_generate::upscale::{Tiles, edges};
use serde::Deserialize;

use crate::{Case, Pack, same};

/// A picture's size and its tiles.
#[derive(Debug, Deserialize)]
struct Recorded {
    width: u32,
    height: u32,
    tile: u32,
    overlap: u32,
    x: Vec<i64>,
    y: Vec<i64>,
}

pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (index, case) in pack.cases("upscale/tiles.json")?.into_iter().enumerate() {
        let recorded: Recorded = serde_json::from_value(case)?;
        let tiles = Tiles { size: recorded.tile, overlap: recorded.overlap };
        let result = same(&edges(recorded.width, tiles), &recorded.x);
        let result = result.and_then(|()| same(&edges(recorded.height, tiles), &recorded.y));
        cases.push(Case::of(format!("tiles.json {index}"), result));
    }
    Ok(cases)
}
