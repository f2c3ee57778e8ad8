//! Conditions of unequal length, made equal.

use burn::tensor::Tensor;

/// Makes the states of all texts as long as the longest, by repeating their last vector: the parts of a prompt that is
/// composed with `AND`.
///
/// # Shapes
/// - each: [1, T, D]
/// - output: the same with the largest T
pub fn repeat_last(states: Vec<Tensor<3>>) -> Vec<Tensor<3>> {
    let longest = states.iter().map(|state| state.dims()[1]).max().unwrap_or(0);
    states.into_iter().map(|state| lengthened(state, longest)).collect()
}

fn lengthened(state: Tensor<3>, longest: usize) -> Tensor<3> {
    let [_, length, _] = state.dims();
    if length == longest {
        return state;
    }
    let last = state.clone().narrow(1, length - 1, 1).repeat_dim(1, longest - length);
    Tensor::cat(vec![state, last], 1)
}

/// What is done about a prompt and a negative prompt of unequal length (the web UI's options of these names).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PadPrompts {
    /// They go through the UNet apart, each as long as it is.
    #[default]
    Off,
    /// The shorter one gets copies of the encoded empty prompt ("Pad prompt/negative prompt").
    Pad,
    /// The negative prompt is cut, or its last vector repeated ("… (v0)").
    PadV0,
}

/// Prompt and negative prompt of a call.
#[derive(Debug, Clone)]
pub struct Sides {
    /// Of each part of the prompt, [P, T, D].
    pub cond: Tensor<3>,
    /// Of the negative prompt, [1, T', D].
    pub uncond: Tensor<3>,
}

impl PadPrompts {
    /// Both sides as this option wants them.
    ///
    /// # Shapes
    /// - empty: the states of the empty prompt, [1, 77, D]
    pub fn pad(self, sides: Sides, empty: &Tensor<3>) -> Sides {
        let Sides { cond, uncond } = sides;
        let wanted = cond.dims()[1];
        let given = uncond.dims()[1];
        match self {
            Self::Pad if wanted < given => Sides { cond: with_empty(cond, given, empty), uncond },
            Self::Pad if given < wanted => Sides { cond, uncond: with_empty(uncond, wanted, empty) },
            Self::PadV0 if given < wanted => Sides { cond, uncond: lengthened(uncond, wanted) },
            Self::PadV0 if wanted < given => Sides { cond, uncond: uncond.narrow(1, 0, wanted) },
            _ => Sides { cond, uncond },
        }
    }
}

/// `states` followed by as many copies of `empty` as fit into `length`.
fn with_empty(states: Tensor<3>, length: usize, empty: &Tensor<3>) -> Tensor<3> {
    let [batch, own, _] = states.dims();
    let [_, chunk, _] = empty.dims();
    let copies = (length - own) / chunk;
    if copies == 0 {
        return states;
    }
    Tensor::cat(vec![states, empty.clone().repeat(&[batch, copies, 1])], 1)
}
