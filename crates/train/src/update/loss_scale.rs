//! The factor on the loss that keeps small gradients from vanishing in fp16 (Micikevicius et al. 2018), found as PyTorch's
//! GradScaler finds it: halved where a gradient overflows, doubled after 2000 steps without that.

use burn::tensor::{Device, FloatDType};
use lorabake_ops::{WeightDtype, half_of, is_host};

use crate::step::Gradients;

/// Steps without overflow after which the factor is doubled.
const PATIENCE: u32 = 2000;

/// The factor; 1 and still where nothing is computed in fp16.
#[derive(Debug)]
pub(crate) struct LossScale {
    factor: f32,
    good: u32,
    moves: bool,
}

impl LossScale {
    /// For a UNet held in `dtype` on `device`.
    pub fn new(device: &Device, dtype: WeightDtype) -> Self {
        let moves = dtype != WeightDtype::F32 && !is_host(device) && half_of(device) == Some(FloatDType::F16);
        Self { factor: if moves { 65536.0 } else { 1.0 }, good: 0, moves }
    }

    /// What the loss is multiplied by.
    pub fn factor(&self) -> f32 {
        self.factor
    }

    /// Whether these gradients are to be used; if not, they are to be computed again with a smaller factor.
    pub fn accepts(&mut self, gradients: &Gradients) -> bool {
        if !self.moves {
            return true;
        }
        let finite = gradients.iter().flatten().flatten().all(|x| x.is_finite());
        if finite {
            self.good += 1;
            if self.good == PATIENCE {
                (self.factor, self.good) = (self.factor * 2.0, 0);
            }
        } else {
            (self.factor, self.good) = (self.factor / 2.0, 0);
        }
        // At a factor this small it isn't fp16 that makes them overflow: the step's own check will say so.
        finite || self.factor < 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f32]) -> Gradients {
        vec![None, Some(values.to_vec())]
    }

    #[test]
    fn it_follows_the_gradients() {
        let mut scale = LossScale { factor: 4.0, good: 0, moves: true };
        assert!(!scale.accepts(&of(&[1.0, f32::INFINITY])));
        assert_eq!(scale.factor(), 2.0);
        (0..PATIENCE).for_each(|_| assert!(scale.accepts(&of(&[1.0, 2.0]))));
        assert_eq!(scale.factor(), 4.0);
        assert!((0..2).all(|_| !scale.accepts(&of(&[f32::NAN]))));
        assert!(scale.accepts(&of(&[f32::NAN])), "below 1 the gradients go on to the step's own check");
    }

    #[test]
    fn elsewhere_it_rests() {
        let mut scale = LossScale::new(&Device::flex(), WeightDtype::Bf16);
        assert!(scale.accepts(&of(&[f32::NAN])));
        assert_eq!(scale.factor(), 1.0);
    }
}
