//! How well features of the embedded model tell things apart, by block and timestep: of each picture in folder A, whether
//! the nearest one in folder B is that of the same file name.
//!
//! Usage: `cargo run --release -p lorabake-judge --example tell_apart A B [BLOCK TIMESTEP]…`

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use lorabake_generate::embedded;
use lorabake_generate::painter::{Painter, Predicts};
use lorabake_judge::features::{Dift, FeatureMaker, Features, Patchwork, Yardstick};
use lorabake_model::WeightDtypes;
use lorabake_ops::WeightDtype;
use lorabake_pixels::{Rgb, decode};

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [first, second, places @ ..] = words.as_slice() else { bail!("two folders are wanted") };
    let [first, second] = [pictures(Path::new(first))?, pictures(Path::new(second))?];
    if first.len() != second.len() {
        bail!("the folders hold {} and {} pictures", first.len(), second.len());
    }
    let dtypes = WeightDtypes::all(WeightDtype::F32);
    let painter = Painter::open(embedded::checkpoint()?, dtypes, Predicts::AsFile, false, Device::flex())?;
    println!(
        "block    t   subject top 1, top 5   whole top 1, top 5   patches top 1, top 5   layout top 1, top 5   seconds a picture"
    );
    for place in places.chunks(2) {
        let dift = Dift { up_block: place[0].parse()?, timestep: place[1].parse()? };
        let maker = FeatureMaker::new(&painter, 128)?.at(dift);
        let start = Instant::now();
        let [ours, theirs] = [features(&maker, &first)?, features(&maker, &second)?];
        let seconds = start.elapsed().as_secs_f64() / (2 * first.len()) as f64;
        let yardstick = Yardstick::of(&[ours.as_slice(), theirs.as_slice()].concat());
        let patchwork = |all: &[Arc<Features>]| -> Vec<Patchwork> {
            all.iter().map(|features| yardstick.patchwork(features)).collect()
        };
        let found = [
            found(&ours, &theirs, |one, other| yardstick.subject(one, other)),
            found(&ours, &theirs, |one, other| yardstick.whole(one, other)),
            found(&patchwork(&ours), &patchwork(&theirs), Patchwork::anywhere),
            found(&ours, &theirs, |one, other| yardstick.layout(one, other)),
        ];
        print!("{:5} {:4}", dift.up_block, dift.timestep);
        for [first, among_five] in found {
            print!("          {first:4} {among_five:4}   ");
        }
        println!("   {seconds:.2}");
    }
    Ok(())
}

/// For how many of ours that of the same number is the nearest of theirs, and one of the nearest five.
fn found<P>(ours: &[P], theirs: &[P], distance: impl Fn(&P, &P) -> f64) -> [usize; 2] {
    let mut found = [0, 0];
    for (index, own) in ours.iter().enumerate() {
        let to_same = distance(own, &theirs[index]);
        let nearer = theirs.iter().filter(|other| distance(own, other) < to_same).count();
        found[0] += usize::from(nearer == 0);
        found[1] += usize::from(nearer < 5);
    }
    found
}

/// The pictures of a folder in the order of their names.
fn pictures(folder: &Path) -> Result<Vec<Rgb>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|suffix| suffix == "png" || suffix == "jpg"));
    paths.sort();
    let mut pictures = Vec::new();
    for path in paths {
        pictures.push(decode(&path)?.image);
    }
    Ok(pictures)
}

fn features(maker: &FeatureMaker<'_>, pictures: &[Rgb]) -> Result<Vec<Arc<Features>>> {
    pictures.iter().map(|picture| maker.features(picture)).collect()
}
