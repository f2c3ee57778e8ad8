//! Blocks of their own, LoRA+ and norms in short bakes on a tiny model.

use std::ffi::OsString;
use std::path::Path;
use std::sync::mpsc::channel;

use lorabake_lora::LoraNetwork;
use lorabake_model::{Bundle, VaeHalves};
use lorabake_ops::WeightDtype;
use lorabake_recipe::network::RankAlpha;
use lorabake_recipe::parse_train;
use lorabake_recipe::seed::Seed;
use lorabake_testkit::tiny::{SD15, USE_SD15};
use lorabake_train::bake;
use lorabake_train::event::{Event, RunInfo, Step};
use lorabake_train::update::max_norm::limit_norms;
use lorabake_weights::Checkpoint;
use lorabake_weights::lora::{LoraFile, LoraModule};

fn images(dir: &Path) {
    let folder = dir.join("train/3_cat");
    std::fs::create_dir_all(&folder).unwrap();
    let picture = image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x * 3) as u8, (y * 2) as u8, (x + y) as u8]));
    picture.save(folder.join("a.png")).unwrap();
    std::fs::write(folder.join("a.txt"), "cat, grass").unwrap();
}

fn words(dir: &Path, out: &str, more: &str) -> Vec<OsString> {
    let mut argv = vec![OsString::from("--train_data_dir"), dir.join("train").into()];
    argv.extend([OsString::from("--output_dir"), dir.join(out).into()]);
    let fixed = "--resolution=64 --seed=7 --network_dim=2 --network_alpha=2 --learning_rate=1e-3 --output_name=cat";
    argv.push(USE_SD15.into());
    argv.extend(fixed.split(' ').chain(more.split_whitespace()).map(OsString::from));
    argv
}

fn run(dir: &Path, out: &str, more: &str) -> (LoraFile, RunInfo, Vec<Step>) {
    let parsed = parse_train(&words(dir, out, more)).unwrap_or_else(|error| panic!("{more}: {error}"));
    let ((events, heard), (_orders, commands)) = (channel(), channel());
    let outcome = bake(&parsed, &events, &commands).unwrap();
    drop(events);
    let (mut plan, mut steps) = (None, Vec::new());
    for event in heard.iter() {
        match event {
            Event::Started(started) => plan = Some(started),
            Event::Stepped(step) => steps.push(step),
            _ => {}
        }
    }
    (LoraFile::open(&outcome.file).unwrap(), plan.unwrap(), steps)
}

fn module<'a>(lora: &'a LoraFile, part: &str) -> &'a LoraModule {
    lora.modules.iter().find(|module| module.name.contains(part)).unwrap_or_else(|| panic!("no {part}"))
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

#[test]
fn blocks_have_their_own_rates_and_those_at_zero_are_not_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path());
    let (lora, plan, steps) = run(dir.path(), "a", "--max_train_steps=1 --block_lr_weight=OUT=0,IN04=0.5,M00=0.25");
    assert!(lora.modules.iter().all(|module| !module.name.contains("up_blocks")));
    let names: Vec<&str> = steps[0].rates.iter().map(|(name, _)| name.as_str()).collect();
    let blocks =
        ["unet_block1", "unet_block2", "unet_block4", "unet_block5", "unet_block7", "unet_block8", "unet_block12"];
    assert_eq!(names, [&["textencoder"][..], &blocks].concat());
    // The first step of Adam is as long as the rate.
    for (part, rate) in [("down_blocks_1_attentions_0", 5e-4), ("mid_block", 2.5e-4), ("down_blocks_2", 1e-3)] {
        let moved = largest(&module(&lora, part).tensors["lora_up.weight"].values);
        assert!((moved - rate).abs() < 0.01 * rate, "{part} moved by {moved}");
    }
    let row = |name: &str| plan.blocks.iter().find(|row| row.name == name).unwrap();
    assert_eq!((row("IN04").linear, row("IN04").rate), (Some(RankAlpha { rank: 2, alpha: 2.0 }), 5e-4));
    assert_eq!((row("OUT05").modules, row("IN00").modules), (0, 0));
    let expected = r#"{"down_lr_weight": "1,1,1,1,0.5,1,1,1,1,1,1,1", "mid_lr_weight": "0.25", "up_lr_weight": "0,0,0,0,0,0,0,0,0,0,0,0", "dropout": null}"#;
    assert_eq!(lora.metadata["ss_network_args"], expected);
}

#[test]
fn blocks_have_their_own_ranks() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path());
    let dims = "2,2,2,2,3,3,3,3,3,3,0,0,4,2,2,2,2,2,2,2,2,2,2,2,2";
    let conv = "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1,0,0";
    let args = format!("--max_train_steps=1 --network_args block_dims={dims} conv_block_dims={conv}");
    let (lora, plan, _) = run(dir.path(), "a", &args);
    assert_eq!(module(&lora, "down_blocks_1_attentions_0").tensors["lora_down.weight"].shape[0], 3);
    assert_eq!(module(&lora, "mid_block_attentions_0").tensors["lora_down.weight"].shape[0], 4);
    assert_eq!(module(&lora, "lora_te").tensors["lora_down.weight"].shape[0], 2);
    let wide: Vec<&str> = lora
        .modules
        .iter()
        .filter(|module| module.tensors["lora_down.weight"].shape.get(2) == Some(&3))
        .map(|module| &*module.name)
        .collect();
    assert_eq!(wide, ["lora_unet_up_blocks_3_resnets_0_conv1", "lora_unet_up_blocks_3_resnets_0_conv2"]);
    assert!(!lora.modules.iter().any(|module| module.name.contains("down_blocks_3")), "IN10 and IN11 have rank 0");
    assert_eq!(plan.blocks.iter().filter(|row| row.conv == Some(RankAlpha { rank: 1, alpha: 1.0 })).count(), 1);
}

#[test]
fn up_factors_learn_faster_with_lora_plus() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path());
    let (plain, plan, _) = run(dir.path(), "a", "--max_train_steps=1");
    assert!(plan.blocks.is_empty(), "all blocks are alike");
    let ratios = "--max_train_steps=1 --network_args loraplus_lr_ratio=16 loraplus_text_encoder_lr_ratio=4";
    let (plus, _, steps) = run(dir.path(), "b", ratios);
    let rates = [("textencoder", 1e-3), ("textencoder plus", 4e-3), ("unet", 1e-3), ("unet plus", 1.6e-2)];
    assert_eq!(steps[0].rates, rates.map(|(name, rate)| (name.to_owned(), rate)));
    for (ours, slow) in plus.modules.iter().zip(&plain.modules) {
        let ratio = if ours.name.starts_with("lora_te") { 4.0 } else { 16.0 };
        assert_eq!(ours.tensors["lora_down.weight"].values, slow.tensors["lora_down.weight"].values, "{}", ours.name);
        let ups = [ours, slow].map(|module| &module.tensors["lora_up.weight"].values);
        let error = ups[0].iter().zip(ups[1]).map(|(a, b)| (a - ratio * b).abs()).fold(0.0, f32::max);
        assert!(error < 1e-5 * ratio * largest(ups[1]), "{}: {error}", ours.name);
    }
}

#[test]
fn a_block_at_zero_of_a_file_that_is_trained_on_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path());
    let (first, ..) = run(dir.path(), "a", "--max_train_steps=2");
    let file = dir.path().join("a/cat.safetensors");
    let weights = format!("--max_train_steps=1 --network_weights={} --dim_from_weights", file.display());
    let (second, ..) = run(dir.path(), "b", &format!("{weights} --block_lr_weight=M00=0"));
    assert_eq!(first.modules.len(), second.modules.len());
    for (before, after) in first.modules.iter().zip(&second.modules) {
        let same = before.tensors == after.tensors;
        assert_eq!(same, after.name.contains("mid_block"), "{}", after.name);
    }
}

#[test]
fn a_run_with_groups_of_its_own_can_be_resumed() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path());
    let more = "--max_train_steps=4 --network_args mid_lr_weight=0.5 loraplus_lr_ratio=4";
    let (whole, _, steps) = run(dir.path(), "a", &format!("{more} --save_state --save_every_n_steps=2"));
    let resume = format!("--resume={}", dir.path().join("a/cat-step00000002-state").display());
    let (rest, _, later) = run(dir.path(), "b", &format!("{more} {resume}"));
    let losses = |steps: &[Step]| steps.iter().map(|step| step.loss).collect::<Vec<_>>();
    assert_eq!(losses(&later), losses(&steps[2..]));
    for (a, b) in whole.modules.iter().zip(&rest.modules) {
        assert_eq!(a.tensors, b.tensors, "{}", a.name);
    }
    // The state does not depend on the groups: by other groups with the same rates it goes on in the same way.
    let [blocks, plain] = ["--network_args mid_lr_weight=1", ""]
        .map(|args| run(dir.path(), "c", &format!("--max_train_steps=4 {resume} {args}")).0);
    for (a, b) in blocks.modules.iter().zip(&plain.modules) {
        assert_eq!(a.tensors, b.tensors, "{}", a.name);
    }
}

#[test]
fn what_leaves_nothing_to_train_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path());
    let parsed = parse_train(&words(dir.path(), "a", "--network_train_unet_only --block_lr_weight=ALL=0")).unwrap();
    let ((events, _heard), (_orders, commands)) = (channel(), channel());
    let error = bake(&parsed, &events, &commands).unwrap_err().to_string();
    assert!(error.contains("nothing is left to train"), "{error}");
}

/// Against the change itself, which `limit_norms` never forms for plain LoRAs.
#[test]
fn norms_are_those_of_the_change_and_end_at_the_limit() {
    let bundle =
        Bundle::load(&Checkpoint::open(Path::new(SD15)).unwrap(), VaeHalves::Training, WeightDtype::F32).unwrap();
    for kind in [
        "--network_args conv_dim=2",
        "--network_module=networks.dylora",
        "--network_module=lycoris.kohya --network_args algo=lora use_tucker=True",
        "--network_module=lycoris.kohya --network_args algo=loha",
        "--network_module=lycoris.kohya --network_args algo=lokr factor=4",
        "--network_module=lycoris.kohya --network_args algo=lora dora_wd=True",
    ] {
        let line = format!("--train_data_dir=x --output_dir=y --network_dim=3 --network_alpha=2 {kind}");
        let recipe = parse_train(&line.split(' ').map(OsString::from).collect::<Vec<_>>()).unwrap().recipe;
        let mut network = LoraNetwork::fresh(&recipe.network, &bundle, Seed(3));
        for (index, module) in network.modules.iter_mut().enumerate() {
            let wave = |i: usize| ((i * 7 + index) as f32).sin() * 0.1;
            module.values.iter_mut().flatten().enumerate().for_each(|(i, value)| *value += wave(i));
        }
        let norms = |network: &LoraNetwork| -> Vec<f64> {
            let norm = |module: &lorabake_lora::NetworkModule| {
                let change = module.change(&burn::tensor::Device::flex()).unwrap().into_data();
                let values: Vec<f32> = change.try_into_vec().unwrap();
                values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
            };
            network.modules.iter().map(norm).collect()
        };
        let before = norms(&network);
        let mut sorted = before.clone();
        sorted.sort_by(f64::total_cmp);
        let limit = (sorted[99] + sorted[100]) / 2.0;
        let told = limit_norms(&mut network, limit);
        assert_eq!(told.keys_scaled, before.len() - 100, "{kind}");
        let after = norms(&network);
        for (before, after) in before.iter().zip(&after) {
            assert!((after - before.min(limit)).abs() < 1e-5 * limit, "{kind}: {before} became {after}");
        }
        let average = after.iter().sum::<f64>() / after.len() as f64;
        assert!((told.average - average).abs() < 1e-5 * average && (told.max - limit).abs() < 1e-5 * limit, "{kind}");
    }
}
