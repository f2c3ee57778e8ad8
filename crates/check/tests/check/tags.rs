//! Checks of captions and tags.

use lorabake_check::Level;

use crate::folder::{Folder, drawing};

fn folder(captions: &[&str]) -> Folder {
    let folder = Folder::new();
    folder.captions("1_x", captions);
    folder
}

fn said(level: Level, subject: &str) -> (Level, String) {
    (level, subject.to_owned())
}

#[test]
fn nothing_is_said_of_captions_that_are_right() {
    let folder = folder(&[
        "penny, 1girl, solo, standing, red hat, beach",
        "penny, 1girl, solo, sitting, forest, full body",
        "penny, 1girl, solo, portrait, smile",
        "penny, 1girl, solo, running, red hat, street",
        "penny, 1girl, solo, jumping, blue dress, park",
        "penny, 1girl, solo, from behind, blue dress, night",
    ]);
    let report = folder.report();
    let grave: Vec<_> = report.findings.iter().filter(|own| own.level < Level::Hint).collect();
    assert!(grave.is_empty(), "{grave:#?}");
    assert_eq!(report.folders[0].activation.as_deref(), Some("penny"));
}

#[test]
fn the_activation_tag_is_looked_for_in_every_caption() {
    let folder = folder(&["penny, a", "penny, b", "penny, c", "penny, d", "penny, h", "e, penny", "pemny, f", "g"]);
    let expected =
        [said(Level::Error, "1_x/06.png"), said(Level::Error, "1_x/07.png"), said(Level::Warning, "1_x/05.png")];
    assert_eq!(folder.said("act.first"), expected);
    assert_eq!(folder.said("act.typo"), [said(Level::Error, "1_x/06.png")]);
    assert_eq!(folder.said("act.shuffle"), []);
    let mut shuffled = folder;
    shuffled.options.push("--shuffle_caption");
    assert_eq!(shuffled.said("act.shuffle"), [said(Level::Error, "1_x")]);
    shuffled.options.push("--keep_tokens=1");
    assert_eq!(shuffled.said("act.shuffle"), []);
}

#[test]
fn a_trigger_of_one_of_several_subjects_is_not_asked_of_the_others() {
    let mut folder = folder(&["aru, a", "aru, b", "aru, c", "d"]);
    folder.captions("1_y", &["bea, a", "bea, b", "bea, c"]);
    folder.run.trigger = Some("aru".to_owned());
    assert_eq!(folder.said("act.first"), [said(Level::Error, "1_x/03.png")]);
    let names: Vec<_> = folder.report().folders.into_iter().map(|own| own.activation.unwrap()).collect();
    assert_eq!(names, ["aru", "bea"]);
}

#[test]
fn missing_blank_and_lone_captions_are_told() {
    let folder = folder(&["penny, a", "penny, b", "\npenny, c", "penny, d\nand more"]);
    folder.picture("1_x/bare.png", &drawing(40, 256, 256));
    folder.write("1_x/orphan.txt", "penny");
    folder.write("1_x/00.caption", "penny");
    folder.write("1_x/01.txt", "\u{feff}penny, b");
    assert_eq!(folder.said("cap.missing"), [said(Level::Warning, "1_x")]);
    assert_eq!(folder.said("cap.empty"), [said(Level::Error, "1_x/02.png")]);
    assert_eq!(folder.said("cap.encoding"), [said(Level::Warning, "1_x/03.png"), said(Level::Hint, "1_x/01.png")]);
    let levels: Vec<Level> = folder.said("cap.orphan").into_iter().map(|own| own.0).collect();
    assert_eq!(levels, [Level::Warning, Level::Hint]);
}

#[test]
fn long_captions_and_odd_words_are_told() {
    let many = "wordword, ".repeat(150);
    let folder = folder(&["penny, a", &many, "penny, extraordinarily_long"]);
    let [finding] = &folder.findings("cap.tokens")[..] else { panic!("{:?}", folder.said("cap.tokens")) };
    assert_eq!((finding.level, finding.subject.as_str()), (Level::Error, "1_x/01.png"));
    assert!(finding.sentence.contains("cut off from “wordword” on"), "{}", finding.sentence);
    assert_eq!(folder.said("cap.split"), [said(Level::Hint, "extraordinarily_long")]);
}

#[test]
fn what_sticks_to_the_subject_is_told() {
    let mut captions = vec!["penny, red hat, blonde hair, standing"; 9];
    captions.push("penny, blonde hair, sitting");
    let mut folder = folder(&captions);
    let expected = [said(Level::Warning, "red hat"), said(Level::Hint, "blonde hair"), said(Level::Hint, "standing")];
    assert_eq!(folder.said("tag.onoff"), expected);
    folder.settings.controlled = vec!["scarf".to_owned()];
    assert!(folder.said("tag.onoff").contains(&said(Level::Warning, "scarf")));
}

#[test]
fn a_stray_trait_and_contradictions_are_told() {
    let mut captions = vec!["penny, solo, blonde hair, long hair, outdoors"; 8];
    captions.push("penny, solo, brown hair, long hair, very long hair");
    captions.push("penny, solo, blonde hair, indoors, outdoors");
    captions.push("penny, blonde hair, sitting, standing");
    let folder = folder(&captions);
    assert_eq!(folder.said("tag.outlier"), [said(Level::Warning, "1_x: brown hair")]);
    let expected = [said(Level::Error, "1_x/09.png"), said(Level::Hint, "1_x/10.png")];
    assert_eq!(folder.said("tag.contra"), expected);
    let redundant = folder.said("tag.redundant");
    assert_eq!(redundant, [said(Level::Hint, "long hair, very long hair")]);
}

#[test]
fn several_tags_for_one_thing_are_consolidated() {
    let folder = folder(&["penny, boots, red footwear, red boots", "penny, black legwear, socks"]);
    let remedies: Vec<String> =
        folder.findings("tag.redundant").into_iter().map(|own| own.subject + " → " + &own.remedy).collect();
    let expected = [
        "black legwear, socks → keep the more specific one: black socks",
        "boots, red boots → keep the more specific one: red boots",
        "red footwear, boots → keep the more specific one: red boots",
    ];
    assert_eq!(remedies, expected);
}

#[test]
fn the_form_of_tags_is_told() {
    let folder = folder(&[
        "penny, hat, hat",
        "penny, , hat",
        "penny, red_hat, (sky:1.2)",
        "penny; red hat; sky",
        "penny, red hat, aru \\(x\\)",
        "penny, hat, Hat ",
    ]);
    let form = folder.said("tag.form");
    for expected in ["1_x/00.png", "1_x/01.png", "1_x/03.png", "1_x/05.png", "red hat", "hat"] {
        assert!(form.iter().any(|own| own.1 == expected), "{expected}: {form:?}");
    }
    assert!(!form.iter().any(|own| own.1 == "1_x/04.png"), "{form:?}");
    assert_eq!(folder.said("tag.weight"), [said(Level::Warning, "1_x/02.png"), said(Level::Warning, "1_x/04.png")]);
}

#[test]
fn tags_of_the_file_of_others_and_of_writing_are_told() {
    let folder = folder(&[
        "penny, 1girl, solo, highres, rating:safe",
        "penny, 1girl, watermark, nose",
        "penny, 1girl, solo, cosplay",
        "penny, 2girls, hand",
    ]);
    assert_eq!(folder.said("tag.meta"), [said(Level::Hint, "highres"), said(Level::Hint, "rating:safe")]);
    assert_eq!(folder.said("tag.body"), [said(Level::Hint, "hand"), said(Level::Hint, "nose")]);
    assert_eq!(folder.said("tag.blacklist"), [said(Level::Hint, "cosplay")]);
    assert_eq!(folder.said("img.text"), [said(Level::Warning, "1_x/01.png")]);
    assert_eq!(folder.said("img.people"), [said(Level::Warning, "1_x/03.png")]);
}

#[test]
fn poses_backgrounds_and_single_tags_are_told() {
    let folder = folder(&[
        "penny, 1girl, white background, a",
        "penny, 1girl, white background, b",
        "penny, 1girl, white background, c",
        "penny, 1girl, white background, d",
        "penny, 1girl, standing, e",
    ]);
    assert_eq!(folder.said("tag.pose"), [said(Level::Warning, "1_x")]);
    assert_eq!(folder.said("tag.back"), [said(Level::Hint, "1_x")]);
    assert_eq!(folder.said("tag.obvious"), [said(Level::Hint, "1_x")]);
    let [single] = &folder.findings("tag.single")[..] else { panic!() };
    assert_eq!(
        (single.number, single.sentence.as_str()),
        (6.0, "6 of 9 tags are in 1 caption or fewer: a, b, c, d, e, standing")
    );
}

#[test]
fn sentences_are_left_alone() {
    let folder = folder(&["A girl called penny who sits on a wall, a hat, a hat.", "penny, hat"]);
    assert_eq!(folder.said("tag.form"), []);
    assert_eq!(folder.said("cap.mixed"), [said(Level::Hint, "1_x")]);
}
