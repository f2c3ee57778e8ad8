//! Times one operation at a time, as asked on stdin; `operations.py` asks, and times PyTorch in turn.
//!
//! A line is `kind precision sizes..`, the answer the seconds of one forward and one backward pass.
//! `exit` or the end of stdin ends it.

use std::io::{BufRead, Write};
use std::sync::OnceLock;
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use lorabake_ops::{
    ConvShape, FrozenConv, FrozenLinear, FrozenMatrix, Mask, WeightDtype, attention, keep_memory, with_busy_pool,
};
use rayon::prelude::*;

fn main() {
    keep_memory();
    let threads = std::env::args().skip(1).find_map(|word| word.parse().ok());
    if let Some(threads) = threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("the first pool");
    }
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("stdin is text");
        let words: Vec<&str> = line.split_whitespace().collect();
        let [kind, precision, sizes @ ..] = &words[..] else { break };
        let dtype = if *precision == "bf16" { WeightDtype::Bf16 } else { WeightDtype::F32 };
        let sizes: Vec<usize> = sizes.iter().map(|size| size.parse().expect("a size")).collect();
        let [forward, backward] = match (*kind, &sizes[..]) {
            ("linear", &[m, k, n]) => linear([m, k, n], dtype),
            ("lora", &[m, k, n, rank]) => lora([m, k, n, rank], dtype),
            ("conv", &[inputs, outputs, kernel, stride, side]) => {
                conv(ConvShape { inputs, outputs, kernel, stride, padding: kernel / 2 }, side, dtype)
            }
            ("attention", &[heads, s, t, d]) => attend([heads, s, t, d], dtype),
            _ => panic!("what is `{line}`?"),
        };
        println!("{forward} {backward}");
        std::io::stdout().flush().expect("stdout takes text");
    }
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), &Device::flex())
}

fn matrix(rows: usize, columns: usize, dtype: WeightDtype) -> FrozenMatrix {
    let values = random([rows, columns]).into_data().try_into_vec().expect("f32");
    FrozenMatrix::new(rows, columns, values, dtype)
}

/// Reads more memory than the caches hold: in a training step, a gigabyte of other weights passes between two uses of one.
fn empty_caches() {
    const LARGER: usize = 64 << 20;
    static PASSING: OnceLock<Vec<u8>> = OnceLock::new();
    let numbers = PASSING.get_or_init(|| vec![1; LARGER]);
    let lines = numbers.par_chunks(64).map(|line| u64::from(line[0]));
    std::hint::black_box(lines.sum::<u64>());
}

/// Seconds of a pass forward and one back through `f`, whose inputs are all tracked. What was made before, such as the
/// weight, has left the caches at the beginning of either.
fn time<const D: usize, const E: usize>(
    inputs: Vec<Tensor<D>>,
    f: impl Fn(&[Tensor<D>]) -> Tensor<E> + Sync,
) -> [f64; 2] {
    let inputs: Vec<_> = inputs.into_iter().map(|x| x.autodiff().require_grad()).collect();
    with_busy_pool(|| {
        empty_caches();
        let start = Instant::now();
        let y = f(&inputs);
        let forward = start.elapsed().as_secs_f64();
        let sum = y.sum();
        empty_caches();
        let start = Instant::now();
        let gradients = sum.backward();
        let backward = start.elapsed().as_secs_f64();
        assert!(inputs[0].grad(&gradients).is_some());
        [forward, backward]
    })
}

fn linear([m, k, n]: [usize; 3], dtype: WeightDtype) -> [f64; 2] {
    let layer = FrozenLinear::new(matrix(n, k, dtype), None);
    time(vec![random([m, k])], |x| layer.forward(x[0].clone()))
}

fn lora([m, k, n, rank]: [usize; 4], dtype: WeightDtype) -> [f64; 2] {
    let layer = FrozenLinear::new(matrix(n, k, dtype), None);
    let inputs = vec![random([m, k]), random([rank, k]), random([n, rank])];
    time(inputs, |t| layer.forward_low_rank(t[0].clone(), &t[1], &t[2], 0.5))
}

fn conv(shape: ConvShape, side: usize, dtype: WeightDtype) -> [f64; 2] {
    let layer = FrozenConv::new(shape, matrix(shape.outputs, shape.patch(), dtype), None);
    time(vec![random([1, shape.inputs, side, side])], |x| layer.forward(x[0].clone()))
}

fn attend([heads, s, t, d]: [usize; 4], dtype: WeightDtype) -> [f64; 2] {
    // From tokens to tokens, as between the linear layers of a transformer.
    let apart = |x: &Tensor<3>| {
        let [_, length, _] = x.dims();
        x.clone().reshape([1, length, heads, d]).swap_dims(1, 2)
    };
    let inputs = vec![random([1, s, heads * d]), random([1, t, heads * d]), random([1, t, heads * d])];
    let together = |y: Tensor<4>| y.swap_dims(1, 2).reshape([1, s, heads * d]);
    time(inputs, |x| together(attention(apart(&x[0]), apart(&x[1]), apart(&x[2]), Mask::None, dtype)))
}
