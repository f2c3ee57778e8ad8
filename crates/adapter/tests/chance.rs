//! What chance decides: dropout as sd-scripts and LyCORIS have it, and the blocks of DyLoRA.

use burn::tensor::{Device, Tensor, TensorData};
use lorabake_adapter::{Adapters, Chance, Kind, Masks, Method, Planned, Role, Site, SiteId, Sites};
use lorabake_ops::{FrozenLinear, FrozenMatrix, Storage};
use lorabake_recipe::network::RankAlpha;
use lorabake_recipe::network::adapter::Dropout;
use lorabake_recipe::network::algo::{Dialect, RankBlocks};
use lorabake_recipe::seed::Seed;

const WIDTH: usize = 6;
const RANK: usize = 4;

fn numbers(count: usize, salt: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + salt * 104_729) % 2003) as f32 / 2003.0 - 0.5).collect()
}

struct Bench {
    base: FrozenLinear,
    sites: Sites,
    site: SiteId,
}

impl Bench {
    fn new() -> Self {
        let weight = FrozenMatrix::new(WIDTH, WIDTH, numbers(WIDTH * WIDTH, 1), Storage::F32);
        let mut sites = Sites::default();
        let kind = Kind::Linear { inputs: WIDTH, outputs: WIDTH };
        let site = sites.add(Site { path: "layer".into(), kind, role: Role::Transformer }, weight.clone());
        Self { base: FrozenLinear::new(weight, None), sites, site }
    }

    fn plan(&self, method: Method) -> Planned {
        Planned::new(&self.sites, self.site, method, None)
    }

    fn values(plan: &Planned) -> Vec<Tensor<2>> {
        let tensor = |(salt, p): (usize, &lorabake_adapter::Parameter)| {
            let [rows, columns] = p.matrix();
            let data = TensorData::new(numbers(rows * columns, salt + 5), [rows, columns]);
            Tensor::<2>::from_data(data, &Device::flex())
        };
        plan.parameters.iter().enumerate().map(tensor).collect()
    }

    /// What the adapter adds to a batch of two times three rows of ones and twos.
    fn change(&self, plan: &Planned, chance: &Chance) -> Vec<f32> {
        let x = Tensor::<3>::from_data(TensorData::new(numbers(6 * WIDTH, 3), [2, 3, WIDTH]), &Device::flex());
        let mut adapters = Adapters::default();
        adapters.attach(self.site, plan.adapter(Self::values(plan), 1.0, chance));
        let y: Vec<f32> = adapters.linear(self.site, &self.base, x.clone()).into_data().try_into_vec().unwrap();
        let base: Vec<f32> = self.base.forward(x).into_data().try_into_vec().unwrap();
        y.iter().zip(base).map(|(y, base)| y - base).collect()
    }
}

fn masks(settings: Dropout, dialect: Dialect, at: u64) -> Chance {
    Chance { start: None, masks: Some(Masks { settings, dialect, seed: Seed(9), at: [0, at, 0] }) }
}

fn mean(bench: &Bench, plan: &Planned, settings: Dropout, dialect: Dialect) -> Vec<f32> {
    const PASSES: u64 = 3000;
    let mut sum = vec![0.0; 6 * WIDTH];
    for at in 0..PASSES {
        let change = bench.change(plan, &masks(settings, dialect, at));
        sum.iter_mut().zip(change).for_each(|(sum, value)| *sum += value / PASSES as f32);
    }
    sum
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|x| x * x).sum::<f32>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}

const LORA: Method = Method::Lora { size: RankAlpha { rank: RANK, alpha: RANK as f64 }, tucker: false };

#[test]
fn the_mean_over_many_masks_is_the_whole_effect_or_its_share() {
    let bench = Bench::new();
    let plan = bench.plan(LORA);
    let whole = bench.change(&plan, &Chance::default());
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
        let error = distance(&mean(&bench, &plan, settings, dialect), &scaled(share));
        assert!(error < 0.06, "{settings:?} {dialect:?}: {error}");
    }
}

#[test]
fn masks_are_a_function_of_seed_pass_and_module() {
    let bench = Bench::new();
    let plan = bench.plan(LORA);
    let settings = Dropout { neuron: 0.2, rank: 0.2, module: 0.2 };
    let at = |at| bench.change(&plan, &masks(settings, Dialect::Kohya, at));
    let passes: Vec<_> = (0..20).map(at).collect();
    assert_eq!(passes, (0..20).map(at).collect::<Vec<_>>());
    let dropped = passes.iter().filter(|change| change.iter().all(|x| *x == 0.0)).count();
    assert!((1..12).contains(&dropped), "{dropped} of 20 dropped whole");
    assert!(passes.iter().any(|change| *change != passes[0]));
}

/// With all ranks but one's weight at zero the mask of a rank is the mask of the whole output, sample by sample.
#[test]
fn ranks_are_dropped_per_sample() {
    let bench = Bench::new();
    let plan = bench.plan(Method::Lora { size: RankAlpha { rank: 1, alpha: 1.0 }, tucker: false });
    let whole = bench.change(&plan, &Chance::default());
    let mut kinds = std::collections::BTreeSet::new();
    for at in 0..40 {
        let change = bench.change(&plan, &masks(Dropout { rank: 0.5, ..Dropout::default() }, Dialect::Kohya, at));
        let kept: Vec<bool> = (0..2)
            .map(|sample| {
                let range = sample * 3 * WIDTH..(sample + 1) * 3 * WIDTH;
                let doubled: Vec<f32> = whole[range.clone()].iter().map(|x| 2.0 * x).collect();
                let zero = change[range.clone()].iter().all(|x| *x == 0.0);
                assert!(zero || distance(&change[range], &doubled) < 1e-4, "neither dropped nor doubled");
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
    let bench = Bench::new();
    let size = RankAlpha { rank: RANK, alpha: 2.0 };
    for dialect in [Dialect::Kohya, Dialect::Lycoris] {
        let blocks = RankBlocks { size: 2, dialect };
        let plan = bench.plan(Method::DyLora { size, blocks });
        let values: Vec<Vec<f32>> =
            Bench::values(&plan).into_iter().map(|v| v.into_data().try_into_vec().unwrap()).collect();
        let file = plan.to_file(&values);
        let (down, up) = (&file[0].2, &file[1].2);
        assert_eq!((file[0].1.as_slice(), file[1].1.as_slice()), (&[RANK, WIDTH][..], &[WIDTH, RANK][..]));
        let get = |name: &str| Some(if name == "lora_up.weight" { up.as_slice() } else { down.as_slice() });
        assert_eq!(plan.of_file(get).unwrap(), values, "there and back");
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
            let change = bench.change(&plan, &Chance { start: Some(start), masks: None });
            assert!(distance(&change, &expected) < 1e-5, "{dialect:?} {start}");
            let trained: Vec<usize> =
                (0..values.len()).filter(|i| plan.trains(*i, &Chance { start: Some(start), masks: None })).collect();
            match dialect {
                Dialect::Kohya => assert_eq!(trained, [start, start + 1, 4 + start, 5 + start]),
                Dialect::Lycoris => assert_eq!(trained, [start / 2, 2 + start / 2]),
            }
        }
        let drawn: std::collections::BTreeSet<_> =
            (0..30).map(|i| plan.draw_start(&mut Seed(4).stream("dylora", &[i]))).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [Some(0), Some(2)]);
    }
}
