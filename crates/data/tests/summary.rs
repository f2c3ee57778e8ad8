//! What is said of a data set: the facts for metadata, and the report for the terminal.

use lorabake_data::bucket::Layout;
use lorabake_data::facts;
use lorabake_data::plan::{Length, Plan};
use lorabake_data::{report, scan};
use lorabake_recipe::data::dataset_facts::{BucketInfo, Dir};
use lorabake_recipe::seed::Seed;
use lorabake_recipe::train::Duration;

mod place;
use place::Place;

/// The data of sd-scripts' trace `i_reg`: six images of 4 repeats, four regularization images of 2.
fn penny() -> Place {
    let place = Place::new();
    let captions = ["penny, 1Girl, solo", "penny,  Red Hat,,", "penny, penny", "solo", "penny", "caf\u{c9}"];
    for (i, caption) in captions.iter().enumerate() {
        place.image(&format!("train/4_penny/0{i}.png"), 140, 140).file(&format!("train/4_penny/0{i}.txt"), caption);
    }
    for i in 0..4 {
        place.image(&format!("reg/2_girl/0{i}.png"), 100, 200);
    }
    place
}

#[test]
fn facts_have_the_meaning_of_sd_scripts_metadata() {
    let place = penny();
    let data = place.data_with_reg();
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
    let place = Place::new();
    for (i, (width, height)) in
        [(200, 130), (128, 256), (320, 192), (150, 150), (140, 180), (256, 256)].iter().enumerate()
    {
        place.image(&format!("train/4_penny/0{i}.png"), *width, *height);
    }
    let dataset = place.scan();
    let layout = Layout::new(&dataset, &place.data()).unwrap();
    let expected =
        BucketInfo { buckets: vec![((64, 192), 4), ((128, 128), 20)], mean_img_ar_error: 0.2656695156695157 };
    assert_eq!(facts::of_dataset(&dataset, &layout).bucket_info, Some(expected));
}

#[test]
fn the_report_shows_it_all() {
    let place = penny();
    place.file("train/4_penny/x.gif", "GIF").file("train/4_penny/y.gif", "GIF").image("train/penny/z.png", 9, 9);
    let data = place.data_with_reg();
    let dataset = scan(&data).unwrap();
    let layout = Layout::new(&dataset, &data).unwrap();
    let plan = Plan::new(&dataset, &layout, &data, Seed(1));
    let duration = Duration::Epochs(10);
    let length = Length::new(plan.batches_per_epoch(), 1, duration);
    let text = place.plain(&report::report(&dataset, &layout, &plan, &data, (length, duration)));
    println!("{text}");
    let expected = "\
training images  train
└─ 4_penny   6 images   all captioned   × 4 = 24
regularization images  reg
└─ 2_girl   4 images   caption “girl”   × 2 = 8 → 24 to match the training set

┌───────────┬────────┬────────────────┬──────────────┬──────────┐
│    bucket │ images │ uses per epoch │ cropped away │ enlarged │
├───────────┼────────┼────────────────┼──────────────┼──────────┤
│  64 × 192 │      4 │             24 │       33.3 % │        – │
│ 128 × 128 │      6 │             24 │        0.0 % │        – │
└───────────┴────────┴────────────────┴──────────────┴──────────┘

left out (3)
├─ image type .gif is not read; save it as PNG
│    train/4_penny/x.gif
│    train/4_penny/y.gif
└─ folder name has no repeats (1 image); rename it to e.g. 10_penny
     train/penny

6 images × 4 repeats = 24 (+ 24 regularization) → 48 batches of 1 × 10 epochs ÷ accumulation 1 = 480 steps
";
    assert_eq!(text, expected);
    let duration = Duration::Steps(30);
    let length = Length::new(plan.batches_per_epoch(), 5, duration);
    let expected = "6 images × 4 repeats = 24 (+ 24 regularization) → 48 batches of 1 \
                    ÷ accumulation 5 (rounded up each epoch) \
                    = 10 steps per epoch → 30 steps are 3 epochs\n";
    assert_eq!(report::equation(&dataset, &layout, &data, (length, duration)), expected);
}
