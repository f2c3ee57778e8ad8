//! Single steps of DPM-Solver (Lu et al. 2022, arXiv 2206.00927; k-diffusion's `DPMSolver`), which "DPM fast" and "DPM
//! adaptive" are made of. Times are −ln σ.

use burn::tensor::Tensor;

use crate::sampler::ancestral::Ancestral;
use crate::sampler::contract::Walk;

/// A step under way: where it began, and the noise that the network saw there.
pub(super) struct Solver {
    pub(super) x: Tensor<4>,
    noise: Tensor<4>,
    time: f64,
}

/// Where an ancestral step of the solver leads.
pub(super) struct Target {
    /// The time to which the solver goes.
    pub(super) time: f64,
    /// The strength of the fresh noise that leads back to where the step ends.
    pub(super) up: f64,
}

impl Target {
    /// Of the step from time `from` to time `to`, of which none is beyond `end`.
    pub(super) fn new(from: f64, to: f64, end: f64, eta: f64) -> Self {
        if eta == 0.0 {
            return Self { time: to, up: 0.0 };
        }
        let down = Ancestral::new(sigma(from), sigma(to), eta).down;
        let time = end.min(-down.ln());
        let up = (sigma(to).powi(2) - sigma(time).powi(2)).max(0.0).sqrt();
        Self { time, up }
    }
}

/// The noise level of a time.
pub(super) fn sigma(time: f64) -> f64 {
    (-time).exp()
}

impl Solver {
    /// The beginning of a step at `time`.
    pub(super) fn new<E>(x: Tensor<4>, time: f64, walk: &mut Walk<'_, E>) -> Result<Self, E> {
        let noise = noise(&x, time, walk)?;
        Ok(Self { x, noise, time })
    }

    /// The end of a step of first order.
    pub(super) fn first_order(&self, to: f64) -> Tensor<4> {
        self.x.clone() - self.noise.clone().mul_scalar(sigma(to) * (to - self.time).exp_m1())
    }

    /// The noise at the share `share` of the way to `to`.
    pub(super) fn on_the_way<E>(&self, to: f64, share: f64, walk: &mut Walk<'_, E>) -> Result<Tensor<4>, E> {
        let time = self.time + share * (to - self.time);
        noise(&self.first_order(time), time, walk)
    }

    /// The end of a step of second order, with the noise seen at the share `share` of the way.
    pub(super) fn second_order(&self, to: f64, share: f64, seen: &Tensor<4>) -> Tensor<4> {
        let weight = sigma(to) / (2.0 * share) * (to - self.time).exp_m1();
        self.first_order(to) - (seen.clone() - self.noise.clone()).mul_scalar(weight)
    }

    /// The end of a step of third order, with the noise seen at a third of the way.
    pub(super) fn third_order<E>(&self, to: f64, seen: &Tensor<4>, walk: &mut Walk<'_, E>) -> Result<Tensor<4>, E> {
        let step = to - self.time;
        let share = 2.0 / 3.0;
        let time = self.time + share * step;
        let weight = sigma(time) * 2.0 * second_phi(share * step);
        let on_the_way = self.first_order(time) - (seen.clone() - self.noise.clone()).mul_scalar(weight);
        let noise = noise(&on_the_way, time, walk)?;
        let weight = sigma(to) / share * second_phi(step);
        Ok(self.first_order(to) - (noise - self.noise.clone()).mul_scalar(weight))
    }
}

/// (e^h − 1) / h − 1, which is 0 for h = 0.
fn second_phi(step: f64) -> f64 {
    if step == 0.0 { 0.0 } else { step.exp_m1() / step - 1.0 }
}

/// The noise in `x` at a time.
fn noise<E>(x: &Tensor<4>, time: f64, walk: &mut Walk<'_, E>) -> Result<Tensor<4>, E> {
    let sigma = sigma(time);
    let denoised = walk.denoised(x.clone(), sigma)?;
    Ok((x.clone() - denoised).div_scalar(sigma))
}
