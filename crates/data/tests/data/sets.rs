//! Regularization images by name, masks, and the folders of a `--dataset_config`.

use std::collections::BTreeMap;
use std::fs;

use lorabake_data::bucket::Layout;
use lorabake_data::epoch_order::{EpochOrder, Length};
use lorabake_data::facts;
use lorabake_data::report::{FolderGroup, FolderReport, NoCaption, Origin};
use lorabake_data::{DatasetReport, Reason, scan};
use lorabake_recipe::data::dataset_facts::{DatasetFacts, Dir};
use lorabake_recipe::data::{Buckets, Data, Mask, RegPairing};
use lorabake_recipe::data::{DatasetConfig, Subset};
use lorabake_recipe::seed::Seed;
use lorabake_recipe::train::Duration;

use crate::temp_folder::TempFolder;

fn paired(folder: &TempFolder) -> Data {
    Data { reg_pairing: RegPairing::SameName, ..folder.data_with_reg() }
}

#[test]
fn a_regularization_image_goes_with_the_training_image_of_its_name() {
    let folder = TempFolder::new();
    folder.image("train/4_penny/a.png", 64, 64).file("train/4_penny/a.txt", "penny, hat");
    folder.image("train/4_penny/b.png", 64, 64).file("train/4_penny/b.txt", "penny, rain");
    folder.image("train/2_hat/c.png", 64, 64).image("train/2_hat/alone.png", 64, 64);
    folder.image("reg/1_girl/b.jpg", 64, 64).image("reg/1_girl/a.png", 64, 64).file("reg/1_girl/a.txt", "a girl");
    folder.image("reg/9_girl/c.png", 64, 64).image("reg/9_girl/stranger.png", 64, 64).image("reg/9_girl/a.png", 64, 64);
    let data = paired(&folder);
    let dataset = scan(&data).unwrap();
    let reg = dataset.items.iter().filter(|item| item.is_reg && item.uses > 0);
    let reg: Vec<_> =
        reg.map(|item| (folder.plain(&item.path.display().to_string()), item.caption.clone(), item.uses)).collect();
    let row = |path: &str, caption: &str, uses: u32| (path.to_owned(), caption.to_owned(), uses);
    let expected = [
        row("reg/1_girl/a.png", "a girl", 4),
        row("reg/1_girl/b.jpg", "penny, rain", 4),
        row("reg/9_girl/c.png", "hat", 2),
    ];
    assert_eq!(reg, expected);
    let left: Vec<_> = folder.left_out(&dataset);
    let no = |path: &str| (path.to_owned(), Reason::NoPartner);
    assert_eq!(left, [no("reg/9_girl/a.png"), no("reg/9_girl/stranger.png")]);
    let warnings: Vec<String> = dataset.problems.iter().map(ToString::to_string).collect();
    let alone = "1 of 4 training images have no regularization image of their name (alone.png)";
    assert!(
        warnings.contains(&alone.to_owned()) && !warnings.iter().any(|text| text.contains("_girl")),
        "{warnings:?}"
    );
    let report = folder.report(&data);
    let reg = report.folders().find(|folder| folder.name == "1_girl").unwrap();
    assert_eq!((reg.captioned, reg.images, &reg.no_caption), (1, 2, &NoCaption::OfTrainingImage));
    // By number the same folders are used in full.
    let by_count = scan(&folder.data_with_reg()).unwrap();
    assert!(by_count.items.iter().filter(|item| item.is_reg).map(|item| item.uses).sum::<u32>() >= 12);
}

#[test]
fn pairing_that_pairs_nothing_is_refused() {
    let folder = TempFolder::new();
    folder.image("train/4_penny/a.png", 64, 64).image("reg/1_girl/x.png", 64, 64);
    let error = scan(&paired(&folder)).unwrap_err().to_string();
    let expected = "--reg_pairing=same_name: no regularization image is called like a training image; name them alike, \
                    e.g. a.png, or leave the option out";
    assert_eq!(error, expected);
}

#[test]
fn masks_are_found_by_name_and_checked() {
    let folder = TempFolder::new();
    folder.image("train/1_x/a.png", 70, 90).image("train/1_x/b.jpg", 70, 90).image("train/1_y/c.png", 70, 90);
    folder.image("masks/a.jpg", 70, 90).image("masks/b.png", 70, 90).image("masks/1_y/c.png", 70, 90);
    folder.image("reg/1_girl/r.png", 64, 64).file("train/1_y/c.txt", "y");
    let data = Data { mask: Some(Mask::Folder(folder.path("masks"))), ..folder.data_with_reg() };
    let dataset = scan(&data).unwrap();
    let masks: Vec<_> = dataset
        .items
        .iter()
        .map(|item| item.mask.as_ref().map(|mask| folder.plain(&mask.display().to_string())))
        .collect();
    let expected = [Some("masks/a.jpg"), Some("masks/b.png"), Some("masks/1_y/c.png"), None];
    assert_eq!(masks, expected.map(|mask| mask.map(str::to_owned)));

    folder.image("masks/a.png", 70, 90);
    let problems: Vec<String> = scan(&data).unwrap().problems.iter().map(|problem| problem.to_string()).collect();
    let expected = "masks/a.png: a.jpg has the name of the same image; it is not used, so delete or rename one of them";
    assert_eq!(problems.iter().map(|text| folder.plain(text)).collect::<Vec<_>>(), [expected]);
    fs::remove_file(folder.path("masks/a.png")).unwrap();

    folder.image("masks/a.jpg", 71, 90);
    fs::remove_file(folder.path("masks/b.png")).unwrap();
    let error = folder.plain(&scan(&data).unwrap_err().to_string());
    let expected = "masks/a.jpg: the mask is 71 × 90 and its image 70 × 90; make both alike\n\
                    train/1_x/b.jpg: no mask of that name in masks; add one, all white if the whole image counts";
    assert_eq!(error, expected);
    let data = Data { mask: Some(Mask::Folder(folder.path("nowhere"))), ..folder.data() };
    let error = folder.plain(&scan(&data).unwrap_err().to_string());
    assert!(error.starts_with("--conditioning_data_dir nowhere: "), "{error}");
}

/// Two data sets: the folder `a` and a regularization folder at 128, `a` and `b` again at 64 with buckets.
fn sets(folder: &TempFolder) -> Data {
    for (path, size) in [("a/1.png", 150), ("a/2.png", 150), ("b/3.png", 90), ("reg/4.png", 140), ("reg/5.png", 140)] {
        folder.image(path, size, size).file(&path.replace("png", "txt"), "one, two");
    }
    let small = Data {
        resolution: (64, 64),
        batch_size: 3,
        flip_aug: true,
        buckets: Some(Buckets { min: 64, max: 64, step: 64, no_upscale: false }),
        ..folder.data()
    };
    let large = Data { resolution: (128, 128), buckets: None, batch_size: 2, ..folder.data() };
    let subset = |dataset, dir: &str, repeats, is_reg, settings: &Data| Subset {
        dataset,
        repeats,
        class_tokens: "penny".into(),
        is_reg,
        settings: Data { train_dir: folder.path(dir), ..settings.clone() },
    };
    let subsets = vec![
        subset(0, "a", 3, false, &large),
        subset(0, "reg", 1, true, &large),
        subset(1, "a", 1, false, &small),
        subset(1, "b", 5, false, &small),
    ];
    let config = DatasetConfig { file: "sets.toml".into(), subsets };
    Data { config: Some(config), train_dir: Default::default(), ..folder.data() }
}

#[test]
fn each_data_set_has_its_own_size_batches_and_regularization() {
    let folder = TempFolder::new();
    let data = sets(&folder);
    let dataset = scan(&data).unwrap();
    // Six uses of the training images of the first set, and none of the second, are what the two are repeated for.
    let uses: Vec<u32> = dataset.items.iter().map(|item| item.uses).collect();
    assert_eq!(uses, [3, 3, 3, 3, 1, 1, 5]);
    let layout = Layout::new(&dataset, &data).unwrap();
    let sizes: Vec<u32> = layout.placements.iter().map(|placement| placement.bucket.0).collect();
    assert_eq!((sizes, layout.bucketing), (vec![128, 128, 128, 128, 64, 64, 64], true));
    let order = EpochOrder::new(&dataset, &layout, &data, Seed(1));
    assert_eq!(order.batches_per_epoch(), 6 + 3);
    let mut counts = BTreeMap::new();
    let mut flips = [0, 0];
    for batch in (0..20).flat_map(|epoch| order.epoch(epoch)) {
        let group = dataset.group(&data, &dataset.items[batch.entries[0].item]);
        assert!(batch.entries.len() <= [2, 3][group]);
        for entry in &batch.entries {
            assert_eq!(dataset.group(&data, &dataset.items[entry.item]), group, "a batch is of one data set");
            *counts.entry(entry.item).or_insert(0) += 1;
            flips[group] += u32::from(entry.flipped);
        }
    }
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [60, 60, 60, 60, 20, 20, 100]);
    assert!(flips[0] == 0 && flips[1] > 40, "{flips:?}");
}

#[test]
fn data_sets_are_told_and_counted_one_by_one() {
    let folder = TempFolder::new();
    let data = sets(&folder);
    let dataset = scan(&data).unwrap();
    let layout = Layout::new(&dataset, &data).unwrap();
    let facts = facts::of_dataset(&dataset, &layout);
    let dir = |name: &str, n_repeats, img_count| Dir { name: name.into(), n_repeats, img_count };
    assert_eq!(facts.dataset_dirs, [dir("a", 3, 2), dir("a (2)", 1, 2), dir("b", 5, 1)]);
    let of = |folder: &str| facts.tag_frequency.iter().find(|(name, _)| name == folder).unwrap().1[0].clone();
    assert_eq!((of("a"), of("b")), (("one".to_owned(), 2), ("one".to_owned(), 1)));
    let [large, small]: [DatasetFacts; 2] = facts::of_sets(&dataset, &layout, &data).try_into().unwrap();
    assert_eq!((large.train_images, large.reg_images, small.train_images, small.reg_images), (6, 2, 7, 0));
    assert_eq!(
        (&large.dataset_dirs, &small.dataset_dirs),
        (&vec![dir("a", 3, 2)], &vec![dir("a", 1, 2), dir("b", 5, 1)])
    );
    assert_eq!((large.bucket_info, small.bucket_info.unwrap().buckets), (None, vec![((64, 64), 7)]));
    assert_eq!(small.tag_frequency[0].1[0], ("one".to_owned(), 2));
    let order = EpochOrder::new(&dataset, &layout, &data, Seed(1));
    let length = Length::new(order.batches_per_epoch(), 1, Duration::Epochs(2));
    let report = DatasetReport::new(&dataset, &layout, &order, &data, Duration::Epochs(2), length);
    let row = |name: &str, images, repeats, uses| FolderReport {
        name: name.to_owned(),
        is_reg: false,
        images,
        captioned: images,
        no_caption: NoCaption::FolderWords("penny".to_owned()),
        held_out: 0,
        repeats,
        uses,
    };
    let large = Origin::DataSet { number: 1, resolution: (128, 128), batch_size: 2 };
    let small = Origin::DataSet { number: 2, resolution: (64, 64), batch_size: 3 };
    let reg = FolderReport { is_reg: true, ..row("reg", 2, 1, 6) };
    let expected = [
        FolderGroup { origin: large, folders: vec![row("a", 2, 3, 6), reg] },
        FolderGroup { origin: small, folders: vec![row("a", 2, 1, 2), row("b", 1, 5, 5)] },
    ];
    assert_eq!(report.groups, expected);
    assert_eq!(report.batch_sizes, [2, 3]);
    assert_eq!((report.length.batches_per_epoch, report.length.steps), (9, 18));
}

#[test]
fn a_folder_of_the_file_that_holds_no_images_is_named() {
    let folder = TempFolder::new();
    let mut data = sets(&folder);
    fs::create_dir(folder.path("empty")).unwrap();
    let subsets = &mut data.config.as_mut().unwrap().subsets;
    subsets[0].settings.train_dir = folder.path("empty");
    subsets[3].settings.train_dir = folder.path("nowhere");
    let error = folder.plain(&scan(&data).unwrap_err().to_string());
    assert!(error.starts_with("image_dir empty: no images; put .png, .jpg, .webp or .bmp files into it\n"), "{error}");
    assert!(error.ends_with("; name the folder that holds the images themselves"), "{error}");
}

#[test]
fn a_data_set_of_regularization_images_alone_is_refused() {
    let folder = TempFolder::new();
    let mut data = sets(&folder);
    for subset in &mut data.config.as_mut().unwrap().subsets {
        subset.is_reg = true;
    }
    let expected = "sets.toml: all its folders hold regularization images, so there are no training images; leave out \
                    is_reg for those that are to be learnt";
    assert_eq!(scan(&data).unwrap_err().to_string(), expected);
}

#[test]
fn regularization_images_without_company_are_named() {
    let folder = TempFolder::new();
    let mut data = sets(&folder);
    let config = data.config.as_mut().unwrap();
    config.subsets.remove(0);
    let expected = "data set 1: its 2 regularization images are never used, because it has no training images; \
                    regularization images belong into the data set ([[datasets]]) of the images that they accompany";
    for pairing in [RegPairing::Count, RegPairing::SameName] {
        let data = Data { reg_pairing: pairing, ..data.clone() };
        let dataset = scan(&data).unwrap();
        let warnings: Vec<String> = dataset.problems.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, [expected], "{pairing:?}");
        let left: Vec<_> = folder.left_out(&dataset);
        let alone = |path: &str| (path.to_owned(), Reason::RegAlone);
        assert_eq!(left, [alone("reg/4.png"), alone("reg/5.png")]);
        let uses: Vec<u32> = dataset.items.iter().map(|item| item.uses).collect();
        assert_eq!(uses, [0, 0, 1, 1, 5]);
    }
}
