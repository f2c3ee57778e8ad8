//! The state of a run as a file from which it goes on exactly: values, their averages, optimizer, position, loss average,
//! seed.
//!
//! All random streams are functions of seed and position, so these numbers are the whole state. The folder has the name
//! that sd-scripts gives its own; what is in it is ours (sd-scripts keeps pickles of torch there, which are not read).

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use lorabake_optim::State;
use lorabake_weights::formats::tensor_file::TensorFile;
use lorabake_weights::lora::{RawTensor, save_raw};
use safetensors::Dtype;

use super::state_check::{self, Told, unusable};
use super::state_sums::{self, Entry, HEADER_SUM};
use crate::update::Updater;
use crate::update::average::LossAverage;
use crate::update::ema::Ema;
use lorabake_lora::LoraNetwork;

/// The file inside a state folder.
pub(crate) const FILE: &str = "lorabake_state.safetensors";

/// Says that an onlooker has ended the run; left out where none has.
const ENDED: &str = "ended";

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Optimizer steps made.
    pub step: u64,
    /// The epoch of the last of them, counted from 1; for whoever looks at the state.
    pub epoch: u64,
    /// The run's seed.
    pub seed: u64,
    /// What decided which images are held out, unless `--validation_seed` did.
    pub split_seed: u64,
    /// The images that are held out, as `folder/file`.
    pub held_out: Vec<String>,
    /// Batches per epoch, to notice a changed data set.
    pub batches_per_epoch: u64,
    /// An onlooker has ended the run here, before its planned end.
    pub is_ended: bool,
}

/// A state that was read.
pub struct Saved {
    /// Where the run stood.
    pub position: Position,
    /// The loss average.
    pub average: LossAverage,
    values: BTreeMap<String, Vec<f32>>,
    /// Averaged values, if the run had any.
    averaged: BTreeMap<String, Vec<f32>>,
    optimizer: State,
    /// What the file itself says of its completeness.
    told: Told,
}

/// Writes the state into the folder `dir`, which is made if need be.
///
/// # Errors
/// When it cannot be written; a state that is already there survives.
pub fn save(
    dir: &Path,
    network: &LoraNetwork,
    updater: &Updater,
    ema: Option<&Ema>,
    position: &Position,
    average: &LossAverage,
) -> Result<()> {
    let mut tensors = Vec::new();
    let mut put = |name: String, dtype, width: usize, bytes: Vec<u8>| {
        tensors.push(RawTensor { name, dtype, shape: vec![bytes.len() / width], bytes });
    };
    for (key, values) in network.state().chain(network.alphas().iter().map(|(key, value)| (key.clone(), value))) {
        put(format!("network.{key}"), Dtype::F32, 4, values.iter().flat_map(|x| x.to_le_bytes()).collect());
    }
    for ((key, _), values) in network.state().zip(ema.into_iter().flat_map(Ema::values)) {
        put(format!("ema.{key}"), Dtype::F32, 4, values.iter().flat_map(|x| x.to_le_bytes()).collect());
    }
    let optimizer = updater.state();
    let losses = average.to_numbers();
    let told = Told::of(&optimizer, &losses).to_metadata();
    let State { tensors: floats, bytes: codes, scalars } = optimizer;
    for (name, values) in floats {
        put(format!("optimizer.{name}"), Dtype::F32, 4, values.iter().flat_map(|x| x.to_le_bytes()).collect());
    }
    for (name, codes) in codes {
        put(format!("optimizer.{name}"), Dtype::U8, 1, codes);
    }
    for (name, value) in scalars {
        put(format!("optimizer.{name}"), Dtype::F64, 8, value.to_le_bytes().to_vec());
    }
    put("losses".into(), Dtype::F64, 8, losses.iter().flat_map(|x| x.to_le_bytes()).collect());
    let metadata = [
        ("step", position.step.to_string()),
        ("epoch", position.epoch.to_string()),
        ("seed", position.seed.to_string()),
        ("split_seed", position.split_seed.to_string()),
        ("held_out", position.held_out.join("\n")),
        ("batches_per_epoch", position.batches_per_epoch.to_string()),
    ];
    let mut metadata = BTreeMap::from(metadata.map(|(key, value)| (key.to_string(), value)));
    if position.is_ended {
        metadata.insert(ENDED.to_owned(), "true".to_owned());
    }
    metadata.extend(told);
    let mut entries = Vec::new();
    for RawTensor { name, dtype, shape, .. } in &tensors {
        entries.push(Entry { name: name.clone(), dtype: *dtype, count: shape.iter().product() });
    }
    metadata.insert(HEADER_SUM.to_owned(), state_sums::of_header(entries, &metadata));
    if let Err(error) = save_raw(&dir.join(FILE), tensors, metadata) {
        // Unless there is a state in it.
        std::fs::remove_dir(dir).ok();
        return Err(error.into());
    }
    Ok(())
}

/// Reads the state in the folder `dir`.
///
/// # Errors
/// When there is none of ours, or it is damaged.
pub fn load(dir: &Path) -> Result<Saved> {
    let path = dir.join(FILE);
    if !path.is_file() {
        bail!(
            "--resume {}: there is no {FILE} in it; give a folder called NAME-state that --save_state wrote (the states of \
             sd-scripts cannot be read; go on from its LoRA with --network_weights)",
            dir.display()
        );
    }
    let file = TensorFile::open(&path)?;
    if !state_sums::hold(&file) {
        bail!("--resume {}: it is damaged, its checksum does not hold; go on from another state", dir.display());
    }
    let number = |key: &str| {
        let text = file.metadata().get(key).with_context(|| format!("{}: it does not say {key}", path.display()))?;
        text.parse::<u64>().with_context(|| format!("{}: {key} is `{text}`", path.display()))
    };
    let held_out = file.metadata().get("held_out").map(String::as_str).unwrap_or_default();
    let position = Position {
        step: number("step")?,
        // Earlier versions did not say.
        epoch: number("epoch").unwrap_or_default(),
        seed: number("seed")?,
        // Earlier versions held nothing out.
        split_seed: number("split_seed").or(number("seed"))?,
        held_out: held_out.lines().map(str::to_owned).collect(),
        batches_per_epoch: number("batches_per_epoch")?,
        is_ended: file.metadata().contains_key(ENDED),
    };
    let (mut values, mut averaged) = (BTreeMap::new(), BTreeMap::new());
    let (mut optimizer, mut losses) = (State::default(), Vec::new());
    for name in file.names() {
        let bytes = file.bytes(&name).unwrap_or_default();
        let doubles = || bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().expect("eight bytes")));
        match (name.split_once('.'), file.dtype(&name)) {
            (Some(("network", key)), _) => drop(values.insert(key.to_string(), file.read_f32(&name)?)),
            (Some(("ema", key)), _) => drop(averaged.insert(key.to_string(), file.read_f32(&name)?)),
            (Some(("optimizer", key)), Some(Dtype::U8)) => drop(optimizer.bytes.insert(key.into(), bytes.to_vec())),
            (Some(("optimizer", key)), Some(Dtype::F64)) => {
                let value = doubles().next().with_context(|| format!("{}: {name} is empty", path.display()))?;
                optimizer.scalars.insert(key.into(), value);
            }
            (Some(("optimizer", key)), _) => drop(optimizer.tensors.insert(key.into(), file.read_f32(&name)?)),
            (None, Some(Dtype::F64)) if name == "losses" => losses = doubles().collect(),
            _ => bail!("--resume {}: nobody knows its tensor {name}; go on from another state", dir.display()),
        }
    }
    let told = Told::by(file.metadata());
    let found = Told::of(&optimizer, &losses);
    let weights = values.iter().chain(&averaged);
    let judged = unusable(weights, &optimizer, position.step)
        .or(state_check::unusable_losses(&losses, position.step))
        .or(told.differs_from(&found));
    if let Some(what) = judged {
        bail!("--resume {}: {what}, so that going on would be of no use; go on from another state", dir.display());
    }
    Ok(Saved { position, average: LossAverage::from_numbers(losses), values, averaged, optimizer, told })
}

impl Saved {
    /// Puts the state into a network, an optimizer and averages made from the same options.
    ///
    /// # Errors
    /// When modules, ranks, averaging or the optimizer are others than those of the saved run; nothing is changed then.
    pub fn restore(
        mut self,
        network: &mut LoraNetwork,
        updater: &mut Updater,
        ema: Option<&mut Ema>,
    ) -> Result<LossAverage> {
        let alphas = network.alphas();
        let fits =
            |(key, values): (String, &Vec<f32>)| self.values.get(&key).is_some_and(|saved| saved.len() == values.len());
        let scalars = alphas.iter().map(|(key, value)| (key.clone(), value));
        if network.state().count() + alphas.len() != self.values.len() || !network.state().chain(scalars).all(fits) {
            bail!("--resume: the state is of other modules or another rank; give the options of the first run");
        }
        for (key, values) in &alphas {
            if self.values[key] != *values {
                bail!(
                    "--resume: the state was trained with another --network_alpha ({key}); give that of the first run"
                );
            }
        }
        if self.position.step > 0 && self.optimizer == State::default() && updater.remembers() {
            bail!("--resume: the state has nothing of the optimizer; go on from another state");
        }
        let trained = if updater.remembers() { network.state().count() } else { 0 };
        let Position { step, batches_per_epoch, .. } = self.position;
        let found = Told::of(&self.optimizer, &self.average.to_numbers());
        if let Some(what) = self.told.lacking(&found, trained, step, batches_per_epoch) {
            bail!("--resume: {what}, and the state has lost its checksums; go on from another state");
        }
        match (&ema, self.averaged.is_empty()) {
            (Some(_), true) => {
                bail!("--resume: the state has no averaged weights; leave --ema_decay out as in the first run")
            }
            (None, false) => bail!("--resume: the state has averaged weights; give the --ema_decay of the first run"),
            (None, true) => {}
            (Some(_), false) => {
                let fits = |(key, values): (String, &Vec<f32>)| {
                    self.averaged.get(&key).is_some_and(|saved| saved.len() == values.len())
                };
                if self.averaged.len() != network.state().count() || !network.state().all(fits) {
                    bail!(
                        "--resume: the averages of the state are of other modules or another rank; go on from another one"
                    );
                }
            }
        }
        updater.load_state(self.optimizer, network).context("--resume: the state is of another optimizer")?;
        if let Some(ema) = ema {
            let averaged = network.state().map(|(key, _)| self.averaged.remove(&key).unwrap_or_default());
            ema.restore(averaged.collect());
        }
        for module in &mut network.modules {
            for (parameter, values) in module.spec.parameters.iter().zip(&mut module.values) {
                values.clone_from(&self.values[&format!("{}.{}", module.name, parameter.name)]);
            }
        }
        Ok(self.average)
    }
}
