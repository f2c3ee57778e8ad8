//! A layer of CLIP's text encoder with LoRAs, as `model/clip` composes it: causal attention, and a feed forward with QuickGELU.

use lorabake_ops::cuda::Launcher;
use lorabake_ops::cuda::activations::{Curve, curved, curved_backward};
use lorabake_ops::{Mask, quick_gelu};

use super::super::case::{Case, numbers, numbers_of, tensor, tracked};
use super::adapted::Adapted;
use super::transformer::{Attention, Heads, layer_norm};

/// Forward and backward.
pub fn layer(mut case: Case) -> Case {
    let channels = 96;
    let shape = [2, 77, channels];
    let x = numbers(shape.iter().product(), 1, 1.0);
    let dy = numbers(shape.iter().product(), 2, 1.0);
    let (norm1, card_norm1) = layer_norm(&mut case, channels, 10);
    let (norm2, card_norm2) = layer_norm(&mut case, channels, 12);
    let heads = Heads { channels, heads: 3, source: channels, mask: Mask::Causal };
    let attention = Attention::new(&mut case, heads, 20);
    let fc1 = Adapted::new(&mut case, [channels, 4 * channels], true, 40);
    let fc2 = Adapted::new(&mut case, [4 * channels, channels], true, 50);

    let x_there = case.given(&x, &shape);
    let dy_there = case.given(&dy, &shape);
    let on = &mut case.recording;
    let mut kept = Vec::new();
    let normed = card_norm1.forward(on, &x_there).expect("served");
    let (y, attended) = attention.launched(on, &normed, &normed, &mut kept);
    let x2 = on.sum(&x_there, &y);
    let normed = card_norm2.forward(on, &x2).expect("served");
    let wide = fc1.launched(on, &normed, &mut kept);
    let active = curved(on, Curve::QuickGelu, &wide).expect("served");
    let y = fc2.launched(on, &active, &mut kept);
    let y_there = on.sum(&x2, &y);
    let mut found = Vec::new();
    let back = fc2.launched_back(on, &dy_there, &mut kept, &mut found);
    let back = curved_backward(on, Curve::QuickGelu, &wide, &back).expect("served");
    let back = fc1.launched_back(on, &back, &mut kept, &mut found);
    let back = card_norm2.backward(on, &x2, &back).expect("served");
    let dx2 = on.sum(&dy_there, &back);
    let [dx, by_keys, by_values] = attention.launched_back(on, &dx2, &attended, &mut kept, &mut found);
    let back = on.sum(&dx, &by_keys);
    let back = on.sum(&back, &by_values);
    let back = card_norm1.backward(on, &x_there, &back).expect("served");
    let dx_there = on.sum(&dx2, &back);

    let x = tracked(&x, shape);
    let normed = norm1.forward(x.clone());
    let h = x.clone() + attention.forward(normed.clone(), normed);
    let y = h.clone() + fc2.forward(quick_gelu(fc1.forward(norm2.forward(h))));
    let mut gradients = (y.clone() * tensor(&dy, shape).autodiff()).sum().backward();
    // Norm, rank, q, probabilities, output, rank, layer, sum; norm, rank, layer, curve, rank, layer, sum.
    let forward = 8 + 7;
    case.expect("y", &y_there, numbers_of(y.inner()), forward);
    case.expect("dx", &dx_there, numbers_of(x.grad_remove(&mut gradients).expect("tracked")), 2 * forward);
    let mut layers = vec![&fc2, &fc1];
    layers.extend(attention.backwards());
    for (layer, pair) in layers.into_iter().zip(found.chunks_exact(2)) {
        let [down, up] = layer.gradients(&mut gradients);
        case.expect("d down", &pair[0], down, 2 * forward);
        case.expect("d up", &pair[1], up, 2 * forward);
    }
    case
}
