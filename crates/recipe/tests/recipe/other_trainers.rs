//! Presets of other trainers: which are refused whole, what is never shown, and what no longer gets lost.

use lorabake_recipe::import::{Imported, import};

use crate::imports::{file, lora};
use crate::{ENOUGH, parse, problems};

fn of_json(json: &str) -> Imported {
    let (_folder, path) = file("preset.json", json.as_bytes());
    import(&path).unwrap_or_else(|problem| panic!("{problem}\n{json}"))
}

fn value(imported: &Imported, option: &str) -> Option<String> {
    imported.options.iter().find(|(name, _)| name == option).map(|(_, values)| values.join(" "))
}

#[test]
fn a_preset_for_another_family_is_refused_whole() {
    let gui = |kind: &str| format!(r#"{{"LoRA_type": "{kind}", "network_dim": 4}}"#);
    let onetrainer = |kind: &str| format!(r#"{{"training_method": "LORA", "model_type": "{kind}"}}"#);
    for (json, family) in [
        (gui("Flux1"), "Flux"),
        (gui("Flux1 OFT"), "Flux"),
        (gui("SD3"), "Stable Diffusion 3"),
        (gui("Lumina"), "Lumina"),
        (r#"{"LoRA_type": "Standard", "flux1_checkbox": true}"#.to_owned(), "Flux"),
        (onetrainer("FLUX_DEV_1"), "Flux"),
        (onetrainer("STABLE_DIFFUSION_35"), "Stable Diffusion 3"),
        (onetrainer("STABLE_DIFFUSION_3"), "Stable Diffusion 3"),
        (onetrainer("STABLE_DIFFUSION_15_INPAINTING"), "inpainting"),
        (onetrainer("PIXART_SIGMA"), "PixArt"),
        (onetrainer("HUNYUAN_VIDEO"), "Hunyuan"),
    ] {
        let (_folder, path) = file("preset.json", json.as_bytes());
        let expected = format!("{}: it is a preset for {family}; lorabake trains SD 1.x, 2.x and SDXL", path.display());
        assert_eq!(import(&path).unwrap_err().to_string(), expected);
        assert_eq!(problems(&format!("{ENOUGH} --config_file={}", path.display())), format!("{expected}\n"));
    }
    let metadata = [("ss_network_dim", "4"), ("ss_base_model_version", "flux1")];
    let (_folder, path) = file("a.safetensors", &lora(&metadata));
    let told = import(&path).unwrap_err().to_string();
    assert!(told.ends_with("it is a LoRA for Flux; lorabake trains SD 1.x, 2.x and SDXL"), "{told}");
    for kind in ["STABLE_DIFFUSION_15", "STABLE_DIFFUSION_20", "STABLE_DIFFUSION_21", "STABLE_DIFFUSION_XL_10_BASE"] {
        assert_eq!(of_json(&onetrainer(kind)).left_out, []);
    }
}

#[test]
fn a_secret_reaches_no_recipe_and_no_message() {
    let words = "--huggingface_token SESAME --keep_tokens 2 --wandb_api_key=SESAME";
    let gui = format!(
        r#"{{"LoRA_type": "Standard", "wandb_api_key": "SESAME", "huggingface_token": "SESAME", "hf_TOKEN": "SESAME",
        "db_password": "SESAME", "client_secret": "SESAME", "more": {{"apikey": "SESAME"}},
        "max_token_length": 150, "additional_parameters": "{words}"}}"#
    );
    let onetrainer = r#"{"training_method": "LORA", "secrets": {"huggingface_token": "SESAME"}, "hf_token": "SESAME"}"#;
    let broken = r#"{"LoRA_type": "Standard", "additional_parameters": "--hf_token SESAME -SESAME"}"#;
    let of_lora = |metadata: &[(&str, &str)]| {
        let (_folder, path) = file("a.safetensors", &lora(metadata));
        import(&path).unwrap()
    };
    let recipe = "network_dim = 4\nhuggingface_token = 'SESAME'\nwandb_api_key = ['SESAME']\n";
    for imported in [
        of_json(&gui),
        of_json(onetrainer),
        of_json(broken),
        of_lora(&[("lorabake_recipe", recipe)]),
        of_lora(&[("ss_network_dim", "4"), ("ss_api_key", "SESAME")]),
    ] {
        let text = format!("{}\n{}", imported.to_toml(), imported.left_out_lines().join("\n"));
        assert!(!text.contains("SESAME"), "{text}");
        assert!(text.contains("(not shown)"), "{text}");
    }
    let imported = of_json(&gui);
    assert!(imported.left_out_lines().join("\n").contains("huggingface_token = (not shown)"));
    assert_eq!(value(&imported, "keep_tokens").as_deref(), Some("2"));
    assert_eq!(value(&imported, "max_token_length").as_deref(), Some("150"));
}

#[test]
fn settings_of_onetrainer_are_taken_or_named() {
    let read = |settings: &str| of_json(&format!("{{\"training_method\": \"LORA\", {settings}}}"));
    for (theirs, ours) in [("\"ON\"", Some("true")), ("\"CPU_OFFLOADED\"", Some("true")), ("\"OFF\"", None)] {
        let imported = read(&format!("\"gradient_checkpointing\": {theirs}"));
        assert_eq!(value(&imported, "gradient_checkpointing").as_deref(), ours);
        assert_eq!(imported.left_out, []);
    }
    let imported = read(r#""seed": 7, "masked_training": false"#);
    assert_eq!((value(&imported, "seed").as_deref(), value(&imported, "masked_loss")), (Some("7"), None));
    let imported = read(r#""masked_training": true"#);
    assert_eq!(value(&imported, "masked_loss").as_deref(), Some("true"));
    assert!(imported.left_out_lines()[0].contains("name it with conditioning_data_dir"));

    let imported = read(
        r#""unet": {"learning_rate": "1e-4"}, "text_encoder": {"learning_rate": "fast", "stop_training_after": 30,
        "stop_training_after_unit": "EPOCH"}"#,
    );
    assert_eq!(value(&imported, "unet_lr").as_deref(), Some("1e-4"));
    let expected = [
        "text_encoder.learning_rate = fast: give a number with text_encoder_lr",
        "text_encoder.stop_training_after = 30: train in two [[stage]]s, the second without this part",
    ];
    assert_eq!(imported.left_out_lines(), expected);
    let never = read(r#""text_encoder": {"stop_training_after": 30, "stop_training_after_unit": "NEVER"}"#);
    assert_eq!(never.left_out, []);
}

#[test]
fn stages_inside_a_lora_are_named() {
    let recipe = "network_dim = 4\n[[stage]]\nseed = 1\n[[stage]]\nseed = 2\n";
    let (_folder, path) = file("a.safetensors", &lora(&[("lorabake_recipe", recipe)]));
    let lines = import(&path).unwrap().left_out_lines();
    assert_eq!(lines, ["stage = 2 tables: stages are not taken over; write them by hand"]);
}

#[test]
fn advice_for_options_of_other_trainers_is_right() {
    let told = problems(&format!("{ENOUGH} --fused_backward_pass --resume_from=x"));
    assert!(told.contains("--fused_backward_pass: known to sd-scripts, but lorabake does not support it yet; leave it out; --gradient_checkpointing saves memory"), "{told}");
    assert!(told.contains("did you mean --resume?"), "{told}");
}

#[test]
fn a_lora_with_many_keys_takes_no_time() {
    let keys: String = (0..20_000).map(|index| format!("k{index} = 1\n")).collect();
    let (_folder, path) = file("a.safetensors", &lora(&[("lorabake_recipe", &keys)]));
    let began = std::time::Instant::now();
    let imported = import(&path).unwrap();
    assert_eq!(imported.to_toml().lines().count(), 20_002);
    // The options were described anew for every key.
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn an_odd_length_in_a_preset_spoils_nothing() {
    let preset =
        r#"{"LoRA_type": "Standard", "max_token_length": 255, "train_data_dir": "images", "output_dir": "out"}"#;
    let (_folder, path) = file("preset.json", preset.as_bytes());
    let parsed = parse(&format!("--config_file={}", path.display())).unwrap();
    assert_eq!(parsed.recipe.model.max_token_length, 225);
    let notes: Vec<String> = parsed.notes.iter().map(ToString::to_string).collect();
    let said = "max_token_length: 255 tokens are not possible, so 225 are used; write 75, 150 or 225";
    assert!(notes.iter().any(|note| note.contains(said)), "{notes:?}");
    assert!(problems(&format!("{ENOUGH} --max_token_length=255")).contains("255 tokens are not possible"));
}
