//! A temporary data folder for the tests of this crate.

use std::fs;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use image::{DynamicImage, ImageFormat, RgbImage};
use lorabake_data::bucket::Layout;
use lorabake_data::epoch_order::{EpochOrder, Length};
use lorabake_data::{Dataset, DatasetReport, Reason, scan};
use lorabake_recipe::data::captions::CaptionRules;
use lorabake_recipe::data::{Buckets, Data, RegPairing};
use lorabake_recipe::seed::Seed;
use lorabake_recipe::train::Duration;
use tempfile::TempDir;

/// A folder that is filled line by line and deleted at the end.
pub struct TempFolder(TempDir);

impl TempFolder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    pub fn image(&self, path: &str, width: u32, height: u32) -> &Self {
        self.file(path, encoded(path, width, height))
    }

    pub fn data(&self) -> Data {
        Data {
            train_dir: self.path("train"),
            reg_dir: None,
            caption_extension: None,
            resolution: (128, 128),
            buckets: Some(Buckets { min: 64, max: 256, step: 64, no_upscale: false }),
            batch_size: 1,
            captions: CaptionRules::default(),
            flip_aug: false,
            random_crop: false,
            color_aug: false,
            face_crop: None,
            reg_pairing: RegPairing::Count,
            mask: None,
            cache_latents: true,
            hold_out: Default::default(),
            config: None,
        }
    }

    pub fn data_with_reg(&self) -> Data {
        Data { reg_dir: Some(self.path("reg")), ..self.data() }
    }

    pub fn scan(&self) -> Dataset {
        scan(&self.data()).unwrap()
    }

    /// The report on a run of one epoch.
    pub fn report(&self, data: &Data) -> DatasetReport {
        let dataset = scan(data).unwrap();
        let layout = Layout::new(&dataset, data).unwrap();
        let order = EpochOrder::new(&dataset, &layout, data, Seed(1));
        let duration = Duration::Epochs(1);
        let length = Length::new(order.batches_per_epoch(), 1, duration);
        DatasetReport::new(&dataset, &layout, &order, data, duration, length)
    }

    /// The error text of the scan, with the temporary folder's name taken out.
    pub fn refused(&self) -> String {
        self.plain(&scan(&self.data()).unwrap_err().to_string())
    }

    /// A text without the temporary folder's name, its paths with slashes.
    pub fn plain(&self, text: &str) -> String {
        let root = self.0.path().display().to_string();
        let text = text.replace(&format!("{root}{MAIN_SEPARATOR}"), "").replace(&root, "HERE");
        if cfg!(windows) { text.replace(MAIN_SEPARATOR, "/") } else { text }
    }

    pub fn left_out(&self, dataset: &Dataset) -> Vec<(String, Reason)> {
        let mut left_out = Vec::new();
        for file in &dataset.left_out {
            left_out.push((self.plain(&file.path.display().to_string()), file.reason.clone()));
        }
        left_out
    }
}

/// Bytes of an image in the format that the name ends in.
pub fn encoded(path: &str, width: u32, height: u32) -> Vec<u8> {
    let paint = |x: u32, y: u32| image::Rgb([(x * 7 % 256) as u8, (y * 11 % 256) as u8, ((x * y) % 256) as u8]);
    let image = DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, paint));
    let format = ImageFormat::from_path(Path::new(&path.to_lowercase())).unwrap();
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}
