//! Schedules against rates recorded from sd-scripts (`golden/lr_schedules.json`, a copy of the conformance pack's
//! table `lr_schedules_open.json`).

use lorabake_optim::lr::{check, curve, factor, total_steps};
use lorabake_recipe::optim::{Schedule, ScheduleKind, Warmup};
use lorabake_recipe::train::Duration;
use serde_json::Value;

/// sd-scripts' names of the schedulers that lorabake has not got (yet).
const NOT_OURS: [&str; 3] = ["cosine_with_min_lr", "inverse_sqrt", "warmup_stable_decay"];

fn schedule(row: &Value) -> Option<Schedule> {
    let option = |name: &str| row["options"][name].as_f64().unwrap_or(1.0);
    let kind = match row["scheduler"].as_str().unwrap() {
        "constant" => ScheduleKind::Constant,
        "constant_with_warmup" => ScheduleKind::ConstantWithWarmup,
        "linear" => ScheduleKind::Linear,
        "cosine" => ScheduleKind::Cosine,
        "cosine_with_restarts" => ScheduleKind::CosineWithRestarts { cycles: option("lr_scheduler_num_cycles") as u32 },
        "polynomial" => ScheduleKind::Polynomial { power: option("lr_scheduler_power") },
        other => {
            assert!(NOT_OURS.contains(&other), "{other}");
            return None;
        }
    };
    let text = row["warmup"].as_str().map_or_else(|| row["warmup"].to_string(), str::to_owned);
    let warmup = match text.parse::<u64>() {
        Ok(steps) => Warmup::Steps(steps),
        Err(_) => Warmup::Ratio(text.parse().unwrap()),
    };
    Some(Schedule { kind, warmup })
}

#[test]
fn every_recorded_rate_is_met() {
    let table: Vec<Value> = serde_json::from_str(include_str!("../golden/lr_schedules.json")).unwrap();
    let (mut met, mut refused, mut skipped) = (0, 0, 0);
    for row in &table {
        let Some(schedule) = schedule(row) else {
            skipped += 1;
            continue;
        };
        let total = row["steps"].as_u64().unwrap();
        let bases: Vec<f64> = row["base_lrs"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        if row["error"].is_string() {
            assert!(check(&schedule, bases[0], total).is_err(), "{row}");
            refused += 1;
            continue;
        }
        check(&schedule, bases[0], total).unwrap();
        let rates = row["lr"].as_array().unwrap();
        assert_eq!(rates.len() as u64, total);
        for (step, expected) in rates.iter().enumerate() {
            for (base, expected) in bases.iter().zip(expected.as_array().unwrap()) {
                let (got, expected) =
                    (base * factor(&schedule, bases[0], step as u64, total), expected.as_f64().unwrap());
                // Not exact: one or two units in the last place of `1 + cos` are worth up to 2e-16 of the base rate.
                assert!((got - expected).abs() <= 1e-15 * base, "{schedule:?} step {step}: {got} is not {expected}");
            }
        }
        met += 1;
    }
    assert_eq!((met, refused, skipped), (18, 2, 3));
}

#[test]
fn after_the_end() {
    let at = |kind, step| factor(&Schedule { kind, warmup: Warmup::Steps(0) }, 1e-3, step, 10);
    assert_eq!(at(ScheduleKind::Linear, 10), 0.0);
    assert_eq!(at(ScheduleKind::Linear, 12), 0.0);
    assert_eq!(at(ScheduleKind::CosineWithRestarts { cycles: 2 }, 10), 0.0);
    assert_eq!(at(ScheduleKind::Polynomial { power: 1.0 }, 11), 1e-7 / 1e-3);
}

#[test]
fn a_warmup_longer_than_the_run_does_not_wrap() {
    let schedule = Schedule { kind: ScheduleKind::Cosine, warmup: Warmup::Steps(20) };
    assert_eq!(factor(&schedule, 1e-3, 10, 10), 0.5);
}

#[test]
fn polynomial_cannot_rise() {
    let schedule = Schedule { kind: ScheduleKind::Polynomial { power: 1.0 }, warmup: Warmup::Steps(0) };
    let message = check(&schedule, 1e-7, 10).unwrap_err().to_string();
    assert!(message.contains("learning_rate must be larger"), "{message}");
}

#[test]
fn steps_are_updates() {
    assert_eq!(total_steps(Duration::Epochs(3), 10, 4), 9);
    assert_eq!(total_steps(Duration::Epochs(3), 8, 4), 6);
    assert_eq!(total_steps(Duration::Steps(7), 10, 4), 7);
}

#[test]
fn a_curve_goes_from_the_first_update_to_the_last() {
    let kind = ScheduleKind::CosineWithRestarts { cycles: 3 };
    let schedule = Schedule { kind, warmup: Warmup::Steps(10) };
    let points = curve(&schedule, 1e-4, 1000, 120);
    let ends = [0, 999].map(|step| factor(&schedule, 1e-4, step, 1000));
    assert_eq!((points.len(), points[0], points[119]), (120, ends[0], ends[1]));
    let peaks = points.windows(3).filter(|three| three[1] > three[0] && three[1] >= three[2]).count();
    assert_eq!(peaks, 3);
    // A short run has a point for each update.
    let all: Vec<f64> = (0..7).map(|step| factor(&schedule, 1e-4, step, 7)).collect();
    assert_eq!(curve(&schedule, 1e-4, 7, 120), all);
    assert_eq!(curve(&schedule, 1e-4, 1, 120).len(), 1);
}
