//! `lorabake check`: what is told, exit codes, JSON, the page, fixes and their undoing, what is refused.

use serde_json::Value;

use crate::sandbox::Sandbox;

/// Four captioned images, one of them without its activation tag.
fn set() -> Sandbox {
    let sandbox = Sandbox::new();
    for index in 0..4 {
        sandbox.write(&format!("set/1_penny/{index}.png"), picture(index));
        sandbox.write(&format!("set/1_penny/{index}.txt"), format!("penny, number {index}"));
    }
    sandbox.write("set/1_penny/2.txt", "number 2, hat, hat");
    sandbox
}

/// A PNG of 64 × 64 pixels in which there is something to see, another for each number.
fn picture(number: u32) -> Vec<u8> {
    let mut state = number * 2_654_435 + 12_345;
    let mut pixels = vec![220; 3 * 64 * 64];
    for _ in 0..60 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [place, size, color, tint] = state.to_be_bytes();
        for y in 0..usize::from(size % 12) + 2 {
            for x in 0..usize::from(place % 9) + 2 {
                let at = (usize::from(place) * 16 + y * 64 + x) % (64 * 64);
                pixels[3 * at..][..3].copy_from_slice(&[color / 2 + 20, tint / 2 + 60, color / 4 + tint / 4 + 30]);
            }
        }
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 64, 64);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    bytes
}

fn text(sandbox: &Sandbox, name: &str) -> String {
    std::fs::read_to_string(sandbox.path(name)).unwrap()
}

const CHECK: [&str; 4] = ["check", "set", "--resolution=64", "--no_cache"];

#[test]
fn errors_are_told_with_their_remedy_and_exit_code_1() {
    let sandbox = set();
    let before = sandbox.files("");
    let done = sandbox.run(&CHECK);
    assert_eq!(done.code, 1, "{}", done.stderr);
    for told in [
        "4 images in 1 folder\n  1_penny: 4 images, called by “penny” (guessed from the captions)\n",
        "act.first\n    1_penny/2.png: lacks the activation tag “penny”\n    → put it first",
        "tag.form\n    1_penny/2.png: has tags twice: hat\n",
        "not checked\n",
        "1 error, ",
    ] {
        assert!(done.stdout.contains(told), "{told} is missing in: {}", done.stdout);
    }
    sandbox.write("set/1_penny/2.txt", "penny, number 2, hat");
    assert_eq!(sandbox.run(&CHECK).code, 0);
    assert_eq!(sandbox.files("").len(), before.len());
}

#[test]
fn json_has_the_schema_of_the_page() {
    let sandbox = set();
    let done = sandbox.run(&[&CHECK[..], &["--json", "--only=act.,set.exact"]].concat());
    assert_eq!(done.code, 1);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&report["schema"], &report["images"]), (&"lorabake-check/1".into(), &4.into()));
    assert_eq!(report["counts"]["errors"], 1);
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["id"], &finding["level"], &finding["scope"]),
        (&"act.first".into(), &"error".into(), &"image".into())
    );
    assert_eq!(finding["fix"]["name"], "activation_first");
    assert!(finding["images"][0].as_str().unwrap().ends_with("2.png"));
}

#[test]
fn the_page_shows_pictures_and_no_text_as_it_is() {
    let sandbox = set();
    sandbox.write("set/1_penny/2.txt", "<script>alert(1)</script>, \"x' onload=y, hat, hat");
    let done = sandbox.run(&[&CHECK[..], &["--html=page.html"]].concat());
    assert!(done.stdout.ends_with("page.html\n"), "{}", done.stdout);
    let page = std::fs::read_to_string(sandbox.path("page.html")).unwrap();
    assert!(page.contains("background-image:url(data:image/jpeg;base64,") && page.contains("lacks the activation tag"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains("<script"), "{page}");
    assert!(!page.contains("x' onload"));
}

#[test]
fn fixes_go_through_the_journal() {
    let sandbox = set();
    let fix = |more: &[&str]| sandbox.run(&[&CHECK[..], &["--fix=doubles,activation_first"], more].concat());
    let trial = fix(&["--dry_run"]);
    assert!(trial.stdout.contains("- number 2, hat, hat\n  + penny, number 2, hat"), "{}", trial.stdout);
    assert_eq!(text(&sandbox, "set/1_penny/2.txt"), "number 2, hat, hat");
    let done = fix(&[]);
    assert_eq!(done.code, 0, "{}", done.stdout);
    assert!(done.stderr.contains("changed 1 caption") && done.stderr.contains("lorabake tags undo"), "{}", done.stderr);
    assert_eq!(text(&sandbox, "set/1_penny/2.txt"), "penny, number 2, hat");
    assert!(sandbox.path("set.lorabake/journal.jsonl").exists());
    assert!(fix(&[]).stderr.contains("nothing to fix"));
}

#[test]
fn fixes_have_the_journal_of_the_folder_that_was_named() {
    let sandbox = set();
    // A loose image, beside which a concept folder could stand alone.
    sandbox.write("set/loose.png", picture(9));
    let before = text(&sandbox, "set/1_penny/2.txt");
    let fix = [&CHECK[..], &["--fix=doubles,activation_first"]].concat();
    let trial = sandbox.run(&[&fix[..], &["--dry_run", "--json"]].concat());
    let plan: Value = serde_json::from_str(&trial.stdout).unwrap();
    assert_eq!(plan["would_change"][0]["after"], "penny, number 2, hat");
    sandbox.run(&fix);
    assert_ne!(text(&sandbox, "set/1_penny/2.txt"), before);
    assert!(sandbox.path("set.lorabake/journal.jsonl").exists() && !sandbox.path("set/penny_1.lorabake").exists());
    assert_eq!(sandbox.run(&["tags", "undo", "set"]).code, 0);
    assert_eq!(text(&sandbox, "set/1_penny/2.txt"), before);
}

#[test]
fn a_page_replaces_no_other_file() {
    let sandbox = set();
    sandbox.write("mine.html", "<p>my page</p>");
    for (page, said) in
        [("set/1_penny/2.txt", "name a .html file"), ("mine.html", "no report"), ("no/a.html", "no folder")]
    {
        sandbox.run(&[&CHECK[..], &["--html", page]].concat()).refused(1, &["--html", said]);
    }
    assert_eq!(text(&sandbox, "mine.html"), "<p>my page</p>");
    for _ in 0..2 {
        let done = sandbox.run(&[&CHECK[..], &["--html=page.html"]].concat());
        assert!(done.stdout.ends_with("page.html\n"), "{}", done.stderr);
    }
}

#[test]
fn a_recipe_brings_its_folders_and_settings() {
    let sandbox = set();
    sandbox.write(
        "recipe.toml",
        "train_data_dir = 'set'\noutput_dir = 'out'\nresolution = '64'\nshuffle_caption = true\nmax_train_epochs = 2\n",
    );
    let done = sandbox.run(&["check", "recipe.toml", "--no_cache", "--trigger_word=penny"]);
    assert!(done.stdout.contains("give --keep_tokens=1"), "{}", done.stdout);
    assert!(done.stdout.contains("8 images are seen in all"), "{}", done.stdout);
}

#[test]
fn what_was_measured_is_kept_outside_of_the_data_set() {
    let sandbox = set();
    let check = ["check", "set", "--resolution=64", "--cache_dir=cache", "--json"];
    let first = sandbox.run(&check);
    assert!(sandbox.files("set").iter().all(|name| !name.ends_with(".jsonl")));
    let kept: Vec<String> = sandbox.files("cache").into_iter().filter(|name| name.ends_with(".jsonl")).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(sandbox.run(&check).stdout, first.stdout);
}

#[test]
fn what_cannot_be_checked_is_refused() {
    let sandbox = set();
    sandbox.write("empty/note.md", "nothing");
    sandbox.write("bad.toml", "[thresholds]\nimg.small.warnin = 2\n");
    sandbox.run(&["check", "no such"]).refused(1, &["no such", "there is no such folder"]);
    sandbox.run(&["check", "empty"]).refused(1, &["empty: no images", "put .png"]);
    sandbox.run(&["check", "set/1_penny/0.png"]).refused(1, &["0.png: it is a file", "name the folder"]);
    sandbox
        .run(&["check", "set", "--settings=bad.toml"])
        .refused(1, &["bad.toml: thresholds.img.small.warnin", "img.small.warning?"]);
    sandbox.run(&["check", "set", "--only=pictures"]).refused(1, &["--only pictures: there is no such check"]);
    sandbox.run(&["check", "set", "--fix=everything"]).refused(1, &["--fix everything: there is no such fix"]);
    sandbox.run(&["check", "set", "--tag_list=empty/note.md"]).refused(1, &["--tag_list empty/note.md: no tags in it"]);
}
