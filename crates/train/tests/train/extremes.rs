//! Numbers at the ends of what an option takes: whatever gets past the recipe is planned, or refused in words.

use std::any::TypeId;
use std::path::Path;

use lorabake_recipe::{Parsed, command, parse_train};
use lorabake_testkit::tiny::USE_SD15;
use lorabake_train::estimate::{RunPlan, plan_run};

/// A folder with one image.
fn image(dir: &Path) {
    let folder = dir.join("2_cat");
    std::fs::create_dir_all(&folder).unwrap();
    image::RgbImage::new(64, 64).save(folder.join("0.png")).unwrap();
}

fn parsed(dir: &Path, more: &str) -> Option<Parsed> {
    let set = format!("--train_data_dir={}", dir.display());
    let fixed = [USE_SD15, &set, "--output_dir=out", "--resolution=64", "--seed=7", "--network_dim=2"];
    parse_train(&fixed.into_iter().chain(more.split(' ')).map(Into::into).collect::<Vec<_>>()).ok()
}

fn plan(dir: &Path, more: &str) -> Option<RunPlan> {
    plan_run(&parsed(dir, more)?, 8).ok()
}

#[test]
fn a_plan_bears_every_number_that_an_option_takes() {
    let dir = tempfile::tempdir().unwrap();
    image(dir.path());
    let mut planned = 0;
    for arg in command().get_arguments() {
        let Some(name) = arg.get_long() else { continue };
        let type_id = arg.get_value_parser().type_id();
        if type_id != TypeId::of::<u32>() && type_id != TypeId::of::<f64>() {
            continue;
        }
        for end in ["0", "1", "4000", "4294967295", "1e9", "1e-320"] {
            // A panic shows which it was.
            println!("--{name}={end}");
            let needs = "--enable_bucket --lr_scheduler=polynomial --loss_type=huber --noise_offset=0.1 --trigger_word=a \
                         --save_every_n_epochs=1 --save_every_n_steps=1";
            planned += usize::from(plan(dir.path(), &format!("{needs} --{name}={end}")).is_some());
        }
    }
    assert!(planned > 150, "{planned}");
}

#[test]
fn a_plan_bears_every_rank_that_an_adapter_takes() {
    let dir = tempfile::tempdir().unwrap();
    image(dir.path());
    let lokr = "--network_module=lycoris.kohya --network_args algo=lokr";
    for more in ["--network_dim=100000", "--network_dim=4294967295", "factor=4294967295", "conv_dim=4294967295"] {
        let line = if more.starts_with('-') { format!("{more} {lokr}") } else { format!("{lokr} {more}") };
        assert!(plan(dir.path(), &line).is_some(), "{line}");
    }
    for algo in ["lora", "locon", "loha", "dylora"] {
        let line = format!("--network_dim=4294967292 --network_module=lycoris.kohya --network_args algo={algo}");
        assert!(parsed(dir.path(), &line).is_none(), "{line}");
    }
}

#[test]
fn a_warmup_longer_than_the_run_is_noted() {
    let dir = tempfile::tempdir().unwrap();
    image(dir.path());
    for (warmup, is_noted) in [("5", true), ("4", true), ("3", false), ("0.5", false), ("0", false)] {
        let line = format!("--max_train_steps=4 --lr_scheduler=cosine --lr_warmup_steps={warmup}");
        let notes: Vec<String> = plan(dir.path(), &line).unwrap().notes.iter().map(ToString::to_string).collect();
        let noted =
            notes.iter().any(|note| note.starts_with("--lr_warmup_steps: ") && note.contains("the 4 of the run"));
        assert_eq!(noted, is_noted, "{warmup}: {notes:?}");
    }
}
