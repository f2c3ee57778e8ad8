//! A sampler of the tests, which shows what adding one takes: this file and its row in `sampler/mod.rs`.
//!
//! It is a midpoint method (k-diffusion's `sample_dpm_2` without churn) with two calls of the network per step, the second
//! at a level beside those of the steps.

use burn::tensor::Tensor;

use crate::sampler::method::{Method, Run};

/// The midpoint method.
pub(super) struct Toy;

impl Method for Toy {
    fn sample<E>(&self, mut x: Tensor<4>, mut run: Run<'_, E>) -> Result<Tensor<4>, E> {
        for step in run.steps {
            let sigma = step.from.sigma();
            let next = step.to.sigma();
            let denoised = run.denoise_sigma(x.clone(), step.from)?;
            if next == 0.0 {
                return Ok(denoised);
            }
            let slope = (x.clone() - denoised).div_scalar(sigma);
            let middle = run.schedule.level_at_sigma((sigma * next).sqrt());
            let halfway = x.clone() + slope.mul_scalar(middle.sigma() - sigma);
            let denoised = run.denoise_sigma(halfway.clone(), middle)?;
            let slope = (halfway - denoised).div_scalar(middle.sigma());
            x = x + slope.mul_scalar(next - sigma);
        }
        Ok(x)
    }
}

mod tests {
    use std::convert::Infallible;

    use burn::tensor::{Device, Tensor};

    use crate::sampler::Sampler;
    use crate::sampler::method::Run;
    use crate::schedule::Schedule;
    use crate::step::{NoiseLevel, StepCount};

    /// Data of mean 2 and variance 1/4: the best denoised latents for √a · x0 + √(1 − a) · noise are a formula, and
    /// the exact way leads from n standard deviations of the noise to n standard deviations of the data.
    #[test]
    fn a_sampler_of_one_file_and_one_row_goes_from_noise_to_the_data() {
        let sampler: Sampler = "toy".parse().expect("the row has this name");
        assert_eq!(sampler.to_string(), "Toy");
        let schedule = Schedule::stable_diffusion();
        let count = StepCount::try_from(40).expect("in range");
        let steps = sampler.steps(&schedule, count);
        let mut timesteps = Vec::new();
        let mut model = |x: Tensor<4>, level: NoiseLevel| {
            timesteps.push(level.timestep);
            let signal = level.alpha.sqrt();
            let gain = 0.25 * signal / (0.25 * level.alpha + 1.0 - level.alpha);
            Ok::<_, Infallible>(x.sub_scalar(2.0 * signal).mul_scalar(gain).add_scalar(2.0))
        };
        let noise = Tensor::<1>::from_floats([-1.0, 0.0, 1.0, 2.0], &Device::flex()).reshape([1, 4, 1, 1]);
        let x = sampler.initial(noise, &steps);
        let run =
            Run { schedule: &schedule, steps: &steps, model: &mut model, noise: &mut |_| panic!("takes no noise") };
        let Ok(end) = sampler.sample(x, run);
        let end: Vec<f32> = end.into_data().try_into_vec().expect("f32 values");
        for (value, expected) in end.into_iter().zip([1.5, 2.0, 2.5, 3.0]) {
            // The first level is σ = 14.6, where the mean still shows a little.
            assert!((value - expected).abs() < 0.1, "{value} instead of {expected}");
        }
        assert_eq!(timesteps.len(), 2 * 40 - 1);
        assert!(timesteps.windows(2).all(|pair| pair[0] > pair[1]), "{timesteps:?}");
    }
}
