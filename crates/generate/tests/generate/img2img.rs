//! From a picture, whose latents are the mean of their distribution; the noise is the seed's.

use crate::asked::{cases, difference, golden, init, painter_of, request};
use crate::made::picture;

#[test]
fn pictures_from_pictures_are_those_of_diffusers() {
    let golden = golden("img2img");
    let mut different = Vec::new();
    let names = cases(&golden);
    for model in ["sd15", "sd2", "sdxl", "pocket"] {
        let painter = painter_of(model);
        for name in &names {
            let Some(sampler) = name.strip_prefix(&format!("{model}.")) else { continue };
            // Six of ten steps: k-diffusion's samplers make one more than the strength says.
            let strength = if sampler == "ddim" { 0.6 } else { 0.5 };
            let mut request = request(model, sampler, [128, 64]);
            request.init = Some(init(picture(128, 64), strength));
            different.extend(difference(&golden, name, &painter, &request));
        }
    }
    assert!(different.is_empty(), "{different:#?}");
    assert_eq!(names.len(), 10);
}
