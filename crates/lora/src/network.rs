//! A LoRA in main memory: named modules with their values, made fresh or read from a file (`open.rs`).

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::{AdapterDraw, AdapterSpec, AdapterTensor, Ia3Kind, Method, Parameter, Sites, adapter_specs};
use lorabake_model::Bundle;
use lorabake_recipe::network::{Network as NetworkSettings, Scope};
use lorabake_recipe::seed::Seed;
use lorabake_weights::{NamedTensor, Part};

/// One module: the adapter of one layer.
#[derive(Debug, Clone)]
pub struct NetworkModule {
    /// kohya's name, for instance `lora_unet_mid_block_attentions_0_proj_in`.
    pub name: String,
    /// One of the text encoders, or the UNet.
    pub part: Part,
    /// Layer, kind, size and parameters.
    pub spec: AdapterSpec,
    /// Values of each parameter, row-major.
    pub values: Vec<Vec<f32>>,
}

/// All modules, the text encoders' first, each part in the order of its layers.
#[derive(Debug, Clone)]
pub struct LoraNetwork {
    /// The modules.
    pub modules: Vec<NetworkModule>,
}

impl LoraNetwork {
    /// Fresh adapters: first values from the seed's stream `init`.
    pub fn fresh(settings: &NetworkSettings, bundle: &Bundle, seed: Seed) -> Self {
        let mut modules = Vec::new();
        for (part, sites) in parts(settings.scope, bundle) {
            for spec in adapter_specs(sites, settings, |path| bundle.names.path(part, path)) {
                let Some(name) = bundle.names.module(part, &sites.get(spec.site).path) else { continue };
                let mut rng = seed.stream("init", &[part_index(part), modules.len() as u64]);
                let values = spec.initial(sites, &mut rng);
                modules.push(NetworkModule { name, part, spec, values });
            }
        }
        Self { modules }
    }

    /// Bytes of the values that [`Self::fresh`] would take.
    pub fn fresh_bytes(settings: &NetworkSettings, bundle: &Bundle) -> u64 {
        let mut numbers: u64 = 0;
        for (part, sites) in parts(settings.scope, bundle) {
            for spec in adapter_specs(sites, settings, |path| bundle.names.path(part, path)) {
                for parameter in &spec.parameters {
                    numbers += parameter.shape.iter().map(|side| *side as u64).product::<u64>();
                }
            }
        }
        numbers * size_of::<f32>() as u64
    }

    /// Leaves only the modules that `scope` trains.
    pub fn keep(&mut self, scope: Scope) {
        self.modules.retain(|module| is_in(scope, module.part));
    }

    /// Number of modules of one part.
    pub fn count(&self, part: Part) -> usize {
        self.modules.iter().filter(|module| module.part == part).count()
    }

    /// Number of modules of all text encoders.
    pub fn text_count(&self) -> usize {
        self.modules.iter().filter(|module| module.part.is_text()).count()
    }

    /// Number of trainable values.
    pub fn parameters(&self) -> usize {
        self.modules.iter().flat_map(|module| &module.values).map(Vec::len).sum()
    }

    /// Number of trainable tensors of one part.
    pub fn tensor_count(&self, part: Part) -> usize {
        self.modules.iter().filter(|module| module.part == part).map(|module| module.values.len()).sum()
    }

    /// Every trainable tensor, in the order of the modules.
    pub fn trainables(&mut self) -> impl Iterator<Item = (&mut Vec<f32>, &Parameter)> {
        self.modules.iter_mut().flat_map(|module| module.values.iter_mut().zip(&module.spec.parameters))
    }

    /// Every trainable tensor under the name that states have for it.
    pub fn state(&self) -> impl Iterator<Item = (String, &Vec<f32>)> {
        self.modules.iter().flat_map(|module| {
            let key = |parameter: &Parameter| format!("{}.{}", module.name, parameter.name);
            module.spec.parameters.iter().map(key).zip(&module.values)
        })
    }

    /// What the modules' changes are scaled with, under the names that states have for it.
    pub fn alphas(&self) -> Vec<(String, Vec<f32>)> {
        let alpha = |module: &NetworkModule| {
            let size = module.spec.method.size()?;
            Some((format!("{}.alpha", module.name), vec![size.alpha as f32]))
        };
        self.modules.iter().filter_map(alpha).collect()
    }

    /// Everything that goes into a file.
    pub fn tensors(&self) -> Vec<NamedTensor> {
        let mut tensors = Vec::new();
        for module in &self.modules {
            let scalar = match module.spec.method {
                Method::Ia3(Ia3Kind { on_input }) => module.scalar("on_input", f32::from(u8::from(on_input))),
                method => module.scalar("alpha", method.size().map_or(0.0, |size| size.alpha as f32)),
            };
            tensors.push(scalar);
            for AdapterTensor { leaf, shape, values } in module.spec.to_file(&module.values) {
                tensors.push(NamedTensor { name: format!("{}.{leaf}", module.name), shape, values });
            }
        }
        tensors
    }
}

impl NetworkModule {
    /// ΔW before any weight decomposition; `None` for (IA)^3, whose change is a share of the layer.
    ///
    /// # Shapes
    /// - output: [out, in·k·k]
    pub fn change(&self, device: &Device) -> Option<Tensor<2>> {
        self.spec.adapter(self.tensors(device), 1.0, &AdapterDraw::default()).change()
    }

    fn scalar(&self, leaf: &str, value: f32) -> NamedTensor {
        NamedTensor { name: format!("{}.{leaf}", self.name), shape: Vec::new(), values: vec![value] }
    }

    /// Each parameter as a matrix on a device.
    ///
    /// # Shapes
    /// - each: [`Parameter::matrix`], the first axis against all others.
    pub(crate) fn tensors(&self, device: &Device) -> Vec<Tensor<2>> {
        let mut tensors = Vec::with_capacity(self.values.len());
        for (values, parameter) in self.values.iter().zip(&self.spec.parameters) {
            tensors.push(Tensor::from_data(TensorData::new(values.clone(), parameter.matrix()), device));
        }
        tensors
    }
}

/// The networks that `scope` adapts, the text encoders first as in sd-scripts.
pub(crate) fn parts(scope: Scope, bundle: &Bundle) -> Vec<(Part, &Sites)> {
    let mut parts = Vec::new();
    for part in Part::ADAPTED {
        if is_in(scope, part)
            && let Some(sites) = bundle.sites(part)
        {
            parts.push((part, sites));
        }
    }
    parts
}

/// Whether `scope` trains this part.
fn is_in(scope: Scope, part: Part) -> bool {
    match scope {
        Scope::Both => true,
        Scope::UnetOnly => part == Part::Unet,
        Scope::TextEncoderOnly => part.is_text(),
    }
}

/// Numbers the streams of first values; they are not to change.
fn part_index(part: Part) -> u64 {
    match part {
        Part::TextEncoder => 0,
        Part::Unet | Part::Vae => 1,
        Part::TextEncoder2 => 2,
    }
}
