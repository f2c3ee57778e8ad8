//! Pictures seen by an image encoder that the user brings as an ONNX file: CLIP's image tower, DINO, DINOv2, SSCD and their
//! like, which were trained to compare pictures, as no network of Stable Diffusion was.
//!
//! One vector a picture: the output `image_embeds`, else the tokens of `last_hidden_state`, else the first one. Of tokens
//! it is the first (CLS), or the mean where there is none: where their number is a square. Pictures are compared by
//! 1 − cosine, as in DreamBooth's DINO and CLIP-I scores (Ruiz et al. 2022, arXiv 2208.12242).

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use lorabake_onnx::{Network, Port, Side, Values};
use lorabake_pixels::{Rgb, Size};

use super::contract::{Contract, Pool};
use super::maker::hash;
use super::{Features, Patches};

/// Outputs that describe a picture, the best first.
const OUTPUTS: [&str; 2] = ["image_embeds", "last_hidden_state"];

/// An image encoder.
#[derive(Debug)]
pub struct ImageEncoder {
    network: Network,
    contract: Contract,
    output: usize,
    known: RefCell<HashMap<[u8; 32], Arc<Features>>>,
}

impl ImageEncoder {
    /// Reads the encoder at `path` and what it wants of pictures.
    ///
    /// # Errors
    /// When the file cannot be read, is no ONNX file, is no encoder of pictures, or a file beside it makes no sense.
    pub fn open(path: &Path) -> Result<Self> {
        let network = Network::open(path)?;
        let name = path.display();
        let input = match network.inputs() {
            [input] => input,
            [] => bail!("{name}: the network has no input; name an encoder of pictures"),
            several => bail!(
                "{name}: it has {} inputs ({}), and an encoder of pictures has one; export the image encoder alone \
                 (Hugging Face calls it vision_model.onnx)",
                several.len(),
                names(several)
            ),
        };
        let size = size_of(input).map_err(|why| {
            anyhow::anyhow!(
                "{name}: its input `{}` {why}; name an encoder of pictures, such as CLIP or DINO",
                input.name
            )
        })?;
        let contract = Contract::of(path, size)?;
        let output = match &contract.output {
            Some(wanted) => position(network.outputs(), wanted).ok_or_else(|| {
                let known = names(network.outputs());
                anyhow::anyhow!("{name}: it has no output `{wanted}` as its .toml says; it has {known}")
            })?,
            None => OUTPUTS.iter().find_map(|usual| position(network.outputs(), usual)).unwrap_or(0),
        };
        if network.outputs().is_empty() {
            bail!("{name}: the network has no output; name an encoder of pictures");
        }
        Ok(Self { network, contract, output, known: RefCell::default() })
    }

    /// The file's name.
    pub fn name(&self) -> String {
        self.network.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What it wants of pictures.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// The vector of a picture.
    ///
    /// # Errors
    /// When the network cannot be computed, or gives no vector or no numbers.
    pub fn vector(&self, picture: &Rgb) -> Result<Vec<f32>> {
        let (width, height) = self.contract.size;
        let shape = vec![1, 3, height as usize, width as usize];
        let seen = self.network.run(Values { shape, values: self.contract.values(picture) }, self.output)?;
        let vector = self.pooled(&seen)?;
        if vector.is_empty() || vector.iter().any(|value| !value.is_finite()) {
            bail!("{}: what it makes of a picture are no numbers; name another file", self.network.path().display());
        }
        Ok(vector)
    }

    /// What it sees in a picture; each is looked at once.
    ///
    /// # Errors
    /// As [`Self::vector`].
    pub fn features(&self, picture: &Rgb) -> Result<Arc<Features>> {
        let hash = hash(picture);
        if let Some(known) = self.known.borrow().get(&hash) {
            return Ok(Arc::clone(known));
        }
        let global = self.vector(picture)?;
        let patches = Patches { side: 1, width: global.len(), values: global.clone() };
        let made = Arc::new(Features { coarse: patches.clone(), patches, global, layout: Vec::new() });
        self.known.borrow_mut().insert(hash, Arc::clone(&made));
        Ok(made)
    }

    /// The vector in what the network gives for one picture.
    fn pooled(&self, seen: &Values) -> Result<Vec<f32>> {
        let Values { shape, values } = seen;
        match shape.as_slice() {
            [1, _] => Ok(values.clone()),
            [1, tokens, width] if *tokens > 0 && *width > 0 => {
                let is_square = tokens.isqrt().pow(2) == *tokens;
                let usual = if is_square && *tokens > 1 { Pool::Mean } else { Pool::Cls };
                match self.contract.pool.unwrap_or(usual) {
                    Pool::Cls => Ok(values[..*width].to_vec()),
                    Pool::Mean => Ok(mean_of_rows(values, *width)),
                }
            }
            [1, channels, rows, columns] if *channels > 0 && rows * columns > 0 => {
                let planes = values.chunks_exact(rows * columns);
                Ok(planes.map(|plane| plane.iter().sum::<f32>() / plane.len() as f32).collect())
            }
            other => {
                let name = &self.network.outputs()[self.output].name;
                bail!(
                    "{}: its output `{name}` has the shape {other:?}, which describes no single picture; name the right \
                     one as `output` in {}",
                    self.network.path().display(),
                    self.network.path().with_extension("toml").display()
                )
            }
        }
    }
}

/// The mean of all rows of a matrix with so many columns.
fn mean_of_rows(values: &[f32], width: usize) -> Vec<f32> {
    let mut mean = vec![0.0; width];
    let rows = values.len() / width;
    for row in values.chunks_exact(width) {
        for (sum, value) in mean.iter_mut().zip(row) {
            *sum += value / rows as f32;
        }
    }
    mean
}

fn position(ports: &[Port], name: &str) -> Option<usize> {
    ports.iter().position(|port| port.name == name)
}

fn names(ports: &[Port]) -> String {
    ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The size (width, height) that the input wants, if it wants one; else what is wrong with it.
fn size_of(input: &Port) -> Result<Option<Size>, String> {
    if !input.is_f32 {
        return Err("takes no pictures of f32 values".to_owned());
    }
    let Some(shape) = &input.shape else { return Ok(None) };
    let [batch, channels, height, width] = shape.as_slice() else {
        return Err(format!("has {} sides and not four (batch, colours, height, width)", shape.len()));
    };
    if let Side::Fixed(batch) = batch
        && *batch != 1
    {
        return Err(format!("takes {batch} pictures at once and not one"));
    }
    match [channels, height, width] {
        [Side::Fixed(3) | Side::Free, Side::Fixed(height), Side::Fixed(width)] => {
            Ok(Some((*width as u32, *height as u32)))
        }
        [Side::Fixed(3) | Side::Free, ..] => Ok(None),
        [Side::Fixed(_), _, Side::Fixed(3)] => Err("has its colours last and not first (NHWC)".to_owned()),
        [Side::Fixed(channels), ..] => Err(format!("has {channels} colours and not three")),
    }
}
