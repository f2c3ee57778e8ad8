//! LoRAs into a checkpoint, with each other, resized, cut: laws.

use std::collections::BTreeMap;

use lorabake_recipe::model::Family;
use lorabake_surgery::block::BlockWeights;
use lorabake_surgery::lowered::BaseModel;
use lorabake_surgery::merge::nets::{MergeNets, Ranks, merge_nets};
use lorabake_surgery::net::{NetUse, Strength};
use lorabake_surgery::rank::RankRule;
use lorabake_surgery::resize::{DyloraScale, Resize, Resized, Target, cut_dylora, resize};

use crate::made::{Bench, LAYERS, apart, change, deltas, lora_tensors, open, tiny, used};

/// Sizes of LoHa, LoKr and whole differences.
fn other_kinds([outputs, inputs, height, width]: [usize; 4], kind: &str) -> Vec<(&'static str, Vec<usize>)> {
    let taps = height * width;
    match kind {
        "loha" => vec![
            ("alpha", vec![]),
            ("hada_w1_a", vec![outputs, 3]),
            ("hada_w1_b", vec![3, inputs * taps]),
            ("hada_w2_a", vec![outputs, 3]),
            ("hada_w2_b", vec![3, inputs * taps]),
        ],
        "lokr" => vec![
            ("alpha", vec![]),
            ("lokr_w1", vec![4, 4]),
            ("lokr_w2_a", vec![outputs / 4, 2]),
            ("lokr_w2_b", vec![2, inputs / 4 * taps]),
        ],
        _ if taps > 1 => vec![("diff", vec![outputs, inputs, height, width]), ("diff_b", vec![outputs])],
        _ => vec![("diff", vec![outputs, inputs])],
    }
}

fn merged_nets(bench: &Bench, name: &str, nets: Vec<NetUse>, ranks: Ranks) -> f64 {
    let request = MergeNets { nets, ranks, base: None };
    let accuracy = merge_nets(&request, &bench.output(name), BTreeMap::new(), &|_, _| true).unwrap();
    accuracy.lost
}

fn resized(bench: &Bench, name: &str, path: &std::path::Path, target: Target) -> Vec<Resized> {
    let request = Resize { path: path.to_path_buf(), target, base: Some(tiny()), max_norm: None };
    resize(&request, &bench.output(name), &|_, _| true).unwrap()
}

#[test]
fn strengths_add_up_and_a_net_with_its_negative_is_nothing() {
    let bench = Bench::new();
    let lora = bench.lora("lora", 1, 4);
    let mut nets = vec![lora];
    for kind in ["loha", "lokr", "full"] {
        nets.push(bench.net(kind, 2, |shape| other_kinds(shape, kind)));
    }
    for (index, net) in nets.iter().enumerate() {
        let first = bench.merged(&format!("a{index}"), &tiny(), &[(net, 0.7)]);
        let second = bench.merged(&format!("b{index}"), &first, &[(net, -0.4)]);
        let once = bench.merged(&format!("c{index}"), &tiny(), &[(net, 0.3)]);
        let both = bench.merged(&format!("d{index}"), &tiny(), &[(net, 1.0), (net, -1.0)]);
        for (module, _) in LAYERS {
            let want = change(&tiny(), &once, module);
            // Files hold weights in f32, whose rounding is a share of the weight and not of the change.
            let weight = BaseModel::of(open(&tiny())).weight(module).unwrap().unwrap().norm();
            let mut rest = change(&tiny(), &second, module);
            rest.add(-1.0, &want);
            assert!(
                // A change that is a hundred times what rounding may leave.
                want.norm() > 2e-5 * weight && rest.norm() < 2e-7 * weight,
                "{index} {module}: {} and {} of {weight}",
                want.norm(),
                rest.norm()
            );
            assert!(change(&tiny(), &both, module).norm() < 2e-7 * weight);
        }
    }
}

#[test]
fn parts_and_blocks_have_strengths_of_their_own() {
    let bench = Bench::new();
    let lora = bench.lora("lora", 3, 4);
    let whole = bench.merged("whole", &tiny(), &[(&lora, 1.0)]);
    let blocks = BlockWeights::of_list(&[1.0; 17].map(|one| one * 0.5), Family::Sd1, 0.0).unwrap();
    let strength = Strength { unet: 0.5, text: 2.0, blocks: Some(blocks) };
    let request = lorabake_surgery::merge::into_model::IntoModel {
        model: tiny(),
        vae: None,
        nets: vec![NetUse { path: lora, strength }],
        like: lorabake_surgery::like::Like::Ours,
        without_averages: true,
    };
    let output = bench.output("parts");
    lorabake_surgery::merge::into_model::into_model(&request, &output, BTreeMap::new(), &|_, _| true).unwrap();
    for ((module, _), strength) in LAYERS.into_iter().zip([1.0, 1.0, 0.25, 0.0]) {
        let want = change(&tiny(), &whole, module).scaled(strength);
        let got = change(&tiny(), &output.path, module);
        // The downsampler is in no block of a list of 17.
        let nothing = strength == 0.0 && got.norm() == 0.0;
        assert!(nothing || apart(&got.values, &want.values) < 1e-5, "{module}");
    }
}

#[test]
fn sums_of_nets_are_exact_side_by_side_and_by_enough_ranks() {
    let bench = Bench::new();
    let (one, other) = (bench.lora("one", 4, 3), bench.lora("other", 5, 5));
    let loha = bench.net("loha", 6, |shape| other_kinds(shape, "loha"));
    let nets = || vec![used(&one, 0.7), used(&other, -0.4), used(&loha, 1.5)];
    merged_nets(&bench, "joined", nets(), Ranks::Joined);
    let lost = merged_nets(&bench, "ranks", nets(), Ranks::AtMost(64, 64));
    merged_nets(&bench, "cut", nets(), Ranks::AtMost(2, 2));
    assert!(lost < 1e-9, "{lost}");
    let parts = [deltas(&one), deltas(&other), deltas(&loha)];
    for (module, _) in LAYERS {
        let mut want = parts[0][module].clone().scaled(0.7);
        want.add(-0.4, &parts[1][module]);
        want.add(1.5, &parts[2][module]);
        for name in ["joined", "ranks"] {
            assert!(apart(&deltas(&bench.path(name))[module].values, &want.values) < 2e-6, "{name} {module}");
        }
        assert!(apart(&deltas(&bench.path("cut"))[module].values, &want.values) > 0.05);
    }
    merged_nets(&bench, "same", vec![used(&one, 1.0)], Ranks::Joined);
    assert_eq!(deltas(&bench.path("same")), deltas(&one));
}

#[test]
fn enough_ranks_keep_everything_and_fewer_lose_what_is_told() {
    let bench = Bench::new();
    let lora = bench.lora("lora", 7, 6);
    let fixed = |rank| Target::Rule { rule: RankRule::Fixed, rank, conv_rank: rank };
    let rows = resized(&bench, "same", &lora, fixed(6));
    assert!(rows.iter().all(|row| row.lost < 1e-6 * row.norm));
    let rows = resized(&bench, "less", &lora, fixed(2));
    resized(&bench, "again", &bench.path("less"), fixed(2));
    let before = deltas(&lora);
    for row in rows {
        let want = &before[&row.module];
        assert!(apart(&deltas(&bench.path("same"))[&row.module].values, &want.values) < 1e-6);
        let mut rest = deltas(&bench.path("less"))[&row.module].clone();
        rest.add(-1.0, want);
        assert!((rest.norm() - row.lost).abs() < 1e-5 * row.norm, "{}", row.module);
        let again = &deltas(&bench.path("again"))[&row.module];
        assert!(apart(&again.values, &deltas(&bench.path("less"))[&row.module].values) < 1e-6);
    }
}

#[test]
fn other_kinds_become_plain_loras() {
    let bench = Bench::new();
    let every = || Target::Rule { rule: RankRule::Fixed, rank: 1000, conv_rank: 1000 };
    for kind in ["loha", "lokr"] {
        let net = bench.net(kind, 8, |shape| other_kinds(shape, kind));
        let rows = resized(&bench, &format!("plain_{kind}"), &net, every());
        assert!(rows.iter().all(|row| row.lost < 1e-6 * row.norm));
        for (module, delta) in deltas(&bench.path(&format!("plain_{kind}"))) {
            assert!(apart(&delta.values, &deltas(&net)[&module].values) < 2e-6, "{kind} {module}");
        }
    }
}

#[test]
fn a_size_is_kept_and_spent_where_it_counts() {
    let bench = Bench::new();
    let lora = bench.lora("lora", 9, 8);
    let mut kept = 0.0;
    for bytes in [4_000, 8_000, 16_000] {
        let rows = resized(&bench, &format!("size{bytes}"), &lora, Target::Bytes(bytes));
        let size = std::fs::metadata(bench.path(&format!("size{bytes}"))).unwrap().len() as usize;
        assert!(size <= bytes, "{size} of {bytes}");
        let energy: f64 = rows.iter().map(|row| row.norm.powi(2) - row.lost.powi(2)).sum();
        assert!(energy > kept);
        kept = energy;
    }
}

#[test]
fn a_dylora_is_cut_as_it_was_trained() {
    let bench = Bench::new();
    let dylora = bench.net("dylora", 10, |shape| lora_tensors(shape, 8));
    for (scale, factor) in [(DyloraScale::Train, 2.0), (DyloraScale::File, 1.0), (DyloraScale::Kohya, 4.0)] {
        let output = bench.output(&format!("{scale:?}"));
        cut_dylora(&dylora, 2, scale, &output).unwrap();
        let net = lorabake_weights::lora::NetTensors::open(&dylora).unwrap();
        for (module, delta) in deltas(&output.path) {
            let tensors = net.read(&module).unwrap();
            let matrix = |leaf: &str| lorabake_surgery::matrix::Matrix::of(&tensors[leaf]);
            let (up, down) = (matrix("lora_up.weight"), matrix("lora_down.weight"));
            let want = up.first_columns(2).times(&down.first_rows(2)).scaled(3.0 / 8.0 * factor);
            assert!(apart(&delta.values, &want.values) < 1e-6, "{scale:?} {module}");
        }
    }
}

#[test]
fn what_no_net_touches_keeps_its_bytes() {
    let bench = Bench::new();
    let lora = bench.lora("lora", 11, 2);
    let output = lorabake_surgery::output::Output { precision: None, ..bench.output("merged") };
    let request = lorabake_surgery::merge::into_model::IntoModel {
        model: tiny(),
        vae: None,
        nets: vec![used(&lora, 0.5)],
        like: lorabake_surgery::like::Like::Ours,
        without_averages: true,
    };
    let merged = lorabake_surgery::merge::into_model::into_model(&request, &output, BTreeMap::new(), &|_, _| true);
    assert_eq!(merged.unwrap().changed, LAYERS.len());
    let (before, after) = (open(&tiny()), open(&output.path));
    let mut changed = 0;
    for name in before.names() {
        assert_eq!(before.dtype(name), after.dtype(name));
        changed += usize::from(before.copied(name).unwrap() != after.copied(name).unwrap());
    }
    assert_eq!((changed, before.names().len()), (LAYERS.len(), after.names().len()));
}
