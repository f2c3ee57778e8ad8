//! `lorabake tags` and `lorabake images` as a user meets them.

use crate::sandbox::{Sandbox, png};

/// Three captions of penny, one of them with a byte order mark and Windows' line ends.
fn set() -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, text) in [
        ("a", "\u{feff}penny, 1girl, boots, red footwear, red_boots\r\nsecond line\r\n"),
        ("b", "penny, 1girl, hat"),
        ("c", "penny,1girl , solo, hat\n"),
    ] {
        sandbox.write(&format!("img/10_penny/{name}.png"), png(1));
        sandbox.write(&format!("img/10_penny/{name}.txt"), text);
    }
    sandbox
}

fn read(sandbox: &Sandbox, name: &str) -> String {
    std::fs::read_to_string(sandbox.path(&format!("img/10_penny/{name}.txt"))).unwrap()
}

/// Runs it, and it works.
fn run(sandbox: &Sandbox, words: &[&str]) -> String {
    let done = sandbox.run(words);
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.stdout + &done.stderr
}

#[test]
fn tags_are_listed_with_their_balance() {
    let sandbox = set();
    let told = run(&sandbox, &["tags", "list", "img"]);
    for line in [
        "3 captions, 7 tags",
        "activation tag of 10_penny: penny",
        "    3     0   100%  penny   [activation tag]",
        "    2     1    67%  hat",
        "    1     2    33%  red_boots   [stands alone]",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&sandbox.run(&["tags", "list", "img", "--json"]).stdout).unwrap();
    assert_eq!((&json["captions"], &json["tags"][0]["tag"]), (&3.into(), &"1girl".into()));
    let rare = run(&sandbox, &["tags", "list", "img", "--sort=rare", "--top=1"]);
    assert!(rare.contains("boots") && rare.contains("… and 6 tags more"), "{rare}");
    // Only `a` says the same thing twice.
    let redundant = run(&sandbox, &["tags", "list", "img", "--only=issue:tag.redundant"]);
    assert!(redundant.contains("1 caption, 5 tags"), "{redundant}");
    assert_eq!(sandbox.files("img").len(), 6);
}

#[test]
fn a_change_is_shown_done_and_undone() {
    let sandbox = set();
    let before = ["a", "b", "c"].map(|name| read(&sandbox, name));
    let dry = sandbox.run(&["tags", "add", "img", "red dress", "--only=tag:hat", "--dry-run"]);
    assert_eq!(
        dry.stdout.replace('\\', "/"),
        "10_penny/b.txt\n  - penny, 1girl, hat\n  + penny, 1girl, hat, red dress\n\
         10_penny/c.txt\n  - penny,1girl , solo, hat\n  + penny,1girl , solo, hat, red dress\n"
    );
    assert!(dry.stderr.contains("2 of 2 captions would change; nothing was written"), "{}", dry.stderr);
    assert!(!sandbox.path("img.lorabake").exists());

    let told = run(&sandbox, &["tags", "add", "img", "red dress", "--front"]);
    assert!(told.contains("3 of 3 captions changed; `lorabake tags undo img` takes it back"), "{told}");
    assert_eq!(
        read(&sandbox, "a"),
        "\u{feff}penny, red dress, 1girl, boots, red footwear, red_boots\r\nsecond line\r\n"
    );
    run(&sandbox, &["tags", "replace", "img", "(.*)girl", "$1woman", "--regex"]);
    assert_eq!(read(&sandbox, "b"), "penny, red dress, 1woman, hat");
    let history = run(&sandbox, &["tags", "history", "img/10_penny"]);
    assert!(
        history.contains("   1  tags add, 3 files") && history.contains("   2  tags replace, 3 files"),
        "{history}"
    );
    assert!(run(&sandbox, &["tags", "undo", "img"]).contains("undone: tags replace, 3 files"));
    assert!(run(&sandbox, &["tags", "undo", "img/10_penny"]).contains("undone: tags add"));
    assert!(run(&sandbox, &["tags", "undo", "img"]).contains("nothing to undo"));
    assert_eq!(["a", "b", "c"].map(|name| read(&sandbox, name)), before);
    assert!(run(&sandbox, &["tags", "redo", "img"]).contains("done again: tags add"));
    assert_eq!(sandbox.files("img").len(), 6);
}

#[test]
fn boots_are_consolidated_when_asked_to() {
    let sandbox = set();
    let told = run(&sandbox, &["tags", "consolidate", "img"]);
    assert!(told.contains("red_boots  ←  boots (1), red footwear (1)  in 1 caption"), "{told}");
    assert!(told.contains("1 proposal; nothing was written"), "{told}");
    run(&sandbox, &["tags", "consolidate", "img", "--apply"]);
    assert_eq!(read(&sandbox, "a"), "\u{feff}penny, 1girl, red_boots\r\nsecond line\r\n");
}

#[test]
fn all_commands_work() {
    let sandbox = set();
    for (words, after) in [
        (&["remove", "img", "1girl", "so*"][..], "penny,hat\n"),
        (&["move-first", "img", "hat"], "penny,hat , 1girl, solo\n"),
        (&["sort", "img", "--by=name"], "penny,1girl , hat, solo\n"),
        (&["sort", "img", "--by=reverse", "--keep=1"], "penny,1girl , hat, solo\n"),
        (&["prefix", "img", "laetitia", "penny"], "laetitia,penny, 1girl , solo, hat\n"),
        (&["replace", "img", "penny", "laetitia"], "laetitia,1girl , solo, hat\n"),
        (&["add", "img", "a, b", "--at=2"], "penny,a, b, 1girl , solo, hat\n"),
    ] {
        run(&sandbox, &[&["tags"], words].concat());
        let now = read(&sandbox, "c");
        let spaces = |text: &str| text.replace(' ', "");
        assert_eq!(spaces(&now), spaces(after), "{words:?}");
        run(&sandbox, &["tags", "undo", "img"]);
    }
    sandbox.write("img/10_penny/c.txt", "penny, Hat,, hat");
    run(&sandbox, &["tags", "dedupe", "img"]);
    assert_eq!(read(&sandbox, "c"), "penny, Hat");
}

#[test]
fn prose_missing_and_broken_captions_are_told() {
    let sandbox = set();
    sandbox.write("img/10_penny/d.png", png(2));
    sandbox.write("img/10_penny/e.png", png(2));
    sandbox.write("img/10_penny/e.txt", "A girl in a hat walks over a large field.");
    sandbox.write("img/10_penny/f.png", png(2));
    sandbox.write("img/10_penny/f.txt", b"caf\xe9 \x1b[31m");
    let told = run(&sandbox, &["tags", "add", "img", "outdoors"]);
    for line in [
        "note: img/10_penny/f.txt: the caption is not UTF-8 (byte 0xE9 in line 1",
        "note: 1 caption of sentences left alone; --prose treats them as tags too",
        "4 of 5 captions changed, 1 of them new",
        "note: 1 caption without the activation tag of the folder",
    ] {
        assert!(told.replace('\\', "/").contains(line), "{line}: {told}");
    }
    assert_eq!(read(&sandbox, "d"), "penny, outdoors\n");
    run(&sandbox, &["tags", "undo", "img"]);
    assert!(!sandbox.path("img/10_penny/d.txt").exists());
}

#[test]
fn what_cannot_be_is_refused_in_one_line() {
    let sandbox = set();
    sandbox.write("empty/notes.txt", "x");
    for (words, said) in [
        (&["list", "none"][..], "none: it cannot be"),
        (&["list", "empty"], "empty: no images in it"),
        (&["list", "img/10_penny/a.png"], "a.png: "),
        (&["list", "img", "--only", "colour:red"], "--only: colour: is unknown"),
        (&["list", "img", "--only", "tag:none"], "--only: no image of 3 fits"),
        (&["list", "img", "--only", "issue:img.soft"], "--only: no image of 3 fits"),
        (&["list", "img", "--only", "hat OR NOT issue:img.sofft"], "--only: issue:img.sofft is no check; there are "),
        (&["remove", "img", "penny"], "TAG: penny is the activation tag of 10_penny"),
        (&["add", "img", " , "], "TAG: it is empty"),
        (&["add", "img", "a\nb"], "TAG: it holds a line break"),
        (&["add", "img", "a", "--at=0"], "--at: tags are counted from 1"),
        (&["replace", "img", "(", "x", "--regex"], "TEXT: "),
        (&["replace", "img", "(a)", "$2", "--regex"], "NEW: $2 is no group of the 1 of the expression"),
        (&["replace", "img", "penny", ""], "TEXT: it would take penny, the activation tag, out of "),
        (&["replace", "img", "hat", "two\nlines"], "NEW: it holds a line break"),
        (&["replace", "img", ".", &"long ".repeat(9000), "--regex", "--scope=within"], "would be longer than 64 kB"),
        (&["add", "img", "a", "--caption_separator= "], "--caption_separator: it is blank"),
        (&["add", "img", "a", "--journal=img/here"], "the journal would lie in the data set"),
        (&["undo", "img", "--number=7"], "--number: there is no action 7"),
        (&["consolidate", "img", "--keep=x"], "--keep: none of the 1 proposal makes such a tag"),
    ] {
        sandbox.run(&[&["tags"], words].concat()).refused(1, &[said]);
    }
    run(&sandbox, &["tags", "add", "img", "x"]);
    sandbox.write("img/10_penny/b.txt", "by hand");
    sandbox.run(&["tags", "undo", "img"]).refused(1, &["b.txt", "changed by another program meanwhile"]);
    assert_eq!(read(&sandbox, "b"), "by hand");
}

/// A program that is killed in the midst of many files: the next one finds all old or all new.
#[cfg(unix)]
#[test]
fn a_killed_program_leaves_all_or_nothing() {
    let sandbox = Sandbox::new();
    let image = png(1);
    for number in 0..400 {
        sandbox.write(&format!("img/10_penny/{number}.png"), &image);
        sandbox.write(&format!("img/10_penny/{number}.txt"), "penny, hat");
    }
    let captions = || (0..400).map(|number| read(&sandbox, &number.to_string())).collect::<Vec<_>>();
    for tag in 0..6 {
        let before = captions();
        let name = format!("tag{tag}");
        let mut child = sandbox.start(&["tags", "add", "img", &name]);
        sandbox.wait_for_file("img.lorabake/journal.jsonl");
        std::thread::sleep(std::time::Duration::from_millis(7 * tag));
        child.kill().unwrap();
        child.wait().unwrap();
        run(&sandbox, &["tags", "history", "img"]);
        let after = captions();
        let with_tag = after.iter().filter(|caption| caption.ends_with(&name)).count();
        assert!(with_tag == 400 || after == before, "{with_tag}");
    }
    assert_eq!(sandbox.files("img").len(), 800);
}

#[test]
fn images_are_edited_and_come_back() {
    let sandbox = set();
    sandbox.write("img/10_penny/a_0064x0064_sd.npz", "latents");
    let before = std::fs::read(sandbox.path("img/10_penny/a.png")).unwrap();
    let dry = sandbox.run(&["images", "crop", "img", "--ratio=1:2", "--dry_run"]);
    assert!(dry.stdout.replace('\\', "/").contains("10_penny/a.png: 64 × 64 → 32 × 64"), "{}", dry.stdout);
    assert!(dry.stderr.contains("3 of 3 images would change"), "{}", dry.stderr);
    let told = run(&sandbox, &["images", "crop", "img", "--ratio=1:2", "--only=name:a.png"]);
    assert!(told.contains("1 of 1 image changed; the originals are in"), "{told}");
    assert!(told.contains("note: 1 file of cached latents of edited images set aside"), "{told}");
    let (width, height, _) = sandbox.pixels("img/10_penny/a.png");
    assert_eq!((width, height), (32, 64));
    run(&sandbox, &["images", "pad", "img", "--ratio=1:1", "--color=#ff0000", "--position=right"]);
    let (width, height, pixels) = sandbox.pixels("img/10_penny/a.png");
    assert_eq!((width, height, &pixels[..3]), (64, 64, &[255, 0, 0][..]));
    for command in ["borders", "flatten"] {
        assert!(run(&sandbox, &["images", command, "img"]).contains("nothing to change in 3 images"), "{command}");
    }
    // What is kept is no image of the data set.
    let listed = run(&sandbox, &["plan", "--train_data_dir=img", "--output_dir=out", "--resolution=64"]);
    assert!(!listed.contains("lorabake"), "{listed}");
    for _ in 0..2 {
        run(&sandbox, &["images", "undo", "img"]);
    }
    assert_eq!(std::fs::read(sandbox.path("img/10_penny/a.png")).unwrap(), before);
    assert!(sandbox.path("img/10_penny/a_0064x0064_sd.npz").exists());

    for (words, said) in [
        (&["crop", "img", "--ratio=0:1"][..], "--ratio: 0:1 is no ratio"),
        (&["crop", "img", "--resolution=large"], "--resolution: large is no size"),
        (&["pad", "img", "--color=pinkish"], "--color: pinkish is no colour"),
        (&["masks", "img", "--out=img/masks"], "it is in the data set"),
    ] {
        sandbox.run(&[&["images"], words].concat()).refused(1, &[said]);
    }
    let told = run(&sandbox, &["images", "pad", "img", "--ratio=1:100000000"]);
    assert!(told.contains("a.png: no bucket takes it, or it would be too large; it stays"), "{told}");
    let masks = run(&sandbox, &["images", "masks", "img", "--out=masks"]);
    assert!(masks.contains("3 images opaque everywhere"), "{masks}");
}
