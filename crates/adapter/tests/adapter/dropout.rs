//! What is left out by chance: dropout as sd-scripts and LyCORIS have it, and the blocks of DyLoRA.

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::{
    AdapterDraw, AdapterSpec, Adapters, DyLoraKind, LayerShape, LoraKind, Masks, Method, Parameter, Role, Site, SiteId,
    Sites,
};
use lorabake_ops::{FrozenLinear, FrozenMatrix, WeightDtype};
use lorabake_recipe::network::RankAlpha;
use lorabake_recipe::network::adapter::Dropout;
use lorabake_recipe::network::algo::{Dialect, RankBlocks};
use lorabake_recipe::seed::Seed;
use lorabake_testkit::relative_error;

const WIDTH: usize = 6;
const RANK: usize = 4;

fn numbers(count: usize, salt: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + salt * 104_729) % 2003) as f32 / 2003.0 - 0.5).collect()
}

struct OneLayer {
    base: FrozenLinear,
    sites: Sites,
    site: SiteId,
}

impl OneLayer {
    fn new() -> Self {
        let weight = FrozenMatrix::new(WIDTH, WIDTH, numbers(WIDTH * WIDTH, 1), WeightDtype::F32);
        let mut sites = Sites::default();
        let layer = LayerShape::Linear { inputs: WIDTH, outputs: WIDTH };
        let site = sites.add(Site { path: "layer".into(), layer, role: Role::Transformer }, weight.clone());
        Self { base: FrozenLinear::new(weight, None), sites, site }
    }

    fn spec(&self, method: Method) -> AdapterSpec {
        AdapterSpec::new(&self.sites, self.site, method, None)
    }

    fn values(spec: &AdapterSpec) -> Vec<Tensor<2>> {
        let tensor = |(salt, p): (usize, &Parameter)| {
            let [rows, columns] = p.matrix();
            let data = TensorData::new(numbers(rows * columns, salt + 5), [rows, columns]);
            Tensor::<2>::from_data(data, &Device::flex())
        };
        spec.parameters.iter().enumerate().map(tensor).collect()
    }

    /// What the adapter adds to a batch of two times three rows of ones and twos.
    fn change(&self, spec: &AdapterSpec, draw: &AdapterDraw) -> Vec<f32> {
        let x = Tensor::<3>::from_data(TensorData::new(numbers(6 * WIDTH, 3), [2, 3, WIDTH]), &Device::flex());
        let mut adapters = Adapters::default();
        adapters.attach(self.site, spec.adapter(Self::values(spec), 1.0, draw));
        let y: Vec<f32> = adapters.linear(self.site, &self.base, x.clone()).into_data().try_into_vec().unwrap();
        let base: Vec<f32> = self.base.forward(x).into_data().try_into_vec().unwrap();
        y.iter().zip(base).map(|(y, base)| y - base).collect()
    }
}

fn masks(settings: Dropout, dialect: Dialect, at: u64) -> AdapterDraw {
    AdapterDraw { start: None, masks: Some(Masks { settings, dialect, seed: Seed(9), at: [0, at, 0] }) }
}

fn mean(layer: &OneLayer, spec: &AdapterSpec, settings: Dropout, dialect: Dialect) -> Vec<f32> {
    const PASSES: u64 = 3000;
    let mut sum = vec![0.0; 6 * WIDTH];
    for at in 0..PASSES {
        let change = layer.change(spec, &masks(settings, dialect, at));
        sum.iter_mut().zip(change).for_each(|(sum, value)| *sum += value / PASSES as f32);
    }
    sum
}

const LORA: Method = Method::Lora(LoraKind { size: RankAlpha { rank: RANK, alpha: RANK as f64 }, tucker: false });

#[test]
fn the_mean_over_many_masks_is_the_whole_effect_or_its_share() {
    let layer = OneLayer::new();
    let spec = layer.spec(LORA);
    let whole = layer.change(&spec, &AdapterDraw::default());
    let off = Dropout::default();
    let scaled = |share: f32| whole.iter().map(|x| x * share).collect::<Vec<_>>();
    // Kept values and ranks are scaled up in sd-scripts; modules and LyCORIS' outputs are not.
    for (settings, dialect, share) in [
        (Dropout { neuron: 0.3, ..off }, Dialect::Kohya, 1.0),
        (Dropout { rank: 0.3, ..off }, Dialect::Kohya, 1.0),
        (Dropout { module: 0.3, ..off }, Dialect::Kohya, 0.7),
        (Dropout { rank: 0.3, ..off }, Dialect::Lycoris, 0.7),
        (Dropout { module: 0.3, ..off }, Dialect::Lycoris, 0.7),
    ] {
        let error = relative_error(&mean(&layer, &spec, settings, dialect), &scaled(share));
        assert!(error < 0.06, "{settings:?} {dialect:?}: {error}");
    }
}

#[test]
fn masks_are_a_function_of_seed_pass_and_module() {
    let layer = OneLayer::new();
    let spec = layer.spec(LORA);
    let settings = Dropout { neuron: 0.2, rank: 0.2, module: 0.2 };
    let at = |at| layer.change(&spec, &masks(settings, Dialect::Kohya, at));
    let passes: Vec<_> = (0..20).map(at).collect();
    assert_eq!(passes, (0..20).map(at).collect::<Vec<_>>());
    let dropped = passes.iter().filter(|change| change.iter().all(|x| *x == 0.0)).count();
    assert!((1..12).contains(&dropped), "{dropped} of 20 dropped whole");
    assert!(passes.iter().any(|change| *change != passes[0]));
}

/// With all ranks but one's weight at zero the mask of a rank is the mask of the whole output, sample by sample.
#[test]
fn ranks_are_dropped_per_sample() {
    let layer = OneLayer::new();
    let spec = layer.spec(Method::Lora(LoraKind { size: RankAlpha { rank: 1, alpha: 1.0 }, tucker: false }));
    let whole = layer.change(&spec, &AdapterDraw::default());
    let mut kinds = std::collections::BTreeSet::new();
    for at in 0..40 {
        let change = layer.change(&spec, &masks(Dropout { rank: 0.5, ..Dropout::default() }, Dialect::Kohya, at));
        let kept: Vec<bool> = (0..2)
            .map(|sample| {
                let range = sample * 3 * WIDTH..(sample + 1) * 3 * WIDTH;
                let doubled: Vec<f32> = whole[range.clone()].iter().map(|x| 2.0 * x).collect();
                let zero = change[range.clone()].iter().all(|x| *x == 0.0);
                assert!(zero || relative_error(&change[range], &doubled) < 1e-4, "neither dropped nor doubled");
                !zero
            })
            .collect();
        kinds.insert(kept);
    }
    assert_eq!(kinds.len(), 4, "both samples are masked on their own");
}

/// Outputs by the formulas of the two programs, computed from down and up directly.
#[test]
fn dylora_scales_and_cuts_as_its_authors_do() {
    let layer = OneLayer::new();
    let size = RankAlpha { rank: RANK, alpha: 2.0 };
    for dialect in [Dialect::Kohya, Dialect::Lycoris] {
        let blocks = RankBlocks { size: 2, dialect };
        let spec = layer.spec(Method::DyLora(DyLoraKind { size, blocks }));
        let values: Vec<Vec<f32>> =
            OneLayer::values(&spec).into_iter().map(|v| v.into_data().try_into_vec().unwrap()).collect();
        let file = spec.to_file(&values);
        let [down, up] = file.as_slice() else { panic!("down and up") };
        assert_eq!(down.shape, [RANK, WIDTH]);
        assert_eq!(up.shape, [WIDTH, RANK]);
        let (down, up) = (&down.values, &up.values);
        let get = |name: &str| Some(if name == "lora_up.weight" { up.as_slice() } else { down.as_slice() });
        assert_eq!(spec.of_file(get).unwrap(), values, "there and back");
        let x = numbers(6 * WIDTH, 3);
        for start in [0, 2] {
            let (ranks, scale) = match dialect {
                Dialect::Kohya => (RANK, 0.5 * (RANK as f32 / (start + 2) as f32).sqrt()),
                Dialect::Lycoris => (start + 2, 2.0 / (start / 2 + 1) as f32),
            };
            let expected: Vec<f32> = (0..6 * WIDTH)
                .map(|i| {
                    let (row, output) = (i / WIDTH, i % WIDTH);
                    let inner = |r: usize| (0..WIDTH).map(|c| down[r * WIDTH + c] * x[row * WIDTH + c]).sum::<f32>();
                    scale * (0..ranks).map(|r| up[output * RANK + r] * inner(r)).sum::<f32>()
                })
                .collect();
            let change = layer.change(&spec, &AdapterDraw { start: Some(start), masks: None });
            assert!(relative_error(&change, &expected) < 1e-5, "{dialect:?} {start}");
            let trained: Vec<usize> = (0..values.len())
                .filter(|i| spec.trains(*i, &AdapterDraw { start: Some(start), masks: None }))
                .collect();
            match dialect {
                Dialect::Kohya => assert_eq!(trained, [start, start + 1, 4 + start, 5 + start]),
                Dialect::Lycoris => assert_eq!(trained, [start / 2, 2 + start / 2]),
            }
        }
        let drawn: std::collections::BTreeSet<_> =
            (0..30).map(|i| spec.draw_start(&mut Seed(4).stream("dylora", &[i]))).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [Some(0), Some(2)]);
    }
}
