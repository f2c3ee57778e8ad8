//! Checkpoints as a folder that diffusers opens: a folder inside for each network, with its settings beside the weights.
//!
//! Names and turns of tensors are those by which such folders are read (`weights/keys`), backwards; the settings follow from
//! the sizes of the tensors ([`super::settings`]). The folder is whole or absent.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lorabake_recipe::model::Family;
use lorabake_weights::checkpoint::Prediction;
use lorabake_weights::keys;
use lorabake_weights::stream::{self, PlannedTensor};
use lorabake_weights::{Error as FileError, Part, whole_file};
use serde_json::Value;

use super::settings::{self, Shapes, Vocabulary};
use crate::error::{Error, Result};
use crate::matrix::Matrix;
use crate::metadata::{Metadata, RECIPE};
use crate::output::Output;
use crate::writer::{Content, Plan, Source, Watch};

/// Layers of SD2.x' text encoder that diffusers has; files have one more, which nothing uses.
const OPEN_CLIP_H_LAYERS: usize = 23;

/// How a tensor of the folder follows from one of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// As it is, perhaps without axes of length 1 at its end.
    Same,
    /// A third of its rows: queries, keys or values.
    Third(usize),
    /// Rows and columns changed: OpenCLIP's projection.
    Transposed,
}

/// A tensor of the folder.
struct Piece {
    tensor: PlannedTensor,
    /// The key in the file.
    key: String,
    view: View,
}

/// A model as one file would have it.
pub struct Whole<'m> {
    /// The family.
    pub family: Family,
    /// What it says that its UNet predicts.
    pub prediction: Option<Prediction>,
    /// Its tensors.
    pub tensors: Vec<PlannedTensor>,
    /// Its text metadata.
    pub metadata: Metadata,
    /// Where their numbers come from.
    pub source: &'m dyn Source,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// Tensors of the result.
    pub tensors: usize,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// Writes a folder; `vocabulary` is CLIP's. A recipe of how it was made stands in a file of its own there.
///
/// # Errors
/// When a part is missing, the numbers cannot be read or computed, or the folder is there already or cannot be written.
pub fn write_folder(
    whole: Whole<'_>,
    output: &Output,
    vocabulary: Vocabulary<'_>,
    watch: Watch<'_>,
) -> Result<Written> {
    check(output)?;
    let Whole { family, prediction, tensors, metadata, source } = whole;
    let tensors: BTreeMap<String, PlannedTensor> =
        tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
    let mut parts = BTreeMap::new();
    for part in Part::of(family) {
        let pieces = pieces(*part, family, &tensors);
        if pieces.is_empty() {
            let what = format!("the folder of a model has a {part}, which is left out");
            return Err(Error::wrong("--to diffusers", what, "give a whole model, and no --parts"));
        }
        parts.insert(*part, pieces);
    }
    let mut written = Written { tensors: parts.values().map(Vec::len).sum(), notes: Vec::new() };
    if prediction.is_none() && family == Family::Sd2 {
        written.notes.push(
            "nothing in it says whether it predicts noise or velocity; if pictures are noise, write v_prediction into \
             scheduler/scheduler_config.json"
                .into(),
        );
    }
    let made = Beside::make(&output.path)?;
    let total: u64 = parts.values().map(|pieces| numbers(pieces)).sum();
    let mut done = 0;
    for (part, pieces) in &parts {
        let name = settings::folder_of(*part);
        let stem = if part.is_text() { "model" } else { "diffusion_pytorch_model" };
        let file = made.path.join(name).join(format!("{stem}.safetensors"));
        Folded::of(pieces, &tensors, source).write(&file, &|own, _| watch(done + own, total))?;
        done += numbers(pieces);
    }
    let shapes: BTreeMap<Part, Shapes> = parts.iter().map(|(part, pieces)| (*part, shapes(pieces))).collect();
    made.settings(family, prediction, &shapes, vocabulary)?;
    if let Some(recipe) = metadata.finished()?.get(RECIPE) {
        made.text(&format!("{RECIPE}.toml"), recipe)?;
    }
    made.place(&output.path)?;
    Ok(written)
}

/// Checks that nothing is lost by writing a folder.
///
/// # Errors
/// When there is something at the output that would be lost.
pub fn check(output: &Output) -> Result<()> {
    let shown = output.path.display();
    if output.path.extension().is_some_and(|end| end.eq_ignore_ascii_case("safetensors")) {
        let what = format!("{shown} is the name of a file, and --to diffusers writes a folder");
        return Err(Error::wrong("--output", what, "give a name without .safetensors"));
    }
    if output.path.symlink_metadata().is_err() {
        return Ok(());
    }
    let is_empty = fs::read_dir(&output.path).is_ok_and(|mut inside| inside.next().is_none());
    if is_empty {
        return Ok(());
    }
    let what = format!("{shown} is there already, and a folder is never replaced");
    Err(Error::wrong("--output", what, "give another name"))
}

/// The tensors of a part by diffusers' names, in a file's order.
fn pieces(part: Part, family: Family, tensors: &BTreeMap<String, PlannedTensor>) -> Vec<Piece> {
    let keys: Vec<&str> = tensors.keys().map(String::as_str).collect();
    let mut pieces = Vec::new();
    for (key, name) in keys::diffusers_names(part, &keys) {
        let Some(name) = name else { continue };
        let tensor = &tensors[key];
        if family == Family::Sd2 && layer_of(&name).is_some_and(|layer| layer >= OPEN_CLIP_H_LAYERS) {
            continue;
        }
        // Of the first text encoders diffusers has no projection.
        if part == Part::TextEncoder && name == "text_projection.weight" {
            continue;
        }
        pieces.extend(pieces_of(part, key, &name, tensor));
    }
    let mut order: Vec<PlannedTensor> = pieces.iter().map(|piece| piece.tensor.clone()).collect();
    stream::in_order(&mut order);
    let mut by_name: BTreeMap<String, Piece> = BTreeMap::new();
    for piece in pieces {
        by_name.insert(piece.tensor.name.clone(), piece);
    }
    order.iter().filter_map(|tensor| by_name.remove(&tensor.name)).collect()
}

/// The number of a text encoder's layer.
fn layer_of(name: &str) -> Option<usize> {
    name.strip_prefix("text_model.encoder.layers.")?.split('.').next()?.parse().ok()
}

fn pieces_of(part: Part, key: &str, name: &str, tensor: &PlannedTensor) -> Vec<Piece> {
    let piece = |name: String, shape: Vec<usize>, view| {
        let tensor = PlannedTensor { name, dtype: tensor.dtype, shape };
        Piece { tensor, key: key.to_string(), view }
    };
    let shape = tensor.shape.clone();
    if let Some(parts) = keys::unfused(name) {
        let mut third = shape;
        if let Some(rows) = third.first_mut() {
            *rows /= 3;
        }
        let mut pieces = Vec::new();
        for (place, name) in parts.into_iter().enumerate() {
            pieces.push(piece(name, third.clone(), View::Third(place)));
        }
        return pieces;
    }
    if name == "text_projection.weight" {
        return vec![piece(name.to_string(), shape.into_iter().rev().collect(), View::Transposed)];
    }
    // The VAE's attention is made of convolutions there and of matrices here.
    if part == Part::Vae && name.contains(".attentions.") && shape.len() == 4 {
        return vec![piece(name.to_string(), shape[..2].to_vec(), View::Same)];
    }
    vec![piece(name.to_string(), shape, View::Same)]
}

fn shapes(pieces: &[Piece]) -> Shapes {
    Shapes(pieces.iter().map(|piece| (piece.tensor.name.clone(), piece.tensor.shape.clone())).collect())
}

fn numbers(pieces: &[Piece]) -> u64 {
    pieces.iter().map(|piece| piece.tensor.shape.iter().product::<usize>() as u64).sum()
}

/// A network of the folder, with numbers from one file's tensors.
struct Folded<'m> {
    /// In the file's order.
    planned: Vec<PlannedTensor>,
    pieces: BTreeMap<&'m str, &'m Piece>,
    tensors: &'m BTreeMap<String, PlannedTensor>,
    source: &'m dyn Source,
}

impl<'m> Folded<'m> {
    fn of(pieces: &'m [Piece], tensors: &'m BTreeMap<String, PlannedTensor>, source: &'m dyn Source) -> Self {
        let planned = pieces.iter().map(|piece| piece.tensor.clone()).collect();
        let pieces = pieces.iter().map(|piece| (piece.tensor.name.as_str(), piece)).collect();
        Self { planned, pieces, tensors, source }
    }

    fn write(&self, file: &Path, watch: Watch<'_>) -> Result<()> {
        // transformers refuses files that do not say this.
        let metadata = BTreeMap::from([("format".to_string(), "pt".to_string())]);
        Plan { path: file, tensors: &self.planned, metadata: metadata.into() }.write(self, watch)
    }
}

impl Source for Folded<'_> {
    fn content(&self, tensor: &PlannedTensor) -> Result<Content<'_>> {
        let piece = self.pieces[tensor.name.as_str()];
        let whole = &self.tensors[&piece.key];
        Ok(match (piece.view, self.source.content(whole)?) {
            (View::Same, content) => content,
            (View::Third(place), Content::Bytes(Cow::Borrowed(bytes))) => {
                Content::Bytes(Cow::Borrowed(third(bytes, place)))
            }
            (View::Third(place), Content::Bytes(bytes)) => Content::Bytes(third(&bytes, place).to_vec().into()),
            (View::Third(place), Content::Values(values)) => Content::Values(third(&values, place).to_vec()),
            (View::Transposed, Content::Values(values)) => Content::Values(transposed(whole, values)),
            (View::Transposed, Content::Bytes(bytes)) => Content::Bytes(transposed_bytes(whole, &bytes).into()),
        })
    }

    fn done(&self, tensor: &PlannedTensor) {
        self.source.done(&self.tensors[&self.pieces[tensor.name.as_str()].key]);
    }
}

fn transposed(tensor: &PlannedTensor, values: Vec<f32>) -> Vec<f32> {
    let rows = tensor.shape.first().copied().unwrap_or(1);
    Matrix::new(rows, values.len() / rows.max(1), values).transposed().values
}

fn transposed_bytes(tensor: &PlannedTensor, bytes: &[u8]) -> Vec<u8> {
    let width = tensor.dtype.bitsize() / 8;
    let rows = tensor.shape.first().copied().unwrap_or(1).max(1);
    let columns = bytes.len() / width / rows;
    let mut transposed = Vec::with_capacity(bytes.len());
    for column in 0..columns {
        for row in 0..rows {
            let place = (row * columns + column) * width;
            transposed.extend_from_slice(&bytes[place..place + width]);
        }
    }
    transposed
}

fn third<T>(values: &[T], place: usize) -> &[T] {
    let count = values.len() / 3;
    &values[place * count..(place + 1) * count]
}

/// A folder in the making, beside its place; it is deleted unless it gets there.
struct Beside {
    path: PathBuf,
    placed: std::cell::Cell<bool>,
}

impl Beside {
    fn make(output: &Path) -> Result<Self> {
        let name = output.file_name().unwrap_or_default().to_string_lossy();
        let path = output.with_file_name(format!("{name}.{}.part", std::process::id()));
        fs::create_dir_all(&path).map_err(failed(&path))?;
        Ok(Self { path, placed: false.into() })
    }

    /// Writes everything but weights.
    fn settings(
        &self,
        family: Family,
        prediction: Option<Prediction>,
        shapes: &BTreeMap<Part, Shapes>,
        vocabulary: Vocabulary<'_>,
    ) -> Result<()> {
        for (part, shapes) in shapes {
            let settings = settings::of_network(*part, family, shapes);
            self.json(&format!("{}/config.json", settings::folder_of(*part)), &settings)?;
        }
        let scheduler = settings::scheduler(family, prediction);
        self.json("model_index.json", &settings::index(family, &shapes[&Part::Unet], &scheduler))?;
        self.json("scheduler/scheduler_config.json", &scheduler)?;
        let tokens = vocabulary.file();
        let folders: &[&str] = if family == Family::Sdxl { &["tokenizer", "tokenizer_2"] } else { &["tokenizer"] };
        for (place, folder) in folders.iter().enumerate() {
            let pads_with_mark = family == Family::Sd2 || place == 1;
            self.text(&format!("{folder}/vocab.json"), &tokens)?;
            self.text(&format!("{folder}/merges.txt"), vocabulary.merges)?;
            self.json(&format!("{folder}/tokenizer_config.json"), &settings::tokenizer(pads_with_mark))?;
            self.json(&format!("{folder}/special_tokens_map.json"), &settings::special_tokens(pads_with_mark))?;
        }
        Ok(())
    }

    fn json(&self, name: &str, value: &Value) -> Result<()> {
        self.text(name, &format!("{value:#}\n"))
    }

    fn text(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path.join(name);
        whole_file::write(&path, |out| out.write_all(text.as_bytes())).map_err(failed(&path))
    }

    fn place(&self, output: &Path) -> Result<()> {
        // An empty folder was allowed to be there; elsewhere than on Unix a folder cannot be renamed to one.
        fs::remove_dir(output).ok();
        fs::rename(&self.path, output).map_err(failed(output))?;
        self.placed.set(true);
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.placed.get() {
            fs::remove_dir_all(&self.path).ok();
        }
    }
}

fn failed(path: &Path) -> impl Fn(std::io::Error) -> Error + use<> {
    let path = path.to_path_buf();
    move |source| FileError::Save { path: path.clone(), source }.into()
}
