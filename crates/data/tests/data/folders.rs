//! Folders as users have them: what is read, what is left out and why, what is refused and which remedy is named.

use std::fs;

use lorabake_data::bucket::Layout;
use lorabake_data::image::view::Source;
use lorabake_data::{Problem, Reason, image as pixels, scan};
use lorabake_recipe::data::{Buckets, Data};

use crate::temp_folder::{TempFolder, encoded};

#[test]
fn images_captions_and_words_are_paired() {
    let folder = TempFolder::new();
    folder.image("train/10_red_hat/b.PNG", 20, 10).image("train/10_red_hat/a.Jpg", 8, 9).image(
        "train/10_red_hat/c.webp",
        5,
        6,
    );
    folder.image("train/10_red_hat/d.bmp", 3, 4).image("train/10_red_hat/face_10_20_30_40.jpeg", 7, 7);
    folder
        .file("train/10_red_hat/b.txt", "\u{feff}  penny, hat \r\nsecond line")
        .file("train/10_red_hat/c.TXT", "caf\u{e9}");
    folder.file("train/10_red_hat/d.caption", "from caption").file("train/10_red_hat/face.txt", "detected");
    folder.image("train/2_x/z.png", 1, 1);
    let dataset = folder.scan();
    let items: Vec<_> =
        dataset.items.iter().map(|i| (i.caption.as_str(), i.size, i.repeats, i.uses, i.folder)).collect();
    let expected = [
        ("red_hat", (8, 9), 10, 10, 0),
        ("penny, hat", (20, 10), 10, 10, 0),
        ("caf\u{e9}", (5, 6), 10, 10, 0),
        ("from caption", (3, 4), 10, 10, 0),
        ("detected", (7, 7), 10, 10, 0),
        ("x", (1, 1), 2, 2, 1),
    ];
    assert_eq!(items, expected);
    assert_eq!((dataset.folders[0].images, dataset.folders[0].captioned), (5, 4));
    assert_eq!(dataset.left_out, []);
    let missing = "10_red_hat: 1 of 5 images have no caption file and use the folder's words “red_hat” (a.Jpg)";
    let unread = "1 caption has more than one line, of which only the first is read (b.txt); put tags on one line, or \
                  give --enable_wildcard to draw one line at each use";
    assert_eq!(dataset.problems.iter().map(Problem::to_string).collect::<Vec<_>>(), [missing, unread]);
}

#[test]
fn a_survey_goes_on_where_a_scan_stops() {
    let folder = TempFolder::new();
    folder.image("train/4_penny/a.png", 9, 9).file("train/4_penny/a.txt", "one");
    folder.image("train/4_penny/b.png", 9, 9).file("train/4_penny/b.txt", b"caf\xe9");
    folder.file("train/4_penny/c.png", "no picture").image("train/2_hat/d.png", 9, 9);
    let found = scan::survey(&folder.data());
    let kept: Vec<_> = found.dataset.items.iter().map(|item| (item.path.clone(), item.uses)).collect();
    assert_eq!(kept, [(folder.path("train/2_hat/d.png"), 2), (folder.path("train/4_penny/a.png"), 4)]);
    assert_eq!((found.dataset.folders[1].images, found.dataset.folders[1].captioned), (1, 1));
    assert_eq!(found.dataset.items[1].caption_file, Some(folder.path("train/4_penny/a.txt")));
    assert_eq!(scan::scan(&folder.data()).unwrap_err().0, found.errors);
    assert_eq!(found.errors.len(), 2);
}

#[test]
fn everything_left_out_has_a_reason() {
    let folder = TempFolder::new();
    folder.image("train/4_penny/a.png", 9, 9).file("train/4_penny/a.txt", "one").file("train/4_penny/a.caption", "two");
    folder
        .file("train/4_penny/b.txt", "no image")
        .file("train/4_penny/c.gif", "GIF")
        .file("train/4_penny/d.tiff", "II");
    folder.file("train/4_penny/notes.md", "x").file("train/4_penny/.DS_Store", "x").image(
        "train/4_penny/._a.png",
        1,
        1,
    );
    folder.image("train/4_penny/more/e.png", 9, 9).image("train/0_never/f.png", 9, 9).file("train/3_void/g.txt", "x");
    folder.image("train/reg/1_girl/h.png", 9, 9).image("train/loose.png", 9, 9).file("train/readme.txt", "x");
    let dataset = folder.scan();
    let expected = [
        ("train/4_penny/more", Reason::Nested { images: 1, into: "4_penny".into() }),
        ("train/3_void/g.txt", Reason::CaptionWithoutImage),
        ("train/3_void", Reason::EmptyFolder),
        ("train/4_penny/._a.png", Reason::Hidden),
        ("train/4_penny/a.caption", Reason::OtherCaptionUsed),
        ("train/4_penny/b.txt", Reason::CaptionWithoutImage),
        ("train/4_penny/c.gif", Reason::UnsupportedType("gif".into())),
        ("train/4_penny/d.tiff", Reason::UnsupportedType("tiff".into())),
        ("train/4_penny/notes.md", Reason::NotAnImage),
        ("train/0_never", Reason::ZeroRepeats(0)),
        ("train/loose.png", Reason::OutsideConcept),
        ("train/reg", Reason::NoRepeats { name: "reg".into(), images: 1 }),
    ];
    let mut found = folder.left_out(&dataset);
    let mut expected: Vec<_> = expected.into_iter().map(|(path, reason)| (path.to_owned(), reason)).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(found, expected);
    assert_eq!(dataset.items.len(), 1);
}

#[test]
fn the_caption_extension_that_is_asked_for_is_the_only_one() {
    let folder = TempFolder::new();
    folder.image("train/4_penny/a.png", 9, 9).file("train/4_penny/a.txt", "tags").file("train/4_penny/a.cap", "mine");
    let dataset = scan(&Data { caption_extension: Some(".cap".into()), ..folder.data() }).unwrap();
    assert_eq!(dataset.items[0].caption, "mine");
    assert_eq!(
        folder.left_out(&dataset),
        [("train/4_penny/a.txt".into(), Reason::OtherCaptionExtension(".cap".into()))]
    );
}

#[test]
fn doubtful_folders_are_warned_about() {
    let folder = TempFolder::new();
    folder.image("train/2024_trip/a.png", 9, 9).file("train/2024_trip/a.txt", "\npenny");
    folder.image("train/3/b.png", 9, 9).image("train/4_words/c.png", 9, 9);
    let problems: Vec<String> =
        folder.scan().problems.iter().map(|problem| folder.plain(&problem.to_string())).collect();
    let expected = [
        "train/2024_trip/a.txt: the first line is blank, so the caption is empty; only the first line is read",
        "2024_trip: repeats each image 2024 times per epoch; if that is not meant, rename it to e.g. 10_2024_trip",
        "3: no captions and no words in the folder name; its images train the empty prompt; write \
         words behind the number, as in 10_penny, or a text file beside each image",
    ];
    assert_eq!(problems, expected);
}

#[test]
fn a_set_without_captions_is_told_of() {
    let folder = TempFolder::new();
    folder.image("train/4_red hat/a.png", 9, 9).image("train/2_x/b.png", 9, 9);
    let told: Vec<String> = folder.scan().problems.iter().map(ToString::to_string).collect();
    let expected = "no image has a caption file, so that all train the words of their folder's name alone (“x”); put a \
                    text file with tags beside each image, such as b.txt, or give --caption_extension if yours end \
                    otherwise";
    assert_eq!(told, [expected]);
    folder.file("train/2_x/b.txt", "penny");
    assert_eq!(folder.scan().problems, []);
}

#[test]
fn all_folders_without_repeats_are_named() {
    let folder = TempFolder::new();
    folder.image("train/a/1.png", 9, 9).image("train/b c/1.png", 9, 9).image("train/b c/2.png", 9, 9);
    let expected = "--train_data_dir train: the names of the folders a (1 image) and b c (2 images) do not begin with \
                    repeats of 1 or more; rename them: mv train/a train/10_a && mv \"train/b c\" \"train/10_b c\"";
    assert_eq!(folder.refused(), expected);
    let folder = TempFolder::new();
    folder.image("train/10-penny/a.png", 9, 9);
    assert!(folder.refused().ends_with("rename it: mv train/10-penny train/10_penny"), "{}", folder.refused());
}

#[test]
fn broken_files_stop_the_run_all_at_once_and_by_name() {
    let folder = TempFolder::new();
    folder.image("train/4_p/fine.png", 30, 30).file("train/4_p/zero.png", "").file("train/4_p/text.png", "hello there");
    folder.file("train/4_p/gif.png", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;");
    folder.file("train/4_p/fine.txt", b"caf\xe9").image("train/4_p/x.png", 5, 5).file("train/4_p/x.txt", "");
    folder.image("train/4_p/y.png", 5, 5).file("train/4_p/y.txt", b"\xff\xfeh\0i\0");
    let expected = "\
train/4_p/fine.txt: the caption is not UTF-8 (byte 0xE9 in line 1, an accented letter of Windows?); save it as UTF-8
train/4_p/gif.png: the content is not PNG, JPEG, WebP or BMP but Gif; save it as PNG
train/4_p/text.png: the content is not PNG, JPEG, WebP or BMP but an unknown type; save it as PNG
train/4_p/x.txt: the caption file is empty; write a caption, or delete it to use the folder's words
train/4_p/y.txt: the caption is UTF-16; save it as UTF-8
train/4_p/zero.png: the image file is empty (0 bytes); copy it again or delete it";
    assert_eq!(folder.refused(), expected);
}

#[test]
fn a_file_cut_anywhere_is_refused_by_the_scan_and_by_the_decoder() {
    for name in ["a.png", "a.jpg", "a.webp", "a.bmp"] {
        let bytes = encoded(name, 64, 48);
        for share in [5, 30, 60, 90, 99] {
            let folder = TempFolder::new();
            folder.file(&format!("train/4_p/{name}"), &bytes[..bytes.len() * share / 100]);
            let path = format!("train/4_p/{name}");
            let expected = format!("{path}: the image file is truncated; copy it again or delete it");
            assert_eq!(folder.refused(), expected, "{share} %");
            assert_eq!(
                folder.plain(&pixels::decode(&folder.path(&path)).unwrap_err().to_string()),
                expected,
                "{share} %"
            );
        }
    }
}

#[test]
fn an_image_after_its_end_and_a_thumbnail_before_it_do_not_confuse_the_check() {
    let folder = TempFolder::new();
    let whole = encoded("a.jpg", 64, 48);
    let segment: Vec<u8> = [&[0xff, 0xe1, 0, 6, 0xff, 0xd9, 0, 0], &whole[2..]].concat();
    let with_thumbnail = [&whole[..2], &segment].concat();
    folder.file("train/4_p/trailer.jpg", [&whole[..], b"trailing bytes"].concat());
    folder.file("train/4_p/thumbnail.jpg", &with_thumbnail);
    assert_eq!(folder.scan().items.len(), 2);
    folder.file("train/4_p/cut.jpg", &with_thumbnail[..with_thumbnail.len() / 2]);
    assert!(folder.refused().contains("cut.jpg: the image file is truncated"));
}

#[test]
fn a_header_that_claims_too_much_is_refused_before_decoding() {
    let folder = TempFolder::new();
    let mut bomb = encoded("a.bmp", 2, 2);
    bomb[18..22].copy_from_slice(&60_000u32.to_le_bytes());
    bomb[22..26].copy_from_slice(&60_000u32.to_le_bytes());
    // Run-length encoded rows have no length that could be checked, so only the limit is left.
    bomb[28..30].copy_from_slice(&8u16.to_le_bytes());
    bomb[30..34].copy_from_slice(&1u32.to_le_bytes());
    bomb.extend([0; 4096]);
    folder.file("train/4_p/bomb.bmp", bomb);
    let expected = "train/4_p/bomb.bmp: 60000 × 60000 pixels are too many; shrink the image below 178 million pixels";
    assert_eq!(folder.refused(), expected);
    assert_eq!(folder.plain(&pixels::decode(&folder.path("train/4_p/bomb.bmp")).unwrap_err().to_string()), expected);
}

/// Unix only, because the system's words and the commands are those of Unix; `scan/misplaced.rs` tests the others.
#[cfg(unix)]
#[test]
fn a_wrong_folder_level_is_named_with_its_remedy() {
    let check = |image: &str, dir: &str, expected: &str| {
        let folder = TempFolder::new();
        folder.image(image, 9, 9);
        let error = scan(&Data { train_dir: folder.path(dir), ..folder.data() }).unwrap_err();
        assert_eq!(folder.plain(&error.to_string()), expected);
    };
    check(
        "train/a.png",
        "train",
        "--train_data_dir train: it holds 1 image outside any folder called N_name (N = repeats); \
         make one: mkdir train/10_train && mv train/*.* train/10_train",
    );
    check(
        "train/4_penny/a.png",
        "train/4_penny",
        "--train_data_dir train/4_penny: this is a concept folder itself (1 image); \
         give the folder around it: --train_data_dir train",
    );
    check(
        "train/img/4_penny/a.png",
        "train",
        "--train_data_dir train: the concept folders are one level deeper, in img; \
         give that folder: --train_data_dir train/img",
    );
    check(
        "train/my penny/a.png",
        "train",
        "--train_data_dir train: folder my penny holds 1 image but its name does not begin with repeats of 1 or more; \
         rename it: mv \"train/my penny\" \"train/10_my penny\"",
    );
    check(
        "train/0_penny/a.png",
        "train",
        "--train_data_dir train: folder 0_penny holds 1 image but its name does not begin with repeats of 1 or more; \
         rename it: mv train/0_penny train/10_penny",
    );
    check(
        "train/a/b/c.png",
        "train",
        "--train_data_dir train: it holds 1 image deeper than one folder; \
         move them into folders called N_name directly inside it, e.g. train/10_name",
    );
    // Each system has words of its own for this.
    let missing = fs::read_dir(TempFolder::new().path("train")).unwrap_err();
    check(
        "elsewhere/a.png",
        "train",
        &format!("--train_data_dir train: {missing}; give the folder that holds folders such as 10_name"),
    );
    let folder = TempFolder::new();
    fs::create_dir_all(folder.path("train/4_penny")).unwrap();
    let expected = "--train_data_dir train: no images; \
                    put .png, .jpg, .webp or .bmp files into a folder inside it, e.g. train/10_name";
    assert_eq!(folder.refused(), expected);
    folder.image("train/20240101_x/a.png", 9, 9);
    let expected =
        "train/20240101_x: 20240101 repeats of each image are more than 100000; rename the folder to e.g. 10_name";
    assert_eq!(folder.refused(), expected);
}

#[test]
fn a_missing_regularization_folder_is_an_error() {
    let folder = TempFolder::new();
    folder.image("train/4_penny/a.png", 9, 9);
    let error = scan(&folder.data_with_reg()).unwrap_err().to_string();
    assert!(folder.plain(&error).starts_with("--reg_data_dir reg: "), "{error}");
}

#[test]
fn an_empty_regularization_folder_is_none_at_all() {
    let folder = TempFolder::new();
    folder
        .image("train/4_penny/a.png", 9, 9)
        .file("train/4_penny/a.txt", "penny")
        .file("reg/readme.txt", "leave empty");
    let dataset = scan(&folder.data_with_reg()).unwrap();
    let warnings: Vec<String> = dataset.problems.iter().map(|problem| folder.plain(&problem.to_string())).collect();
    assert_eq!(warnings, ["--reg_data_dir reg: it holds no images, so there is no regularization"]);
    assert_eq!(dataset.items.iter().map(|item| (item.uses, item.is_reg)).collect::<Vec<_>>(), [(4, false)]);
    // Images at a wrong level are meant to be used.
    folder.image("reg/girl.png", 9, 9);
    assert!(scan(&folder.data_with_reg()).is_err());
}

#[test]
fn surplus_regularization_images_are_named() {
    let folder = TempFolder::new();
    folder.image("train/3_penny/a.png", 9, 9).file("train/3_penny/a.txt", "penny");
    for i in 0..3 {
        folder.image(&format!("reg/2_girl/0{i}.png"), 9, 9);
    }
    let dataset = scan(&folder.data_with_reg()).unwrap();
    assert_eq!(dataset.items.iter().map(|item| item.uses).collect::<Vec<_>>(), [3, 2, 2, 0]);
    assert_eq!(folder.left_out(&dataset), [("reg/2_girl/02.png".into(), Reason::RegSurplus)]);
    assert_eq!(dataset.problems, [Problem::RegSurplus { unused: 1, images: 3, train: 3 }]);
}

#[test]
fn an_item_that_changed_since_the_scan_is_refused() {
    let folder = TempFolder::new();
    folder.image("train/4_p/a.png", 90, 90);
    let dataset = folder.scan();
    let layout = Layout::new(&dataset, &folder.data()).unwrap();
    let load = || Source::load(&dataset.items[0], &layout.placements[0], &folder.data());
    let image = load().unwrap().unaugmented().unwrap().image;
    assert_eq!((image.width, image.height, image.data.len()), (128, 128, 3 * 128 * 128));
    folder.image("train/4_p/a.png", 80, 90);
    let error = load().unwrap_err().to_string();
    assert!(folder.plain(&error).starts_with("train/4_p/a.png: the image is 80 × 90 now but was 90 × 90"), "{error}");
}

#[test]
fn an_image_too_small_for_no_upscale_is_refused_by_name() {
    let folder = TempFolder::new();
    folder.image("train/4_p/a.png", 60, 200);
    let buckets = Some(Buckets { min: 64, max: 256, step: 64, no_upscale: true });
    let data = Data { buckets, ..folder.data() };
    let error = Layout::new(&folder.scan(), &data).unwrap_err().to_string();
    let expected = "train/4_p/a.png: 60 × 200 is less than one bucket step of 64 px; \
                    enlarge it, or leave out --bucket_no_upscale";
    assert_eq!(folder.plain(&error), expected);
}

#[test]
fn images_of_one_name_are_told_of() {
    let folder = TempFolder::new();
    for name in ["a.png", "a.jpg", "a-1.png", "b.webp", "b.bmp", "c.png"] {
        folder.image(&format!("train/2_penny/{name}"), 64, 64);
    }
    folder.image("train/3_hat/a.png", 64, 64).file("train/3_hat/a.txt", "hat");
    let warnings = |folder: &TempFolder| folder.scan().problems.iter().map(ToString::to_string).collect::<Vec<_>>();
    let rest = "have one name, so that they have one caption and one file of latents between them; rename one of them";
    assert_eq!(warnings(&folder), [format!("2_penny: a.jpg and a.png, and the images of 1 other name, {rest}")]);
    fs::remove_file(folder.path("train/2_penny/b.bmp")).unwrap();
    assert_eq!(warnings(&folder), [format!("2_penny: a.jpg and a.png {rest}")]);
    fs::remove_file(folder.path("train/2_penny/a.jpg")).unwrap();
    assert_eq!(warnings(&folder), [""; 0]);
}
