//! Files as other systems and programs write them: encodings, JSON in place of TOML, lists that were cut, `~`.

use std::path::Path;

use lorabake_recipe::model::Family;
use lorabake_recipe::optim::optimizer::{Optimizer, Prodigy};
use lorabake_recipe::parse_toml;

use crate::imports::file;
use crate::{ENOUGH, found, notes, parse, problems};

/// In GBK, as editors on Chinese Windows save it.
const GBK: &[u8] = b"output_dir = 'out'\ntrain_data_dir = 'images'\noutput_name = '\xd1\xb5\xc1\xb7'\n";

/// All that is said, one line each, with the folder of `path` left out.
fn said(line: &str, path: &Path) -> String {
    let folder = format!("{}{}", path.parent().unwrap().display(), std::path::MAIN_SEPARATOR);
    problems(line).replace(&folder, "")
}

#[test]
fn a_recipe_that_cannot_be_read_is_all_that_is_told() {
    let (_folder, path) = file("gbk.toml", GBK);
    let line = format!("--config_file={} --max_train_steps=1", path.display());
    assert_eq!(said(&line, &path), "gbk.toml: it is not UTF-8 (line 3); save it as UTF-8\n");
    let (_folder, path) = file("path.toml", b"output_dir = 'out'\ntrain_data_dir = \"C:\\user\\penny\"\n");
    let told = said(&format!("--config_file={}", path.display()), &path);
    assert!(told.starts_with("path.toml: line 2 is not TOML: ") && told.ends_with("'C:\\images'\n"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    for line in ["--config_file=nowhere", "--config_file", "--like=nowhere.safetensors"] {
        assert_eq!(problems(line).lines().count(), 1, "{line}");
    }
    let (_folder, path) = file("sets.toml", b"[[datasets]]\n[[datasets.subsets]]\nimage_dir = '\xc1\xb7'\n");
    let line = format!("--dataset_config={} --output_dir=out", path.display());
    assert_eq!(said(&line, &path), "sets.toml: it is not UTF-8 (line 3); save it as UTF-8\n");
    let (_folder, path) = file("layers.toml", b"enable_conv = true # \xc1\xb7\n");
    let preset = path.display();
    let told = problems(&format!("{ENOUGH} --network_module=lycoris.kohya --network_args preset={preset}"));
    assert!(told.contains(": the file is not UTF-8 (line 1)"), "{told}");
}

#[test]
fn files_of_windows_are_read_whatever_their_mark() {
    let text = "train_data_dir = 'images'\noutput_dir = 'out'\noutput_name = '鳥'\nseed = 1\n";
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [text.as_bytes(), &[b"\xef\xbb\xbf", text.as_bytes()].concat(), &[b"\xff\xfe", &utf16[..]].concat()] {
        let (_folder, path) = file("r.toml", bytes);
        assert_eq!(parse(&format!("--config_file={}", path.display())).unwrap().recipe.output.name, "鳥");
    }
}

const DATASET: &str = "[general]\ncaption_extension = '.txt'\n[[datasets]]\nresolution = 64\n[[datasets.subsets]]\n\
                       image_dir = 'images'\nnum_repeats = 2\n";
const DATASET_JSON: &str = r#"{"general": {"caption_extension": ".txt", "keep_tokens": null}, "datasets": [
    {"resolution": 64, "subsets": [{"image_dir": "images", "num_repeats": 2}]}]}"#;

#[test]
fn a_dataset_config_may_be_json() {
    let subsets = |name: &str, text: &str| {
        let (_folder, path) = file(name, text.as_bytes());
        let parsed = parse(&format!("{ENOUGH} --dataset_config={}", path.display())).unwrap();
        parsed.recipe.data.config.unwrap().subsets
    };
    let expected = subsets("sets.toml", DATASET);
    assert_eq!(expected[0].repeats, 2);
    for name in ["sets.json", "sets.JSON", "sets.txt"] {
        assert_eq!(subsets(name, DATASET_JSON), expected, "{name}");
    }
    for (text, told) in [
        (DATASET_JSON.replace("num_repeats", "num_repeat"), "did you mean num_repeats?"),
        (DATASET_JSON.replace("2}]}]", "0}]}]"), "it is not a number of repeats from 1 to 100000"),
        (DATASET_JSON.replace("2}]}]", ""), "it is not JSON: "),
        ("[]".to_owned(), "it holds no settings"),
    ] {
        let (_folder, path) = file("sets.json", text.as_bytes());
        let problems = said(&format!("{ENOUGH} --dataset_config={}", path.display()), &path);
        assert!(problems.starts_with("sets.json: ") && problems.contains(told), "{problems}");
    }
}

#[test]
fn a_recipe_may_be_json() {
    let json = r#"{"folders": {"train_data_dir": "images", "output_dir": "out"}, "network_dim": 4, "resolution": "512,640",
        "text_encoder_lr": [5e-5, 1e-5], "network_module": null, "optimizer_args": ["eps=1e-6"], "seed": 1,
        "stage": [{"max_train_steps": 3}]}"#;
    let toml = "network_dim = 4\nresolution = '512,640'\ntext_encoder_lr = [5e-5, 1e-5]\noptimizer_args = ['eps=1e-6']\n\
                seed = 1\n[folders]\ntrain_data_dir = 'images'\noutput_dir = 'out'\n[[stage]]\nmax_train_steps = 3\n";
    let [json, toml] = [("r.json", json), ("r.toml", toml)].map(|(name, text)| {
        let (_folder, path) = file(name, text.as_bytes());
        parse(&format!("--config_file={}", path.display())).unwrap_or_else(|error| panic!("{error}")).recipe
    });
    assert_eq!(json, toml);
}

/// Prodigy with these words of a GUI preset as its settings.
fn prodigy(args: &str) -> Prodigy {
    let gui = serde_json::json!({"LoRA_type": "Standard", "optimizer": "Prodigy", "optimizer_args": args, "seed": 1});
    let (_folder, path) = file("gui.json", gui.to_string().as_bytes());
    let line = format!("--config_file={} --train_data_dir=images --output_dir=out", path.display());
    let parsed = parse(&line).unwrap_or_else(|error| panic!("{args}: {error}"));
    let Optimizer::Prodigy(own) = parsed.recipe.optim.optimizer else { panic!("{args}") };
    own
}

#[test]
fn quotation_marks_and_brackets_of_a_gui_preset_keep_a_value_together() {
    for (args, betas) in [
        (r#"use_bias_correction=True weight_decay=0.5 d_coef=0.65 "betas=(0.9, 0.901)""#, (0.9, 0.901)),
        ("decouple=True use_bias_correction=True betas=(0.9, 0.99)", (0.9, 0.99)),
        ("weight_decay=0.45 use_bias_correction=True betas =0.9, 0.95", (0.9, 0.95)),
        (r#"betas = "[0.9, 0.95]" use_bias_correction=True"#, (0.9, 0.95)),
        ("'betas=0.9,0.95' use_bias_correction=True", (0.9, 0.95)),
        (r#""betas=(0.9, 0.95,)", "use_bias_correction=True""#, (0.9, 0.95)),
    ] {
        let own = prodigy(args);
        assert_eq!((own.betas, own.use_bias_correction), (betas, true), "{args}");
    }
}

/// The GUI cuts the text at its spaces before it writes a recipe for sd-scripts.
#[test]
fn values_that_a_program_has_cut_are_put_together() {
    for args in [
        "['use_bias_correction=True', 'betas=(0.9,', '0.99)']",
        "['use_bias_correction=True', 'betas=0.9,', '0.99']",
        "['use_bias_correction=True', 'betas', '=', '0.9, 0.99']",
        "'use_bias_correction=True betas=(0.9, 0.99)'",
        r#"['"use_bias_correction=True"', '"betas=(0.9, 0.99)"']"#,
    ] {
        let text = format!(
            "train_data_dir = 'a'\noutput_dir = 'b'\nseed = 1\noptimizer_type = 'Prodigy'\noptimizer_args = {args}\n"
        );
        let recipe = parse_toml(&text, Path::new("r.toml")).unwrap_or_else(|error| panic!("{args}: {error}")).recipe;
        let Optimizer::Prodigy(own) = recipe.optim.optimizer else { panic!("{args}") };
        assert_eq!((own.betas, own.use_bias_correction), ((0.9, 0.99), true), "{args}");
    }
}

#[test]
fn one_text_encoder_takes_the_first_of_two_rates() {
    let recipe = |rates: &str| {
        let parsed = parse(&format!("{ENOUGH} --text_encoder_lr {rates}")).unwrap();
        parsed.with(found(Family::Sd1)).unwrap().recipe
    };
    assert_eq!(recipe("5e-5 5e-5"), recipe("5e-5"));
    assert_eq!(recipe("5e-5 1e-5 2e-5"), recipe("5e-5"));
    assert_eq!(recipe("[5e-5,1e-5]"), recipe("5e-5"));
    assert_eq!(notes(&format!("{ENOUGH} --text_encoder_lr 5e-5 5e-5")), "");
    let embedded = "--train_data_dir=a --output_dir=b --output_name=c --seed=1 --resolution=64 --network_dim=1 \
                    --max_train_steps=1 --learning_rate=1e-4 --text_encoder_lr 5e-5 1e-5";
    let notes: Vec<String> = parse(embedded).unwrap().notes.iter().map(ToString::to_string).collect();
    let expected = "--text_encoder_lr: only 0.00005 is used: Stable Diffusion 1.x has one text encoder";
    assert!(notes.iter().any(|note| note == expected), "{notes:?}");
}

#[test]
fn a_tilde_is_the_home_folder_wherever_a_path_may_stand() {
    let home = std::env::home_dir().unwrap();
    let (_folder, path) =
        file("r.toml", b"output_dir = '~/loras'\nconditioning_data_dir = '~/masks'\nmasked_loss = true\n");
    let rest = ENOUGH.replace("--output_dir=out", "").replace("=images", "=~/set");
    let recipe = parse(&format!("{rest} --config_file={} --vae ~/a.safetensors", path.display())).unwrap().recipe;
    let expected = [home.join("loras"), home.join("set"), home.join("a.safetensors")];
    assert_eq!([recipe.output.dir, recipe.data.train_dir, recipe.model.vae.unwrap()], expected);
    let raw = parse(&format!("{ENOUGH} --logging_dir=~")).unwrap().raw;
    assert_eq!(raw.output.logging_dir, Some(home.clone()));
    let (_folder, path) = file("sets.toml", DATASET.replace("'images'", "'~/images'").as_bytes());
    let config = parse(&format!("{ENOUGH} --dataset_config={}", path.display())).unwrap().recipe.data.config.unwrap();
    assert_eq!(config.subsets[0].settings.train_dir, home.join("images"));
    assert_eq!(
        problems(&format!("{ENOUGH} --logging_dir=~nobody/logs")),
        "--logging_dir: `~nobody/logs` may mean another user's home folder, which only a shell knows; \
         write the whole path, or ./~nobody/logs\n"
    );
}
