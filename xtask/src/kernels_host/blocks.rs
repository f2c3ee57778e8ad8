//! Blocks of a UNet, forward and backward, as `model/unet/{resnet,transformer}.rs` compose them: a residual block, and a
//! transformer block with a LoRA beside each of its linear layers.

use burn::tensor::{Gradients, Tensor};
use lorabake_ops::cuda::attention::{Attended, attend};
use lorabake_ops::cuda::conv3x3::ConvLayer;
use lorabake_ops::cuda::group_norm::GroupNormLayer;
use lorabake_ops::cuda::layer_norm::LayerNormLayer;
use lorabake_ops::cuda::linear::{Kept, LinearLayer};
use lorabake_ops::cuda::low_rank::LowRank;
use lorabake_ops::cuda::{Buffer, Card, Launcher, Recording, activations};
use lorabake_ops::{
    Activation, ConvShape, FrozenConv, FrozenLinear, GroupNorm, LayerNorm, Mask, WeightDtype, attention, geglu,
};

use super::case::{Case, Twice, near_root, numbers, numbers_of, tensor, tracked};

/// All of them.
pub fn cases([common, large]: [Card; 2]) -> Vec<Case> {
    vec![
        residual(Case::new("block_residual", common)),
        transformer(Case::new("block_transformer", common)),
        transformer(Case::new("block_transformer_large", large)),
    ]
}

/// Norm, convolution, time, norm, convolution; a pointwise convolution beside them.
fn residual(mut case: Case) -> Case {
    let [batch, height, width, inputs, outputs] = [2, 7, 5, 32, 48];
    let input = [batch, height, width, inputs];
    let output = [batch, height, width, outputs];
    let conv = |inputs, kernel, padding, salt| {
        let shape = ConvShape { inputs, outputs, kernel, stride: 1, padding };
        let Twice { card, processor } = Twice::new(outputs, shape.patch(), salt, WeightDtype::Bf16);
        let bias = numbers(outputs, salt + 1, 0.5);
        [card, processor].map(|matrix| FrozenConv::new(shape, matrix, Some(bias.clone())))
    };
    let norm = |channels, salt| {
        GroupNorm::new(numbers(channels, salt, 1.0), numbers(channels, salt + 1, 0.5), channels / 4, 1e-5)
    };
    let [norm1, norm2] = [norm(inputs, 10), norm(outputs, 12)];
    let [conv1, conv2, shortcut] = [conv(inputs, 3, 1, 14), conv(outputs, 3, 1, 16), conv(inputs, 1, 0, 18)];
    let x = numbers(input.iter().product(), 1, 1.0);
    let temb = numbers(batch * outputs, 2, 1.0);
    let dy = numbers(output.iter().product(), 3, 1.0);

    let x_there = case.given(&x, &input);
    let temb_there = case.given(&temb, &[batch, 1, 1, outputs]);
    let dy_there = case.given(&dy, &output);
    let on = &mut case.recording;
    let card_norm1 = GroupNormLayer::of(on, &norm1, Activation::Silu);
    let card_norm2 = GroupNormLayer::of(on, &norm2, Activation::Silu);
    let card_conv1 = ConvLayer::of(on, &conv1[0]).expect("served");
    let card_conv2 = ConvLayer::of(on, &conv2[0]).expect("served");
    let card_shortcut = LinearLayer::of_pointwise(on, &shortcut[0]).expect("served");
    let first = card_norm1.forward(on, &x_there).expect("served");
    let h = card_conv1.forward(on, &first.y).expect("served");
    let h = on.sum(&h, &temb_there);
    let second = card_norm2.forward(on, &h).expect("served");
    let h = card_conv2.forward(on, &second.y).expect("served");
    let beside = card_shortcut.forward(on, &x_there, None).expect("served");
    let y_there = on.sum(&beside.y, &h);
    let back = card_conv2.backward(on, &dy_there, [height, width]).expect("served");
    let back = card_norm2.backward(on, &second, &back).expect("served");
    let back = card_conv1.backward(on, &back, [height, width]).expect("served");
    let back = card_norm1.backward(on, &first, &back).expect("served");
    let beside = card_shortcut.backward(on, &dy_there, None).expect("served");
    let dx_there = on.sum(&beside.dx, &back);

    let x = tracked(&x, input);
    let turned = x.clone().permute([0, 3, 1, 2]);
    let h = conv1[1].forward(norm1.forward(turned.clone(), Activation::Silu));
    let h = h + tensor(&temb, [batch, outputs, 1, 1]).autodiff();
    let h = conv2[1].forward(norm2.forward(h, Activation::Silu));
    let y = (shortcut[1].forward(turned) + h).permute([0, 2, 3, 1]);
    let mut gradients = (y.clone() * tensor(&dy, output).autodiff()).sum().backward();
    // Norm, convolution, sum, norm, convolution, sum.
    case.expect("y", &y_there, numbers_of(y.inner()), 6);
    // The second norm's input by its three, and convolution, norm, convolution, norm, sum on the way back.
    case.expect("dx", &dx_there, numbers_of(x.grad_remove(&mut gradients).expect("tracked")), 8);
    case
}

/// A linear layer with a LoRA on card and processor.
struct Adapted {
    card: LinearLayer<usize>,
    beside: LowRank<usize>,
    processor: FrozenLinear,
    down: Tensor<2>,
    up: Tensor<2>,
}

const RANK: usize = 4;
const SCALE: f64 = 0.5;

impl Adapted {
    fn new(case: &mut Case, [inputs, outputs]: [usize; 2], bias: bool, salt: u64) -> Self {
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

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.processor.forward_low_rank(x, &self.down, &self.up, SCALE)
    }

    /// On the card; adds what the backward pass reads to `kept`.
    fn launched(&self, on: &mut Recording, x: &Buffer<usize>, kept: &mut Vec<Kept<usize>>) -> Buffer<usize> {
        let forward = self.card.forward(on, x, Some(&self.beside)).expect("served");
        kept.push(forward.kept.expect("a LoRA"));
        forward.y
    }

    /// The way back on the card: dx; adds the gradients of its LoRA to `gradients`.
    fn launched_back(
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

    fn gradients(&self, gradients: &mut Gradients) -> [Vec<f32>; 2] {
        [&self.down, &self.up].map(|matrix| numbers_of(matrix.grad_remove(gradients).expect("tracked")))
    }
}

/// Extents of the transformer: an image of 7 × 5 pixels, a head that has a kernel.
const BATCH: usize = 2;
const TOKENS: usize = 35;
const TEXT: [usize; 2] = [13, 48];
const CHANNELS: usize = 80;
const HEADS: usize = 2;

/// q, k, v, out of an attention.
struct Attention([Adapted; 4]);

impl Attention {
    fn new(case: &mut Case, source: usize, salt: u64) -> Self {
        let mut layer = |inputs, bias, salt| Adapted::new(case, [inputs, CHANNELS], bias, salt);
        Self([
            layer(CHANNELS, false, salt),
            layer(source, false, salt + 4),
            layer(source, false, salt + 8),
            layer(CHANNELS, true, salt + 12),
        ])
    }

    fn forward(&self, x: Tensor<3>, source: Tensor<3>) -> Tensor<3> {
        let [to_q, to_k, to_v, to_out] = &self.0;
        let split = |x: Tensor<3>| {
            let [batch, tokens, _] = x.dims();
            x.reshape([batch, tokens, HEADS, CHANNELS / HEADS]).swap_dims(1, 2)
        };
        let shape = x.dims();
        let q = split(to_q.forward(x));
        let k = split(to_k.forward(source.clone()));
        let v = split(to_v.forward(source));
        let y = attention(q, k, v, Mask::None, WeightDtype::F32);
        to_out.forward(y.swap_dims(1, 2).reshape(shape))
    }

    fn launched(
        &self,
        on: &mut Recording,
        x: &Buffer<usize>,
        source: &Buffer<usize>,
        kept: &mut Vec<Kept<usize>>,
    ) -> (Buffer<usize>, Attended<usize>) {
        let [to_q, to_k, to_v, to_out] = &self.0;
        let split = |x: &Buffer<usize>| {
            let [batch, tokens, _] = x.extents();
            x.seen_as(&[batch, tokens, HEADS, CHANNELS / HEADS])
        };
        let q = split(&to_q.launched(on, x, kept));
        let k = split(&to_k.launched(on, source, kept));
        let v = split(&to_v.launched(on, source, kept));
        let attended = attend(on, &q, &k, &v, Mask::None).expect("served");
        let y = attended.output(on).seen_as(&[BATCH, TOKENS, CHANNELS]);
        (to_out.launched(on, &y, kept), attended)
    }

    /// Gradients of x, of the source by keys and by values; those of LoRAs from `to_out` back to `to_q`.
    fn launched_back(
        &self,
        on: &mut Recording,
        dy: &Buffer<usize>,
        attended: &Attended<usize>,
        kept: &mut Vec<Kept<usize>>,
        gradients: &mut Vec<Buffer<usize>>,
    ) -> [Buffer<usize>; 3] {
        let [to_q, to_k, to_v, to_out] = &self.0;
        let dy = to_out.launched_back(on, dy, kept, gradients);
        let dy = dy.seen_as(&[BATCH, TOKENS, HEADS, CHANNELS / HEADS]);
        let [dq, dk, dv] = attended.backward(on, &dy).expect("served").map(|gradient| {
            let [batch, tokens, _, _] = gradient.extents();
            gradient.seen_as(&[batch, tokens, CHANNELS])
        });
        let by_values = to_v.launched_back(on, &dv, kept, gradients);
        let by_keys = to_k.launched_back(on, &dk, kept, gradients);
        let dx = to_q.launched_back(on, &dq, kept, gradients);
        [dx, by_keys, by_values]
    }

    /// The layers in the order in which gradients come.
    fn backwards(&self) -> [&Adapted; 4] {
        let [to_q, to_k, to_v, to_out] = &self.0;
        [to_out, to_v, to_k, to_q]
    }
}

/// Layers of a block.
struct Block {
    norms: [LayerNorm; 3],
    to_itself: Attention,
    to_text: Attention,
    ff_in: Adapted,
    ff_out: Adapted,
}

impl Block {
    fn new(case: &mut Case) -> Self {
        let norm = |salt| {
            let gamma = numbers(CHANNELS, salt, 1.0);
            LayerNorm::new(gamma, numbers(CHANNELS, salt + 1, 0.25), 1e-5, WeightDtype::F32)
        };
        Self {
            norms: [norm(10), norm(12), norm(14)],
            to_itself: Attention::new(case, CHANNELS, 20),
            to_text: Attention::new(case, TEXT[1], 40),
            ff_in: Adapted::new(case, [CHANNELS, 8 * CHANNELS], true, 60),
            ff_out: Adapted::new(case, [4 * CHANNELS, CHANNELS], true, 70),
        }
    }

    fn forward(&self, x: Tensor<3>, text: Tensor<3>) -> Tensor<3> {
        let [norm1, norm2, norm3] = &self.norms;
        let normed = norm1.forward(x.clone());
        let x = x + self.to_itself.forward(normed.clone(), normed);
        let x = x.clone() + self.to_text.forward(norm2.forward(x), text);
        let gated = geglu(self.ff_in.forward(norm3.forward(x.clone())), WeightDtype::F32);
        x + self.ff_out.forward(gated)
    }

    /// Output, dx, and gradients of the LoRAs in the order of [`backwards`](Self::backwards).
    fn launched(&self, on: &mut Recording, given: [&Buffer<usize>; 3]) -> [Vec<Buffer<usize>>; 2] {
        let [x, text, dy] = given;
        let [norm1, norm2, norm3] = self.norms.each_ref().map(|norm| LayerNormLayer::of(on, norm));
        let mut kept = Vec::new();
        let normed = norm1.forward(on, x).expect("served");
        let (y, to_itself) = self.to_itself.launched(on, &normed, &normed, &mut kept);
        let x2 = on.sum(x, &y);
        let normed = norm2.forward(on, &x2).expect("served");
        let (y, to_text) = self.to_text.launched(on, &normed, text, &mut kept);
        let x3 = on.sum(&x2, &y);
        let normed = norm3.forward(on, &x3).expect("served");
        let wide = self.ff_in.launched(on, &normed, &mut kept);
        let gated = activations::gated(on, &wide).expect("served");
        let y = self.ff_out.launched(on, &gated, &mut kept);
        let output = on.sum(&x3, &y);

        let mut found = Vec::new();
        let back = self.ff_out.launched_back(on, dy, &mut kept, &mut found);
        let back = activations::gated_backward(on, &wide, &back).expect("served");
        let back = self.ff_in.launched_back(on, &back, &mut kept, &mut found);
        let back = norm3.backward(on, &x3, &back).expect("served");
        let dx3 = on.sum(dy, &back);
        let [back, _, _] = self.to_text.launched_back(on, &dx3, &to_text, &mut kept, &mut found);
        let back = norm2.backward(on, &x2, &back).expect("served");
        let dx2 = on.sum(&dx3, &back);
        let [dx, by_keys, by_values] = self.to_itself.launched_back(on, &dx2, &to_itself, &mut kept, &mut found);
        let back = on.sum(&dx, &by_keys);
        let back = on.sum(&back, &by_values);
        let back = norm1.backward(on, x, &back).expect("served");
        [vec![output, on.sum(&dx2, &back)], found]
    }

    fn backwards(&self) -> Vec<&Adapted> {
        let mut layers = vec![&self.ff_out, &self.ff_in];
        layers.extend(self.to_text.backwards());
        layers.extend(self.to_itself.backwards());
        layers
    }
}

/// Attention to itself and to a text, and a gated feed forward; LoRAs beside all ten linear layers.
fn transformer(mut case: Case) -> Case {
    let shape = [BATCH, TOKENS, CHANNELS];
    let text_shape = [BATCH, TEXT[0], TEXT[1]];
    let x = numbers(shape.iter().product(), 1, 1.0);
    let text = numbers(text_shape.iter().product(), 2, 1.0);
    let dy = numbers(shape.iter().product(), 3, 1.0);
    let x_there = case.given(&x, &shape);
    let text_there = case.given(&text, &text_shape);
    let dy_there = case.given(&dy, &shape);
    let block = Block::new(&mut case);
    let [ends, found] = block.launched(&mut case.recording, [&x_there, &text_there, &dy_there]);

    let x = tracked(&x, shape);
    let y = block.forward(x.clone(), tensor(&text, text_shape).autodiff());
    let mut gradients = (y.clone() * tensor(&dy, shape).autodiff()).sum().backward();
    // An attention: norm, rank, q, probabilities, output, rank, layer, sum. The feed forward: norm, rank, layer, gate, rank,
    // layer, sum. Forward all of them, backward as many again.
    let forward = 2 * 8 + 7;
    case.expect("y", &ends[0], numbers_of(y.inner()), forward);
    case.expect("dx", &ends[1], numbers_of(x.grad_remove(&mut gradients).expect("tracked")), 2 * forward);
    for (layer, pair) in block.backwards().into_iter().zip(found.chunks_exact(2)) {
        let [down, up] = layer.gradients(&mut gradients);
        case.expect("d down", &pair[0], down, 2 * forward);
        case.expect("d up", &pair[1], up, 2 * forward);
    }
    case
}
