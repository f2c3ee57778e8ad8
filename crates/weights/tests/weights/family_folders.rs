//! SD2.x and SDXL as folders of diffusers: every tensor that the single file has, under diffusers' names.
//!
//! `golden/family_names.txt` is written by oracle/family_names.py (diffusers 0.32.1). The folders are made from it and from
//! the tiny checkpoints of the testkit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lorabake_recipe::output::SavePrecision;
use lorabake_testkit::tiny;
use lorabake_weights::inspect::inspect;
use lorabake_weights::{Checkpoint, Family, Loader, NamedTensor, Part, lora};
use tempfile::TempDir;

/// Name in the folder → key in the single file, and what diffusers' converter does to it (q, k, v, t or nothing).
type Sources = BTreeMap<String, (String, String)>;

/// Those of one network.
fn sources(section: &str) -> Sources {
    let text = include_str!("../golden/family_names.txt");
    let start = format!("[{section}]\n");
    let own = text.split_once(&start).expect("section").1;
    let mut found = Sources::new();
    for line in own.lines().take_while(|line| !line.starts_with('[')) {
        let mut words = line.split(' ');
        let (key, name, leaves) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let how = words.next().unwrap_or_default();
        for leaf in leaves.chars() {
            let (key, name) = match (leaf, how) {
                ('-', _) => (key.to_string(), name.to_string()),
                (leaf, how) => {
                    let leaf = if leaf == 'w' { "weight" } else { "bias" };
                    let joint = if "qkv".contains(how) && !how.is_empty() { '_' } else { '.' };
                    (format!("{key}{joint}{leaf}"), format!("{name}.{leaf}"))
                }
            };
            found.insert(name, (key, how.to_string()));
        }
    }
    found
}

/// What diffusers saves for a tensor: shape and values.
fn converted(single: &Checkpoint, name: &str, key: &str, how: &str) -> (Vec<usize>, Vec<f32>) {
    let values = single.read_f32(key).unwrap();
    match (how, single.shape(key).unwrap()) {
        ("t", &[rows, columns]) => {
            (vec![columns, rows], (0..values.len()).map(|at| values[at % rows * columns + at / rows]).collect())
        }
        ("", [a, b, 1, 1]) if name.contains("mid_block.attentions.0.to_") => (vec![*a, *b], values),
        ("", shape) => (shape.to_vec(), values),
        (third, [rows, rest @ ..]) => {
            let (third, count) = ("qkv".find(third).unwrap(), values.len() / 3);
            let shape = [&[rows / 3], rest].concat();
            (shape, values[third * count..(third + 1) * count].to_vec())
        }
        _ => panic!("{key}"),
    }
}

/// The single file and the folder of a family, and what the folder's networks are made of.
fn made(family: &str) -> (TempDir, PathBuf, Vec<(Part, Sources)>) {
    let place = tempfile::tempdir().unwrap();
    let (bytes, class) = match family {
        "sd2" => (tiny::sd2(), "StableDiffusionPipeline"),
        _ => (tiny::sdxl(), "StableDiffusionXLPipeline"),
    };
    std::fs::write(place.path().join("single.safetensors"), bytes).unwrap();
    let single = Checkpoint::open(&place.path().join("single.safetensors")).unwrap();
    let folder = place.path().join("folder");
    let mut networks = Vec::new();
    for (part, name, file) in [
        (Part::Unet, "unet", "diffusion_pytorch_model"),
        (Part::Vae, "vae", "diffusion_pytorch_model"),
        (Part::TextEncoder, "text_encoder", "model"),
        (Part::TextEncoder2, "text_encoder_2", "model"),
    ] {
        if !Part::of(single.family()).contains(&part) {
            continue;
        }
        let own = sources(&format!("{family} {name}"));
        let tensors = own.iter().map(|(name, (key, how))| {
            let (shape, values) = converted(&single, name, key, how);
            NamedTensor { name: name.clone(), shape, values }
        });
        let path = folder.join(name).join(format!("{file}.safetensors"));
        lora::save(&path, tensors.collect(), SavePrecision::F32, Default::default()).unwrap();
        networks.push((part, own));
    }
    write(&folder.join("model_index.json"), &format!(r#"{{"_class_name": "{class}"}}"#));
    let activation = if family == "sd2" { "gelu" } else { "quick_gelu" };
    write(&folder.join("text_encoder/config.json"), &format!(r#"{{"hidden_act": "{activation}"}}"#));
    (place, folder, networks)
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[test]
fn folders_have_the_tensors_of_the_single_files() {
    for (family, expected) in [("sd2", Family::Sd2), ("sdxl", Family::Sdxl)] {
        let (place, folder, networks) = made(family);
        let single = Checkpoint::open(&place.path().join("single.safetensors")).unwrap();
        let checkpoint = Checkpoint::open(&folder).unwrap();
        assert_eq!((single.family(), checkpoint.family()), (expected, expected));
        assert_eq!(checkpoint.unexpected_tensors(), Vec::<&str>::new());
        assert_eq!(single.encoder_digest().unwrap(), checkpoint.encoder_digest().unwrap());
        for (part, sources) in networks {
            let (mut from_file, mut from_folder) = (Loader::new(&single, part), Loader::new(&checkpoint, part));
            if matches!(part, Part::Unet | Part::Vae) {
                assert_eq!(from_folder.names().collect::<Vec<_>>(), from_file.names().collect::<Vec<_>>());
            }
            assert!(sources.len() > 50, "{family} {part}: {}", sources.len());
            for name in sources.keys() {
                let shape = from_file.shape(name).unwrap_or_else(|| panic!("{family} {part}: no {name}"));
                let values = from_folder.take(name, &shape);
                assert_eq!(values, from_file.take(name, &shape), "{family} {part}: {name}");
                assert!(values.iter().any(|value| *value != 0.0), "{name}");
            }
            // Nothing was missing, of another shape, or left over.
            from_folder.finish().unwrap();
        }
        let told = inspect(&folder, false).unwrap();
        let name = if family == "sd2" { "Stable Diffusion 2.x" } else { "SDXL base" };
        assert_eq!((told.family.as_deref(), told.unknown), (Some(name), Vec::new()));
    }
}

/// Without its second text encoder, a folder of SDXL is not taken for another family.
#[test]
fn a_folder_of_sdxl_needs_both_text_encoders() {
    let (_place, folder, _) = made("sdxl");
    std::fs::remove_dir_all(folder.join("text_encoder_2")).unwrap();
    let message = Checkpoint::open(&folder).unwrap_err().to_string();
    assert!(message.contains("text_encoder_2: ") || message.contains("text_encoder_2 "), "{message}");
    assert!(message.contains("download it whole"), "{message}");
}
