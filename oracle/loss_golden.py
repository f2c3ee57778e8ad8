"""Golden losses, loss weights, noises and the zero-terminal-SNR schedule: sd-scripts' formulas in torch calls.

Usage: python oracle/loss_golden.py OUT.safetensors
The schedule is diffusers' DDPMScheduler as sd-scripts makes it; formulas are restated from sd-scripts 48d368fa
(custom_train_functions.py, train_util.py), which has no package that could be imported.
"""

import math

import torch
from diffusers import DDPMScheduler

import pack

TIMESTEPS = torch.tensor([0, 1, 20, 250, 500, 777, 990, 999])
SHAPE = (8, 4, 6, 5)
HUBER = {"c01": (0.1, 1.0), "c03x2": (0.3, 2.0)}
SHRINKS = (3.7, 2.9, 2.1)  # drawn at random in training; the level of iteration i is size / SHRINKS[i]**i
DISCOUNT = 0.4


def zero_terminal(betas):
    """alphas_cumprod after algorithm 1 of Lin et al. 2023, by way of betas in f32."""
    root = (1 - betas).cumprod(0).sqrt()
    root = (root - root[-1]) * (root[0] / (root[0] - root[-1]))
    bar = root**2
    alphas = torch.cat([bar[:1], bar[1:] / bar[:-1]])
    return torch.cumprod(1.0 - (1 - alphas), dim=0)


def thresholds(schedule, c, scale, alphas_cumprod):
    if schedule == "exponential":
        return torch.exp(math.log(c) / 1000 * TIMESTEPS) * scale
    if schedule == "snr":
        a = alphas_cumprod[TIMESTEPS]
        return (1 - c) / (1 + ((1.0 - a) / a) ** 0.5) ** 2 + c
    return torch.full(TIMESTEPS.shape, c * scale)


def losses(golden, alphas_cumprod, suffix=""):
    """Mean error of each sample, and the gradient of their mean."""
    target = pack.normal("loss.target", SHAPE)

    def put(name, error):
        output = pack.normal("loss.output", SHAPE).requires_grad_()
        per_sample = error(output).mean(dim=[1, 2, 3])
        (gradient,) = torch.autograd.grad(per_sample.mean(), output)
        golden.put(f"loss.{name}{suffix}", per_sample)
        golden.put(f"gradient.{name}{suffix}", gradient)

    if not suffix:
        golden.put("loss.output", pack.normal("loss.output", SHAPE))
        golden.put("loss.target", target)
        put("l2", lambda output: torch.nn.functional.mse_loss(output, target, reduction="none"))
        put("l1", lambda output: torch.nn.functional.l1_loss(output, target, reduction="none"))
    for schedule in ("constant", "exponential", "snr"):
        for name, (c, scale) in HUBER.items():
            limit = thresholds(schedule, c, scale, alphas_cumprod).view(-1, 1, 1, 1)
            soft = lambda output: torch.sqrt((output - target) ** 2 + limit**2) - limit  # noqa: E731
            put(f"huber.{schedule}.{name}", lambda output: 2 * limit * soft(output))
            put(f"smooth_l1.{schedule}.{name}", lambda output: 2 * soft(output))


def factors(golden, snr):
    """What each option multiplies the loss of the timesteps with."""
    snr = snr[TIMESTEPS]
    limited = torch.minimum(snr, torch.tensor(1000.0))
    share = limited / (limited + 1)
    one = torch.ones_like(snr)
    min_snr = torch.minimum(snr, torch.full_like(snr, 5.0))
    golden.put("factor.debiased.epsilon", one / torch.sqrt(limited))
    golden.put("factor.debiased.v", one / (limited + 1))
    golden.put("factor.scale_v", one * share)
    golden.put("factor.v_like", one + one / share * 0.5)
    golden.put("factor.all.v", min_snr / (snr + 1) * share / (limited + 1))
    loss = min_snr / snr
    golden.put("factor.all.epsilon", (loss + loss / share * 0.5) / torch.sqrt(limited))


def noises(golden):
    """Noise offset that adapts to the latents, noise of several sizes, noise for the input only."""
    shape = (2, 4, 9, 13)
    latents, noise = pack.normal("noise.latents", shape), pack.normal("noise.noise", shape)
    latents = golden.put("noise.latents", latents + pack.normal("noise.means", (2, 4, 1, 1)))
    golden.put("noise.noise", noise)
    mean = torch.abs(latents.mean(dim=(2, 3), keepdim=True))
    for name, scale in (("up", 0.2), ("down", -0.1)):
        golden.put(f"noise.offset.{name}", torch.clamp(0.05 + scale * mean, 0.0, None))
    enlarge = torch.nn.Upsample(size=shape[2:], mode="bilinear")
    mixed = noise.clone()
    for i, shrink in enumerate(SHRINKS):
        size = [max(1, int(side / shrink**i)) for side in shape[2:]]
        level = golden.put(f"noise.level.{i}", pack.normal(f"noise.level.{i}", (*shape[:2], *size)))
        mixed += enlarge(level) * DISCOUNT**i
    golden.put("noise.multires", mixed / mixed.std())


def main():
    out = pack.arguments(__doc__).parse_args().out
    golden = pack.Pack()
    scheduler = DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000, clip_sample=False
    )
    alphas_cumprod = scheduler.alphas_cumprod
    zero = golden.put("zero_terminal.alphas_cumprod", zero_terminal(scheduler.betas))
    golden.put("timesteps", TIMESTEPS.to(torch.int32))
    losses(golden, alphas_cumprod)
    losses(golden, zero, ".zero_terminal")
    factors(golden, (torch.sqrt(alphas_cumprod) / torch.sqrt(1.0 - alphas_cumprod)) ** 2)
    noises(golden)
    golden.write(out)


if __name__ == "__main__":
    main()
