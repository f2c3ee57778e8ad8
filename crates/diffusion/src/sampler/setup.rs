//! The noise levels that a sampler runs over, and how many calls of the network that takes.

use crate::levels::{Kind, Levels, Sigmas};
use crate::noise_table::NoiseTable;
use crate::options::{SamplerOptions, set};
use crate::sampler::{Family, Sampler, Trait, dpm_fast, restart};
use crate::schedule::{Schedule, TRAIN_STEPS};
use crate::spacing::{Inputs, Scheduler, strided, timesteps};
use crate::step::{StepCount, StepsOutOfRange};

impl Sampler {
    /// The levels of a run of `steps` steps. `scheduler` has no effect on samplers of the DDIM family.
    ///
    /// # Errors
    /// When the sampler cannot make so many steps.
    pub fn levels(
        self,
        scheduler: Scheduler,
        table: &NoiseTable,
        steps: usize,
        options: &SamplerOptions,
    ) -> Result<Levels, StepsOutOfRange> {
        let row = self.row();
        let discard = options.always_discard || row.traits.contains(&Trait::Discard);
        let count = steps + usize::from(discard);
        let sgm = options.sgm_noise_multiplier;
        let table = match row.family {
            Family::Consistency => table.consistency(),
            Family::KDiffusion | Family::Timesteps | Family::Diffusers => table.clone(),
        };
        let kind = match row.family {
            Family::KDiffusion | Family::Consistency => {
                StepsOutOfRange::check(steps, 1..=MOST_STEPS)?;
                let scheduler = if scheduler == Scheduler::Automatic { row.scheduler } else { scheduler };
                Kind::Sigmas(sigmas(scheduler, &table, count, discard, options))
            }
            Family::Timesteps => {
                StepsOutOfRange::check(steps, 1..=TRAIN_STEPS)?;
                Kind::Timesteps(timesteps::timesteps(count.min(TRAIN_STEPS)))
            }
            Family::Diffusers => {
                let schedule = Schedule::stable_diffusion();
                let is_rescaled = table.ends_in_noise();
                let schedule = if is_rescaled { schedule.zero_terminal_snr() } else { schedule };
                Kind::Steps(strided::steps(&schedule, StepCount::try_from(steps)?))
            }
        };
        Ok(Levels::new(table, kind, sgm))
    }

    /// How often a run over `levels` calls the network; none where that turns out on the way.
    pub fn calls(self, levels: &Levels) -> Option<usize> {
        match levels.kind() {
            Kind::Steps(steps) => Some(steps.len()),
            Kind::Timesteps(timesteps) => match self {
                Self::Plms if timesteps.len() < 2 => Some(0),
                Self::Plms | Self::UniPc => Some(timesteps.len()),
                _ => Some(timesteps.len().saturating_sub(1)),
            },
            Kind::Sigmas(sigmas) => match self {
                Self::DpmAdaptive => None,
                Self::DpmFast => Some(dpm_fast::orders(sigmas.evaluations).into_iter().sum()),
                Self::Restart => Some(second_order_calls(&restart::steps(&sigmas.all))),
                _ if self.is_second_order() => {
                    let pairs: Vec<[f32; 2]> = sigmas.all.windows(2).map(|pair| [pair[0], pair[1]]).collect();
                    Some(second_order_calls(&pairs))
                }
                _ => Some(sigmas.all.len() - 1),
            },
        }
    }
}

/// The most steps of a schedule of which a part may be run.
const MOST_STEPS: usize = 100_000;

/// Two calls for each of `steps`, and one where it ends at 0.
fn second_order_calls(steps: &[[f32; 2]]) -> usize {
    steps.iter().map(|[_, to]| if *to == 0.0 { 1 } else { 2 }).sum()
}

/// The levels of a scheduler, `count` of them before one is discarded.
fn sigmas(scheduler: Scheduler, table: &NoiseTable, count: usize, discard: bool, options: &SamplerOptions) -> Sigmas {
    let [lowest, highest] = table.range();
    let mut inputs = Inputs {
        table,
        count,
        lowest: lowest.into(),
        highest: highest.into(),
        rho: set(options.rho),
        beta: options.beta,
    };
    if scheduler.takes_options() {
        inputs.lowest = set(options.sigma_min).unwrap_or(inputs.lowest);
        inputs.highest = set(options.sigma_max).unwrap_or(inputs.highest);
    }
    let mut all = scheduler.levels(&inputs);
    if discard && all.len() > 2 {
        all.remove(all.len() - 2);
    }
    let mut whole = [f32::INFINITY, 0.0_f32];
    for sigma in &all {
        if *sigma > 0.0 {
            whole = [whole[0].min(*sigma), whole[1].max(*sigma)];
        }
    }
    let evaluations = count - usize::from(discard);
    Sigmas { all, whole, solver: [lowest, highest], evaluations }
}
