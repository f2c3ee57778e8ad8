//! Requests as the oracle asked diffusers, and how their pictures are compared.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use lorabake_diffusion::{Sampler, SamplerOptions, Scheduler, StepRule};
use lorabake_generate::conditioning::chunks::COMMA_BACKTRACK;
use lorabake_generate::conditioning::length::PadPrompts;
use lorabake_generate::conditioning::{TextOptions, ToldSizes};
use lorabake_generate::nets::Nets;
use lorabake_generate::noise::Source;
use lorabake_generate::painter::{Painter, Predicts};
use lorabake_generate::prompt::emphasis::Emphasis;
use lorabake_generate::request::{Init, Request, Sampling, Seeds};
use lorabake_generate::resize_mode::ResizeMode;
use lorabake_model::WeightDtypes;
use lorabake_ops::WeightDtype;
use lorabake_pixels::Rgb;
use lorabake_testkit::{Golden, relative_max_error};
use lorabake_weights::Checkpoint;

/// The largest difference, as a share of the largest value.
const TOLERANCE: f64 = 1e-4;

/// The golden file of a mode.
pub fn golden(mode: &str) -> Golden {
    Golden::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{mode}.safetensors")))
}

/// The names of its cases.
pub fn cases(golden: &Golden) -> Vec<String> {
    golden.names().filter_map(|name| name.strip_suffix(".latent")).map(str::to_string).collect()
}

/// The checkpoint that the oracle calls so.
pub fn checkpoint_path(model: &str) -> PathBuf {
    let file = match model {
        "pocket" => "pocket/pocket.safetensors".to_string(),
        tiny => format!("tiny/{tiny}_tiny.safetensors"),
    };
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(file)
}

/// The painter of a checkpoint that the oracle calls `model`.
pub fn painter(model: &str, checkpoint: Checkpoint) -> Painter {
    // The tiny checkpoint of SD2.x predicts velocities and does not say so.
    let predicts = if model == "sd2" { Predicts::Velocity } else { Predicts::AsFile };
    let dtypes = WeightDtypes::all(WeightDtype::F32);
    Painter::open(checkpoint, dtypes, predicts, false, Device::flex()).unwrap()
}

/// A painter with its checkpoint as it is.
pub fn painter_of(model: &str) -> Painter {
    painter(model, Checkpoint::open(&checkpoint_path(model)).unwrap())
}

/// A request for a picture from noise; `size` is [width, height].
pub fn request(model: &str, sampler: &str, size: [usize; 2]) -> Request {
    let prompt = if model == "pocket" { "fox, white background, noto style" } else { "a copper penny, front view" };
    let (sampler, scheduler) = match sampler {
        "euler" => (Sampler::Euler, Scheduler::Automatic),
        "euler_karras" => (Sampler::Euler, Scheduler::Karras),
        "euler_exponential" => (Sampler::Euler, Scheduler::Exponential),
        "euler_a" => (Sampler::EulerA, Scheduler::Automatic),
        "heun" => (Sampler::Heun, Scheduler::Automatic),
        "lms" => (Sampler::Lms, Scheduler::Automatic),
        "lms_karras" => (Sampler::Lms, Scheduler::Karras),
        "dpmpp_2m_karras" => (Sampler::Dpmpp2M, Scheduler::Karras),
        "ddim" => (Sampler::DdimDiffusers, Scheduler::Automatic),
        other => panic!("no sampler is called {other}"),
    };
    Request {
        prompt: prompt.to_string(),
        negative_prompt: "blurry".to_string(),
        networks: Vec::new(),
        text: TextOptions {
            clip_skip: 1,
            emphasis: Emphasis::default(),
            comma_backtrack: COMMA_BACKTRACK,
            sizes: ToldSizes::default(),
        },
        old_prompt_editing: false,
        pad_prompts: PadPrompts::Off,
        size,
        sampling: Sampling {
            sampler,
            scheduler,
            steps: 10,
            cfg_scale: 7.5,
            negative_scale: None,
            options: SamplerOptions::default(),
            eta: None,
            eta_ddim: None,
            extra_noise: 0.0,
            downcast_alphas: false,
            zero_terminal_snr: false,
            skip_early_cfg: 0.0,
            s_min_uncond: 0.0,
            s_min_uncond_all: false,
        },
        seed: Seeds {
            seed: 1234,
            subseed: 0,
            subseed_strength: 0.0,
            resize_from: None,
            eta_noise_seed_delta: 0,
            source: Source::Cpu,
        },
        noise: None,
        tiling: false,
        init: None,
        hires: None,
        control: Vec::new(),
    }
}

/// A picture to begin with.
pub fn init(image: Rgb, denoising_strength: f64) -> Init {
    Init {
        image,
        resize_mode: ResizeMode::JustResize,
        denoising_strength,
        step_rule: StepRule::Share,
        noise_multiplier: 1.0,
        color_correction: false,
        conditional_mask_weight: 1.0,
        inpaint: None,
    }
}

/// Paints, and says how the picture differs from the recorded one of this name, if it does.
pub fn difference(golden: &Golden, name: &str, painter: &Painter, request: &Request) -> Option<String> {
    let painted = painter.paint(request, &Nets::default(), None, &mut |_| Ok(())).unwrap();
    let latent = relative_max_error(&painted.latent, golden.numbers(&format!("{name}.latent")));
    let image_name = format!("{name}.image");
    let image =
        if golden.has(&image_name) { relative_max_error(&painted.values, golden.numbers(&image_name)) } else { 0.0 };
    println!("{name}: latent {latent:.1e}, image {image:.1e}");
    // Written so that what is not a number differs.
    if latent <= TOLERANCE && image <= TOLERANCE {
        return None;
    }
    Some(format!("{name}: latent {latent:e}, image {image:e}"))
}
