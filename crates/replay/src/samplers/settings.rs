//! What a recorded run was asked to be.

use anyhow::{Context, Result, bail};
use lorabake_diffusion::{
    Img2ImgSteps, NoiseTable, Prediction, Sampler, SamplerOptions, Scheduler, UniPcOptions, UniPcSkip, UniPcVariant,
};
use serde_json::Value;

use crate::sigmas::{beta, img2img_steps, table};

/// The settings of a run.
pub(super) struct Settings {
    pub(super) sampler: Sampler,
    pub(super) scheduler: Scheduler,
    pub(super) table: NoiseTable,
    pub(super) prediction: Prediction,
    /// Steps of the schedule.
    pub(super) steps: usize,
    /// Of a run that begins with a picture.
    pub(super) picture: Option<Img2ImgSteps>,
    pub(super) options: SamplerOptions,
}

impl Settings {
    pub(super) fn read(case: &Value) -> Result<Self> {
        let sampler = case["sampler"].as_str().context("sampler")?.parse()?;
        let scheduler = case["scheduler"].as_str().unwrap_or("Automatic").parse()?;
        let mut table = table(case["table"].as_str().unwrap_or("sd"));
        if case["quantize"].as_bool() == Some(true) {
            table = table.quantized();
        }
        let prediction = match case["prediction"].as_str() {
            Some("v") => Prediction::V,
            _ => Prediction::Epsilon,
        };
        let mut steps = case["steps"].as_u64().context("steps")? as usize;
        let mut picture = None;
        if case["denoising_strength"].is_number() {
            let own = img2img_steps(case)?;
            let recorded = &case["img2img_steps"];
            if recorded[0] != own.schedule || recorded[1] != own.encode {
                bail!("img2img_steps are {recorded}, ours {own:?}");
            }
            steps = own.schedule;
            picture = Some(own);
        }
        Ok(Self { sampler, scheduler, table, prediction, steps, picture, options: options(case)? })
    }
}

fn options(case: &Value) -> Result<SamplerOptions> {
    let usual = SamplerOptions::default();
    let number = |key: &str| case[key].as_f64();
    let is_on = |key: &str| case[key].as_bool() == Some(true);
    Ok(SamplerOptions {
        eta: number("eta"),
        s_churn: number("s_churn").unwrap_or(usual.s_churn),
        s_tmin: number("s_tmin").unwrap_or(usual.s_tmin),
        s_tmax: number("s_tmax"),
        s_noise: number("s_noise").unwrap_or(usual.s_noise),
        sigma_min: number("sigma_min"),
        sigma_max: number("sigma_max"),
        rho: number("rho"),
        beta: beta(case),
        always_discard: is_on("always_discard_next_to_last_sigma"),
        sgm_noise_multiplier: is_on("sgm_noise_multiplier"),
        unipc: unipc(&case["unipc"])?,
    })
}

fn unipc(case: &Value) -> Result<UniPcOptions> {
    let usual = UniPcOptions::default();
    let variant = match case["uni_pc_variant"].as_str() {
        None | Some("bh1") => UniPcVariant::Bh1,
        Some("bh2") => UniPcVariant::Bh2,
        Some("vary_coeff") => UniPcVariant::VaryCoeff,
        Some(other) => bail!("UniPC variant {other}"),
    };
    let skip = match case["uni_pc_skip_type"].as_str() {
        None | Some("time_uniform") => UniPcSkip::TimeUniform,
        Some("time_quadratic") => UniPcSkip::TimeQuadratic,
        Some("logSNR") => UniPcSkip::LogSnr,
        Some(other) => bail!("UniPC skip type {other}"),
    };
    let order = case["uni_pc_order"].as_u64().map_or(usual.order, |order| order as usize);
    let lower_order_final = case["uni_pc_lower_order_final"].as_bool().unwrap_or(usual.lower_order_final);
    Ok(UniPcOptions { variant, skip, order, lower_order_final })
}
