//! Rounds from one image to a LoRA.

use crate::sandbox::{Done, Sandbox, png, png_text};

/// Options of quick rounds.
const QUICK: [&str; 7] = [
    "--steps=1",
    "--cfg_scale=5",
    "--candidates=3",
    "--resolution=64",
    "--network_dim=2",
    "--max_train_steps=1",
    "--optimizer_type=AdamW",
];

fn gachamax(sandbox: &Sandbox, more: &[&str]) -> Done {
    sandbox.run(&[&["gachamax"], &QUICK[..], more].concat())
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("me.png", png(1));
    sandbox.write("me.txt", "penny, hat (straw)\n");
    sandbox
}

/// Names of files in a folder of the first round.
fn files(sandbox: &Sandbox, folder: &str) -> Vec<String> {
    let folder = format!("gachamax/round-1/{folder}");
    let names = sandbox.files(&folder);
    names.iter().map(|name| name[folder.len() + 1..].to_owned()).collect()
}

#[test]
fn rounds_go_by_themselves_and_each_is_written_down() {
    let sandbox = sandbox();
    let more = ["--image=me.png", "--pick=best", "--rounds=2"];
    let done = gachamax(&sandbox, &more);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("penny-round3.safetensors  trained on 4 images of 2 rounds"), "{}", done.stdout);
    assert!(done.stderr.contains("likeness to the original:\n"), "{}", done.stderr);
    assert_eq!((files(&sandbox, "candidates").len(), files(&sandbox, "rejected").len()), (2, 4));
    let caption = std::fs::read_to_string(sandbox.path("gachamax/round-1/images/40_penny/1-me.txt")).unwrap();
    assert_eq!(caption, "penny, hat (straw)\n");
    let state = std::fs::read_to_string(sandbox.path("gachamax/gachamax.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state["rounds"][1]["images"].as_array().unwrap().len(), 2);
    assert_eq!(state["rounds"][2]["steps"], 1);
    let first = &state["rounds"][0]["candidates"][0];
    assert_eq!(first["prompt"], "penny, hat \\(straw\\)");
    // Nothing is left to do, and a further round goes on from there.
    let before = sandbox.files("gachamax");
    assert_eq!(gachamax(&sandbox, &more).code, 0);
    assert_eq!(sandbox.files("gachamax"), before);
    let done = gachamax(&sandbox, &["--pick=best", "--rounds=3", "--keep=3"]);
    assert!(done.stdout.contains("penny-round4.safetensors  trained on 7 images of 3 rounds"), "{}", done.stdout);
}

#[test]
fn the_user_chooses_by_a_folder_over_several_commands() {
    let sandbox = sandbox();
    let more = ["--rounds=1", "--denoising_strength=0.6", "--vary=from side"];
    let done = gachamax(&sandbox, &[&more[..], &["--image=me.png"]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("delete or move away what does not look right"), "{}", done.stdout);
    let text = png_text(&sandbox.path("gachamax/round-1/candidates/02.png"));
    assert!(text.starts_with("penny, from side <lora:penny-round1:1>\n"), "{text}");
    assert!(text.contains("Denoising strength: 0.6"), "{text}");
    // Nothing was chosen yet; then one goes, and another one comes.
    let done = gachamax(&sandbox, &more);
    assert!(done.stdout.contains("nothing was taken out of it; delete"), "{}", done.stdout);
    std::fs::remove_file(sandbox.path("gachamax/round-1/candidates/01.png")).unwrap();
    sandbox.write("gachamax/round-1/candidates/mine.png", png(2));
    gachamax(&sandbox, &more).refused(1, &["mine.png: it has no caption; write one into"]);
    sandbox.write("gachamax/round-1/candidates/mine.txt", "penny, mine");
    let done = gachamax(&sandbox, &more);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("trained on 4 images of 1 round"), "{}", done.stdout);
    let images = sandbox.files("gachamax/round-2/images");
    assert!(images.iter().any(|name| name.ends_with("round-1-mine.png")), "{images:?}");
}

#[test]
fn what_has_gone_is_told_and_notes_are_told_once() {
    let sandbox = sandbox();
    let done = gachamax(&sandbox, &["--image=me.png", "--pick=best", "--rounds=2", "--keep=2"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.stderr.matches("note: --pretrained_model_name_or_path: not given").count(), 1, "{}", done.stderr);
    let kept = sandbox.files("gachamax/round-2/candidates").remove(0);
    std::fs::remove_file(sandbox.path(&kept)).unwrap();
    std::fs::remove_file(sandbox.path("gachamax/round-3/penny-round3.safetensors")).unwrap();
    let done = gachamax(&sandbox, &["--pick=best", "--rounds=3"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let inside = kept.strip_prefix("gachamax/").unwrap();
    for said in [
        format!("note: {inside}: it is gone, so that this round does without it"),
        "penny-round3.safetensors: it is gone, so that it is trained again".to_owned(),
    ] {
        assert_eq!(done.stderr.matches(&said).count(), 1, "{said}: {}", done.stderr);
    }
}

#[cfg(unix)]
#[test]
fn an_answer_that_is_no_text_is_asked_for_again() {
    let sandbox = sandbox();
    let program = env!("CARGO_BIN_EXE_lorabake");
    let options = QUICK.join(" ");
    let script = format!(
        "printf '\\xff\\xfe 1\\n9\\n2\\n' | {program} gachamax --image=me.png --pick=ask --rounds=1 {options}",
    );
    let done = sandbox.bash(&script);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.stderr.matches("Which to keep?").count(), 3, "{}", done.stderr);
    assert!(done.stderr.contains("there is no picture `9`"), "{}", done.stderr);
    assert_eq!(files(&sandbox, "candidates"), ["02.png", "02.txt"]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_question() {
    let sandbox = sandbox();
    let options = [&["gachamax"], &QUICK[..], &["--image=me.png", "--pick=ask", "--rounds=1"]].concat();
    let mut child = sandbox.start_asking(&options);
    sandbox.wait_for(&mut child, "Which to keep?");
    sandbox.interrupt(&child);
    let stdin = child.stdin.take();
    let done = sandbox.finish(child);
    drop(stdin);
    assert_eq!((done.code, done.stdout.as_str()), (130, ""), "{}", done.stderr);
    assert!(done.stderr.contains("stopped; the same command goes on"), "{}", done.stderr);
}

#[test]
fn no_candidate_at_all_means_others() {
    let sandbox = sandbox();
    gachamax(&sandbox, &["--image=me.png", "--rounds=1"]);
    for name in ["01", "02", "03"] {
        std::fs::remove_file(sandbox.path(&format!("gachamax/round-1/candidates/{name}.png"))).unwrap();
    }
    let done = gachamax(&sandbox, &["--rounds=1"]);
    assert!(done.stderr.contains("no candidate is left, so others are painted"), "{}", done.stderr);
    assert!(files(&sandbox, "candidates").contains(&"04.png".to_owned()));
}

#[cfg(unix)]
#[test]
fn a_run_that_was_killed_goes_on() {
    let sandbox = sandbox();
    let slow = ["--image=me.png", "--pick=all", "--rounds=1", "--candidates=4", "--steps=60"];
    let options = [&["gachamax"], &QUICK[3..], &slow[..]].concat();
    let mut child = sandbox.start(&options);
    // What is said of a picture comes before its file.
    sandbox.wait_for(&mut child, "candidate 3 of 4 in");
    sandbox.signal(&child, "-KILL");
    sandbox.finish(child);
    let lora = std::fs::read(sandbox.path("gachamax/round-1/penny-round1.safetensors")).unwrap();
    let second = std::fs::read(sandbox.path("gachamax/round-1/candidates/02.png")).unwrap();
    let done = sandbox.run(&options);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(!done.stderr.contains("candidate 2 of 4"), "{}", done.stderr);
    assert_eq!(std::fs::read(sandbox.path("gachamax/round-1/penny-round1.safetensors")).unwrap(), lora);
    assert_eq!(std::fs::read(sandbox.path("gachamax/round-1/candidates/02.png")).unwrap(), second);
    assert!(done.stdout.contains("trained on 5 images of 1 round"), "{}", done.stdout);
}

#[test]
fn what_cannot_be_is_one_line() {
    let sandbox = sandbox();
    sandbox.write("bare.png", png(1));
    sandbox.write("used/notes.txt", "mine");
    let cases: [(&[&str], i32, &[&str]); 11] = [
        (&[], 1, &["--image: name the image to begin with"]),
        (&["--image=nix.png"], 1, &["--image", "nix.png"]),
        (&["--image=bare.png"], 1, &["--caption: bare.png has no caption; give tags"]),
        (&["--image=me.png", "--out=used"], 1, &["--out used: there is notes.txt in it; name a new folder"]),
        (&["--image=me.png", "--pick=some"], 2, &["--pick"]),
        (&["--image=me.png", "--out=me.txt"], 1, &["--out me.txt: it is a file; name a folder"]),
        (&["--image=used"], 1, &["--image used: it is a folder; name an image"]),
        (&["--image=me.png", "--vary="], 2, &["--vary", "it is empty"]),
        (&["--image=me.png", "--strength=1e9"], 2, &["--strength", "a number from 0 to 10"]),
        (&["--image=me.png", "--output_dir=x"], 1, &["--output_dir: each round has its own; leave it out"]),
        // What would keep candidates from being painted is told before the training.
        (&["--image=me.png", "--out=g", "--prompt=a <lora:nope:1>"], 1, &["no LoRA `nope` in g/round-1"]),
    ];
    for (more, code, said) in cases {
        gachamax(&sandbox, more).refused(code, said);
    }
    assert!(sandbox.files("gachamax").is_empty());
    sandbox.write("gachamax/gachamax.json", "{}");
    gachamax(&sandbox, &[]).refused(1, &["gachamax.json: it is no state of a run; move it away"]);
}
