//! Names of samplers and schedulers.

use lorabake_diffusion::{Sampler, SamplerChoice, Scheduler};

#[test]
fn samplers_go_by_the_names_of_sd_scripts_and_of_the_web_ui() {
    for (name, sampler) in [
        ("ddim_diffusers", Sampler::DdimDiffusers),
        ("DDIM", Sampler::Ddim),
        ("euler_a", Sampler::EulerA),
        ("k_euler_a", Sampler::EulerA),
        ("Euler a", Sampler::EulerA),
        ("dpm++ 2m sde heun", Sampler::Dpmpp2MSdeHeun),
        ("dpm_2_a", Sampler::Dpm2A),
        ("pndm", Sampler::Plms),
        ("DDIM CFG++", Sampler::DdimCfgpp),
    ] {
        assert_eq!(name.parse(), Ok(sampler), "{name}");
    }
    for sampler in Sampler::ALL {
        for name in sampler.names() {
            assert_eq!(name.parse(), Ok(*sampler), "{name}");
        }
        assert_eq!(sampler.to_string().parse(), Ok(*sampler));
    }
    for scheduler in Scheduler::ALL {
        for name in scheduler.names() {
            assert_eq!(name.parse(), Ok(*scheduler), "{name}");
        }
    }
}

#[test]
fn old_names_bring_their_scheduler() {
    for (name, sampler, scheduler) in [
        ("DPM++ 2M", Sampler::Dpmpp2M, Scheduler::Automatic),
        ("DPM++ 2M Karras", Sampler::Dpmpp2M, Scheduler::Automatic),
        ("DPM++ 2M Exponential", Sampler::Dpmpp2M, Scheduler::Exponential),
        ("DPM++ 2M SDE Karras", Sampler::Dpmpp2MSde, Scheduler::Karras),
        ("Euler a Karras", Sampler::EulerA, Scheduler::Karras),
        ("euler_a sgm_uniform", Sampler::EulerA, Scheduler::SgmUniform),
        ("Euler DDIM", Sampler::Euler, Scheduler::Ddim),
        ("DDIM", Sampler::Ddim, Scheduler::Automatic),
    ] {
        assert_eq!(name.parse(), Ok(SamplerChoice { sampler, scheduler }), "{name}");
    }
    let choice: SamplerChoice = "DPM++ 2M Exponential".parse().expect("a name");
    assert_eq!(choice.with_scheduler(Scheduler::Karras).scheduler, Scheduler::Automatic);
    assert_eq!(choice.with_scheduler(Scheduler::Automatic).scheduler, Scheduler::Exponential);
}

#[test]
fn an_unknown_name_is_told_with_its_neighbours() {
    let error = "eular".parse::<Sampler>().expect_err("not a sampler");
    assert!(error.to_string().starts_with("there is no sampler `eular`; use Euler, "), "{error}");
    let error = "karas".parse::<Scheduler>().expect_err("not a scheduler");
    assert!(error.to_string().starts_with("there is no scheduler `karas`; use Karras, "), "{error}");
    let error = "x".repeat(10_000_000).parse::<SamplerChoice>().expect_err("not a sampler");
    assert!(error.to_string().len() < 200, "{error}");
    let error = "DPM++ 2N Karras".parse::<SamplerChoice>().expect_err("not a sampler");
    assert!(error.to_string().contains("DPM++ 2M"), "{error}");
}
