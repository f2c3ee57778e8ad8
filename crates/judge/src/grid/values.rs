//! From `NAME=VALUES`, as an axis is typed, to labels and changes.

use std::path::{Path, PathBuf};

use lorabake_generate::from_settings::Library;
use lorabake_generate::prompt::find_lora;
use lorabake_generate::xyz::{Rule, Values, split_list};
use lorabake_recipe::model::Checkpoint;

use super::axis::{Axis, Put};
use super::change::{Change, ModelChoice};
use super::lora_tag::LoraTag;
use super::{blocks, epochs};
use crate::runs::Run;

/// An axis with its values.
pub struct AxisValues {
    /// Which axis.
    pub axis: &'static Axis,
    /// What is typed for it, without its name.
    pub typed: String,
    /// Its values, two at least.
    pub values: Vec<AxisValue>,
}

/// One value of an axis.
#[derive(Debug, Clone)]
pub struct AxisValue {
    /// What is written beside its pictures.
    pub label: String,
    /// What it changes.
    pub change: Change,
}

/// What values may refer to.
pub struct Ground<'a> {
    /// The prompt as it is typed.
    pub prompt: &'a str,
    /// The LoRA that axes act on, if it is named.
    pub target: Option<&'a str>,
    /// The run whose snapshots are asked for, if it is named.
    pub run: Option<&'a Run>,
    /// What paints if no axis says otherwise.
    pub model: &'a ModelChoice,
    /// Where LoRAs are found.
    pub library: &'a Library,
    /// More folders in which the values' LoRAs lie.
    pub folders: Vec<PathBuf>,
}

impl AxisValues {
    /// Reads `NAME=VALUES`; `option` is such as `--x`.
    ///
    /// # Errors
    /// A line that says what is wrong and what to do.
    pub fn read(option: &str, typed: &str, ground: &mut Ground<'_>) -> Result<Self, String> {
        let Some((name, list)) = typed.split_once('=') else {
            let typed = if typed.is_empty() { String::new() } else { format!(" {typed}") };
            return Err(format!("{option}{typed}: it has no values; write for instance {option} strength=0.5,0.8,1"));
        };
        let name = name.trim();
        if name.is_empty() {
            return Err(format!(
                "{option} {}: it names no axis; write for instance {option} strength=0.5,0.8,1",
                typed.trim()
            ));
        }
        let axis = Axis::named(name).map_err(|why| format!("{option} {name}: {why}"))?;
        let values = ground.values(axis, list).map_err(|why| format!("{option} {name}: {why}"))?;
        if values.is_empty() {
            return Err(format!("{option} {name}: it has no values; give two or more"));
        }
        if values.len() == 1 {
            return Err(format!("{option} {name}: a single value varies nothing; give two or more"));
        }
        for (index, value) in values.iter().enumerate() {
            if values[..index].iter().any(|earlier| earlier.label == value.label) {
                return Err(format!("{option} {name}: `{}` stands there twice; take one away", value.label));
            }
        }
        Ok(Self { axis, typed: list.trim().to_owned(), values })
    }
}

impl Ground<'_> {
    fn values(&mut self, axis: &'static Axis, list: &str) -> Result<Vec<AxisValue>, String> {
        let values = axis.kind.values(list, Rule::Strict)?;
        let texts = split_list(list, Rule::Strict);
        match axis.put {
            Put::Epoch => return self.snapshots(&texts),
            Put::Replace => return replacements(&texts),
            Put::Lora => return self.loras(&texts),
            _ => {}
        }
        let labels = values.labels(axis.web_ui, axis.label);
        let mut all = Vec::new();
        for (index, label) in labels.into_iter().enumerate() {
            all.push(AxisValue { label, change: self.change(axis, &values, index)? });
        }
        Ok(all)
    }

    fn change(&self, axis: &'static Axis, values: &Values, index: usize) -> Result<Change, String> {
        let change = match (axis.put, values) {
            (Put::Number(put), Values::Float(all)) => Change::Number(put, all[index]),
            (Put::Strength(acts), Values::Float(all)) => Change::Strength(acts, all[index]),
            (Put::Whole(put), Values::Whole(all)) => match usize::try_from(all[index]) {
                Ok(value) => Change::Whole(put, value),
                Err(_) => return Err(format!("{} is below 0; write whole numbers of 0 or more", all[index])),
            },
            (Put::Order, Values::Orders(all)) => Change::Order(all[index].clone()),
            (Put::Text(put), Values::Text(all)) => Change::Text(put, not_empty(&all[index])?),
            (Put::Flag(put), Values::Text(all)) => Change::Flag(put, flag(&all[index])?),
            (Put::Size, Values::Text(all)) => Change::Size(size(&all[index])?),
            (Put::Block, Values::Text(all)) => Change::Block(blocks::weights(&all[index], &self.library.presets)?),
            (Put::Checkpoint, Values::Text(all)) => Change::Checkpoint(self.checkpoint(&all[index])?),
            (Put::Vae, Values::Text(all)) => Change::Vae(self.vae(&all[index])?),
            _ => return Err("its values are of another kind; leave it out".to_owned()),
        };
        Ok(change)
    }

    /// Snapshots of the run that is named, or of the prompt's LoRA.
    fn snapshots(&mut self, list: &[String]) -> Result<Vec<AxisValue>, String> {
        let found;
        let run = match self.run {
            Some(run) => run,
            None => {
                found = self.run_of_prompt()?;
                &found
            }
        };
        let chosen = epochs::choose(run, list)?;
        self.folders.push(run.folder.clone());
        let mut values = Vec::new();
        for epochs::Choice { label, name } in chosen {
            values.push(AxisValue { label, change: Change::Lora(name) });
        }
        Ok(values)
    }

    fn run_of_prompt(&self) -> Result<Run, String> {
        let Some(tag) = LoraTag::find(self.prompt, self.target)? else {
            return Err("there is no LoRA in the prompt; write <lora:NAME:1> into it, or give --run".to_owned());
        };
        if let Ok(path) = find_lora(tag.name(), &self.library.loras) {
            return Run::find(&path).map_err(|error| format!("{error:#}"));
        }
        // A run that was stopped has snapshots, and no file of the run's own name.
        let mut folders = self.library.loras.iter();
        let found = folders.find_map(|folder| Run::find(&folder.join(tag.name())).ok());
        found.ok_or_else(|| format!("there is no run {}; name its folder by --run or --lora_dir", tag.name()))
    }

    /// LoRAs by name or path, or `none`.
    fn loras(&mut self, list: &[String]) -> Result<Vec<AxisValue>, String> {
        let mut values = Vec::new();
        let mut paths: Vec<PathBuf> = Vec::new();
        for text in list.iter().filter(|text| !text.is_empty()) {
            if text == "none" {
                values.push(AxisValue { label: "without".to_owned(), change: Change::Lora(None) });
                continue;
            }
            let path = Path::new(text);
            let mut name = text.clone();
            if path.is_file() {
                // A path has colons on Windows, which mean something else in a tag: its folder is searched instead.
                name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                if let Some(other) = paths.iter().find(|other| other.file_stem() == path.file_stem() && *other != path)
                {
                    return Err(format!("{} and {text} have the same name; rename one of them", other.display()));
                }
                paths.push(path.to_owned());
                self.folders.push(folder_of(path));
            } else if name.contains([':', '<', '>']) {
                return Err(format!(
                    "there is no file `{text}`; write names without strengths, and those by another axis"
                ));
            }
            values.push(AxisValue { label: name.clone(), change: Change::Lora(Some(name)) });
        }
        Ok(values)
    }

    /// A path, or a name in the folder of the checkpoint that is given.
    fn checkpoint(&self, text: &str) -> Result<Checkpoint, String> {
        let path = Path::new(text);
        if path.exists() {
            return Ok(Checkpoint::File(path.to_owned()));
        }
        if let Checkpoint::File(given) = &self.model.checkpoint {
            let folder = folder_of(given);
            for name in [text.to_owned(), format!("{text}.safetensors"), format!("{text}.ckpt")] {
                if folder.join(&name).exists() {
                    return Ok(Checkpoint::File(folder.join(name)));
                }
            }
        }
        Err(format!("there is no file `{text}`; write the paths of checkpoints"))
    }

    /// A path, or `none` for the checkpoint's own.
    fn vae(&self, text: &str) -> Result<Option<PathBuf>, String> {
        if ["none", "automatic"].contains(&text.to_lowercase().as_str()) {
            return Ok(None);
        }
        if !Path::new(text).exists() {
            return Err(format!(
                "there is no file `{text}`; write the paths of VAEs, or none for the checkpoint's own"
            ));
        }
        Ok(Some(PathBuf::from(text)))
    }
}

/// The folder of a file; this folder where the path says none.
fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The first text, and what is put in its place.
fn replacements(list: &[String]) -> Result<Vec<AxisValue>, String> {
    let search = list.first().cloned().unwrap_or_default();
    if search.is_empty() {
        return Err("the first value is a text of the prompt, which the others replace; it is empty".to_owned());
    }
    let mut values = Vec::new();
    for text in list {
        let label = if text.is_empty() { "(nothing)".to_owned() } else { text.clone() };
        values.push(AxisValue { label, change: Change::Replace(search.clone(), text.clone()) });
    }
    Ok(values)
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("a value is empty; take a comma away".to_owned()) } else { Ok(text.to_owned()) }
}

fn flag(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false; write one of them")),
    }
}

fn size(text: &str) -> Result<[usize; 2], String> {
    let sides = text.split_once(['x', 'X', '×']);
    let sides = sides.and_then(|(width, height)| Some([width.trim().parse().ok()?, height.trim().parse().ok()?]));
    sides.ok_or_else(|| format!("`{text}` is no size; write for instance 512x768"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(typed: &str) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.safetensors", "a-000001.safetensors", "a-000002.safetensors"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let library = Library::of_loras(vec![folder.path().to_owned()]);
        let model = ModelChoice { checkpoint: Checkpoint::Embedded, vae: None };
        let prompt = "a cat <lora:a:1>";
        let mut ground =
            Ground { prompt, target: None, run: None, model: &model, library: &library, folders: Vec::new() };
        let axis = AxisValues::read("--x", typed, &mut ground)?;
        Ok(axis.values.into_iter().map(|value| value.label).collect())
    }

    #[test]
    fn values_are_read_as_the_web_ui_writes_them_and_never_beyond_the_end() {
        for (typed, labels) in [
            ("strength=0.5-1 (+0.2)", &["strength: 0.5", "strength: 0.7", "strength: 0.9"][..]),
            ("CFG Scale=3-7 [3]", &["CFG Scale: 3.0", "CFG Scale: 5.0", "CFG Scale: 7.0"]),
            ("seed = 1-3", &["Seed: 1", "Seed: 2", "Seed: 3"]),
            ("prompt=cat,dog,", &["cat", "dog", "(nothing)"]),
            ("epoch=all", &["epoch 1", "epoch 2", "end"]),
            ("lora=a, none", &["a", "without"]),
            ("block=IN04,\"1,0,0,0,1,1,1,1,1,1,1,1\"", &["IN04", "1,0,0,0,1,1,1,1,1,1,1,1"]),
            ("vae=none,.", &["none", "."]),
        ] {
            assert_eq!(read(typed).unwrap(), labels, "{typed}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_one_line() {
        for (typed, said) in [
            ("strength", "--x strength: it has no values; write for instance --x strength=0.5,0.8,1"),
            ("strenght=1,2", "--x strenght: there is no such axis; did you mean strength?"),
            ("FP8 mode=a,b", "--x FP8 mode: weights of 8 bits are not built in"),
            ("", "--x: it has no values; write for instance --x strength=0.5,0.8,1"),
            (" =1,2", "--x =1,2: it names no axis; write for instance --x strength=0.5,0.8,1"),
            ("lora=,,", "--x lora: it has no values; give two or more"),
            ("cfg=7", "--x cfg: a single value varies nothing; give two or more"),
            ("cfg=7,7.0", "--x cfg: `CFG Scale: 7.0` stands there twice"),
            ("cfg=", "--x cfg: `` gives no value at all"),
            ("steps=10-1", "--x steps: `10-1` gives no value at all"),
            ("seed=-1,2", "--x seed: -1 is below 0"),
            ("size=512,1", "--x size: `512` is no size"),
            ("discard=maybe,no", "--x discard: `maybe` is neither true nor false"),
            ("checkpoint=x.safetensors,y", "--x checkpoint: there is no file `x.safetensors`"),
            ("lora=a:0.5,b", "--x lora: there is no file `a:0.5`; write names without strengths"),
            ("sampler=Euler,", "--x sampler: a value is empty"),
            ("prompt=,x", "--x prompt: the first value is a text of the prompt"),
        ] {
            let error = read(typed).unwrap_err();
            assert!(error.starts_with(said), "{typed}: {error}");
        }
    }
}
