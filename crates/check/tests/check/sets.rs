//! Checks of the images together.

use image::imageops::{FilterType, flip_horizontal, resize};
use image::{Rgb, RgbImage};
use lorabake_check::{Level, Settings, abouts};
use lorabake_recipe::guide::question::Category;

use crate::folder::{Folder, drawing};

/// A picture with large shapes, as those that people draw.
fn scene(number: u32) -> RgbImage {
    resize(&drawing(number, 80, 80), 320, 320, FilterType::CatmullRom)
}

#[test]
fn copies_mirror_images_and_edits_are_told_apart() {
    let mut folder = Folder::new();
    for number in 0..6 {
        folder.picture(&format!("1_x/{number}.png"), &scene(number));
        folder.write(&format!("1_x/{number}.txt"), "penny, hat");
    }
    assert_eq!(folder.said("set.near"), []);
    folder.picture("1_x/same.png", &scene(0));
    folder.picture("1_x/smaller.png", &resize(&scene(1), 280, 280, FilterType::Lanczos3));
    folder.picture("1_x/turned.png", &flip_horizontal(&scene(2)));
    let mut edit = scene(3);
    for y in 40..80 {
        for x in 100..140 {
            let own = edit.get_pixel(x, y)[0];
            edit.put_pixel(x, y, Rgb([if own > 128 { 20 } else { 240 }; 3]));
        }
    }
    folder.picture("1_x/edit.png", &edit);
    for name in ["same", "smaller", "turned"] {
        folder.write(&format!("1_x/{name}.txt"), "penny, hat");
    }
    folder.write("1_x/edit.txt", "penny");
    assert_eq!(folder.said("set.exact"), [(Level::Warning, "1_x/0.png".to_owned())]);
    let expected = [(Level::Warning, "1_x/1.png"), (Level::Hint, "1_x/2.png"), (Level::Intended, "1_x/3.png")];
    assert_eq!(folder.said("set.near"), expected.map(|own| (own.0, own.1.to_owned())));
    folder.options.push("--flip_aug");
    assert!(folder.said("set.near").contains(&(Level::Warning, "1_x/2.png".to_owned())));
}

#[test]
fn a_small_copy_with_other_tags_makes_no_edit_of_a_spoilt_one() {
    let folder = Folder::new();
    folder.picture("1_x/sharp.png", &scene(3));
    folder.picture("1_x/small.png", &resize(&scene(3), 280, 280, FilterType::Lanczos3));
    let mut spoilt = scene(3);
    for y in 40..80 {
        for x in 100..140 {
            let own = spoilt.get_pixel(x, y)[0];
            spoilt.put_pixel(x, y, Rgb([if own > 128 { 20 } else { 240 }; 3]));
        }
    }
    folder.picture("1_x/spoilt.png", &spoilt);
    folder.write("1_x/sharp.txt", "penny, hat");
    folder.write("1_x/spoilt.txt", "hat, penny");
    folder.write("1_x/small.txt", "penny");
    let said = |folder: &Folder| -> Vec<Level> { folder.said("set.near").into_iter().map(|own| own.0).collect() };
    assert_eq!(said(&folder), [Level::Warning, Level::Hint]);
    // One whose tags tell what was edited is meant.
    folder.write("1_x/spoilt.txt", "penny");
    assert_eq!(said(&folder), [Level::Warning, Level::Intended]);
}

#[test]
fn few_images_and_uneven_folders_are_told() {
    let mut folder = Folder::new();
    for number in 0..9 {
        folder.picture(&format!("3_aru/{number}.png"), &drawing(number, 256, 256));
        folder.write(&format!("3_aru/{number}.txt"), "aru, standing");
    }
    for number in 20..23 {
        folder.picture(&format!("2_bea/{number}.png"), &drawing(number, 256, 256));
        folder.write(&format!("2_bea/{number}.txt"), "bea, standing");
    }
    let balance = folder.findings("set.balance");
    assert_eq!((balance[0].level, balance[0].number), (Level::Error, 4.5));
    assert_eq!(balance[0].remedy, "balance by repeats: 2_bea → 9_bea");
    assert_eq!(folder.said("set.count"), []);
    folder.run.category = Some(Category::Character('A'));
    assert_eq!(folder.said("set.count").len(), 2);
    folder.run.images_seen = Some(300);
    assert_eq!(folder.said("set.steps"), [(Level::Hint, "the run".to_owned())]);
}

#[test]
fn repeats_of_one_folder_and_scattered_buckets_are_told() {
    let mut folder = Folder::new();
    folder.options.push("--min_bucket_reso=128");
    for (number, (width, height)) in
        [(256, 256), (256, 256), (256, 256), (200, 330), (330, 200), (180, 360)].into_iter().enumerate()
    {
        folder.picture(&format!("5_x/{number}.png"), &drawing(number as u32, width, height));
    }
    assert_eq!(folder.said("set.repeats"), [(Level::Hint, "5_x".to_owned())]);
    let buckets = folder.findings("set.buckets");
    assert_eq!((buckets[0].level, buckets[0].images.len()), (Level::Warning, 1), "{buckets:?}");
    assert_eq!(folder.said("set.resolution"), []);
}

#[test]
fn what_is_meant_so_stays_listed_with_its_reason() {
    let mut folder = Folder::new();
    folder.captions("4_x", &["penny"; 3]);
    let text = "[thresholds]\nimg.small.hint = 0.5\n[[intended]]\ncheck = 'set.repeats'\nreason = 'balance with \
                another set'\n[[intended]]\ncheck = 'img.small'\nsubject = '4_x/01.png'\nreason = 'the only one'";
    folder.settings = Settings::parse(text, &abouts()).unwrap();
    let [repeats] = &folder.findings("set.repeats")[..] else { panic!() };
    assert_eq!((repeats.level, repeats.reason.as_deref()), (Level::Intended, Some("balance with another set")));
    let levels: Vec<Level> = folder.findings("img.small").iter().map(|own| own.level).collect();
    assert_eq!(levels, [Level::Hint, Level::Hint, Level::Intended]);
    folder.settings.off.push("img.small".to_owned());
    assert_eq!(folder.said("img.small"), []);
}
