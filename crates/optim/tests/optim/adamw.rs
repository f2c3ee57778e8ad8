//! AdamW and gradient clipping against torch (`golden/adamw.safetensors`, written by oracle/optim_adamw.py), and
//! saved states.

use lorabake_optim::adamw::AdamW;
use lorabake_optim::clip::clip_grad_norm;
use lorabake_optim::{Error, Group, Optimizer, State, Trainable};
use lorabake_recipe::optim::optimizer as settings;
use lorabake_testkit::assert_close_max;
use safetensors::SafeTensors;
use serde_json::Value;

const FILE: &[u8] = include_bytes!("../golden/adamw.safetensors");
const TENSORS: usize = 5;
const STEPS: usize = 25;

/// One recorded run.
struct Run<'a> {
    file: SafeTensors<'a>,
    settings: Value,
    name: &'a str,
}

impl<'a> Run<'a> {
    fn open(name: &'a str) -> Self {
        let (_, header) = SafeTensors::read_metadata(FILE).unwrap();
        let runs: Value = serde_json::from_str(&header.metadata().as_ref().unwrap()["runs"]).unwrap();
        Run { file: SafeTensors::deserialize(FILE).unwrap(), settings: runs[name].clone(), name }
    }

    fn f32s(&self, entry: &str) -> Option<Vec<f32>> {
        let view = self.file.tensor(&format!("{}.{entry}", self.name)).ok()?;
        Some(view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect())
    }

    fn f64s(&self, entry: &str) -> Vec<f64> {
        let view = self.file.tensor(&format!("{}.{entry}", self.name)).unwrap();
        view.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
    }

    fn optimizer(&self) -> AdamW {
        let number = |v: &Value| v.as_f64().unwrap();
        let betas = (number(&self.settings["betas"][0]), number(&self.settings["betas"][1]));
        let (eps, weight_decay) = (number(&self.settings["eps"]), number(&self.settings["weight_decay"]));
        AdamW::new(&settings::AdamW { weight_decay, betas, eps })
    }

    fn init(&self) -> Vec<Vec<f32>> {
        (0..TENSORS).map(|i| self.f32s(&format!("init.{i}")).unwrap()).collect()
    }

    fn groups(&self, step: usize) -> [Group; 2] {
        let lr = &self.f64s("lr")[2 * step..];
        [
            Group { lr: lr[0], weight_decay: None, range: 0..2 },
            Group { lr: lr[1], weight_decay: self.settings["group_1_weight_decay"].as_f64(), range: 2..TENSORS },
        ]
    }

    fn grads(&self, step: usize) -> Vec<Option<Vec<f32>>> {
        (0..TENSORS).map(|i| self.f32s(&format!("grad.{step}.{i}"))).collect()
    }

    /// Clips as the run did, and updates.
    fn step(&self, optimizer: &mut AdamW, values: &mut [Vec<f32>], step: usize) -> (f64, Vec<Option<Vec<f32>>>) {
        let mut grads = self.grads(step);
        let norm = clip_grad_norm(&mut grads, self.settings["max_norm"].as_f64().unwrap());
        let pairs = values.iter_mut().zip(&grads);
        let mut params: Vec<_> =
            pairs.map(|(value, grad)| Trainable { value, shape: &[], grad: grad.as_deref() }).collect();
        optimizer.step(&mut params, &self.groups(step));
        (norm, grads)
    }
}

/// A few units in the last place: torch contracts some products and sums into one rounding.
const TOLERANCE: f64 = 5e-7;

#[test]
fn equals_torch_for_25_steps() {
    for name in ["a", "b"] {
        let run = Run::open(name);
        let (mut optimizer, mut values) = (run.optimizer(), run.init());
        let mut without_grad = 0;
        for step in 0..STEPS {
            let (_, grads) = run.step(&mut optimizer, &mut values, step);
            without_grad += grads[..4].iter().filter(|grad| grad.is_none()).count();
            for (i, value) in values.iter().enumerate() {
                let expected = run.f32s(&format!("value.{step}.{i}")).unwrap();
                assert_close_max(&format!("run {name} step {step} tensor {i}"), value, &expected, TOLERANCE);
            }
        }
        assert_eq!(without_grad, 8 + 6);
        // Never had a gradient: neither moved nor decayed, and without state.
        assert_eq!(values[4], run.init()[4]);
        let state = optimizer.state();
        assert_eq!((state.tensors.len(), state.scalars.len()), (8, 4));
        let steps: Vec<f64> = (0..4).map(|i| state.scalars[&format!("step.{i}")]).collect();
        assert_eq!(steps, run.f64s("steps"));
        for (entry, tensor) in &state.tensors {
            assert_close_max(&format!("run {name} {entry}"), tensor, &run.f32s(entry).unwrap(), TOLERANCE);
        }
    }
}

#[test]
fn clipping_equals_torch() {
    let run = Run::open("b");
    let (mut optimizer, mut values, norms) = (run.optimizer(), run.init(), run.f64s("norm"));
    let mut clipped = 0;
    for (step, expected) in norms.iter().enumerate() {
        let (norm, grads) = run.step(&mut optimizer, &mut values, step);
        assert!((norm / expected - 1.0).abs() < 1e-6, "step {step}: {norm} is not {expected}");
        clipped += usize::from(norm > 0.7);
        for (i, grad) in grads.iter().enumerate() {
            match (grad, run.f32s(&format!("clipped.{step}.{i}"))) {
                (Some(grad), Some(expected)) => {
                    assert_close_max(&format!("step {step} gradient {i}"), grad, &expected, TOLERANCE);
                }
                (grad, expected) => assert_eq!(grad.is_some(), expected.is_some(), "step {step} gradient {i}"),
            }
        }
    }
    assert!(clipped > 5 && norms.len() == STEPS, "{clipped} of {} steps clipped", norms.len());
}

#[test]
fn a_loaded_state_goes_on_bit_for_bit() {
    let run = Run::open("a");
    let (mut whole, mut values) = (run.optimizer(), run.init());
    for step in 0..5 {
        run.step(&mut whole, &mut values, step);
    }
    let mut resumed = run.optimizer();
    let mut resumed_values = values.clone();
    let sizes: Vec<[usize; 1]> = values.iter().map(|value| [value.len()]).collect();
    let sizes: Vec<&[usize]> = sizes.iter().map(<[usize; 1]>::as_slice).collect();
    resumed.load_state(whole.state(), &sizes).unwrap();
    assert_eq!(resumed.state(), whole.state());
    for step in 5..STEPS {
        run.step(&mut whole, &mut values, step);
        run.step(&mut resumed, &mut resumed_values, step);
    }
    assert_eq!(resumed_values, values);
    assert_eq!(resumed.state(), whole.state());
}

#[test]
fn large_tensors_are_updated_like_small_ones() {
    const N: usize = 100_000;
    let grad: Vec<f32> = (0..N).map(|i| (i as f32 * 0.7).sin()).collect();
    let (mut value, mut pieces) = (vec![0.5f32; N], vec![0.5f32; N]);
    let mut optimizer = AdamW::new(&settings::AdamW::default());
    let mut piecewise = optimizer.clone();
    for _ in 0..3 {
        let group = |range| [Group { lr: 1e-3, weight_decay: None, range }];
        optimizer.step(&mut [Trainable { value: &mut value, shape: &[], grad: Some(&grad) }], &group(0..1));
        let chunks = pieces.chunks_mut(1000).zip(grad.chunks(1000));
        let mut params: Vec<_> =
            chunks.map(|(value, grad)| Trainable { value, shape: &[], grad: Some(grad) }).collect();
        // One group of 100 small tensors (threads over tensors) against one large one (threads inside it).
        piecewise.step(&mut params, &group(0..100));
    }
    assert_eq!(value, pieces);
    assert!(value[5] != 0.5);
}

#[test]
fn wrong_states_are_refused_and_change_nothing() {
    let run = Run::open("a");
    let (mut optimizer, mut values) = (run.optimizer(), run.init());
    run.step(&mut optimizer, &mut values, 0);
    let good = optimizer.state();
    let sizes: Vec<[usize; 1]> = values.iter().map(|value| [value.len()]).collect();
    let sizes: Vec<&[usize]> = sizes.iter().map(<[usize; 1]>::as_slice).collect();
    let mut refuse = |change: &dyn Fn(&mut State), sizes: &[&[usize]]| {
        let mut state = good.clone();
        change(&mut state);
        let error = optimizer.load_state(state, sizes).unwrap_err();
        assert_eq!(optimizer.state(), good);
        error
    };
    let name = || "exp_avg.0".to_owned();
    assert_eq!(refuse(&|s| drop(s.tensors.remove("exp_avg.0")), &sizes), Error::StateMissing(name()));
    assert_eq!(refuse(&|s| assert!(s.scalars.remove("step.0").is_some()), &sizes), Error::StateUnknown(name()));
    let other: [&[usize]; 5] = [&[8], &[15], &[1], &[64], &[33]];
    assert_eq!(refuse(&|_| (), &other), Error::StateSize { name: name(), found: 7, expected: 8 });
    assert_eq!(refuse(&|_| (), &sizes[..1]), Error::StateUnknown("exp_avg.1".into()));
    for value in [0.5, -1.0, f64::NAN, 1e300] {
        let error = refuse(&|s| assert!(s.scalars.insert("step.0".into(), value).is_some()), &sizes);
        assert!(matches!(error, Error::StateStep { .. }), "{error}");
    }
}
