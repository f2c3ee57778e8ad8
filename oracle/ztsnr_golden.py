"""Golden sampler trajectories with zero terminal SNR (diffusers, k-diffusion) on a denoiser that is known exactly.

Usage: python oracle/ztsnr_golden.py OUT.safetensors
The denoiser is that of diffusion_golden.py and predicts velocities. DDIM is diffusers' with rescaled betas and "trailing"
timesteps, otherwise as Stable Diffusion's pipelines have it. Euler ancestral is k-diffusion's on the sigmas of the
rescaled schedule, whose last share is 4.8973451890853435e-08, as web UIs have it, since nothing has an infinite sigma.
"""

import torch
from diffusers import DDIMScheduler

import pack
from diffusion_golden import SCHEDULE, SHAPE, SPREAD, STEPS, GaussianModel, k_denoiser, k_diffusion

LEAST = 4.8973451890853435e-08


def scheduler():
    return DDIMScheduler(
        **SCHEDULE,
        set_alpha_to_one=False,
        steps_offset=1,
        clip_sample=False,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )


def ddim(golden, model, steps):
    own = scheduler()
    own.set_timesteps(steps)
    x = pack.normal("ddim.start", SHAPE)
    states = [x]
    for t in own.timesteps:
        x = own.step(model.predict(x, model.alphas_cumprod[t], "v_prediction"), t, x, eta=0.0).prev_sample
        states.append(x)
    golden.put(f"ddim.{steps}.timesteps", own.timesteps.to(torch.int32))
    golden.put(f"ddim.{steps}.x", torch.stack(states))


def euler_ancestral(golden, model, steps):
    sampling, external = k_diffusion("sampling"), k_diffusion("external")
    shares = model.alphas_cumprod.clone()
    shares[-1] = LEAST
    sigmas = external.DiscreteEpsDDPMDenoiser(None, shares, quantize=False).get_sigmas(steps).double()
    draws = iter([pack.normal(f"euler_ancestral.noise.{i}", SHAPE).double() for i in range(steps)])
    model = GaussianModel(model.mean.double(), model.alphas_cumprod.double())
    states = []
    last = sampling.sample_euler_ancestral(
        k_denoiser(model, "v_prediction"),
        pack.normal("k.start", SHAPE).double() * sigmas[0],
        sigmas,
        disable=True,
        callback=lambda step: states.append(step["x"].clone()),
        noise_sampler=lambda *_: next(draws),
    )
    golden.put(f"euler_ancestral.{steps}.sigmas", sigmas)
    golden.put(f"euler_ancestral.{steps}.x", torch.stack([*states, last]))


def main():
    arguments = pack.arguments(__doc__).parse_args()
    golden = pack.Pack()
    model = GaussianModel(pack.normal("mean", SHAPE, 0.7), scheduler().alphas_cumprod)
    assert model.alphas_cumprod[-1] == 0
    golden.put("gaussian.mean", model.mean)
    golden.put("gaussian.spread", torch.tensor([SPREAD]))
    for steps in STEPS:
        ddim(golden, model, steps)
        euler_ancestral(golden, model, steps)
        golden.put(f"noise.{steps}", torch.stack([pack.normal(f"euler_ancestral.noise.{i}", SHAPE) for i in range(steps)]))
    for name in [name for name in golden if name.endswith(".x")]:
        assert (golden[name][-1] - model.mean).std() < 1.5 * SPREAD, name
    golden.write(arguments.out, {"oracle": "ztsnr_golden.py"})


if __name__ == "__main__":
    main()
