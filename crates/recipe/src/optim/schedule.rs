//! How the learning rate changes over a run: which schedule is asked for, and how long its warmup is.

use super::optimizer::Optimizer;
use super::options::RawOptim;
use crate::report::Report;

/// Shape of a learning-rate schedule (`--lr_scheduler`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScheduleKind {
    /// `constant`
    Constant,
    /// `constant_with_warmup`
    ConstantWithWarmup,
    /// `linear`
    Linear,
    /// `cosine`
    Cosine,
    /// `cosine_with_restarts`, with `--lr_scheduler_num_cycles`
    CosineWithRestarts {
        /// Number of restarts.
        cycles: u32,
    },
    /// `polynomial`, with `--lr_scheduler_power`
    Polynomial {
        /// Exponent.
        power: f64,
    },
    /// `adafactor`: none of ours, because the optimizer sets its own rates.
    AdaFactor,
}

/// Length of a warmup.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Warmup {
    /// A number of optimizer steps.
    Steps(u64),
    /// A share of all steps, 0 to 1.
    Ratio(f64),
}

/// A learning-rate schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The shape of the schedule.
    pub kind: ScheduleKind,
    /// How long the rate grows from 0 at the start (`--lr_warmup_steps`).
    pub warmup: Warmup,
}

impl RawOptim {
    pub(crate) fn schedule(&self, optimizer: &Optimizer, report: &mut Report) -> Schedule {
        if optimizer.sets_own_rates() {
            return self.no_schedule(report);
        }
        let cycles = report.count("lr_scheduler_num_cycles", self.lr_scheduler_num_cycles, 1);
        let power = report.amount("lr_scheduler_power", self.lr_scheduler_power, 1.0);
        let name = self.lr_scheduler.as_deref().unwrap_or("constant");
        let kind = match name.to_ascii_lowercase().as_str() {
            "constant" => ScheduleKind::Constant,
            "constant_with_warmup" => ScheduleKind::ConstantWithWarmup,
            "linear" => ScheduleKind::Linear,
            "cosine" => ScheduleKind::Cosine,
            "cosine_with_restarts" => ScheduleKind::CosineWithRestarts { cycles },
            "polynomial" => ScheduleKind::Polynomial { power },
            lower if is_ada_factor(lower) => {
                let what = "the schedule adafactor belongs to --optimizer_type=AdaFactor with relative_step=True";
                report.problem("lr_scheduler", what, "use for instance constant_with_warmup");
                ScheduleKind::Constant
            }
            _ => {
                let remedy = "use constant, constant_with_warmup, linear, cosine, cosine_with_restarts or polynomial";
                report.problem("lr_scheduler", format!("lorabake has no schedule called `{name}`"), remedy);
                ScheduleKind::Constant
            }
        };
        if cycles != 1 && !matches!(kind, ScheduleKind::CosineWithRestarts { .. }) {
            let text = format!("has no effect with --lr_scheduler={name}, only with cosine_with_restarts");
            report.note("lr_scheduler_num_cycles", text);
        }
        if power != 1.0 && !matches!(kind, ScheduleKind::Polynomial { .. }) {
            let text = format!("has no effect with --lr_scheduler={name}, only with polynomial");
            report.note("lr_scheduler_power", text);
        }
        let warmup = self.warmup(report);
        let none = matches!(warmup, Warmup::Steps(0));
        if kind == ScheduleKind::Constant && !none {
            let remedy = "use --lr_scheduler=constant_with_warmup, or leave the warmup out";
            report.problem("lr_warmup_steps", "--lr_scheduler=constant has no warmup", remedy);
        }
        if kind == ScheduleKind::ConstantWithWarmup && none {
            report.note("lr_scheduler", "is the same as constant, because --lr_warmup_steps is 0");
        }
        Schedule { kind, warmup }
    }

    /// AdaFactor with relative steps: what is asked for in vain.
    fn no_schedule(&self, report: &mut Report) -> Schedule {
        let why = "has no effect: AdaFactor with relative_step=True sets its own rates";
        if self.lr_scheduler.as_deref().is_some_and(|name| !is_ada_factor(&name.to_ascii_lowercase())) {
            report.note("lr_scheduler", format!("{why}; relative_step=False follows a schedule"));
        }
        if self.warmup(report) != Warmup::Steps(0) {
            report.note("lr_warmup_steps", format!("{why}; warmup_init=True lets them grow slowly"));
        }
        for (option, given) in [
            ("lr_scheduler_num_cycles", self.lr_scheduler_num_cycles.is_some()),
            ("lr_scheduler_power", self.lr_scheduler_power.is_some()),
        ] {
            if given {
                report.note(option, why);
            }
        }
        Schedule { kind: ScheduleKind::AdaFactor, warmup: Warmup::Steps(0) }
    }

    /// A count of steps, or a share of them when below 1 or with a percent sign, as sd-scripts reads it.
    fn warmup(&self, report: &mut Report) -> Warmup {
        let Some(text) = self.lr_warmup_steps.as_deref().map(str::trim) else { return Warmup::Steps(0) };
        let ratio = match text.strip_suffix('%') {
            Some(percent) => at_least_zero(percent).map(|percent| percent / 100.0),
            None => at_least_zero(text),
        };
        match (text.parse::<u64>(), ratio) {
            (Ok(steps), _) => Warmup::Steps(steps),
            (_, Some(0.0)) => Warmup::Steps(0),
            (_, Some(ratio)) if ratio < 1.0 => Warmup::Ratio(ratio),
            _ => {
                let remedy = "use a whole number of steps, such as 100, or a share below 1, such as 0.1";
                report.problem("lr_warmup_steps", format!("`{text}` is not a length of a warmup"), remedy);
                Warmup::Steps(0)
            }
        }
    }
}

/// The name of AdaFactor's own schedule, in which sd-scripts writes down the first rate to show: `adafactor:0.001`.
fn is_ada_factor(name: &str) -> bool {
    name.split(':').next() == Some("adafactor")
}

fn at_least_zero(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0)
}
