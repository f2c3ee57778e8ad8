//! The optimizers as the guide writes them down, and the rules that depend on them.

use lorabake_recipe::optim::optimizer::Optimizer;
use lorabake_recipe::optim::optimizer::{AdaFactor, DAdaptAdam, Lion, Prodigy};
use lorabake_recipe::optim::setting::Setting;
use lorabake_recipe::optim::{Optim, ScheduleKind, Warmup};

use crate::{ENOUGH, parse};

fn optim(line: &str) -> Optim {
    parse(&format!("{ENOUGH} {line}")).unwrap_or_else(|error| panic!("{line}: {error}")).recipe.optim
}

#[test]
fn the_guides_arguments_mean_what_they_say() {
    let line = r#"--optimizer_type=DAdaptAdam --optimizer_args decouple=True weight_decay=0.01 betas=0.9,0.999"#;
    let expected = DAdaptAdam { decouple: true, weight_decay: 0.01, ..Default::default() };
    assert_eq!(optim(line).optimizer, Optimizer::DAdaptAdam(expected));
    let line = "--optimizer_type=Prodigy --optimizer_args decouple=True weight_decay=0.01 d_coef=2 \
                use_bias_correction=True safeguard_warmup=False betas=0.9,0.99";
    let expected = Prodigy {
        weight_decay: 0.01,
        d_coef: 2.0,
        use_bias_correction: true,
        betas: (0.9, 0.99),
        ..Default::default()
    };
    assert_eq!(optim(line).optimizer, Optimizer::Prodigy(expected));
    let line = "--optimizer_type=AdaFactor --optimizer_args relative_step=True scale_parameter=True warmup_init=True";
    let ada_factor = optim(line);
    assert_eq!(ada_factor.optimizer, Optimizer::AdaFactor(AdaFactor { warmup_init: true, ..Default::default() }));
    assert_eq!((ada_factor.schedule.kind, ada_factor.schedule.warmup), (ScheduleKind::AdaFactor, Warmup::Steps(0)));
}

#[test]
fn names_are_taken_in_any_case_and_under_old_names() {
    for (typed, expected) in [
        ("--optimizer_type=adafactor", "AdaFactor"),
        ("--optimizer_type=SGDNESTEROV8BIT", "SGDNesterov8bit"),
        ("--optimizer_type=DAdaptation", "DAdaptAdamPreprint"),
        ("--optimizer_type=DAdaptAdamPreprint", "DAdaptAdamPreprint"),
        ("--use_8bit_adam", "AdamW8bit"),
        ("--use_lion_optimizer", "Lion"),
        ("--use_lion_optimizer=false", "AdamW"),
        ("", "AdamW"),
    ] {
        assert_eq!(optim(typed).optimizer.name(), expected, "{typed}");
    }
    assert_eq!(optim("--use_lion_optimizer").optimizer, Optimizer::Lion(Lion::default()));
}

#[test]
fn one_rate_counts_where_d_is_shared() {
    let both = optim("--optimizer_type=Prodigy --unet_lr=1 --text_encoder_lr=0.5");
    assert_eq!((both.unet_lr, both.text_encoder_lr), (0.5, 0.5));
    let unet = optim("--optimizer_type=Prodigy --unet_lr=1 --text_encoder_lr=0.5 --network_train_unet_only");
    assert_eq!(unet.unet_lr, 1.0);
    let without = parse("--train_data_dir=images --output_dir=out --optimizer_type=Prodigy").unwrap();
    assert_eq!((without.recipe.optim.unet_lr, without.recipe.optim.learning_rate), (1.0, 1.0));
    let note = without.notes.iter().find(|note| note.option == "learning_rate").unwrap();
    assert!(note.text.starts_with("not given, so 1 is used: Prodigy finds the size of its steps itself"), "{note}");
}

#[test]
fn what_is_notable_is_what_differs_and_what_sd_scripts_adds() {
    let notable = |line| optim(line).optimizer.notable();
    assert_eq!(notable("--optimizer_type=Prodigy"), []);
    assert_eq!(notable("--optimizer_type=SGDNesterov"), [("momentum", Setting::Number(0.9))]);
    assert_eq!(notable("--optimizer_type=AdaFactor"), [("relative_step", Setting::Flag(true))]);
    let changed = notable("--optimizer_type=DAdaptAdan --optimizer_args betas=(0.9,0.8,0.7) no_prox=True");
    let expected = [("betas", Setting::Numbers(vec![0.9, 0.8, 0.7])), ("no_prox", Setting::Flag(true))];
    assert_eq!(changed, expected);
}
