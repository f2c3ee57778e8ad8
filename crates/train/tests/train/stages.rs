//! Stages that were interrupted between one another, and what would stop a later one.

use std::ffi::OsString;
use std::fs::File;
use std::sync::mpsc::channel;

use lorabake_recipe::{Parsed, parse_run};
use lorabake_testkit::tiny::SD15;
use lorabake_train::bake;
use lorabake_train::stages::{left_to_do, plan_all};
use lorabake_weights::formats::tensor_file::TensorFile;

use crate::sandbox::Sandbox;

/// A recipe of three stages that save into `out`, and what the command line adds.
fn stages(sandbox: &Sandbox, out: &str, more: &[&str]) -> anyhow::Result<Vec<Parsed>> {
    let recipe = format!(
        "pretrained_model_name_or_path = '{SD15}'\ntrain_data_dir = 'HERE/train'\noutput_dir = 'HERE/{out}'\n\
         output_name = 'st'\nresolution = 64\nnetwork_dim = 1\nmax_train_steps = 2\nlearning_rate = 1e-3\n\
         save_state = true\nvalidation_split = 0.5\n[[stage]]\n[[stage]]\n[[stage]]\n"
    );
    sandbox.write("recipe.toml", &recipe);
    let mut argv = vec![OsString::from("--config_file"), sandbox.path("recipe.toml").into()];
    argv.extend(more.iter().map(OsString::from));
    left_to_do(parse_run(&argv).unwrap_or_else(|error| panic!("{error}")))
}

fn train(parsed: &Parsed) -> anyhow::Result<()> {
    let (events, _heard) = channel();
    let (_orders, commands) = channel();
    bake(parsed, &events, &commands).map(drop)
}

fn names(stages: &[Parsed]) -> Vec<&str> {
    stages.iter().map(|stage| stage.recipe.output.name.as_str()).collect()
}

#[test]
fn a_run_killed_before_the_first_state_of_a_stage_begins_with_that_stage() {
    let sandbox = Sandbox::with_images("", &[[64, 64], [64, 64]]);
    let whole = stages(&sandbox, "whole", &["--seed=5"]).unwrap();
    whole.iter().for_each(|stage| train(stage).unwrap());
    // Killed in the second stage: only the first one's files are there. No seed is given, the state knows it.
    train(&stages(&sandbox, "killed", &["--seed=5"]).unwrap()[0]).unwrap();
    let resume = format!("--resume={}", sandbox.path("killed/st-stage1-state").display());
    let rest = stages(&sandbox, "killed", &[&resume]).unwrap();
    assert_eq!(names(&rest), ["st-stage2", "st"]);
    let said: Vec<String> = rest[0].notes.iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|note| note.contains("st-stage1 was trained to its end, so st-stage2 begins")), "{said:?}");
    rest.iter().for_each(|stage| train(stage).unwrap());
    let tensors = |folder: &str| {
        let file = TensorFile::open(&sandbox.path(&format!("{folder}/st.safetensors"))).unwrap();
        file.names().iter().map(|name| file.bytes(name).unwrap().to_vec()).collect::<Vec<_>>()
    };
    assert!(tensors("whole") == tensors("killed"), "other numbers than without the kill");
    // Without its result the first stage ends once more, and the others follow.
    std::fs::remove_file(sandbox.path("killed/st-stage1.safetensors")).unwrap();
    let all = stages(&sandbox, "killed", &[&resume]).unwrap();
    assert_eq!(names(&all), ["st-stage1", "st-stage2", "st"]);
    train(&all[0]).unwrap();
    assert!(sandbox.path("killed/st-stage1.safetensors").is_file());
}

#[test]
fn what_would_stop_a_later_stage_is_found_before_the_first_step() {
    let sandbox = Sandbox::with_images("", &[[64, 64], [64, 64]]);
    let refused = |more: &[&str], said: &[&str]| {
        let error = format!("{:#}", stages(&sandbox, "out", more).unwrap_err());
        for words in said {
            assert!(error.contains(words), "{words} is missing in: {error}");
        }
    };
    std::fs::create_dir_all(sandbox.path("out/st.safetensors")).unwrap();
    refused(&[], &["the stage st: --output_name", "st.safetensors is a folder"]);
    std::fs::remove_dir(sandbox.path("out/st.safetensors")).unwrap();
    sandbox.write("out/st-stage2-state", "");
    refused(&[], &["the stage st-stage2", "is a file, and is to be a folder"]);
    std::fs::remove_file(sandbox.path("out/st-stage2-state")).unwrap();
    sandbox.write("out/st-stage2.safetensors", "");
    refused(&["--no_overwrite"], &["the stage st-stage2: --no_overwrite"]);
    let lock = File::create(sandbox.path("out/.lorabake-st.lock")).unwrap();
    lock.lock().unwrap();
    refused(&[], &["the stage st: ", "another run is writing st into"]);
    drop(lock);
    assert_eq!(stages(&sandbox, "out", &[]).unwrap().len(), 3);
}

#[test]
fn stages_are_planned_before_their_loras_are_there() {
    let sandbox = Sandbox::with_images("", &[[64, 64], [64, 64]]);
    let all = stages(&sandbox, "out", &[]).unwrap();
    let plans = plan_all(&all, 10).unwrap();
    assert_eq!(plans.len(), 3);
    assert!(plans.iter().all(|plan| plan.lora.modules == plans[0].lora.modules));
    assert!(!sandbox.path("out").exists(), "a plan leaves nothing behind");
}
