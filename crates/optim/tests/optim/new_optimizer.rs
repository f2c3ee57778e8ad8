//! An optimizer is added in three places: a row among those of `recipe`, a file of arithmetic, and a row of `build` here
//! in `optim`. This test adds a toy in just these places, and everything that asks about optimizers knows it.

use lorabake_optim::{Group, Optimizer, Trainable};
use lorabake_recipe::optim::setting::Setting;

/// The row in `recipe/optim/optimizer.rs`, beside that of an optimizer that is there already.
mod settings {
    lorabake_recipe::optimizers! {
        /// torch.optim.SGD without momentum: a row that is there already.
        Plain {
            class: "torch.optim.sgd.SGD",
            adapts: false,
            state_bytes: |_| 0.0,
            unsupported: ["maximize"],
            settings: {
                /// Coupled weight decay.
                weight_decay: f64 = 0.0,
            }
        }
        /// The toy: steps of one size against the sign of the summed gradients.
        SignSum {
            class: "toys.SignSum",
            adapts: true,
            state_bytes: |own| if own.keep > 0.0 { 4.0 } else { 0.0 },
            unsupported: ["foreach", "fused"],
            settings: {
                /// Share of the sum that is kept.
                keep: f64 = 0.5,
                /// Steps that are passed over at first.
                warm: u64 = 0,
            }
        }
    }
}

/// The file `optim/src/plain.rs`, which is there already.
mod plain {
    use lorabake_optim::{Error, Group, Optimizer, State, Trainable};

    pub struct Plain;

    impl Plain {
        pub fn new(_settings: &super::settings::Plain) -> Self {
            Self
        }
    }

    impl Optimizer for Plain {
        fn step(&mut self, params: &mut [Trainable], groups: &[Group]) {
            for group in groups {
                for param in &mut params[group.range.clone()] {
                    for (value, grad) in param.value.iter_mut().zip(param.grad.unwrap_or_default()) {
                        *value -= group.lr as f32 * grad;
                    }
                }
            }
        }

        fn state(&self) -> State {
            State::default()
        }

        fn load_state(&mut self, _state: State, _shapes: &[&[usize]]) -> Result<(), Error> {
            Ok(())
        }
    }
}

/// The file `optim/src/sign_sum.rs`.
mod sign_sum {
    use lorabake_optim::{Error, Group, Optimizer, State, Trainable};

    pub struct SignSum {
        settings: super::settings::SignSum,
        sums: Vec<Vec<f32>>,
    }

    impl SignSum {
        pub fn new(settings: &super::settings::SignSum) -> Self {
            Self { settings: settings.clone(), sums: Vec::new() }
        }
    }

    impl Optimizer for SignSum {
        fn step(&mut self, params: &mut [Trainable], groups: &[Group]) {
            self.sums.resize(params.len(), Vec::new());
            for group in groups {
                for index in group.range.clone() {
                    let param = &mut params[index];
                    let sum = &mut self.sums[index];
                    sum.resize(param.value.len(), 0.0);
                    for ((value, grad), sum) in param.value.iter_mut().zip(param.grad.unwrap_or_default()).zip(sum) {
                        *sum = *sum * self.settings.keep as f32 + grad;
                        *value -= group.lr as f32 * sum.signum();
                    }
                }
            }
        }

        fn d(&self) -> Option<f64> {
            Some(1.0)
        }

        fn state(&self) -> State {
            let sums = self.sums.iter().enumerate();
            State {
                tensors: sums.map(|(index, sum)| (format!("sum.{index}"), sum.clone())).collect(),
                ..State::default()
            }
        }

        fn load_state(&mut self, state: State, _shapes: &[&[usize]]) -> Result<(), Error> {
            self.sums = state.tensors.into_values().collect();
            Ok(())
        }
    }
}

/// `build` in `optim/src/lib.rs`; the compiler asks for the toy's row as soon as `settings` has it.
fn build(optimizer: &settings::Optimizer) -> Box<dyn Optimizer> {
    match optimizer {
        settings::Optimizer::Plain(own) => Box::new(plain::Plain::new(own)),
        settings::Optimizer::SignSum(own) => Box::new(sign_sum::SignSum::new(own)),
    }
}

/// The toy as `--optimizer_type=signsum --optimizer_args keep=0.25` asks for it.
fn typed() -> settings::Optimizer {
    let mut optimizer = settings::Optimizer::named("signsum").expect("the row has this name");
    optimizer.set("keep", "0.25").expect("the row has this setting");
    optimizer
}

/// Two steps of one trainable, and the values after each.
fn two_steps(optimizer: &mut dyn Optimizer) -> [Vec<f32>; 2] {
    let groups = [Group { lr: 0.5, weight_decay: None, range: 0..1 }];
    let mut value = vec![1.0, -1.0];
    [[4.0, -4.0], [-2.0, 0.5]].map(|grad| {
        let mut params = [Trainable { value: &mut value, shape: &[2], grad: Some(&grad) }];
        optimizer.step(&mut params, &groups);
        value.clone()
    })
}

#[test]
fn one_row_answers_all_that_is_asked_about_an_optimizer() {
    let toy = typed();
    assert_eq!(settings::Optimizer::NAMES, ["Plain", "SignSum"]);
    assert_eq!((toy.name(), toy.python_class()), ("SignSum", "toys.SignSum"));
    assert!(toy.adapts());
    assert_eq!(toy.keys(), ["keep", "warm"]);
    assert_eq!(toy.unsupported(), ["foreach", "fused"]);
    assert_eq!(toy.settings(), [("keep", Setting::Number(0.25)), ("warm", Setting::Whole(0))]);
    assert_eq!(toy.state_bytes(), 4.0);
    let mut without = toy;
    assert_eq!(without.set("keep", "0"), Some(()));
    assert_eq!(without.state_bytes(), 0.0);
    assert_eq!(without.set("keep", "much"), None);
    assert_eq!(without.set("betas", "0.9"), None);
    assert_eq!(settings::Optimizer::named("AdamW"), None);
}

#[test]
fn a_file_and_a_row_make_it_step() {
    let mut toy = build(&typed());
    // Sums 4 and -4, then -1 and -0.5.
    assert_eq!(two_steps(toy.as_mut()), [vec![0.5, -0.5], vec![1.0, 0.0]]);
    assert_eq!(toy.d(), Some(1.0));
    assert_eq!(toy.state().tensors["sum.0"], [-1.0, -0.5]);
    let plain = settings::Optimizer::named("plain").expect("the row has this name");
    assert_eq!(two_steps(build(&plain).as_mut()), [vec![-1.0, 1.0], vec![0.0, 0.75]]);
}
