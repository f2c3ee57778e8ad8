//! A sampler with its scheduler, as they are named together.

use std::str::FromStr;

use crate::names::{UnknownName, plain};
use crate::sampler::Sampler;
use crate::spacing::Scheduler;

/// A sampler with the scheduler that its name brings, as in "DPM++ 2M Karras" of the web UI before 1.9.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamplerChoice {
    /// The sampler.
    pub sampler: Sampler,
    /// The scheduler; [`Scheduler::Automatic`] where none is named, and where it is the sampler's own.
    pub scheduler: Scheduler,
}

impl SamplerChoice {
    /// `sampler` with a scheduler that is named apart, or that of the sampler's name if it is [`Scheduler::Automatic`].
    pub fn with_scheduler(self, scheduler: Scheduler) -> Self {
        if scheduler == Scheduler::Automatic {
            return self;
        }
        let is_default = scheduler == self.sampler.default_scheduler();
        Self { scheduler: if is_default { Scheduler::Automatic } else { scheduler }, ..self }
    }
}

impl FromStr for SamplerChoice {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let error = match text.parse() {
            Ok(sampler) => return Ok(Self { sampler, scheduler: Scheduler::Automatic }),
            Err(error) => error,
        };
        let typed = plain(text);
        for scheduler in Scheduler::ALL {
            for name in scheduler.names() {
                if let Some(rest) = typed.strip_suffix(&plain(name))
                    && rest.ends_with(' ')
                    && let Ok(sampler) = rest.parse::<Sampler>()
                {
                    return Ok(Self { sampler, scheduler: Scheduler::Automatic }.with_scheduler(*scheduler));
                }
            }
        }
        Err(error)
    }
}
