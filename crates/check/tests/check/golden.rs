//! Numbers of other programs: `oracle/check/phash_golden.py` and `caption_audit_golden.py`.

use std::collections::BTreeMap;
use std::path::Path;

use lorabake_check::Level;
use lorabake_check::measure::phash::Signature;
use lorabake_pixels::pillow::gray;
use lorabake_pixels::{Rgb, decode};
use serde_json::Value;

use crate::folder::{Folder, drawing};

/// The picture of the generator.
fn formula(width: u32, height: u32) -> Rgb {
    let mut image = Rgb::filled((width, height), [0, 0, 0]);
    for (index, pixel) in image.data.chunks_exact_mut(3).enumerate() {
        let x = index as u32 % width;
        let y = index as u32 / width;
        pixel[0] = ((x * x / 37 + y * 3) % 256) as u8;
        pixel[1] = ((x * 5 + y * y / 53) % 256) as u8;
        pixel[2] = ((x * y / 101 + 7 * x) % 256) as u8;
    }
    image
}

#[test]
fn hashes_are_those_of_imagehash() {
    let golden: BTreeMap<String, [String; 2]> = serde_json::from_str(include_str!("phash.json")).unwrap();
    assert!(golden.len() > 100);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, hashes) in golden {
        let image = match name.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?))) {
            Some((width, height)) => formula(width, height),
            None => decode(&root.join(&name)).unwrap().image,
        };
        let luma = gray(&image);
        let own = [Signature::of(&luma).hash, Signature::of(&luma.flip_horizontal()).hash];
        assert_eq!(own.map(|hash| format!("{hash:016x}")), hashes, "{name}");
    }
}

#[test]
fn findings_about_tags_are_those_of_caption_audit() {
    let golden: Value = serde_json::from_str(include_str!("caption_audit.json")).unwrap();
    let captions: Vec<&str> =
        golden["captions"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let mut folder = Folder::new();
    folder.run.trigger = Some("penny".to_owned());
    folder.captions("1_x", &captions);
    let name = |file: &Value| format!("1_x/{}.png", file.as_str().unwrap());
    let files = |value: &Value| value.as_array().unwrap().iter().map(name).collect::<Vec<String>>();

    let first = folder.said("act.first");
    let lacking: Vec<String> = first.iter().filter(|said| said.0 == Level::Error).map(|said| said.1.clone()).collect();
    assert_eq!(lacking, files(&golden["without_trigger"]));
    let elsewhere = first.iter().filter(|said| said.0 == Level::Warning).count() as u64;
    let at_first = golden["positions"]["0"].as_u64().unwrap();
    assert_eq!(elsewhere, captions.len() as u64 - at_first - lacking.len() as u64);

    let typos: Vec<(f64, String)> =
        folder.findings("act.typo").into_iter().map(|own| (own.number, own.subject)).collect();
    let mut variants = Vec::new();
    for variant in golden["variants"].as_array().unwrap() {
        for file in files(&variant[2]) {
            variants.push((variant[1].as_f64().unwrap(), file));
        }
    }
    assert_eq!(typos, variants);

    // Shares from 60 % on, as far as whole tags go.
    let shares: BTreeMap<String, f64> = folder
        .findings("tag.onoff")
        .into_iter()
        .filter(|own| own.threshold != 2.0 || own.number >= 0.6)
        .map(|own| (own.subject, own.number))
        .collect();
    let mut segments: BTreeMap<String, f64> = BTreeMap::new();
    for (tag, row) in golden["segments"].as_object().unwrap() {
        if row["severity"] != "EXPECTED" && row["severity"] != "INFO" {
            segments.insert(tag.clone(), row["share"].as_f64().unwrap());
        }
    }
    assert_eq!(shares, segments);
}

#[test]
fn findings_about_captions_are_those_of_caption_audit() {
    let golden: Value = serde_json::from_str(include_str!("caption_audit.json")).unwrap();
    let captions: Vec<&str> =
        golden["captions"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let folder = Folder::new();
    folder.captions("1_x", &captions);
    let name = |file: &Value| format!("1_x/{}.png", file.as_str().unwrap());
    let files = |value: &Value| value.as_array().unwrap().iter().map(name).collect::<Vec<String>>();
    let same = folder.findings("cap.same");
    let exact: Vec<Vec<String>> = golden["exact"].as_array().unwrap().iter().map(files).collect();
    assert_eq!(named(&same, 1.0), exact);
    let [near] = &golden["near"].as_array().unwrap()[..] else { panic!() };
    let [own] = &same.iter().filter(|own| own.number < 1.0).collect::<Vec<_>>()[..] else { panic!("{same:?}") };
    assert_eq!(names(own), [name(&near["a"]), name(&near["b"])]);
    assert!((own.number - near["jaccard"].as_f64().unwrap()).abs() < 1e-12);

    folder.write("1_x/orphan.txt", "penny, hat");
    folder.write("1_x/empty.txt", "\n");
    for name in ["lone", "empty"] {
        folder.picture(&format!("1_x/{name}.png"), &drawing(70, 256, 256));
    }
    let [missing] = &folder.findings("cap.missing")[..] else { panic!() };
    assert_eq!(names(missing), files(&golden["images_without_caption"]));
    let orphans: Vec<String> = folder.said("cap.orphan").into_iter().map(|said| said.1).collect();
    let expected: Vec<String> = files(&golden["captions_without_image"]);
    assert_eq!(orphans.len(), expected.len());
    assert!(orphans[0].ends_with("orphan.txt") && expected[0].ends_with("orphan.png"));
    let empty: Vec<String> = folder.said("cap.empty").into_iter().map(|said| said.1).collect();
    assert_eq!(empty, files(&golden["empty_captions"]));
}

fn named(findings: &[lorabake_check::Finding], number: f64) -> Vec<Vec<String>> {
    findings.iter().filter(|own| own.number == number).map(names).collect()
}

fn names(finding: &lorabake_check::Finding) -> Vec<String> {
    finding.images.iter().map(|path| format!("1_x/{}", path.file_name().unwrap().to_string_lossy())).collect()
}
