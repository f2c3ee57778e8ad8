//! The UNet's backward pass from the inputs of its pieces alone: each is run a second time when its turn comes (Chen et
//! al. 2016, "Training Deep Nets with Sublinear Memory Cost"; sd-scripts' `--gradient_checkpointing`).
//!
//! Every piece has a tape of its own. An adapter belongs to one piece, so its gradient is whole when that piece is done;
//! the gradients of hidden states and time embedding add up over the pieces, and go on to what these came from at the end.

use burn::tensor::{Gradients, Tensor};
use lorabake_adapter::Adapters;

use super::UNet;
use super::condition::{Condition, OddSides};
use super::piece::{Input, Piece, through};
use crate::Conditioning;

/// Adapters twice, with the same values.
#[derive(Debug, Clone, Copy)]
pub struct AdapterPair<'a> {
    /// Adapters without tape.
    pub untracked: &'a Adapters,
    /// Adapters whose factors are leaves of a tape.
    pub tracked: &'a Adapters,
}

/// A forward pass that a backward pass can follow.
#[derive(Debug)]
pub struct Recorded<'a> {
    runs: Vec<Run<'a>>,
    temb: Tensor<2>,
    context: Tensor<3>,
    adapters: &'a Adapters,
}

/// A piece that was run, and what is kept of it.
#[derive(Debug)]
struct Run<'a> {
    piece: Piece<'a>,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    /// What the piece is run again from.
    Input(Box<Input>),
    /// All that its backward pass needs.
    Tape(Box<Taped>),
}

/// The tape of one piece: its leaves and its output.
#[derive(Debug)]
struct Taped {
    x: Tensor<4>,
    skip: Option<Tensor<4>>,
    temb: Tensor<2>,
    context: Tensor<3>,
    y: Tensor<4>,
}

impl UNet {
    /// The number of pieces that can be run again.
    pub fn recomputable(&self) -> usize {
        self.pieces().len()
    }

    /// The prediction of [`UNet::forward`] without tape, and what a backward pass needs. `recomputed` pieces keep their
    /// input only, the outermost first, since these hold most; the others keep all that their backward pass needs.
    ///
    /// # Shapes
    /// - latents, timesteps, conditioning and prediction: as for [`UNet::forward`]
    pub fn forward_recorded<'a>(
        &'a self,
        latents: Tensor<4>,
        timesteps: &[f32],
        conditioning: Conditioning,
        adapters: AdapterPair<'a>,
        recomputed: usize,
    ) -> (Tensor<4>, Recorded<'a>) {
        let Conditioning { context, added } = conditioning;
        let temb = self.time_embedding.forward(timesteps, added.as_ref(), &latents.device(), adapters.tracked);
        let untracked = Condition {
            temb: temb.clone().inner(),
            context: context.clone().inner(),
            adapters: adapters.untracked,
            odd_sides: OddSides::BeforeConvolution,
        };
        let mut recorded = Recorded { runs: Vec::new(), temb, context, adapters: adapters.tracked };
        let pieces = self.pieces();
        let mut recomputed = outermost(pieces.len(), recomputed).into_iter();
        let prediction = through(pieces, latents, None, |piece, input| {
            if recomputed.next() == Some(true) {
                recorded.runs.push(Run { piece, kept: Kept::Input(Box::new(input.clone())) });
                return piece.run(input, &untracked);
            }
            let taped = recorded.taped(piece, input);
            let y = taped.y.clone().inner();
            recorded.runs.push(Run { piece, kept: Kept::Tape(Box::new(taped)) });
            y
        });
        (prediction, recorded)
    }
}

/// Which of `count` things in a row are the `n` outermost. They are chosen in pairs, one from either end, so that an odd
/// `n` gives one more: of 6 things the 2 outermost are `[true, false, false, false, false, true]`, and the 3 or 4 outermost
/// are `[true, true, false, false, true, true]`.
fn outermost(count: usize, n: usize) -> Vec<bool> {
    let from_either_end = n.min(count).div_ceil(2);
    let mut chosen = vec![false; count];
    chosen[..from_either_end].fill(true);
    chosen[count - from_either_end..].fill(true);
    chosen
}

impl Recorded<'_> {
    /// Runs a piece with a tape that begins at its inputs.
    fn taped(&self, piece: Piece<'_>, input: Input) -> Taped {
        let x = leaf(input.x);
        let skip = input.skip.map(leaf);
        let temb = leaf(self.temb.clone().inner());
        let context = leaf(self.context.clone().inner());
        let condition = Condition {
            temb: temb.clone(),
            context: context.clone(),
            adapters: self.adapters,
            odd_sides: OddSides::BeforeConvolution,
        };
        let y = piece.run(Input { x: x.clone(), skip: skip.clone(), size: input.size }, &condition);
        Taped { x, skip, temb, context, y }
    }

    /// The backward pass from `gradient`, which is dL/d(prediction); `collect` gets the gradients of each tape, and takes
    /// out of it those of the leaves that it knows.
    ///
    /// # Shapes
    /// - gradient: [B, 4, H, W]
    pub fn backward(mut self, mut gradient: Tensor<4>, mut collect: impl FnMut(&mut Gradients)) {
        let mut skip_gradients = Vec::new();
        let mut temb_gradient = None;
        let mut context_gradient = None;
        while let Some(Run { piece, kept }) = self.runs.pop() {
            let taped = match kept {
                Kept::Input(input) => self.taped(piece, *input),
                Kept::Tape(taped) => *taped,
            };
            if piece.leaves_skip {
                gradient = gradient + skip_gradients.pop().expect("as many skips as stages");
            }
            let mut tape = (taped.y * gradient).sum().backward();
            collect(&mut tape);
            add(&mut temb_gradient, taped.temb.grad_remove(&mut tape));
            add(&mut context_gradient, taped.context.grad_remove(&mut tape));
            if let Some(skip) = taped.skip {
                skip_gradients.push(skip.grad_remove(&mut tape).expect("a skip is used"));
            }
            gradient = taped.x.grad_remove(&mut tape).expect("a piece uses its input");
        }
        // Time embedding and hidden states may come from tapes of their own.
        let mut rest = None;
        if self.temb.is_tracked() {
            add(&mut rest, temb_gradient.map(|gradient| (self.temb * gradient).sum()));
        }
        if self.context.is_tracked() {
            add(&mut rest, context_gradient.map(|gradient| (self.context * gradient).sum()));
        }
        if let Some(rest) = rest {
            collect(&mut rest.backward());
        }
    }
}

fn leaf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.inner().autodiff().require_grad()
}

/// Adds `more` to a sum that begins with its first term.
fn add<const D: usize>(sum: &mut Option<Tensor<D>>, more: Option<Tensor<D>>) {
    if let Some(more) = more {
        *sum = Some(match sum.take() {
            Some(sum) => sum + more,
            None => more,
        });
    }
}
