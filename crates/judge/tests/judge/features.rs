//! What models see in pictures: against diffusers and torch (`oracle/judge_golden.py`), and which of `examples` the embedded
//! model finds alike.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use lorabake_judge::features::{Dift, FeatureMaker, Features, GRID, Patches, Yardstick, moments};
use lorabake_model::{AddedConditioning, Conditioning};
use lorabake_recipe::seed::Seed;
use lorabake_testkit::Golden;

use crate::given::{golden, painter, picture};

fn tensor<const D: usize>(golden: &Golden, name: &str) -> Tensor<D> {
    let shape: [usize; D] = golden.shape(name).try_into().unwrap();
    Tensor::from_data(TensorData::new(golden.numbers(name).to_vec(), shape), &burn::tensor::Device::flex())
}

#[test]
fn activations_are_those_of_diffusers() {
    let golden = golden();
    for (model, side) in [("sd15", 512), ("sd2", 768), ("sdxl", 1024), ("pocket", 128)] {
        let painter = painter(model);
        let dift = Dift::usual(painter.family(), side);
        assert_eq!(golden.numbers(&format!("{model}.place")), [dift.up_block as f32, dift.timestep as f32]);
        let mut conditioning = Conditioning::from(tensor::<3>(&golden, &format!("{model}.context")));
        if model == "sdxl" {
            let time_ids = golden.numbers("sdxl.sizes").as_chunks().0.to_vec();
            conditioning.added = Some(AddedConditioning { pooled: tensor(&golden, "sdxl.pooled"), time_ids });
        }
        let latents = tensor::<4>(&golden, &format!("{model}.latents"));
        let count = latents.shape().num_elements();
        let noises: Vec<Vec<f32>> =
            golden.numbers(&format!("{model}.noises")).chunks(count).map(<[f32]>::to_vec).collect();
        let seen = dift.activation(&painter, latents, &noises, &conditioning).unwrap();
        let [_, channels, rows, columns] = seen.dims();
        let seen: Vec<f32> = seen.into_data().try_into_vec().unwrap();
        golden.check(&format!("{model}.activation"), &seen, 1e-4);
        golden.check(&format!("{model}.global"), &moments(&seen, [channels, rows, columns]), 1e-4);
        if model == "sd15" {
            golden.check("sd15.patches", &Patches::of(&seen, [channels, rows, columns], GRID).values, 1e-4);
        }
    }
}

#[test]
fn a_picture_always_has_the_same_features() {
    let painter = painter("pocket");
    let maker = FeatureMaker::new(&painter, 128).unwrap();
    let penny = picture("penny/10_penny/00.png");
    let features = maker.features(&penny).unwrap();
    assert!(Arc::ptr_eq(&features, &maker.features(&penny).unwrap()));
    let again = FeatureMaker::new(&painter, 128).unwrap().features(&penny).unwrap();
    assert_eq!(again, features);
    assert_eq!(features.global.len(), 2 * features.patches.width);
    assert_eq!(features.layout.len(), 4 * 8 * 8);

    let other_noise = FeatureMaker::new(&painter, 128).unwrap().with_seed(Seed(1)).features(&penny).unwrap();
    assert_ne!(other_noise.global, features.global);
    assert_eq!(other_noise.layout, features.layout);
    let told = FeatureMaker::new(&painter, 128).unwrap().told("girl").unwrap().features(&penny).unwrap();
    assert_ne!(told.global, features.global);
}

#[test]
fn pictures_of_penny_are_nearer_to_each_other_than_to_others() {
    let painter = painter("pocket");
    let maker = FeatureMaker::new(&painter, 128).unwrap();
    let features = |folder: &str, numbers: [&str; 6]| -> Vec<Arc<Features>> {
        numbers.iter().map(|number| maker.features(&picture(&format!("{folder}/{number}"))).unwrap()).collect()
    };
    let pennies = features("penny/10_penny", ["00.png", "01.png", "04.png", "06.png", "09.png", "13.png"]);
    let others = features("reg/1_emoji", ["000.jpg", "020.jpg", "040.jpg", "060.jpg", "080.jpg", "100.jpg"]);
    let all = [pennies.as_slice(), others.as_slice()].concat();
    let yardstick = Yardstick::of(&all);
    for (number, penny) in pennies.iter().enumerate() {
        let to = |others: &[Arc<Features>]| {
            let nearest = others.iter().filter(|other| !Arc::ptr_eq(other, penny));
            nearest.map(|other| yardstick.subject(penny, other)).fold(f64::INFINITY, f64::min)
        };
        let [own, other] = [to(&pennies), to(&others)];
        assert!(own < other, "penny {number}: {own} to its own, {other} to others");
    }
}
