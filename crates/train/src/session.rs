//! Recipe → the concrete objects of a run; everything that can be refused is refused here, before a file is written.

use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use burn::tensor::Device;
use lorabake_data::bucket::Layout;
use lorabake_data::epoch_order::{EpochOrder, Length};
use lorabake_data::{Dataset, DatasetReport, Item, caption, scan};
use lorabake_model::family::paddings;
use lorabake_model::tokenizer::Tokenizer;
use lorabake_model::{Bundle, Parts, Sizes};
use lorabake_ops::{give_memory_back, is_host};
use lorabake_optim::lr;
use lorabake_recipe::model;
use lorabake_recipe::network::RankAlpha;
use lorabake_recipe::seed::Seed;
use lorabake_recipe::train::{Fp8, Recompute, Train};
use lorabake_recipe::{Found, Parsed, Recipe};
use lorabake_weights::checkpoint::Prediction;
use lorabake_weights::lora_file::LoraFile;
use lorabake_weights::{Checkpoint, Family, Part};

use crate::devices::{self, Opened};
use crate::embedded;
use crate::encode::{LatentCache, Tokens, weighted_ids};
use crate::event::Event;
use crate::latent_file::LatentFiles;
use crate::memory::Needs;
use crate::network::Network;
use crate::objective::Objective;
use crate::prior;
use crate::sample::{self, Sampling};
use crate::step::Frozen;
use crate::storage::storages;
use crate::swap;
use crate::text_cache::TextCache;
use crate::validate::Validation;

/// A run that is ready for its first step.
pub struct Session {
    /// The recipe, with rank and alpha as they really are.
    pub recipe: Recipe,
    /// The frozen networks, without the VAE's encoder: the latents have it if they need it still.
    pub bundle: Bundle,
    /// The images.
    pub dataset: Dataset,
    /// Their buckets.
    pub layout: Layout,
    /// Their order.
    pub order: EpochOrder,
    /// Epochs and steps.
    pub length: Length,
    /// Their latents.
    pub latents: LatentCache,
    /// The text states of the captions, if they are kept; the text encoders are then left in the file.
    pub(crate) texts: Option<TextCache>,
    /// What is trained.
    pub network: Network,
    /// Noise levels, prediction, loss.
    pub objective: Objective,
    /// Prompts to tokens.
    pub tokenizer: Tokenizer,
    /// Where it runs.
    pub device: Device,
    /// Pictures while it trains.
    pub(crate) sampling: Option<Sampling>,
    /// The loss over images that are held out.
    pub(crate) validation: Option<Validation>,
}

impl Session {
    /// Prepares a run; `tell` hears notes, the report on the images and how long each stage took.
    ///
    /// # Errors
    /// Whatever is wrong with images, captions, checkpoint, weights or output folder, naming file or option.
    pub fn prepare(parsed: &Parsed, tell: &Sender<Event>) -> Result<Self> {
        let say = |event| tell.send(event).unwrap_or_default();
        let mut clock = Clock { tell, since: Instant::now() };
        let checkpoint = open_model(&parsed.recipe.model)?;
        let Parsed { mut recipe, notes, .. } = settled(parsed, &checkpoint)?;
        notes.iter().for_each(|note| say(Event::Note(note.to_string())));
        let seed = Seed(recipe.train.seed);
        let dataset = scan(&recipe.data)?;
        let layout = Layout::new(&dataset, &recipe.data)?;
        let order = EpochOrder::new(&dataset, &layout, &recipe.data, seed);
        let length = Length::new(order.batches_per_epoch(), recipe.train.accumulation, recipe.train.duration);
        lr::check(&recipe.optim.schedule, recipe.optim.learning_rate, length.steps)?;
        refuse_unwritable(&recipe.output.dir)?;
        let wanted = sample::requests(&recipe, &say)?;
        let report = DatasetReport::new(&dataset, &layout, &order, &recipe.data, recipe.train.duration, length);
        say(Event::Dataset(report));
        clock.lap("images looked through");
        let device = choose_device(&recipe.train, &say)?;
        let halves = if wanted.is_empty() { Parts::Training } else { Parts::All };
        let storages = storages(&recipe.train, &device);
        let mut bundle = Bundle::open(&checkpoint, halves, storages)?;
        refuse_misfits(&checkpoint, &recipe, &bundle)?;
        let tokenizer = Tokenizer::new();
        let of_captions = [cut_captions(&dataset, &tokenizer, &recipe), prior::missing_triggers(&dataset, &recipe)?];
        let notes = of_captions.into_iter().chain([unused_averages(&checkpoint)]);
        notes.flatten().for_each(|note| say(Event::Note(note)));
        clock.lap("checkpoint opened");

        let network = make_network(&mut recipe, &bundle, seed, &say)?;
        if is_host(&device) {
            say(Event::Memory(Needs::of(&checkpoint, network.parameters() as u64, &recipe, &wanted)?.outlook(&recipe)));
        }
        // The networks come into memory one after the other, and what has done its work goes.
        let files = LatentFiles::of(&recipe, &checkpoint, storages.vae)?;
        let latents = make_latents((&mut bundle, &device), (&dataset, &layout), &recipe, files, &say)?;
        clock.lap("latents made");
        let texts = read_the_rest((&bundle, &device), &tokenizer, &dataset, &recipe, &mut clock)?;
        let sampling = Sampling::new(&recipe, &device, wanted, bundle.decoder.take());
        let validation = Validation::new(&recipe, &dataset, &layout);
        let objective = Objective::new(&recipe.diffusion);
        give_memory_back();
        Ok(Self {
            recipe,
            bundle,
            dataset,
            layout,
            order,
            length,
            latents,
            texts,
            network,
            objective,
            tokenizer,
            device,
            sampling,
            validation,
        })
    }

    /// The tokens of a batch's prompts, with their text states if those are kept.
    pub(crate) fn tokens<'p>(&self, prompts: impl IntoIterator<Item = &'p str>) -> Result<Tokens> {
        let (length, weighted) = (self.recipe.model.max_token_length, self.recipe.data.captions.weighted);
        let mut tokens = Tokens::new(&self.tokenizer, prompts, length, weighted, &paddings(self.bundle.family));
        tokens.kept = self.texts.as_ref().map(|texts| texts.look_up(&tokens)).transpose()?;
        Ok(tokens)
    }

    /// What SDXL is told of an image's sizes; in whole pixels, as sd-scripts tells it.
    pub(crate) fn sizes(&self, item: usize, flipped: bool) -> Sizes {
        let ((width, height), placement) = (self.dataset.items[item].size, &self.layout.placements[item]);
        let [left, top, right, _] = placement.crop_ltrb;
        let left = if flipped { f64::from(placement.bucket.0) - right } else { left };
        [height, width, top as u32, left as u32, placement.bucket.1, placement.bucket.0].map(|pixels| pixels as f32)
    }

    /// What stays the same from step to step.
    pub fn frozen(&self) -> Frozen<'_> {
        let Self { bundle, objective, device, .. } = self;
        let recompute = match self.recipe.train.recompute {
            Recompute::No => 0,
            Recompute::All => usize::MAX,
            Recompute::Blocks(blocks) => blocks,
        };
        Frozen { bundle, objective, clip_skip: self.recipe.model.clip_skip, recompute, device, loss_scale: 1.0 }
    }
}

/// Brings the VAE's encoder into memory for as long as there is something to encode.
fn make_latents(
    (bundle, device): (&mut Bundle, &Device),
    (dataset, layout): (&Dataset, &Layout),
    recipe: &Recipe,
    files: Option<LatentFiles>,
    say: &impl Fn(Event),
) -> Result<LatentCache> {
    bundle.read(|part, path| part == Part::Vae && !path.starts_with("decoder."))?;
    let encoder = bundle.encoder.take().expect("training asks for the encoder");
    let (images, seed) = ((dataset, &layout.placements[..]), Seed(recipe.train.seed));
    let latents = LatentCache::fill((encoder, device), images, &recipe.data, seed, files, say)?;
    give_memory_back();
    // A GPU keeps what was freed for itself, and the UNet needs it.
    device.memory_cleanup();
    Ok(latents)
}

/// Brings text encoders and UNet into memory; if the states of captions are kept, the text encoders for that long only.
fn read_the_rest(
    (bundle, device): (&Bundle, &Device),
    tokenizer: &Tokenizer,
    dataset: &Dataset,
    recipe: &Recipe,
    clock: &mut Clock<'_>,
) -> Result<Option<TextCache>> {
    bundle.read(|part, _| part.is_text())?;
    clock.lap("text encoders read");
    let texts = recipe.caches.text_outputs.then(|| TextCache::fill((bundle, device), tokenizer, dataset, recipe));
    if texts.is_some() {
        bundle.forget(Part::is_text);
        give_memory_back();
        clock.lap("captions encoded");
    }
    let swapped = swap::largest_blocks(bundle, recipe.train.swapped);
    bundle.read(|part, path| part == Part::Unet && !swapped.holds(path))?;
    clock.lap("UNet read");
    Ok(texts)
}

/// Times the stages.
struct Clock<'a> {
    tell: &'a Sender<Event>,
    since: Instant,
}

impl Clock<'_> {
    fn lap(&mut self, what: &str) {
        let seconds = self.since.elapsed().as_secs_f64();
        self.tell.send(Event::Prepared { what: what.to_string(), seconds }).unwrap_or_default();
        self.since = Instant::now();
    }
}

/// The recipe, now that its checkpoint is open.
///
/// # Errors
/// Options that do not go together with it.
pub fn settled(parsed: &Parsed, checkpoint: &Checkpoint) -> Result<Parsed> {
    let (velocity, zero_terminal_snr) = match checkpoint.prediction() {
        None => (None, false),
        Some(Prediction::Epsilon) => (Some(false), false),
        Some(Prediction::V { zero_terminal_snr }) => (Some(true), zero_terminal_snr),
    };
    let settled = parsed.with(Found { family: checkpoint.family(), velocity, zero_terminal_snr });
    settled.map_err(|problems| {
        let lines: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
        anyhow!("{}: {}", checkpoint.label(), lines.join("; "))
    })
}

/// Opens the recipe's checkpoint.
///
/// # Errors
/// When it is none that we know; the message says what it is.
pub fn open_checkpoint(which: &model::Checkpoint) -> Result<Checkpoint> {
    match which {
        model::Checkpoint::Embedded => Ok(embedded::checkpoint()?),
        model::Checkpoint::File(path) => Ok(Checkpoint::open(path)?),
    }
}

/// Opens the recipe's checkpoint, with the VAE that the recipe puts in the place of its own.
///
/// # Errors
/// As for [`open_checkpoint`], and when the VAE is none.
pub fn open_model(model: &model::Model) -> Result<Checkpoint> {
    let mut checkpoint = open_checkpoint(&model.checkpoint)?;
    if let Some(vae) = &model.vae {
        checkpoint.use_vae(vae)?;
    }
    Ok(checkpoint)
}

/// Opens the device that is asked for, and tells what there is to tell of it.
fn choose_device(train: &Train, say: &impl Fn(Event)) -> Result<Device> {
    let Opened { device, notes } = devices::open(train.device)?;
    notes.into_iter().chain(idle(train, &device)).for_each(|note| say(Event::Note(note)));
    Ok(device)
}

/// Notes about options that save memory on the processor and nothing on a GPU.
fn idle(train: &Train, device: &Device) -> Vec<String> {
    let given = [("blocks_to_swap", train.swapped > 0), ("fp8_base", train.fp8 != Fp8::No)];
    let idle = given.into_iter().filter(|(_, given)| *given && !is_host(device));
    idle.map(|(option, _)| format!("{option}: saves nothing on a GPU, which gets all weights once, in 16 bits"))
        .collect()
}

fn refuse_misfits(checkpoint: &Checkpoint, recipe: &Recipe, bundle: &Bundle) -> Result<()> {
    let depth = bundle.texts[0].depth();
    if recipe.model.clip_skip as usize > depth {
        bail!("clip_skip {}: this checkpoint's text encoder has {depth} layers", recipe.model.clip_skip);
    }
    let strangers = checkpoint.strangers();
    let Some(first) = strangers.first() else { return Ok(()) };
    bail!(
        "{}: {} tensors belong to no part of a Stable Diffusion checkpoint (first: {first}); is it another model, \
         or a checkpoint with something merged into it?",
        checkpoint.label(),
        strangers.len()
    )
}

/// A note about averages (EMA) that a checkpoint keeps beside its weights.
fn unused_averages(checkpoint: &Checkpoint) -> Option<String> {
    let averages = checkpoint.averages();
    (averages > 0)
        .then(|| format!("{}: its {averages} averaged tensors (EMA) are not used; its weights are", checkpoint.label()))
}

/// A note about captions that are longer than the text encoder reads.
fn cut_captions(dataset: &Dataset, tokenizer: &Tokenizer, recipe: &Recipe) -> Option<String> {
    let max_token_length = recipe.model.max_token_length;
    let cut = |item: &Item| {
        let rules = &dataset.settings(&recipe.data, item).captions;
        let tokens = |line: String| weighted_ids(tokenizer, &line, rules.weighted).0.len();
        let longest = caption::lines(&item.caption, rules).map(tokens).max().unwrap_or(0);
        longest.saturating_sub(max_token_length as usize)
    };
    let long: Vec<_> = dataset.items.iter().filter(|item| cut(item) > 0).collect();
    let worst = long.iter().max_by_key(|item| cut(item))?;
    let remedy = if max_token_length < 225 { "; raise max_token_length to 150 or 225" } else { "" };
    Some(format!(
        "{} captions are longer than {max_token_length} tokens and lose their end (most: {}, {} tokens){remedy}",
        long.len(),
        worst.path.display(),
        cut(worst)
    ))
}

/// Finds out before training whether the result can be written, without leaving anything behind.
fn refuse_unwritable(dir: &Path) -> Result<()> {
    let why = || format!("output_dir {}: cannot be written to; choose a folder of your own", dir.display());
    let existing: PathBuf = dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new(".")).into();
    let existing = if existing.as_os_str().is_empty() { PathBuf::from(".") } else { existing };
    if !existing.is_dir() {
        return Err(anyhow::anyhow!("{} is a file", existing.display())).with_context(why);
    }
    let probe = existing.join(format!(".lorabake-{}", std::process::id()));
    std::fs::write(&probe, b"").with_context(why)?;
    std::fs::remove_file(&probe).with_context(why)
}

/// A fresh network, or one that starts from a file.
fn make_network(recipe: &mut Recipe, bundle: &Bundle, seed: Seed, say: &impl Fn(Event)) -> Result<Network> {
    let Some(path) = recipe.network.weights.clone() else {
        return fresh_network(recipe, bundle, seed);
    };
    let label = path.display().to_string();
    let mut from_file = Network::from_file(&LoraFile::open(&path)?, &label, bundle)?;
    if recipe.network.dim_from_weights {
        from_file.keep(recipe.network.scope);
        from_file.in_blocks(&recipe.network.adapter, bundle)?;
        let Some(first) = from_file.modules.first() else {
            bail!("network_weights {label}: it has no modules for the part that is trained");
        };
        if let Some(size) = first.plan.method.size() {
            recipe.network.linear = size;
        }
        recipe.network.conv = wide_size(&from_file);
        return Ok(from_file);
    }
    let mut network = fresh_network(recipe, bundle, seed)?;
    let (taken, left) = network.take_values(&from_file)?;
    if taken == 0 {
        bail!("network_weights {label}: none of its modules is among those that are trained");
    }
    if let Some(first) = left.first() {
        let unused = left.len();
        say(Event::Note(format!("network_weights {label}: {unused} modules are not used (first: {first})")));
    }
    let fresh = network.modules.len() - taken;
    if fresh > 0 {
        say(Event::Note(format!("network_weights {label}: {fresh} modules are not in the file and start from zero")));
    }
    Ok(network)
}

fn fresh_network(recipe: &Recipe, bundle: &Bundle, seed: Seed) -> Result<Network> {
    let mut network = Network::fresh(&recipe.network, bundle, seed);
    let idle = |part: Part| match part {
        Part::TextEncoder => recipe.optim.text_encoder_lr == 0.0,
        Part::TextEncoder2 => recipe.optim.text_encoder2_lr == 0.0,
        Part::Unet | Part::Vae => false,
    };
    if bundle.family == Family::Sdxl {
        network.modules.retain(|module| !idle(module.part));
    }
    if network.modules.is_empty() {
        bail!("network_args: nothing is left to train: the preset or the blocks leave out every layer");
    }
    Ok(network)
}

/// Rank and alpha of the file's 3×3 convolutions, if it has any.
fn wide_size(network: &Network) -> Option<RankAlpha> {
    let wide = |module: &&crate::network::Module| module.part == Part::Unet && module.plan.layer.kernel() == 3;
    network.modules.iter().find(wide).and_then(|module| module.plan.method.size())
}
