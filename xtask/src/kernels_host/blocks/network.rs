//! A step of a small UNet's way down, from latents to what is predicted of them: two levels, each a residual block and a
//! transformer with its projections.

use burn::tensor::Tensor;
use lorabake_ops::cuda::linear::Kept;
use lorabake_ops::cuda::{Buffer, Launcher, Recording};
use lorabake_ops::{Activation, Mask};

use super::super::case::{Case, numbers, numbers_of, tensor, tracked};
use super::adapted::Adapted;
use super::residual::{Conv, Norm, Residual};
use super::transformer::{Block, Heads};
use super::{residual, transformer};

/// Batch, height and width of the latents: an odd bucket on both levels.
const SIDES: [usize; 3] = [2, 10, 6];
/// Tokens and width of the text.
const TEXT: [usize; 2] = [13, 48];
/// Channels of latents and of the two levels.
const LATENT: usize = 4;
const LEVELS: [usize; 2] = [32, 48];

/// A residual block and a transformer.
struct Level {
    residual: Residual,
    norm: Norm,
    proj_in: Adapted,
    block: Block,
    proj_out: Adapted,
}

/// What the backward pass of a level reads.
struct Passed {
    residual: residual::Passed,
    normed: lorabake_ops::cuda::group_norm::Normalized<usize>,
    block: transformer::Passed,
    kept: Vec<Kept<usize>>,
}

impl Level {
    const ROUNDINGS: u32 = Residual::ROUNDINGS + 1 + 2 + Block::ROUNDINGS + 2 + 1;

    fn new(case: &mut Case, channels: [usize; 2], salt: u64) -> Self {
        let [_, own] = channels;
        let heads = Heads { channels: own, heads: 2, source: own, mask: Mask::None };
        Self {
            residual: Residual::new(case, channels, salt),
            norm: Norm::new(case, own, Activation::None, salt + 20),
            proj_in: Adapted::new(case, [own, own], true, salt + 30),
            block: Block::new(case, heads, TEXT[1], salt + 40),
            proj_out: Adapted::new(case, [own, own], true, salt + 120),
        }
    }

    fn forward(&self, x: Tensor<4>, time: Tensor<4>, text: Tensor<3>) -> Tensor<4> {
        let x = self.residual.forward(x, time);
        let [batch, channels, height, width] = x.dims();
        let normed = self.norm.processor.forward(x.clone(), Activation::None);
        let tokens = self.proj_in.forward(normed.reshape([batch, channels, height * width]).swap_dims(1, 2));
        let tokens = self.proj_out.forward(self.block.forward(tokens, text));
        x + tokens.swap_dims(1, 2).reshape([batch, channels, height, width])
    }

    /// An image with its channels last is a row of tokens as it lies.
    fn launched(&self, on: &mut Recording, given: [&Buffer<usize>; 3]) -> (Buffer<usize>, Passed) {
        let [x, time, text] = given;
        let mut kept = Vec::new();
        let residual = self.residual.launched(on, x, time);
        let image = residual.y.array.shape.clone();
        let tokens = [image[0], image[1] * image[2], image[3]];
        let normed = self.norm.card.forward(on, &residual.y).expect("served");
        let inside = self.proj_in.launched(on, &normed.y.seen_as(&tokens), &mut kept);
        let block = self.block.launched(on, &inside, text);
        let outside = self.proj_out.launched(on, &block.y, &mut kept);
        let y = on.sum(&residual.y, &outside.seen_as(&image));
        (y, Passed { residual, normed, block, kept })
    }

    fn launched_back(
        &self,
        on: &mut Recording,
        mut passed: Passed,
        dy: &Buffer<usize>,
        found: &mut Vec<Buffer<usize>>,
    ) -> Buffer<usize> {
        let [batch, height, width, channels] = dy.extents();
        let tokens = dy.seen_as(&[batch, height * width, channels]);
        let back = self.proj_out.launched_back(on, &tokens, &mut passed.kept, found);
        let back = self.block.launched_back(on, passed.block, &back, found);
        let back = self.proj_in.launched_back(on, &back, &mut passed.kept, found);
        let back = self.norm.card.backward(on, &passed.normed, &back.seen_as(&dy.array.shape)).expect("served");
        let dx = on.sum(dy, &back);
        self.residual.launched_back(on, &passed.residual, &dx)
    }

    /// The layers in the order in which gradients come.
    fn backwards(&self) -> Vec<&Adapted> {
        let mut layers = vec![&self.proj_out];
        layers.extend(self.block.backwards());
        layers.push(&self.proj_in);
        layers
    }
}

/// From latents to a prediction, and all gradients of its 24 LoRAs.
pub fn step(mut case: Case) -> Case {
    let [batch, height, width] = SIDES;
    let latents = [batch, height, width, LATENT];
    let output = [batch, height / 2, width / 2, LATENT];
    let text_shape = [batch, TEXT[0], TEXT[1]];
    let x = numbers(latents.iter().product(), 1, 1.0);
    let dy = numbers(output.iter().product(), 2, 1.0);
    let text = numbers(text_shape.iter().product(), 3, 1.0);
    let times = LEVELS.map(|channels| numbers(batch * channels, 4, 0.5));
    let conv_in = Conv::new(&mut case, [LATENT, LEVELS[0]], 1, 1000);
    let first = Level::new(&mut case, [LEVELS[0], LEVELS[0]], 2000);
    let halves = Conv::new(&mut case, [LEVELS[0], LEVELS[0]], 2, 3000);
    let second = Level::new(&mut case, LEVELS, 4000);
    let norm = Norm::new(&mut case, LEVELS[1], Activation::Silu, 5000);
    let conv_out = Conv::new(&mut case, [LEVELS[1], LATENT], 1, 6000);

    let x_there = case.given(&x, &latents);
    let dy_there = case.given(&dy, &output);
    let text_there = case.given(&text, &text_shape);
    let times_there = [0, 1].map(|level| case.given(&times[level], &[batch, 1, 1, LEVELS[level]]));
    let on = &mut case.recording;
    let h = conv_in.card.forward(on, &x_there).expect("served");
    let (h, passed_first) = first.launched(on, [&h, &times_there[0], &text_there]);
    let h = halves.card.forward(on, &h).expect("served");
    let (h, passed_second) = second.launched(on, [&h, &times_there[1], &text_there]);
    let normed = norm.card.forward(on, &h).expect("served");
    let y_there = conv_out.card.forward(on, &normed.y).expect("served");
    let mut found = Vec::new();
    let back = conv_out.card.backward(on, &dy_there, [height / 2, width / 2]).expect("served");
    let back = norm.card.backward(on, &normed, &back).expect("served");
    let back = second.launched_back(on, passed_second, &back, &mut found);
    let back = halves.card.backward(on, &back, [height, width]).expect("served");
    let back = first.launched_back(on, passed_first, &back, &mut found);
    let dx_there = conv_in.card.backward(on, &back, [height, width]).expect("served");

    let x = tracked(&x, latents);
    let text = tensor(&text, text_shape).autodiff();
    let [time1, time2] = [0, 1].map(|level| tensor(&times[level], [batch, LEVELS[level], 1, 1]).autodiff());
    let h = conv_in.processor.forward(x.clone().permute([0, 3, 1, 2]));
    let h = halves.processor.forward(first.forward(h, time1, text.clone()));
    let h = norm.processor.forward(second.forward(h, time2, text), Activation::Silu);
    let y = conv_out.processor.forward(h).permute([0, 2, 3, 1]);
    let mut gradients = (y.clone() * tensor(&dy, output).autodiff()).sum().backward();
    // Both levels, three convolutions and a norm; as many again backward.
    let forward = 2 * Level::ROUNDINGS + 4;
    case.expect("y", &y_there, numbers_of(y.inner()), forward);
    case.expect("dx", &dx_there, numbers_of(x.grad_remove(&mut gradients).expect("tracked")), 2 * forward);
    let mut layers = second.backwards();
    layers.extend(first.backwards());
    for (layer, pair) in layers.into_iter().zip(found.chunks_exact(2)) {
        let [down, up] = layer.gradients(&mut gradients);
        case.expect("d down", &pair[0], down, 2 * forward);
        case.expect("d up", &pair[1], up, 2 * forward);
    }
    case
}
