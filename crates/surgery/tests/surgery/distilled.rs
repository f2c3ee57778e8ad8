//! The difference of two checkpoints as a LoRA: laws.

use std::collections::BTreeMap;
use std::path::Path;

use lorabake_surgery::extract::{Distilled, Extract, Keep, Kind, extract};
use lorabake_surgery::like::Like;
use lorabake_weights::Part;

use crate::made::{Bench, LAYERS, apart, change, deltas, tiny};

fn request(tuned: &Path) -> Extract {
    Extract {
        base: tiny(),
        tuned: tuned.to_path_buf(),
        kind: Kind::Lora,
        keep: Keep::Most,
        keep_conv: None,
        rank: 4,
        conv_rank: Some(4),
        parts: Part::ADAPTED.to_vec(),
        full_difference: false,
        like: Like::Ours,
        clamp_quantile: None,
        min_diff: None,
        tucker: false,
    }
}

fn extracted(bench: &Bench, name: &str, request: &Extract) -> Distilled {
    extract(request, &bench.output(name), BTreeMap::new(), &|_, _| true).unwrap()
}

#[test]
fn what_was_merged_comes_out_again() {
    let bench = Bench::new();
    let lora = bench.lora("lora", 1, 4);
    let tuned = bench.merged("tuned", &tiny(), &[(&lora, 1.0)]);
    let report = extracted(&bench, "distilled", &request(&tuned));
    assert_eq!(report.layers.len(), LAYERS.len());
    assert!(report.layers.iter().all(|layer| layer.rank == Some(4) && layer.lost < 1e-6 * layer.energy));
    assert_eq!(report.elsewhere, 0.0);
    for (module, delta) in deltas(&bench.path("distilled")) {
        assert!(apart(&delta.values, &deltas(&lora)[&module].values) < 2e-5, "{module}");
    }
}

#[test]
fn every_rule_says_what_it_keeps() {
    let bench = Bench::new();
    let lora = bench.lora("lora", 2, 8);
    let tuned = bench.merged("tuned", &tiny(), &[(&lora, 1.0)]);
    let whole = Extract { rank: 32, conv_rank: Some(32), ..request(&tuned) };
    for (index, keep) in
        [Keep::Energy(0.8), Keep::Ratio(0.5), Keep::Threshold(0.05), Keep::Bytes(9_000), Keep::Quantile(0.7)]
            .iter()
            .enumerate()
    {
        let name = format!("rule{index}");
        let report = extracted(&bench, &name, &Extract { keep: *keep, ..whole.clone() });
        let found = deltas(&bench.path(&name));
        for layer in &report.layers {
            let want = change(&tiny(), &tuned, &layer.module);
            let rank = layer.rank.unwrap();
            let mut rest = match found.get(&layer.module) {
                Some(delta) => delta.clone(),
                None => lorabake_surgery::matrix::Matrix::zeros(want.rows, want.columns),
            };
            rest.add(-1.0, &want);
            assert!((rest.norm().powi(2) - layer.lost).abs() < 1e-4 * layer.energy, "{keep:?} {}", layer.module);
            if let Keep::Energy(share) = keep {
                assert!(1.0 - layer.lost / layer.energy >= *share && rank < 8);
            }
        }
        if let Keep::Bytes(bytes) = keep {
            assert!(std::fs::metadata(bench.path(&name)).unwrap().len() <= *bytes as u64);
        }
    }
}

#[test]
fn a_kronecker_product_and_whole_differences_come_out_too() {
    let bench = Bench::new();
    let lokr = bench.net("lokr", 3, |[outputs, inputs, height, width]| {
        vec![
            ("alpha", vec![]),
            ("lokr_w1", vec![4, 4]),
            ("lokr_w2_a", vec![outputs / 4, 2]),
            ("lokr_w2_b", vec![2, inputs / 4 * height * width]),
        ]
    });
    let tuned = bench.merged("tuned", &tiny(), &[(&lokr, 1.0)]);
    extracted(&bench, "again", &Extract { kind: Kind::Lokr(Some(4)), rank: 64, ..request(&tuned) });
    extracted(&bench, "full", &Extract { kind: Kind::Full, ..request(&tuned) });
    for name in ["again", "full"] {
        let merged = bench.merged(&format!("merged_{name}"), &tiny(), &[(&bench.path(name), 1.0)]);
        for (module, _) in LAYERS {
            let want = change(&tiny(), &tuned, module);
            assert!(apart(&change(&tiny(), &merged, module).values, &want.values) < 2e-5, "{name} {module}");
        }
    }
}

#[test]
fn with_whole_differences_nothing_is_lost() {
    let bench = Bench::new();
    let tuned = bench.model("tuned", 4);
    let wide = Extract { rank: 1000, conv_rank: Some(1000), full_difference: true, ..request(&tuned) };
    extracted(&bench, "all", &wide);
    let merged = bench.merged("merged", &tiny(), &[(&bench.path("all"), 1.0)]);
    let (want, got) = (crate::made::open(&tuned), crate::made::open(&merged));
    for name in want.names().iter().filter(|name| !name.starts_with("first_stage_model.")) {
        for (got, want) in got.read_f32(name).unwrap().iter().zip(want.read_f32(name).unwrap()) {
            assert!((got - want).abs() < 2e-5, "{name}: {got} {want}");
        }
    }
}
