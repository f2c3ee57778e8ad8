//! Churn: some noise more before each step of a deterministic sampler (Karras et al. 2022, algorithm 2).

use burn::tensor::Tensor;

use crate::options::set;
use crate::sampler::contract::Walk;

/// How the levels of a run are raised.
struct Churn {
    /// The level before each step and the raised one.
    raised: Vec<[f64; 2]>,
    noise: f64,
    /// Steps up to the last that is raised: noise is drawn for each of them, and for none after them.
    drawn: usize,
}

/// Walks through the noise levels, each of which is raised before its step: `step` is given its number, and the levels from
/// and to which it leads.
pub(super) fn churned_steps<E>(
    mut x: Tensor<4>,
    mut walk: Walk<'_, E>,
    step: impl Fn(Tensor<4>, &mut Walk<'_, E>, usize, [f64; 2]) -> Result<Tensor<4>, E>,
) -> Result<Tensor<4>, E> {
    let sigmas = walk.sigmas();
    let churn = Churn::new(&walk, &sigmas);
    for index in 0..sigmas.len() - 1 {
        x = churn.raise(x, index, &mut walk);
        x = step(x, &mut walk, index, [churn.level(index), sigmas[index + 1].into()])?;
    }
    Ok(x)
}

impl Churn {
    fn new<E>(walk: &Walk<'_, E>, sigmas: &[f32]) -> Self {
        let options = walk.run.options;
        let steps = sigmas.len() - 1;
        let most = 2.0_f64.sqrt() - 1.0;
        let mut raised = Vec::with_capacity(steps);
        let mut drawn = 0;
        for (index, sigma) in sigmas[..steps].iter().enumerate() {
            let sigma = f64::from(*sigma);
            let meant = sigma >= options.s_tmin && sigma <= set(options.s_tmax).unwrap_or(f64::INFINITY);
            let share = if meant { (options.s_churn / steps as f64).clamp(0.0, most) } else { 0.0 };
            if share > 0.0 {
                drawn = index + 1;
            }
            raised.push([sigma, sigma * (1.0 + share)]);
        }
        Self { raised, noise: options.s_noise, drawn }
    }

    /// The level at which step `index` begins.
    fn level(&self, index: usize) -> f64 {
        self.raised[index][1]
    }

    /// `x` raised to [`Self::level`] of step `index`.
    fn raise<E>(&self, x: Tensor<4>, index: usize, walk: &mut Walk<'_, E>) -> Tensor<4> {
        if index >= self.drawn {
            return x;
        }
        // The original draws for each step, whether it is raised or not.
        let noise = walk.noise();
        let [sigma, level] = self.raised[index];
        if level > sigma { x + noise.mul_scalar(self.noise * (level * level - sigma * sigma).sqrt()) } else { x }
    }
}
