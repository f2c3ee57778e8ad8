//! Reading a file of a net for painting: every adapted layer with all of its tensors, whatever kind of adapter it is.
//!
//! Beside what [`super::LoraFile`] reads, which can be trained on, these are LyCORIS' GLoRA, OFT, BOFT, full differences
//! and norms, kohya's OFT, differences of biases, and embeddings that lie beside the LoRA.

use std::collections::BTreeMap;
use std::path::Path;

use lorabake_recipe::model::Family;

use super::file::{ModuleTensor, Problem};
use super::net_tensors::NetTensors;
use crate::Error;

/// A file of a net, read whole.
#[derive(Debug, Clone)]
pub struct NetFile {
    /// The file's text metadata.
    pub metadata: BTreeMap<String, String>,
    /// The adapted layers, sorted by name.
    pub modules: Vec<NetFileModule>,
    /// Embeddings that lie in the file beside the net, by name: their tensors by what follows the name, such as
    /// `string_to_param.*` or `clip_l`.
    pub embeddings: BTreeMap<String, BTreeMap<String, ModuleTensor>>,
    /// What of the file could not be used, and why.
    pub problems: Vec<Problem>,
    family: Option<Family>,
}

/// All tensors of one adapted layer.
#[derive(Debug, Clone, PartialEq)]
pub struct NetFileModule {
    /// kohya's name, such as `lora_unet_mid_block_attentions_0_proj_in`, or the web UI's.
    pub name: String,
    /// The tensors by what follows the module's name, such as `lora_up.weight`, `alpha` and `on_input`.
    pub tensors: BTreeMap<String, ModuleTensor>,
}

impl NetFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, or is something else than a net, which is named then.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = NetTensors::open(path)?;
        let mut modules = Vec::new();
        for name in file.modules() {
            modules.push(NetFileModule { name: name.to_string(), tensors: file.read(name)? });
        }
        Ok(Self {
            metadata: file.metadata().clone(),
            modules,
            embeddings: file.read_embeddings()?,
            problems: file.problems().to_vec(),
            family: file.family(),
        })
    }

    /// The family of checkpoints that this net was trained for, if names, shapes or metadata tell.
    pub fn family(&self) -> Option<Family> {
        self.family
    }
}
