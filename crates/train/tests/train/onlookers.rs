//! Somebody who looks at the LoRA while it is trained: it changes nothing of what is learned, and may end the run with the
//! best one as the result.

use anyhow::{Result, bail};
use lorabake_lora::{Attached, Strength};
use lorabake_recipe::Recipe;
use lorabake_train::onlooker::{Onlooker, Opinion, View};

use crate::sandbox::{Sandbox, tensors};

const OPTIONS: &str = "--max_train_epochs=4 --learning_rate=1e-2 --network_alpha=1";

/// Says what it was told to say, epoch by epoch, and notes what it has seen.
struct Scripted {
    opinions: Vec<Result<Opinion, &'static str>>,
    /// Epoch, step, and how many layers of the UNet the LoRA has.
    seen: Vec<(u64, u64, usize)>,
}

impl Scripted {
    fn saying(opinions: Vec<Result<Opinion, &'static str>>) -> Self {
        Self { opinions, seen: Vec::new() }
    }
}

impl Onlooker for Scripted {
    fn prepare(&mut self, recipe: &Recipe) -> Result<()> {
        assert_eq!(recipe.output.name, "cat");
        Ok(())
    }

    fn wants(&self, epoch: u64) -> bool {
        epoch != 2
    }

    fn look(&mut self, view: &View<'_>) -> Result<Opinion> {
        let mut attached = Attached::default();
        view.network.attach(Strength::FULL, view.probe.device, &mut attached);
        let told = view.probe.captions(&["cat"], [64, 64], 1, &attached)?;
        assert_eq!(told.len(), 1);
        self.seen.push((view.epoch, view.step, view.network.count(lorabake_weights::Part::Unet)));
        match self.opinions[self.seen.len() - 1] {
            Ok(opinion) => Ok(opinion),
            Err(why) => bail!(why),
        }
    }
}

const GOES_ON: Opinion = Opinion { is_best: false, ends_run: false };
const BEST: Opinion = Opinion { is_best: true, ends_run: false };
const ENDS: Opinion = Opinion { is_best: false, ends_run: true };

#[test]
fn it_sees_the_run_and_changes_nothing() {
    let sandbox = Sandbox::with_images(OPTIONS, &[[64, 64]; 3]);
    let alone = sandbox.bake("alone", "");
    // What it says of epoch 0 counts for nothing, and that it fails ends nothing.
    let mut onlooker = Scripted::saying(vec![Ok(ENDS), Ok(BEST), Err("too dark"), Ok(GOES_ON)]);
    let before = sandbox.bake_before("before", "", &mut onlooker);
    let layers = before.started().unet_modules;
    assert_eq!(onlooker.seen, [(0, 0, layers), (1, 6, layers), (3, 18, layers), (4, 24, layers)]);
    assert!(before.tensors == alone.tensors, "other numbers");
    assert_eq!((before.outcome.steps, before.outcome.best_epoch), (24, None));
    assert!(before.notes().contains("judging: too dark; training goes on"), "{}", before.notes());
    // The best one is kept beside the last.
    assert_eq!(sandbox.files("before"), ["cat-000001.safetensors", "cat.safetensors"]);
}

#[test]
fn a_run_that_it_ends_has_the_best_as_its_result_and_the_last_beside() {
    let sandbox = Sandbox::with_images(OPTIONS, &[[64, 64]; 3]);
    let whole = sandbox.bake("whole", "--save_every_n_epochs=1");
    let first = sandbox.path("whole/cat-000001.safetensors");
    let third = sandbox.path("whole/cat-000003.safetensors");
    let mut onlooker = Scripted::saying(vec![Ok(GOES_ON), Ok(BEST), Ok(ENDS)]);
    let ended = sandbox.bake_before("ended", "", &mut onlooker);
    assert_eq!((ended.outcome.steps, ended.outcome.planned, ended.outcome.best_epoch), (18, 24, Some(1)));
    assert_eq!(sandbox.files("ended"), ["cat-000003.safetensors", "cat.safetensors"]);
    assert!(ended.tensors == tensors(&first), "not the first epoch's");
    assert!(tensors(&sandbox.path("ended/cat-000003.safetensors")) == tensors(&third));
    assert_eq!((&*ended.lora.metadata["ss_epoch"], &*ended.lora.metadata["ss_steps"]), ("1", "6"));
    assert!(whole.tensors != ended.tensors);
}

#[test]
fn where_the_last_is_the_best_it_is_the_result() {
    let sandbox = Sandbox::with_images(OPTIONS, &[[64, 64]; 3]);
    let mut onlooker = Scripted::saying(vec![Ok(GOES_ON), Ok(Opinion { is_best: true, ends_run: true })]);
    let ended = sandbox.bake_before("ended", "", &mut onlooker);
    assert_eq!((ended.outcome.steps, ended.outcome.best_epoch), (6, Some(1)));
    assert_eq!(sandbox.files("ended"), ["cat.safetensors"]);
}

#[test]
fn one_that_cannot_tell_of_the_checkpoint_alone_is_not_asked_again() {
    let sandbox = Sandbox::with_images(OPTIONS, &[[64, 64]; 3]);
    let mut onlooker = Scripted::saying(vec![Err("too dark")]);
    let baked = sandbox.bake_before("out", "--max_train_epochs=1", &mut onlooker);
    assert_eq!(onlooker.seen.len(), 1);
    assert!(baked.notes().contains("judging: too dark; this run is not judged"), "{}", baked.notes());
}

#[test]
fn a_state_says_that_its_run_was_ended() {
    let sandbox = Sandbox::with_images(OPTIONS, &[[64, 64]; 3]);
    let judged = "--save_state --judge_every_n_epochs=1";
    let mut onlooker = Scripted::saying(vec![Ok(GOES_ON), Ok(ENDS)]);
    let ended = sandbox.bake_before("out", judged, &mut onlooker);
    assert_eq!((ended.outcome.steps, ended.outcome.best_epoch), (6, Some(1)));
    let again = sandbox.bake("again", &format!("{judged} --resume=HERE/out/cat-state"));
    assert_eq!(again.outcome.steps, 24);
    assert!(again.notes().contains("the run was ended here as overcooked; judging begins anew"), "{}", again.notes());
}

#[test]
fn judging_that_never_comes_is_told() {
    let sandbox = Sandbox::with_images(OPTIONS, &[[64, 64]; 3]);
    let mut onlooker = Never;
    let rare = sandbox.bake_before("rare", "--max_train_epochs=1 --judge_every_n_epochs=2", &mut onlooker);
    assert!(rare.notes().contains("judge_every_n_epochs: has no effect: the run has 1 epoch"), "{}", rare.notes());
    let patient = sandbox.bake("patient", "--max_train_epochs=1 --stop_when_overcooked=2");
    assert!(
        patient.notes().contains("stop_when_overcooked: 2 has no effect: the run is judged 1 time only"),
        "{}",
        patient.notes()
    );
}

/// Never wants to look, so that it is not prepared either.
struct Never;

impl Onlooker for Never {
    fn prepare(&mut self, _: &Recipe) -> Result<()> {
        panic!("for nothing")
    }

    fn wants(&self, _: u64) -> bool {
        false
    }

    fn look(&mut self, _: &View<'_>) -> Result<Opinion> {
        panic!("it does not want to")
    }
}
