//! Nets in pictures: what goes through a layer with nets is what goes through the changed layer, in every order; files that
//! do not fit are refused.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::{
    Adapters, LayerChange, LayerShape, NetModule, NetTensor, NetUse, NormChange, Role, Site, SiteId, Sites,
};
use lorabake_ops::{ConvShape, FrozenConv, FrozenLinear, FrozenMatrix, WeightDtype};

const LINEAR: LayerShape = LayerShape::Linear { inputs: 12, outputs: 8 };
const CONV: LayerShape = LayerShape::Conv(ConvShape { inputs: 6, outputs: 8, kernel: 3, stride: 1, padding: 1 });
const FULL: NetUse = NetUse { strength: 1.0, ranks: None, net: 0 };

/// Numbers that look random, between −1 and 1.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut numbers = Vec::with_capacity(count);
    for _ in 0..count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        numbers.push((state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0);
    }
    numbers
}

/// The tensors of a module.
struct Module(Vec<(&'static str, Vec<usize>, Vec<f32>)>);

impl Module {
    fn new(shapes: &[(&'static str, &[usize])]) -> Self {
        let mut tensors = Vec::new();
        for (name, shape) in shapes {
            let values = numbers(shape.iter().product(), (name.len() + shape.len()) as u64);
            tensors.push((*name, shape.to_vec(), values));
        }
        Self(tensors)
    }

    fn with(mut self, name: &'static str, value: f32) -> Self {
        self.0.push((name, Vec::new(), vec![value]));
        self
    }

    fn fit(&self, layer: LayerShape) -> Result<NetModule, String> {
        let tensors: BTreeMap<&str, NetTensor<'_>> =
            self.0.iter().map(|(name, shape, values)| (*name, NetTensor { shape, values })).collect();
        NetModule::fit(layer, &tensors)
    }
}

fn lora(layer: LayerShape) -> Module {
    match layer {
        LayerShape::Linear { .. } => Module::new(&[("lora_up.weight", &[8, 2]), ("lora_down.weight", &[2, 12])]),
        LayerShape::Conv(_) => Module::new(&[("lora_up.weight", &[8, 2, 1, 1]), ("lora_down.weight", &[2, 6, 3, 3])]),
    }
}

/// One module of every kind for a layer.
fn kinds(layer: LayerShape) -> Vec<Module> {
    let oft = |shape: &[usize]| Module::new(&[("oft_blocks", shape)]).with("alpha", 0.02);
    let ia3 = |count: usize, on_input: f32| Module::new(&[("weight", &[count])]).with("on_input", on_input);
    let mut all = vec![lora(layer), oft(&[4, 2, 2]), oft(&[2, 2, 4, 4]), ia3(8, 0.0), ia3(layer.inputs(), 1.0)];
    let mut dora = lora(layer);
    dora.0.push(("dora_scale", vec![8, 1], numbers(8, 3)));
    all.push(dora);
    match layer {
        LayerShape::Linear { .. } => {
            all.push(Module::new(&[("diff", &[8, 12]), ("diff_b", &[8])]));
            all.push(Module::new(&[
                ("a1.weight", &[2, 12]),
                ("a2.weight", &[12, 2]),
                ("b1.weight", &[2, 12]),
                ("b2.weight", &[8, 2]),
            ]));
        }
        LayerShape::Conv(_) => all.push(Module::new(&[("diff", &[8, 6, 3, 3]), ("diff_b", &[8])])),
    }
    all.push(Module::new(&[("diff_b", &[8])]));
    all
}

/// A layer with its weight and bias.
struct Layer {
    layer: LayerShape,
    sites: Sites,
    site: SiteId,
    columns: usize,
}

impl Layer {
    fn new(layer: LayerShape) -> Self {
        let columns = layer.inputs() * layer.kernel() * layer.kernel();
        let weight =
            FrozenMatrix::new(layer.outputs(), columns, numbers(layer.outputs() * columns, 7), WeightDtype::F32);
        let mut sites = Sites::default();
        let site = sites.add(Site { path: "layer".into(), layer, role: Role::Transformer }, weight);
        Self { layer, sites, site, columns }
    }

    fn change(&self, adapters: &Adapters) -> LayerChange {
        adapters.change(&self.sites, self.site, &Device::flex())
    }

    fn attach(&self, adapters: &mut Adapters, module: &Module, how: NetUse) {
        adapters.attach_net(&self.sites, self.site, &module.fit(self.layer).unwrap(), how, &Device::flex());
    }

    /// What goes through the layer of this weight and bias with adapters.
    fn through(&self, weight: Vec<f32>, bias: Vec<f32>, adapters: &Adapters) -> Vec<f32> {
        let device = Device::flex();
        let weight = FrozenMatrix::new(self.layer.outputs(), self.columns, weight, WeightDtype::F32);
        match self.layer {
            LayerShape::Linear { inputs, .. } => {
                let x = Tensor::<2>::from_data(TensorData::new(numbers(5 * inputs, 11), [5, inputs]), &device);
                vec_of(adapters.linear(self.site, &FrozenLinear::new(weight, Some(bias)), x))
            }
            LayerShape::Conv(shape) => {
                let x = TensorData::new(numbers(2 * shape.inputs * 20, 11), [2, shape.inputs, 4, 5]);
                let x = Tensor::<4>::from_data(x, &device);
                vec_of(adapters.conv(self.site, &FrozenConv::new(shape, weight, Some(bias)), x))
            }
        }
    }
}

fn vec_of<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

fn assert_near(ours: &[f32], theirs: &[f32], what: &str) {
    let apart = ours.iter().zip(theirs).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    let size = theirs.iter().map(|b| f64::from(*b).powi(2)).sum::<f64>().sqrt();
    assert!(ours.len() == theirs.len() && apart <= 1e-5 * size, "{what}: off by {}", apart / size);
}

#[test]
fn a_layer_with_nets_is_the_changed_layer() {
    for layer in [LINEAR, CONV] {
        let layer = Layer::new(layer);
        for (first_index, first) in kinds(layer.layer).iter().enumerate() {
            for (second_index, second) in kinds(layer.layer).iter().enumerate() {
                let mut adapters = Adapters::default();
                layer.attach(&mut adapters, first, NetUse { strength: 0.7, ranks: None, net: 0 });
                layer.attach(&mut adapters, second, NetUse { strength: -0.4, ranks: None, net: 1 });
                let change = layer.change(&adapters);
                let mut weight = layer.sites.weight(layer.site).to_f32();
                weight.iter_mut().zip(vec_of(change.weight)).for_each(|(weight, change)| *weight += change);
                let bias = numbers(8, 13);
                let mut changed = bias.clone();
                if let Some(change) = change.bias {
                    changed.iter_mut().zip(change).for_each(|(bias, change)| *bias += change);
                }
                let base = layer.sites.weight(layer.site).to_f32();
                let ours = layer.through(base, bias, &adapters);
                let merged = layer.through(weight, changed, &Adapters::default());
                assert_near(&ours, &merged, &format!("{:?}: {first_index}, then {second_index}", layer.layer));
            }
        }
    }
}

/// (IA)³ behind a LoRA scales the weight as the LoRA has made it, in front of it the weight as it was.
#[test]
fn order_matters_where_a_change_depends_on_the_weight() {
    let layer = Layer::new(LINEAR);
    let ia3 = Module::new(&[("weight", &[8])]).with("on_input", 0.0);
    let base = layer.sites.weight(layer.site).to_f32();
    let of_lora = {
        let mut adapters = Adapters::default();
        layer.attach(&mut adapters, &lora(LINEAR), FULL);
        vec_of(layer.change(&adapters).weight)
    };
    let factors = &ia3.0[0].2;
    for behind in [true, false] {
        let mut adapters = Adapters::default();
        let modules = if behind { [&lora(LINEAR), &ia3] } else { [&ia3, &lora(LINEAR)] };
        for module in modules {
            layer.attach(&mut adapters, module, FULL);
        }
        let mut expected = Vec::new();
        for (place, (weight, change)) in base.iter().zip(&of_lora).enumerate() {
            let scaled = if behind { weight + change } else { *weight };
            expected.push(change + scaled * factors[place / 12]);
        }
        assert_near(&vec_of(layer.change(&adapters).weight), &expected, "LoRA and IA3");
    }
}

#[test]
fn factors_scale_nets_by_number() {
    let layer = Layer::new(LINEAR);
    let mut adapters = Adapters::default();
    layer.attach(&mut adapters, &lora(LINEAR), FULL);
    layer.attach(&mut adapters, &Module::new(&[("diff", &[8, 12]), ("diff_b", &[8])]), NetUse { net: 1, ..FULL });
    let second = layer.change(&adapters.with_factors(&[0.0]));
    assert_eq!(
        second.weight.to_data(),
        Tensor::<2>::from_data(TensorData::new(numbers(96, 6), [8, 12]), &Device::flex()).to_data()
    );
    let half = layer.change(&adapters.with_factors(&[0.0, 0.5]));
    assert_near(&vec_of(half.weight), &vec_of(second.weight.mul_scalar(0.5)), "half");
    let none = layer.change(&adapters.with_factors(&[0.0, 0.0]));
    assert!(none.bias.is_none() && vec_of(none.weight).iter().all(|value| *value == 0.0));

    let mut sites = Sites::default();
    let norm = sites.add_norm("norm", 2);
    let change = NormChange { scale: vec![1.0, 2.0], shift: Some(vec![3.0, 4.0]) };
    adapters.attach_norm(norm, change.clone(), 1.0, 2);
    assert_eq!(adapters.norm(norm), Some(change));
    let halved = adapters.with_factors(&[1.0, 1.0, 0.5]).norm(norm).unwrap();
    assert_eq!((halved.scale, halved.shift), (vec![0.5, 1.0], Some(vec![1.5, 2.0])));
    assert_eq!(adapters.with_factors(&[1.0, 1.0, 0.0]).norm(norm), None);
}

#[test]
fn a_net_for_four_channels_leaves_the_others_of_an_inpainting_model_alone() {
    let nine = LayerShape::Conv(ConvShape { inputs: 9, outputs: 8, kernel: 3, stride: 1, padding: 1 });
    let layer = Layer::new(nine);
    let mut adapters = Adapters::default();
    let lora = Module::new(&[("lora_up.weight", &[8, 2, 1, 1]), ("lora_down.weight", &[2, 4, 3, 3])]);
    layer.attach(&mut adapters, &lora, FULL);
    let change = vec_of(layer.change(&adapters).weight);
    for row in change.chunks_exact(81) {
        assert!(row[..36].iter().any(|value| *value != 0.0));
        assert!(row[36..].iter().all(|value| *value == 0.0));
    }
}

#[test]
fn ranks_beyond_a_limit_are_left_out() {
    let layer = Layer::new(LINEAR);
    let mut adapters = Adapters::default();
    layer.attach(&mut adapters, &lora(LINEAR), NetUse { ranks: NonZeroUsize::new(1), ..FULL });
    let module = lora(LINEAR);
    let (up, down) = (&module.0[0].2, &module.0[1].2);
    let mut expected = Vec::new();
    for row in 0..8 {
        expected.extend(down[..12].iter().map(|value| up[2 * row] * value));
    }
    assert_near(&vec_of(layer.change(&adapters).weight), &expected, "the first rank");
}

#[test]
fn what_adds_nothing_is_known() {
    for layer in [LINEAR, CONV] {
        for module in kinds(layer) {
            assert!(!module.fit(layer).unwrap().is_nothing());
        }
    }
    for zero in ["lora_up.weight", "lora_down.weight"] {
        let mut module = lora(LINEAR);
        let tensor = module.0.iter_mut().find(|tensor| tensor.0 == zero).unwrap();
        tensor.2.fill(0.0);
        assert!(module.fit(LINEAR).unwrap().is_nothing());
    }
    assert!(lora(LINEAR).with("alpha", 0.0).fit(LINEAR).unwrap().is_nothing());
    let mut still = Module::new(&[("oft_blocks", &[4, 2, 2])]);
    still.0[0].2.fill(0.25);
    assert!(still.fit(LINEAR).unwrap().is_nothing());
    assert!(NormChange { scale: vec![0.0], shift: Some(vec![0.0]) }.is_nothing());
    assert!(!NormChange { scale: vec![0.0], shift: Some(vec![0.5]) }.is_nothing());
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |shapes: &[(&'static str, &[usize])]| Module::new(shapes).fit(LINEAR).unwrap_err();
    assert!(refused(&[("lora_up.weight", &[8, 2])]).contains("lora_down.weight is missing"));
    assert!(refused(&[("lora_up.weight", &[9, 2]), ("lora_down.weight", &[2, 12])]).contains("lora_up.weight"));
    assert!(refused(&[("oft_blocks", &[3, 2, 2])]).contains("does not fit 8 outputs"));
    assert!(refused(&[("oft_blocks", &[60, 4, 2, 2])]).contains("does not fit 8 outputs"));
    assert!(refused(&[("oft_blocks", &[0, 4, 2, 2])]).contains("does not fit 8 outputs"));
    assert!(refused(&[("diff", &[8, 11])]).contains("this layer needs 96 values"));
    assert!(refused(&[("a1.weight", &[2, 12])]).contains("b1.weight is missing"));
    assert!(refused(&[("weight", &[8])]).contains("on_input is missing"));
    assert!(refused(&[("alpha", &[1])]).contains("nothing that changes the layer"));
    assert!(refused(&[("lora_up.weights", &[8, 2]), ("mystery", &[1])]).contains("unknown tensor mystery"));
    let plain: [(&'static str, &[usize]); 2] = [("lora_up.weight", &[8, 2]), ("lora_down.weight", &[2, 12])];
    let middle: (&'static str, &[usize]) = ("lora_mid.weight", &[2, 2, 1, 1]);
    assert!(refused(&[plain[0], plain[1], middle]).starts_with("lora_mid.weight is for convolutions"));
    assert!(refused(&[("diff_b", &[7])]).contains("this layer needs 8 values"));
    let mut lora = lora(LINEAR);
    lora.0[0].2[3] = f32::NAN;
    assert!(lora.fit(LINEAR).unwrap_err().contains("not a number"));
    let dora = Module::new(&[("diff", &[8, 12]), ("dora_scale", &[5, 1])]);
    assert!(dora.fit(LINEAR).unwrap_err().contains("dora_scale"));
}

/// Both forms of GLoRA that LyCORIS has written say the same change; the present one is scaled, and is for kernels too.
#[test]
fn glora_in_both_forms() {
    let first = Module::new(&[
        ("a1.weight", &[2, 12]),
        ("a2.weight", &[12, 2]),
        ("b1.weight", &[2, 12]),
        ("b2.weight", &[8, 2]),
    ]);
    let names = ["a2.weight", "a1.weight", "b2.weight", "b1.weight"];
    let mut present = Module(Vec::new());
    for ((_, shape, values), name) in first.0.iter().zip(names) {
        present.0.push((name, shape.clone(), values.clone()));
    }
    let present = present.with("alpha", 1.0);
    let layer = Layer::new(LINEAR);
    let changed = |module: &Module| {
        let mut adapters = Adapters::default();
        layer.attach(&mut adapters, module, FULL);
        vec_of(layer.change(&adapters).weight)
    };
    let expected: Vec<f32> = changed(&first).iter().map(|value| value / 2.0).collect();
    assert_near(&changed(&present), &expected, "present form, alpha ÷ rank of a half");

    let layer = Layer::new(CONV);
    let module = Module::new(&[
        ("a1.weight", &[6, 2]),
        ("a2.weight", &[2, 6]),
        ("b1.weight", &[8, 2]),
        ("b2.weight", &[2, 6, 3, 3]),
    ]);
    let mut adapters = Adapters::default();
    layer.attach(&mut adapters, &module, FULL);
    let [a1, a2, b1, b2] = [0, 1, 2, 3].map(|index| &module.0[index].2);
    let weight = layer.sites.weight(layer.site).to_f32();
    let mut expected = Vec::new();
    for output in 0..8 {
        for place in 0..54 {
            let tap = place % 9;
            let mut value: f32 = (0..2).map(|rank| b1[output * 2 + rank] * b2[rank * 54 + place]).sum();
            for input in 0..6 {
                let through: f32 = (0..2).map(|rank| a1[input * 2 + rank] * a2[rank * 6 + place / 9]).sum();
                value += weight[output * 54 + input * 9 + tap] * through;
            }
            expected.push(value);
        }
    }
    assert_near(&vec_of(layer.change(&adapters).weight), &expected, "a convolution");
}
