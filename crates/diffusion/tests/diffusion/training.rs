//! Schedule, noising, targets and losses against sd-scripts, and the gradient against its closed form.

use burn::tensor::Tensor;
use lorabake_diffusion::{LossInputs, Prediction, Schedule, TRAIN_STEPS, Weighting, add_noise, guide, loss};
use lorabake_recipe::diffusion::LossKind;

use lorabake_testkit::assert_close_max;

use crate::golden::{Golden, values};

const SD_SCRIPTS: &str = "sd_scripts.safetensors";
const PREDICTIONS: [(&str, Prediction); 2] = [("epsilon", Prediction::Epsilon), ("v", Prediction::V)];

#[test]
fn the_schedule_equals_that_of_diffusers_and_of_sd_scripts_to_the_bit() {
    let schedule = Schedule::stable_diffusion();
    assert_eq!(schedule.alphas_cumprod, Golden::open("samplers.safetensors").floats("alphas_cumprod.f32"));
    assert_eq!(schedule.alphas_cumprod, Golden::open(SD_SCRIPTS).floats("table.alphas_cumprod"));
}

#[test]
fn snr_equals_the_table_of_sd_scripts() {
    let schedule = Schedule::stable_diffusion();
    let table = Golden::open(SD_SCRIPTS).floats("table.snr");
    assert_eq!(table.len(), TRAIN_STEPS);
    for (t, expected) in table.into_iter().enumerate() {
        // 4 roundings in f32 (square roots of a and 1 − a, ratio, square), the roots' doubled by the square.
        assert_close_max(&format!("snr at {t}"), &[schedule.snr(t) as f32], &[expected], 4e-7);
    }
}

#[test]
fn min_snr_weights_equal_the_tables_of_sd_scripts() {
    let golden = Golden::open(SD_SCRIPTS);
    let schedule = Schedule::stable_diffusion();
    let timesteps: Vec<usize> = (0..TRAIN_STEPS).collect();
    for (name, prediction) in [("eps", Prediction::Epsilon), ("v", Prediction::V)] {
        for gamma in [1, 5] {
            let weighting = Weighting { min_snr_gamma: Some(f64::from(gamma)), ..Weighting::default() };
            let factors = weighting.factors(&schedule, prediction, &[1.0; TRAIN_STEPS], &timesteps);
            let expected = golden.floats(&format!("table.min_snr_{name}_gamma{gamma}"));
            for (t, (factor, expected)) in factors.into_iter().zip(expected).enumerate() {
                assert_close_max(&format!("min-SNR {gamma}, {name} at {t}"), &[factor], &[expected], 5e-7);
            }
        }
    }
}

#[test]
fn noisy_latents_and_targets_equal_those_of_sd_scripts() {
    let golden = Golden::open(SD_SCRIPTS);
    let schedule = Schedule::stable_diffusion();
    for (name, prediction) in PREDICTIONS {
        let part = |part: &str| golden.tensor(&format!("{name}.{part}"));
        let timesteps = golden.timesteps(&format!("{name}.timesteps"));
        let noisy = add_noise(&schedule, part("latents"), part("noise"), &timesteps);
        assert_close_max("noisy latents", &values(noisy), &values(part("noisy_latents")), 1e-6);
        let target = prediction.target(&schedule, part("latents"), part("noise"), &timesteps);
        assert_close_max("target", &values(target), &values(part("target")), 1e-6);
    }
}

#[test]
fn losses_equal_those_of_sd_scripts() {
    let golden = Golden::open(SD_SCRIPTS);
    let schedule = Schedule::stable_diffusion();
    for (name, prediction) in PREDICTIONS {
        let part = |part: &str| format!("{name}.{part}");
        let loss_weights = golden.floats(&part("loss_weights"));
        let timesteps = golden.timesteps(&part("timesteps"));
        let factors = Weighting::default().factors(&schedule, prediction, &loss_weights, &timesteps);
        let inputs = LossInputs {
            kind: LossKind::L2,
            factors: &factors,
            schedule: &schedule,
            timesteps: &timesteps,
            mask: None,
        };
        let loss = loss(golden.tensor(&part("noise_pred")), golden.tensor(&part("target")), inputs);
        assert_close_max("errors", &values(loss.per_sample), &golden.floats(&part("mse_per_sample")), 1e-6);
        assert_close_max("loss", &values(loss.mean), &golden.floats(&part("loss")), 1e-6);
    }
}

#[test]
fn weighted_losses_equal_those_of_sd_scripts() {
    let golden = Golden::open(SD_SCRIPTS);
    let schedule = Schedule::stable_diffusion();
    let traces = [
        ("epsilon_snr", Prediction::Epsilon, Some(5.0)),
        ("v_snr", Prediction::V, Some(5.0)),
        ("epsilon_reg", Prediction::Epsilon, None),
    ];
    for (name, prediction, min_snr_gamma) in traces {
        let part = |part: &str| format!("{name}.{part}");
        let weighting = Weighting { min_snr_gamma, ..Weighting::default() };
        let loss_weights = golden.floats(&part("loss_weights"));
        let timesteps = golden.timesteps(&part("timesteps"));
        let factors = weighting.factors(&schedule, prediction, &loss_weights, &timesteps);
        let errors = golden.floats(&part("mse_per_sample"));
        let expected = golden.floats(&part("loss_after_snr_weight"));
        assert!(errors.len() >= 10);
        for ((factor, error), expected) in factors.into_iter().zip(errors).zip(expected) {
            assert_close_max(name, &[factor * error], &[expected], 1e-6);
        }
    }
}

#[test]
fn the_gradient_is_its_closed_form() {
    let golden = Golden::open(SD_SCRIPTS);
    let schedule = Schedule::stable_diffusion();
    let output = golden.tensor("epsilon.noise_pred");
    let target = golden.tensor("epsilon.target");
    let weighting = Weighting { min_snr_gamma: Some(5.0), ..Weighting::default() };
    let factors = weighting.factors(&schedule, Prediction::Epsilon, &[1.0, 0.5], &[40, 300]);
    assert!(factors[0] != factors[1] && factors.iter().all(|factor| *factor != 1.0), "{factors:?}");

    let leaf = output.clone().autodiff().require_grad();
    let inputs =
        LossInputs { kind: LossKind::L2, factors: &factors, schedule: &schedule, timesteps: &[40, 300], mask: None };
    let result = loss(leaf.clone(), target.clone(), inputs);
    assert!(!result.per_sample.is_autodiff(), "the errors are still on the tape");
    let gradient = leaf.grad(&result.mean.backward()).expect("a gradient");

    let [batch, channels, height, width] = output.dims();
    let count = (channels * height * width * batch) as f64;
    let factors = Tensor::<1>::from_floats(factors.as_slice(), &output.device()).reshape([batch, 1, 1, 1]);
    let expected = (output - target).mul_scalar(2.0 / count) * factors;
    assert_close_max("gradient", &values(gradient), &values(expected), 1e-6);
}

/// Where the mask is 0, output and target may as well agree; where it is one half, so is the error.
#[test]
fn a_mask_takes_places_out_of_the_mean() {
    let golden = Golden::open(SD_SCRIPTS);
    let schedule = Schedule::stable_diffusion();
    let output = golden.tensor("epsilon.noise_pred");
    let target = golden.tensor("epsilon.target");
    let [batch, channels, height, width] = output.dims();
    let factors = vec![1.0; batch];
    let timesteps = vec![40; batch];
    let inputs =
        |mask| LossInputs { kind: LossKind::L2, factors: &factors, schedule: &schedule, timesteps: &timesteps, mask };
    let mask: Vec<f32> = (0..batch * height * width).map(|place| [0.0, 1.0, 0.5][place % 3]).collect();
    let masked = values(loss(output.clone(), target.clone(), inputs(Some(&mask))).per_sample);
    let differences = values(output.clone() - target.clone());
    let plane = height * width;
    let mut expected = vec![0.0; batch];
    for (place, difference) in differences.into_iter().enumerate() {
        let sample = place / (channels * plane);
        let share = mask[sample * plane + place % plane] / (channels * plane) as f32;
        expected[sample] += f64::from(difference).powi(2) * f64::from(share);
    }
    let expected: Vec<f32> = expected.into_iter().map(|error| error as f32).collect();
    assert_close_max("masked", &masked, &expected, 1e-6);
    let whole = values(loss(output.clone(), target.clone(), inputs(None)).per_sample);
    let white = vec![1.0; mask.len()];
    assert_eq!(values(loss(output, target, inputs(Some(&white))).per_sample), whole);
    assert!(masked[0] < 0.8 * whole[0]);
}

#[test]
fn guidance_goes_from_one_prediction_through_the_other() {
    let golden = Golden::open(SD_SCRIPTS);
    let empty = golden.tensor("epsilon.noise_pred");
    let prompt = golden.tensor("epsilon.noise");
    let guided = |scale| values(guide(empty.clone(), prompt.clone(), scale));
    assert_close_max("scale 0", &guided(0.0), &values(empty.clone()), 1e-6);
    assert_close_max("scale 1", &guided(1.0), &values(prompt.clone()), 1e-6);
    let mut expected = Vec::new();
    for (empty, prompt) in values(empty.clone()).into_iter().zip(values(prompt.clone())) {
        expected.push(7.5 * prompt - 6.5 * empty);
    }
    assert_close_max("scale 7.5", &guided(7.5), &expected, 1e-6);
}
