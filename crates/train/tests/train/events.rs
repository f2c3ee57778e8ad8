//! Everything that crosses the border to terminal, page and logs is plain data: it goes to JSON and comes back equal.

use std::path::PathBuf;

use lorabake_data::bucket::Layout;
use lorabake_data::epoch_order::{EpochOrder, Length};
use lorabake_data::{DatasetReport, scan};
use lorabake_generate::sample::{LoraUse, Picture, Request};
use lorabake_lora::Strength;
use lorabake_recipe::network::RankAlpha;
use lorabake_recipe::seed::Seed;
use lorabake_train::Milestone;
use lorabake_train::estimate::{MemoryReport, Saving};
use lorabake_train::event::{BlockRow, Command, Event, Outcome, Painted, RunInfo, Stage, Step, Validated};
use lorabake_train::update::max_norm::Norms;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::sandbox::Sandbox;

fn assert_round_trip<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let text = serde_json::to_string(value).unwrap();
    assert_eq!(serde_json::from_str::<T>(&text).unwrap(), *value, "{text}");
}

fn painted() -> Painted {
    let lora = LoraUse { path: "out/penny.safetensors".into(), strength: Strength { text: 0.5, unet: 1.0 } };
    Painted {
        milestone: Milestone::Epoch(3),
        index: 1,
        request: Request {
            prompt: "penny, \"red hat\"".into(),
            negative_prompt: String::new(),
            loras: vec![lora],
            width: 8,
            height: 8,
            steps: 20.try_into().unwrap(),
            cfg_scale: 7.5,
            seed: u64::MAX,
            sampler: "euler_a".parse().unwrap(),
            clip_skip: 2,
            noise: Some(vec![0.25, -1.0]),
        },
        picture: Picture { width: 1, height: 1, rgb: vec![1, 2, 255], image: vec![0.5; 3], latent: vec![-0.125; 4] },
    }
}

fn started() -> RunInfo {
    let block = BlockRow {
        name: "IN01".into(),
        modules: 10,
        linear: Some(RankAlpha { rank: 8, alpha: 0.5 }),
        conv: None,
        rate: 1e-4,
    };
    RunInfo { steps: 9, epochs: 3, unet_modules: 4, text_modules: 0, parameters: 5, blocks: vec![block] }
}

fn stepped() -> Step {
    Step {
        step: 3,
        epoch: 1,
        loss: 0.1,
        average: 0.2,
        rates: vec![("unet".into(), 1e-4)],
        d_times_lr: vec![("unet".into(), 1e-6)],
        d: Some(1e-2),
        gradient_norm: 3.5,
        norms: Some(Norms { keys_scaled: 1, average: 0.5, max: 0.75 }),
        seconds: 1.25,
    }
}

/// A report on a data set of one image; `data` tests one that has everything.
fn report() -> DatasetReport {
    let sandbox = Sandbox::with_images("", &[[64, 64]]);
    let recipe = sandbox.parse("out", "--max_train_epochs=1").recipe;
    let dataset = scan(&recipe.data).unwrap();
    let layout = Layout::new(&dataset, &recipe.data).unwrap();
    let order = EpochOrder::new(&dataset, &layout, &recipe.data, Seed(1));
    let length = Length::new(order.batches_per_epoch(), 1, recipe.train.duration);
    DatasetReport::new(&dataset, &layout, &order, &recipe.data, recipe.train.duration, length)
}

#[test]
fn every_event_goes_to_json_and_comes_back() {
    let saving = Saving { option: "--gradient_checkpointing".into(), bytes: 7 };
    let memory = MemoryReport { peak: 9, available: Some(3), savings: vec![saving] };
    let validated = Validated { step: 4, epoch: None, loss: 0.25, divergence: -0.125 };
    let events = [
        Event::Note("a note, with \u{1b}[31m what a file says".into()),
        Event::Dataset(report()),
        Event::Memory(memory),
        Event::Prepared { stage: Stage::LatentsMade, seconds: 0.5 },
        Event::Cached { done: 1, total: 2 },
        Event::Started(started()),
        Event::Stepped(stepped()),
        Event::EpochEnded { epoch: 1, average: 0.125 },
        Event::Validated(validated),
        Event::Saved(PathBuf::from("out/a.safetensors")),
        Event::Painted(Box::new(painted())),
    ];
    for event in &events {
        // A new event has to be added to the list above.
        match event {
            Event::Note(_) | Event::Dataset(_) | Event::Memory(_) | Event::Prepared { .. } | Event::Cached { .. } => {}
            Event::Started(_) | Event::Stepped(_) | Event::EpochEnded { .. } | Event::Validated(_) => {}
            Event::Saved(_) | Event::Painted(_) => {}
        }
        assert_round_trip(event);
    }
}

#[test]
fn commands_and_outcomes_are_data_too() {
    assert_round_trip(&Command::Stop);
    assert_round_trip(&Outcome {
        file: "out/a".into(),
        steps: 1,
        planned: 2,
        average: 0.5,
        seconds: 0.25,
        best_epoch: Some(1),
    });
}
