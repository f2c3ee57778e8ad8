//! Images that are held out: which ones, and what of the training changes by it (nothing but their absence).

use lorabake_data::bucket::Layout;
use lorabake_data::epoch_order::EpochOrder;
use lorabake_data::facts;
use lorabake_data::{Dataset, caption, scan};
use lorabake_recipe::data::HoldOut;
use lorabake_recipe::data::captions::{CaptionRules, TokenWarmup};
use lorabake_recipe::data::dataset_facts::Dir;
use lorabake_recipe::data::{Data, RegPairing};
use lorabake_recipe::data::{DatasetConfig, Subset};
use lorabake_recipe::seed::Seed;

use crate::temp_folder::TempFolder;

fn holding_out(share: f64, data: Data) -> Data {
    Data { hold_out: HoldOut { share, seed: Some(42), run_seed: 7 }, ..data }
}

/// Ten images, one more and two for regularization.
fn filled() -> TempFolder {
    let folder = TempFolder::new();
    for index in 0..10 {
        folder.image(&format!("train/3_penny/{index}.png"), 64, 64);
        folder.file(&format!("train/3_penny/{index}.txt"), format!("penny, tag {index}"));
    }
    folder.image("train/1_hat/h.png", 64, 64).image("reg/2_girl/0.png", 64, 64).image("reg/2_girl/1.png", 64, 64);
    folder
}

fn held_out(folder: &TempFolder, dataset: &Dataset) -> Vec<String> {
    let held = dataset.items.iter().filter(|item| item.held_out);
    held.map(|item| folder.plain(&item.path.display().to_string())).collect()
}

#[test]
fn what_is_held_out_has_no_use_and_shifts_nothing() {
    let folder = filled();
    let data = holding_out(0.2, folder.data_with_reg());
    let dataset = scan(&data).unwrap();
    let held = held_out(&folder, &dataset);
    // From the golden file: 10 images, 0.25, seed 42 end in the same two; one of one image is too little.
    assert_eq!(held, ["train/3_penny/0.png", "train/3_penny/1.png"]);
    assert!(dataset.items[dataset.items.len() - 2..].iter().all(|item| item.held_out && item.uses == 0));
    let layout = Layout::new(&dataset, &data).unwrap();
    let facts = facts::of_dataset(&dataset, &layout);
    assert_eq!((facts.train_images, facts.validation_images, facts.reg_images), (25, 2, 4));
    let dir = |name: &str, n_repeats, img_count| Dir { name: name.into(), n_repeats, img_count };
    assert_eq!(facts.dataset_dirs, [dir("1_hat", 1, 1), dir("3_penny", 3, 8)]);
    assert_eq!(facts.tag_frequency.iter().find(|(name, _)| name == "3_penny").unwrap().1[0], ("penny".to_owned(), 8));
    let report = folder.report(&data);
    let penny = report.folders().find(|folder| folder.name == "3_penny").unwrap();
    assert_eq!((penny.images, penny.captioned, penny.held_out), (10, 10, 2));
    assert_eq!((penny.trained(), penny.repeated(), penny.uses), (8, 24, 24));

    // The same folders without these two.
    for image in &held {
        std::fs::remove_file(folder.path(image)).unwrap();
    }
    let without = folder.data_with_reg();
    let left = scan(&without).unwrap();
    assert_eq!(dataset.items[..left.items.len()], left.items);
    let batches = |dataset: &Dataset, data: &Data| {
        let layout = Layout::new(dataset, data).unwrap();
        let order = EpochOrder::new(dataset, &layout, data, Seed(1));
        (0..3).map(|epoch| order.epoch(epoch)).collect::<Vec<_>>()
    };
    assert_eq!(batches(&dataset, &data), batches(&left, &without));
}

#[test]
fn the_runs_seed_decides_unless_another_is_given() {
    let folder = filled();
    let with = |seed, run_seed| {
        let data = Data { hold_out: HoldOut { share: 0.5, seed, run_seed }, ..folder.data() };
        held_out(&folder, &scan(&data).unwrap())
    };
    assert_eq!(with(Some(42), 1), with(Some(42), 2));
    assert_eq!(with(None, 42), with(Some(42), 1));
    assert_ne!(with(None, 1), with(None, 2));
}

#[test]
fn the_regularization_image_of_a_held_out_one_goes_too() {
    let folder = filled();
    let data = Data { reg_pairing: RegPairing::SameName, ..holding_out(0.2, folder.data_with_reg()) };
    // 0.png and 1.png are held out, and they are the only ones with a partner.
    let error = scan(&data).unwrap_err().to_string();
    assert!(error.contains("no regularization image is called like a training image"), "{error}");
    folder.image("reg/2_girl/5.png", 64, 64);
    let uses: Vec<u32> = scan(&data).unwrap().items.iter().filter(|item| item.is_reg).map(|item| item.uses).collect();
    assert_eq!(uses, [0, 0, 3]);
}

#[test]
fn too_much_and_too_little_are_told() {
    let folder = filled();
    let error = scan(&holding_out(1.0, folder.data())).unwrap_err().to_string();
    let expected = "--validation_split=1: all images are held out and none is left to train on; use a smaller number such \
                    as 0.1";
    assert_eq!(error, expected);
    let warnings = |data: &Data| {
        let dataset = scan(data).unwrap();
        dataset.problems.iter().map(|problem| folder.plain(&problem.to_string())).collect::<Vec<_>>().join("\n")
    };
    let few = warnings(&holding_out(0.01, folder.data()));
    assert!(few.contains("--validation_split=0.01 makes not one image of any folder"), "{few}");

    // One folder in two data sets of which only one holds out; and one that is for validation alone.
    let subset = |dataset, share, dir: &str| Subset {
        dataset,
        repeats: 1,
        class_tokens: "penny".into(),
        is_reg: false,
        settings: Data { train_dir: folder.path(dir), ..holding_out(share, folder.data()) },
    };
    let penny = "train/3_penny";
    let config = |subsets| Data { config: Some(DatasetConfig { file: "s.toml".into(), subsets }), ..folder.data() };
    let both = warnings(&config(vec![subset(0, 0.2, penny), subset(1, 0.0, penny)]));
    assert!(both.contains("train/3_penny/0.png: it is held out in one data set and trained on in another"), "{both}");
    let same = warnings(&config(vec![subset(0, 0.2, penny), subset(1, 0.2, penny)]));
    assert!(!same.contains("held out"), "{same}");
    let alone = scan(&config(vec![subset(0, 0.0, penny), subset(1, 1.0, "train/1_hat")])).unwrap();
    assert_eq!(held_out(&folder, &alone), ["train/1_hat/h.png"]);
}

#[test]
fn captions_of_held_out_images_are_whole() {
    let rules = CaptionRules {
        prefix: Some("a".into()),
        shuffle: true,
        dropout_rate: 1.0,
        dropout_every_n_epochs: 1,
        tag_dropout_rate: 1.0,
        warmup: Some(TokenWarmup { min: 1, until: 100.0 }),
        keep_separator: Some("|||".into()),
        ..CaptionRules::default()
    };
    // Written as those of the training images are: without the mark, and with one space after each comma.
    let caption = "penny ||| hat,rain,  sky";
    assert_eq!(caption::unaugmented(caption, &rules, Seed(1), 3), "a penny, hat, rain, sky");
    assert_eq!(caption::unaugmented(caption, &CaptionRules::default(), Seed(1), 3), caption);
    let wild = CaptionRules { wildcards: true, ..CaptionRules::default() };
    let drawn: Vec<String> = (0..20).map(|index| caption::unaugmented("{a|b}", &wild, Seed(1), index)).collect();
    assert!(drawn.contains(&"a".to_owned()) && drawn.contains(&"b".to_owned()));
    assert_eq!(drawn[5], caption::unaugmented("{a|b}", &wild, Seed(1), 5));
}
