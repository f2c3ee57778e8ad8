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
    /// What settings beside the tensors say that the UNet predicts.
    declared_prediction: Option<Prediction>,
    /// The path of a VAE from elsewhere ([`Checkpoint::use_vae`]).
    vae: Option<String>,
}

/// What a checkpoint is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To train on it.
    Training,
    /// To paint with it: an inpainting model will do, whose UNet takes 9 channels.
    Painting,
}

/// What is known of a model before it is judged.
struct Opened {
    tensors: Tensors,
    purpose: Purpose,
    /// What the settings of a folder say that it is.
    family: Option<Family>,
    /// What is said beside the tensors that the UNet predicts.
    prediction: Option<Prediction>,
}

impl Checkpoint {
    /// Opens (memory-maps) what is at `path`: a file of safetensors, a PyTorch `.ckpt`, whose pickle is read without
    /// running anything, or a folder that diffusers saved. Of a file its content decides which, not its name.
    ///
    /// # Errors
    /// When it cannot be read, is none of these, is cut short or malicious, or holds another kind of model.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_with_vae(path, None)
    }

    /// Opens as [`Checkpoint::open`] does, with the VAE at `vae` in the place of its own, which may be missing then.
    ///
    /// # Errors
    /// As for [`Checkpoint::open`], and when `vae` cannot be read, or is no VAE.
    pub fn open_with_vae(path: &Path, vae: Option<&Path>) -> Result<Self, Error> {
        Self::open_for(Purpose::Training, path, vae)
    }

    /// Opens as [`Checkpoint::open_with_vae`] does, for this purpose.
    ///
    /// # Errors
    /// As for [`Checkpoint::open_with_vae`].
    pub fn open_for(purpose: Purpose, path: &Path, vae: Option<&Path>) -> Result<Self, Error> {
        if path.is_dir() {
            let folder = diffusers_folder::open(path, vae.is_some())?;
            let family = Some(folder.family);
            let opened = Opened { tensors: folder.tensors, purpose, family, prediction: folder.prediction };
            return Self::recognise(opened, vae);
        }
        refusal::refuse_hub_name(path)?;
        let tensors = TensorFile::open(path)?.into();
        Self::recognise(Opened { tensors, purpose, family: None, prediction: Prediction::beside(path) }, vae)
    }

    /// Takes a whole safetensors file from memory, such as the model inside the binary; `name` stands for its path.
    ///
    /// # Errors
    /// As for [`Checkpoint::open`].
    pub fn from_bytes(name: &str, bytes: Cow<'static, [u8]>) -> Result<Self, Error> {
        Self::from_bytes_for(Purpose::Training, name, bytes)
    }

    /// Takes a file from memory as [`Checkpoint::from_bytes`] does, for this purpose.
    ///
    /// # Errors
    /// As for [`Checkpoint::open`].
    pub fn from_bytes_for(purpose: Purpose, name: &str, bytes: Cow<'static, [u8]>) -> Result<Self, Error> {
        let tensors = TensorFile::from_bytes(name, bytes)?.into();
        Self::recognise(Opened { tensors, purpose, family: None, prediction: None }, None)
    }

    fn recognise(opened: Opened, vae: Option<&Path>) -> Result<Self, Error> {
        let Opened { tensors, purpose, family, prediction } = opened;
        let wrong = |file: &str, reason| Error::WrongKind { file: file.to_string(), reason };
        if let Some(reason) = refusal::of_another_kind(&tensors, purpose) {
            return Err(wrong(tensors.label(), reason));
        }
        let family = family.unwrap_or_else(|| keys::family_of(tensors.names().iter().map(String::as_str)));
        let tensors = Arc::new(tensors);
        let mut checkpoint = Self { tensors, family, declared_prediction: prediction, vae: None };
        if let Some(vae) = vae {
            checkpoint.use_vae(vae)?;
        }
        match refusal::fault(&checkpoint.tensors, family) {
            Some(fault) => {
                let file = fault.part.map_or(checkpoint.label(), |part| checkpoint.label_of(part));
                Err(wrong(file, fault.reason))
            }
            None => Ok(checkpoint),
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

    /// What its UNet predicts, if the file says it, or what lies beside it: by a tensor `v_pred` (and `ztsnr`), as current
    /// SDXL models have them, by its metadata, by the scheduler's settings in a folder, or by a settings file.
    pub fn prediction(&self) -> Option<Prediction> {
        Prediction::of(&self.tensors).or(self.declared_prediction)
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

    /// A tensor's bytes, little-endian and row-major, by its name in the file; to be copied into another file.
    ///
    /// # Errors
    /// When there is no such tensor, the file has changed, or its numbers are damaged.
    pub fn copied(&self, name: &str) -> Result<Cow<'_, [u8]>, Error> {
        self.tensors.copied(name)
    }

    /// Says that the bytes of a tensor have been used: they need not stay in memory.
    pub fn release(&self, name: &str) {
        self.tensors.release(name);
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

    /// Tensors that no network has and that are not known to be harmless left-overs of training.
    pub fn unexpected_tensors(&self) -> Vec<&str> {
        let mut unexpected = Vec::new();
        let names: Vec<&str> = self.names().iter().map(String::as_str).collect();
        for part in Part::ALL {
            for (key, name) in keys::diffusers_names(part, &names) {
                if name.is_none() && !keys::is_harmless(key) {
                    unexpected.push(key);
                }
            }
        }
        for name in names {
            if keys::part_of(name).is_none() && !keys::is_harmless(name) {
                unexpected.push(name);
            }
        }
        unexpected
    }

    /// What a user should know of it: tensors that are not used.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let unexpected = self.unexpected_tensors();
        if let Some(first) = unexpected.first() {
            let count = unexpected.len();
            let file = self.label();
            notes.push(format!(
                "{file}: {count} tensors belong to no part of the model and are not used (first: {first})"
            ));
        }
        let title = self.metadata().get("modelspec.title").map_or(String::new(), |title| title.to_lowercase());
        let is_lcm = self.tensors.has_start("model.diffusion_model.time_embed.cond_proj.");
        if is_lcm || ["turbo", "lightning", "lcm", "hyper-sd"].iter().any(|word| title.contains(word)) {
            let file = self.label();
            notes
                .push(format!("{file}: it is distilled for few steps, which training undoes; train on its base model"));
        }
        let averages = self.averages();
        if averages > 0 {
            let file = self.label();
            notes.push(format!("{file}: its {averages} averaged tensors (EMA) are not used; its weights are"));
        }
        notes
    }
}
