//! What a detector sees in a data set: parts that are cut out, masks, crops, and what `check` says. The detector here sees a face
//! at one place of every picture, whatever is in it; what real ones see is their makers' business.

use std::path::Path;

use lorabake_pixels::{decode, probe};

use crate::sandbox::{Done, Sandbox};

/// A field of a message.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}

/// What goes in or comes out: its name, and so many sides of any length.
fn port(number: u8, name: &str, sides: usize) -> Vec<u8> {
    let sides = field(1, b"\x12\x01n").repeat(sides);
    let tensor = [vec![8, 1], field(2, &sides)].concat();
    field(number, &[field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat())
}

/// A detector that finds these boxes in its input of 640 × 640 pixels: sides and score.
fn detector(class: &str, boxes: &[[f32; 5]]) -> Vec<u8> {
    let mut values = Vec::new();
    for [left, top, right, bottom, score] in boxes {
        for value in [*left, *top, *right, *bottom, *score, 0.0] {
            values.extend(value.to_le_bytes());
        }
    }
    let sides = [vec![8, 1], vec![8, boxes.len() as u8], vec![8, 6], vec![0x10, 1]].concat();
    let tensor = [sides, field(8, b"boxes"), field(9, &values)].concat();
    let node = [field(1, b"boxes"), field(2, b"y"), field(4, b"Identity")].concat();
    let graph = [field(1, &node), field(5, &tensor), port(11, "images", 4), port(12, "y", 3)].concat();
    let names = format!("{{0: '{class}'}}");
    let names = [field(1, b"names"), field(2, names.as_bytes())].concat();
    [vec![8, 8], field(8, &[0x10, 17]), field(7, &graph), field(14, &names)].concat()
}

/// Pictures of 600 × 800 pixels; the face of the detector is 100 × 100 pixels around (300, 200) in them.
fn set() -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, caption) in
        [("a", "penny, solo, full body, red boots, hat"), ("b", "penny, solo, portrait"), ("c", "penny, solo, hat")]
    {
        let mut pixels = Vec::new();
        for at in 0..600 * 800_u32 {
            let [x, y] = [at % 600, at / 600];
            let is_face = (250..350).contains(&x) && (150..250).contains(&y);
            pixels.extend(if is_face {
                [250, 10, 10]
            } else {
                [(x % 251) as u8, (y % 241) as u8, (x + y) as u8 % 100]
            });
        }
        sandbox.write(&format!("img/2_penny/{name}.png"), png(600, 800, &pixels));
        sandbox.write(&format!("img/2_penny/{name}.txt"), caption);
    }
    // 0.8 times as large, and 80 pixels of grey at the left.
    sandbox.write("face.onnx", detector("face", &[[280.0, 120.0, 360.0, 200.0, 0.9]]));
    sandbox
}

fn png(width: u32, height: u32, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(pixels).unwrap();
    writer.finish().unwrap();
    bytes
}

fn images(sandbox: &Sandbox, words: &[&str]) -> Done {
    let done = sandbox.run(&[&["images"], words].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    done
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn portraits_are_cut_out_with_captions_and_taken_back() {
    let sandbox = set();
    let usual = ["closeups", "img", "--detector=face.onnx", "--resolution=256", "--view=portrait,upper_body"];
    let done = images(&sandbox, &[&usual[..], &["--dry_run"]].concat());
    assert!(
        done.stdout.contains("2_penny/a.png: 260 × 260 from column 170 and row 80 → 2_penny/a_portrait.png"),
        "{}",
        done.stdout
    );
    assert_eq!(files(&sandbox.path("img/2_penny")), 6);
    let done = images(&sandbox, &usual);
    assert!(
        done.stderr.contains("3 × portrait, 3 × upper body cut out of 3 images; `lorabake images undo img`"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("note: tags of legs and feet left out of 2 captions"), "{}", done.stderr);
    let portrait = decode(&sandbox.path("img/2_penny/a_portrait.png")).unwrap().image;
    assert_eq!(portrait.size(), (260, 260));
    // The face is where it was.
    assert_eq!(portrait.data[((120 * 260) + 130) * 3..][..3], [250, 10, 10]);
    let caption = std::fs::read_to_string(sandbox.path("img/2_penny/a_portrait.txt")).unwrap();
    assert_eq!(caption, "penny, solo, hat, portrait\n");
    // Once more: parts are not cut again.
    let again = images(&sandbox, &usual);
    assert!(
        again.stderr.contains("note: 6 parts there already") && again.stderr.contains("nothing was cut out"),
        "{}",
        again.stderr
    );
    images(&sandbox, &["undo", "img"]);
    assert_eq!(files(&sandbox.path("img/2_penny")), 6);
    // Too small for this training.
    let small = images(&sandbox, &["closeups", "img", "--detector=face.onnx", "--resolution=512"]);
    assert!(
        small.stderr.contains("note: 3 parts left out, since training would have to enlarge it"),
        "{}",
        small.stderr
    );
}

#[test]
fn masks_show_what_is_seen_or_the_rest() {
    let sandbox = set();
    let usual = ["masks", "img", "--out=masks", "--detector=face.onnx"];
    images(&sandbox, &[&usual[..], &["--outside=0.2"]].concat());
    let mask = decode(&sandbox.path("masks/2_penny/a.png")).unwrap().image;
    assert_eq!(mask.size(), (600, 800));
    let at = |mask: &lorabake_pixels::Rgb, x: usize, y: usize| mask.data[(y * 600 + x) * 3];
    assert_eq!([at(&mask, 300, 200), at(&mask, 10, 10), at(&mask, 240, 200)], [255, 51, 51]);
    images(&sandbox, &[&usual[..], &["--overwrite", "--invert", "--grow=20"]].concat());
    let mask = decode(&sandbox.path("masks/2_penny/a.png")).unwrap().image;
    assert_eq!([at(&mask, 300, 200), at(&mask, 10, 10), at(&mask, 240, 200)], [0, 255, 0]);
    sandbox.write("blind.onnx", detector("face", &[[0.0, 0.0, 1.0, 1.0, 0.1]]));
    let none = images(&sandbox, &["masks", "img", "--out=none", "--detector=blind.onnx"]);
    assert!(none.stderr.contains("note: 3 images in which nothing was seen, without a mask"), "{}", none.stderr);
    images(&sandbox, &["masks", "img", "--out=none", "--detector=blind.onnx", "--whole"]);
    let mask = decode(&sandbox.path("none/2_penny/a.png")).unwrap().image;
    assert!(mask.data.iter().all(|value| *value == 255));
    let done = sandbox.run(&[
        "train",
        "--train_data_dir=img",
        "--output_dir=out",
        "--resolution=64",
        "--network_dim=2",
        "--max_train_steps=1",
        "--masked_loss",
        "--conditioning_data_dir=masks",
        "--seed=1",
    ]);
    assert_eq!(done.code, 0, "{}", done.stderr);
}

#[test]
fn crops_keep_what_is_seen() {
    let sandbox = set();
    images(&sandbox, &["crop", "img", "--ratio=3:2", "--detector=face.onnx", "--only=name:a"]);
    assert_eq!(probe::size(&sandbox.path("img/2_penny/a.png")).unwrap(), (600, 400));
    let crop = decode(&sandbox.path("img/2_penny/a.png")).unwrap().image;
    assert_eq!(crop.data[(200 * 600 + 300) * 3..][..3], [250, 10, 10], "the face is in the middle");
}

#[test]
fn check_counts_and_measures_faces() {
    let sandbox = set();
    sandbox.write("two.onnx", detector("face", &[[280.0, 120.0, 360.0, 200.0, 0.9], [85.0, 300.0, 115.0, 330.0, 0.4]]));
    let usual = ["check", "img", "--cache_dir=cache", "--only=tag.face,img.people,img.face", "--detector=two.onnx"];
    let done = sandbox.run(&usual);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("2_penny/a.png: is tagged solo, and 2 figures are seen"), "{}", done.stdout);
    assert!(
        done.stdout.contains("2_penny/a.png: shows others too: 2 figures are seen, some at the border"),
        "{}",
        done.stdout
    );
    assert!(!done.stdout.contains("give a detector of faces"), "{}", done.stdout);
    let sure = sandbox.run(&[&usual[..], &["--confidence=0.5"]].concat());
    assert!(
        sure.stdout.contains("0 errors, 0 warnings, 0 hints") || sure.stdout.contains("nothing is wrong"),
        "{}",
        sure.stdout
    );
}

#[test]
fn what_cannot_be_done_is_one_line() {
    let sandbox = set();
    sandbox.write("cat.onnx", detector("cat", &[[0.0, 0.0, 9.0, 9.0, 0.9]]));
    for (words, said) in [
        (&["images", "closeups", "img"][..], "--detector: it is missing; "),
        (&["images", "closeups", "img", "--detector=none.onnx"], "--detector none.onnx: there is no such file; "),
        (&["images", "closeups", "img", "--detector=cat.onnx"], "call it for instance face.onnx"),
        (
            &["images", "closeups", "img", "--detector=face.onnx", "--view=full_body"],
            "--view: the detector does not tell where a full body is; ",
        ),
        (
            &["images", "closeups", "img", "--detector=face.onnx", "--classes=hand"],
            "the detector finds no `hand`; use face",
        ),
        (&["check", "img", "--detector=img/2_penny/a.png"], "a.png"),
        (&["check", "img", "--scores=img/2_penny/a.txt"], "it holds something else than scores"),
    ] {
        sandbox.run(words).refused(1, &[said]);
    }
}
