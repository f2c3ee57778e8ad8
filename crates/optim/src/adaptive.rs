//! What Prodigy and the D-Adaptation optimizers share: the one learning rate, coupled weight decay and sums over a
//! tensor. Sums are f64, where the authors' packages add up f32 per tensor.

use std::borrow::Cow;
use std::ops::AddAssign;

use crate::{Error, Group, State};

/// The one learning rate of an update: that of the first group that has trainables and is not switched off by a rate
/// of 0.
///
/// The authors' packages refuse groups with different rates, apart from 0; sd-scripts promises that the first counts.
pub(crate) fn shared_rate(groups: &[Group]) -> f64 {
    groups.iter().find(|group| group.lr > 0.0 && !group.range.is_empty()).map_or(0.0, |group| group.lr)
}

/// The gradient with `decay` times the value added; the gradient itself where there is no decay.
pub(crate) fn with_decay<'a>(grad: &'a [f32], value: &[f32], decay: f64) -> Cow<'a, [f32]> {
    if decay == 0.0 {
        return Cow::Borrowed(grad);
    }
    let decay = decay as f32;
    Cow::Owned(grad.iter().zip(value).map(|(g, p)| g + decay * p).collect())
}

/// Σ |x|
pub(crate) fn l1(values: &[f32]) -> f64 {
    values.iter().map(|x| f64::from(x.abs())).sum()
}

/// -1, 0 or 1, unlike `f32::signum`, which has no 0.
pub(crate) fn sign(value: f32) -> f32 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// x ← x·keep + y·add
pub(crate) fn blend(x: &mut [f32], keep: f64, y: &[f32], add: f64) {
    let keep = keep as f32;
    let add = add as f32;
    for (x, y) in x.iter_mut().zip(y) {
        *x = *x * keep + y * add;
    }
}

/// x ← x·keep + y²·add
pub(crate) fn blend_square(x: &mut [f32], keep: f64, y: &[f32], add: f64) {
    let keep = keep as f32;
    let add = add as f32;
    for (x, y) in x.iter_mut().zip(y) {
        *x = *x * keep + add * y * y;
    }
}

/// Sums over the trainables from which d is estimated.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DSums {
    pub(crate) numerator: f64,
    pub(crate) denominator: f64,
}

impl AddAssign for DSums {
    fn add_assign(&mut self, other: Self) {
        self.numerator += other.numerator;
        self.denominator += other.denominator;
    }
}

/// The numbers of an adaptive optimizer that belong to all trainables together, by name.
pub(crate) fn save_scalars(state: &mut State, scalars: &[(&str, f64)]) {
    state.scalars.extend(scalars.iter().map(|(name, value)| ((*name).to_owned(), *value)));
}

/// Removes the numbers that [`save_scalars`] saved.
pub(crate) fn take_scalars<const N: usize>(state: &mut State, names: [&str; N]) -> Result<[f64; N], Error> {
    let mut values = [0.0; N];
    for (value, name) in values.iter_mut().zip(names) {
        *value = state.take_scalar(name)?;
    }
    Ok(values)
}
