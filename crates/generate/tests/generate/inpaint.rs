//! Inpainting, by plain checkpoints and by those whose UNet sees the mask and the masked picture.

use lorabake_generate::inpaint::Inpaint;
use lorabake_generate::request::InpaintRequest;
use lorabake_weights::Checkpoint;

use crate::asked::{cases, checkpoint_path, difference, golden, init, painter, request};
use crate::made::{mask, nine_channels, picture};

#[test]
fn inpainted_pictures_are_those_of_diffusers() {
    let golden = golden("inpaint");
    let mut different = Vec::new();
    let names = cases(&golden);
    for name in &names {
        let (model, checkpoint) = match name.strip_suffix("_nine") {
            Some(model) => (model, nine_channels(&Checkpoint::open(&checkpoint_path(model)).unwrap())),
            None => (name.as_str(), Checkpoint::open(&checkpoint_path(name)).unwrap()),
        };
        let painter = painter(model, checkpoint);
        let mut request = request(model, "euler", [64, 128]);
        let mut init = init(picture(64, 128), 0.5);
        let settings = Inpaint { blur: (0.0, 0.0), ..Inpaint::default() };
        init.inpaint = Some(InpaintRequest { mask: mask(64, 128), settings, soft: None });
        request.init = Some(init);
        assert_eq!(painter.is_inpainting_model(), name.ends_with("_nine"));
        different.extend(difference(&golden, name, &painter, &request));
    }
    assert!(different.is_empty(), "{different:#?}");
    assert_eq!(names.len(), 5);
}
