//! What leaves the program: nothing that it prints may end it, give the terminal orders or forge a line; and what ends a
//! training from outside saves it first.

use crate::sandbox::{Done, Sandbox, png};

/// Sets a title, colours, goes back to the line's start, clears it, and turns the direction of text.
const HOSTILE: &str = "\x1b]0;title\x07\x1b[31m\r\u{9b}2K\u{7f}\u{202e}";
/// The same as it is shown.
const SHOWN: &str = "\\x1b]0;title\\x07\\x1b[31m\\r\\x9b2K\\x7f\\u{202e}";

/// Nothing but line breaks and tabs is left for a terminal to obey, and the text is shown `times` times.
fn harmless(done: &Done, times: usize) {
    let printed = format!("{}{}", done.stdout, done.stderr);
    let obeyed = |symbol: char| symbol.is_control() && !matches!(symbol, '\n' | '\t') || symbol == '\u{202e}';
    assert!(!printed.contains(obeyed), "{printed:?}");
    assert!(printed.matches(SHOWN).count() >= times, "{printed}");
    assert!(!printed.lines().any(|line| line.starts_with("  what it is               FAKE")), "{printed}");
}

/// A LoRA of one module whose metadata and name of a tensor hold `words`.
fn lora_that_says(words: &str) -> Vec<u8> {
    let mut header = serde_json::json!({"__metadata__": {
        "ss_network_module": "networks.lora", "modelspec.title": words, "ss_training_comment": words,
        "ss_output_name": words, "ss_sd_model_name": words,
        "ss_tag_frequency": serde_json::json!({words: {words: 3}}).to_string(),
        "ss_dataset_dirs": serde_json::json!({words: {"n_repeats": 2, "img_count": 3}}).to_string(),
    }});
    let module = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q";
    let mut start = 0;
    for (name, shape) in [("lora_down.weight", [1, 320]), ("lora_up.weight", [320, 1])] {
        let range = [start, start + 1280];
        header[format!("{module}.{name}")] = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": range});
        start += 1280;
    }
    header[words] = serde_json::json!({"dtype": "F32", "shape": [1], "data_offsets": [start, start + 4]});
    let header = header.to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; start + 4]].concat()
}

#[test]
fn a_strangers_lora_gives_the_terminal_no_orders() {
    let sandbox = Sandbox::new();
    sandbox.write("hostile.safetensors", lora_that_says(&format!("{HOSTILE}\n  what it is               FAKE")));
    let inspect = sandbox.run(&["inspect", "hostile.safetensors", "--tags=all"]);
    assert_eq!(inspect.code, 0, "{}", inspect.stderr);
    harmless(&inspect, 4);
    let json = sandbox.run(&["inspect", "hostile.safetensors", "--json"]);
    assert!(!json.stdout.contains(['\u{9b}', '\u{7f}', '\u{202e}']), "{:?}", json.stdout);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(json.to_string().contains("\u{202e}"), "{json}");
    harmless(&sandbox.run(&["import", "hostile.safetensors"]), 0);
}

#[cfg(unix)]
#[test]
fn names_of_files_give_the_terminal_no_orders() {
    let sandbox = Sandbox::new();
    let folder = format!("set/1_{HOSTILE}\nerror: forged");
    sandbox.write(&format!("{folder}/a.png"), png(1));
    sandbox.write(&format!("{folder}/{HOSTILE}.gif"), "GIF89a");
    let done = sandbox.train(&[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    harmless(&done, 3);
    assert!(!done.stderr.lines().any(|line| line.starts_with("error")), "{}", done.stderr);
    sandbox.write(&format!("{folder}/b.png"), "no image");
    let refused = sandbox.train(&[]);
    harmless(&refused, 1);
    refused.refused(1, &["b.png: the content is not PNG"]);
}

#[test]
fn options_recipes_and_prompts_give_the_terminal_no_orders() {
    let sandbox = Sandbox::new();
    let prompt = sandbox.run(&["generate", &format!("--prompt=fox <lora:{HOSTILE}:1>"), "--out=pictures"]);
    harmless(&prompt, 1);
    prompt.refused(1, &["no LoRA `"]);
    // clap leaves escape sequences out where it quotes a word.
    for (line, times) in [
        (&["train", "--network_dim", HOSTILE][..], 1),
        (&["import", HOSTILE], 1),
        (&["inspect", HOSTILE], 1),
        (&["inspect", "--tags", HOSTILE, "x"], 0),
        (&[HOSTILE], 0),
    ] {
        let done = sandbox.run(line);
        assert_ne!(done.code, 0, "{line:?}");
        harmless(&done, times);
    }
    let escaped: String = HOSTILE.chars().map(|symbol| format!("\\u{:04x}", u32::from(symbol))).collect();
    sandbox.write("hostile.toml", format!("\"{escaped}\" = \"{escaped}\"\n"));
    harmless(&sandbox.run(&["plan", "hostile.toml"]), 1);
}

#[test]
fn a_message_is_no_longer_than_can_be_read() {
    let sandbox = Sandbox::new();
    sandbox.write("long.toml", format!("{} = 1\n", "a".repeat(500_000)));
    let done = sandbox.run(&["plan", "long.toml"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.len() < 20_000, "{} bytes", done.stderr.len());
    assert!(done.stderr.contains("error: long.toml: aaa"), "{}", done.stderr);
    assert!(done.stderr.contains("knows this option; "), "{}", done.stderr);
}

#[cfg(unix)]
#[test]
fn a_training_that_nobody_hears_goes_on_and_can_be_stopped() {
    let sandbox = Sandbox::new();
    sandbox.images("set/9_penny", 2);
    for (steps, press) in [("--max_train_steps=3", false), ("--max_train_steps=100000", true)] {
        let mut child = sandbox.start(&Sandbox::training(&[steps]));
        sandbox.wait_for(&mut child, " steps in ");
        child.stderr = None;
        child.stdout = None;
        if press {
            sandbox.interrupt(&child);
        }
        assert_eq!(sandbox.finish(child).code, 0, "{steps}");
        std::fs::remove_file(sandbox.path("out/last.safetensors")).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_terminal_that_closes_and_a_system_that_ends_save_the_training() {
    let sandbox = Sandbox::new();
    sandbox.images("set/9_penny", 2);
    // The system and the shell both tell that a terminal is closed.
    for signals in [&["-HUP", "-HUP"][..], &["-TERM"]] {
        let mut child = sandbox.start(&Sandbox::training(&["--max_train_steps=100000"]));
        sandbox.wait_for(&mut child, "training 100000 steps");
        signals.iter().for_each(|signal| sandbox.signal(&child, signal));
        let done = sandbox.finish(child);
        assert_eq!(done.code, 0, "{signals:?} {}", done.stderr);
        assert!(done.stdout.contains("of 100000, stopped early"), "{}", done.stdout);
        std::fs::remove_file(sandbox.path("out/last.safetensors")).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn nohup_lets_a_training_outlive_its_terminal() {
    let sandbox = Sandbox::new();
    sandbox.images("set/9_penny", 2);
    let line = Sandbox::training(&["--max_train_steps=4"]).join(" ");
    let done = sandbox.bash(&format!(
        "trap '' HUP; {} {line} 2> log & while ! grep -q 'training 4' log; do sleep 0.02; done; kill -HUP $!; wait $!",
        env!("CARGO_BIN_EXE_lorabake")
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("  4 steps in "), "{}", done.stdout);
}

#[cfg(unix)]
#[test]
fn a_reader_that_leaves_is_no_error_and_a_full_disk_is() {
    let sandbox = Sandbox::new();
    let program = env!("CARGO_BIN_EXE_lorabake");
    for command in ["options", "train --help", "completions bash", "--help"] {
        let done = sandbox.bash(&format!("{program} {command} | head -n 1; exit ${{PIPESTATUS[0]}}"));
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{command}");
    }
    let done = sandbox.bash(&format!("{program} --lr 2>&1 >&- | true; exit ${{PIPESTATUS[0]}}"));
    assert_eq!((done.code, done.stderr.as_str()), (2, ""));
    if cfg!(target_os = "linux") {
        let full = sandbox.bash(&format!("{program} options > /dev/full"));
        assert_eq!(full.code, 1);
        assert!(full.stderr.contains("the output is not whole"), "{}", full.stderr);
    }
}

#[test]
fn each_file_that_is_to_be_mended_has_a_line() {
    let sandbox = Sandbox::new();
    sandbox.images("set/2_penny", 25);
    for index in 0..25 {
        sandbox.write(&format!("set/2_penny/{index}.txt"), b"one\nPenny\x92s hat");
    }
    sandbox.write("set/2_penny/3.png", "");
    let done = sandbox.run(&["plan", "--train_data_dir=set", "--output_dir=out", "--max_train_steps=1"]);
    assert_eq!(done.code, 1);
    let errors: Vec<&str> = done.stderr.lines().filter(|line| line.starts_with("error: set/2_penny/")).collect();
    assert_eq!(errors.len(), 11, "{}", done.stderr);
    let told = "the caption is not UTF-8 (byte 0x92 in line 2, a Windows quotation mark?); save it as UTF-8";
    assert_eq!(errors.iter().filter(|line| line.ends_with(told)).count(), 10, "{}", done.stderr);
    assert!(done.stderr.contains("\n  and 15 more of this kind\n"), "{}", done.stderr);
}
