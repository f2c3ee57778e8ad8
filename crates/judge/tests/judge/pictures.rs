//! What is measured on pixels, against numpy, scipy and Pillow (`oracle/judge_golden.py`).

use lorabake_judge::fry::{LOOKS, Looks};
use lorabake_judge::picture::{Luma, Spectrum};
use lorabake_pixels::Rgb;
use lorabake_testkit::stripes;

use crate::given::{golden, picture};

/// Both sides compute in f64; the file holds f32.
const TOLERANCE: f64 = 1e-6;

#[test]
fn looks_and_textures_are_those_of_numpy_and_scipy() {
    let golden = golden();
    let noise = golden.numbers("looks.noise.pixels").iter().map(|value| *value as u8).collect();
    let pictures = [
        ("penny", picture("penny/10_penny/00.png")),
        ("stripes", Rgb { width: 104, height: 64, data: stripes(104, 64) }),
        ("noise", Rgb { width: 72, height: 64, data: noise }),
    ];
    for (name, picture) in pictures {
        let looks = Looks::of(&picture, golden.numbers("looks.latents"));
        let luma = Luma::of(&picture);
        let mut ours: Vec<f64> = LOOKS.iter().map(|look| looks.get(*look)).collect();
        ours.extend([Spectrum::of(&luma).slope(), luma.autocorrelation(), luma.mixed_directions()]);
        let theirs = golden.numbers(&format!("looks.{name}"));
        assert_eq!(ours.len(), theirs.len());
        for (index, (own, reference)) in ours.iter().zip(theirs).enumerate() {
            let reference = f64::from(*reference);
            assert!(
                (own - reference).abs() <= TOLERANCE * (1.0 + reference.abs()),
                "{name} {index}: {own}, {reference}"
            );
        }
    }
}
