//! A Stable Diffusion checkpoint: opened, and known to be of a supported family.
//!
//! SD1.x, SD2.x and SDXL are accepted, as one file in the original (LDM) layout or as a folder of diffusers; LoRAs and
//! other families are recognised by their keys and named. Which tensors a network needs is not decided here but by whoever reads it through [`crate::Loader`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lorabake_recipe::model::Family;
use safetensors::Dtype;
use sha2::{Digest, Sha256};

use crate::family::{self, Kind};
use crate::keys::kohya::Names;
use crate::keys::{self, Part};
use crate::tensor_file::TensorFile;
use crate::tensors::Tensors;
use crate::{Error, diffusers_folder, vae_file};

/// An open checkpoint.
#[derive(Debug)]
pub struct Checkpoint {
    tensors: Arc<Tensors>,
    family: Family,
    /// What a folder's settings say that the UNet predicts.
    told: Option<Prediction>,
    /// Where its VAE comes from, if from elsewhere.
    vae: Option<String>,
}

/// What a checkpoint says that its UNet predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prediction {
    /// The noise.
    Epsilon,
    /// The velocity.
    V {
        /// It was trained with noise that leaves nothing of the image at the last timestep.
        zero_terminal_snr: bool,
    },
}

impl Checkpoint {
    /// Opens (memory-maps) what is at `path`: a file of safetensors, a PyTorch `.ckpt`, whose pickle is read without
    /// running anything, or a folder that diffusers saved. Of a file its content decides which, not its name.
    ///
    /// # Errors
    /// When it cannot be read, is none of these, is cut short or malicious, or holds another kind of model.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if path.is_dir() {
            let folder = diffusers_folder::open(path)?;
            return Self::recognise(folder.tensors, Some(folder.family), folder.prediction);
        }
        refuse_hub_name(path)?;
        Self::recognise(TensorFile::open(path)?.into(), None, None)
    }

    /// Takes a whole safetensors file from memory, such as the model inside the binary; `name` stands for its path.
    ///
    /// # Errors
    /// As for [`Checkpoint::open`].
    pub fn from_bytes(name: &str, bytes: Cow<'static, [u8]>) -> Result<Self, Error> {
        Self::recognise(TensorFile::from_bytes(name, bytes)?.into(), None, None)
    }

    fn recognise(tensors: Tensors, family: Option<Family>, told: Option<Prediction>) -> Result<Self, Error> {
        match refusal(&tensors) {
            Some(reason) => Err(Error::WrongKind { file: tensors.label().to_string(), reason }),
            None => {
                let family = family.unwrap_or_else(|| keys::family_of(tensors.names().iter().map(String::as_str)));
                Ok(Self { tensors: Arc::new(tensors), family, told, vae: None })
            }
        }
    }

    /// Puts another VAE in the place of its own: that of a file (a checkpoint, or a VAE alone, in either naming) or of a
    /// folder of diffusers.
    ///
    /// # Errors
    /// When it cannot be read, or is no VAE.
    ///
    /// # Panics
    /// If a network has been read from it.
    pub fn use_vae(&mut self, path: &Path) -> Result<(), Error> {
        let vae = vae_file::open(path)?;
        self.vae = Some(vae.label().to_string());
        let tensors = Arc::get_mut(&mut self.tensors).expect("its VAE is chosen before it is read");
        tensors.replace(|name| keys::part_of(name) != Some(Part::Vae), vae);
        Ok(())
    }

    /// How many tensors it has of averages that its training kept (EMA); they are not used.
    pub fn averages(&self) -> usize {
        self.names().iter().filter(|name| keys::is_average(name)).count()
    }

    /// What kind of model it is.
    pub fn family(&self) -> Family {
        self.family
    }

    /// What its UNet predicts, if the file says it: by a tensor `v_pred` (and `ztsnr`), as current SDXL models have
    /// them, by its metadata, or by the scheduler's settings in a folder.
    pub fn prediction(&self) -> Option<Prediction> {
        let has = |key: &str| self.shape(key).is_some();
        let said = |key: &str| self.metadata().get(key).map_or("", String::as_str);
        let zero_terminal_snr = has(keys::ZERO_TERMINAL_SNR);
        let by_metadata = match said("modelspec.prediction_type") {
            "v" | "v_prediction" => Some(true),
            "epsilon" => Some(false),
            _ => said("modelspec.architecture").starts_with("stable-diffusion-v2-768-v").then_some(true),
        };
        let v = if has(keys::V_PRED) || zero_terminal_snr { Some(true) } else { by_metadata };
        v.map(|v| if v { Prediction::V { zero_terminal_snr } } else { Prediction::Epsilon }).or(self.told)
    }

    /// How the modules of its LoRAs are called.
    pub fn module_names(&self) -> Names {
        Names::of(&self.names().iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The path as given, for messages.
    pub fn label(&self) -> &str {
        self.tensors.label()
    }

    /// The path of the file or folder that a part comes from, for messages.
    pub fn label_of(&self, part: Part) -> &str {
        self.vae.as_deref().filter(|_| part == Part::Vae).unwrap_or(self.label())
    }

    /// All tensor names as in the file, in the order of the data.
    pub fn names(&self) -> &[String] {
        self.tensors.names()
    }

    /// Shape of a tensor, by its name in the file.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.shape(name)
    }

    /// Type of a tensor's numbers, by its name in the file.
    pub fn dtype(&self, name: &str) -> Option<Dtype> {
        self.tensors.dtype(name)
    }

    /// The file's text metadata.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        self.tensors.metadata()
    }

    /// A tensor's values as f32, row-major, by its name in the file.
    ///
    /// # Errors
    /// When there is no such tensor or its numbers are no floats.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, Error> {
        self.tensors.read_f32(name)
    }

    /// The tensors, for whoever reads them later.
    pub(crate) fn tensors(&self) -> &Arc<Tensors> {
        &self.tensors
    }

    /// SHA-256 of what encodes images, the VAE without its decoder: equal for files whose encoders are equal as f32.
    ///
    /// # Errors
    /// When one of its tensors holds no floats.
    pub fn encoder_digest(&self) -> Result<[u8; 32], Error> {
        let mut names: Vec<&String> = self.names().iter().filter(|name| keys::encodes_images(name)).collect();
        names.sort();
        let mut hash = Sha256::new();
        for name in names {
            let values = self.read_f32(name)?;
            hash.update(format!("{name} {:?}\n", self.shape(name)));
            hash.update(values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
        }
        Ok(hash.finalize().into())
    }

    /// Tensors that belong to no part of the model and are not known to be harmless left-overs of training.
    pub fn strangers(&self) -> Vec<&str> {
        let known = |name: &str| keys::part_of(name).is_some() || keys::is_harmless(name);
        self.names().iter().map(String::as_str).filter(|name| !known(name)).collect()
    }
}

/// Names of the hub are taken by sd-scripts, and lorabake never uses the network.
fn refuse_hub_name(path: &Path) -> Result<(), Error> {
    let Some(name) = path.to_str().filter(|_| !path.exists()) else { return Ok(()) };
    let word = |word: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !word.is_empty() && !word.starts_with('.') && word.chars().all(plain)
    };
    let suffixes = ["safetensors", "ckpt", "pt", "pth", "bin"];
    let known = path.extension().is_some_and(|own| suffixes.iter().any(|suffix| own.eq_ignore_ascii_case(suffix)));
    match name.split_once('/') {
        Some((owner, model)) if word(owner) && word(model) && !known => {
            let reason = format!(
                "there is no such file or folder; if it is a model of the Hugging Face hub, download it first, for \
                 instance with `hf download {name} --local-dir {model}`, and give that folder: lorabake never uses the \
                 network"
            );
            Err(Error::WrongKind { file: name.to_string(), reason })
        }
        _ => Ok(()),
    }
}

/// Why this file is no checkpoint of a family that we know, if it is none.
fn refusal(file: &Tensors) -> Option<String> {
    let names = file.names();
    const ONLY: &str = "only SD1.x, SD2.x and SDXL checkpoints are supported";
    let any = |test: &dyn Fn(&str) -> bool| names.iter().any(|name| test(name));
    let starts = |prefix: &str| any(&|name| name.starts_with(prefix));
    if any(&keys::is_adapter_key) {
        return Some("it is a LoRA, not a checkpoint; give it as --network_weights instead".into());
    }
    if family::kind(file) == Kind::Embedding {
        return Some("it is a textual inversion (embedding), not a checkpoint".into());
    }
    let family = if starts("conditioner.embedders.0.model.") {
        Some("SDXL refiner")
    } else if any(&|name| name.contains("joint_blocks.0.")) {
        Some("SD3")
    } else if any(&|name| name.contains("double_blocks.0.")) {
        Some("Flux")
    } else {
        None
    };
    if let Some(family) = family {
        return Some(format!("it is a model of the {family} family; {ONLY}"));
    }
    if starts("down_blocks.0.") || starts("encoder.down_blocks.0.") || starts("text_model.encoder.") {
        return Some("it is one network of a model in diffusers layout; give the folder of the whole model".into());
    }
    let own = Part::of(keys::family_of(names.iter().map(String::as_str)));
    let missing = own.iter().find(|part| !any(&|name| keys::part_of(name) == Some(**part)));
    if let Some(part) = missing {
        return Some(format!("it has no {part} of a Stable Diffusion model ({} tensors); {ONLY}", names.len()));
    }
    let impossible =
        |name: &&String| file.shape(name).is_some_and(|shape| shape.iter().any(|n| *n == 0 || *n > 1 << 20));
    if let Some(name) = names.iter().find(impossible) {
        let shape = file.shape(name).unwrap_or_default();
        return Some(format!("it is damaged: tensor {name} has the impossible shape {shape:?}"));
    }
    match file.shape("model.diffusion_model.input_blocks.0.0.weight") {
        Some([_, 9, ..]) => Some("it is an inpainting model (9 input channels); use the base model".into()),
        Some([_, 5, ..]) => Some("it is a depth model (5 input channels); use the base model".into()),
        Some([_, 8, ..]) => Some("it is an InstructPix2Pix model (8 input channels); use the base model".into()),
        _ => None,
    }
}
