//! What the user should know of the images once all were seen: options that act on some of them only.

use lorabake_data::image::view::Source;
use lorabake_data::{Dataset, Item};
use lorabake_recipe::count;
use lorabake_recipe::data::Data;

/// What was seen of options that act on some images only.
#[derive(Default)]
pub(super) struct Seen<'d> {
    transparent: Vec<&'d Item>,
    crops: bool,
    faces: bool,
    /// Images with a mask, those among them whose mask is white, and the sum of the masks' means.
    masked: usize,
    white: usize,
    share: f64,
}

impl<'d> Seen<'d> {
    pub(super) fn look(&mut self, item: &'d Item, source: &Source, mask: Option<&[f32]>) {
        self.transparent.extend(source.transparent.then_some(item));
        self.crops |= source.is_cropped_at_random();
        self.faces |= source.has_face();
        if let Some(weights) = mask {
            self.masked += 1;
            self.white += usize::from(weights.iter().all(|weight| *weight == 1.0));
            self.share += weights.iter().map(|weight| f64::from(*weight)).sum::<f64>() / weights.len() as f64;
        }
    }

    pub(super) fn notes(&self, dataset: &Dataset, data: &Data) -> Vec<String> {
        let any = |is: fn(&Data) -> bool| dataset.items.iter().any(|item| is(dataset.settings(data, item)));
        let mut notes: Vec<String> = transparency_note(&self.transparent).into_iter().collect();
        if any(|data| data.random_crop) && !self.crops {
            notes.push("--random_crop has no effect: no image is larger than its bucket after resizing".to_owned());
        }
        if any(|data| data.face_crop.is_some()) && !self.faces {
            notes.push(
                "--face_crop_aug_range has no effect: no image that is larger than the resolution tells of a face in its \
                 name, as penny_256_200_90_110.png does (column and row of the middle, width, height)"
                    .to_owned(),
            );
        }
        if self.masked > 0 {
            let percent = 100.0 * self.share / self.masked as f64;
            notes.push(format!(
                "masks: for {}, {} of them all white; on average {percent:.0} % of a picture counts",
                count(self.masked, "image"),
                self.white
            ));
        }
        notes
    }
}

fn transparency_note(items: &[&Item]) -> Option<String> {
    let first = items.first()?;
    let others = if items.len() > 1 { format!(" and {} more", items.len() - 1) } else { String::new() };
    Some(format!(
        "{}{others}: transparent pixels are trained with the colour stored beneath them (as sd-scripts does), which is \
         often black; flatten such images onto a background of your choice",
        first.path.display()
    ))
}
