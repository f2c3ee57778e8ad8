"""Golden schedules and sampler trajectories (diffusers, k-diffusion) on a denoiser that is known exactly.

Usage: python oracle/diffusion_golden.py OUT.safetensors
No network: the data are Gaussian, x0 ~ N(mu, s^2), for which the best denoiser is a formula (README.md).
"""

import importlib
import pathlib
import sys
import types

import diffusers.schedulers.scheduling_euler_ancestral_discrete as euler_ancestral_module
import numpy
import torch
from diffusers import DDIMScheduler, EulerAncestralDiscreteScheduler
from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

import pack

SHAPE = (1, 4, 4, 4)
STEPS = (10, 30)
SPREAD = 0.5  # s
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


def k_diffusion(module):
    """A module of k-diffusion without its package's __init__, which imports training code and much else."""
    if "k_diffusion" not in sys.modules:
        package = types.ModuleType("k_diffusion")
        package.__path__ = [str(pathlib.Path(path) / "k_diffusion") for path in sys.path]
        sys.modules["k_diffusion"] = package
    return importlib.import_module("k_diffusion." + module)


class GaussianModel:
    """What a network trained to perfection on N(mu, s^2) predicts, in the three parameterisations."""

    def __init__(self, mean, alphas_cumprod):
        self.mean = mean
        self.alphas_cumprod = alphas_cumprod

    def clean(self, x, alpha):
        """E[x0 | x] for x = sqrt(alpha) x0 + sqrt(1-alpha) noise."""
        gain = SPREAD**2 * alpha**0.5 / (alpha * SPREAD**2 + 1 - alpha)
        return self.mean + gain * (x - alpha**0.5 * self.mean)

    def predict(self, x, alpha, prediction):
        """`epsilon` or `v_prediction` at noise level `alpha`."""
        clean = self.clean(x, alpha)
        noise = (x - alpha**0.5 * clean) / (1 - alpha) ** 0.5
        return noise if prediction == "epsilon" else alpha**0.5 * noise - (1 - alpha) ** 0.5 * clean


def schedules(golden):
    """The SD schedule in f64 (numpy), as diffusers has it in f32, and with zero terminal SNR. Returns the f32 one."""
    betas = numpy.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    golden.put("alphas_cumprod.f64", torch.from_numpy(numpy.cumprod(1 - betas)), torch.float64)
    scheduler = DDIMScheduler(**SCHEDULE)
    golden.put("alphas_cumprod.f32", scheduler.alphas_cumprod)
    zero = (1 - rescale_zero_terminal_snr(scheduler.betas)).cumprod(0)
    golden.put("alphas_cumprod.zero_terminal_snr", zero)
    return scheduler.alphas_cumprod


def ddim(golden, model, prediction, steps):
    """SD1.5's DDIM: leading timesteps + 1, last alpha = alphas_cumprod[0], no clipping, eta 0."""
    scheduler = DDIMScheduler(
        **SCHEDULE, set_alpha_to_one=False, steps_offset=1, clip_sample=False, prediction_type=prediction
    )
    scheduler.set_timesteps(steps)
    x = pack.normal("ddim.start", SHAPE)
    states, outputs = [x], []
    for t in scheduler.timesteps:
        outputs.append(model.predict(x, model.alphas_cumprod[t], prediction))
        x = scheduler.step(outputs[-1], t, x, eta=0.0).prev_sample
        states.append(x)
    name = f"ddim.{prediction}.{steps}"
    golden.put(name + ".timesteps", scheduler.timesteps.to(torch.int32))
    golden.put(name + ".x", torch.stack(states))
    golden.put(name + ".model_output", torch.stack(outputs))


def k_denoiser(model, prediction):
    """`denoised(x, sigma)` through the network's own parameterisation, as CompVisDenoiser and CompVisVDenoiser do."""

    def denoised(x, sigma, **_):
        sigma = sigma.view(-1, 1, 1, 1)
        output = model.predict(x / (sigma**2 + 1) ** 0.5, 1 / (sigma**2 + 1), prediction)
        if prediction == "epsilon":
            return x - sigma * output
        return x / (sigma**2 + 1) - sigma / (sigma**2 + 1) ** 0.5 * output

    return denoised


def k_samplers(golden, model, prediction, steps):
    """k-diffusion's Euler, Euler ancestral and DPM-Solver++(2M) on CompVis sigmas and on Karras sigmas."""
    sampling, external = k_diffusion("sampling"), k_diffusion("external")
    compvis = external.DiscreteEpsDDPMDenoiser(None, model.alphas_cumprod, quantize=False)
    noises = [pack.normal(f"euler_ancestral.noise.{i}", SHAPE) for i in range(steps)]
    sigma_sets = {
        "compvis": compvis.get_sigmas(steps),
        "karras": sampling.get_sigmas_karras(steps, compvis.sigma_min.item(), compvis.sigma_max.item()),
    }
    if prediction == "epsilon":
        golden.put(f"k.noise.{steps}", torch.stack(noises))
    for kind, sigmas in sigma_sets.items():
        if prediction == "epsilon":
            golden.put(f"k.{kind}.{steps}.sigmas", sigmas)
            golden.put(f"k.{kind}.{steps}.timesteps", compvis.sigma_to_t(sigmas[:-1]))
        for sampler in ("euler", "euler_ancestral", "dpmpp_2m"):
            draws = iter(noises)
            extra = {"noise_sampler": lambda *_: next(draws)} if sampler == "euler_ancestral" else {}
            states = []
            last = getattr(sampling, "sample_" + sampler)(
                k_denoiser(model, prediction),
                pack.normal("k.start", SHAPE) * sigmas[0],
                sigmas,
                disable=True,
                callback=lambda step: states.append(step["x"].clone()),
                **extra,
            )
            golden.put(f"k.{kind}.{steps}.{sampler}.{prediction}.x", torch.stack([*states, last]))


def diffusers_euler_ancestral(golden, model, prediction, steps):
    """diffusers' Euler ancestral with SD1.5's leading timesteps: same update as k-diffusion, other sigmas."""
    scheduler = EulerAncestralDiscreteScheduler(
        **SCHEDULE, prediction_type=prediction, timestep_spacing="leading", steps_offset=1
    )
    scheduler.set_timesteps(steps)
    noises = [pack.normal(f"euler_ancestral.noise.{i}", SHAPE) for i in range(steps)]
    draws = iter(noises)
    euler_ancestral_module.randn_tensor = lambda *_, **__: next(draws)
    x = pack.normal("k.start", SHAPE) * scheduler.init_noise_sigma
    states = [x]
    for t, sigma in zip(scheduler.timesteps, scheduler.sigmas):
        scaled = scheduler.scale_model_input(x, t)
        x = scheduler.step(model.predict(scaled, 1 / (sigma**2 + 1), prediction), t, x).prev_sample
        states.append(x)
    name = f"diffusers.euler_ancestral.{prediction}.{steps}"
    golden.put(name + ".sigmas", scheduler.sigmas)
    golden.put(name + ".timesteps", scheduler.timesteps)
    golden.put(name + ".x", torch.stack(states))


def main():
    arguments = pack.arguments(__doc__).parse_args()
    golden = pack.Pack()
    model = GaussianModel(pack.normal("mean", SHAPE, 0.7), schedules(golden))
    golden.put("gaussian.mean", model.mean)
    golden.put("gaussian.spread", torch.tensor([SPREAD]))
    for prediction in ("epsilon", "v_prediction"):
        for steps in STEPS:
            ddim(golden, model, prediction, steps)
            k_samplers(golden, model, prediction, steps)
            diffusers_euler_ancestral(golden, model, prediction, steps)
    check(golden, model)
    golden.write(arguments.out, {"oracle": "diffusion_golden.py"})


def check(golden, model):
    """The samplers must do their work: end on the data's distribution, and not depend on the parameterisation."""
    for name in [name for name in golden if name.endswith(".x")]:
        end = golden[name][-1]
        assert (end - model.mean).std() < 1.5 * SPREAD, name
        other = name.replace("epsilon", "v_prediction")
        distance = (end - golden[other][-1]).abs().max().item()
        assert distance < 2e-4, (name, distance)


if __name__ == "__main__":
    main()
