//! Every optimizer but AdamW against its author's package (`golden/NAME.safetensors`, written by
//! oracle/optim_golden.py, which says what is in them), and what a saved state has to do.

use lorabake_optim::{Group, Optimizer, State, Trainable, build, signed_map, unsigned_map};
use lorabake_recipe::optim::optimizer;
use lorabake_testkit::{relative_change_error, relative_max_error};
use safetensors::SafeTensors;
use serde_json::Value;

const STEPS: usize = 25;
/// Tensors of the first group.
const SPLIT: usize = 3;
const SHAPES: [&[usize]; 8] = [&[7], &[3, 5], &[1], &[4, 16], &[6, 2, 3, 3], &[8, 4, 1, 1], &[33], &[68, 64]];

/// The recorded runs of one optimizer.
struct Golden {
    bytes: Vec<u8>,
    name: &'static str,
}

/// One of them.
struct Run<'a> {
    file: SafeTensors<'a>,
    name: &'static str,
    label: String,
    args: Vec<String>,
    learning_rate: f64,
    tensors: usize,
}

impl Golden {
    fn open(name: &'static str) -> Self {
        let path = format!("{}/tests/golden/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
        Self { bytes: std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}")), name }
    }

    fn runs(&self) -> Vec<Run<'_>> {
        let (_, header) = SafeTensors::read_metadata(&self.bytes).unwrap();
        let runs: Value = serde_json::from_str(&header.metadata().as_ref().unwrap()["runs"]).unwrap();
        let run = |(label, run): (&String, &Value)| Run {
            file: SafeTensors::deserialize(&self.bytes).unwrap(),
            name: self.name,
            label: label.clone(),
            args: run["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap().to_owned()).collect(),
            learning_rate: run["learning_rate"].as_f64().unwrap_or(1.0),
            tensors: run["tensors"].as_u64().unwrap() as usize,
        };
        runs.as_object().unwrap().iter().map(run).collect()
    }
}

impl Run<'_> {
    fn f32s(&self, entry: &str) -> Option<Vec<f32>> {
        let view = self.file.tensor(&format!("{}.{entry}", self.label)).ok()?;
        Some(view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect())
    }

    fn f64s(&self, entry: &str) -> Option<Vec<f64>> {
        let view = self.file.tensor(&format!("{}.{entry}", self.label)).ok()?;
        Some(view.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect())
    }

    fn optimizer(&self) -> Box<dyn Optimizer> {
        let mut settings = optimizer::Optimizer::named(self.name).unwrap();
        for arg in &self.args {
            let (key, value) = arg.split_once('=').unwrap();
            // What sd-scripts itself sets.
            settings.set(key, value).unwrap_or_else(|| panic!("{}: {arg}", self.name));
        }
        build(&settings, self.learning_rate)
    }

    fn init(&self) -> Vec<Vec<f32>> {
        let large = |i| self.f32s(&format!("noise.{i}")).unwrap().iter().map(|x| x * 0.0078125).collect();
        (0..self.tensors).map(|i| self.f32s(&format!("init.{i}")).unwrap_or_else(|| large(i))).collect()
    }

    fn grad(&self, step: usize, i: usize) -> Option<Vec<f32>> {
        if (i == 1 && step % 3 == 2) || (i == 2 && step < 6) || i == 6 {
            return None;
        }
        let noise = self.f32s(&format!("noise.{i}")).unwrap();
        let bias = self.f32s(&format!("bias.{i}")).unwrap_or_else(|| vec![0.0; noise.len()]);
        let scale = 0.5f32.powi(step as i32 % 5);
        let rolled = (0..noise.len()).map(|at| noise[(at + noise.len() - 37 * step % noise.len()) % noise.len()]);
        Some(bias.iter().zip(rolled).map(|(bias, noise)| bias + noise * scale).collect())
    }

    fn step(&self, optimizer: &mut dyn Optimizer, values: &mut [Vec<f32>], step: usize) {
        let grads: Vec<Option<Vec<f32>>> = (0..self.tensors).map(|i| self.grad(step, i)).collect();
        let parts = values.iter_mut().zip(SHAPES).zip(&grads);
        let mut params: Vec<_> =
            parts.map(|((value, shape), grad)| Trainable { value, shape, grad: grad.as_deref() }).collect();
        optimizer.step(&mut params, &self.groups(step));
    }

    fn groups(&self, step: usize) -> [Group; 2] {
        let lr = &self.f64s("lr").unwrap()[2 * step..];
        let group = |lr, range| Group { lr, weight_decay: None, range };
        [group(lr[0], 0..SPLIT), group(lr[1], SPLIT..self.tensors)]
    }

    fn shapes(&self) -> &'static [&'static [usize]] {
        &SHAPES[..self.tensors]
    }
}

/// Replays every run; returns the largest distances of the values and of d.
fn replay(name: &'static str) -> (f64, f64) {
    let golden = Golden::open(name);
    let (mut values_off, mut d_off, mut compared) = (0f64, 0f64, 0);
    for run in golden.runs() {
        let (mut optimizer, mut values) = (run.optimizer(), run.init());
        let (start, ds) = (run.init(), run.f64s("d"));
        assert_eq!(optimizer.d().is_some(), ds.is_some(), "{name}");
        for step in 0..STEPS {
            if let Some(ds) = &ds {
                d_off = d_off.max((optimizer.d().unwrap() / ds[step] - 1.0).abs());
            }
            run.step(optimizer.as_mut(), &mut values, step);
            for (i, value) in values.iter().enumerate() {
                let Some(expected) = run.f32s(&format!("value.{step}.{i}")) else { continue };
                if i == 6 {
                    assert_eq!(value, &expected, "{name} {}: moved without a gradient", run.label);
                } else {
                    let off = relative_change_error(value, &expected, &start[i]);
                    assert!(off < 1e-3, "{name} {} step {step} tensor {i}: off by {off:e}", run.label);
                    values_off = values_off.max(off);
                    compared += 1;
                }
            }
        }
        check_codes(&run, &optimizer.state());
        check_resuming(&run);
    }
    assert!(compared > 40, "{name}: only {compared} tensors compared");
    println!("{name:<20} values {values_off:.1e}  d {d_off:.1e}");
    (values_off, d_off)
}

/// States in 8 bits: the codes themselves.
fn check_codes(run: &Run, state: &State) {
    for (j, kind) in [(0, ["exp_avg", "momentum_buffer"]), (1, ["exp_avg_sq", ""])] {
        for i in 0..run.tensors {
            let Ok(expected) = run.file.tensor(&format!("{}.codes.{j}.{i}", run.label)) else { continue };
            let own = kind.iter().find_map(|kind| state.bytes.get(&format!("{kind}.{i}"))).unwrap();
            let differ = own.iter().zip(expected.data()).filter(|(a, b)| a != b).count();
            assert_eq!((own.len(), differ), (expected.data().len(), 0), "{} {} tensor {i}", run.name, run.label);
            let name = kind.iter().find_map(|kind| state.tensors.get(&format!("{kind}.absmax.{i}"))).unwrap();
            let expected = run.f32s(&format!("absmax.{j}.{i}")).unwrap();
            assert!(relative_max_error(name, &expected) < 1e-6, "{} absmax {i}", run.name);
        }
    }
}

/// A state taken out, and put into a fresh optimizer, goes on bit for bit; one of other trainables is refused.
fn check_resuming(run: &Run) {
    let (mut whole, mut values) = (run.optimizer(), run.init());
    for step in 0..11 {
        run.step(whole.as_mut(), &mut values, step);
    }
    let (mut resumed, mut resumed_values) = (run.optimizer(), values.clone());
    resumed.load_state(whole.state(), run.shapes()).unwrap();
    assert_eq!(resumed.state(), whole.state());
    let before = resumed.state();
    assert!(resumed.load_state(whole.state(), &SHAPES[1..]).is_err(), "{}: other shapes", run.name);
    let mut strange = whole.state();
    strange.scalars.insert("strange".into(), 1.0);
    assert!(resumed.load_state(strange, run.shapes()).is_err(), "{}: unknown entry", run.name);
    assert_eq!(resumed.state(), before, "{}: a refused state changes nothing", run.name);
    for step in 11..STEPS {
        run.step(whole.as_mut(), &mut values, step);
        run.step(resumed.as_mut(), &mut resumed_values, step);
    }
    assert_eq!(resumed_values, values, "{}", run.name);
    assert_eq!(resumed.state(), whole.state());
}

macro_rules! equals_its_package {
    ($($test:ident: $name:literal, $values:literal, $d:literal;)*) => {$(
        #[test]
        fn $test() {
            let (values, d) = replay($name);
            assert!(values <= $values && d <= $d, "values off by {values:e}, d by {d:e}");
        }
    )*};
}

// Bounds a few times what was measured; the packages add up in f32, we in f64.
equals_its_package! {
    lion: "Lion", 1e-6, 0.0;
    sgd_nesterov: "SGDNesterov", 1e-6, 0.0;
    dadapt_adam_preprint: "DAdaptAdamPreprint", 1e-5, 1e-5;
    dadapt_adam: "DAdaptAdam", 1e-5, 1e-5;
    dadapt_adagrad: "DAdaptAdaGrad", 1e-5, 1e-5;
    dadapt_adan: "DAdaptAdan", 1e-5, 1e-5;
    dadapt_sgd: "DAdaptSGD", 1e-5, 1e-5;
    dadapt_lion: "DAdaptLion", 1e-5, 1e-5;
    adafactor: "AdaFactor", 1e-5, 0.0;
    prodigy: "Prodigy", 1e-5, 1e-5;
    adamw_8bit: "AdamW8bit", 1e-6, 0.0;
    lion_8bit: "Lion8bit", 1e-6, 0.0;
    sgd_nesterov_8bit: "SGDNesterov8bit", 1e-6, 0.0;
}

#[test]
fn the_maps_are_those_of_bitsandbytes() {
    let golden = Golden::open("blockwise");
    let file = SafeTensors::deserialize(&golden.bytes).unwrap();
    for (name, map) in [("signed", signed_map()), ("unsigned", unsigned_map())] {
        let view = file.tensor(&format!("{name}.map")).unwrap();
        let expected: Vec<f32> =
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(map.values.as_slice(), expected, "{name}");
    }
}

#[test]
fn adafactor_reports_its_own_rates() {
    let golden = Golden::open("AdaFactor");
    let runs = golden.runs();
    let (mut optimizer, mut values) = (runs[0].optimizer(), runs[0].init());
    assert_eq!(optimizer.own_rates(&runs[0].groups(0)), None);
    runs[0].step(optimizer.as_mut(), &mut values, 0);
    let rms = |values: &[f32]| (values.iter().map(|x| x * x).sum::<f32>() / values.len() as f32).sqrt();
    let expected = [0, SPLIT].map(|i| f64::from(rms(&runs[0].init()[i])) * 1e-6);
    for (rate, expected) in optimizer.own_rates(&runs[0].groups(0)).unwrap().iter().zip(expected) {
        assert!((rate / expected - 1.0).abs() < 1e-5, "{rate} is not {expected}");
    }
    // Rates from outside.
    let (mut optimizer, mut values) = (runs[2].optimizer(), runs[2].init());
    runs[2].step(optimizer.as_mut(), &mut values, 0);
    assert_eq!(optimizer.own_rates(&runs[2].groups(0)), None);
}
