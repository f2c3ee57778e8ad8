//! How much of a demonstration pictures show, by measures that know what it teaches and that `lorabake judge` does not know:
//! those of `oracle/pocket/verdict.py` (Penny's hair and dress, the inked style's looks, the sticker's white ring).

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use lorabake_pixels::Rgb;
use lorabake_pixels::decode::decode;

use super::sets::Set;

/// Copper hair and a blue dress, as examples/draw_penny.py has them.
const HAIR: [f64; 3] = [196.0, 74.0, 20.0];
const DRESS: [f64; 3] = [20.0, 120.0, 200.0];
/// Prompts that are painted, of those of the demonstration.
const PROMPTS: usize = 8;

/// Measures of one demonstration.
pub struct Demonstration {
    set: Set,
    prompts: PathBuf,
    /// Mean looks of the set's own pictures.
    looks: [f64; 4],
    folder: PathBuf,
}

impl Demonstration {
    /// Of a set whose images are in the folder of the check.
    ///
    /// # Errors
    /// When its prompts or images cannot be read.
    pub fn of(set: Set, folder: &Path) -> Result<Self> {
        let text = match set {
            Set::Penny => include_str!("../../../examples/penny.prompts.txt"),
            Set::Style => include_str!("../../../examples/style.prompts.txt"),
            Set::Sticker => include_str!("../../../examples/sticker.prompts.txt"),
        };
        let lines: Vec<String> = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .take(PROMPTS)
            .map(|line| format!("{} <lora:x:1>", line.split(" --").next().unwrap_or(line)))
            .collect();
        let prompts = folder.join(format!("{}.prompts.txt", set.name()));
        std::fs::write(&prompts, lines.join("\n"))?;
        let mut sums = [0.0; 4];
        let own = pictures(&folder.join("sets").join(set.name()))?;
        for picture in &own {
            for (sum, value) in sums.iter_mut().zip(looks(picture)) {
                *sum += value / own.len() as f64;
            }
        }
        Ok(Self { set, prompts, looks: sums, folder: folder.to_owned() })
    }

    /// How much of it pictures with the LoRA at `lora` show; more is better.
    ///
    /// # Errors
    /// When nothing can be painted with it.
    pub fn measure(&self, program: &Path, lora: &Path) -> Result<f64> {
        let place = tempfile::tempdir_in(&self.folder)?;
        std::fs::copy(lora, place.path().join("x.safetensors"))?;
        let mut command = Command::new(program);
        command.arg("generate").arg("--from_file").arg(&self.prompts).arg("--lora_dir").arg(place.path());
        command.args(["--seed", "1", "--steps", "16", "--cfg_scale", "4", "--out"]).arg(place.path().join("out"));
        let output = command.output()?;
        if !output.status.success() {
            bail!("{}: {}", lora.display(), String::from_utf8_lossy(&output.stderr));
        }
        let painted = pictures(&place.path().join("out"))?;
        let mut sum = 0.0;
        for picture in &painted {
            sum += match self.set {
                Set::Penny => penny(picture),
                Set::Style => -self.distance(&looks(picture)),
                Set::Sticker => ring(picture),
            };
        }
        Ok(sum / painted.len().max(1) as f64)
    }

    fn distance(&self, looks: &[f64; 4]) -> f64 {
        looks.iter().zip(&self.looks).map(|(own, set)| (own - set).powi(2)).sum::<f64>().sqrt()
    }
}

/// All pictures of a folder and the folders in it.
fn pictures(folder: &Path) -> Result<Vec<Rgb>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            all.extend(pictures(&path)?);
        } else if path.extension().is_some_and(|suffix| suffix == "png") {
            all.push(decode(&path)?.image);
        }
    }
    Ok(all)
}

/// How nearly hair and dress are there, 0 to 1: both are from shares of 0.06 and 0.02 on.
fn penny(picture: &Rgb) -> f64 {
    let share = |color: [f64; 3]| {
        let near = picture.data.chunks_exact(3).filter(|pixel| {
            let far: f64 = pixel.iter().zip(color).map(|(own, of)| ((f64::from(*own) - of) / 255.0).powi(2)).sum();
            far.sqrt() < 0.2
        });
        near.count() as f64 * 3.0 / picture.data.len() as f64
    };
    (share(HAIR) / 0.06).min(1.0) * (share(DRESS) / 0.02).min(1.0)
}

/// Mean colourfulness, share of black, share of white, share of edges.
fn looks(picture: &Rgb) -> [f64; 4] {
    let wide = picture.width as usize;
    let mut looks = [0.0; 4];
    let gray = |at: usize| -> f64 {
        let pixel = &picture.data[3 * at..3 * at + 3];
        pixel.iter().map(|value| f64::from(*value)).sum::<f64>() / 765.0
    };
    let count = picture.data.len() / 3;
    for (at, pixel) in picture.data.chunks_exact(3).enumerate() {
        let high = f64::from(pixel.iter().copied().max().unwrap_or(0)) / 255.0;
        let low = f64::from(pixel.iter().copied().min().unwrap_or(0)) / 255.0;
        looks[0] += high - low;
        looks[1] += f64::from(u8::from(high < 0.25));
        looks[2] += f64::from(u8::from(low > 0.88));
        if at >= wide && !at.is_multiple_of(wide) {
            let steps = (gray(at) - gray(at - wide)).abs() + (gray(at) - gray(at - 1)).abs();
            looks[3] += f64::from(u8::from(steps > 0.25));
        }
    }
    looks.map(|sum| sum / count as f64)
}

/// How much of the band 2 to 5 pixels inside the icon's outer edge is white.
fn ring(picture: &Rgb) -> f64 {
    let [wide, high] = [picture.width as usize, picture.height as usize];
    let depth = depths(picture, wide, high);
    let mut band = 0;
    let mut white = 0;
    for (at, depth) in depth.iter().enumerate() {
        if (3..=5).contains(depth) {
            band += 1;
            let low = picture.data[3 * at..3 * at + 3].iter().copied().min().unwrap_or(0);
            white += usize::from(f64::from(low) / 255.0 > 0.82);
        }
    }
    if band == 0 { 0.0 } else { white as f64 / f64::from(band) }
}

/// Steps to the background that is joined to the picture's edge; 0 = it is background.
fn depths(picture: &Rgb, wide: usize, high: usize) -> Vec<usize> {
    let ground = [0, 1, 2].map(|channel| {
        let mut rim: Vec<u8> = (0..wide).map(|x| picture.data[3 * x + channel]).collect();
        rim.extend((0..high).map(|y| picture.data[3 * y * wide + channel]));
        rim.sort_unstable();
        rim[rim.len() / 2]
    });
    let is_ground = |at: usize| {
        let pixel = &picture.data[3 * at..3 * at + 3];
        pixel.iter().zip(ground).all(|(own, of)| own.abs_diff(of) < 26)
    };
    let edge =
        |at: usize| at < wide || at >= wide * (high - 1) || at.is_multiple_of(wide) || (at + 1).is_multiple_of(wide);
    let mut depth = vec![usize::MAX; wide * high];
    let mut queue: VecDeque<usize> = (0..wide * high).filter(|at| edge(*at) && is_ground(*at)).collect();
    queue.iter().for_each(|at| depth[*at] = 0);
    // All background first, then steps inwards from it.
    let mut border: VecDeque<usize> = VecDeque::new();
    while let Some(at) = queue.pop_front() {
        for next in around(at, wide, high) {
            if depth[next] == usize::MAX && is_ground(next) {
                depth[next] = 0;
                queue.push_back(next);
            }
        }
        border.push_back(at);
    }
    while let Some(at) = border.pop_front() {
        for next in around(at, wide, high) {
            if depth[next] == usize::MAX {
                depth[next] = depth[at] + 1;
                border.push_back(next);
            }
        }
    }
    depth
}

fn around(at: usize, wide: usize, high: usize) -> Vec<usize> {
    let [x, y] = [at % wide, at / wide];
    let mut places = Vec::with_capacity(4);
    if x > 0 {
        places.push(at - 1);
    }
    if x + 1 < wide {
        places.push(at + 1);
    }
    if y > 0 {
        places.push(at - wide);
    }
    if y + 1 < high {
        places.push(at + wide);
    }
    places
}
