//! Every kind of adapter beside its formula, written out number by number.

use std::collections::BTreeMap;

use lorabake_surgery::kind::{Base, Module, WeightShape};
use lorabake_surgery::matrix::Matrix;
use lorabake_weights::lora::ModuleTensor;

use crate::made::{Noise, apart};

const OUTPUTS: usize = 8;
const INPUTS: usize = 12;

fn shape(taps: usize) -> WeightShape {
    WeightShape { outputs: OUTPUTS, inputs: INPUTS, taps }
}

/// Tensors of noise; `alpha` is 3.
fn tensors(shapes: &[(&str, &[usize])]) -> BTreeMap<String, ModuleTensor> {
    let mut noise = Noise(7);
    let mut tensors = BTreeMap::new();
    for (name, shape) in shapes {
        let values = noise.values(shape.iter().product(), 0.5);
        tensors.insert((*name).to_string(), ModuleTensor { shape: shape.to_vec(), values });
    }
    tensors.insert("alpha".into(), ModuleTensor { shape: vec![], values: vec![3.0] });
    tensors
}

fn weight(taps: usize) -> Matrix {
    Matrix::new(OUTPUTS, INPUTS * taps, Noise(9).values(OUTPUTS * INPUTS * taps, 1.0))
}

fn delta(tensors: &BTreeMap<String, ModuleTensor>, taps: usize) -> Matrix {
    let module = Module::fit(tensors, Some(shape(taps))).unwrap();
    module.delta(Some(Base { weight: &weight(taps), shape: shape(taps) })).unwrap().unwrap()
}

/// The number of a delta by output, input and tap.
fn check(got: &Matrix, taps: usize, want: impl Fn(usize, usize, usize) -> f32) {
    let mut wanted = Vec::new();
    for output in 0..OUTPUTS {
        for input in 0..INPUTS {
            wanted.extend((0..taps).map(|tap| want(output, input, tap)));
        }
    }
    assert!(apart(&got.values, &wanted) < 1e-5, "{}", apart(&got.values, &wanted));
}

#[test]
fn lora_in_the_tucker_form() {
    let set = tensors(&[
        ("lora_up.weight", &[OUTPUTS, 3, 1, 1]),
        ("lora_down.weight", &[2, INPUTS, 1, 1]),
        ("lora_mid.weight", &[3, 2, 3, 3]),
    ]);
    let (up, down, mid) = (&set["lora_up.weight"], &set["lora_down.weight"], &set["lora_mid.weight"]);
    check(&delta(&set, 9), 9, |output, input, tap| {
        let mut sum = 0.0;
        for i in 0..3 {
            for j in 0..2 {
                sum += mid.values[(i * 2 + j) * 9 + tap] * up.values[output * 3 + i] * down.values[j * INPUTS + input];
            }
        }
        // alpha ÷ the rows of down.
        sum * 1.5
    });
}

#[test]
fn lokr_with_both_factors_decomposed_and_a_core() {
    let set = tensors(&[
        ("lokr_w1_a", &[4, 2]),
        ("lokr_w1_b", &[2, 3]),
        ("lokr_w2_a", &[2, 2]),
        ("lokr_w2_b", &[2, 4]),
        ("lokr_t2", &[2, 2, 3, 3]),
    ]);
    let value = |name: &str, place: usize| set[name].values[place];
    check(&delta(&set, 9), 9, |output, input, tap| {
        let (row, column) = (output / 2, input / 4);
        let first: f32 = (0..2).map(|r| value("lokr_w1_a", row * 2 + r) * value("lokr_w1_b", r * 3 + column)).sum();
        let mut second = 0.0;
        for i in 0..2 {
            for j in 0..2 {
                let core = value("lokr_t2", (i * 2 + j) * 9 + tap);
                second += core * value("lokr_w2_a", i * 2 + output % 2) * value("lokr_w2_b", j * 4 + input % 4);
            }
        }
        1.5 * first * second
    });
}

#[test]
fn ia3_scales_outputs_or_inputs() {
    for (on_input, count) in [(1.0, INPUTS), (0.0, OUTPUTS)] {
        let mut set = tensors(&[("weight", &[1, count, 1, 1])]);
        set.insert("on_input".into(), ModuleTensor { shape: vec![], values: vec![on_input] });
        let numbers = set["weight"].values.clone();
        check(&delta(&set, 9), 9, |output, input, tap| {
            let number = if on_input == 1.0 { numbers[input] } else { numbers[output] };
            weight(9).values[(output * INPUTS + input) * 9 + tap] * number
        });
    }
}

#[test]
fn dora_keeps_magnitudes_along_either_axis() {
    for (sizes, is_output) in [([OUTPUTS, 1], true), ([1, INPUTS], false)] {
        let set =
            tensors(&[("lora_up.weight", &[OUTPUTS, 2]), ("lora_down.weight", &[2, INPUTS]), ("dora_scale", &sizes)]);
        let changed = delta(&set, 1);
        for place in 0..if is_output { OUTPUTS } else { INPUTS } {
            let mut square = 0.0;
            for other in 0..if is_output { INPUTS } else { OUTPUTS } {
                let at = if is_output { place * INPUTS + other } else { other * INPUTS + place };
                square += (changed.values[at] + weight(1).values[at]).powi(2);
            }
            assert!((square.sqrt() - set["dora_scale"].values[place].abs()).abs() < 1e-5);
        }
    }
}

#[test]
fn glora_in_both_forms() {
    let set = tensors(&[
        ("a1.weight", &[INPUTS, 2, 1, 1]),
        ("a2.weight", &[2, INPUTS, 1, 1]),
        ("b1.weight", &[OUTPUTS, 2, 1, 1]),
        ("b2.weight", &[2, INPUTS, 3, 3]),
    ]);
    let value = |name: &str, place: usize| set[name].values[place];
    check(&delta(&set, 9), 9, |output, input, tap| {
        let mut sum = 0.0;
        for rank in 0..2 {
            sum += value("b1.weight", output * 2 + rank) * value("b2.weight", (rank * INPUTS + input) * 9 + tap);
            for inner in 0..INPUTS {
                let own = weight(9).values[(output * INPUTS + inner) * 9 + tap];
                sum += own * value("a1.weight", inner * 2 + rank) * value("a2.weight", rank * INPUTS + input);
            }
        }
        1.5 * sum
    });
    // The web UI's form has each pair the other way round and no alpha.
    let now = tensors(&[
        ("a1.weight", &[INPUTS, 2]),
        ("a2.weight", &[2, INPUTS]),
        ("b1.weight", &[OUTPUTS, 2]),
        ("b2.weight", &[2, INPUTS]),
    ]);
    let mut first = now.clone();
    for (name, other) in [("a1.weight", "a2.weight"), ("b1.weight", "b2.weight")] {
        first.insert(name.into(), now[other].clone());
        first.insert(other.into(), now[name].clone());
    }
    let want = delta(&now, 1).scaled(1.0 / 1.5);
    assert!(apart(&delta(&first, 1).values, &want.values) < 1e-5);
}

#[test]
fn rotations_keep_lengths_and_constraints_hold_them_small() {
    let mut turned = Vec::new();
    for (name, sizes) in [("OFT", vec![2, 4, 4]), ("BOFT", vec![2, 2, 4, 4])] {
        let mut set = tensors(&[("oft_blocks", &sizes)]);
        for alpha in [0.0, 1e-3] {
            set.insert("alpha".into(), ModuleTensor { shape: vec![], values: vec![alpha] });
            let change = delta(&set, 1);
            let mut rotated = change.clone();
            rotated.add(1.0, &weight(1));
            for column in 0..INPUTS {
                let length = |matrix: &Matrix| (0..OUTPUTS).map(|row| matrix.row(row)[column].powi(2)).sum::<f32>();
                assert!((length(&rotated) - length(&weight(1))).abs() < 1e-4, "{name}");
            }
            turned.push(change.norm());
        }
    }
    assert!(turned[1] < 0.1 * turned[0] && turned[3] < 0.1 * turned[2] && turned[1] > 0.0, "{turned:?}");
}

#[test]
fn sparse_differences_are_added_before_the_scale() {
    let mut set = tensors(&[("lora_up.weight", &[OUTPUTS, 2]), ("lora_down.weight", &[2, INPUTS])]);
    let plain = delta(&set, 1);
    let put = |set: &mut BTreeMap<String, ModuleTensor>, name: &str, shape: Vec<usize>, values: Vec<f32>| {
        set.insert(name.into(), ModuleTensor { shape, values });
    };
    put(&mut set, "bias_indices", vec![2, 2], vec![0.0, 7.0, 3.0, 11.0]);
    put(&mut set, "bias_values", vec![2], vec![1.0, -2.0]);
    put(&mut set, "bias_size", vec![2], vec![OUTPUTS as f32, INPUTS as f32]);
    let mut more = delta(&set, 1);
    more.add(-1.0, &plain);
    assert!((more.values[3] - 1.5).abs() < 1e-6 && (more.values[OUTPUTS * INPUTS - 1] + 3.0).abs() < 1e-6);
    assert!((more.norm() - f64::hypot(1.5, 3.0)).abs() < 1e-5);
    put(&mut set, "bias_indices", vec![2, 2], vec![0.0, 8.0, 3.0, 11.0]);
    assert!(Module::fit(&set, Some(shape(1))).unwrap_err().contains("sparse"));
}
