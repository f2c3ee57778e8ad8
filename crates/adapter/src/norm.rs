//! Changes of norms: nets may add to the scale and shift of a group or layer norm.

/// What is added to a norm.
#[derive(Debug, Clone, PartialEq)]
pub struct NormChange {
    /// What is added to the scale (γ) of each channel.
    pub scale: Vec<f32>,
    /// What is added to the shift (β) of each channel; `None` where nothing is.
    pub shift: Option<Vec<f32>>,
}

impl NormChange {
    /// Whether nothing is added.
    pub fn is_nothing(&self) -> bool {
        self.scale.iter().chain(self.shift.iter().flatten()).all(|value| *value == 0.0)
    }
}

/// A net's change of a norm in use.
#[derive(Debug, Clone)]
pub(crate) struct NormAdapter {
    /// At full strength.
    pub change: NormChange,
    /// What it is multiplied with.
    pub strength: f64,
    /// Number of the net.
    pub net: usize,
}

/// What several changes of one norm add up to; `None` if there is none.
pub(crate) fn sum(adapters: &[NormAdapter]) -> Option<NormChange> {
    let width = adapters.first()?.change.scale.len();
    let mut sum = NormChange { scale: vec![0.0; width], shift: None };
    for NormAdapter { change, strength, .. } in adapters {
        let strength = *strength as f32;
        sum.scale.iter_mut().zip(&change.scale).for_each(|(sum, own)| *sum += own * strength);
        if let Some(shift) = &change.shift {
            let sum = sum.shift.get_or_insert_with(|| vec![0.0; width]);
            sum.iter_mut().zip(shift).for_each(|(sum, own)| *sum += own * strength);
        }
    }
    Some(sum)
}
