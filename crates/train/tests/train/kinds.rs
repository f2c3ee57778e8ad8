//! Every kind of adapter from the options to the file, into a second run and into a picture.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

use lorabake_diffusion::Sampler;
use lorabake_generate::{LoraUse, Pipeline, Request};
use lorabake_lora::{LoraNetwork, Strength};
use lorabake_model::{Bundle, VaeHalves, WeightDtypes};
use lorabake_ops::WeightDtype;
use lorabake_recipe::parse_train;
use lorabake_recipe::seed::Seed;
use lorabake_testkit::tiny::{SD15, USE_SD15};
use lorabake_train::bake;
use lorabake_weights::Checkpoint;
use lorabake_weights::Part;
use lorabake_weights::lora::LoraFile;

/// Module, arguments, then for one linear layer and one 3×3 convolution the tensors of the file.
const KINDS: [(&str, &str, &str, &str); 10] = [
    ("lycoris.kohya", "algo=dylora block_size=1", "lora_down.weight lora_up.weight", "lora_down.weight lora_up.weight"),
    ("networks.lora", "conv_dim=1", "lora_down.weight lora_up.weight", "lora_down.weight lora_up.weight"),
    ("networks.dylora", "unit=1", "lora_down.weight lora_up.weight", ""),
    (
        "lycoris.kohya",
        "algo=locon use_tucker=True",
        "lora_down.weight lora_up.weight",
        "lora_down.weight lora_mid.weight lora_up.weight",
    ),
    ("lycoris.kohya", "algo=loha conv_dim=0", "hada_w1_a hada_w1_b hada_w2_a hada_w2_b", ""),
    (
        "lycoris.kohya",
        "algo=loha use_cp=True preset=unet-only",
        "hada_w1_a hada_w1_b hada_w2_a hada_w2_b",
        "hada_t1 hada_t2 hada_w1_a hada_w1_b hada_w2_a hada_w2_b",
    ),
    ("lycoris.kohya", "algo=lokr factor=4", "lokr_w1 lokr_w2_a lokr_w2_b", "lokr_w1 lokr_w2_a lokr_w2_b"),
    ("lycoris.kohya", "algo=lokr full_matrix=True", "lokr_w1 lokr_w2", "lokr_w1 lokr_w2"),
    ("lycoris.kohya", "algo=ia3 preset=full", "weight", "weight"),
    (
        "lycoris.kohya",
        "algo=lora dora_wd=True",
        "dora_scale lora_down.weight lora_up.weight",
        "dora_scale lora_down.weight lora_up.weight",
    ),
];
const LINEAR: &str = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q";
const WIDE: &str = "lora_unet_mid_block_resnets_0_conv1";

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("train/2_cat");
        std::fs::create_dir_all(&folder).unwrap();
        let picture =
            image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x * 3) as u8, (y * 2) as u8, (x + y) as u8]));
        picture.save(folder.join("0.png")).unwrap();
        std::fs::write(folder.join("0.txt"), "cat, grass").unwrap();
        Self { dir }
    }

    fn try_bake(&self, out: &str, words: &str) -> anyhow::Result<PathBuf> {
        let train = format!("--train_data_dir={}", self.dir.path().join("train").display());
        let out = format!("--output_dir={}", self.dir.path().join(out).display());
        let fixed = "--resolution=64 --seed=7 --learning_rate=1e-2 --network_dim=2 --network_alpha=1 --output_name=cat";
        let words =
            [train.as_str(), out.as_str(), USE_SD15].into_iter().chain(fixed.split(' ')).chain(words.split(' '));
        let words: Vec<OsString> = words.filter(|word| !word.is_empty()).map(OsString::from).collect();
        let parsed = parse_train(&words).unwrap_or_else(|error| panic!("{error}"));
        let ((events, _heard), (_orders, commands)) = (channel(), channel());
        Ok(bake(&parsed, &events, &commands)?.file)
    }

    fn bake(&self, out: &str, words: &str) -> PathBuf {
        self.try_bake(out, words).unwrap_or_else(|error| panic!("{words}: {error}"))
    }
}

type Values = BTreeMap<String, Vec<f32>>;

fn values(path: &Path) -> Values {
    let file = LoraFile::open(path).unwrap();
    let tensors = file.modules.into_iter().flat_map(|module| {
        let name = module.name;
        module.tensors.into_iter().map(move |(leaf, tensor)| (format!("{name}.{leaf}"), tensor.values))
    });
    tensors.collect()
}

fn far_apart(a: &Values, b: &Values) -> f64 {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    let square = |x: f32| f64::from(x).powi(2);
    let pairs = || a.values().flatten().zip(b.values().flatten());
    (pairs().map(|(a, b)| square(a - b)).sum::<f64>() / pairs().map(|(_, b)| square(*b)).sum::<f64>()).sqrt()
}

fn leaves(file: &LoraFile, name: &str) -> String {
    let module = file.modules.iter().find(|module| module.name == name);
    module.map_or_else(String::new, |module| module.tensors.keys().cloned().collect::<Vec<_>>().join(" "))
}

fn picture(painter: &Pipeline, lora: Option<(&Path, f64)>) -> Vec<f32> {
    let lora = lora.map(|(path, strength)| {
        let strength = Strength { text: strength, unet: strength };
        LoraUse { path: path.into(), strength }
    });
    let request = Request {
        prompt: "a cat".into(),
        negative_prompt: String::new(),
        loras: lora.into_iter().collect(),
        width: 64,
        height: 64,
        steps: 2.try_into().unwrap(),
        cfg_scale: 1.0,
        seed: 0,
        sampler: Sampler::Ddim,
        clip_skip: 1,
        noise: None,
    };
    painter.paint(&request, &mut |_, _| ()).unwrap().latent
}

/// Trains, saves LyCORIS' names, goes on from the file with and without the same options, and acts on a picture in
/// proportion to its strength.
#[test]
fn every_kind_is_trained_saved_read_and_painted_with() {
    let bench = Bench::new();
    let painter =
        Pipeline::load(&Checkpoint::open(Path::new(SD15)).unwrap(), WeightDtypes::all(WeightDtype::F32)).unwrap();
    let plain = picture(&painter, None);
    for (index, (module, args, linear, wide)) in KINDS.into_iter().enumerate() {
        let options = format!("--network_module={module} --network_args {args}");
        let first = bench.bake(&format!("{index}-first"), &format!("{options} --max_train_steps=2"));
        let file = LoraFile::open(&first).unwrap();
        assert_eq!((leaves(&file, LINEAR), leaves(&file, WIDE)), (linear.into(), wide.into()), "{options}");
        assert_eq!(file.metadata["ss_network_module"], module);
        let typed = args.split(' ').all(|pair| {
            let (key, value) = pair.split_once('=').unwrap();
            file.metadata["ss_network_args"].contains(&format!("\"{key}\": \"{value}\""))
        });
        assert!(typed, "{}", file.metadata["ss_network_args"]);

        let start = format!("--network_weights={} --max_train_steps=1 --learning_rate=1e-9", first.display());
        let first = values(&first);
        for (out, more) in [("again", ""), ("dims", "--dim_from_weights")] {
            let words = format!("{options} {start} {more}");
            let second = values(&bench.bake(&format!("{index}-{out}"), &words));
            let error = far_apart(&second, &first);
            assert!(error < 1e-5, "{words}: begins {error} from where the first ended");
        }

        let at = |strength| {
            picture(&painter, Some((&bench.dir.path().join(format!("{index}-first/cat.safetensors")), strength)))
        };
        let effect = |latent: Vec<f32>| -> f64 {
            latent.iter().zip(&plain).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
        };
        let (small, large) = (effect(at(0.01)), effect(at(0.02)));
        assert!(small > 1e-5 && (1.8..2.2).contains(&(large / small)), "{options}: {small} {large}");
    }
}

#[test]
fn dropout_and_dylora_go_on_exactly_after_a_stop() {
    let bench = Bench::new();
    for (index, words) in [
        "--network_module=networks.dylora --network_args unit=1",
        "--network_module=lycoris.kohya --network_args algo=dylora block_size=1 preset=attn-mlp",
        "--network_dropout=0.2 --network_args rank_dropout=0.3 module_dropout=0.2",
        "--network_module=lycoris.kohya --network_args algo=loha rank_dropout=0.3 module_dropout=0.2 preset=attn-mlp",
    ]
    .into_iter()
    .enumerate()
    {
        let words = format!("{words} --max_train_steps=3");
        let whole = bench.bake(&format!("{index}-whole"), &words);
        let state = format!("{index}-first");
        bench.bake(&state, &format!("{words} --save_state --save_every_n_steps=1"));
        let resume = bench.dir.path().join(state).join("cat-step00000001-state");
        let rest = bench.bake(&format!("{index}-rest"), &format!("{words} --resume={}", resume.display()));
        assert_eq!(far_apart(&values(&rest), &values(&whole)), 0.0, "{words}");
    }
}

#[test]
fn dropout_changes_what_is_learned() {
    let bench = Bench::new();
    let with = |out: &str, words: &str| values(&bench.bake(out, &format!("{words} --max_train_steps=2")));
    let plain = with("plain", "");
    for (out, words) in [
        ("neuron", "--network_dropout=0.3"),
        ("rank", "--network_args rank_dropout=0.3"),
        ("module", "--network_args module_dropout=0.3"),
    ] {
        assert!(far_apart(&with(out, words), &plain) > 1e-3, "{words}");
    }
}

#[test]
fn weights_of_another_kind_are_refused() {
    let bench = Bench::new();
    let loha =
        bench.bake("a", "--network_module=lycoris.kohya --network_args algo=loha preset=attn-mlp --max_train_steps=1");
    let start = format!("--network_weights={} --max_train_steps=1", loha.display());
    let error = bench.try_bake("b", &start).unwrap_err().to_string();
    assert!(error.contains("is a LoHa in the file and the options ask for a LoRA"), "{error}");
    let none = "--network_module=lycoris.kohya --network_args preset=unet-only --network_train_text_encoder_only";
    let error = bench.try_bake("b", &format!("{none} --max_train_steps=1")).unwrap_err().to_string();
    assert!(error.contains("nothing is left to train"), "{error}");
    let error = bench.try_bake("b", &format!("{start} --dim_from_weights")).unwrap_err().to_string();
    assert!(error.contains("is a LoHa; give network_module=lycoris.kohya"), "{error}");
}

/// Layers by preset: all that LyCORIS lists for Stable Diffusion 1.x (354 with `full`, as recorded), counted by hand from
/// the UNet's 16 transformers of 12 layers, 22 residual blocks with 14 shortcuts, 6 samplers, 4 layers around them, and 12
/// layers of the text encoder with 4 + 2 each.
#[test]
fn presets_choose_their_layers() {
    let bundle =
        Bundle::load(&Checkpoint::open(Path::new(SD15)).unwrap(), VaeHalves::Training, WeightDtype::F32).unwrap();
    for (preset, text, unet) in [
        ("full", 72, 192 + 66 + 14 + 6 + 4),
        ("full-lin", 72, 192 + 22 + 14 + 2),
        ("attn-mlp", 72, 192),
        ("attn-only", 48, 128),
        ("unet-only", 0, 282),
        ("unet-transformer-only", 0, 192),
        ("unet-convblock-only", 0, 66 + 14 + 6 + 2),
        ("ia3", 36, 80),
    ] {
        let words = ["--train_data_dir=x", "--output_dir=y", "--network_module=lycoris.kohya", "--network_args"];
        let words: Vec<OsString> =
            words.into_iter().map(OsString::from).chain([format!("preset={preset}").into()]).collect();
        let settings = parse_train(&words).unwrap().recipe.network;
        let network = LoraNetwork::fresh(&settings, &bundle, Seed(1));
        assert_eq!((network.count(Part::TextEncoder), network.count(Part::Unet)), (text, unet), "{preset}");
    }
}
