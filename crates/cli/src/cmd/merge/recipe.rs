//! A merge as TOML: the options of the command line by their names. A merged file keeps it, and it can be run again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args as _, FromArgMatches};
use lorabake_recipe::text_file;
use lorabake_surgery::metadata::{Hash, Metadata, RECIPE};
use lorabake_surgery::net::NetUse;
use lorabake_weights::formats::tensor_file::TensorFile;
use lorabake_weights::lora::NetTensors;
use serde_json::{Map, Value as Json};
use toml::{Table, Value};

use super::{Args, files};

/// Hashes of the sources, which say nothing to a merge that is run again.
const HASHES: &str = "sha256";
/// What of a LoRA's metadata holds for what it is merged into, too.
const KEPT: [&str; 7] = [
    "ss_v2",
    "ss_base_model_version",
    "modelspec.sai_model_spec",
    "modelspec.architecture",
    "modelspec.implementation",
    "modelspec.resolution",
    "modelspec.prediction_type",
];

/// The options of `args` that were given, by name, and how their paths are written.
fn table(args: &Args, shown: impl Fn(&Path) -> String) -> Table {
    let mut table = Table::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            table.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<String>| text.clone().map(Value::String);
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| Value::String(shown(path)));
    let flag = |given: bool| if given { Some(Value::Boolean(true)) } else { None };
    let number = |number: Option<u32>| number.map(|number| Value::Integer(number.into()));
    if !args.files.is_empty() {
        let mut files = Vec::new();
        for file in &args.files {
            // Only the path of a word changes, and only where the word has one file.
            let spec = lorabake_surgery::spec::Spec::parse(file).unwrap_or_default();
            let word = match &spec[..] {
                [spec] => file.replacen(&spec.path.display().to_string(), &shown(&spec.path), 1),
                _ => file.clone(),
            };
            files.push(Value::String(word));
        }
        put("files", Some(Value::Array(files)));
    }
    let ratios: Vec<Value> = args.ratios.iter().map(|ratio| Value::Float(*ratio)).collect();
    put("ratios", if ratios.is_empty() { None } else { Some(Value::Array(ratios)) });
    put("into", path(&args.into));
    put("to", text(&args.to));
    put("presets", path(&args.presets));
    let like = args.like.map(|like| match like {
        lorabake_surgery::like::Like::SdScripts | lorabake_surgery::like::Like::Ours => "sd-scripts",
        lorabake_surgery::like::Like::Lycoris => "lycoris",
        lorabake_surgery::like::Like::Supermerger => "supermerger",
    });
    put("like", like.map(|name| Value::String(name.to_owned())));
    put("unet_ratio", args.nets.unet_ratio.map(Value::Float));
    put("te_ratio", args.nets.te_ratio.map(Value::Float));
    put("rank", number(args.nets.rank));
    put("conv_rank", number(args.nets.conv_rank));
    put("size", args.nets.size.map(|size| Value::String(size.to_string())));
    put("base", path(&args.nets.base));
    put("concat", flag(args.nets.concat));
    let models = &args.models;
    put("mode", models.mode.map(|mode| Value::String(mode.name().to_owned())));
    put("alpha", models.alpha.map(Value::Float));
    put("beta", models.beta.map(Value::Float));
    put("gamma", models.gamma.map(Value::Float));
    put("alpha_blocks", text(&models.alpha_blocks));
    put("beta_blocks", text(&models.beta_blocks));
    put("elements", text(&models.elements));
    put("include", text(&models.include));
    put("exclude", text(&models.exclude));
    put("adjust", text(&models.adjust));
    put("vae_file", path(&models.vae_file));
    put("merge_vae", flag(models.merge_vae));
    put("keep_ema", flag(models.keep_ema));
    put("save_precision", args.output.save_precision.map(|precision| Value::String(precision_name(precision).into())));
    table
}

fn precision_name(precision: lorabake_recipe::output::SavePrecision) -> &'static str {
    use lorabake_recipe::output::SavePrecision::{Bf16, F16, F32};
    match precision {
        F32 => "float",
        F16 => "fp16",
        Bf16 => "bf16",
    }
}

/// The options of a recipe, with those of the command line over them.
///
/// # Errors
/// When it cannot be read, or has what is no option.
pub fn with_recipe(args: &Args, path: &Path) -> Result<Args> {
    let text = text_file::decode_settings(std::fs::read(path).with_context(|| format!("--recipe {}", path.display()))?);
    let text = text.map_err(|what| anyhow!("--recipe {}: {what}", path.display()))?;
    let recipe: Table = text.parse().map_err(|error: toml::de::Error| {
        anyhow!("--recipe {}: it is no TOML ({}); give a recipe of `lorabake merge`", path.display(), error.message())
    })?;
    let mut words = recipe;
    words.remove(HASHES);
    words.extend(table(args, |path| path.display().to_string()));
    let mut argv = vec!["merge".to_owned()];
    let mut files = Vec::new();
    for (name, value) in words {
        let word = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match value {
            Value::Array(values) if name == "files" => files.extend(values.iter().map(word)),
            Value::Array(values) => {
                argv.push(format!("--{name}"));
                argv.extend(values.iter().map(word));
            }
            Value::Boolean(true) => argv.push(format!("--{name}")),
            Value::Boolean(false) => {}
            value => argv.push(format!("--{name}={}", word(&value))),
        }
    }
    argv.push(format!("--output={}", args.output.output.display()));
    if args.output.overwrite {
        argv.push("--overwrite".to_owned());
    }
    argv.push("--".to_owned());
    argv.extend(files);
    let command = Args::augment_args(clap::Command::new("merge").no_binary_name(false));
    let matches = command.try_get_matches_from(argv).map_err(|error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        anyhow!("--recipe {}: {line}; look at `lorabake merge --help`", path.display())
    })?;
    let read = Args::from_arg_matches(&matches)?;
    if read.recipe.is_some() {
        bail!("--recipe {}: a recipe names no other; leave it out", path.display());
    }
    Ok(read)
}

/// Adds the recipe as a merged file keeps it: names of files without their folders, and what was in them.
fn with_kept(args: &Args, mut metadata: BTreeMap<String, String>) -> Result<Metadata> {
    let name = |path: &Path| path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let mut table = table(args, name);
    let mut sources: Vec<PathBuf> = files::specs(args)?.into_iter().map(|spec| spec.path).collect();
    sources.extend(args.into.clone());
    sources.extend(args.models.vae_file.clone());
    let mut hashes = Vec::new();
    let mut places = Table::new();
    for (number, source) in sources.into_iter().enumerate() {
        let name = name(&source);
        let hash = Hash::of(source, number);
        places.insert(name, Value::String(hash.place().to_owned()));
        hashes.push(hash);
    }
    table.insert(HASHES.to_owned(), Value::Table(places));
    metadata.insert(RECIPE.to_owned(), table.to_string());
    Ok(Metadata::with_hashes(metadata, hashes))
}

/// The title of a result: its name.
fn title(args: &Args) -> String {
    args.output.output.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The title of a source, by its metadata or its name.
fn title_of(path: &Path, metadata: &BTreeMap<String, String>) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    metadata.get("modelspec.title").filter(|title| !title.is_empty()).cloned().unwrap_or(name)
}

/// Metadata of a model that is merged from `model` and others.
///
/// # Errors
/// When a source cannot be read.
pub fn of_model(args: &Args, model: &Path) -> Result<Metadata> {
    let mut metadata = BTreeMap::new();
    let mut titles = Vec::new();
    if model.is_file() {
        metadata = TensorFile::open(model)?.metadata().clone();
        metadata.retain(|key, _| !key.starts_with("sshs_") && !key.starts_with("modelspec.hash"));
    }
    if args.into.is_some() {
        titles.push(title_of(model, &metadata));
    }
    for spec in files::specs(args)? {
        let own = if spec.path.is_file() { TensorFile::open(&spec.path)?.metadata().clone() } else { BTreeMap::new() };
        titles.push(title_of(&spec.path, &own));
    }
    metadata.insert("modelspec.title".into(), title(args));
    metadata.insert("modelspec.merged_from".into(), titles.join(", "));
    with_kept(args, metadata)
}

/// Metadata of a LoRA that is merged from others.
///
/// # Errors
/// When a source cannot be read.
pub fn of_nets(args: &Args, nets: &[NetUse]) -> Result<BTreeMap<String, String>> {
    let mut metadata = BTreeMap::new();
    let mut titles = Vec::new();
    let mut tags: Map<String, Json> = Map::new();
    for used in nets {
        let net = NetTensors::open(&used.path)?;
        let own = net.metadata();
        for key in KEPT {
            if let Some(value) = own.get(key) {
                metadata.entry(key.to_owned()).or_insert_with(|| value.clone());
            }
        }
        titles.push(title_of(&used.path, own));
        if let Some(Ok(Json::Object(folders))) = own.get("ss_tag_frequency").map(|text| serde_json::from_str(text)) {
            for (folder, counts) in folders {
                tags.entry(folder).or_insert(counts);
            }
        }
    }
    metadata.insert("ss_network_module".into(), "networks.lora".into());
    let dim = args.nets.rank.map_or("Dynamic".to_owned(), |rank| rank.to_string());
    metadata.insert("ss_network_alpha".into(), dim.clone());
    metadata.insert("ss_network_dim".into(), dim);
    metadata.insert("ss_output_name".into(), title(args));
    metadata.insert("modelspec.title".into(), title(args));
    metadata.insert("modelspec.merged_from".into(), titles.join(", "));
    if !tags.is_empty() {
        metadata.insert("ss_tag_frequency".into(), Json::Object(tags).to_string());
    }
    Ok(with_kept(args, metadata)?.finished()?)
}
