//! A Stable Diffusion checkpoint: opened, and known to be of a supported family.
//!
//! SD1.x, SD2.x and SDXL are accepted, as one file in the original (LDM) layout or as a folder of diffusers; LoRAs and
//! other families are recognised by their keys and named (`refusal.rs`). Which tensors a network needs is not decided here
//! but by whoever reads it through [`crate::Loader`].

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lorabake_recipe::model::Family;
use safetensors::Dtype;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::formats::tensor_file::TensorFile;
use crate::keys::kohya::KohyaNames;
use crate::keys::{self, Part};
use crate::tensors::Tensors;

pub(crate) mod diffusers_folder;
mod prediction;
mod refusal;
mod vae_file;

pub use prediction::Prediction;

/// An open checkpoint.
#[derive(Debug)]
pub struct Checkpoint {
    tensors: Arc<Tensors>,
    family: Family,
    /// What a folder's settings say that the UNet predicts.
    declared_prediction: Option<Prediction>,
    /// The path of a VAE from elsewhere ([`Checkpoint::use_vae`]).
    vae: Option<String>,
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
        refusal::refuse_hub_name(path)?;
        Self::recognise(TensorFile::open(path)?.into(), None, None)
    }

    /// Takes a whole safetensors file from memory, such as the model inside the binary; `name` stands for its path.
    ///
    /// # Errors
    /// As for [`Checkpoint::open`].
    pub fn from_bytes(name: &str, bytes: Cow<'static, [u8]>) -> Result<Self, Error> {
        Self::recognise(TensorFile::from_bytes(name, bytes)?.into(), None, None)
    }

    fn recognise(
        tensors: Tensors,
        family: Option<Family>,
        declared_prediction: Option<Prediction>,
    ) -> Result<Self, Error> {
        match refusal::refusal(&tensors) {
            Some(reason) => Err(Error::WrongKind { file: tensors.label().to_string(), reason }),
            None => {
                let family = family.unwrap_or_else(|| keys::family_of(tensors.names().iter().map(String::as_str)));
                Ok(Self { tensors: Arc::new(tensors), family, declared_prediction, vae: None })
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
        let zero_terminal_snr = self.shape(keys::ZERO_TERMINAL_SNR).is_some();
        if zero_terminal_snr || self.shape(keys::V_PRED).is_some() {
            return Some(Prediction::V { zero_terminal_snr });
        }
        let metadata = |key: &str| self.metadata().get(key).map_or("", String::as_str);
        match metadata("modelspec.prediction_type") {
            "v" | "v_prediction" => return Some(Prediction::V { zero_terminal_snr: false }),
            "epsilon" => return Some(Prediction::Epsilon),
            _ => {}
        }
        if metadata("modelspec.architecture").starts_with("stable-diffusion-v2-768-v") {
            return Some(Prediction::V { zero_terminal_snr: false });
        }
        self.declared_prediction
    }

    /// How the modules of LoRAs for this checkpoint are called.
    pub fn module_names(&self) -> KohyaNames {
        KohyaNames::of(&self.names().iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The path as given, for messages.
    pub fn label(&self) -> &str {
        self.tensors.label()
    }

    /// The path of the file or folder that a part comes from, for messages.
    pub fn label_of(&self, part: Part) -> &str {
        match &self.vae {
            Some(vae) if part == Part::Vae => vae,
            _ => self.label(),
        }
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
    pub fn unexpected_tensors(&self) -> Vec<&str> {
        let mut unexpected = Vec::new();
        for name in self.names() {
            if keys::part_of(name).is_none() && !keys::is_harmless(name) {
                unexpected.push(name.as_str());
            }
        }
        unexpected
    }
}
