//! Checkpoints with each other: laws.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lorabake_surgery::like::Like;
use lorabake_surgery::merge::into_model::Merged;
use lorabake_surgery::merge::models::modes::Mode;
use lorabake_surgery::merge::models::ratio::{Chosen, Ratio};
use lorabake_surgery::merge::models::{How, MergeModels, VaeChoice, merge_models};

use crate::made::{Bench, open, tiny};

fn merged(bench: &Bench, name: &str, models: &[&PathBuf], mode: Mode, alpha: f64) -> Merged {
    let how = How::Formula { mode, alpha: Ratio::everywhere(alpha), beta: Ratio::everywhere(0.0) };
    let request = MergeModels {
        models: models.iter().map(|path| (*path).clone()).collect(),
        how,
        chosen: Chosen::default(),
        vae: VaeChoice::First,
        adjust: None,
        like: Like::Ours,
    };
    merge_models(&request, &bench.output(name), BTreeMap::new(), &|_, _| true).unwrap()
}

/// Names of tensors whose bytes differ.
fn differing(one: &Path, other: &Path) -> Vec<String> {
    let (one, other) = (open(one), open(other));
    let mut differing = one.names().to_vec();
    differing.retain(|name| one.read_f32(name).unwrap() != other.read_f32(name).unwrap());
    differing
}

#[test]
fn the_ends_of_a_sum_are_the_models() {
    let bench = Bench::new();
    let (a, b) = (bench.model("a", 1), bench.model("b", 2));
    merged(&bench, "start", &[&a, &b], Mode::WeightedSum, 0.0);
    assert!(differing(&a, &bench.path("start")).is_empty());
    merged(&bench, "end", &[&a, &b], Mode::WeightedSum, 1.0);
    // The VAE stays the first one's.
    assert_eq!(
        differing(&b, &bench.path("end")),
        ["first_stage_model.decoder.conv_in.bias", "first_stage_model.decoder.conv_in.weight"]
    );
    for (mode, name) in [(Mode::SumTwice, "twice"), (Mode::TripleSum, "triple")] {
        merged(&bench, "sum", &[&a, &b], Mode::WeightedSum, 0.3);
        merged(&bench, name, &[&a, &b, &a], mode, 0.3);
        let far = differing(&bench.path("sum"), &bench.path(name));
        assert!(far.is_empty() || mode == Mode::TripleSum, "{far:?}");
        std::fs::remove_file(bench.path("sum")).unwrap();
    }
}

#[test]
fn a_difference_of_nothing_changes_nothing() {
    let bench = Bench::new();
    let (a, b) = (bench.model("a", 3), bench.model("b", 4));
    for (mode, name) in [(Mode::AddDifference, "add"), (Mode::TrainDifference, "train"), (Mode::SmoothAdd, "smooth")] {
        merged(&bench, name, &[&a, &b, &b], mode, 1.0);
        assert!(differing(&a, &bench.path(name)).is_empty(), "{name}");
    }
    merged(&bench, "all", &[&a, &b, &a], Mode::AddDifference, 1.0);
    let (want, got) = (open(&b), open(&bench.path("all")));
    for name in want.names().iter().filter(|name| name.contains("attn1")) {
        for (got, want) in got.read_f32(name).unwrap().iter().zip(want.read_f32(name).unwrap()) {
            assert!((got - want).abs() < 1e-6);
        }
    }
}

#[test]
fn likeness_decides_where_the_cosine_modes_take_from() {
    let bench = Bench::new();
    let (a, b) = (bench.model("a", 5), bench.model("b", 6));
    for (mode, name) in [(Mode::CosineA, "a_mode"), (Mode::CosineB, "b_mode")] {
        merged(&bench, name, &[&a, &b], mode, 0.2);
        let changed = differing(&a, &bench.path(name));
        assert!(!changed.is_empty() && !differing(&b, &bench.path(name)).is_empty(), "{name}");
        assert!(changed.iter().all(|key| !key.starts_with("first_stage_model.")));
    }
}

#[test]
fn shares_of_one_model_are_that_model() {
    let bench = Bench::new();
    let request = MergeModels {
        models: vec![tiny(), tiny()],
        how: How::Shares(vec![0.25, 0.75]),
        chosen: Chosen::default(),
        vae: VaeChoice::Merged,
        adjust: None,
        like: Like::Ours,
    };
    merge_models(&request, &bench.output("same"), BTreeMap::new(), &|_, _| true).unwrap();
    let (before, after) = (open(&tiny()), open(&bench.path("same")));
    for name in before.names() {
        for (got, want) in after.read_f32(name).unwrap().iter().zip(before.read_f32(name).unwrap()) {
            assert!((got - want).abs() <= 1e-6 * want.abs(), "{name}");
        }
    }
}
