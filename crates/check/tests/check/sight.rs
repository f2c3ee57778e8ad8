//! What detectors and taggers see, beside captions. The detectors are closures that know the pictures by a pixel.

use std::cell::Cell;

use image::{Rgb, RgbImage};
use lorabake_check::cache::content;
use lorabake_check::sight::scores::ScoreOf;
use lorabake_check::{Level, Report, TagScores};
use lorabake_tags::images::{Kind, Seen};

use crate::folder::{Folder, drawing};

/// A picture whose first pixel says which it is.
fn numbered(folder: &Folder, number: u8, caption: &str) {
    let mut picture: RgbImage = drawing(u32::from(number), 256, 256);
    picture.put_pixel(0, 0, Rgb([number, 0, 0]));
    folder.picture(&format!("1_x/{number:02}.png"), &picture);
    folder.write(&format!("1_x/{number:02}.txt"), caption);
}

fn face(sides: [f64; 4]) -> Seen {
    Seen { kind: Kind::Face, sides, score: 0.9 }
}

fn said(report: &Report, id: &str) -> Vec<(Level, String, String)> {
    let own = report.findings.iter().filter(|finding| finding.id == id);
    own.map(|finding| (finding.level, finding.subject.clone(), finding.sentence.clone())).collect()
}

#[test]
fn what_detectors_see_is_held_against_tags() {
    let folder = Folder::new();
    for (number, caption) in [
        "penny, solo, smile",
        "penny, solo, hat",
        "penny, solo, portrait",
        "penny, solo, from behind, looking at viewer",
        "penny, no humans",
        "penny, solo, looking at viewer",
    ]
    .into_iter()
    .enumerate()
    {
        numbered(&folder, number as u8, caption);
    }
    let middle = [90.0, 40.0, 170.0, 120.0];
    let find = |picture: &lorabake_pixels::Rgb, least: f64| {
        assert!(least <= 0.1, "all that may be asked for later");
        Ok(match picture.data[0] {
            0 => vec![face(middle), Seen { score: 0.2, ..face([0.0, 0.0, 9.0, 9.0]) }],
            1 => vec![face(middle), face([0.0, 60.0, 40.0, 100.0])],
            2 | 3 => vec![],
            4 => vec![face(middle)],
            _ => vec![face([100.0, 50.0, 120.0, 70.0]), Seen { kind: Kind::Writing, ..face([0.0, 0.0, 60.0, 20.0]) }],
        })
    };
    let report = folder.report_of_models(Some(&find), None);
    let tags: Vec<(Level, String)> =
        said(&report, "tag.face").into_iter().map(|(level, subject, _)| (level, subject)).collect();
    assert_eq!(
        tags,
        [(Level::Warning, "1_x/01.png"), (Level::Warning, "1_x/04.png"), (Level::Hint, "1_x/02.png")]
            .map(|(level, name)| (level, name.to_owned()))
    );
    let [(Level::Warning, subject, sentence)] = &said(&report, "img.people")[..] else { panic!("{report:?}") };
    assert_eq!(
        (subject.as_str(), sentence.as_str()),
        ("1_x/01.png", "shows others too: 2 figures are seen, some at the border")
    );
    let [(Level::Hint, subject, sentence)] = &said(&report, "img.face")[..] else { panic!("{report:?}") };
    assert!(subject == "1_x/05.png" && sentence.starts_with("the face is 20 pixels high"), "{sentence}");
    let [(Level::Hint, subject, sentence)] = &said(&report, "img.text")[..] else { panic!("{report:?}") };
    assert_eq!((subject.as_str(), sentence.as_str()), ("1_x/05.png", "1.8 % of it is writing that is seen"));
    assert!(report.not_checked.iter().all(|one| !one.why.contains("--detector")), "{:?}", report.not_checked);
    // Without a detector nothing is said, and that is told.
    let report = folder.report();
    assert!(said(&report, "tag.face").is_empty() && said(&report, "img.face").is_empty());
    assert_eq!(report.not_checked.iter().filter(|one| one.why.contains("--detector")).count(), 2);
}

#[test]
fn crops_and_borders_that_cut_faces_are_told() {
    let folder = Folder::new();
    // Wide pictures, of which a bucket takes the middle.
    folder.picture("1_x/wide.png", &drawing(1, 900, 256));
    folder.picture("1_x/edge.png", &drawing(2, 256, 256));
    folder.picture("1_x/near.png", &drawing(3, 256, 256));
    folder.write("1_x/near.txt", "penny, close-up");
    let find = |picture: &lorabake_pixels::Rgb, _: f64| {
        let sides = if picture.width > 300 { [0.0, 50.0, 120.0, 170.0] } else { [0.0, 50.0, 90.0, 140.0] };
        Ok(vec![face(sides)])
    };
    let mut folder = folder;
    folder.options = vec!["--resolution=256"];
    let report = folder.report_of_models(Some(&find), None);
    let faces = said(&report, "img.face");
    assert_eq!(faces.len(), 2, "{faces:?}");
    assert_eq!(
        (faces[0].0, faces[0].1.as_str(), faces[0].2.as_str()),
        (Level::Warning, "1_x/wide.png", "the trainer's crop leaves 0 % of the face")
    );
    assert_eq!(
        (faces[1].1.as_str(), faces[1].2.as_str()),
        ("1_x/edge.png", "the face ends at the border of the image")
    );
}

#[test]
fn an_image_is_looked_at_once() {
    let mut folder = Folder::new();
    let place = tempfile::tempdir().unwrap();
    folder.cache = Some(place.path().to_owned());
    numbered(&folder, 1, "penny, solo");
    numbered(&folder, 2, "penny, solo");
    let looks = Cell::new(0);
    let find = |_: &lorabake_pixels::Rgb, _: f64| {
        looks.set(looks.get() + 1);
        Ok(vec![face([10.0, 10.0, 90.0, 90.0]), face([110.0, 10.0, 190.0, 90.0])])
    };
    let first = folder.report_of_models(Some(&find), None);
    assert_eq!(said(&first, "tag.face").len(), 2);
    for suffix in ["png", "txt"] {
        let name = |number: u8| folder.path(&format!("1_x/0{number}.{suffix}"));
        std::fs::rename(name(2), name(3)).unwrap();
    }
    let second = folder.report_of_models(Some(&find), None);
    assert_eq!(looks.get(), 2);
    assert_eq!(said(&second, "tag.face").len(), 2);
    let refused = |_: &lorabake_pixels::Rgb, _: f64| Err("it cannot be computed".to_owned());
    assert_eq!(said(&folder.report_of_models(Some(&refused), None), "tag.face").len(), 2, "it is not asked");
}

#[test]
fn scores_are_held_against_captions() {
    let folder = Folder::new();
    let mut scores = TagScores::default();
    for number in 0..6_u8 {
        let caption = match number {
            0 => "penny, smile, red boots, hat",
            1 => "penny, smile, moon",
            _ => "penny, smile, red boots",
        };
        numbered(&folder, number, caption);
        let bytes = std::fs::read(folder.path(&format!("1_x/{number:02}.png"))).unwrap();
        let mut tags =
            vec![("smile", 0.9), ("red_footwear", 0.95), ("boots", 0.97), ("freckles", 0.7), ("hands", 0.99)];
        if number < 3 {
            tags.push(("hat", 0.9));
        }
        tags.push(("moon", if number == 5 { 0.06 } else { 0.07 }));
        scores.add(&content(&bytes), tags.into_iter().map(|(tag, score)| ScoreOf { tag, score }));
    }
    let report = folder.report_of_models(None, Some(&scores));
    let found: Vec<(String, String)> =
        said(&report, "tag.score").into_iter().map(|(_, subject, sentence)| (subject, sentence)).collect();
    // `boots` is said by `red boots` in all captions but that of 1; no caption has `boots` itself.
    assert_eq!(
        found,
        [("hat".to_owned(), "is seen in 2 captions that have it not".to_owned())],
        "moon is in one caption only"
    );
    let glued = said(&report, "tag.glue");
    assert_eq!(glued.len(), 1, "{glued:?}");
    assert_eq!(
        (glued[0].1.as_str(), glued[0].2.as_str()),
        ("freckles", "is seen in 100 % of the images, and no caption says it")
    );
    // Two captions have a moon, of which one is not seen.
    folder.write("1_x/02.txt", "penny, smile, moon, red boots");
    let bytes = std::fs::read(folder.path("1_x/02.png")).unwrap();
    scores.add(&content(&bytes), [ScoreOf { tag: "moon", score: 0.9 }]);
    let report = folder.report_of_models(None, Some(&scores));
    let moon = said(&report, "tag.score").into_iter().find(|own| own.1 == "moon").unwrap();
    assert_eq!(moon.2, "is not seen in 1 of the 2 captions with it");
    // Images that were changed since have no scores, which is told.
    folder.picture("1_x/00.png", &drawing(77, 256, 256));
    let report = folder.report_of_models(None, Some(&scores));
    assert!(report.not_checked.iter().any(|one| one.why.starts_with("1 of 6 have none in --scores")));
}
