//! The log of a bake as JSON lines, beside TensorBoard's file: one object for each step, epoch, validation and verdict, for
//! programs.
//!
//! Numbers, names that we choose and nothing else go in, so the JSON is written by hand.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use lorabake_judge::while_training::Examined;
use lorabake_train::event::{Event, Step, Validated};

use crate::cmd::judge::words;
use crate::judging;

/// Name of the file in the folder of the run.
const FILE: &str = "steps.jsonl";

/// An open log.
pub struct Lines {
    file: File,
}

impl Lines {
    /// Begins the log in the folder of a run.
    ///
    /// # Errors
    /// When there is one already, or the file cannot be made.
    pub fn create(folder: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create_new(folder.join(FILE))? })
    }

    /// Writes what `event` has to say, if anything; a line is written whole.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn show(&mut self, event: &Event) -> io::Result<()> {
        let line = match event {
            Event::Stepped(step) => of_step(step),
            Event::EpochEnded { epoch, average } => {
                format!("{{\"event\":\"epoch\",\"epoch\":{epoch},\"average_loss\":{}}}\n", number(*average))
            }
            Event::Validated(validated) => of_validation(validated),
            _ => return Ok(()),
        };
        self.file.write_all(line.as_bytes())
    }

    /// Writes what was found by judging, as [`Self::show`].
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn show_judged(&mut self, examined: &Examined) -> io::Result<()> {
        self.file.write_all(of_judging(examined).as_bytes())
    }
}

fn of_judging(examined: &Examined) -> String {
    let Examined { epoch, step, judged, best, .. } = examined;
    let verdict = words::verdict(judged.verdict);
    let mut line =
        format!("{{\"event\":\"judge\",\"epoch\":{epoch},\"step\":{step},\"verdict\":\"{verdict}\",\"best\":{best}");
    for (name, value) in judging::numbers(examined) {
        if name != "verdict" {
            line += &format!(",\"{name}\":{}", number(value));
        }
    }
    line + "}\n"
}

fn of_validation(validated: &Validated) -> String {
    let Validated { step, epoch, loss, divergence } = validated;
    let epoch = epoch.map_or(String::new(), |epoch| format!(",\"epoch\":{epoch}"));
    let (loss, divergence) = (number(*loss), number(*divergence));
    format!("{{\"event\":\"validation\",\"step\":{step}{epoch},\"loss\":{loss},\"divergence\":{divergence}}}\n")
}

fn of_step(step: &Step) -> String {
    let rates = |rates: &[(String, f64)]| {
        let pairs: Vec<String> = rates.iter().map(|(part, rate)| format!("\"{part}\":{}", number(*rate))).collect();
        format!("{{{}}}", pairs.join(","))
    };
    let adapted =
        step.d.map_or(String::new(), |d| format!(",\"d\":{},\"d_times_lr\":{}", number(d), rates(&step.d_times_lr)));
    format!(
        "{{\"event\":\"step\",\"step\":{},\"epoch\":{},\"loss\":{},\"average_loss\":{},\"lr\":{}{adapted},\
         \"gradient_norm\":{},\"seconds\":{}}}\n",
        step.step,
        step.epoch,
        number(step.loss),
        number(step.average),
        rates(&step.rates),
        number(step.gradient_norm),
        number(step.seconds),
    )
}

/// A number as JSON has it; what JSON has no word for is null.
fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:?}") } else { "null".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_an_object_in_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut lines = Lines::create(folder.path()).unwrap();
        let step = Step {
            step: 3,
            epoch: 1,
            loss: 0.125,
            average: 0.25,
            rates: vec![("textencoder".into(), 1.0), ("unet".into(), 0.5)],
            d_times_lr: vec![("textencoder".into(), 1e-6), ("unet".into(), 5e-7)],
            d: Some(1e-6),
            gradient_norm: f64::INFINITY,
            norms: None,
            seconds: 2.0,
        };
        lines.show(&Event::Stepped(step.clone())).unwrap();
        lines.show(&Event::Note("nothing".to_owned())).unwrap();
        lines.show(&Event::Stepped(Step { d: None, d_times_lr: Vec::new(), gradient_norm: 1.5, ..step })).unwrap();
        let validated = Validated { step: 4, epoch: None, loss: 0.25, divergence: 0.125 };
        lines.show(&Event::Validated(validated)).unwrap();
        lines.show(&Event::EpochEnded { epoch: 1, average: 0.2 }).unwrap();
        lines.show(&Event::Validated(Validated { epoch: Some(1), ..validated })).unwrap();
        let expected = "\
{\"event\":\"step\",\"step\":3,\"epoch\":1,\"loss\":0.125,\"average_loss\":0.25,\"lr\":{\"textencoder\":1.0,\"unet\":0.5},\
\"d\":1e-6,\"d_times_lr\":{\"textencoder\":1e-6,\"unet\":5e-7},\"gradient_norm\":null,\"seconds\":2.0}
{\"event\":\"step\",\"step\":3,\"epoch\":1,\"loss\":0.125,\"average_loss\":0.25,\"lr\":{\"textencoder\":1.0,\"unet\":0.5},\
\"gradient_norm\":1.5,\"seconds\":2.0}
{\"event\":\"validation\",\"step\":4,\"loss\":0.25,\"divergence\":0.125}
{\"event\":\"epoch\",\"epoch\":1,\"average_loss\":0.2}
{\"event\":\"validation\",\"step\":4,\"epoch\":1,\"loss\":0.25,\"divergence\":0.125}
";
        assert_eq!(std::fs::read_to_string(folder.path().join(FILE)).unwrap(), expected);
    }
}
