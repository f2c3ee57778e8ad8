//! Blocks of a UNet and of a text encoder, forward and backward, composed as in `model`, with LoRAs; and a step of a small
//! network of them.

mod adapted;
mod network;
mod residual;
mod text;
mod transformer;

use lorabake_ops::Mask;
use lorabake_ops::cuda::Card;
use residual::Residual;
use transformer::{Block, Heads};

use super::case::{Case, numbers, numbers_of, tensor, tracked};

/// All of them.
pub fn cases([common, large, _]: [Card; 3]) -> Vec<Case> {
    vec![
        residual_block(Case::new("block_residual", common)),
        transformer_block(Case::new("block_transformer", common)),
        transformer_block(Case::new("block_transformer_large", large)),
        text::layer(Case::new("block_text", common)),
        network::step(Case::new("network_step", common)),
    ]
}

fn residual_block(mut case: Case) -> Case {
    let [batch, height, width, inputs, outputs] = [2, 7, 5, 32, 48];
    let input = [batch, height, width, inputs];
    let output = [batch, height, width, outputs];
    let block = Residual::new(&mut case, [inputs, outputs], 10);
    let x = numbers(input.iter().product(), 1, 1.0);
    let time = numbers(batch * outputs, 2, 1.0);
    let dy = numbers(output.iter().product(), 3, 1.0);
    let x_there = case.given(&x, &input);
    let time_there = case.given(&time, &[batch, 1, 1, outputs]);
    let dy_there = case.given(&dy, &output);
    let passed = block.launched(&mut case.recording, &x_there, &time_there);
    let dx_there = block.launched_back(&mut case.recording, &passed, &dy_there);

    let x = tracked(&x, input);
    let time = tensor(&time, [batch, outputs, 1, 1]).autodiff();
    let y = block.forward(x.clone().permute([0, 3, 1, 2]), time).permute([0, 2, 3, 1]);
    let mut gradients = (y.clone() * tensor(&dy, output).autodiff()).sum().backward();
    case.expect("y", &passed.y, numbers_of(y.inner()), Residual::ROUNDINGS);
    // The second norm's input by its three, and convolution, norm, convolution, norm, sum on the way back.
    case.expect("dx", &dx_there, numbers_of(x.grad_remove(&mut gradients).expect("tracked")), 8);
    case
}

/// Attention to itself and to a text, and a gated feed forward; LoRAs beside all ten linear layers.
fn transformer_block(mut case: Case) -> Case {
    // An image of 7 × 5 pixels, a head that has a kernel.
    let channels = 80;
    let shape = [2, 35, channels];
    let text_shape = [2, 13, 48];
    let x = numbers(shape.iter().product(), 1, 1.0);
    let text = numbers(text_shape.iter().product(), 2, 1.0);
    let dy = numbers(shape.iter().product(), 3, 1.0);
    let x_there = case.given(&x, &shape);
    let text_there = case.given(&text, &text_shape);
    let dy_there = case.given(&dy, &shape);
    let heads = Heads { channels, heads: 2, source: channels, mask: Mask::None };
    let block = Block::new(&mut case, heads, text_shape[2], 10);
    let passed = block.launched(&mut case.recording, &x_there, &text_there);
    let y_there = passed.y.clone();
    let mut found = Vec::new();
    let dx_there = block.launched_back(&mut case.recording, passed, &dy_there, &mut found);

    let x = tracked(&x, shape);
    let y = block.forward(x.clone(), tensor(&text, text_shape).autodiff());
    let mut gradients = (y.clone() * tensor(&dy, shape).autodiff()).sum().backward();
    case.expect("y", &y_there, numbers_of(y.inner()), Block::ROUNDINGS);
    let dx = x.grad_remove(&mut gradients).expect("tracked");
    case.expect("dx", &dx_there, numbers_of(dx), 2 * Block::ROUNDINGS);
    for (layer, pair) in block.backwards().into_iter().zip(found.chunks_exact(2)) {
        let [down, up] = layer.gradients(&mut gradients);
        case.expect("d down", &pair[0], down, 2 * Block::ROUNDINGS);
        case.expect("d up", &pair[1], up, 2 * Block::ROUNDINGS);
    }
    case
}
