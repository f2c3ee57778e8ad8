//! A linear layer with a LoRA beside it, on card and processor.

use burn::tensor::{Gradients, Tensor};
use lorabake_ops::cuda::linear::{Kept, LinearLayer};
use lorabake_ops::cuda::low_rank::LowRank;
use lorabake_ops::cuda::{Buffer, Recording};
use lorabake_ops::{FrozenLinear, WeightDtype};

use super::super::case::{Case, Twice, near_root, numbers, numbers_of, tracked};

/// A linear layer with a LoRA on card and processor.
pub struct Adapted {
    card: LinearLayer<usize>,
    beside: LowRank<usize>,
    processor: FrozenLinear,
    down: Tensor<2>,
    up: Tensor<2>,
}

const RANK: usize = 4;
const SCALE: f64 = 0.5;

impl Adapted {
    /// For `[inputs, outputs]`.
    pub fn new(case: &mut Case, [inputs, outputs]: [usize; 2], bias: bool, salt: u64) -> Self {
        let bias = bias.then(|| numbers(outputs, salt + 1, 0.25));
        let [on_card, processor] = Twice::new(outputs, inputs, salt, WeightDtype::Bf16).linear(bias);
        let down = numbers(RANK * inputs, salt + 2, near_root(inputs));
        let up = numbers(outputs * RANK, salt + 3, 0.25);
        let down_there = case.given(&down, &[RANK, inputs]);
        let up_there = case.given(&up, &[outputs, RANK]);
        let card = LinearLayer::of(&mut case.recording, &on_card).expect("served");
        let beside = card.low_rank(&mut case.recording, &down_there, &up_there, SCALE as f32);
        Self { card, beside, processor, down: tracked(&down, [RANK, inputs]), up: tracked(&up, [outputs, RANK]) }
    }

    /// On the processor.
    ///
    /// # Shapes
    /// - x: [B, T, in]
    /// - output: [B, T, out]
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.processor.forward_low_rank(x, &self.down, &self.up, SCALE)
    }

    /// On the card; adds what the backward pass reads to `kept`.
    pub fn launched(&self, on: &mut Recording, x: &Buffer<usize>, kept: &mut Vec<Kept<usize>>) -> Buffer<usize> {
        let forward = self.card.forward(on, x, Some(&self.beside)).expect("served");
        kept.push(forward.kept.expect("a LoRA"));
        forward.y
    }

    /// The way back on the card: dx; adds the gradients of its LoRA to `gradients`.
    pub fn launched_back(
        &self,
        on: &mut Recording,
        dy: &Buffer<usize>,
        kept: &mut Vec<Kept<usize>>,
        gradients: &mut Vec<Buffer<usize>>,
    ) -> Buffer<usize> {
        let kept = kept.pop().expect("a forward pass");
        let found = self.card.backward(on, dy, Some(&kept)).expect("served");
        let low_rank = found.low_rank.expect("a LoRA");
        gradients.extend([low_rank.down, low_rank.up]);
        found.dx
    }

    /// Gradients of both matrices by the processor.
    pub fn gradients(&self, gradients: &mut Gradients) -> [Vec<f32>; 2] {
        [&self.down, &self.up].map(|matrix| numbers_of(matrix.grad_remove(gradients).expect("tracked")))
    }
}
