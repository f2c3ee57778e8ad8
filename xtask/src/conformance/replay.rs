//! One trace through `step` and `update`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Device;
use lorabake_adapter::{DyLoraKind, Method};
use lorabake_lora::AdapterDraws;
use lorabake_lora::{LoraNetwork, NetworkModule};
use lorabake_model::family::paddings;
use lorabake_model::tokenizer::Tokenizer;
use lorabake_model::{Bundle, VaeHalves};
use lorabake_ops::WeightDtype;
use lorabake_optim::lr;
use lorabake_recipe::network::algo::Dialect;
use lorabake_recipe::output::SavePrecision;
use lorabake_recipe::seed::Seed;
use lorabake_recipe::train::Duration;
use lorabake_recipe::{ParseError, Parsed, Recipe, parse_train};
use lorabake_train::cache::Tokens;
use lorabake_train::objective::Objective;
use lorabake_train::session::settled;
use lorabake_train::step::{Gradients, StepContext, StepInputs, StepOutput, step};
use lorabake_train::update::groups::Groups;
use lorabake_train::update::{Updater, accumulate};
use lorabake_weights::{Checkpoint, NamedTensor};

use super::compare::{Bounds, Errors};
use super::trace::{MicroStep, Trace};

/// What became of a trace.
pub enum Verdict {
    /// lorabake cannot do yet what was recorded.
    Unsupported(String),
    /// How far the replay is from the recording.
    Replayed(Errors),
}

/// Replays a trace; `tiny` is the folder of tiny models to use where the pack brings none, `dtype` that of the frozen
/// weights, which says what bounds hold, `device` where it runs.
///
/// # Errors
/// If the trace or its model cannot be read, or a step fails.
pub fn replay(trace: &Trace, tiny: &Path, dtype: WeightDtype, device: &Device) -> Result<Verdict> {
    if let Some(version) = trace.meta.versions.lycoris.as_ref().filter(|version| version.starts_with("1.")) {
        return Ok(Verdict::Unsupported(format!("the IA3 of LyCORIS {version}, which scaled the bias too")));
    }
    let recipe = match parse(trace) {
        Ok(recipe) => recipe,
        Err(reason) => return Ok(Verdict::Unsupported(reason)),
    };
    let brought = trace.pack.join("models").join(&trace.meta.model);
    let model = if brought.exists() { brought } else { tiny.join(&trace.meta.model) };
    let checkpoint = match Checkpoint::open(&model) {
        Ok(checkpoint) => checkpoint,
        Err(error @ lorabake_weights::Error::WrongKind { .. }) => {
            return Ok(Verdict::Unsupported(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let recipe = match settled(&recipe, &checkpoint) {
        Ok(parsed) => parsed.recipe,
        Err(error) => return Ok(Verdict::Unsupported(error.to_string())),
    };
    let bundle = Bundle::load(&checkpoint, VaeHalves::Training, dtype)?;
    let bounds = match dtype {
        WeightDtype::F32 => Bounds::F32,
        WeightDtype::Bf16 => Bounds::BF16,
        WeightDtype::Int8 => Bounds::INT8,
    };
    let network = network(trace, &recipe, &bundle)?;
    let errors = Errors::new(bounds.of(&trace.name));
    Replay { trace, recipe, bundle: &bundle, device, network, errors }.run().map(Verdict::Replayed)
}

/// The network that the recipe asks for, which must have the recorded modules and shapes, with the recorded values.
fn network(trace: &Trace, recipe: &Recipe, bundle: &Bundle) -> Result<LoraNetwork> {
    let recorded = LoraNetwork::from_file(&trace.initial_lora()?, &trace.meta.init, bundle)?;
    if recipe.network.dim_from_weights {
        return Ok(recorded);
    }
    let mut network = LoraNetwork::fresh(&recipe.network, bundle, Seed(0));
    let (taken, left) = network.take_values(&recorded)?;
    ensure!(left.is_empty(), "{} recorded modules are not planned (first: {})", left.len(), left[0]);
    ensure!(taken == network.modules.len(), "{taken} of {} planned modules were recorded", network.modules.len());
    let initial = trace.initial()?;
    for NamedTensor { name: key, shape, values } in network.tensors() {
        let Some((recorded, numbers)) = initial.get(&key) else { bail!("{key} was not recorded") };
        ensure!(*recorded == shape, "{key} has shape {shape:?}, recorded {recorded:?}");
        ensure!(!key.ends_with(".alpha") || *numbers == values, "{key} is {values:?}, recorded {numbers:?}");
    }
    Ok(network)
}

/// The recorded command line as our own parser takes it; its first refusal is the reason if it is not taken.
fn parse(trace: &Trace) -> Result<Parsed, String> {
    let presets = trace.pack.join("presets");
    let here = |word: &String| match word.strip_prefix("preset=") {
        Some(file) => format!("preset={}", presets.join(file).display()).into(),
        None => OsString::from(word),
    };
    let argv: Vec<OsString> = trace.meta.args.iter().map(here).collect();
    parse_train(&argv).map_err(|error| match error {
        ParseError::Unusable(problems) => problems.0.first().map_or_else(String::new, ToString::to_string),
        ParseError::Asked(_) => "it asks for help".to_string(),
    })
}

struct Replay<'a> {
    trace: &'a Trace,
    recipe: Recipe,
    bundle: &'a Bundle,
    device: &'a Device,
    network: LoraNetwork,
    errors: Errors,
}

impl Replay<'_> {
    fn run(mut self) -> Result<Errors> {
        let groups = Groups::new(&self.network, &self.recipe, self.bundle);
        let mut updater = Updater::new(&self.recipe, groups);
        let (mut gradients, mut update) = (None, 0);
        for (index, micro) in self.trace.meta.micro_steps.iter().enumerate() {
            if micro.opt_step != update {
                self.update(&mut updater, gradients.take().context("an update without a batch")?, update)?;
                update = micro.opt_step;
            }
            let output = self.step(index, micro)?;
            self.errors.compare_step(self.trace, index, micro, &output)?;
            accumulate(&mut gradients, output.gradients, 1.0 / self.recipe.train.accumulation as f32);
        }
        self.update(&mut updater, gradients.context("a trace without a batch")?, update)?;
        ensure!(update + 1 == self.trace.meta.opt_steps.len(), "the trace has updates without batches");
        let ours: BTreeMap<_, _> =
            self.network.tensors().into_iter().map(|tensor| (tensor.name, tensor.values)).collect();
        self.errors.compare_weights(
            self.trace,
            &ours,
            self.recipe.output.save_precision == Some(SavePrecision::F16),
        )?;
        Ok(self.errors)
    }

    fn step(&self, index: usize, micro: &MicroStep) -> Result<StepOutput> {
        let (shape, noise) = self.trace.values(&format!("step.{index:03}.noise"))?;
        let mut latents = Vec::new();
        for name in &micro.latents {
            latents.extend(self.trace.values(name)?.1);
        }
        let inputs = StepInputs {
            shape: shape.try_into().ok().context("noise has four dimensions")?,
            latents,
            noise,
            input_noise: None,
            timesteps: micro.timesteps.clone(),
            adapter_draws: self.adapter_draws(micro)?,
            tokens: self.tokens(micro)?,
            sizes: micro.sizes()?,
            loss_weights: micro.loss_weights.clone(),
            prior: Vec::new(),
            mask: None,
        };
        let frozen = StepContext {
            bundle: self.bundle,
            objective: &Objective::new(&self.recipe.diffusion),
            clip_skip: self.recipe.model.clip_skip,
            recompute: 0,
            device: self.device,
            loss_scale: 1.0,
        };
        Ok(step(&frozen, &self.network, &inputs))
    }

    /// The recorded token rows, or those of the captions where text states were cached, which is without any.
    fn tokens(&self, micro: &MicroStep) -> Result<Tokens> {
        let paddings = paddings(self.bundle.family);
        if micro.input_ids_0.is_empty() {
            let (model, captions) = (&self.recipe.model, micro.captions.iter().map(String::as_str));
            return Ok(Tokens::new(&Tokenizer::new(), captions, model.max_token_length, false, &paddings));
        }
        let mut rows = Vec::new();
        for names in [&micro.input_ids_0, &micro.input_ids_1].into_iter().take(paddings.len()) {
            let mut own = Vec::new();
            for name in names {
                let ids = self.trace.integers(name)?;
                own.extend(ids.chunks_exact(77).map(|row| std::array::from_fn(|i| row[i])));
            }
            rows.push(own);
        }
        let chunks = rows[0].len() / micro.input_ids_0.len();
        Ok(Tokens { rows, chunks, weights: None, kept: None })
    }

    /// The recorded draws of DyLoRA: sd-scripts draws a rank, LyCORIS a block.
    fn adapter_draws(&self, micro: &MicroStep) -> Result<AdapterDraws> {
        if micro.dylora_draws.is_empty() {
            return Ok(AdapterDraws::None);
        }
        let drawn: BTreeMap<&str, usize> =
            self.trace.meta.dylora_modules.iter().map(String::as_str).zip(micro.dylora_draws.iter().copied()).collect();
        let start = |module: &NetworkModule| {
            let Method::DyLora(DyLoraKind { blocks, .. }) = module.spec.method else { return Ok(0) };
            let drawn = *drawn.get(module.name.as_str()).with_context(|| format!("{} was not drawn", module.name))?;
            Ok(match blocks.dialect {
                Dialect::Kohya => drawn - drawn % blocks.size,
                Dialect::Lycoris => drawn * blocks.size,
            })
        };
        Ok(AdapterDraws::Starts(self.network.modules.iter().map(start).collect::<Result<_>>()?))
    }

    /// Updates with the rates of our own schedule, which must be the recorded ones.
    fn update(&mut self, updater: &mut Updater, gradients: Gradients, update: usize) -> Result<()> {
        let recorded = &self.trace.meta.opt_steps[update];
        let Duration::Steps(total) = self.recipe.train.duration else {
            anyhow::bail!("traces are recorded by steps");
        };
        let optim = &self.recipe.optim;
        let factor = lr::factor(&optim.schedule, optim.learning_rate, update as u64, total);
        let ours: Vec<f64> = updater.shown_rates(factor).into_iter().map(|(_, rate)| rate).collect();
        self.errors.compare_rates(update, &ours, &recorded.lr);
        self.errors.compare_d(update, updater.d(), &recorded.d_before);
        let updated = updater.update(&mut self.network, gradients, factor);
        self.errors.compare_norm(updated.gradient_norm, recorded.grad_norm_before_clip);
        self.errors.compare_max_norm(update, updated.norms, recorded.max_norm);
        Ok(())
    }
}
