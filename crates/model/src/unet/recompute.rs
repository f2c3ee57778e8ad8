//! The UNet's backward pass from the inputs of its pieces alone: each is run a second time when its turn comes (Chen et
//! al. 2016, "Training Deep Nets with Sublinear Memory Cost"; sd-scripts' `--gradient_checkpointing`).
//!
//! Every piece has a tape of its own. An adapter belongs to one piece, so its gradient is whole when that piece is done;
//! those of text states and time embedding add up over the pieces and go on to what these came from at the end.

use burn::tensor::{Gradients, Tensor};
use lorabake_adapter::Adapters;

use super::piece::{Input, Piece, through};
use super::{Condition, UNet};
use crate::Conditioning;

/// The same adapters twice.
#[derive(Debug, Clone, Copy)]
pub struct Both<'a> {
    /// Without tape.
    pub plain: &'a Adapters,
    /// Whose factors are leaves of a tape.
    pub tracked: &'a Adapters,
}

/// A forward pass that can be gone back.
#[derive(Debug)]
pub struct Recorded<'a> {
    runs: Vec<Run<'a>>,
    time: Tensor<2>,
    context: Tensor<3>,
    adapters: &'a Adapters,
}

#[derive(Debug)]
enum Run<'a> {
    /// To be run once more.
    Again(Piece<'a>, Box<Input>),
    Kept(bool, Box<Taped>),
}

/// A piece's own tape: its leaves and its output.
#[derive(Debug)]
struct Taped {
    x: Tensor<4>,
    skip: Option<Tensor<4>>,
    time: Tensor<2>,
    context: Tensor<3>,
    y: Tensor<4>,
}

impl UNet {
    /// How many pieces can be run again.
    pub fn recomputable(&self) -> usize {
        self.pieces().len()
    }

    /// As [`UNet::forward`], the prediction being without tape. `again` pieces keep their input only, the outermost
    /// first, since these hold most; the others keep all that their backward pass needs.
    pub fn forward_recorded<'a>(
        &'a self,
        (latents, timesteps): (Tensor<4>, &[f32]),
        conditioning: Conditioning,
        adapters: Both<'a>,
        again: usize,
    ) -> (Tensor<4>, Recorded<'a>) {
        let Conditioning { context, added } = conditioning;
        let time = self.time.forward(timesteps, added.as_ref(), &latents.device(), adapters.tracked);
        let (pieces, mut runs) = (self.pieces(), Vec::new());
        let mut recorded = Recorded { runs: Vec::new(), time, context, adapters: adapters.tracked };
        let count = pieces.len();
        let without = Condition {
            time: recorded.time.clone().inner(),
            context: recorded.context.clone().inner(),
            adapters: adapters.plain,
        };
        let prediction = through(pieces, latents, |piece, input| {
            let from_outside = 2 * runs.len().min(count - 1 - runs.len());
            if from_outside < again {
                runs.push(Run::Again(piece, Box::new(input.clone())));
                return piece.run(input, &without);
            }
            let taped = recorded.taped(piece, input);
            let y = taped.y.clone().inner();
            runs.push(Run::Kept(piece.leaves_skip, Box::new(taped)));
            y
        });
        recorded.runs = runs;
        (prediction, recorded)
    }
}

impl Recorded<'_> {
    /// Runs a piece with a tape that begins at its inputs.
    fn taped(&self, piece: Piece<'_>, input: Input) -> Taped {
        let (x, skip) = (leaf(input.x), input.skip.map(leaf));
        let (time, context) = (leaf(self.time.clone().inner()), leaf(self.context.clone().inner()));
        let condition = Condition { time: time.clone(), context: context.clone(), adapters: self.adapters };
        let y = piece.run(Input { x: x.clone(), skip: skip.clone(), size: input.size }, &condition);
        Taped { x, skip, time, context, y }
    }

    /// Goes back from `gradient`, dL/d(prediction), [B, 4, H, W]; `collect` gets the gradients of each tape, and takes out
    /// of it those of the leaves that it knows.
    pub fn backward(mut self, mut gradient: Tensor<4>, mut collect: impl FnMut(&mut Gradients)) {
        let (mut of_skips, mut of_time, mut of_context) = (Vec::new(), None, None);
        for run in std::mem::take(&mut self.runs).into_iter().rev() {
            let (leaves_skip, taped) = match run {
                Run::Again(piece, input) => (piece.leaves_skip, self.taped(piece, *input)),
                Run::Kept(leaves_skip, taped) => (leaves_skip, *taped),
            };
            if leaves_skip {
                gradient = gradient + of_skips.pop().expect("as many skips as stages");
            }
            let mut tape = (taped.y * gradient).sum().backward();
            collect(&mut tape);
            add(&mut of_time, taped.time.grad_remove(&mut tape));
            add(&mut of_context, taped.context.grad_remove(&mut tape));
            of_skips.extend(taped.skip.map(|skip| skip.grad_remove(&mut tape).expect("a skip is used")));
            gradient = taped.x.grad_remove(&mut tape).expect("a piece uses its input");
        }
        let of_time = of_time.filter(|_| self.time.is_tracked()).map(|gradient| (self.time * gradient).sum());
        let of_context = of_context.filter(|_| self.context.is_tracked()).map(|g| (self.context * g).sum());
        if let Some(rest) = of_time.into_iter().chain(of_context).reduce(|a, b| a + b) {
            collect(&mut rest.backward());
        }
    }
}

fn leaf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.inner().autodiff().require_grad()
}

fn add<const D: usize>(sum: &mut Option<Tensor<D>>, more: Option<Tensor<D>>) {
    if let Some(more) = more {
        *sum = Some(match sum.take() {
            Some(sum) => sum + more,
            None => more,
        });
    }
}
