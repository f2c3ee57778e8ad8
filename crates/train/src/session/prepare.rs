//! The stages of the preparation, each with what it leaves for the next.

use std::sync::mpsc::Sender;
use std::time::Instant;

use anyhow::Result;
use burn::tensor::Device;
use lorabake_data::bucket::Layout;
use lorabake_data::epoch_order::{EpochOrder, Length};
use lorabake_data::{Dataset, DatasetReport, scan};
use lorabake_device::is_host;
use lorabake_generate::open_model;
use lorabake_generate::sample::Request;
use lorabake_lora::LoraNetwork;
use lorabake_model::tokenizer::Tokenizer;
use lorabake_model::{Bundle, VaeHalves};
use lorabake_ops::{WeightDtype, give_memory_back};
use lorabake_optim::lr;
use lorabake_recipe::seed::Seed;
use lorabake_recipe::{Parsed, Recipe};
use lorabake_weights::{Checkpoint, Part};

use super::checks::{choose_device, cut_captions, idle_judging, long_warmup, refuse_misfits, settled};
use super::network::make_network;
use super::{Session, card_memory};
use crate::cache::latent_files::LatentFiles;
use crate::cache::text_cache::TextCache;
use crate::cache::{EncoderOn, LatentCache, PlacedImages};
use crate::estimate::memory::MemoryModel;
use crate::event::{Emit, Event, Stage};
use crate::objective::Objective;
use crate::output::{leftovers, names};
use crate::precision::training_dtypes;
use crate::step::prior::missing_triggers;
use crate::swap;
use crate::watch::sample_pictures::{self, Sampling};
use crate::watch::validate::Validation;

/// A run that is ready for its first step, with what shows how it goes.
pub(crate) struct Prepared {
    pub session: Session,
    /// Pictures while it trains.
    pub sampling: Option<Sampling>,
    /// The loss over images that are held out.
    pub validation: Option<Validation>,
}

/// Prepares a run; `known` is told of it once its images and options are known to be good, and `events` hears notes, what the image folders hold and how long each stage took.
///
/// In memory, one stage after another: nothing large; the VAE's encoder, while images are encoded; the text encoders,
/// which stay unless the states of captions are kept instead; the UNet.
///
/// # Errors
/// Whatever is wrong with images, captions, checkpoint, weights or output folder, naming file or option.
pub(crate) fn prepare(
    parsed: &Parsed,
    events: &Sender<Event>,
    known: &mut dyn FnMut(&Recipe, Length) -> Result<()>,
) -> Result<Prepared> {
    let emit: &Emit<'_> = &|event| events.send(event).unwrap_or_default();
    let mut clock = Clock { emit, since: Instant::now() };
    let images = Images::look_through(parsed, &mut clock)?;
    known(&images.recipe, images.length)?;
    clock.since = Instant::now();
    let mut networks = Networks::open(images, &mut clock)?;
    let latents = networks.make_latents(&mut clock)?;
    let texts = networks.read_the_rest(&mut clock)?;
    Ok(networks.assemble(latents, texts))
}

/// Looks at all that can stop a run before its checkpoint is read: options, images, prompts, the output folder. Tells
/// nothing; how long the run is.
///
/// # Errors
/// As [`prepare`], as far as that goes.
pub(crate) fn look_ahead(parsed: &Parsed) -> Result<Length> {
    let mut clock = Clock { emit: &|_| (), since: Instant::now() };
    Ok(Images::look_through(parsed, &mut clock)?.length)
}

/// Whether a layer of the VAE is of no use for training.
fn is_of_decoder(path: &str) -> bool {
    path.starts_with("decoder.") || path == "post_quant_conv"
}

/// Times the stages.
struct Clock<'a> {
    emit: &'a Emit<'a>,
    since: Instant,
}

impl Clock<'_> {
    fn lap(&mut self, stage: Stage) {
        let seconds = self.since.elapsed().as_secs_f64();
        (self.emit)(Event::Prepared { stage, seconds });
        self.since = Instant::now();
    }
}

/// First stage: the recipe with its checkpoint, and the images as far as their headers.
struct Images {
    recipe: Recipe,
    checkpoint: Checkpoint,
    dataset: Dataset,
    layout: Layout,
    order: EpochOrder,
    length: Length,
    /// The pictures to paint while training.
    pictures: Vec<Request>,
}

impl Images {
    fn look_through(parsed: &Parsed, clock: &mut Clock<'_>) -> Result<Self> {
        let emit = clock.emit;
        let checkpoint = open_model(&parsed.recipe.model)?;
        let Parsed { recipe, notes, .. } = settled(parsed, &checkpoint)?;
        for note in notes {
            emit(Event::Note(note.to_string()));
        }
        let dataset = scan(&recipe.data)?;
        let layout = Layout::new(&dataset, &recipe.data)?;
        let order = EpochOrder::new(&dataset, &layout, &recipe.data, Seed(recipe.train.seed));
        let length = Length::new(order.batches_per_epoch(), recipe.train.accumulation, recipe.train.duration);
        lr::check(&recipe.optim.schedule, recipe.optim.learning_rate, length.steps)?;
        for note in [long_warmup(&recipe.optim.schedule, length.steps), idle_judging(&recipe, length.epochs)] {
            note.into_iter().for_each(|note| emit(Event::Note(note.to_string())));
        }
        let pictures = sample_pictures::requests(&recipe, emit)?;
        names::try_all(&recipe, length, &pictures)?;
        let report = DatasetReport::new(&dataset, &layout, &order, &recipe.data, recipe.train.duration, length);
        emit(Event::Dataset(report));
        clock.lap(Stage::ImagesLookedThrough);
        Ok(Self { recipe, checkpoint, dataset, layout, order, length, pictures })
    }
}

/// Second stage: the networks with their weights still in the file, and what is trained.
struct Networks {
    images: Images,
    device: Device,
    vae_dtype: WeightDtype,
    bundle: Bundle,
    tokenizer: Tokenizer,
    network: LoraNetwork,
}

impl Networks {
    fn open(mut images: Images, clock: &mut Clock<'_>) -> Result<Self> {
        let emit = clock.emit;
        let Images { recipe, checkpoint, dataset, pictures, .. } = &mut images;
        let device = choose_device(&recipe.train, emit)?;
        let halves = if pictures.is_empty() { VaeHalves::Training } else { VaeHalves::All };
        let dtypes = training_dtypes(&recipe.train, &device);
        let bundle = Bundle::open(checkpoint, halves, dtypes)?;
        refuse_misfits(recipe, &bundle)?;
        let tokenizer = Tokenizer::new();
        let cut = cut_captions(dataset, &tokenizer, recipe);
        let missing = missing_triggers(dataset, recipe)?;
        for note in [cut, missing].into_iter().flatten().chain(checkpoint.notes()) {
            emit(Event::Note(note));
        }
        clock.lap(Stage::CheckpointOpened);

        let seed = Seed(recipe.train.seed);
        let network = make_network(recipe, &bundle, seed, emit)?;
        let trained = network.parameters() as u64;
        if is_host(&device) {
            let model = MemoryModel::of(checkpoint, trained, recipe, pictures)?;
            emit(Event::Memory(model.report(recipe)));
        } else {
            card_memory::fit(recipe, card_memory::Run { checkpoint, trained, pictures, device: &device }, emit)?;
        }
        Ok(Self { images, device, vae_dtype: dtypes.vae, bundle, tokenizer, network })
    }

    /// Third stage: brings the VAE's encoder into memory for as long as there is something to encode.
    fn make_latents(&mut self, clock: &mut Clock<'_>) -> Result<LatentCache> {
        let Images { recipe, checkpoint, dataset, layout, .. } = &self.images;
        let files = LatentFiles::of(recipe, checkpoint, self.vae_dtype)?;
        if files.is_some() {
            for folder in &dataset.folders {
                leftovers::remove_latents(&folder.path).into_iter().for_each(|note| (clock.emit)(Event::Note(note)));
            }
        }
        self.bundle.read(|part, path| part == Part::Vae && !is_of_decoder(path))?;
        let encoder = self.bundle.encoder.take().expect("training asks for the encoder");
        let vae = EncoderOn { encoder, device: &self.device };
        let images = PlacedImages { dataset, placements: &layout.placements, settings: &recipe.data };
        let latents = LatentCache::fill(vae, images, Seed(recipe.train.seed), files, clock.emit)?;
        give_memory_back();
        // A GPU keeps what was freed for itself, and the UNet needs it.
        self.device.memory_cleanup();
        clock.lap(Stage::LatentsMade);
        Ok(latents)
    }

    /// Fourth stage: brings text encoders and UNet into memory. If the states of captions are kept, the text encoders go
    /// again.
    fn read_the_rest(&self, clock: &mut Clock<'_>) -> Result<Option<TextCache>> {
        let Self { bundle, device, tokenizer, .. } = self;
        let Images { recipe, dataset, .. } = &self.images;
        bundle.read(|part, _| part.is_text())?;
        clock.lap(Stage::TextEncodersRead);
        let mut texts = None;
        if recipe.caches.text_outputs {
            texts = Some(TextCache::fill(bundle, device, tokenizer, dataset, recipe));
            bundle.forget(Part::is_text);
            give_memory_back();
            device.memory_cleanup();
            clock.lap(Stage::CaptionsEncoded);
        }
        let swapped = swap::largest_blocks(bundle, recipe.train.swapped);
        bundle.read(|part, path| part == Part::Unet && !swapped.holds(path))?;
        clock.lap(Stage::UnetRead);
        Ok(texts)
    }

    /// Everything together.
    fn assemble(self, latents: LatentCache, texts: Option<TextCache>) -> Prepared {
        let Self { images, device, mut bundle, tokenizer, network, vae_dtype: _ } = self;
        let Images { recipe, dataset, layout, order, length, pictures, checkpoint: _ } = images;
        let sampling = Sampling::new(&recipe, &device, pictures, bundle.decoder.take());
        let validation = Validation::new(&recipe, &dataset, &layout);
        let session = Session {
            objective: Objective::new(&recipe.diffusion),
            recipe,
            bundle,
            dataset,
            layout,
            order,
            length,
            latents,
            texts,
            network,
            tokenizer,
            device,
        };
        give_memory_back();
        Prepared { session, sampling, validation }
    }
}
