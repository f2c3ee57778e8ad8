//! Folders that are nobody's images, and images that are a level off: what is passed over, and where the advice leads.

use std::fs;

use lorabake_data::{Reason, scan};
use lorabake_recipe::data::{Data, DatasetConfig, Mask, Subset};

use crate::temp_folder::TempFolder;

/// Folders that programs leave among those of users.
const LEFTOVERS: [(&str, Reason); 11] = [
    (".ipynb_checkpoints", Reason::HiddenFolder),
    (".git", Reason::HiddenFolder),
    ("__MACOSX", Reason::ArchiveFolder),
    ("__macosx", Reason::ArchiveFolder),
    ("@eaDir", Reason::SystemFolder),
    ("$RECYCLE.BIN", Reason::SystemFolder),
    ("System Volume Information", Reason::SystemFolder),
    ("lost+found", Reason::SystemFolder),
    ("__pycache__", Reason::SystemFolder),
    ("2_penny.set_aside", Reason::OwnFolder),
    ("train.lorabake", Reason::OwnFolder),
];

#[test]
fn what_programs_leave_behind_is_not_advised_to_train_on() {
    for (name, reason) in LEFTOVERS {
        let folder = TempFolder::new();
        folder.image("train/2_penny/a.png", 64, 64).file("train/2_penny/a.txt", "penny");
        // Without an image in it, it is passed over in silence.
        for place in ["train", "train/2_penny"] {
            folder.file(&format!("{place}/{name}/2_penny/._a.png"), "a fork").file(&format!("{place}/{name}/x"), "x");
        }
        assert_eq!(folder.left_out(&folder.scan()), [], "{name}");
        for place in ["train", "train/2_penny"] {
            folder.image(&format!("{place}/{name}/a-checkpoint.png"), 64, 64);
        }
        let expected = ["train/2_penny", "train"].map(|place| (format!("{place}/{name}"), reason.clone()));
        assert_eq!(folder.left_out(&folder.scan()), expected, "{name}");
        // Nor are its images counted among those of the folder around it.
        folder.file(&format!("train/notes/{name}/a.png"), "x").image(&format!("train/penny/{name}/a.png"), 64, 64);
        folder.image("train/penny/b.png", 64, 64);
        let left_out = folder.left_out(&folder.scan());
        assert!(left_out.contains(&("train/notes".to_owned(), Reason::EmptyFolder)), "{left_out:?}");
        let penny = Reason::NoRepeats { name: "penny".to_owned(), images: 1 };
        assert!(left_out.contains(&("train/penny".to_owned(), penny)), "{left_out:?}");
    }
}

#[test]
fn advice_never_leads_into_what_programs_leave_behind() {
    for (name, _) in LEFTOVERS {
        for inside in ["a.png", "2_penny/a.png", "x/2_penny/a.png"] {
            let folder = TempFolder::new();
            folder.image(&format!("train/{name}/{inside}"), 64, 64);
            let error = folder.refused();
            assert!(error.starts_with("--train_data_dir train: no images; put .png"), "{error}");
            let error = refused_subset(&folder, "train");
            assert!(error.starts_with("image_dir train: no images; put .png"), "{error}");
        }
    }
}

/// Unix only, because of the commands; `scan/misplaced.rs` tests the others.
#[cfg(unix)]
#[test]
fn the_right_folder_is_found_further_away_too() {
    let check = |images: &[&str], dir: &str, is_reg: bool, expected: &str| {
        let folder = TempFolder::new();
        for image in images {
            folder.image(image, 9, 9);
        }
        fs::create_dir_all(folder.path(dir)).unwrap();
        let data = if is_reg {
            folder.image("others/2_penny/a.png", 9, 9);
            Data { train_dir: folder.path("others"), reg_dir: Some(folder.path(dir)), ..folder.data() }
        } else {
            Data { train_dir: folder.path(dir), ..folder.data() }
        };
        let error = folder.plain(&scan(&data).unwrap_err().to_string());
        assert_eq!(error, expected);
    };
    check(
        &["train/set/set/4_penny/a.png"],
        "train",
        false,
        "--train_data_dir train: the concept folders are deeper, in set; give that folder: \
         --train_data_dir train/set/set",
    );
    // The layout of the GUI.
    let project = ["project/img/4_penny/a.png", "project/log/x.png", "project/reg/1_girl/b.png"];
    let one_deeper = "the concept folders are one level deeper, in";
    check(
        &project,
        "project",
        false,
        &format!("--train_data_dir project: {one_deeper} img; give that folder: --train_data_dir project/img"),
    );
    check(
        &project,
        "project",
        true,
        &format!("--reg_data_dir project: {one_deeper} reg; give that folder: --reg_data_dir project/reg"),
    );
    check(
        &["train/4_penny/a.png"],
        "train/log",
        false,
        "--train_data_dir train/log: no images; the concept folders are one level up, in train; give that folder: \
         --train_data_dir train",
    );
    check(
        &["train/4_penny/a.png"],
        "train/4_penny/more",
        false,
        "--train_data_dir train/4_penny/more: no images; they are one level up, in 4_penny; give the folder around \
         that: --train_data_dir train",
    );
    let folder = TempFolder::new();
    folder.file("train/Penny.ZIP", "PK");
    let expected = "--train_data_dir train: it holds Penny.ZIP, and no images beside it; unpack it, and delete the \
                    archive or leave it";
    assert_eq!(folder.refused(), expected);
}

#[test]
fn images_of_types_that_are_not_read_are_counted() {
    let folder = TempFolder::new();
    folder.file("train/2_penny/a.HEIC", "x").file("train/2_penny/b.gif", "GIF").file("train/.git/c.gif", "GIF");
    let expected = "train: it holds 2 images of types that are not read, such as .heic; save them as PNG";
    assert_eq!(folder.refused(), format!("--train_data_dir {expected}"));
    assert_eq!(refused_subset(&folder, "train"), format!("image_dir {expected}"));
    // Nor is there no regularization, then.
    let folder_of_train = folder.path("train");
    folder.image("others/2_penny/a.png", 64, 64);
    let data = Data { train_dir: folder.path("others"), reg_dir: Some(folder_of_train), ..folder.data() };
    let error = folder.plain(&scan(&data).unwrap_err().to_string());
    assert_eq!(error, format!("--reg_data_dir {expected}"));
}

#[test]
fn masks_a_level_deeper_are_found_once_for_all_images() {
    let folder = TempFolder::new();
    folder.image("train/1_x/a.png", 64, 64).image("train/1_x/b.png", 64, 64).image("masks/white/a.png", 64, 64);
    let refused = |dir: &str| {
        let data = Data { mask: Some(Mask::Folder(folder.path(dir))), ..folder.data() };
        folder.plain(&scan(&data).unwrap_err().to_string())
    };
    let expected = "--conditioning_data_dir masks: it holds no images; they are one level deeper, in white; name the \
                    folder that holds the masks";
    assert_eq!(refused("masks"), expected);
    fs::create_dir(folder.path("empty")).unwrap();
    let expected = "--conditioning_data_dir empty: it holds no images; name the folder that holds the masks";
    assert_eq!(refused("empty"), expected);
}

/// What the scan says of a `--dataset_config` whose one subset has this folder.
fn refused_subset(folder: &TempFolder, dir: &str) -> String {
    let settings = Data { train_dir: folder.path(dir), ..folder.data() };
    let subset = Subset { dataset: 0, repeats: 1, class_tokens: "penny".into(), is_reg: false, settings };
    let config = DatasetConfig { file: "sets.toml".into(), subsets: vec![subset] };
    let data = Data { config: Some(config), ..folder.data() };
    folder.plain(&scan(&data).unwrap_err().to_string())
}

#[test]
fn an_image_dir_that_is_a_level_off_is_named_with_the_right_one() {
    let check = |images: &[&str], dir: &str, expected: &str| {
        let folder = TempFolder::new();
        for image in images {
            folder.image(image, 9, 9);
        }
        fs::create_dir_all(folder.path(dir)).unwrap();
        assert_eq!(refused_subset(&folder, dir), expected);
    };
    let two = ["images/2_penny/01.png", "images/2_penny/02.png"];
    check(
        &two,
        "images",
        "image_dir images: the images are one level deeper, in 2_penny (2 images); write image_dir = 'images/2_penny'",
    );
    check(
        &[&two[..], &["images/hat/03.png", "images/deeper/x/04.png"]].concat(),
        "images",
        "image_dir images: the images are one level deeper, in 2_penny (2 images) and hat (1 image); write a subset for \
         each: image_dir = 'images/2_penny', image_dir = 'images/hat'",
    );
    check(
        &["images/set/it's/01.png"],
        "images",
        "image_dir images: the images are deeper, in it's (1 image); write image_dir = \"images/set/it's\"",
    );
    check(
        &two,
        "images/2_penny/more",
        "image_dir images/2_penny/more: no images; they are one level up, in 2_penny (2 images); write \
         image_dir = 'images/2_penny'",
    );
    let folder = TempFolder::new();
    folder.file("images/set.7z", "7z");
    let expected = "image_dir images: it holds set.7z, and no images beside it; unpack it, and delete the \
                    archive or leave it";
    assert_eq!(refused_subset(&folder, "images"), expected);
    fs::remove_file(folder.path("images/set.7z")).unwrap();
    let expected = "image_dir images: no images; put .png, .jpg, .webp or .bmp files into it";
    assert_eq!(refused_subset(&folder, "images"), expected);
}
