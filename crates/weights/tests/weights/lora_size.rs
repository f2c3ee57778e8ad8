//! How large a LoRA will be, against the modules and sizes of sd-scripts' own files (golden/sd15_layers.txt,
//! golden/lora_modules.txt) and against a file that we write.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use lorabake_recipe::network::{Network, Scope};
use lorabake_recipe::output::SavePrecision;
use lorabake_recipe::{Recipe, parse_train};
use lorabake_weights::lora_size::{LoraTensor, file_bytes, lora_tensors};
use lorabake_weights::{Checkpoint, NamedTensor, lora};

const LAYERS: &str = include_str!("../golden/sd15_layers.txt");
const MODULES: &str = include_str!("../golden/lora_modules.txt");
const TINY: &[u8] = include_bytes!("../../../../models/tiny/sd15_tiny.safetensors");

/// Keys and shapes of SD1.5.
fn sd15() -> Vec<(&'static str, Vec<usize>)> {
    let rows = LAYERS.lines().filter(|line| line.contains(".weight: ")).map(|line| {
        let (key, shape) = line.split_once(": ").unwrap();
        (key, shape.split(' ').map(|side| side.parse().unwrap()).collect())
    });
    rows.collect()
}

fn tensors(network: &Network) -> Vec<LoraTensor> {
    let layers = sd15();
    let keys: Vec<(&str, &[usize])> = layers.iter().map(|(key, shape)| (*key, shape.as_slice())).collect();
    lora_tensors(&keys, network)
}

fn network(rank: usize, conv: Option<usize>) -> Network {
    let conv = conv.map_or(String::new(), |conv| format!("--network_args conv_dim={conv}"));
    recipe(&format!("--network_dim={rank} {conv}")).network
}

fn values(tensors: &[LoraTensor]) -> usize {
    let factors = tensors.iter().filter(|(_, shape)| !shape.is_empty());
    factors.map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

#[test]
fn modules_and_sizes_are_those_of_sd_scripts() {
    for (kind, conv) in [("lierla", None), ("c3lier", Some(1))] {
        let found = tensors(&network(1, conv));
        let names: BTreeSet<&str> = found.iter().filter_map(|(key, _)| key.strip_suffix(".alpha")).collect();
        let section = MODULES.split_once(&format!("[{kind}]\n")).unwrap().1;
        let golden: BTreeSet<&str> = section.lines().take_while(|line| !line.starts_with('[')).collect();
        assert_eq!(names, golden, "{kind}");
        let counts = LAYERS.lines().find_map(|line| line.strip_prefix(&format!("{kind}: "))).unwrap();
        assert_eq!(format!("{} {}", names.len(), values(&found)), counts, "{kind}");
    }
}

#[test]
fn rank_and_scope_have_their_part() {
    let all = values(&tensors(&network(32, None)));
    assert_eq!(all, 32 * 589_824);
    let part = |scope| values(&tensors(&Network { scope, ..network(32, None) }));
    let (unet, text) = (part(Scope::UnetOnly), part(Scope::TextEncoderOnly));
    assert!(unet > text && text > 0);
    assert_eq!(unet + text, all);
}

/// Rank 32 in fp16 is the file that most of the world's SD1.5 LoRAs are: 37.8 MB, of which the header is 0.1.
#[test]
fn a_usual_lora_has_its_usual_size() {
    let bytes = file_bytes(&tensors(&network(32, None)), SavePrecision::F16, &BTreeMap::new());
    let data = 2 * 32 * 589_824 + 2 * 264;
    assert!((data + 90_000..data + 120_000).contains(&(bytes as usize)), "{bytes}");
}

#[test]
fn the_forecast_is_the_size_of_the_file_that_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("penny.safetensors");
    let checkpoint = tiny();
    let keys: Vec<(&str, &[usize])> =
        checkpoint.names().iter().map(|name| (name.as_str(), checkpoint.shape(name).unwrap())).collect();
    let metadata = BTreeMap::from([("ss_output_name".to_owned(), "penny \"quoted\" ü".to_owned())]);
    for precision in [SavePrecision::F32, SavePrecision::F16, SavePrecision::Bf16] {
        let tensors = lora_tensors(&keys, &network(3, Some(2)));
        let forecast = file_bytes(&tensors, precision, &metadata);
        let filled = tensors.into_iter().map(|(name, shape)| {
            let values = vec![0.5; shape.iter().product()];
            NamedTensor { name, shape, values }
        });
        lora::save(&path, filled.collect(), precision, metadata.clone()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), forecast, "{precision:?}");
    }
}

fn tiny() -> Checkpoint {
    Checkpoint::from_bytes("tiny", Cow::Borrowed(TINY)).unwrap()
}

fn recipe(options: &str) -> Recipe {
    let line = format!("--train_data_dir=images --output_dir=out --seed=1 --resolution=128 {options}");
    parse_train(&line.split_whitespace().map(Into::into).collect::<Vec<_>>()).unwrap().recipe
}
