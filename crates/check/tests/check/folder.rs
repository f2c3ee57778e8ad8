//! A folder for each test, with pictures that have something to see in them.

use std::path::PathBuf;

use image::{Rgb, RgbImage};
use lorabake_check::sight::{Detector, Find};
use lorabake_check::{
    Finding, Level, Measuring, Report, RunFacts, Settings, TagScores, Wanted, data_of, gather, look, report,
};
use lorabake_recipe::data::Data;
use lorabake_recipe::parse_train;
use lorabake_tags::images::Kind;
use tempfile::TempDir;

/// A data set.
pub struct Folder {
    folder: TempDir,
    pub settings: Settings,
    pub run: RunFacts,
    pub cache: Option<PathBuf>,
    pub options: Vec<&'static str>,
}

impl Folder {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            settings: Settings::default(),
            run: RunFacts::default(),
            cache: None,
            options: vec!["--resolution=256", "--enable_bucket"],
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// The data set, which lies in a folder of its own if there is one called `set`.
    pub fn root(&self) -> PathBuf {
        let own = self.folder.path().join("set");
        if own.is_dir() { own } else { self.folder.path().to_owned() }
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub fn picture(&self, name: &str, picture: &RgbImage) {
        picture.save(self.path(name)).unwrap();
    }

    /// Pictures of 256 × 256 with these captions, called 00, 01 and so on.
    pub fn captions(&self, folder: &str, captions: &[&str]) {
        for (index, caption) in captions.iter().enumerate() {
            self.picture(&format!("{folder}/{index:02}.png"), &drawing(index as u32, 256, 256));
            self.write(&format!("{folder}/{index:02}.txt"), caption);
        }
    }

    pub fn data(&self) -> Data {
        let mut argv = vec!["--train_data_dir=x", "--output_dir=x"];
        argv.extend(&self.options);
        let argv: Vec<_> = argv.into_iter().map(Into::into).collect();
        let base = parse_train(&argv).unwrap().recipe.data;
        data_of(&[self.root()], &base).unwrap()
    }

    pub fn report(&self) -> Report {
        self.report_of_models(None, None)
    }

    /// As [`Self::report`], with a detector that is asked, and scores of a tagger.
    pub fn report_of_models(&self, find: Option<&Find<'_>>, tag_scores: Option<&TagScores>) -> Report {
        let data = self.data();
        let count = |text: &str| text.split_whitespace().map(|word| word.len().div_ceil(4)).sum();
        let wanted = Wanted {
            data: &data,
            settings: &self.settings,
            run: self.run.clone(),
            count_tokens: Some(&count),
            tag_lists: &[],
            tag_scores,
            measuring: Measuring::New,
            cache: self.cache.clone(),
        };
        let mut set = gather(&wanted, &|_| {}, &|| false).unwrap();
        if let Some(find) = find {
            let kinds = vec![Kind::Face, Kind::Writing];
            let detector = Detector { key: "a detector".to_owned(), kinds, confidence: 0.3, find };
            look(&mut set, &detector, &|_| {}, &|| false).unwrap().unwrap();
        }
        report(&set)
    }

    /// What a check says: level and subject, sorted.
    pub fn said(&self, id: &str) -> Vec<(Level, String)> {
        let mut said: Vec<(Level, String)> =
            self.report().findings.into_iter().filter(|own| own.id == id).map(|own| (own.level, own.subject)).collect();
        said.sort();
        said
    }

    /// The findings of a check.
    pub fn findings(&self, id: &str) -> Vec<Finding> {
        self.report().findings.into_iter().filter(|own| own.id == id).collect()
    }
}

/// A colourful picture with fine detail, another for each number.
pub fn drawing(number: u32, width: u32, height: u32) -> RgbImage {
    let mut state = u64::from(number) * 7919 + 12345;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as u32
    };
    let mut picture = RgbImage::from_pixel(width, height, Rgb([230, 225, 215]));
    for _ in 0..400 {
        let left = next() % width;
        let top = next() % height;
        let color = Rgb([(next() % 230) as u8 + 10, (next() % 230) as u8 + 10, (next() % 230) as u8 + 10]);
        let wide = next() % (width / 5) + 2;
        let high = next() % (height / 5) + 2;
        for y in top..(top + high).min(height) {
            for x in left..(left + wide).min(width) {
                picture.put_pixel(x, y, color);
            }
        }
    }
    // Something white, as most pictures have.
    for y in height / 2..height / 2 + height / 6 {
        for x in width / 2..width / 2 + width / 6 {
            picture.put_pixel(x, y, Rgb([255, 255, 255]));
        }
    }
    picture
}
