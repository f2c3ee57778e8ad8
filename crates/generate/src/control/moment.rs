//! When a call of the network takes place.

/// When a call takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Calls before this one: what prompt schedules count.
    pub call: usize,
    /// The step as extensions of the web UI see it, which lags behind: what ControlNets and strengths of LoRAs count.
    pub counter: usize,
    /// Steps of the pass.
    pub steps: usize,
}
