//! The steps in which a network acts: lora-block-weight's `start=`, `stop=`, `step=A-B`.

use anyhow::{Result, bail};

use super::tag_items::Items;
use crate::prompt::characters::trim;
use crate::prompt::nearest::shortened;

/// From when to when a network acts in the UNet. The text encoders' part is computed before and does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// The network is off before.
    pub start: Option<u32>,
    /// The network is off from there on.
    pub stop: Option<u32>,
}

/// Which pass of a picture runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// The first or only one.
    First,
    /// That of the hires fix. A start that has acted stays.
    Hires {
        /// What the step counter came to in the first pass; none if that had other networks.
        after: Option<usize>,
    },
}

impl Window {
    /// Whether the network is on, by the step counter that the web UI's extensions see: it lags by one call, so that
    /// with a sampler of first order `start=n` begins after n calls (`start=1` at once), and `stop=n` ends after n calls
    /// (`stop=1` at once).
    pub fn is_on(self, counter: usize, pass: Pass) -> bool {
        let reached = |counter: usize, bound: u32| counter as u64 + 2 > u64::from(bound);
        let before = match pass {
            Pass::Hires { after } => after.unwrap_or(0).max(counter),
            Pass::First => counter,
        };
        let started = self.start.is_none_or(|bound| reached(before, bound));
        started && !self.stop.is_some_and(|bound| reached(counter, bound))
    }

    /// What the items of a tag say.
    pub(super) fn read(items: &Items<'_>) -> Result<Self> {
        let mut window = Self { start: bound(items, "start")?, stop: bound(items, "stop")? };
        if let Some(text) = items.value("step") {
            let (start, stop) = text.split_once('-').unwrap_or((text, ""));
            let (Some(start), Some(stop)) = (whole(start), whole(stop)) else {
                bail!("step={} must be two steps; write for instance step=5-15", shortened(text));
            };
            window = Self { start: Some(start), stop: Some(stop) };
        }
        Ok(window)
    }
}

fn bound(items: &Items<'_>, key: &str) -> Result<Option<u32>> {
    let Some(text) = items.value(key) else { return Ok(None) };
    match whole(text) {
        Some(step) => Ok(Some(step)),
        None => bail!("{key}={} is not a whole number; write for instance {key}=10", shortened(text)),
    }
}

fn whole(text: &str) -> Option<u32> {
    trim(text).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counter at each call with a sampler of first order.
    fn calls_on(window: Window) -> Vec<usize> {
        (0..8).filter(|call: &usize| window.is_on(call.saturating_sub(1), Pass::First)).collect()
    }

    #[test]
    fn bounds_count_calls() {
        let from = |start| Window { start: Some(start), stop: None };
        let to = |stop| Window { start: None, stop: Some(stop) };
        assert_eq!(calls_on(from(0)).len(), 8);
        assert_eq!(calls_on(from(1)).len(), 8);
        assert_eq!(calls_on(from(2))[0], 2);
        assert_eq!(calls_on(from(5))[0], 5);
        assert!(calls_on(to(1)).is_empty());
        assert_eq!(calls_on(to(3)), [0, 1, 2]);
        assert_eq!(calls_on(Window { start: Some(2), stop: Some(4) }), [2, 3]);
        let after = |counter| Pass::Hires { after: counter };
        assert!(from(9).is_on(0, after(Some(8))) && !to(1).is_on(0, after(Some(8))));
        assert!(!from(9).is_on(0, after(Some(6))) && !from(9).is_on(0, after(None)));
    }
}
