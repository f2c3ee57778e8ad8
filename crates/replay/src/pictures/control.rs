//! What ControlNets give for the first call of a run, before weights.

use anyhow::{Context, Result};

use super::call::Call;
use super::{INDEX, LATENTS, RUNS, models};
use crate::pack::Pack;
use crate::verdict::{Case, close};

/// One case a run whose residuals were recorded.
pub(super) fn cases(pack: &Pack) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    if !pack.has(RUNS) {
        return Ok(cases);
    }
    let runs = pack.tensors(RUNS)?;
    for case in pack.cases(INDEX)? {
        let id = case["id"].as_str().context("an id")?;
        if !runs.has(&format!("{id}.control.out.00")) {
            continue;
        }
        let net = models::control_net(pack, &case)?;
        let call = Call::read(&runs, id)?.sample(0);
        let hint = net.hint(models::control_image(pack, &case)?);
        let outputs = net.forward(call.x, &call.timesteps, call.conditioning, hint);
        let mut result = Ok(());
        for (index, output) in outputs.into_iter().enumerate() {
            let recorded = runs.f32(&format!("{id}.control.out.{index:02}"))?;
            let own: Vec<f32> = output.into_data().try_into_vec().expect("f32");
            result = result.and(close(&own, &recorded, LATENTS).map_err(|why| format!("output {index}: {why}")));
        }
        cases.push(Case::of(format!("{id} residuals"), result));
    }
    Ok(cases)
}
