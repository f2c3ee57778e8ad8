//! Laws of the LoRA bypass: it equals the effective weight, starts as nothing, and adds up.

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::{
    AdapterSpec, Adapters, LayerShape, Lora, LoraKind, Method, Role, Site, SiteId, Sites, adapter_specs,
};
use lorabake_ops::{ConvShape, FrozenConv, FrozenLinear, FrozenMatrix, WeightDtype};
use lorabake_recipe::network::RankAlpha;
use lorabake_recipe::seed::Seed;
use lorabake_testkit::assert_close;

fn numbers(count: usize, salt: usize) -> Vec<f32> {
    (0..count).map(|i| (((i * 7919 + salt * 104_729) % 2003) as f32 / 2003.0 - 0.5) * 2.0).collect()
}

fn tensor<const D: usize>(shape: [usize; D], salt: usize) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers(shape.iter().product(), salt), shape), &Device::flex())
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

/// Differences of a few roundings in f32.
const TOLERANCE: f64 = 3e-6;

/// W + scale · up · down, row-major [out, columns].
fn effective(weight: &[f32], lora: &Lora) -> Vec<f32> {
    let delta = values(lora.up.clone().matmul(lora.down.clone()));
    weight.iter().zip(delta).map(|(w, d)| w + lora.scale as f32 * d).collect()
}

fn site(layer: LayerShape) -> (Sites, SiteId) {
    let mut sites = Sites::default();
    let columns = layer.inputs() * layer.kernel() * layer.kernel();
    let weight = FrozenMatrix::new(layer.outputs(), columns, numbers(layer.outputs() * columns, 1), WeightDtype::F32);
    let id = sites.add(Site { path: "layer".into(), layer, role: Role::Transformer }, weight);
    (sites, id)
}

#[test]
fn bypass_of_a_linear_layer_is_its_effective_weight() {
    let (inputs, outputs, rank) = (13, 7, 3);
    let weight = numbers(outputs * inputs, 1);
    let bias = Some(numbers(outputs, 2));
    let layer = |weight| FrozenLinear::new(FrozenMatrix::new(outputs, inputs, weight, WeightDtype::F32), bias.clone());
    let lora = Lora { down: tensor([rank, inputs], 3), up: tensor([outputs, rank], 4), mid: None, scale: 0.7 };
    let (_, id) = site(LayerShape::Linear { inputs, outputs });
    let mut adapters = Adapters::default();
    adapters.attach(id, lora.clone());
    let x = tensor([2, 5, inputs], 5);
    let bypass = values(adapters.linear(id, &layer(weight.clone()), x.clone()));
    assert_close("bypass", &bypass, &values(layer(effective(&weight, &lora)).forward(x)), TOLERANCE);
}

#[test]
fn bypass_of_a_convolution_is_its_effective_weight() {
    for (kernel, stride) in [(1, 1), (3, 1), (3, 2)] {
        let shape = ConvShape { inputs: 5, outputs: 6, kernel, stride, padding: kernel / 2 };
        let weight = numbers(shape.outputs * shape.patch(), 1);
        let layer = |weight| {
            let weight = FrozenMatrix::new(shape.outputs, shape.patch(), weight, WeightDtype::F32);
            FrozenConv::new(shape, weight, Some(numbers(shape.outputs, 2)))
        };
        let lora =
            Lora { down: tensor([2, shape.patch()], 3), up: tensor([shape.outputs, 2], 4), mid: None, scale: 1.3 };
        let (_, id) = site(LayerShape::Conv(shape));
        let mut adapters = Adapters::default();
        adapters.attach(id, lora.clone());
        let x = tensor([2, shape.inputs, 8, 6], 5);
        let bypass = values(adapters.conv(id, &layer(weight.clone()), x.clone()));
        assert_close("bypass", &bypass, &values(layer(effective(&weight, &lora)).forward(x)), TOLERANCE);
    }
}

#[test]
fn a_fresh_adapter_changes_nothing_and_several_add_up() {
    let (inputs, outputs) = (9, 8);
    let weight = FrozenMatrix::new(outputs, inputs, numbers(outputs * inputs, 1), WeightDtype::F32);
    let layer = FrozenLinear::new(weight, None);
    let (sites, id) = site(LayerShape::Linear { inputs, outputs });
    let method = Method::Lora(LoraKind { size: RankAlpha { rank: 4, alpha: 2.0 }, tucker: false });
    let spec = AdapterSpec::new(&sites, id, method, None);
    let down = spec.initial(&sites, &mut Seed(7).stream("init", &[0])).swap_remove(0);
    let bound = 1.0 / (inputs as f32).sqrt();
    assert!(down.iter().all(|x| x.abs() <= bound) && down.iter().any(|x| x.abs() > 0.8 * bound));
    let down = Tensor::from_data(TensorData::new(down, [4, inputs]), &Device::flex());
    let x = tensor([3, inputs], 5);

    let base = values(layer.forward(x.clone()));
    let mut fresh = Adapters::default();
    fresh.attach(
        id,
        Lora { down: down.clone(), up: Tensor::zeros([outputs, 4], &Device::flex()), mid: None, scale: 0.5 },
    );
    assert_eq!(values(fresh.linear(id, &layer, x.clone())), base, "bit for bit");

    let lora = |salt| Lora { down: down.clone(), up: tensor([outputs, 4], salt), mid: None, scale: 0.5 };
    let with = |loras: &[Lora]| {
        let mut adapters = Adapters::default();
        loras.iter().for_each(|lora| adapters.attach(id, lora.clone()));
        values(adapters.linear(id, &layer, x.clone()))
    };
    let (one, other, both) = (with(&[lora(1)]), with(&[lora(2)]), with(&[lora(1), lora(2)]));
    let sum: Vec<f32> = one.iter().zip(&other).zip(&base).map(|((a, b), base)| a + b - base).collect();
    assert_close("both", &both, &sum, TOLERANCE);
}

fn recipe() -> lorabake_recipe::Recipe {
    let words = ["--train_data_dir=x", "--output_dir=y", "--max_train_steps=1"].map(std::ffi::OsString::from);
    lorabake_recipe::parse_train(&words).unwrap().recipe
}

#[test]
fn plans_follow_role_and_kernel() {
    let mut sites = Sites::default();
    let wide = ConvShape { inputs: 4, outputs: 6, kernel: 3, stride: 1, padding: 1 };
    let narrow = ConvShape { kernel: 1, padding: 0, ..wide };
    for (layer, role) in [
        (LayerShape::Linear { inputs: 4, outputs: 6 }, Role::Transformer),
        (LayerShape::Conv(narrow), Role::Transformer),
        (LayerShape::Conv(wide), Role::Residual),
        (LayerShape::Conv(narrow), Role::Residual),
        (LayerShape::Conv(wide), Role::Stem),
    ] {
        let weight = FrozenMatrix::new(0, 0, Vec::new(), WeightDtype::F32);
        sites.add(Site { path: String::new(), layer, role }, weight);
    }
    let (linear, conv) = (RankAlpha { rank: 8, alpha: 4.0 }, RankAlpha { rank: 2, alpha: 1.0 });
    let shapes = |conv| -> Vec<_> {
        let mut network = recipe().network;
        (network.linear, network.conv) = (linear, conv);
        let shape = |spec: &AdapterSpec, index: usize| spec.parameters[index].shape.clone();
        adapter_specs(&sites, &network, |path| Some(path.to_string()))
            .iter()
            .map(|p| (shape(p, 0), shape(p, 1), p.method.size().unwrap()))
            .collect()
    };
    assert_eq!(shapes(None), [(vec![8, 4], vec![6, 8], linear), (vec![8, 4, 1, 1], vec![6, 8, 1, 1], linear)]);
    assert_eq!(
        shapes(Some(conv))[2..],
        [(vec![2, 4, 3, 3], vec![6, 2, 1, 1], conv), (vec![8, 4, 1, 1], vec![6, 8, 1, 1], linear)]
    );
}
