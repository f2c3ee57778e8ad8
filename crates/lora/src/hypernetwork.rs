//! Hypernetworks for painting: read from the web UI's files, attached to a UNet's attention.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::{HyperActivation, HyperLayer, HyperPair, Hypernetwork};
use lorabake_model::Bundle;
use lorabake_weights::hypernetwork::{HypernetworkFile, LayerTensors};

use crate::attach::Attached;

/// What the paths of the layers end with that make keys.
const KEYS: &str = ".to_k";

/// A hypernetwork that fits a checkpoint.
#[derive(Debug, Clone)]
pub struct HyperNet {
    file: HypernetworkFile,
    activation: Option<HyperActivation>,
    /// Widths of its networks that no attention of the checkpoint has.
    pub unmet: Vec<usize>,
}

impl HyperNet {
    /// Reads the file at `path` for the UNet of `bundle`.
    ///
    /// # Errors
    /// When it cannot be read, is no hypernetwork, has an activation that is not known, or acts on no attention.
    pub fn open(path: &Path, bundle: &Bundle) -> Result<Self> {
        Self::fit(HypernetworkFile::open(path)?, &path.display().to_string(), &widths(bundle))
    }

    /// The hypernetwork of a file for attention of these widths; `label` stands for the file's path in messages.
    fn fit(file: HypernetworkFile, label: &str, widths: &BTreeSet<usize>) -> Result<Self> {
        let activation = HyperActivation::of(&file.activation);
        if activation.is_none() && file.activation != "linear" {
            bail!("{label}: it has the activation {}, which is not supported", file.activation);
        }
        let unmet: Vec<usize> = file.networks.keys().copied().filter(|width| !widths.contains(width)).collect();
        if unmet.len() == file.networks.len() {
            let list = |widths: &[usize]| widths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let wanted: Vec<usize> = widths.iter().copied().collect();
            bail!(
                "{label}: it is for attention of width {}, and this checkpoint's are {}; give one that was made for such \
                 a checkpoint",
                list(&unmet),
                list(&wanted)
            );
        }
        Ok(Self { file, activation, unmet })
    }

    /// Adds it to what is in `to`, behind it; returns its number for [`Attached::with_factors`].
    pub fn attach(&self, strength: f64, device: &Device, to: &mut Attached) -> usize {
        let mut network = Hypernetwork::default();
        for (width, [keys, values]) in &self.file.networks {
            let pair = HyperPair { keys: self.layers(keys, device), values: self.layers(values, device) };
            network.networks.insert(*width, pair);
        }
        let net = to.nets;
        to.nets += 1;
        to.unet.attach_hypernetwork(Arc::new(network), strength, net);
        net
    }

    /// The layers of one network, with the activation behind each linear one; the last has it only if the file says so.
    fn layers(&self, tensors: &[LayerTensors], device: &Device) -> Vec<HyperLayer> {
        let row = |values: &[f32]| Tensor::from_data(TensorData::new(values.to_vec(), [1, values.len()]), device);
        let last = tensors.iter().rposition(|layer| layer.shape.len() == 2);
        let mut layers = Vec::new();
        for (index, layer) in tensors.iter().enumerate() {
            let [outputs, inputs] = layer.shape[..] else {
                layers.push(HyperLayer::Norm { scale: row(&layer.weight), shift: row(&layer.bias) });
                continue;
            };
            let weight = Tensor::from_data(TensorData::new(layer.weight.clone(), [outputs, inputs]), device);
            layers.push(HyperLayer::Linear { weight, bias: row(&layer.bias) });
            if let Some(activation) = self.activation
                && (self.file.activates_output || Some(index) != last)
            {
                layers.push(HyperLayer::Activation(activation));
            }
        }
        layers
    }
}

/// The widths of what the UNet's attention takes for keys.
fn widths(bundle: &Bundle) -> BTreeSet<usize> {
    let sites = bundle.unet.sites().iter();
    sites.filter(|(_, site)| site.path.ends_with(KEYS)).map(|(_, site)| site.layer.inputs()).collect()
}

#[cfg(test)]
mod tests {
    use lorabake_weights::formats::tensor_file::TensorFile;

    use super::*;

    fn golden(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
    }

    fn open(name: &str, widths: &[usize]) -> Result<HyperNet> {
        HyperNet::fit(HypernetworkFile::open(&golden(name))?, name, &widths.iter().copied().collect())
    }

    /// Against `oracle/hypernetwork.py`.
    #[test]
    fn keys_and_values_go_through_their_networks() {
        let device = Device::flex();
        let recorded = TensorFile::open(&golden("hypernetwork.safetensors")).unwrap();
        for name in ["plain", "normed"] {
            let network = open(&format!("hypernetwork_{name}.pt"), &[8, 16]).unwrap();
            assert!(network.unmet.is_empty());
            let mut attached = Attached::default();
            let net = network.attach(0.7, &device, &mut attached);
            let x = recorded.read_f32(&format!("{name}.x")).unwrap();
            let x = Tensor::<3>::from_data(TensorData::new(x, [2, 3, 16]), &device);
            let sources = attached.unet.sources(x.clone());
            for (which, ours) in [("keys", sources.keys), ("values", sources.values)] {
                let ours: Vec<f32> = ours.into_data().try_into_vec().unwrap();
                let theirs = recorded.read_f32(&format!("{name}.{which}")).unwrap();
                let apart = ours.iter().zip(&theirs).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
                let size = theirs.iter().map(|b| b.powi(2)).sum::<f32>().sqrt();
                assert!(apart / size < 1e-6, "{name} {which}: {}", apart / size);
            }
            assert_eq!(net, 0);
            let off = attached.with_factors(&[0.0]).unet.sources(x.clone());
            assert_eq!(off.keys.into_data(), x.into_data());
        }
    }

    #[test]
    fn what_is_none_or_does_not_fit_is_refused() {
        let refusal = |name: &str, widths: &[usize]| open(name, widths).unwrap_err().to_string();
        assert!(refusal("hypernetwork.safetensors", &[16]).contains("it is no hypernetwork"));
        assert!(refusal("missing.pt", &[16]).contains("cannot read"));
        let reason = refusal("hypernetwork_plain.pt", &[8, 32]);
        assert!(reason.contains("it is for attention of width 16, and this checkpoint's are 8, 32"), "{reason}");
    }
}
