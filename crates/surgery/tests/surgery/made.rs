//! Nets and checkpoints of noise, on the tiny model of the repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lorabake_recipe::output::SavePrecision;
use lorabake_surgery::kind::Module;
use lorabake_surgery::like::Like;
use lorabake_surgery::lowered::BaseModel;
use lorabake_surgery::matrix::{Matrix, norm};
use lorabake_surgery::merge::into_model::{IntoModel, into_model};
use lorabake_surgery::net::{NetUse, Strength};
use lorabake_surgery::output::Output;
use lorabake_weights::Checkpoint;
use lorabake_weights::checkpoint::Purpose;
use lorabake_weights::lora::{NetTensors, RawTensor, save_raw};
use lorabake_weights::stream;
use safetensors::Dtype;
use tempfile::TempDir;

/// An attention matrix of 16 × 16 and one of 64 × 16 in the text encoder, a matrix and a wide convolution in the UNet.
pub const LAYERS: [(&str, [usize; 4]); 4] = [
    ("lora_te_text_model_encoder_layers_3_self_attn_q_proj", [16, 16, 1, 1]),
    ("lora_te_text_model_encoder_layers_11_mlp_fc1", [64, 16, 1, 1]),
    ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q", [32, 32, 1, 1]),
    ("lora_unet_down_blocks_0_downsamplers_0_conv", [32, 32, 3, 3]),
];

/// A folder for a test's files.
pub struct Bench {
    folder: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.safetensors"))
    }

    pub fn output(&self, name: &str) -> Output {
        Output { path: self.path(name), precision: Some(SavePrecision::F32), overwrite: false }
    }

    /// Files in the folder.
    pub fn count(&self) -> usize {
        std::fs::read_dir(self.folder.path()).unwrap().count()
    }

    /// A net with tensors of these names and shapes, filled with noise, in every layer that `tensors` has some for.
    pub fn net(
        &self,
        name: &str,
        seed: u64,
        tensors: impl Fn([usize; 4]) -> Vec<(&'static str, Vec<usize>)>,
    ) -> PathBuf {
        let mut noise = Noise(seed);
        let mut all = Vec::new();
        for (module, shape) in LAYERS {
            for (leaf, shape) in tensors(shape) {
                let values = match leaf {
                    "alpha" => vec![3.0],
                    "on_input" => vec![1.0],
                    _ => noise.values(shape.iter().product(), 0.1),
                };
                all.push(raw(&format!("{module}.{leaf}"), shape, &values));
            }
        }
        let path = self.path(name);
        save_raw(&path, all, BTreeMap::new()).unwrap();
        path
    }

    /// A plain LoRA of a rank, also on wide convolutions.
    pub fn lora(&self, name: &str, seed: u64, rank: usize) -> PathBuf {
        self.net(name, seed, |shape| lora_tensors(shape, rank))
    }

    /// The tiny model with noise on some of its weights.
    pub fn model(&self, name: &str, seed: u64) -> PathBuf {
        let base = Checkpoint::open(&tiny()).unwrap();
        let mut noise = Noise(seed);
        let mut all = Vec::new();
        for key in base.names() {
            let mut values = base.read_f32(key).unwrap();
            if key.contains("attn1") || key.contains("layers.3.") || key.contains("decoder.conv_in") {
                let more = noise.values(values.len(), 0.02);
                values.iter_mut().zip(more).for_each(|(value, more)| *value += more);
            }
            all.push(raw(key, base.shape(key).unwrap().to_vec(), &values));
        }
        let path = self.path(name);
        save_raw(&path, all, BTreeMap::new()).unwrap();
        path
    }

    /// A net merged into a model.
    pub fn merged(&self, name: &str, model: &Path, nets: &[(&Path, f64)]) -> PathBuf {
        let output = self.output(name);
        let nets = nets.iter().map(|(path, ratio)| used(path, *ratio)).collect();
        let request =
            IntoModel { model: model.to_path_buf(), vae: None, nets, like: Like::Ours, without_averages: true };
        into_model(&request, &output, BTreeMap::new(), &|_, _| true).unwrap();
        output.path
    }
}

/// The tensors of a plain LoRA on a layer.
pub fn lora_tensors([outputs, inputs, height, width]: [usize; 4], rank: usize) -> Vec<(&'static str, Vec<usize>)> {
    let wide = height * width > 1;
    let down = if wide { vec![rank, inputs, height, width] } else { vec![rank, inputs] };
    let up = if wide { vec![outputs, rank, 1, 1] } else { vec![outputs, rank] };
    vec![("alpha", vec![]), ("lora_down.weight", down), ("lora_up.weight", up)]
}

/// The repository's tiny model.
pub fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny/sd15_tiny.safetensors")
}

pub fn raw(name: &str, shape: Vec<usize>, values: &[f32]) -> RawTensor {
    let bytes = stream::encode(values, Dtype::F32).bytes;
    RawTensor { name: name.to_string(), dtype: Dtype::F32, shape, bytes }
}

pub fn used(path: &Path, ratio: f64) -> NetUse {
    NetUse { path: path.to_path_buf(), strength: Strength::everywhere(ratio) }
}

pub fn open(path: &Path) -> Checkpoint {
    Checkpoint::open_for(Purpose::Painting, path, None).unwrap()
}

/// ΔW of every module that tells it without a model.
pub fn deltas(path: &Path) -> BTreeMap<String, Matrix> {
    let net = NetTensors::open(path).unwrap();
    let mut deltas = BTreeMap::new();
    for name in net.modules() {
        let module = Module::fit(&net.read(name).unwrap(), None).unwrap();
        if let Some(delta) = module.delta(None).unwrap() {
            deltas.insert(name.to_string(), delta);
        }
    }
    deltas
}

/// What a model's layer changed by.
pub fn change(before: &Path, after: &Path, module: &str) -> Matrix {
    let old = BaseModel::of(open(before)).weight(module).unwrap().unwrap();
    let mut new = BaseModel::of(open(after)).weight(module).unwrap().unwrap();
    new.add(-1.0, &old);
    new
}

/// ‖got − want‖ ÷ ‖want‖, whose `want` is something.
pub fn apart(got: &[f32], want: &[f32]) -> f64 {
    assert_eq!(got.len(), want.len());
    assert!(norm(want) > 0.0);
    let difference: Vec<f32> = got.iter().zip(want).map(|(got, want)| got - want).collect();
    norm(&difference) / norm(want)
}

/// Numbers between −1 and 1.
pub struct Noise(pub u64);

impl Noise {
    pub fn values(&mut self, count: usize, size: f32) -> Vec<f32> {
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            values.push(((self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0) * size);
        }
        values
    }
}
