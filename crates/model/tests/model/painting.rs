//! What only painting needs of the networks: any size, residuals, inpainting models, pictures that can be laid side by
//! side.

use burn::tensor::Tensor;
use lorabake_adapter::{Adapters, Lora};
use lorabake_model::unet::{Residuals, UNet};
use lorabake_model::{Bundle, Conditioning, VaeHalves, WeightDtypes};
use lorabake_ops::{Edges, WeightDtype};
use lorabake_testkit::relative_error;
use lorabake_weights::Checkpoint;
use lorabake_weights::checkpoint::Purpose;

use crate::golden::{site, to_f32_vec};
use crate::made_file::{UNET, noise, numbers, of_checkpoint, tiny, to_file};

const F32: WeightDtype = WeightDtype::F32;

fn bundle(edges: Edges) -> Bundle {
    let checkpoint = Checkpoint::open(&tiny("sd15")).unwrap();
    let bundle = Bundle::open_with_edges(&checkpoint, VaeHalves::All, WeightDtypes::all(F32), edges).unwrap();
    bundle.read(|_, _| true).unwrap();
    bundle
}

fn told() -> Conditioning {
    Conditioning { context: noise([1, 77, 16], 3), added: None }
}

fn paint(unet: &UNet, x: Tensor<4>, adapters: &Adapters, steering: Option<&Residuals>) -> Vec<f32> {
    to_f32_vec(unet.paint(x, &[421.5], told(), adapters, steering))
}

#[test]
fn only_odd_sides_tell_painting_from_training() {
    let unet = bundle(Edges::Zeros).unet;
    let none = Adapters::default();
    for (size, is_same) in [([16, 8], true), ([12, 8], false), ([9, 13], false), ([1, 1], false)] {
        let x = noise([1, 4, size[0], size[1]], 5);
        let trained = to_f32_vec(unet.forward(x.clone(), &[421.5], told(), &none));
        let painted = paint(&unet, x, &none, None);
        assert_eq!(trained.len(), painted.len());
        assert!(painted.iter().all(|value| value.is_finite()));
        assert_eq!(trained == painted, is_same, "{size:?}");
    }
}

#[test]
fn residuals_of_nothing_change_nothing_and_those_of_two_nets_add_up() {
    let unet = bundle(Edges::Zeros).unet;
    let none = Adapters::default();
    let x = noise([1, 4, 8, 8], 5);
    let widths = [32, 32, 32, 32, 64, 64, 64, 32, 32, 32, 32, 32, 32];
    let outputs = |salt| -> Vec<Tensor<4>> { widths.map(|width| noise([1, width, 1, 1], salt)).to_vec() };
    let scaled = |salt, scale| Residuals::scaled(outputs(salt), &[scale; 13]);
    let plain = paint(&unet, x.clone(), &none, None);
    assert_eq!(paint(&unet, x.clone(), &none, Some(&scaled(1, 0.0))), plain);
    let one = paint(&unet, x.clone(), &none, Some(&scaled(1, 0.5)));
    assert!(relative_error(&one, &plain) > 1e-3);
    let both = paint(&unet, x.clone(), &none, Some(&scaled(1, 0.25).plus(scaled(1, 0.25))));
    assert!(relative_error(&both, &one) < 1e-6);
}

#[test]
fn an_inpainting_model_sees_more_and_its_lora_does_not() {
    let mut tensors = of_checkpoint(&tiny("sd15"));
    let first = tensors.get_mut(&format!("{UNET}input_blocks.0.0.weight")).unwrap();
    let outputs = first.shape[0];
    let more = numbers(outputs * 5 * 9, 0.1, 4);
    let mut joined = Vec::new();
    for (own, more) in first.values.chunks(4 * 9).zip(more.chunks(5 * 9)) {
        joined.extend_from_slice(own);
        joined.extend_from_slice(more);
    }
    first.values = joined;
    first.shape = vec![outputs, 9, 3, 3];
    let file = to_file(&tensors);
    let refused = Checkpoint::from_bytes("a", file.clone().into()).unwrap_err().to_string();
    assert!(refused.contains("an inpainting model (9 input channels)"), "{refused}");
    let checkpoint = Checkpoint::from_bytes_for(Purpose::Painting, "a", file.into()).unwrap();
    let unet = Bundle::load(&checkpoint, VaeHalves::All, F32).unwrap().unet;
    let plain = bundle(Edges::Zeros).unet;
    assert_eq!([unet.input_channels(), plain.input_channels()], [9, 4]);

    let latents = noise([1, 4, 8, 8], 5);
    let nothing = Tensor::cat(vec![latents.clone(), noise([1, 5, 8, 8], 6).mul_scalar(0.0)], 1);
    let something = Tensor::cat(vec![latents.clone(), noise([1, 5, 8, 8], 6)], 1);
    let mut adapters = Adapters::default();
    let down = noise([2, 4 * 9], 7);
    let up = noise([outputs, 2], 8);
    adapters.attach(site(unet.sites(), "conv_in"), Lora { down, up, mid: None, scale: 0.5 });
    for adapters in [Adapters::default(), adapters] {
        let expected = paint(&plain, latents.clone(), &adapters, None);
        assert!(relative_error(&paint(&unet, nothing.clone(), &adapters, None), &expected) < 1e-5);
        assert!(relative_error(&paint(&unet, something.clone(), &adapters, None), &expected) > 1e-3);
    }
}

/// x with its columns moved around, those that leave come in again.
fn turned(x: Tensor<4>, by: usize) -> Tensor<4> {
    let width = x.dims()[3];
    Tensor::cat(vec![x.clone().narrow(3, width - by, by), x.narrow(3, 0, width - by)], 3)
}

#[test]
fn networks_that_wrap_have_no_edge() {
    for (edges, is_edgeless) in [(Edges::Wrap, true), (Edges::Zeros, false)] {
        let bundle = bundle(edges);
        let mut adapters = Adapters::default();
        let path = "down_blocks.0.resnets.0.conv1";
        let lora = Lora { down: noise([2, 32 * 9], 7), up: noise([32, 2], 8), mid: None, scale: 0.1 };
        adapters.attach(site(bundle.unet.sites(), path), lora);
        let x = noise([1, 4, 16, 16], 5);
        let unet = |x| bundle.unet.paint(x, &[421.5], told(), &adapters, None);
        let decoder = bundle.decoder.as_ref().unwrap();
        let decode = |x| decoder.forward(x);
        let apart = |turned_first: Tensor<4>, turned_last: Tensor<4>| {
            relative_error(&to_f32_vec(turned_first), &to_f32_vec(turned_last))
        };
        let of_unet = apart(unet(turned(x.clone(), 8)), turned(unet(x.clone()), 8));
        let of_vae = apart(decode(turned(x.clone(), 8)), turned(decode(x), 64));
        for error in [of_unet, of_vae] {
            assert_eq!(error < 1e-4, is_edgeless, "{edges:?}: {error:e}");
        }
    }
}
