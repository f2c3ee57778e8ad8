//! The images that a LoRA is judged by: some that it was trained on, and some that it never saw.
//!
//! Where a run held nothing out, the mirror images of training images stand in: a LoRA that has learned its subject knows
//! them nearly as well, one that has learned its images by heart does not. That fails for symmetric subjects, and where
//! training mirrored images itself.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use burn::tensor::Tensor;
use lorabake_data::bucket::Layout;
use lorabake_data::image::mask;
use lorabake_data::image::view::{Source, View};
use lorabake_data::{Dataset, caption, scan};
use lorabake_generate::painter::Painter;
use lorabake_pixels::pillow::{Filter, resize};
use lorabake_recipe::data::Data;
use lorabake_recipe::seed::Seed;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::loss_size::LossSize;
use crate::told::Caption;

/// An image that a LoRA is judged by.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its file.
    pub path: PathBuf,
    /// Its caption, whole and in its order.
    pub caption: String,
    /// Its pixels as they are trained on.
    pub view: View,
    /// Its latents in the UNet's scale, [1, 4, H, W], at the size at which errors are measured.
    pub latents: Tensor<4>,
    /// Where errors count, [1, 1, H, W], if the image has a mask.
    pub mask: Option<Tensor<4>>,
    /// The number by which its noise is drawn, which depends on its pixels alone.
    pub key: u64,
}

impl Sample {
    /// Its caption, and its size in training.
    pub fn told(&self) -> Caption<'_> {
        let [width, height] = [self.view.image.width, self.view.image.height];
        Caption { text: &self.caption, size: [width as usize, height as usize] }
    }
}

/// Which images stand for those that were never trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HeldOut {
    /// Those that the run held out (`--validation_split`).
    Split,
    /// Mirror images of training images.
    Mirrored,
    /// None: training mirrored its images, too.
    None,
}

/// All images that a LoRA is judged by.
#[derive(Debug, Clone)]
pub struct Material {
    /// Images that were trained on.
    pub training: Vec<Sample>,
    /// Images that were not.
    pub held_out: Vec<Sample>,
    /// Which these are.
    pub kind: HeldOut,
    /// Captions of all training images, regularization images left out.
    pub captions: Vec<String>,
}

/// How many images are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Training images at most; they are taken evenly from all folders.
    pub training: usize,
    /// Held-out images at most.
    pub held_out: usize,
    /// At which size their errors are measured.
    pub loss_size: LossSize,
}

impl Material {
    /// Reads the images of `data`, each as it is trained on but upright, in the middle and in its own colours.
    ///
    /// # Errors
    /// When folders or images cannot be read, naming them.
    pub fn read(painter: &Painter, data: &Data, counts: Counts) -> Result<Self> {
        let dataset = scan(data)?;
        let layout = Layout::new(&dataset, data)?;
        let reader = Reader { painter, data, dataset: &dataset, layout: &layout, loss_size: counts.loss_size };
        let trained: Vec<usize> = indices(&dataset, |item| item.uses > 0 && !item.is_reg);
        if trained.is_empty() {
            bail!("--train_data_dir: there is no training image; name the folder that the run was trained on");
        }
        let split: Vec<usize> = indices(&dataset, |item| item.held_out);
        let chosen = spread(&trained, counts.training);
        let mut training = Vec::new();
        for index in &chosen {
            training.push(reader.sample(*index, false)?);
        }
        let mut held_out = Vec::new();
        let kind = if !split.is_empty() {
            for index in spread(&split, counts.held_out) {
                held_out.push(reader.sample(index, false)?);
            }
            HeldOut::Split
        } else if data.flip_aug {
            HeldOut::None
        } else {
            for index in spread(&trained, counts.held_out) {
                held_out.push(reader.sample(index, true)?);
            }
            HeldOut::Mirrored
        };
        let captions = trained.iter().map(|index| dataset.items[*index].caption.clone()).collect();
        Ok(Self { training, held_out, kind, captions })
    }
}

fn indices(dataset: &Dataset, wanted: impl Fn(&lorabake_data::Item) -> bool) -> Vec<usize> {
    (0..dataset.items.len()).filter(|index| wanted(&dataset.items[*index])).collect()
}

/// At most `most` of `all`, in equal distances.
fn spread(all: &[usize], most: usize) -> Vec<usize> {
    let count = all.len().min(most);
    (0..count).map(|place| all[place * all.len() / count]).collect()
}

struct Reader<'a> {
    painter: &'a Painter,
    data: &'a Data,
    dataset: &'a Dataset,
    layout: &'a Layout,
    loss_size: LossSize,
}

impl Reader<'_> {
    fn sample(&self, index: usize, is_mirrored: bool) -> Result<Sample> {
        let item = &self.dataset.items[index];
        let settings = self.dataset.settings(self.data, item);
        let source = Source::load(item, &self.layout.placements[index], settings)?;
        let mut view = source.unaugmented()?;
        if is_mirrored {
            view = view.flip_horizontal();
        }
        let latents = self.painter.encode(&self.loss_size.shrink(&view.image));
        let [_, _, rows, columns] = latents.dims();
        let mask = view.mask.as_ref().map(|view| {
            let view = resize(view, self.loss_size.of(view.size()), Filter::Box);
            self.painter.tensor(mask::weights(&view), [1, 1, rows, columns])
        });
        let digest = Sha256::digest(&view.image.data);
        let (key, _) = digest.split_first_chunk().context("a digest is longer than a number")?;
        Ok(Sample {
            path: item.path.clone(),
            caption: caption::unaugmented(&item.caption, &settings.captions, Seed(0), index as u64),
            view,
            latents,
            mask,
            key: u64::from_le_bytes(*key),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn images_are_taken_evenly() {
        assert_eq!(spread(&[3, 4, 5, 6, 7, 8], 3), [3, 5, 7]);
        assert_eq!(spread(&[3, 4], 16), [3, 4]);
        assert!(spread(&[], 3).is_empty());
    }
}
