//! `inpaint/crop.json`.

use anyhow::Result;
use lorabake_generate::inpaint::{Region, crop_region, crop_region_1_9};
use lorabake_pixels::Gray;
use serde::Deserialize;

use crate::{Case, Pack, same};

/// A mask with rectangles, and what became of it.
#[derive(Debug, Deserialize)]
struct Recorded {
    image_size: (u32, u32),
    mask_rects: Vec<[u32; 4]>,
    padding: u32,
    width: u32,
    height: u32,
    region: Option<[u32; 4]>,
    region_1_9: [u32; 4],
    expanded: Option<[u32; 4]>,
    paste_to: Option<[u32; 4]>,
}

pub(super) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (index, case) in pack.cases("inpaint/crop.json")?.into_iter().enumerate() {
        let recorded: Recorded = serde_json::from_value(case)?;
        cases.push(Case::of(format!("crop.json {index}"), replayed(&recorded)));
    }
    Ok(cases)
}

fn replayed(recorded: &Recorded) -> Result<(), String> {
    let mask = drawn(recorded);
    let region = crop_region(&mask, recorded.padding);
    same(&region.map(corners), &recorded.region)?;
    same(&crop_region_1_9(&mask, recorded.padding), &recorded.region_1_9)?;
    let expanded = region.map(|region| region.expanded((recorded.width, recorded.height), recorded.image_size));
    same(&expanded.map(corners), &recorded.expanded)?;
    let paste_to = expanded.map(|region| [region.left, region.top, region.size().0, region.size().1]);
    same(&paste_to, &recorded.paste_to)
}

fn drawn(recorded: &Recorded) -> Gray {
    let mut mask = Gray::filled(recorded.image_size, [0]);
    for [left, top, right, bottom] in &recorded.mask_rects {
        for y in *top..*bottom {
            let row = (y * mask.width) as usize;
            mask.data[row + *left as usize..row + *right as usize].fill(255);
        }
    }
    mask
}

fn corners(region: Region) -> [u32; 4] {
    [region.left, region.top, region.right, region.bottom]
}
