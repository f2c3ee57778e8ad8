//! Attention both ways.

use lorabake_ops::cuda::Card;
use lorabake_ops::cuda::attention::attend;
use lorabake_ops::{Mask, WeightDtype, attention};

use super::case::{Case, numbers, numbers_of, tensor, tracked};

#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    heads: usize,
    /// Queries.
    s: usize,
    /// Keys.
    t: usize,
    d: usize,
}

/// All of them.
pub fn cases([common, large, _]: [Card; 3]) -> Vec<Case> {
    let of = |batch, heads, s, t, d| Sizes { batch, heads, s, t, d };
    let none = Mask::None;
    vec![
        // A head that is padded to one that there is; queries and keys of an odd bucket and of a prompt.
        both_ways(Case::new("attention_8", common), of(2, 3, 21, 13, 8), none),
        both_ways(Case::new("attention_40", large), of(1, 2, 135, 77, 40), none),
        both_ways(Case::new("attention_64", large), of(2, 1, 66, 66, 64), none),
        both_ways(Case::new("attention_80", large), of(1, 2, 56, 154, 80), none),
        both_ways(Case::new("attention_64_small_tile", common), of(1, 1, 70, 77, 64), none),
        both_ways(Case::new("attention_72", common), of(1, 1, 37, 21, 72), none),
        both_ways(Case::new("attention_160", common), of(1, 1, 70, 77, 160), none),
        both_ways(Case::new("attention_causal", common), of(1, 2, 77, 77, 64), Mask::Causal),
        forward(Case::new("attention_vae", common), of(1, 1, 70, 70, 512)),
    ]
}

/// Heads lie in [B, tokens, heads, D] on the card and in [B, heads, tokens, D] here.
fn both_ways(mut case: Case, sizes: Sizes, mask: Mask) -> Case {
    let Sizes { batch, heads, s, t, d } = sizes;
    let shapes = [[batch, s, heads, d], [batch, t, heads, d], [batch, t, heads, d], [batch, s, heads, d]];
    let mut own = Vec::new();
    for (shape, salt) in shapes.iter().zip(1..) {
        own.push(numbers(shape.iter().product(), salt, 1.0));
    }
    let there: Vec<_> = own.iter().zip(&shapes).map(|(numbers, shape)| case.given(numbers, shape)).collect();
    let on = &mut case.recording;
    let attended = attend(on, &there[0], &there[1], &there[2], mask).expect("served");
    let output = attended.output(on);
    let found = attended.backward(on, &there[3]).expect("served");

    let inputs = [0, 1, 2].map(|index| tracked(&own[index], shapes[index]));
    let [q, k, v] = inputs.clone().map(|x| x.swap_dims(1, 2));
    let y = attention(q, k, v, mask, WeightDtype::F32).swap_dims(1, 2);
    let dy = tensor(&own[3], shapes[3]).autodiff();
    let mut gradients = (y.clone() * dy).sum().backward();
    // Probabilities and the output.
    case.expect("o", &output, numbers_of(y.inner()), 2);
    // The output, by Σ dy·o; what is made of it and the probabilities; the result.
    for ((x, found), what) in inputs.into_iter().zip(&found).zip(["dq", "dk", "dv"]) {
        case.expect(what, found, numbers_of(x.grad_remove(&mut gradients).expect("tracked")), 3);
    }
    case
}

/// As in the VAE, through which nothing is trained.
fn forward(mut case: Case, sizes: Sizes) -> Case {
    let Sizes { batch, heads, s, t, d } = sizes;
    let shapes = [[batch, s, heads, d], [batch, t, heads, d], [batch, t, heads, d]];
    let own = [0, 1, 2].map(|index| numbers(shapes[index].iter().product(), index as u64 + 1, 1.0));
    let there = [0, 1, 2].map(|index| case.given(&own[index], &shapes[index]));
    let on = &mut case.recording;
    let attended = attend(on, &there[0], &there[1], &there[2], Mask::None).expect("served");
    let output = attended.output(on);
    let [q, k, v] = [0, 1, 2].map(|index| tensor(&own[index], shapes[index]).swap_dims(1, 2));
    let y = attention(q, k, v, Mask::None, WeightDtype::F32).swap_dims(1, 2);
    case.expect("o", &output, numbers_of(y), 2);
    case
}
