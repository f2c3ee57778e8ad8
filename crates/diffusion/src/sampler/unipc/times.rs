//! The continuous times of UniPC, 0.001 to 1: timestep t is time (t + 1) / 1000, with straight lines between.

use crate::options::UniPcSkip;
use crate::schedule::TRAIN_STEPS;

/// ln √ᾱ over time.
pub(super) struct Times {
    log_signals: Vec<f64>,
}

impl Times {
    /// The times of a model with the shares `alphas`.
    pub(super) fn new(alphas: &[f32]) -> Self {
        Self { log_signals: alphas.iter().map(|alpha| f64::from(0.5 * alpha.ln())).collect() }
    }

    /// `count` + 1 times from `first` down to the smallest.
    pub(super) fn between(&self, first: f64, skip: UniPcSkip, count: usize) -> Vec<f64> {
        let last = 1.0 / TRAIN_STEPS as f64;
        let share = |from: f64, to: f64, index: usize| from + (to - from) * index as f64 / count as f64;
        let mut times = Vec::with_capacity(count + 1);
        for index in 0..=count {
            times.push(match skip {
                UniPcSkip::TimeUniform => share(first, last, index),
                UniPcSkip::TimeQuadratic => share(first.sqrt(), last.sqrt(), index).powi(2),
                UniPcSkip::LogSnr => self.time_of(share(self.half_log_snr(first), self.half_log_snr(last), index)),
            });
        }
        times
    }

    /// √ᾱ and √(1 − ᾱ).
    pub(super) fn strengths(&self, time: f64) -> [f64; 2] {
        let log_signal = self.log_signal(time);
        [log_signal.exp(), (-(2.0 * log_signal).exp_m1()).sqrt()]
    }

    /// ln √(ᾱ / (1 − ᾱ)), the paper's λ.
    pub(super) fn half_log_snr(&self, time: f64) -> f64 {
        let log_signal = self.log_signal(time);
        log_signal - 0.5 * (-(2.0 * log_signal).exp_m1()).ln()
    }

    fn log_signal(&self, time: f64) -> f64 {
        let place = time * TRAIN_STEPS as f64 - 1.0;
        let low = (place.max(0.0) as usize).min(TRAIN_STEPS - 2);
        let weight = place - low as f64;
        self.log_signals[low] + weight * (self.log_signals[low + 1] - self.log_signals[low])
    }

    /// The time at which λ is `half_log_snr`.
    fn time_of(&self, half_log_snr: f64) -> f64 {
        let log_signal = -0.5 * (-2.0 * half_log_snr).exp().ln_1p();
        // The signal falls over time.
        let low = self.log_signals.partition_point(|known| *known >= log_signal).clamp(1, TRAIN_STEPS - 1) - 1;
        let weight = (log_signal - self.log_signals[low]) / (self.log_signals[low + 1] - self.log_signals[low]);
        (low as f64 + weight + 1.0) / TRAIN_STEPS as f64
    }
}
