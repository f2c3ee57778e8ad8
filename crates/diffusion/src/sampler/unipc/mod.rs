//! UniPC: a unified predictor and corrector (Zhao et al. 2023, arXiv 2302.04867; its authors' `uni_pc.py`), multistep,
//! predicting the denoised latents, as the web UI sets it up.

mod coefficients;
mod times;

use burn::tensor::Tensor;

use crate::options::UniPcOptions;
use crate::sampler::contract::{Method, Walk};
use coefficients::{Coefficients, Past};
use times::Times;

/// UniPC.
pub(super) struct UniPc;

/// A finished time of a run: what the network saw there.
struct Seen {
    time: f64,
    denoised: Tensor<4>,
}

/// A run of UniPC under way.
struct Solver<'a, 'b, E> {
    walk: Walk<'a, E>,
    times: &'b Times,
    options: UniPcOptions,
    /// Newest first.
    seen: Vec<Seen>,
}

impl Method for UniPc {
    fn sample<E>(&self, x: Tensor<4>, walk: Walk<'_, E>) -> Result<Tensor<4>, E> {
        let timesteps = walk.timesteps();
        let Some(last) = timesteps.last() else { return Ok(x) };
        let times = Times::new(walk.run.levels.table().alphas());
        let options = walk.run.options.unipc;
        let count = timesteps.len();
        let first = if walk.run.levels.begins_with_latents() { (*last as f64 + 1.0) / 1000.0 } else { 1.0 };
        let route = times.between(first, options.skip, count);
        // The original fails where there are fewer steps than its order.
        let order = options.order.clamp(1, count);
        let mut solver = Solver { walk, times: &times, options, seen: Vec::new() };
        solver.see(x.clone(), route[0], order)?;
        let mut x = x;
        for (index, time) in route.iter().enumerate().skip(1) {
            let mut now = order.min(index);
            if options.lower_order_final && index >= order {
                now = now.min(count + 1 - index);
            }
            x = solver.step(x, *time, now, index == count)?;
            solver.seen.truncate(order);
            solver.walk.step_seen(index - 1);
        }
        Ok(x)
    }
}

impl<E> Solver<'_, '_, E> {
    /// Asks for the denoised latents in `x` and keeps them, with those before.
    fn see(&mut self, x: Tensor<4>, time: f64, most: usize) -> Result<(), E> {
        let denoised = self.denoised(x, time)?;
        self.seen.insert(0, Seen { time, denoised });
        self.seen.truncate(most);
        Ok(())
    }

    fn denoised(&mut self, x: Tensor<4>, time: f64) -> Result<Tensor<4>, E> {
        let noise = self.walk.predicted_noise(x.clone(), (time - 0.001) * 1000.0)?.guided;
        let [signal, spread] = self.times.strengths(time);
        Ok((x - noise.mul_scalar(spread)).div_scalar(signal))
    }

    /// The step from the newest time to `time` by `order` answers; but for the last step it is corrected.
    fn step(&mut self, x: Tensor<4>, time: f64, order: usize, is_last: bool) -> Result<Tensor<4>, E> {
        let newest = &self.seen[0];
        let from = self.times.half_log_snr(newest.time);
        let step = self.times.half_log_snr(time) - from;
        let mut ratios = Vec::new();
        let mut differences = Vec::new();
        for older in &self.seen[1..order.min(self.seen.len())] {
            let ratio = (self.times.half_log_snr(older.time) - from) / step;
            ratios.push(ratio);
            differences.push((older.denoised.clone() - newest.denoised.clone()).div_scalar(ratio));
        }
        let coefficients = Coefficients::new(self.options.variant, &Past { ratios, step });
        let [signal, spread] = self.times.strengths(time);
        let [_, spread_before] = self.times.strengths(newest.time);
        let newest = newest.denoised.clone();
        let plain = x.mul_scalar(spread / spread_before) - newest.clone().mul_scalar(signal * (-step).exp_m1());
        let add =
            |sum: Tensor<4>, difference: &Tensor<4>, weight: f64| sum - difference.clone().mul_scalar(signal * weight);
        let mut predicted = plain.clone();
        for (difference, weight) in differences.iter().zip(&coefficients.predictor) {
            predicted = add(predicted, difference, *weight);
        }
        if is_last {
            return Ok(predicted);
        }
        let denoised = self.denoised(predicted, time)?;
        let mut corrected = plain;
        for (difference, weight) in differences.iter().zip(&coefficients.corrector) {
            corrected = add(corrected, difference, *weight);
        }
        corrected = add(corrected, &(denoised.clone() - newest), coefficients.corrector_newest);
        self.seen.insert(0, Seen { time, denoised });
        Ok(corrected)
    }
}
