//! From noise: the oracle's, or the seed's by torch's generator.

use crate::asked::{cases, difference, golden, painter_of, request};

#[test]
fn pictures_from_noise_are_those_of_diffusers() {
    let golden = golden("txt2img");
    let mut different = Vec::new();
    let names = cases(&golden);
    for model in ["sd15", "sd2", "sdxl", "pocket"] {
        let painter = painter_of(model);
        for name in &names {
            let Some(sampler) = name.strip_prefix(&format!("{model}.")) else { continue };
            let mut request = request(model, sampler, [128, 64]);
            let noise = format!("{name}.noise");
            if golden.has(&noise) {
                request.noise = Some(golden.numbers(&noise).to_vec());
            }
            different.extend(difference(&golden, name, &painter, &request));
        }
    }
    assert!(different.is_empty(), "{different:#?}");
    assert_eq!(names.len(), 18);
}
