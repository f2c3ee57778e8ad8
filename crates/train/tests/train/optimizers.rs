//! Every optimizer in a short bake on a tiny model: it moves the LoRA and tells its rates. Whether its numbers are
//! right is checked in crates/optim and by the recorded traces.

use lorabake_recipe::optim::optimizer::Optimizer;

use crate::sandbox::Sandbox;

const BASE: &str = "--network_alpha=2 --max_train_steps=3";

#[test]
fn every_optimizer_moves_the_lora_and_tells_its_rates() {
    let sandbox = Sandbox::with_images(BASE, &[[64, 64]]);
    for name in Optimizer::NAMES {
        let optimizer = Optimizer::named(name).unwrap();
        let rate = if optimizer.adapts() { "1" } else { "1e-3" };
        let run = sandbox.bake("out", &format!("--optimizer_type={name} --learning_rate={rate}"));
        let ups = run.lora.modules.iter().flat_map(|module| &module.tensors["lora_up.weight"].values);
        let up = ups.fold(0f32, |most, x| most.max(x.abs()));
        assert!(up > 0.0 && up.is_finite(), "{name}: {up}");
        let names = |pairs: &[(String, f64)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        for step in run.steps() {
            assert_eq!(names(&step.rates), ["textencoder", "unet"]);
            let expected = if optimizer.adapts() { names(&step.rates) } else { Vec::new() };
            assert_eq!(names(&step.d_times_lr), expected, "{name}");
            assert!(step.d_times_lr.iter().all(|(_, d)| *d >= 1e-6 && d.is_finite()), "{name}: {:?}", step.d_times_lr);
        }
    }
}

#[test]
fn ada_factor_shows_the_rates_that_it_sets_itself() {
    let sandbox = Sandbox::with_images(BASE, &[[64, 64]]);
    let warmup = "--optimizer_type=AdaFactor --learning_rate=1e-3 --optimizer_args warmup_init=True";
    let run = sandbox.bake("out", warmup);
    let unet = |step: usize| run.steps()[step].rates[1].1;
    assert_eq!(unet(0), 1e-3);
    // A millionth of the tensor's size, then twice that.
    assert!(unet(1) > 0.0 && unet(1) < 1e-6, "{}", unet(1));
    assert!((unet(2) / unet(1) - 2.0).abs() < 1e-3, "{} {}", unet(1), unet(2));
}
