//! `merge`, `extract`, `resize`, `convert`, `diff`, `edit` and `inspect --check` as they are typed.

use std::collections::BTreeMap;

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::sandbox::{Done, Sandbox};

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny");

/// A matrix of the text encoder and two of the UNet, outputs and inputs.
const LAYERS: [(&str, usize, usize); 3] = [
    ("lora_te_text_model_encoder_layers_11_mlp_fc1", 64, 16),
    ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q", 32, 32),
    ("lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_attn1_to_k", 32, 32),
];

/// Numbers between −0.1 and 0.1 as a file has them.
fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::new();
    for _ in 0..count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let value = ((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * 0.1;
        bytes.extend(value.to_le_bytes());
    }
    bytes
}

/// Writes a file of these tensors of f32.
fn save(sandbox: &Sandbox, name: &str, tensors: &BTreeMap<String, (Vec<usize>, Vec<u8>)>) {
    let mut views = Vec::new();
    for (key, (shape, bytes)) in tensors {
        views.push((key.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    }
    sandbox.write(name, safetensors::serialize(views, None).unwrap());
}

/// Writes a LoRA of rank 2.
fn lora(sandbox: &Sandbox, name: &str, seed: u64) {
    let mut tensors = BTreeMap::new();
    for (index, (module, outputs, inputs)) in LAYERS.iter().enumerate() {
        let seed = seed * 10 + index as u64;
        tensors.insert(format!("{module}.alpha"), (vec![], 1.0_f32.to_le_bytes().to_vec()));
        tensors.insert(format!("{module}.lora_down.weight"), (vec![2, *inputs], noise(2 * inputs, seed)));
        tensors.insert(format!("{module}.lora_up.weight"), (vec![*outputs, 2], noise(2 * outputs, seed + 5)));
    }
    save(sandbox, name, &tensors);
}

/// A folder with the tiny model and two LoRAs.
fn workshop() -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::copy(format!("{TINY}/sd15_tiny.safetensors"), sandbox.path("model.safetensors")).unwrap();
    lora(&sandbox, "a.safetensors", 1);
    lora(&sandbox, "b.safetensors", 2);
    sandbox
}

/// The words of a line, in which `.st` stands for `.safetensors`.
fn words(line: &str) -> Vec<String> {
    line.split(' ').map(|word| word.replace(".st", ".safetensors")).collect()
}

fn run(sandbox: &Sandbox, line: &str) -> Done {
    let words = words(line);
    sandbox.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Runs a line that has to go well, and returns what it prints.
fn done(sandbox: &Sandbox, line: &str) -> String {
    let done = run(sandbox, line);
    assert_eq!(done.code, 0, "{line}: {}", done.stderr);
    done.stdout
}

/// The share by which two files differ in all, as `diff` prints it.
fn apart(sandbox: &Sandbox, a: &str, b: &str) -> f64 {
    let printed: serde_json::Value = serde_json::from_str(&done(sandbox, &format!("diff {a} {b} --json"))).unwrap();
    assert_eq!((&printed["only_a"], &printed["only_b"]), (&serde_json::json!([]), &serde_json::json!([])));
    let sum = |key: &str| -> f64 {
        printed["blocks"].as_array().unwrap().iter().map(|block| block[key].as_f64().unwrap().powi(2)).sum()
    };
    assert!(sum("norm_a") > 0.0);
    (sum("norm_of_difference") / sum("norm_a")).sqrt()
}

#[test]
fn what_is_merged_is_extracted_again() {
    let sandbox = workshop();
    let printed = done(&sandbox, "merge a.st:0.5 --into model.st --save_precision float --output merged.st");
    assert_eq!(printed, "merged.safetensors\n");
    done(&sandbox, "extract --base model.st --tuned merged.st --rank 2 --save_precision float --output back.st");
    done(&sandbox, "convert a.st --scale 0.5 --output half.st");
    assert!(apart(&sandbox, "half.st", "back.st") < 1e-3);
    // Its recipe, run again, gives the same bytes.
    let recipe = done(&sandbox, "inspect --recipe merged.st");
    assert!(recipe.contains("a.safetensors:0.5"), "{recipe}");
    sandbox.write("recipe.toml", recipe);
    done(&sandbox, "merge --recipe recipe.toml --output again.st");
    assert_eq!(apart(&sandbox, "merged.st", "again.st"), 0.0);
}

#[test]
fn loras_become_one_and_smaller() {
    let sandbox = workshop();
    done(&sandbox, "merge a.st:0.7 b.st:-0.4 --output both.st");
    done(&sandbox, "merge both.st b.st:0.4 --rank 2 --output rest.st");
    done(&sandbox, "convert a.st --scale 0.7 --output part.st");
    assert!(apart(&sandbox, "part.st", "rest.st") < 1e-5);
    let said = run(&sandbox, "resize both.st --rank 4 --output same.st").stderr;
    assert!(said.contains("3 modules, ranks 4 to 4; 100.00 % of the norm is kept"), "{said}");
    assert!(apart(&sandbox, "both.st", "same.st") < 1e-5);
}

#[test]
fn names_go_to_diffusers_and_comfyui_and_back() {
    let sandbox = workshop();
    for form in ["diffusers", "comfyui"] {
        done(&sandbox, &format!("convert a.st --to {form} --output {form}.st"));
        done(&sandbox, &format!("convert {form}.st --output back-{form}.st"));
        assert!(apart(&sandbox, "a.st", &format!("{form}.st")) < 1e-6);
        assert!(apart(&sandbox, "a.st", &format!("back-{form}.st")) < 1e-6);
    }
}

#[test]
fn models_become_folders_of_diffusers_and_files_again() {
    for family in ["sd15", "sd2", "sdxl"] {
        let sandbox = Sandbox::new();
        let model = format!("{TINY}/{family}_tiny.safetensors");
        assert_eq!(done(&sandbox, &format!("convert {model} --to diffusers --output folder")), "folder\n");
        let mut files = vec!["model_index.json", "scheduler/scheduler_config.json", "tokenizer/merges.txt"];
        files.extend([
            "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors",
            "text_encoder/model.safetensors",
        ]);
        for file in files {
            assert!(sandbox.path("folder").join(file).is_file(), "{file}");
        }
        done(&sandbox, "convert folder --output file.st");
        let folder = done(&sandbox, &format!("diff {model} folder --json"));
        let file = done(&sandbox, "diff folder file.st --json");
        for printed in [folder, file] {
            let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
            let blocks = printed["blocks"].as_array().unwrap();
            assert!(blocks.len() > 10);
            assert!(blocks.iter().all(|block| block["differing"] == 0), "{family}: {printed}");
            assert!(printed["only_b"].as_array().unwrap().is_empty(), "{family}");
        }
        // Nothing lies beside them, and the folder is never replaced.
        assert_eq!(std::fs::read_dir(sandbox.path("")).unwrap().count(), 2);
        let again = sandbox.run(&["convert", &model, "--to", "diffusers", "--output", "folder", "--overwrite"]);
        again.refused(1, &["--output: folder is there already, and a folder is never replaced; give another name"]);
    }
}

#[test]
fn what_a_file_says_is_edited_and_its_tensors_stay() {
    let sandbox = workshop();
    done(&sandbox, "edit a.st --title Penny --set modelspec.note=x --output named.st");
    assert_eq!(apart(&sandbox, "a.st", "named.st"), 0.0);
    let bytes = std::fs::read(sandbox.path("named.safetensors")).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("\"modelspec.title\":\"Penny\""));
    assert_eq!(done(&sandbox, "inspect --check named.st"), "named.safetensors: nothing is wrong\n");
}

#[test]
fn damaged_numbers_are_found_and_not_passed_on() {
    let sandbox = workshop();
    let (module, outputs, inputs) = LAYERS[1];
    let mut up = noise(2 * outputs, 3);
    up[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let tensors = BTreeMap::from([
        (format!("{module}.lora_down.weight"), (vec![2, inputs], noise(2 * inputs, 4))),
        (format!("{module}.lora_up.weight"), (vec![outputs, 2], up)),
    ]);
    save(&sandbox, "nan.safetensors", &tensors);
    let checked = sandbox.run(&["inspect", "--check", "nan.safetensors"]);
    assert_eq!(checked.code, 1);
    assert!(checked.stdout.contains("damaged: "), "{}", checked.stdout);
    for line in [
        "merge nan.st --into model.st --output out.st",
        "merge nan.st a.st --output out.st",
        "convert nan.st --to diffusers --output out.st",
    ] {
        run(&sandbox, line).refused(1, &["nan.safetensors: ", module, "infinite or not a number"]);
    }
    assert!(!sandbox.path("out.safetensors").exists());
}

/// One line each, nothing written, nothing changed.
#[test]
fn refusals() {
    let sandbox = workshop();
    std::fs::copy(format!("{TINY}/sdxl_tiny.safetensors"), sandbox.path("xl.safetensors")).unwrap();
    sandbox.write("there.safetensors", "mine");
    let whole = std::fs::read(sandbox.path("a.safetensors")).unwrap();
    sandbox.write("cut.safetensors", &whole[..whole.len() - 9]);
    sandbox.write("huge.safetensors", [255, 255, 255, 255, 255, 255, 255, 127, 123, 125]);
    let before = sandbox.files("");
    let lines = [
        ("merge a.st --into b.st", "--into: b.safetensors is a LoRA and no model; give the model here"),
        ("merge model.st --into model.st", "model.safetensors: it is a model and no LoRA"),
        ("merge a.st --into xl.st", "was made for another model"),
        ("merge a.st --into model.st --output a.st --overwrite", "--output: a.safetensors is read for it"),
        ("merge a.st --into model.st --output model.st --overwrite", "--output: model.safetensors is read"),
        ("merge a.st --into model.st --output there.st", "is there already; give another name, or --overwrite"),
        ("merge a.st:much --into model.st", "`much` is no number"),
        ("merge a.st:nan --into model.st", "`nan` is no number"),
        ("merge a.st b.st --ratios 1 --into model.st", "--ratios: there are 1 for 2 files"),
        ("merge cut.st --into model.st", "cut.safetensors is"),
        ("merge huge.st --into model.st", "huge.safetensors is not a safetensors file"),
        ("merge none.st --into model.st", "none.safetensors: there is no such file"),
        ("merge a.st:1:MID --into model.st", "`MID` is no preset of blocks; there are"),
        ("merge a.st:1:1,0 --into model.st", "2 numbers are no list of blocks"),
        ("merge model.st", "there is one model and nothing to merge with it"),
        ("merge model.st a.st", "give the model by --into"),
        ("merge model.st xl.st", "give models of one family"),
        ("merge a.st b.st --alpha 0.5", "--alpha: it is for models"),
        ("extract --base model.st --tuned model.st", "no layer of it differs"),
        ("extract --base model.st --tuned xl.st", "give models of one family"),
        ("extract --base a.st --tuned model.st", "--base: a.safetensors is a LoRA"),
        ("resize model.st --rank 4", "model.safetensors: it is a model and no LoRA"),
        ("resize a.st", "how large?"),
        ("resize a.st --size 1KB", "--size: 1000 bytes are not enough"),
        ("convert a.st --scale 0", "--scale: 0 leaves nothing"),
        ("convert a.st --parts vae", "--parts: a LoRA has no VAE"),
        ("convert model.st --to kohya", "--to: kohya is for LoRAs"),
        ("convert model.st --to diffusers", "give a name without .safetensors"),
        ("edit a.st", "nothing is to be changed"),
        ("edit a.st --remove nope", "--remove nope: a.safetensors has no such key"),
        ("edit a.st --set sshs_model_hash=1", "it is the hash of the tensors"),
    ];
    for (line, said) in lines {
        let mut line = line.to_owned();
        if !line.contains("--output") {
            line.push_str(" --output out.st");
        }
        let done = run(&sandbox, &line);
        assert_eq!(done.code, 1, "{line}: {}", done.stderr);
        done.refused(1, &[said]);
        assert_eq!(sandbox.files(""), before, "{line}");
    }
    run(&sandbox, "diff a.st model.st").refused(1, &["one is a model and one a LoRA"]);
    for option in ["--alpha nan", "--unet_ratio inf", "--beta x"] {
        run(&sandbox, &format!("merge a.st b.st {option} --output out.st")).refused(2, &["invalid value"]);
    }
    assert_eq!(std::fs::read(sandbox.path("a.safetensors")).unwrap(), whole);
    assert_eq!(std::fs::read(sandbox.path("there.safetensors")).unwrap(), b"mine");
}

#[test]
fn embeddings_go_into_a_lora_and_out_again() {
    let sandbox = workshop();
    save(&sandbox, "hat.safetensors", &BTreeMap::from([("emb_params".to_owned(), (vec![2, 16], noise(32, 3)))]));
    done(&sandbox, "convert a.st --add_embedding red=hat.st --output with.st");
    let said = done(&sandbox, "convert with.st --embeddings_to out --without_embeddings --output alone.st");
    assert_eq!(said, "alone.safetensors\n");
    let read = std::fs::read(sandbox.path("out/red.safetensors")).unwrap();
    assert!(read.ends_with(&noise(32, 3)), "the vectors are others");
    assert_eq!(apart(&sandbox, "a.st", "alone.st"), 0.0);
    let said = run(&sandbox, "convert with.st --to diffusers --output d.st").stderr;
    assert!(said.contains("1 embedding of the file left out"), "{said}");
    run(&sandbox, "convert alone.st --embeddings_to none --output x.st").refused(1, &["it has no embeddings"]);
}

#[test]
fn a_merge_goes_into_a_folder() {
    let sandbox = workshop();
    done(&sandbox, "merge a.st --into model.st --output file.st");
    done(&sandbox, "merge a.st --into model.st --to diffusers --output folder");
    assert_eq!(apart(&sandbox, "file.st", "folder"), 0.0);
    assert!(sandbox.path("folder/lorabake_merge.toml").is_file());
}

/// What was there before is still there, whole, and nothing else.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_all_as_it_was() {
    let sandbox = workshop();
    sandbox.write("out.safetensors", "mine");
    let before = sandbox.files("");
    for line in [
        "merge a.st --into model.st --output out.st --overwrite",
        "merge a.st b.st --output out.st --overwrite",
        "convert model.st --to diffusers --output folder",
    ] {
        let done = sandbox.run_on_full_disk(8, &words(line).iter().map(String::as_str).collect::<Vec<_>>());
        done.refused(1, &["cannot save"]);
        assert_eq!(sandbox.files(""), before, "{line}");
        assert!(!sandbox.path("folder").exists());
        assert_eq!(std::fs::read(sandbox.path("out.safetensors")).unwrap(), b"mine");
    }
}
