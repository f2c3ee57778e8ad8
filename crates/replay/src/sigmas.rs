//! `sigmas/` and `img2img_steps.json`: tables of noise levels, schedulers, how many steps are run.

use anyhow::{Context, Result};
use lorabake_diffusion::{BetaShape, Img2ImgSteps, NoiseTable, Sampler, SamplerOptions, Scheduler, StepRule};
use serde_json::Value;

use crate::pack::{Pack, Tensors};
use crate::verdict::{Case, close, same};

/// Noise levels agree to a millionth of the largest.
const TOLERANCE: f64 = 1e-6;
/// Timesteps between two whole ones hang on the last digits of logarithms in f32.
const TIMESTEP_TOLERANCE: f64 = 2e-6;

/// Every recorded case of `sigmas/`.
pub(crate) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (number, case) in pack.cases("sigmas/schedules.json")?.iter().enumerate() {
        let name = format!("schedules {number} {} {}", case["scheduler"], case["steps"]);
        cases.push(Case::of(name, schedule(case)?));
    }
    if pack.has("sigmas/tables.safetensors") {
        let tensors = pack.tensors("sigmas/tables.safetensors")?;
        let mut names = tensors.names()?;
        names.sort();
        for name in names {
            cases.push(Case::of(format!("tables {name}"), table_entry(&name, &tensors)?));
        }
    }
    Ok(cases)
}

/// Every recorded case of `img2img_steps.json`.
pub(crate) fn img2img_cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (number, case) in pack.cases("img2img_steps.json")?.iter().enumerate() {
        let own = img2img_steps(case)?;
        let recorded = [&case["schedule_steps"], &case["t_enc"]].map(Value::as_u64);
        let own = [own.schedule, own.encode].map(|count| Some(count as u64));
        cases.push(Case::of(format!("{number}"), same(&own, &recorded)));
    }
    Ok(cases)
}

/// The steps of a case with `steps`, `denoising_strength`, and `fix_steps` or `steps_argument`.
pub(crate) fn img2img_steps(case: &Value) -> Result<Img2ImgSteps> {
    let given = case["steps_argument"].as_u64();
    let steps = given.or(case["steps"].as_u64()).context("steps")? as usize;
    let is_exact = given.is_some() || case["fix_steps"].as_bool() == Some(true);
    let rule = if is_exact { StepRule::Exactly } else { StepRule::Share };
    Ok(Img2ImgSteps::new(steps, case["denoising_strength"].as_f64().context("denoising_strength")?, rule))
}

/// The table of a model or of alphas by their name in the pack.
pub(crate) fn table(name: &str) -> NoiseTable {
    let table = NoiseTable::stable_diffusion();
    match name {
        "ztsnr" => table.zero_terminal_snr(),
        "half" => table.downcast(),
        "sdxl" => table.xl(),
        _ => table,
    }
}

/// The parameters of the beta scheduler that a case tells in its text.
pub(crate) fn beta(case: &Value) -> BetaShape {
    let mut shape = SamplerOptions::default().beta;
    for (own, key) in [(&mut shape.alpha, "Beta schedule alpha"), (&mut shape.beta, "Beta schedule beta")] {
        if let Some(value) = case["infotext"][key].as_f64() {
            *own = value;
        }
    }
    shape
}

fn schedule(case: &Value) -> Result<Result<(), String>> {
    let scheduler: Scheduler = case["scheduler"].as_str().context("scheduler")?.parse()?;
    let mut options = SamplerOptions {
        rho: case["rho"].as_f64(),
        sigma_min: case["smin"].as_f64(),
        sigma_max: case["smax"].as_f64(),
        always_discard: case["discard"].as_bool() == Some(true),
        ..SamplerOptions::default()
    };
    options.beta = beta(case);
    if case["old"].as_bool() == Some(true) {
        options = options.old_karras_sigmas();
    }
    let table = table(case["model"].as_str().unwrap_or_default());
    let steps = case["steps"].as_u64().context("steps")? as usize;
    let levels = Sampler::Euler.levels(scheduler, &table, steps, &options)?;
    Ok(close(levels.sigmas().unwrap_or_default(), &numbers(&case["sigmas"])?, TOLERANCE))
}

fn table_entry(name: &str, tensors: &Tensors) -> Result<Result<(), String>> {
    let recorded = tensors.f32(name)?;
    let plain = NoiseTable::stable_diffusion();
    let (kind, detail) = name.split_once('.').context("a dot in the name")?;
    let mut tolerance = TOLERANCE;
    let ours = match (kind, detail) {
        ("alphas_cumprod", model) => table(model).alphas().to_vec(),
        ("sigmas", model) => table(model).sigmas().to_vec(),
        ("lcm", "sigmas") => plain.consistency().sigmas().to_vec(),
        ("lcm", runs) => {
            let steps = last_number(runs)?;
            let options = SamplerOptions::default();
            let levels = Sampler::Lcm.levels(Scheduler::Automatic, &plain, steps, &options)?;
            levels.sigmas().unwrap_or_default().to_vec()
        }
        ("ddim", runs) => {
            let options = SamplerOptions::default();
            let levels = Sampler::Ddim.levels(Scheduler::Automatic, &plain, last_number(runs)?, &options)?;
            levels.timesteps().unwrap_or_default().iter().map(|timestep| *timestep as f32).collect()
        }
        ("probe", "t" | "t_quantized") => {
            tolerance = TIMESTEP_TOLERANCE;
            let table = if detail == "t" { plain } else { plain.quantized() };
            tensors.f32("probe.sigma")?.into_iter().map(|sigma| table.timestep(sigma)).collect()
        }
        ("probe", "timestep_sigma") => {
            tensors.f32("probe.timestep")?.into_iter().map(|timestep| plain.sigma(timestep)).collect()
        }
        // What the probes ask.
        ("probe", _) => recorded.clone(),
        _ => anyhow::bail!("sigmas/tables: {name} is of no known kind"),
    };
    Ok(close(&ours, &recorded, tolerance))
}

/// The number behind the last `_` of a name.
fn last_number(name: &str) -> Result<usize> {
    let (_, number) = name.rsplit_once('_').context("a number in the name")?;
    Ok(number.parse()?)
}

/// The numbers of a list.
pub(crate) fn numbers(value: &Value) -> Result<Vec<f32>> {
    let list = value.as_array().with_context(|| format!("{value} is no list"))?;
    Ok(list.iter().map(|number| number.as_f64().map_or(f32::NAN, |number| number as f32)).collect())
}
