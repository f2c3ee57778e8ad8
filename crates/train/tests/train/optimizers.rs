//! Every optimizer in a short bake on a tiny model: it moves the LoRA and tells its rates. Whether its numbers are
//! right is checked in crates/optim and by the recorded traces.

use std::ffi::OsString;
use std::path::Path;
use std::sync::mpsc::channel;

use lorabake_recipe::optim::optimizer::Optimizer;
use lorabake_recipe::parse_train;
use lorabake_testkit::tiny::USE_SD15;
use lorabake_train::bake;
use lorabake_train::event::{Event, Step};
use lorabake_weights::lora::LoraFile;

/// Steps, and the saved LoRA's largest up value.
fn steps(dir: &Path, more: &[&str]) -> (Vec<Step>, f32) {
    let mut argv = vec![OsString::from("--train_data_dir"), dir.join("train").into()];
    argv.extend([OsString::from("--output_dir"), dir.join("out").into()]);
    let fixed =
        [USE_SD15, "--resolution=64", "--seed=7", "--network_dim=2", "--network_alpha=2", "--max_train_steps=3"];
    argv.extend(fixed.iter().chain(more).map(OsString::from));
    let parsed = parse_train(&argv).unwrap_or_else(|error| panic!("{more:?}: {error}"));
    let ((events, heard), (_orders, commands)) = (channel(), channel());
    let outcome = bake(&parsed, &events, &commands).unwrap();
    drop(events);
    let step = |event| if let Event::Stepped(step) = event { Some(step) } else { None };
    let lora = LoraFile::open(&outcome.file).unwrap();
    let up = lora
        .modules
        .iter()
        .flat_map(|module| &module.tensors["lora_up.weight"].values)
        .fold(0f32, |most, x| most.max(x.abs()));
    (heard.iter().filter_map(step).collect(), up)
}

fn images(dir: &Path) {
    let folder = dir.join("train/3_cat");
    std::fs::create_dir_all(&folder).unwrap();
    let picture = image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x * 3) as u8, (y * 2) as u8, (x + y) as u8]));
    picture.save(folder.join("a.png")).unwrap();
    std::fs::write(folder.join("a.txt"), "cat, grass").unwrap();
}

#[test]
fn every_optimizer_moves_the_lora_and_tells_its_rates() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path());
    for name in Optimizer::NAMES {
        let optimizer = Optimizer::named(name).unwrap();
        let rate = if optimizer.adapts() { "1" } else { "1e-3" };
        let more = [format!("--optimizer_type={name}"), format!("--learning_rate={rate}")];
        let (steps, up) = steps(dir.path(), &more.each_ref().map(String::as_str));
        assert!(up > 0.0 && up.is_finite(), "{name}: {up}");
        let names = |pairs: &[(String, f64)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        for step in &steps {
            assert_eq!(names(&step.rates), ["textencoder", "unet"]);
            let expected = if optimizer.adapts() { names(&step.rates) } else { Vec::new() };
            assert_eq!(names(&step.d_times_lr), expected, "{name}");
            assert!(step.d_times_lr.iter().all(|(_, d)| *d >= 1e-6 && d.is_finite()), "{name}: {:?}", step.d_times_lr);
        }
    }
}

#[test]
fn ada_factor_shows_the_rates_that_it_sets_itself() {
    let dir = tempfile::tempdir().unwrap();
    images(dir.path());
    let warmup = ["--optimizer_type=AdaFactor", "--learning_rate=1e-3", "--optimizer_args", "warmup_init=True"];
    let (steps, _) = steps(dir.path(), &warmup);
    let unet = |step: usize| steps[step].rates[1].1;
    assert_eq!(unet(0), 1e-3);
    // A millionth of the tensor's size, then twice that.
    assert!(unet(1) > 0.0 && unet(1) < 1e-6, "{}", unet(1));
    assert!((unet(2) / unet(1) - 2.0).abs() < 1e-3, "{} {}", unet(1), unet(2));
}
