//! Every kind of adapter against LyCORIS' own module: names and shapes of its tensors, its output and all gradients.
//!
//! `golden/lycoris.safetensors`: written by oracle/lycoris_golden.py.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::{
    AdapterDraw, AdapterSpec, Adapters, Ia3Kind, LayerShape, LohaKind, LokrKind, LoraKind, Method, NamedShapes,
    Parameter, Role, Site, SiteId, Sites,
};
use lorabake_ops::{ConvShape, FrozenConv, FrozenLinear, FrozenMatrix, WeightDtype};
use lorabake_recipe::network::RankAlpha;
use lorabake_recipe::network::adapter::Side;
use lorabake_recipe::network::algo::Lokr;
use lorabake_recipe::seed::Seed;
use lorabake_testkit::Golden;

/// Both sides compute in f32; sums are taken in another order.
const TOLERANCE: f64 = 3e-6;

enum Layer {
    Linear(FrozenLinear),
    Conv(FrozenConv),
}

fn layer_shape(name: &str) -> LayerShape {
    let conv =
        |kernel, stride| LayerShape::Conv(ConvShape { inputs: 6, outputs: 8, kernel, stride, padding: kernel / 2 });
    match name {
        "linear" => LayerShape::Linear { inputs: 12, outputs: 8 },
        "conv3" => conv(3, 1),
        "conv3s2" => conv(3, 2),
        _ => conv(1, 1),
    }
}

/// The settings of a case of the generator.
fn settings(case: &str, layer: LayerShape) -> (Method, Option<Side>) {
    let of = |rank| RankAlpha { rank, alpha: 1.0 };
    let lokr = |rank, settings: Lokr, tucker| Method::Lokr(LokrKind::new(layer, of(rank), &settings, tucker));
    let (plain, factor) = (Lokr::default(), |factor| Lokr { factor: Some(factor), ..Lokr::default() });
    let lora = |tucker| Method::Lora(LoraKind { size: of(2), tucker });
    let loha = |tucker| Method::Loha(LohaKind { size: of(2), tucker });
    match case {
        "locon" => (lora(false), None),
        "locon_tucker" => (lora(true), None),
        "locon_dora" => (lora(false), Some(Side::Outputs)),
        "locon_dora_in" => (lora(false), Some(Side::Inputs)),
        "locon_rs" => {
            (Method::Lora(LoraKind { size: RankAlpha { rank: 2, alpha: 2_f64.sqrt() }, tucker: false }), None)
        }
        "loha" => (loha(false), None),
        "loha_tucker" => (loha(true), None),
        "loha_dora" => (loha(false), Some(Side::Outputs)),
        "lokr" => (lokr(1, plain, false), None),
        "lokr_factor2" => (lokr(1, factor(2), false), None),
        "lokr_both" => (lokr(1, Lokr { decompose_both: true, ..factor(4) }, false), None),
        "lokr_tucker" => (lokr(1, plain, true), None),
        "lokr_unbalanced" => (lokr(1, Lokr { unbalanced: true, ..factor(2) }, false), None),
        "lokr_full" => (lokr(2, Lokr { full_matrix: true, ..plain }, false), None),
        "lokr_dora" => (lokr(1, plain, false), Some(Side::Outputs)),
        "ia3" => (Method::Ia3(Ia3Kind { on_input: false }), None),
        "ia3_in" => (Method::Ia3(Ia3Kind { on_input: true }), None),
        other => panic!("no case {other}"),
    }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

fn tensor<const D: usize>(golden: &Golden, name: &str) -> Tensor<D> {
    let shape: [usize; D] = golden.shape(name).try_into().unwrap();
    Tensor::from_data(TensorData::new(golden.numbers(name).to_vec(), shape), &Device::flex())
}

struct Case<'g> {
    golden: &'g Golden,
    name: String,
    sites: Sites,
    site: SiteId,
    layer: Layer,
    spec: AdapterSpec,
}

impl<'g> Case<'g> {
    fn new(golden: &'g Golden, name: &str) -> Self {
        let (case, layer) = name.split_once('.').unwrap();
        let shape = layer_shape(layer);
        let base = |leaf: &str| golden.numbers(&format!("{name}.base.{leaf}")).to_vec();
        let weight = FrozenMatrix::new(
            shape.outputs(),
            base("weight").len() / shape.outputs(),
            base("weight"),
            WeightDtype::F32,
        );
        let mut sites = Sites::default();
        let site = sites.add(Site { path: "layer".into(), layer: shape, role: Role::Transformer }, weight.clone());
        let layer = match shape {
            LayerShape::Linear { .. } => Layer::Linear(FrozenLinear::new(weight, Some(base("bias")))),
            LayerShape::Conv(conv) => Layer::Conv(FrozenConv::new(conv, weight, Some(base("bias")))),
        };
        let (method, dora) = settings(case, shape);
        let spec = AdapterSpec::new(&sites, site, method, dora);
        Self { golden, name: name.into(), sites, site, layer, spec }
    }

    fn key(&self, leaf: &str) -> String {
        format!("{}.{leaf}", self.name)
    }

    /// The recorded values, tracked, in the order of the parameters.
    fn leaves(&self) -> Vec<Tensor<2>> {
        let leaf = |parameter: &Parameter| {
            let name = self.key(&format!("value.{}", parameter.name));
            assert_eq!(self.golden.shape(&name), parameter.shape, "{name}");
            let data = TensorData::new(self.golden.numbers(&name).to_vec(), parameter.matrix());
            Tensor::<2>::from_data(data, &Device::flex()).autodiff().require_grad()
        };
        self.spec.parameters.iter().map(leaf).collect()
    }

    fn check<const D: usize>(&self, forward: impl Fn(&Adapters, Tensor<D>) -> Tensor<D>) {
        let leaves = self.leaves();
        let mut adapters = Adapters::default();
        adapters.attach(self.site, self.spec.adapter(leaves.clone(), 1.0, &AdapterDraw::default()));
        let x = tensor::<D>(self.golden, &self.key("x")).autodiff().require_grad();
        let y = forward(&adapters, x.clone());
        self.golden.check(&self.key("y"), &numbers(y.clone().inner()), TOLERANCE);
        let mut tape = (y * tensor::<D>(self.golden, &self.key("g")).autodiff()).sum().backward();
        self.golden.check(&self.key("dx"), &numbers(x.grad_remove(&mut tape).unwrap()), TOLERANCE);
        for (parameter, leaf) in self.spec.parameters.iter().zip(&leaves) {
            let name = self.key(&format!("grad.{}", parameter.name));
            self.golden.check(&name, &numbers(leaf.grad_remove(&mut tape).unwrap()), TOLERANCE);
        }
    }

    /// Alpha as saved, first magnitudes, and the way back from a file's names and shapes.
    fn check_file(&self) {
        let count = self.golden.names().filter(|name| name.starts_with(&self.key("value."))).count();
        assert_eq!(count, self.spec.parameters.len(), "{}", self.name);
        let alpha = self.spec.method.size().map_or(1.0, |size| size.alpha);
        if self.golden.has(&self.key("alpha")) {
            self.golden.check(&self.key("alpha"), &[alpha as f32], 1e-7);
        }
        let initial = self.spec.initial(&self.sites, &mut Seed(1).stream("init", &[]));
        if self.spec.dora.is_some() {
            self.golden.check(&self.key("norms"), initial.last().unwrap(), 1e-6);
        }
        let shapes = self.spec.parameters.iter().map(|p| (p.name.as_str(), p.shape.as_slice())).collect();
        let on_input = match self.spec.method {
            Method::Ia3(Ia3Kind { on_input }) => Some(on_input),
            _ => None,
        };
        let read = AdapterSpec::of_tensors(&self.sites, self.site, alpha, &NamedShapes { shapes, on_input }).unwrap();
        assert_eq!(read.parameters, self.spec.parameters, "{}", self.name);
        assert_eq!((read.method.scale(), read.dora), (self.spec.method.scale(), self.spec.dora));
    }
}

fn golden() -> Golden {
    Golden::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/lycoris.safetensors"))
}

fn cases(golden: &Golden) -> Vec<Case<'_>> {
    let names = golden.names().filter_map(|name| name.strip_suffix(".y"));
    let cases: Vec<_> = names.map(|name| Case::new(golden, name)).collect();
    assert_eq!(cases.len(), 55, "layers times settings");
    cases
}

#[test]
fn outputs_and_gradients_are_those_of_lycoris() {
    let golden = golden();
    for case in cases(&golden) {
        match &case.layer {
            Layer::Linear(base) => case.check::<3>(|adapters, x| adapters.linear(case.site, base, x)),
            Layer::Conv(base) => case.check::<4>(|adapters, x| adapters.conv(case.site, base, x)),
        }
    }
}

#[test]
fn names_shapes_and_scales_are_those_of_lycoris() {
    let golden = golden();
    cases(&golden).iter().for_each(Case::check_file);
}

/// Every kind starts as nothing; with weight decomposition up to the rounding of m / ‖W‖.
#[test]
fn a_fresh_adapter_changes_nothing() {
    let golden = golden();
    for case in cases(&golden) {
        let values = case.spec.initial(&case.sites, &mut Seed(3).stream("init", &[]));
        let tensors = values.into_iter().zip(&case.spec.parameters).map(|(values, parameter)| {
            Tensor::<2>::from_data(TensorData::new(values, parameter.matrix()), &Device::flex())
        });
        let mut fresh = Adapters::default();
        fresh.attach(case.site, case.spec.adapter(tensors.collect(), 1.0, &AdapterDraw::default()));
        let (x, none) = (case.key("x"), Adapters::default());
        let (with, without) = match &case.layer {
            Layer::Linear(base) => {
                let x = tensor::<3>(&golden, &x);
                (numbers(fresh.linear(case.site, base, x.clone())), numbers(none.linear(case.site, base, x)))
            }
            Layer::Conv(base) => {
                let x = tensor::<4>(&golden, &x);
                (numbers(fresh.conv(case.site, base, x.clone())), numbers(none.conv(case.site, base, x)))
            }
        };
        let most = with.iter().zip(&without).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(most <= if case.spec.dora.is_some() { 2e-6 } else { 0.0 }, "{}: {most}", case.name);
    }
}
