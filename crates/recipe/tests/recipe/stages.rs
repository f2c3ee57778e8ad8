//! Recipes of several stages.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use lorabake_recipe::optim::ScheduleKind;
use lorabake_recipe::output::SavePrecision;
use lorabake_recipe::train::Duration;
use lorabake_recipe::{ParseError, Parsed, parse_run};

const RECIPE: &str = r#"
train_data_dir = "images"
output_dir = "out"
output_name = "penny"
save_precision = "fp16"
max_train_steps = 1000
lr_scheduler = "linear"
seed = 7
[[stage]]
[[stage]]
lr_scheduler = "cosine"
unet_lr = 1e-5
max_train_epochs = 2
[[stage]]
train_data_dir = "finer"
seed = 99
"#;

fn run(recipe: &str, more: &[&str]) -> Result<Vec<Parsed>, ParseError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.toml");
    std::fs::write(&path, recipe).unwrap();
    let mut argv = vec![OsString::from("--config_file"), path.into()];
    argv.extend(more.iter().map(OsString::from));
    parse_run(&argv)
}

#[test]
fn a_stage_overrules_what_holds_for_all_and_goes_on_from_the_one_before() {
    let stages = run(RECIPE, &["--network_dim=8"]).unwrap();
    let [first, second, third] = stages.as_slice() else { panic!("{} stages", stages.len()) };
    let names = stages.iter().map(|stage| stage.recipe.output.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names, ["penny-stage1", "penny-stage2", "penny"]);
    let precisions = stages.iter().map(|stage| stage.recipe.output.save_precision).collect::<Vec<_>>();
    assert_eq!(precisions, [None, None, Some(SavePrecision::F16)]);
    assert_eq!(first.recipe.network.weights, None);
    assert_eq!(second.recipe.network.weights, Some(PathBuf::from("out/penny-stage1.safetensors")));
    assert_eq!(third.recipe.network.weights, Some(PathBuf::from("out/penny-stage2.safetensors")));
    assert_eq!(second.recipe.optim.schedule.kind, ScheduleKind::Cosine);
    assert_eq!(third.recipe.optim.schedule.kind, ScheduleKind::Linear);
    assert_eq!((second.recipe.optim.unet_lr, first.recipe.optim.unet_lr), (1e-5, 1e-4));
    assert_eq!(
        (second.recipe.train.duration, third.recipe.train.duration),
        (Duration::Epochs(2), Duration::Steps(1000))
    );
    assert_eq!(third.recipe.data.train_dir, Path::new("finer"));
    assert_eq!(stages.iter().map(|stage| stage.recipe.train.seed).collect::<Vec<_>>(), [7, 8, 99]);
    // All hold out the same images, whatever their seeds.
    assert!(stages.iter().all(|stage| stage.recipe.data.hold_out.seed() == 7));
    assert!(stages.iter().all(|stage| stage.recipe.network.linear.rank == 8));
}

#[test]
fn resuming_begins_with_the_stage_of_the_state() {
    for (state, name) in [("penny-stage1-state", "penny-stage1"), ("penny-stage2-000003-state", "penny-stage2")] {
        let stages = run(RECIPE, &[&format!("--resume=out/{state}")]).unwrap();
        assert_eq!(stages[0].recipe.output.name, name);
        assert!(stages[0].recipe.output.resume.is_some());
        assert!(stages[1..].iter().all(|stage| stage.recipe.output.resume.is_none()));
    }
    assert_eq!(run(RECIPE, &["--resume=out/penny-step00000002-state"]).unwrap().len(), 1);
    let Err(error) = run(RECIPE, &["--resume=out/other-state"]) else { panic!("it is of no stage") };
    assert!(error.to_string().contains("other-state is of no stage"), "{error}");
}

#[test]
fn what_is_wrong_in_a_stage_is_named() {
    for (text, said) in [
        ("[[stage]]\nunet_rl = 1", "did you mean unet_lr?"),
        ("[[stage]]\n[[stage]]\nunet_lr = \"hot\"", "`hot` is not a number"),
        ("stage = [1]", "stage"),
    ] {
        let recipe = if text.starts_with("stage") {
            format!("{text}\n{}", RECIPE.split("[[stage]]").next().unwrap())
        } else {
            format!("{}{text}\n", RECIPE.split("[[stage]]").next().unwrap())
        };
        let Err(error) = run(&recipe, &[]) else { panic!("{recipe} is taken") };
        assert!(error.to_string().contains(said), "{error}");
    }
}
