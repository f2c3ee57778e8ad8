//! What the embedded model sees in the pictures of `examples`.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use lorabake_generate::embedded;
use lorabake_generate::painter::{Painter, Predicts};
use lorabake_judge::features::FeatureMaker;
use lorabake_model::WeightDtypes;
use lorabake_ops::WeightDtype;
use lorabake_pixels::{Rgb, decode};
use lorabake_recipe::seed::Seed;

fn painter() -> Painter {
    let dtypes = WeightDtypes::all(WeightDtype::F32);
    Painter::open(embedded::checkpoint().unwrap(), dtypes, Predicts::AsFile, false, Device::flex()).unwrap()
}

fn picture(name: &str) -> Rgb {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
    decode(&path).unwrap().image
}

#[test]
fn a_picture_always_has_the_same_features() {
    let painter = painter();
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
