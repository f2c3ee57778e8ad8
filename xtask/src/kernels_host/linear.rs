//! Linear layers with and without a LoRA, with weights in 16 and 8 bits.

use burn::tensor::Tensor;
use lorabake_ops::WeightDtype;
use lorabake_ops::cuda::Card;
use lorabake_ops::cuda::linear::LinearLayer;

use super::case::{BF16_ROUNDING, Case, ROUNDING, Twice, near_root, numbers, numbers_of, tensor, tracked};

/// A layer, its input and the LoRA beside it.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    tokens: usize,
    inputs: usize,
    outputs: usize,
    /// 0: no LoRA.
    rank: usize,
}

/// All of them.
pub fn cases([common, large, medium]: [Card; 3]) -> Vec<Case> {
    let of = |batch, tokens, inputs, outputs, rank| Sizes { batch, tokens, inputs, outputs, rank };
    let bf16 = WeightDtype::Bf16;
    vec![
        // A rank and widths that are padded, odd rows.
        layer(Case::new("linear_padded", common), of(1, 7, 20, 36, 3), bf16),
        layer(Case::new("linear_lora", common), of(3, 77, 80, 144, 16), bf16),
        layer(Case::new("linear_large_tile", large), of(1, 140, 96, 272, 20), bf16),
        layer(Case::new("linear_medium_tile", medium), of(1, 140, 80, 144, 16), bf16),
        layer(Case::new("linear_few_rows", common), of(3, 1, 144, 64, 0), bf16),
        layer(Case::new("linear_int8", common), of(1, 77, 320, 80, 40), WeightDtype::Int8),
        layer(Case::new("linear_int8_large_tile", large), of(1, 130, 192, 144, 0), WeightDtype::Int8),
        layer(Case::new("linear_int8_few_rows", common), of(1, 5, 128, 64, 0), WeightDtype::Int8),
        layer(Case::new("linear_int8_padded", common), of(1, 33, 80, 24, 4), WeightDtype::Int8),
    ]
}

/// How far apart the weights of card and processor are, over the weights.
fn apart(sizes: Sizes, dtype: WeightDtype) -> f64 {
    match dtype {
        WeightDtype::F32 | WeightDtype::Bf16 => 0.0,
        // The processor widens to bf16, the interpreter to f16.
        WeightDtype::Int8 if sizes.inputs.is_multiple_of(64) && sizes.outputs.is_multiple_of(16) => {
            BF16_ROUNDING / 2.0 + ROUNDING
        }
        // Blocks of 128 begin elsewhere in padded rows, so that they are rounded to 8 bits again: evenly by up to half of
        // 1/127 of the largest, which is √3 of the typical among numbers that are evenly distributed.
        WeightDtype::Int8 => 3.0f64.sqrt() / 127.0 / 12.0f64.sqrt() + BF16_ROUNDING / 2.0 + ROUNDING,
    }
}

fn layer(mut case: Case, sizes: Sizes, dtype: WeightDtype) -> Case {
    let Sizes { batch, tokens, inputs, outputs, rank } = sizes;
    let shape = [batch, tokens, inputs];
    let rows = batch * tokens;
    let x = numbers(rows * inputs, 1, 1.0);
    let dy = numbers(rows * outputs, 2, 1.0);
    let bias = (rank != 0).then(|| numbers(outputs, 3, 1.0));
    let [on_card, layer] = Twice::new(outputs, inputs, 4, dtype).linear(bias);
    let down = numbers(rank * inputs, 5, near_root(inputs));
    let up = numbers(outputs * rank, 6, 0.5);
    let scale = 0.75;

    let x_there = case.given(&x, &shape);
    let dy_there = case.given(&dy, &[batch, tokens, outputs]);
    let card_layer = LinearLayer::of(&mut case.recording, &on_card).expect("served");
    let mut low_rank = None;
    if rank > 0 {
        let down = case.given(&down, &[rank, inputs]);
        let up = case.given(&up, &[outputs, rank]);
        low_rank = Some(card_layer.low_rank(&mut case.recording, &down, &up, scale as f32));
    }
    let forward = card_layer.forward(&mut case.recording, &x_there, low_rank.as_ref()).expect("served");
    let backward = card_layer.backward(&mut case.recording, &dy_there, forward.kept.as_ref()).expect("served");

    // Its own roundings: of what is in the rank, and of the result.
    let tolerance = 2.0 * ROUNDING + apart(sizes, dtype);
    let x = tracked(&x, shape);
    let dy: Tensor<3> = tensor(&dy, [batch, tokens, outputs]);
    if rank == 0 {
        let y = layer.forward(x.clone());
        let mut gradients = (y.clone() * dy.autodiff()).sum().backward();
        case.expect_within("y", &forward.y, numbers_of(y.inner()), tolerance);
        let dx = x.grad_remove(&mut gradients).expect("tracked");
        case.expect_within("dx", &backward.dx, numbers_of(dx), tolerance);
        return case;
    }
    let down = tracked(&down, [rank, inputs]);
    let up = tracked(&up, [outputs, rank]);
    let y = layer.forward_low_rank(x.clone(), &down, &up, scale);
    let mut gradients = (y.clone() * dy.autodiff()).sum().backward();
    case.expect_within("y", &forward.y, numbers_of(y.inner()), tolerance);
    let dx = x.grad_remove(&mut gradients).expect("tracked");
    case.expect_within("dx", &backward.dx, numbers_of(dx), tolerance);
    // What they are made of is rounded once; they are f32 themselves.
    let found = backward.low_rank.expect("a LoRA");
    case.expect("d down", &found.down, numbers_of(down.grad_remove(&mut gradients).expect("tracked")), 1);
    case.expect("d up", &found.up, numbers_of(up.grad_remove(&mut gradients).expect("tracked")), 1);
    case
}
