//! The loss that is shown: the mean over the last epoch's worth of batches, as sd-scripts' `LossRecorder` keeps it.

/// A moving average whose window is one epoch.
#[derive(Debug, Clone, Default)]
pub struct LossAverage {
    losses: Vec<f64>,
    total: f64,
}

impl LossAverage {
    /// Takes the loss of batch `batch` (from 0) of an epoch; it replaces that batch's loss of the epoch before.
    pub fn add(&mut self, batch: usize, loss: f64) {
        match self.losses.get_mut(batch) {
            Some(slot) => {
                self.total += loss - *slot;
                *slot = loss;
            }
            None => {
                self.losses.push(loss);
                self.total += loss;
            }
        }
    }

    /// Everything that the next mean depends on: the losses, then their running total.
    pub fn to_numbers(&self) -> Vec<f64> {
        self.losses.iter().copied().chain([self.total]).collect()
    }

    /// The inverse of [`Self::to_numbers`].
    pub fn from_numbers(mut numbers: Vec<f64>) -> Self {
        let total = numbers.pop().unwrap_or_default();
        Self { losses: numbers, total }
    }

    /// The mean; 0 before the first loss.
    pub fn mean(&self) -> f64 {
        if self.losses.is_empty() { 0.0 } else { self.total / self.losses.len() as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_one_epoch() {
        let mut average = LossAverage::default();
        [4.0, 2.0].into_iter().enumerate().for_each(|(batch, loss)| average.add(batch, loss));
        assert_eq!(average.mean(), 3.0);
        average.add(0, 8.0);
        assert_eq!(average.mean(), 5.0);
    }
}
