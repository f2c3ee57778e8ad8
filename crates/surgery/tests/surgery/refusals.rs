//! What cannot be done: one line that names file or option and remedy, and nothing written.

use std::collections::BTreeMap;

use lorabake_surgery::like::Like;
use lorabake_surgery::merge::into_model::{IntoModel, into_model};
use lorabake_surgery::merge::nets::{MergeNets, Ranks, merge_nets};
use lorabake_surgery::output::Output;

use crate::made::{Bench, lora_tensors, tiny, used};

fn refused(result: lorabake_surgery::Result<impl std::fmt::Debug>, said: &[&str]) {
    let error = result.unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    for said in said {
        assert!(error.contains(said), "{said} is missing in: {error}");
    }
}

fn into(nets: Vec<lorabake_surgery::net::NetUse>) -> IntoModel {
    IntoModel { model: tiny(), vae: None, nets, like: Like::Ours, without_averages: true }
}

#[test]
fn outputs_that_would_lose_something() {
    let bench = Bench::new();
    let lora = bench.lora("lora", 1, 2);
    let run = |output: &Output| into_model(&into(vec![used(&lora, 1.0)]), output, BTreeMap::new(), &|_, _| true);
    let mut output = Output { path: lora.clone(), precision: None, overwrite: true };
    let before = std::fs::read(&lora).unwrap();
    refused(run(&output), &["--output: ", "is read for it; give another name"]);
    output.overwrite = false;
    output.path = bench.path("there");
    std::fs::write(&output.path, "mine").unwrap();
    refused(run(&output), &["is there already; give another name, or --overwrite"]);
    output.path = bench.path("x").with_extension("ckpt");
    refused(run(&output), &["does not end in .safetensors"]);
    assert_eq!(
        (std::fs::read(&lora).unwrap(), std::fs::read(bench.path("there")).unwrap()),
        (before, b"mine".to_vec())
    );
}

#[test]
fn files_that_do_not_fit() {
    let bench = Bench::new();
    let sdxl = bench.net("sdxl", 1, |_| Vec::new());
    assert!(sdxl.exists());
    let wrong =
        bench.net("wrong", 2, |[outputs, inputs, height, width]| lora_tensors([outputs + 8, inputs, height, width], 2));
    let run = |net| into_model(&into(vec![used(net, 1.0)]), &bench.output("out"), BTreeMap::new(), &|_, _| true);
    refused(run(&wrong), &["wrong.safetensors: ", "lora_te_text_model_encoder_layers_11_mlp_fc1", "another model"]);
    refused(run(&sdxl), &["sdxl.safetensors"]);
    let lora = bench.lora("lora", 3, 2);
    let nets = vec![used(&lora, 1.0), used(&wrong, 1.0)];
    let request = MergeNets { nets, ranks: Ranks::Joined, base: None };
    refused(merge_nets(&request, &bench.output("out"), BTreeMap::new(), &|_, _| true), &["is of another size than in"]);
    let ia3 = bench.net("ia3", 4, |[outputs, ..]| vec![("weight", vec![outputs]), ("on_input", vec![])]);
    let request = MergeNets { nets: vec![used(&ia3, 1.0)], ranks: Ranks::Joined, base: None };
    refused(merge_nets(&request, &bench.output("out"), BTreeMap::new(), &|_, _| true), &["IA3", "--base"]);
    assert_eq!(bench.count(), 4);
}

#[test]
fn who_wishes_an_end_finds_nothing_written() {
    let bench = Bench::new();
    let lora = bench.lora("lora", 5, 2);
    let stop = |_: u64, _: u64| false;
    refused(into_model(&into(vec![used(&lora, 1.0)]), &bench.output("out"), BTreeMap::new(), &stop), &["stopped"]);
    assert_eq!(bench.count(), 1);
}
