//! A folder for one test, with images in it that a tiny model is trained on, and what came out of each run. What several
//! files make of the tiny SD1.x is here too.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

use image::{Rgb, RgbImage};
use lorabake_generate::sample::Pipeline;
use lorabake_model::{Bundle, VaeHalves, WeightDtypes};
use lorabake_ops::WeightDtype;
use lorabake_recipe::{Parsed, Recipe, parse_train};
use lorabake_testkit::relative_error;
use lorabake_testkit::tiny::{SD15, USE_SD15};
use lorabake_train::event::{Command, Event, Outcome, Painted, RunInfo, Stage, Step, Validated};
use lorabake_train::onlooker::Onlooker;
use lorabake_train::{bake, bake_before};
use lorabake_weights::Checkpoint;
use lorabake_weights::formats::tensor_file::TensorFile;
use lorabake_weights::lora::LoraFile;

/// The options of every run, ahead of those of the test's file and of the test itself, of which the last wins.
const COMMON: &str = "--resolution=64 --seed=7 --network_dim=2 --output_name=cat";

/// A folder that is removed after the test.
pub struct Sandbox {
    folder: tempfile::TempDir,
    base: &'static str,
}

impl Sandbox {
    /// An empty folder, whose runs have the options `base`.
    pub fn new(base: &'static str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), base }
    }

    /// A folder with images of these widths and heights in `train/2_cat`.
    pub fn with_images(base: &'static str, sizes: &[[u32; 2]]) -> Self {
        let sandbox = Self::new(base);
        sandbox.images("train/2_cat", sizes);
        sandbox
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path inside the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The names in a folder, sorted.
    pub fn files(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Writes a text file, with the sandbox in the place of each `HERE`.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), self.with_folder(text)).unwrap();
    }

    /// Writes a picture, and makes the folders above it.
    pub fn picture(&self, name: &str, size: [u32; 2], shade: impl Fn(u32, u32) -> [u8; 3]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_fn(size[0], size[1], |x, y| Rgb(shade(x, y))).save(path).unwrap();
    }

    /// Writes images `0.png`, `1.png`, … of different colours with captions.
    pub fn images(&self, folder: &str, sizes: &[[u32; 2]]) {
        for (index, size) in sizes.iter().enumerate() {
            let shade = |x: u32, y: u32| [(x * 3 + 40 * index as u32) as u8, (y * 2) as u8, (x + y) as u8];
            self.picture(&format!("{folder}/{index}.png"), *size, shade);
            self.write(&format!("{folder}/{index}.txt"), &format!("cat, tag {index}, grass, sky"));
        }
    }

    /// Reads the options of a run that saves into the folder `out`; `HERE` in them stands for the sandbox.
    pub fn parse(&self, out: &str, options: &str) -> Parsed {
        let mut line = format!("--output_dir=HERE/{out} {COMMON} {} {options}", self.base);
        if !options.contains("--dataset_config") {
            line += " --train_data_dir=HERE/train";
        }
        let mut words = vec![OsString::from(USE_SD15)];
        words.extend(line.split_whitespace().map(|word| OsString::from(self.with_folder(word))));
        parse_train(&words).unwrap_or_else(|error| panic!("{options}: {error}"))
    }

    /// Trains.
    pub fn bake(&self, out: &str, options: &str) -> Baked {
        self.try_bake(out, options, None).unwrap_or_else(|error| panic!("{options}: {error:#}"))
    }

    /// Trains where it is told to stop before the first step.
    pub fn bake_and_stop(&self, out: &str, options: &str) -> Baked {
        self.try_bake(out, options, Some(Command::Stop)).unwrap_or_else(|error| panic!("{options}: {error:#}"))
    }

    /// Trains before an onlooker.
    pub fn bake_before(&self, out: &str, options: &str, onlooker: &mut dyn Onlooker) -> Baked {
        let parsed = self.parse(out, options);
        let (events, heard) = channel();
        let (_orders, commands) = channel();
        let outcome = bake_before(&parsed, &events, &commands, Some(onlooker)).unwrap();
        drop(events);
        Baked::read(outcome, heard.iter().collect())
    }

    /// Why training ends with an error, with all its causes.
    pub fn error(&self, out: &str, options: &str) -> String {
        match self.try_bake(out, options, None) {
            Ok(_) => panic!("{options}: there is no error"),
            Err(error) => format!("{error:#}"),
        }
    }

    fn try_bake(&self, out: &str, options: &str, order: Option<Command>) -> anyhow::Result<Baked> {
        let parsed = self.parse(out, options);
        let (events, heard) = channel();
        let (orders, commands) = channel();
        if let Some(order) = order {
            orders.send(order).unwrap();
        }
        let outcome = bake(&parsed, &events, &commands)?;
        drop(events);
        Ok(Baked::read(outcome, heard.iter().collect()))
    }

    fn with_folder(&self, text: &str) -> String {
        text.replace("HERE", &self.folder.path().display().to_string())
    }
}

/// What came out of a run.
pub struct Baked {
    pub outcome: Outcome,
    pub events: Vec<Event>,
    /// The result, read at the end of the run.
    pub lora: LoraFile,
    /// The bytes of each tensor of the result.
    pub tensors: BTreeMap<String, Vec<u8>>,
}

impl Baked {
    fn read(outcome: Outcome, events: Vec<Event>) -> Self {
        let lora = LoraFile::open(&outcome.file).unwrap();
        let tensors = tensors(&outcome.file);
        Self { outcome, events, lora, tensors }
    }

    /// All optimizer steps.
    pub fn steps(&self) -> Vec<&Step> {
        let mut steps = Vec::new();
        for event in &self.events {
            if let Event::Stepped(step) = event {
                steps.push(step);
            }
        }
        steps
    }

    /// The loss of each step.
    pub fn losses(&self) -> Vec<f64> {
        self.steps().iter().map(|step| step.loss).collect()
    }

    /// What the user is told, one note a line.
    pub fn notes(&self) -> String {
        let mut notes = String::new();
        for event in &self.events {
            if let Event::Note(note) = event {
                notes += &format!("{note}\n");
            }
        }
        notes
    }

    /// What was prepared, in order.
    pub fn stages(&self) -> Vec<Stage> {
        let mut stages = Vec::new();
        for event in &self.events {
            if let Event::Prepared { stage, .. } = event {
                stages.push(*stage);
            }
        }
        stages
    }

    /// What was said at the start.
    pub fn started(&self) -> &RunInfo {
        for event in &self.events {
            if let Event::Started(info) = event {
                return info;
            }
        }
        panic!("the run did not start")
    }

    /// The losses over held-out images.
    pub fn validations(&self) -> Vec<Validated> {
        let mut validations = Vec::new();
        for event in &self.events {
            if let Event::Validated(validated) = event {
                validations.push(*validated);
            }
        }
        validations
    }

    /// The pictures painted while training.
    pub fn pictures(&self) -> Vec<&Painted> {
        let mut pictures = Vec::new();
        for event in &self.events {
            if let Event::Painted(painted) = event {
                pictures.push(&**painted);
            }
        }
        pictures
    }
}

/// The bytes of each tensor of a file.
pub fn tensors(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let file = TensorFile::open(path).unwrap();
    file.names().into_iter().map(|name| (name.clone(), file.bytes(&name).unwrap().to_vec())).collect()
}

/// All numbers of a LoRA, module by module.
pub fn numbers(lora: &LoraFile) -> Vec<f32> {
    let tensors = lora.modules.iter().flat_map(|module| module.tensors.values());
    tensors.flat_map(|tensor| tensor.values.iter().copied()).collect()
}

/// How far the numbers of two LoRAs with the same tensors are apart, by the L2 norm.
#[track_caller]
pub fn lora_error(ours: &LoraFile, reference: &LoraFile) -> f64 {
    assert_eq!(shapes(ours), shapes(reference));
    relative_error(&numbers(ours), &numbers(reference))
}

/// The shape of each tensor of a LoRA.
fn shapes(lora: &LoraFile) -> Vec<(String, &[usize])> {
    let mut shapes = Vec::new();
    for module in &lora.modules {
        for (name, tensor) in &module.tensors {
            shapes.push((format!("{}.{name}", module.name), &*tensor.shape));
        }
    }
    shapes
}

/// What options mean, for a test that trains nothing.
pub fn recipe(options: &str) -> Recipe {
    let line = format!("--train_data_dir=images --output_dir=out --max_train_steps=1 {options}");
    parse_train(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>()).unwrap().recipe
}

/// The file of the tiny SD1.x.
pub fn checkpoint() -> Checkpoint {
    Checkpoint::open(Path::new(SD15)).unwrap()
}

/// The tiny SD1.x for training, in f32.
pub fn bundle() -> Bundle {
    Bundle::load(&checkpoint(), VaeHalves::Training, WeightDtype::F32).unwrap()
}

/// The tiny SD1.x for pictures.
pub fn pipeline(dtype: WeightDtype) -> Pipeline {
    Pipeline::load(&checkpoint(), WeightDtypes::all(dtype)).unwrap()
}
