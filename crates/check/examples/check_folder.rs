//! Checks a folder without the rest of the program: `check_folder FOLDER RESOLUTION NUMBERS`. Prints the report as
//! JSON; the numbers of all images are kept in the folder NUMBERS. For calibration (`oracle/check/calibrate.py`) and
//! for timing.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;

use lorabake_check::{RunFacts, Settings, Wanted, data_of, gather, report};
use lorabake_recipe::parse_train;

fn main() {
    let mut words = std::env::args_os().skip(1);
    let (Some(folder), Some(resolution), Some(numbers)) = (words.next(), words.next(), words.next()) else {
        panic!("check_folder FOLDER RESOLUTION NUMBERS");
    };
    let folder = PathBuf::from(folder);
    let mut option = OsString::from("--resolution=");
    option.push(resolution);
    let argv = ["--train_data_dir=x".into(), "--output_dir=x".into(), "--enable_bucket".into(), option];
    let base = parse_train(&argv).expect("these options are fine").recipe.data;
    let data = data_of(&[folder], &base).expect("the folder holds images");
    let settings = Settings::default();
    let wanted = Wanted {
        data: &data,
        settings: &settings,
        run: RunFacts::default(),
        count_tokens: None,
        tag_lists: &[],
        tag_scores: None,
        measuring: lorabake_check::Measuring::New,
        cache: Some(numbers.into()),
    };
    let began = Instant::now();
    let set = gather(&wanted, &|_| {}, &|| false).expect("nobody stops it");
    let gathered = began.elapsed();
    let report = report(&set);
    eprintln!("{} images: {gathered:.1?} to gather, {:.1?} in all", report.images, began.elapsed());
    println!("{}", serde_json::to_string_pretty(&report).expect("a report is JSON"));
}
