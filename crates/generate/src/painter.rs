//! A checkpoint's networks, ready to paint requests with.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use burn::tensor::{Device, Tensor, TensorData};
use lorabake_device::ThreadGroups;
use lorabake_diffusion::{NoiseTable, Prediction, Schedule};
use lorabake_lora::Attached;
use lorabake_model::control::ControlNet;
use lorabake_model::vae::{Decoder, Encoder, FACTOR};
use lorabake_model::{Bundle, Conditioning, VaeHalves, WeightDtypes};
use lorabake_ops::{Edges, give_memory_back, is_host};
use lorabake_pixels::Rgb;
use lorabake_weights::{Checkpoint, Family, Part, checkpoint};

use crate::conditioning::chunks::COMMA_BACKTRACK;
use crate::conditioning::{Encoders, KeptTexts, TextOptions, ToldSizes};
use crate::control::{ActiveControl, ControlUnit, MapFor};
use crate::embedding::EmbeddingTable;
use crate::file_hashes;
use crate::nets::{FoundNetwork, Nets};
use crate::png_text::NamedHash;
use crate::prompt::emphasis::Emphasis;
use crate::request::Request;

/// With and without the prompt.
const GUIDANCE_HALVES: usize = 2;

/// Bytes of the decoder's images for each pixel of the picture: 256 channels and 128 in f32 at the same time, and bands.
const DECODED_PIXEL: usize = 1700;

/// A checkpoint's networks, ready to paint with.
#[derive(Debug)]
pub struct Painter {
    pub(crate) bundle: Bundle,
    pub(crate) encoder: Encoder,
    pub(crate) decoder: Decoder,
    pub(crate) prediction: Prediction,
    pub(crate) table: NoiseTable,
    /// The noise levels that the checkpoint was trained with.
    pub(crate) schedule: Schedule,
    pub(crate) threads: ThreadGroups,
    pub(crate) device: Device,
    /// Names that stand for vectors.
    pub embeddings: EmbeddingTable,
    checkpoint: Checkpoint,
    dtypes: WeightDtypes,
    controls: RefCell<BTreeMap<PathBuf, Arc<ControlNet>>>,
    pub(crate) kept_texts: RefCell<KeptTexts>,
}

/// What a checkpoint predicts, if the user knows better than its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Predicts {
    /// As the file says, or noise.
    AsFile,
    /// Velocities.
    Velocity,
    /// Velocities, and nothing of the picture is left at the last timestep.
    VelocityZeroTerminalSnr,
}

impl Painter {
    /// Reads the networks, whose matrices are held as `dtypes` says; with `tiling` their convolutions wrap around. Only the
    /// UNet's stay in memory: text encoders and VAE do their work once a picture, and are read from the file for it.
    ///
    /// # Errors
    /// When one of its networks does not fit.
    pub fn open(
        checkpoint: Checkpoint,
        dtypes: WeightDtypes,
        predicts: Predicts,
        tiling: bool,
        device: Device,
    ) -> Result<Self> {
        let edges = if tiling { Edges::Wrap } else { Edges::Zeros };
        let mut bundle = Bundle::open_with_edges(&checkpoint, VaeHalves::Painting, dtypes, edges)?;
        bundle.read(|part, _| part == Part::Unet)?;
        let encoder = bundle.encoder.take().expect("VaeHalves::Painting brings the encoder");
        let decoder = bundle.decoder.take().expect("VaeHalves::Painting brings the decoder");
        let said = match checkpoint.prediction() {
            Some(checkpoint::Prediction::V { zero_terminal_snr }) => (Prediction::V, zero_terminal_snr),
            Some(checkpoint::Prediction::Epsilon) | None => (Prediction::Epsilon, false),
        };
        let (prediction, zero_terminal_snr) = match predicts {
            Predicts::AsFile => said,
            Predicts::Velocity => (Prediction::V, said.1),
            Predicts::VelocityZeroTerminalSnr => (Prediction::V, true),
        };
        let mut schedule = Schedule::stable_diffusion();
        let mut table = NoiseTable::stable_diffusion();
        if zero_terminal_snr {
            schedule = schedule.zero_terminal_snr();
            table = table.zero_terminal_snr();
        }
        if bundle.family == Family::Sdxl {
            table = table.xl();
        }
        let embeddings = EmbeddingTable::new(&bundle);
        let threads = ThreadGroups::of(&device, GUIDANCE_HALVES);
        let controls = RefCell::default();
        Ok(Self {
            bundle,
            encoder,
            decoder,
            prediction,
            table,
            schedule,
            threads,
            device,
            embeddings,
            checkpoint,
            dtypes,
            controls,
            kept_texts: RefCell::default(),
        })
    }

    /// Whether the UNet is given a mask and the masked picture, too.
    pub fn is_inpainting_model(&self) -> bool {
        self.bundle.unet.input_channels() > 4
    }

    /// What kind of model it is.
    pub fn family(&self) -> Family {
        self.bundle.family
    }

    /// How many pairs of prompt and negative prompt it has encoded.
    pub fn texts_encoded(&self) -> usize {
        self.kept_texts.borrow().made()
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Takes as much of the UNet out of memory as the images of the decoder need, until [`Self::bring_unet`]. On a GPU it
    /// stays, where reading it again would take longer than the picture.
    fn make_room_to_decode(&self, pixels: usize) {
        if is_host(&self.device) {
            self.bundle.make_room(Part::Unet, DECODED_PIXEL * pixels);
            give_memory_back();
        }
    }

    /// The networks as the checkpoint has them; [`Self::bring_unet`] before the UNet is used.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// What the UNet predicts.
    pub fn prediction(&self) -> Prediction {
        self.prediction
    }

    /// The noise levels that the checkpoint was trained with.
    pub fn table(&self) -> &NoiseTable {
        &self.table
    }

    /// Threads that take two samples side by side.
    pub fn threads(&self) -> &ThreadGroups {
        &self.threads
    }

    /// Where the networks are computed.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What the UNet is told of a text, without LoRAs, for a picture of `size` [width, height] in pixels.
    ///
    /// # Errors
    /// When the text's emphasis cannot be read.
    pub fn conditioning(&self, text: &str, size: [usize; 2]) -> Result<Conditioning> {
        let encoders = Encoders {
            bundle: &self.bundle,
            adapters: &Attached::default(),
            embeddings: &self.embeddings,
            options: TextOptions {
                clip_skip: 1,
                emphasis: Emphasis::default(),
                comma_backtrack: COMMA_BACKTRACK,
                sizes: ToldSizes::default(),
            },
            device: &self.device,
        };
        Ok(encoders.encode(&[text], size, false)?.remove(0))
    }

    /// Brings what of the UNet is not in memory back.
    ///
    /// # Errors
    /// When the file no longer has it, or holds it damaged.
    pub fn bring_unet(&self) -> Result<()> {
        Ok(self.bundle.read(|part, _| part == Part::Unet)?)
    }

    /// Reads the networks of a prompt.
    ///
    /// # Errors
    /// When a file cannot be read, is none, or does not fit.
    pub fn nets(&self, networks: &[FoundNetwork]) -> Result<Nets> {
        Nets::open(networks, &self.bundle, &self.device, self.embeddings.clone())
    }

    /// ControlNets with what they make of their pictures for a picture of `size` [width, height], or for a part of one.
    ///
    /// # Errors
    /// When a net cannot be read, or is for another family.
    pub(crate) fn controls(&self, units: &[ControlUnit], size: [usize; 2], of: MapFor) -> Result<Vec<ActiveControl>> {
        let mut active = Vec::new();
        for unit in units {
            let net = self.control_net(&unit.model)?;
            let map = unit.map((size[0] as u32, size[1] as u32), of);
            let map = map.map_err(|why| anyhow!("--control_image: {why}"))?;
            let hint = net.hint(self.image_tensor(&map, 0.0));
            let ControlUnit { weight, start, end, mode, .. } = *unit;
            let is_soft = unit.is_soft_in(of);
            active.push(ActiveControl { net, hint, weight, start, end, mode, is_soft });
        }
        Ok(active)
    }

    /// Holds a net that requests call by `path`, as if it had been read from there.
    pub fn hold_control_net(&self, path: &Path, net: ControlNet) {
        self.controls.borrow_mut().insert(path.to_owned(), Arc::new(net));
    }

    /// Reads the ControlNet at `path` before it is needed.
    ///
    /// # Errors
    /// When it cannot be read, or is for another family.
    pub fn bring_control_net(&self, path: &Path) -> Result<()> {
        self.control_net(path).map(drop)
    }

    /// The net at `path`, read once.
    fn control_net(&self, path: &Path) -> Result<Arc<ControlNet>> {
        if let Some(net) = self.controls.borrow().get(path) {
            return Ok(Arc::clone(net));
        }
        let net = Arc::new(ControlNet::open(path, &self.checkpoint, self.dtypes.unet)?);
        self.controls.borrow_mut().insert(path.to_owned(), Arc::clone(&net));
        Ok(net)
    }

    /// The latents of a picture: the mean of their distribution, in the UNet's scale.
    ///
    /// # Shapes
    /// - output: [1, 4, height / 8, width / 8]
    pub fn encode(&self, image: &Rgb) -> Tensor<4> {
        self.encode_values(self.image_tensor(image, -1.0))
    }

    /// The same of a picture in −1 to 1, [1, 3, H, W].
    pub(crate) fn encode_values(&self, image: Tensor<4>) -> Tensor<4> {
        self.encoder.forward(image).mean.mul_scalar(self.encoder.latent_scale())
    }

    /// The picture of latents, and its values before they are cut to bytes.
    ///
    /// # Shapes
    /// - latents: [1, 4, H, W]
    ///
    /// # Errors
    /// When it holds values that are not numbers.
    pub fn decode(&self, latents: Tensor<4>) -> Result<Decoded> {
        let [_, _, rows, columns] = latents.dims();
        self.make_room_to_decode(rows * columns * FACTOR * FACTOR);
        let image = self.decoder.forward(latents.div_scalar(self.decoder.latent_scale()));
        let [_, _, height, width] = image.dims();
        let values: Vec<f32> = image.into_data().try_into_vec().expect("the networks compute in f32");
        // The VAE's images are large, and a GPU keeps the place of what is gone.
        self.device.memory_cleanup();
        if values.iter().any(|value| !value.is_finite()) {
            if let Some(error) = self.bundle.fault() {
                return Err(error.into());
            }
            bail!("the picture holds values that are not numbers; lower the strength of the LoRA or --cfg_scale");
        }
        let image = Rgb { width: width as u32, height: height as u32, data: bytes(&values) };
        Ok(Decoded { image, values })
    }

    /// The hashes of the embeddings that the texts of `request` use.
    ///
    /// # Errors
    /// When a file, or a text, cannot be read.
    pub fn embedding_hashes(&self, request: &Request, nets: &Nets) -> Result<Vec<NamedHash>> {
        let encoders = Encoders {
            bundle: &self.bundle,
            adapters: nets.attached(),
            embeddings: &nets.embeddings,
            options: request.text,
            device: &self.device,
        };
        let mut texts = vec![request.prompt.as_str(), request.negative_prompt.as_str()];
        if let Some(hires) = &request.hires {
            texts.extend(hires.prompt.as_deref());
            texts.extend(hires.negative_prompt.as_deref());
        }
        let mut used = BTreeSet::new();
        for chunks in encoders.chunks(&texts)?.into_iter().flatten() {
            used.extend(chunks.chunks.iter().flat_map(|chunk| &chunk.fixes).map(|fix| fix.embedding));
        }
        let mut hashes = Vec::new();
        for number in used {
            let entry = &nets.embeddings.entries()[number];
            if let Some(path) = &entry.path {
                hashes.push(NamedHash { name: entry.name.clone(), hash: file_hashes::embedding_hash(path)? });
            }
        }
        Ok(hashes)
    }

    /// A picture as values from `lowest` (0 or −1) to 1.
    ///
    /// # Shapes
    /// - output: [1, 3, H, W]
    pub(crate) fn image_tensor(&self, image: &Rgb, lowest: f32) -> Tensor<4> {
        let [width, height] = [image.width, image.height].map(|side| side as usize);
        let span = 1.0 - lowest;
        let mut values = Vec::with_capacity(3 * width * height);
        for channel in 0..3 {
            for byte in image.data.iter().skip(channel).step_by(3) {
                values.push(f32::from(*byte) / 255.0 * span + lowest);
            }
        }
        Tensor::from_data(TensorData::new(values, [1, 3, height, width]), &self.device)
    }
}

/// A decoded picture.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// Its pixels.
    pub image: Rgb,
    /// As the VAE gave it, before clamping to −1..=1: (3, height, width) row-major.
    pub values: Vec<f32>,
}

/// (3, H, W) in −1..=1 to bytes, pixel by pixel. As the web UI, which cuts off and does not round.
fn bytes(values: &[f32]) -> Vec<u8> {
    let plane = values.len() / 3;
    let mut bytes = Vec::with_capacity(values.len());
    for pixel in 0..plane {
        for channel in 0..3 {
            let value = (values[channel * plane + pixel] + 1.0) / 2.0;
            bytes.push((value.clamp(0.0, 1.0) * 255.0) as u8);
        }
    }
    bytes
}
