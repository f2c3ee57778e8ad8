//! What the settings of a cell mean, as texts that can be compared: which cells are the same picture, and which share
//! networks or texts.

use std::path::PathBuf;

use lorabake_diffusion::{SamplerOptions, Scheduler};
use lorabake_generate::prompt::networks::NetworkKind;
use lorabake_generate::request::Request;
use lorabake_pixels::{Gray, Rgb};

/// What the settings of a cell mean, as texts that can be compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Meaning {
    /// Which of the plan's models paints it.
    pub model: usize,
    /// Its networks and how they act.
    pub networks: String,
    /// Its networks and how they act on the text encoders.
    pub text_networks: String,
    /// What the text encoders are given.
    pub texts: String,
    /// All of it.
    pub whole: String,
    /// Files of LoRAs.
    pub loras: Vec<PathBuf>,
    /// Files of all networks.
    pub files: Vec<PathBuf>,
}

impl Meaning {
    /// Of a picture that `model` paints.
    pub fn of(mut request: Request, model: usize) -> Self {
        let empty = (1, 1);
        if let Some(init) = &mut request.init {
            init.image = Rgb::filled(empty, [0; 3]);
            if let Some(inpaint) = &mut init.inpaint {
                inpaint.mask = Gray::filled(empty, [0]);
            }
        }
        request.control.clear();
        forget_idle(&mut request);
        let mut loras = Vec::new();
        let mut files = Vec::new();
        let mut text_networks = String::new();
        for network in &request.networks {
            files.push(network.path.clone());
            if network.used.kind == NetworkKind::Lora {
                loras.push(network.path.clone());
                let used = &network.used;
                text_networks += &format!("{:?} {:?} {:?} {:?} ", network.path, used.te, used.dyn_dim, used.blocks);
            }
        }
        let texts = format!(
            "{:?} {:?} {:?} {:?} {}",
            request.prompt, request.negative_prompt, request.text, request.size, request.sampling.steps
        );
        let networks = format!("{:?}", request.networks);
        Self { model, networks, text_networks, texts, whole: format!("{request:?}"), loras, files }
    }
}

/// Forgets settings that have no effect with the others.
fn forget_idle(request: &mut Request) {
    let sampling = &mut request.sampling;
    let name = sampling.sampler.to_string();
    if sampling.sampler.goes_by_timesteps() {
        sampling.scheduler = Scheduler::Automatic;
    }
    if name == "DPM adaptive" {
        sampling.steps = 1;
    }
    if !["Euler", "Heun", "DPM2"].contains(&name.as_str()) {
        let plain = SamplerOptions::default();
        let options = &mut sampling.options;
        options.s_churn = plain.s_churn;
        options.s_tmin = plain.s_tmin;
        options.s_tmax = plain.s_tmax;
    }
    if request.seed.subseed_strength == 0.0 {
        request.seed.subseed = 0;
    }
}
