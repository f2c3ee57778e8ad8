//! sd-scripts' tools: `merge_lora`, `svd_merge_lora`, `resize_lora`, `extract_lora_from_dylora`, `merge_models` and others.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lorabake_recipe::model::Family;
use lorabake_recipe::output::SavePrecision;
use lorabake_surgery::block::BlockWeights;
use lorabake_surgery::extract::{Extract, Keep, Kind, extract};
use lorabake_surgery::like::Like;
use lorabake_surgery::merge::into_model::{IntoModel, into_model};
use lorabake_surgery::merge::models::ratio::{Choice, Chosen};
use lorabake_surgery::merge::models::{How, MergeModels, VaeChoice, merge_models};
use lorabake_surgery::merge::nets::{MergeNets, Ranks, merge_nets};
use lorabake_surgery::merge::peers::{PeerSum, merge_like_peers};
use lorabake_surgery::net::{NetUse, Strength};
use lorabake_surgery::rank::RankRule;
use lorabake_surgery::resize::{DyloraScale, Resize, Target, cut_dylora, resize};
use lorabake_weights::Part;
use serde_json::Value;

use super::Verdict;
use super::check::{self, Nearness};
use super::pack::Pack;
use super::words::Words;

/// Replays a case.
///
/// # Errors
/// When files cannot be read, or what is done here is refused.
pub fn case(pack: &Pack, name: &str, value: &Value) -> Result<Verdict> {
    let command = value["command"].as_str().context("a command")?;
    let words = Words::of(command);
    let family = match value["family"].as_str() {
        Some("sdxl") => Family::Sdxl,
        Some("sd2") => Family::Sd2,
        _ => Family::Sd1,
    };
    let mut recorded = value["file"].as_str().map(|file| pack.file(file));
    if recorded.is_none() && pack.file(name).is_file() {
        recorded = Some(pack.file(name));
    }
    let case = Replay { pack, words, family, recorded };
    match command.split(' ').next().context("a tool")? {
        "merge_lora" | "sdxl_merge_lora" if case.words.has("sd_model") => case.merged_model(),
        "merge_lora" | "sdxl_merge_lora" => case.loras(value["error"].is_string()),
        "svd_merge_lora" => case.svd_merge(),
        "resize_lora" => case.resize(value),
        "extract_lora_from_dylora" => case.dylora(value),
        "merge_models" => case.models(),
        "extract_lora_from_models" => case.extract(),
        "check_lora_weights" => statistics(pack, value),
        tool => bail!("{name}: {tool} is not known"),
    }
}

/// `check_lora_weights.py`: a line for each tensor with its mean and its smallest entry.
fn statistics(pack: &Pack, value: &Value) -> Result<Verdict> {
    let path = value["command"].as_str().and_then(|command| command.split(' ').nth(1)).context("a file")?;
    let ours = lorabake_surgery::check::statistics(&pack.file(path))?;
    let text = value["stdout"].as_str().context("what it printed")?;
    let mut lines = text.lines();
    let count = lines.next().and_then(|line| line.rsplit(' ').next()).and_then(|count| count.parse().ok());
    if count != Some(ours.len()) {
        return Ok(Verdict::Differs(format!("theirs counts {count:?} tensors, ours {}", ours.len())));
    }
    for line in lines {
        let fields: Vec<&str> = line.rsplitn(3, ',').collect();
        let [least, mean, name] = fields[..] else { continue };
        let name = name.split(',').next().unwrap_or_default();
        let Some(own) = ours.iter().find(|own| own.name == name) else {
            return Ok(Verdict::Differs(format!("{name} is missing")));
        };
        let (mean, least): (f64, f64) = (mean.parse()?, least.parse()?);
        if (own.mean - mean).abs() > 1e-6 * mean || (f64::from(own.least) - least).abs() > 1e-6 * least {
            return Ok(Verdict::Differs(format!(
                "{name}: theirs {mean} and {least}, ours {} and {}",
                own.mean, own.least
            )));
        }
    }
    Ok(Verdict::Same)
}

struct Replay<'p> {
    pack: &'p Pack,
    words: Words,
    family: Family,
    recorded: Option<PathBuf>,
}

impl Replay<'_> {
    fn recorded(&self) -> Result<&PathBuf> {
        self.recorded.as_ref().context("nothing was recorded")
    }

    /// What a result's precision allows.
    fn tolerance(&self, precision: Option<SavePrecision>, exact: f64) -> f64 {
        match precision {
            Some(SavePrecision::F16) => exact.max(1e-3),
            Some(SavePrecision::Bf16) => exact.max(5e-3),
            _ => exact,
        }
    }

    fn nets(&self) -> Result<Vec<NetUse>> {
        let ratios = self.words.numbers("ratios")?;
        let mut nets = Vec::new();
        for (index, name) in self.words.all("models").iter().enumerate() {
            let mut strength = Strength::everywhere(ratios.get(index).copied().unwrap_or(1.0));
            if let Some(list) = self.words.all("lbws").get(index) {
                let numbers: Vec<f64> = serde_json::from_str(list)?;
                let blocks = BlockWeights::of_list(&numbers, self.family, 1.0).map_err(anyhow::Error::msg)?;
                strength.blocks = Some(blocks);
            }
            nets.push(NetUse { path: self.pack.file(name), strength });
        }
        Ok(nets)
    }

    fn merged_model(&self) -> Result<Verdict> {
        let model = self.pack.model(self.words.one("sd_model").context("a model")?)?;
        let precision = self.words.precision("save_precision").or(self.words.precision("precision"));
        let output = self.pack.output(precision);
        let request = IntoModel {
            model: model.clone(),
            vae: None,
            nets: self.nets()?,
            like: Like::SdScripts,
            without_averages: false,
        };
        into_model(&request, &output, BTreeMap::new(), &|_, _| true)?;
        let tolerance = self.tolerance(precision, 1e-6);
        check::model(&output.path, self.recorded()?, &model, tolerance)
    }

    fn loras(&self, failed: bool) -> Result<Verdict> {
        let precision = self.words.precision("save_precision");
        let output = self.pack.output(precision);
        let sum = if self.words.has("concat") { PeerSum::Concatenated } else { PeerSum::Added };
        let nets = self.nets()?;
        let merged = merge_like_peers(&nets, sum, &output, BTreeMap::new());
        if failed {
            // Theirs ends in an error, and so does ours by their name; ours by its own is exact.
            if merged.is_ok() {
                return Ok(Verdict::Differs("theirs refused it".into()));
            }
            return self.exact_sum(nets);
        }
        merged?;
        let tolerance = self.tolerance(precision, 1e-6);
        check::loras(&output.path, self.recorded()?, Nearness::exact(tolerance))
    }

    /// Our merge beside the sum of the products.
    fn exact_sum(&self, nets: Vec<NetUse>) -> Result<Verdict> {
        let output = self.pack.output(Some(SavePrecision::F32));
        let mut sums: BTreeMap<String, Vec<f32>> = BTreeMap::new();
        for used in &nets {
            for (name, product) in check::products(&used.path)? {
                let sum = sums.entry(name).or_insert_with(|| vec![0.0; product.delta.values.len()]);
                let ratio = used.strength.unet as f32;
                sum.iter_mut().zip(product.delta.values).for_each(|(sum, value)| *sum += ratio * value);
            }
        }
        let request = MergeNets { nets, ranks: Ranks::Joined, base: None };
        merge_nets(&request, &output, BTreeMap::new(), &|_, _| true)?;
        for (name, product) in check::products(&output.path)? {
            let error = check::apart(&product.delta.values, &sums[&name]);
            if error > 1e-6 {
                return Ok(Verdict::Differs(format!("{name} is {error:.1e} from the sum")));
            }
        }
        Ok(Verdict::Same)
    }

    fn svd_merge(&self) -> Result<Verdict> {
        let precision = self.words.precision("save_precision");
        let output = self.pack.output(precision);
        let rank = self.words.number("new_rank", 4.0)? as usize;
        let conv = self.words.number("new_conv_rank", rank as f64)? as usize;
        let request = MergeNets { nets: self.nets()?, ranks: Ranks::AtMost(rank, conv), base: None };
        merge_nets(&request, &output, BTreeMap::new(), &|_, _| true)?;
        check::clamped(&output.path, self.recorded()?, 0.99, Nearness { module: 0.2, whole: 0.05, ranks: false })
    }

    fn resize(&self, value: &Value) -> Result<Verdict> {
        let precision = self.words.precision("save_precision");
        let output = self.pack.output(precision.or(Some(SavePrecision::F32)));
        let rank = self.words.number("new_rank", 4.0)? as usize;
        let conv_rank = self.words.number("new_conv_rank", rank as f64)? as usize;
        let share = self.words.number("dynamic_param", 0.0)?;
        let rule = match self.words.one("dynamic_method") {
            Some("sv_ratio") => RankRule::Ratio(share),
            Some("sv_fro") => RankRule::Frobenius(share),
            Some("sv_cumulative") => RankRule::Cumulative(share),
            _ => RankRule::Fixed,
        };
        let path = self.pack.file(self.words.one("model").context("a model")?);
        let target = Target::Rule { rule, rank, conv_rank };
        let rows = resize(&Resize { path, target, base: None, max_norm: None }, &output, &|_, _| true)?;
        let tolerance = match precision {
            Some(SavePrecision::F16) => 5e-4,
            Some(SavePrecision::Bf16) => 4e-3,
            _ => 5e-6,
        };
        for line in value["stdout"].as_str().unwrap_or_default().lines() {
            let Some((name, told)) = line.split_once('|') else { continue };
            let Some(row) = rows.iter().find(|row| row.module == name.trim()) else { continue };
            let ours = format!(
                " sum(S) retained: {:.1}%, fro retained: {:.1}%, max(S) ratio: {:.1}",
                row.kept_sum * 100.0,
                row.kept_norm * 100.0,
                row.ratio
            );
            if !told.starts_with(&ours) && row.kept_sum < 1.0 - 1e-6 {
                return Ok(Verdict::Differs(format!("{}: theirs says{told}, ours{ours}", row.module)));
            }
        }
        check::loras(&output.path, self.recorded()?, Nearness::exact(tolerance))
    }

    fn dylora(&self, value: &Value) -> Result<Verdict> {
        let path = self.pack.file(self.words.one("model").context("a model")?);
        let unit = self.words.number("unit", 1.0)? as usize;
        for (name, part) in value["files"].as_object().context("files")? {
            let rank = name.rsplit('-').next().and_then(|rank| rank.parse().ok()).context("a rank")?;
            if rank % unit != 0 {
                return Ok(Verdict::Differs(format!("{name} is no multiple of {unit}")));
            }
            let output = self.pack.output(None);
            cut_dylora(&path, rank, DyloraScale::Kohya, &output)?;
            for product in check::products(&output.path)?.values() {
                let alpha = part["alphas"][0].as_f64().context("an alpha")? as f32;
                if (product.rank, product.alpha) != (rank, alpha) {
                    return Ok(Verdict::Differs(format!("{name}: rank {} and alpha {}", product.rank, product.alpha)));
                }
            }
            if self.recorded()?.to_string_lossy().contains(name.as_str()) {
                let verdict = check::loras(&output.path, self.recorded()?, Nearness::exact(1e-6))?;
                if !matches!(verdict, Verdict::Same) {
                    return Ok(verdict);
                }
            }
        }
        Ok(Verdict::Same)
    }

    fn extract(&self) -> Result<Verdict> {
        let precision = self.words.precision("save_precision");
        let output = self.pack.output(precision.or(Some(SavePrecision::F32)));
        let quantile = self.words.number("clamp_quantile", 0.99)?;
        let conv_rank = self.words.numbers("conv_dim")?.first().map(|rank| *rank as usize);
        let request = Extract {
            base: self.pack.model(self.words.one("model_org").context("a model")?)?,
            tuned: self.pack.model(self.words.one("model_tuned").context("a model")?)?,
            kind: Kind::Lora,
            keep: Keep::Most,
            keep_conv: None,
            rank: self.words.number("dim", 4.0)? as usize,
            conv_rank,
            parts: Part::ADAPTED.to_vec(),
            full_difference: false,
            like: Like::SdScripts,
            clamp_quantile: None,
            min_diff: Some(self.words.number("min_diff", 0.01)?),
            tucker: false,
        };
        let made = extract(&request, &output, BTreeMap::new(), &|_, _| true);
        let Some(recorded) = &self.recorded else {
            // Theirs writes a file of zeros where nothing differs enough.
            return Ok(match made {
                Err(error) if error.to_string().contains("differs") => Verdict::Same,
                Err(error) => Verdict::Differs(error.to_string()),
                Ok(_) => Verdict::Differs("theirs found no difference".into()),
            });
        };
        made?;
        let exact = if self.family == Family::Sdxl { 2e-3 } else { 5e-6 };
        // What is cut depends on the entry at the quantile alone, and so on every rounding.
        let exact = if quantile < 1.0 { 1e-3 } else { exact };
        let near = Nearness::exact(self.tolerance(precision, exact));
        check::clamped(&output.path, recorded, quantile, near)
    }

    fn models(&self) -> Result<Verdict> {
        let mut models = Vec::new();
        for name in self.words.all("models") {
            models.push(self.pack.model(name)?);
        }
        let mut shares = self.words.numbers("ratios")?;
        if shares.is_empty() {
            shares = vec![1.0 / models.len() as f64; models.len()];
        }
        let unet_only = self.words.has("unet_only");
        let precision = self.words.precision("saving_precision");
        let output = self.pack.output(precision.or(Some(SavePrecision::F32)));
        let before = models[0].clone();
        let request = MergeModels {
            models,
            how: How::Shares(shares),
            chosen: Chosen::parse(if unet_only { Choice::Exclude } else { Choice::All }, "BASE"),
            vae: VaeChoice::Merged,
            adjust: None,
            like: Like::SdScripts,
        };
        merge_models(&request, &output, BTreeMap::new(), &|_, _| true)?;
        check::model(&output.path, self.recorded()?, &before, self.tolerance(precision, 1e-6))
    }
}
