//! What is mended by itself, through the journal and back.

use lorabake_check::fix::{FIXES, plan};
use lorabake_check::{Report, Wanted, gather, report};
use lorabake_tags::Journal;

use crate::folder::{Folder, drawing};

/// Does the fixes; returns what is not done.
fn fix(folder: &Folder, names: &[&str]) -> Vec<String> {
    let data = folder.data();
    let wanted = Wanted {
        data: &data,
        settings: &folder.settings,
        run: folder.run.clone(),
        count_tokens: None,
        tag_lists: &[],
        tag_scores: None,
        measuring: lorabake_check::Measuring::New,
        cache: None,
    };
    let set = gather(&wanted, &|_| {}, &|| false).unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let plan = plan(&set, &report(&set), &names).unwrap();
    Journal::open(&folder.root()).unwrap().apply("check --fix", &plan.edits).unwrap();
    plan.notes
}

fn text(folder: &Folder, name: &str) -> String {
    std::fs::read_to_string(folder.path(&format!("set/1_x/{name}.txt"))).unwrap()
}

fn fixable(report: &Report) -> usize {
    report.findings.iter().filter(|finding| finding.fix.is_some()).count()
}

#[test]
fn all_fixes_leave_nothing_to_fix_and_undo_brings_every_byte_back() {
    let folder = Folder::new();
    let captions = [
        "penny, hat, hat\r\nmore",
        "\u{feff}penny,hat ,, sky,",
        "sky, penny, rating:safe",
        "pemny, red_hat",
        "penny, red hat",
        "penny, red hat",
        "tree, highres",
        "penny, green",
    ];
    folder.captions("set/1_x", &captions);
    folder.picture("set/1_x/odd.png", &drawing(50, 256, 256));
    std::fs::rename(folder.path("set/1_x/odd.png"), folder.path("set/1_x/odd.jpg")).unwrap();
    folder.write("set/1_x/odd.txt", "penny, blue");
    assert!(fixable(&folder.report()) > 8);
    let names: Vec<&str> = FIXES.iter().map(|fix| fix.name).collect();
    assert_eq!(fix(&folder, &names), Vec::<String>::new());
    let written = [
        "penny, hat\r\nmore",
        "penny, hat, sky",
        "penny, sky",
        "penny, red hat",
        "penny, red hat",
        "penny, red hat",
        "penny, tree",
        "penny, green",
    ];
    for (index, wanted) in written.iter().enumerate() {
        assert_eq!(text(&folder, &format!("{index:02}")), *wanted, "{index}");
    }
    assert!(folder.path("set/1_x/odd.png").exists() && !folder.path("set/1_x/odd.jpg").exists());
    assert_eq!(fixable(&folder.report()), 0);
    Journal::open(&folder.root()).unwrap().undo(None).unwrap().unwrap();
    for (index, wanted) in captions.iter().enumerate() {
        assert_eq!(text(&folder, &format!("{index:02}")), *wanted, "{index}");
    }
    assert!(folder.path("set/1_x/odd.jpg").exists());
}

/// Captions, masks and cached latents go by the rest of the name.
#[test]
fn another_suffix_parts_an_image_from_nothing_and_covers_nothing() {
    let folder = Folder::new();
    for (number, name) in ["a.jpg", "b.jpg", "b.webp", "c.jpg", "c.png"].iter().enumerate() {
        let own = folder.path(&format!("set/1_x/{number}.png"));
        folder.picture(&format!("set/1_x/{number}.png"), &drawing(number as u32, 256, 256));
        std::fs::rename(own, folder.path(&format!("set/1_x/{name}"))).unwrap();
    }
    for name in ["a.txt", "a_0256x0256_sd.npz", "b.txt", "c.txt"] {
        folder.write(&format!("set/1_x/{name}"), "penny");
    }
    let notes = fix(&folder, &["suffix"]);
    assert!(folder.path("set/1_x/a.png").exists() && folder.path("set/1_x/a_0256x0256_sd.npz").exists());
    assert!(folder.path("set/1_x/b.png").exists() && folder.path("set/1_x/b.webp").exists());
    assert!(folder.path("set/1_x/c.jpg").exists() && folder.path("set/1_x/c.png").exists());
    assert_eq!(notes.len(), 2, "{notes:?}");
    let missing = folder.said("cap.missing");
    assert!(missing.iter().all(|own| !own.1.contains("a.png")), "{missing:?}");
}

#[test]
fn only_what_is_asked_for_is_changed() {
    let folder = Folder::new();
    folder.captions("set/1_x", &["penny, a, a", "penny,b", "penny, c", "pemny, d", "penny, e"]);
    let notes = fix(&folder, &["doubles", "activation_first"]);
    assert_eq!(text(&folder, "00"), "penny, a");
    assert_eq!(text(&folder, "01"), "penny,b");
    assert_eq!(text(&folder, "03"), "pemny, d");
    assert_eq!(notes, ["1_x/03.png: its activation tag is misspelt; give --fix activation_typo too"]);
}

#[test]
fn what_is_meant_so_is_not_mended() {
    let mut folder = Folder::new();
    folder.captions("set/1_x", &["penny, highres", "penny, b", "penny, c"]);
    let text = "[[intended]]\ncheck = 'tag.meta'\nsubject = 'highres'\nreason = 'the checkpoint knows it'";
    folder.settings = lorabake_check::Settings::parse(text, &lorabake_check::abouts()).unwrap();
    fix(&folder, &["meta"]);
    assert_eq!(self::text(&folder, "00"), "penny, highres");
}
