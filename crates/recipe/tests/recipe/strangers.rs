//! What a stranger's file says is data: it opens no file, writes none, and leaves its comment in no imported recipe.

use std::any::TypeId;
use std::collections::BTreeSet;
use std::path::PathBuf;

use lorabake_recipe::import::{Imported, import};
use lorabake_recipe::seed::Seed;
use lorabake_recipe::{command, problems_of_import};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::imports::{file, lora};
use crate::{ENOUGH, parse};

fn of_lora(recipe: &str) -> Imported {
    let (_folder, path) = file("penny.safetensors", &lora(&[("lorabake_recipe", recipe)]));
    import(&path).unwrap_or_else(|problem| panic!("{problem}\n{recipe}"))
}

/// The recipe has the options that were imported as its keys, and nothing else.
fn check_keys(imported: &Imported) {
    let text = imported.to_toml();
    let read: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
    let keys: BTreeSet<&str> = read.keys().map(String::as_str).collect();
    let options: BTreeSet<&str> = imported.options.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(keys, options, "{text}");
    let is_control = |letter: char| letter.is_control() && letter != '\n';
    assert!(!text.contains(is_control), "{text:?}");
    for line in imported.left_out_lines() {
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

#[test]
fn no_option_that_is_a_path_comes_out_of_a_lora() {
    let command = command();
    let mut paths = 0;
    for arg in command.get_arguments() {
        let Some(name) = arg.get_long() else { continue };
        let is_path = arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
        if !is_path && !["output_name", "log_prefix"].contains(&name) {
            continue;
        }
        paths += 1;
        let imported = of_lora(&format!("network_dim = 1\n{name} = '/etc/secret'\n"));
        assert_eq!(imported.options, [("network_dim".to_owned(), vec!["1".to_owned()])], "{name}");
        let why =
            if ["config_file", "like"].contains(&name) { "it belongs on the command line" } else { "give your own" };
        assert_eq!(imported.left_out_lines(), [format!("{name} = /etc/secret: {why}")]);
    }
    assert!(paths > 10, "{paths}");
}

#[test]
fn a_preset_comes_out_of_a_lora_only_if_it_is_built_in() {
    let args = |values: &str| {
        let imported = of_lora(&format!("network_args = {values}"));
        (imported.options.into_iter().flat_map(|(_, values)| values).collect::<Vec<_>>(), imported.left_out.len())
    };
    assert_eq!(args("['algo=loha', 'preset=attn-mlp']"), (vec!["algo=loha".into(), "preset=attn-mlp".into()], 0));
    for hidden in [
        "['algo=loha', 'preset=/etc/a.toml']",
        "['algo=loha', ' preset = \\\\\\\\host\\\\share\\\\a.toml']",
        "'algo=loha preset=/etc/a.toml'",
        "['algo=loha', 'preset', '=/etc/a.toml']",
    ] {
        assert_eq!(args(hidden), (vec!["algo=loha".into()], 1), "{hidden}");
    }
    let metadata = [("ss_network_dim", "4"), ("ss_network_args", r#"{"algo": "loha", "preset": "/etc/a.toml"}"#)];
    let (_folder, path) = file("penny.safetensors", &lora(&metadata));
    let imported = import(&path).unwrap();
    assert!(!imported.options.iter().any(|(_, values)| values.join(" ").contains("preset")), "{imported:?}");
    assert_eq!(imported.left_out_lines(), ["network_args = preset=/etc/a.toml: give your own"]);
}

/// Every reading takes one layer of quotation marks off, and there are several readings between the file and the run.
#[test]
fn no_layers_of_quotation_marks_hide_a_preset() {
    for marks in ["'", "\"", "'\"", "\"'"] {
        for depth in 1..16 {
            let mut text = "lora preset=nowhere.toml".to_owned();
            for mark in marks.chars().cycle().take(depth) {
                text = format!("{mark}{}{mark}", if mark == '"' { text.replace('"', "\\\"") } else { text });
            }
            for pair in [format!("algo={text}"), text.replace("lora", "algo=lora"), format!("x=1, {text}")] {
                let recipe = toml::Table::from_iter([("network_args".to_owned(), vec![pair.as_str()].into())]);
                let imported = of_lora(&recipe.to_string());
                let (_folder, path) = file("again.toml", imported.to_toml().as_bytes());
                let problems = match parse(&format!("{ENOUGH} --config_file={}", path.display())) {
                    Err(error) => error.to_string(),
                    Ok(_) => String::new(),
                };
                assert!(
                    !problems.contains("preset file") && !problems.contains("cannot be read"),
                    "{pair}\n{problems}"
                );
            }
        }
    }
    for values in [r#"['algo="', 'lora preset=nowhere.toml"']"#, r#"["x='", "preset=n.toml y='\"a preset=m.toml\"'"]"#]
    {
        let imported = of_lora(&format!("network_args = {values}"));
        let kept: Vec<String> = imported.options.iter().flat_map(|(_, values)| values.clone()).collect();
        assert!(!kept.join(" ").contains("preset"), "{kept:?}");
    }
}

#[test]
fn like_reads_no_file_that_a_lora_names() {
    let prompts = file("secret.txt", b"secret");
    let recipe = format!("sample_prompts = '{}'\nsample_every_n_steps = 1\n", prompts.1.display());
    let (_folder, path) = file("penny.safetensors", &lora(&[("lorabake_recipe", &recipe)]));
    let parsed = parse(&format!("{ENOUGH} --like={}", path.display())).unwrap();
    assert_eq!(parsed.recipe.samples, None);
    let notes: String = parsed.notes.iter().map(|note| format!("{note}\n")).collect();
    assert!(notes.contains("--like: sample_prompts = ") && notes.contains("give your own (left out of "), "{notes}");
}

/// Importing tells what is wrong with a recipe without a look at its files.
#[test]
fn an_import_opens_no_file_that_a_preset_names() {
    let (_folder, path) = file(
        "gui.json",
        br#"{"LoRA_type": "LyCORIS/LoHa", "dataset_config": "nowhere.toml", "LyCORIS_preset": "nowhere.toml"}"#,
    );
    let problems = problems_of_import(&import(&path).unwrap());
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].option.as_deref(), Some("output_dir"));
}

/// A text of whatever could end a comment, a string or a line.
fn hostile(random: &mut ChaCha8Rng) -> String {
    const PIECES: [&str; 22] = [
        "\n",
        "\r",
        "\r\n",
        "\u{1b}[31m",
        "\0",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{202e}",
        "'",
        "\"",
        "'''",
        "\"\"\"",
        "\\",
        "#",
        "=",
        "[x]",
        "output_dir = '/elsewhere'",
        " ",
        "--a",
        "ss_",
        "é鳥",
    ];
    let count = random.random_range(0..6);
    (0..count).map(|_| PIECES[random.random_range(0..PIECES.len())]).collect()
}

#[test]
fn whatever_stands_in_names_and_values_the_recipe_has_the_imported_keys_only() {
    let mut random = Seed(20).stream("hostile", &[]);
    let numbers = [
        "1e-4",
        ".5",
        "5.",
        "007",
        "1e999",
        "-0",
        "+1",
        "0x10",
        "99999999999999999999",
        "inf",
        "true",
        "1_0",
        "12:00:00",
    ];
    for round in 0..150 {
        let mut texts: Vec<String> = (0..6).map(|_| hostile(&mut random)).collect();
        texts.push(numbers[round % numbers.len()].to_owned());
        let [a, b, c, d, e, f, number] = texts.as_slice() else { unreachable!() };
        let gui = serde_json::json!({
            "LoRA_type": if round % 3 == 0 { "Standard" } else { a }, "network_dim": number, a: b, "x\noutput_dir": c,
            "learning_rate": number, "training_comment": d, "optimizer_args": e, "train_batch_size": f,
            "additional_parameters": format!("--{a} {b} \"--{c}={d}\" --max_train_steps {number}"),
        });
        let (_folder, path) = file("gui.json", gui.to_string().as_bytes());
        check_keys(&import(&path).unwrap());

        let onetrainer = serde_json::json!({
            "training_method": a, "resolution": b, "base_model_name": c, "optimizer": {"optimizer": d, e: f},
            "output_model_destination": e, f: number, "lora_rank": number, "concepts": [{"path": a, "balancing": number}],
        });
        let (_folder, path) = file("onetrainer.json", onetrainer.to_string().as_bytes());
        check_keys(&import(&path).unwrap());

        let recipe = toml::Table::from_iter([
            (a.clone(), b.as_str().into()),
            ("training_comment".to_owned(), c.as_str().into()),
            ("network_args".to_owned(), vec![d.as_str(), e.as_str()].into()),
            ("seed".to_owned(), number.as_str().into()),
        ]);
        let metadata = serde_json::json!({"__metadata__": {"lorabake_recipe": toml::to_string(&recipe).unwrap()}});
        check_keys(&of_header(&metadata));
        let metadata = serde_json::json!({"__metadata__": {
            "ss_network_dim": number, "ss_network_module": a, format!("ss_{b}"): c, "ss_optimizer": format!("torch.AdamW({d}={e})"),
            "ss_lr_scheduler": d, "ss_resolution": e, "ss_seed": f, "ss_network_args": format!("{{\"x{round}\": \"1\"}}"),
        }});
        check_keys(&of_header(&metadata));
    }
}

fn of_header(header: &serde_json::Value) -> Imported {
    let json = header.to_string();
    let (_folder, path) = file("a.safetensors", &[&(json.len() as u64).to_le_bytes()[..], json.as_bytes()].concat());
    import(&path).unwrap_or_else(|problem| panic!("{problem}\n{json}"))
}
