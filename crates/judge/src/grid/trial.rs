//! How long a grid will take: its first picture is tried with few steps, and the rest follows from that.

use std::time::Instant;

use anyhow::Result;
use lorabake_generate::easel::{Easel, Order};
use lorabake_generate::hires::Enlarge;
use lorabake_generate::request::Request;

use super::plan::{Picture, Plan};

/// Steps of the second try; the first has one.
const STEPS: usize = 3;

/// Measured times, in seconds, at the size of the first picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// A call of the network.
    pub call: f64,
    /// All else of a picture: texts, the first noise, decoding.
    pub rest: f64,
    /// Pixels of the picture.
    pub pixels: f64,
    /// What is to be told of its networks and embeddings.
    pub told: Vec<String>,
}

/// Measures the first picture of a plan whose model `easel` has.
///
/// # Errors
/// As [`Easel::paint`].
pub fn try_out(plan: &Plan, easel: &mut Easel) -> Result<Trial> {
    let mut order = plan.order(&plan.pictures[0])?;
    order.request.hires = None;
    order.request.control.clear();
    let told = easel.hold(&order)?;
    let pixels = (order.request.size[0] * order.request.size[1]) as f64;
    // What happens once, such as reading files, is not measured.
    paint(easel, &mut order, 1)?;
    let short = paint(easel, &mut order, 1)?;
    let long = paint(easel, &mut order, STEPS)?;
    let calls = (long.calls - short.calls).max(1) as f64;
    let call = ((long.seconds - short.seconds) / calls).max(0.0);
    Ok(Trial { call, rest: (short.seconds - call * short.calls as f64).max(0.0), pixels, told })
}

/// A try.
struct Timed {
    seconds: f64,
    calls: usize,
}

fn paint(easel: &mut Easel, order: &mut Order, steps: usize) -> Result<Timed> {
    order.request.sampling.steps = steps;
    let mut calls = 0;
    let began = Instant::now();
    easel.paint(order, &mut |progress| {
        calls = progress.done;
        Ok(())
    })?;
    Ok(Timed { seconds: began.elapsed().as_secs_f64(), calls })
}

impl Trial {
    /// Seconds that `pictures` of `plan` will take, without reading checkpoints.
    ///
    /// # Errors
    /// As [`Plan::order`].
    pub fn seconds(&self, plan: &Plan, pictures: &[&Picture]) -> Result<f64> {
        let mut seconds = 0.0;
        for picture in pictures {
            let request = plan.order(picture)?.request;
            let share = (request.size[0] * request.size[1]) as f64 / self.pixels;
            let by_sampler = |steps: usize| {
                let second_order = request.sampling.sampler.is_second_order();
                (if second_order { 2 * steps } else { steps }) as f64
            };
            let first = match &request.init {
                Some(init) => (request.sampling.steps as f64 * init.denoising_strength).ceil() as usize,
                None => request.sampling.steps,
            };
            seconds += by_sampler(first) * self.call * share + self.rest * share;
            if let Some(hires) = &request.hires {
                let steps = if hires.steps == 0 { request.sampling.steps } else { hires.steps };
                let larger = share * enlarged(&request);
                seconds += by_sampler(steps) * hires.denoising_strength * self.call * larger + self.rest * larger;
            }
        }
        Ok(seconds)
    }
}

/// By how much the second pass has more pixels.
fn enlarged(request: &Request) -> f64 {
    let [width, height] = request.size;
    match request.hires.as_ref().map(|hires| hires.size) {
        Some(Enlarge::By(factor)) => factor * factor,
        Some(Enlarge::To((to_width, to_height))) => {
            let wide = to_width as f64 / width as f64;
            let high = to_height as f64 / height as f64;
            // A side of 0 follows the other.
            if wide == 0.0 {
                high * high
            } else if high == 0.0 {
                wide * wide
            } else {
                wide * high
            }
        }
        None => 1.0,
    }
}
