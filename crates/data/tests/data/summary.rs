//! What is said of a data set: the facts for metadata, and the report for the terminal.

use lorabake_data::bucket::Layout;
use lorabake_data::epoch_order::{EpochOrder, Length};
use lorabake_data::facts;
use lorabake_data::report::{BucketReport, FolderGroup, FolderReport, LengthUnit, NoCaption, Origin};
use lorabake_data::{DatasetReport, LeftOut, Reason, scan};
use lorabake_recipe::data::dataset_facts::{BucketInfo, Dir};
use lorabake_recipe::seed::Seed;
use lorabake_recipe::train::Duration;

use crate::temp_folder::TempFolder;

/// The data of sd-scripts' trace `i_reg`: six images of 4 repeats, four regularization images of 2.
fn penny() -> TempFolder {
    let folder = TempFolder::new();
    let captions = ["penny, 1Girl, solo", "penny,  Red Hat,,", "penny, penny", "solo", "penny", "caf\u{c9}"];
    for (i, caption) in captions.iter().enumerate() {
        folder.image(&format!("train/4_penny/0{i}.png"), 140, 140).file(&format!("train/4_penny/0{i}.txt"), caption);
    }
    for i in 0..4 {
        folder.image(&format!("reg/2_girl/0{i}.png"), 100, 200);
    }
    folder
}

#[test]
fn facts_have_the_meaning_of_sd_scripts_metadata() {
    let folder = penny();
    let data = folder.data_with_reg();
    let dataset = scan(&data).unwrap();
    let layout = Layout::new(&dataset, &data).unwrap();
    let facts = facts::of_dataset(&dataset, &layout);
    assert_eq!((facts.train_images, facts.reg_images), (24, 8));
    assert_eq!(facts.dataset_dirs, [Dir { name: "4_penny".into(), n_repeats: 4, img_count: 6 }]);
    assert_eq!(facts.reg_dataset_dirs, [Dir { name: "2_girl".into(), n_repeats: 2, img_count: 4 }]);
    let tags = |list: &[(&str, u64)]| list.iter().map(|(tag, n)| ((*tag).to_owned(), *n)).collect::<Vec<_>>();
    let penny = tags(&[("penny", 5), ("1girl", 1), ("solo", 2), ("red hat", 1), ("caf\u{e9}", 1)]);
    assert_eq!(facts.tag_frequency, [("4_penny".into(), penny), ("2_girl".into(), tags(&[("girl", 4)]))]);
    // 64 × 192 is the nearest of the buckets to 1 : 2 (error 1/6); 64 × 128 is not among them.
    let info = facts.bucket_info.unwrap();
    assert_eq!(info.buckets, [((64, 192), 24), ((128, 128), 24)]);
    assert!((info.mean_img_ar_error - 4.0 / 6.0 / 10.0).abs() < 1e-12);
}

#[test]
fn the_mean_ratio_error_is_that_of_trace_b() {
    let folder = TempFolder::new();
    for (i, (width, height)) in
        [(200, 130), (128, 256), (320, 192), (150, 150), (140, 180), (256, 256)].iter().enumerate()
    {
        folder.image(&format!("train/4_penny/0{i}.png"), *width, *height);
    }
    let dataset = folder.scan();
    let layout = Layout::new(&dataset, &folder.data()).unwrap();
    let expected =
        BucketInfo { buckets: vec![((64, 192), 4), ((128, 128), 20)], mean_img_ar_error: 0.2656695156695157 };
    assert_eq!(facts::of_dataset(&dataset, &layout).bucket_info, Some(expected));
}

/// A data set with files that take no part.
fn penny_and_litter() -> TempFolder {
    let folder = penny();
    folder.file("train/4_penny/x.gif", "GIF").file("train/4_penny/y.gif", "GIF").image("train/penny/z.png", 9, 9);
    folder
}

#[test]
fn the_report_has_it_all() {
    let folder = penny_and_litter();
    let data = folder.data_with_reg();
    let dataset = scan(&data).unwrap();
    let layout = Layout::new(&dataset, &data).unwrap();
    let order = EpochOrder::new(&dataset, &layout, &data, Seed(1));
    let duration = Duration::Epochs(10);
    let length = Length::new(order.batches_per_epoch(), 1, duration);
    let report = DatasetReport::new(&dataset, &layout, &order, &data, duration, length);
    let train = FolderReport {
        name: "4_penny".to_owned(),
        is_reg: false,
        images: 6,
        captioned: 6,
        no_caption: NoCaption::FolderWords("penny".to_owned()),
        held_out: 0,
        repeats: 4,
        uses: 24,
    };
    let reg = FolderReport {
        name: "2_girl".to_owned(),
        is_reg: true,
        images: 4,
        captioned: 0,
        no_caption: NoCaption::FolderWords("girl".to_owned()),
        held_out: 0,
        repeats: 2,
        uses: 24,
    };
    let left_out = |path: &str, reason: Reason| LeftOut { path: path.into(), reason };
    let gif = || Reason::UnsupportedType("gif".to_owned());
    let no_repeats = Reason::NoRepeats { name: "penny".to_owned(), images: 1 };
    let expected = DatasetReport {
        groups: vec![
            FolderGroup { origin: Origin::TrainDir(folder.path("train")), folders: vec![train] },
            FolderGroup { origin: Origin::RegDir(folder.path("reg")), folders: vec![reg] },
        ],
        buckets: vec![
            BucketReport { size: (64, 192), images: 4, uses: 24, cropped: report.buckets[0].cropped, enlarged: 0 },
            BucketReport { size: (128, 128), images: 6, uses: 24, cropped: 0.0, enlarged: 0 },
        ],
        left_out: vec![
            left_out("train/4_penny/x.gif", gif()),
            left_out("train/4_penny/y.gif", gif()),
            left_out("train/penny", no_repeats),
        ],
        warnings: Vec::new(),
        batch_sizes: vec![1],
        length: Length { batches_per_epoch: 48, accumulation: 1, steps_per_epoch: 48, epochs: 10, steps: 480 },
        length_unit: LengthUnit::Epochs,
    };
    assert_eq!(report, expected);
    // 100 × 200 becomes 96 × 192, of which 64 × 192 are left.
    assert!((report.buckets[0].cropped - 1.0 / 3.0).abs() < 1e-12);
    let duration = Duration::Steps(30);
    let by_steps = DatasetReport::new(&dataset, &layout, &order, &data, duration, Length::new(48, 5, duration));
    assert_eq!((by_steps.length_unit, by_steps.length.epochs), (LengthUnit::Steps, 3));
}

#[test]
fn a_report_goes_through_json_and_back() {
    let folder = penny_and_litter();
    folder.image("train/2024_/b.png", 70, 90).file("train/2024_/b.txt", "\nblank").image("train/2024_/c.png", 70, 90);
    let report = folder.report(&folder.data_with_reg());
    assert!(report.left_out.len() == 3 && report.warnings.len() >= 2, "{report:?}");
    let json = serde_json::to_string(&report).unwrap();
    let back: DatasetReport = serde_json::from_str(&json).unwrap();
    assert_eq!(back, report);
}

#[cfg(unix)]
#[test]
fn a_name_that_is_no_unicode_does_not_stop_a_report() {
    use std::os::unix::ffi::OsStrExt;

    let path = std::ffi::OsStr::from_bytes(b"caf\xe9.png").into();
    let json = serde_json::to_string(&lorabake_data::Problem::BlankCaption { path }).unwrap();
    assert_eq!(json, "{\"BlankCaption\":{\"path\":\"caf\u{fffd}.png\"}}");
}
