"""What is measured on pictures, by diffusers, torch, numpy and scipy: features of the UNet (DIFT), frequencies, edges.

Usage: python oracle/judge_golden.py crates/judge/tests/golden/judge.safetensors
Reads models/tiny, models/pocket and examples. DIFT is Tang et al. 2023 (arXiv 2306.03881): a hook on a block of diffusers'
UNet, a mean over noises. What the tensors are: README.md beside this file.
"""

import colorsys
import pathlib

import numpy as np
import torch
from PIL import Image
from scipy import fft, ndimage, stats
from scipy.signal import windows
from torch.nn import functional as F

import ldm
import pack
import pictures_golden

# As `Dift::usual` has it.
PLACES = {"sd15": (1, 261), "sd2": (1, 261), "sdxl": (0, 261), "pocket": (2, 261)}
SIZES = {"pocket": (16, 16)}
EXAMPLES = pathlib.Path(__file__).parent.parent / "examples"


def alphas_cumprod():
    """Stable Diffusion's schedule."""
    return torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)


def dift(name, record):
    """The activation of one model, and its pooled forms."""
    unet = pictures_golden.unet(ldm.read(pictures_golden.FILES[name]), name).double()
    block, timestep = PLACES[name]
    rows, columns = SIZES.get(name, (16, 24))
    latents = pack.normal(f"{name}.latents", (1, 4, rows, columns))
    noises = pack.normal(f"{name}.noises", (2, 4, rows, columns))
    context = pack.normal(f"{name}.context", (1, 77, unet.config.cross_attention_dim))
    told = {}
    record(f"{name}.place", torch.tensor([block, timestep], dtype=torch.int32))
    for key, tensor in [("latents", latents), ("noises", noises), ("context", context)]:
        record(f"{name}.{key}", tensor)
    if name == "sdxl":
        told["text_embeds"] = pack.normal(f"{name}.pooled", (1, 8)).double()
        told["time_ids"] = torch.tensor([[128.0, 192, 0, 0, 128, 192]], dtype=torch.float64)
        record(f"{name}.pooled", told["text_embeds"])
        record(f"{name}.sizes", told["time_ids"])
    share = alphas_cumprod()[timestep]
    seen = []
    hook = unet.up_blocks[block].register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    for noise in noises.double():
        unet(share**0.5 * latents.double() + (1 - share) ** 0.5 * noise, timestep, context.double(), added_cond_kwargs=told)
    hook.remove()
    mean = torch.stack(seen).mean(0)
    record(f"{name}.activation", mean)
    record(f"{name}.global", torch.cat([mean.mean((2, 3))[0], mean.std((2, 3), correction=0)[0]]))
    if name == "sd15":
        record(f"{name}.patches", F.adaptive_avg_pool2d(mean, 16)[0].flatten(1).T)


def luma(rgb):
    return rgb.astype(np.float64) @ [0.299, 0.587, 0.114] / 255


def spectrum(values):
    """The slope of power over frequency, and the share of fine detail."""
    side = min(values.shape)
    top, left = (values.shape[0] - side) // 2, (values.shape[1] - side) // 2
    square = values[top : top + side, left : left + side]
    window = windows.hann(side)
    power = np.abs(fft.fft2((square - square.mean()) * np.outer(window, window))) ** 2
    along = fft.fftfreq(side, 1 / side)
    radius = np.hypot(along[:, None], along[None, :])
    rings = np.arange(4, side // 2 + 1)
    means = ndimage.mean(power, np.round(radius), rings)
    slope = stats.linregress(np.log(rings), np.log(means)).slope
    return slope, power[radius > side / 4].sum() / power[np.round(radius) > 0].sum()


def autocorrelation(values):
    right = np.corrcoef(values[:, :-1].ravel(), values[:, 1:].ravel())[0, 1]
    below = np.corrcoef(values[:-1].ravel(), values[1:].ravel())[0, 1]
    return (right + below) / 2


def mixed_directions(values):
    down, across = np.gradient(values)
    strength = np.hypot(across, down)
    strength[[0, -1]], strength[:, [0, -1]] = 0, 0
    direction = np.round(np.arctan2(down, across) % np.pi / np.pi * 8).astype(int) % 8
    total, weight = 0.0, 0.0
    for row in range(values.shape[0] // 8):
        for column in range(values.shape[1] // 8):
            cell = np.s_[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
            shares = np.bincount(direction[cell].ravel(), strength[cell].ravel(), 8)
            if shares.sum() > 0:
                total += shares.sum() * stats.entropy(shares) / np.log(8)
                weight += shares.sum()
    return total / weight


def looks(image, latents):
    """The values of `fry`, in its order, then those of `noise_blobs` without the round trip."""
    rgb = np.asarray(image)
    own = luma(rgb)
    small = luma(np.asarray(image.resize((256, 256), Image.BILINEAR)))
    saturation = np.vectorize(lambda r, g, b: colorsys.rgb_to_hsv(r, g, b)[1])(*(rgb / 255).transpose(2, 0, 1))
    slope, fine = spectrum(own)
    return [
        ((rgb <= 1) | (rgb >= 254)).any(2).mean(),
        np.percentile(saturation, 99),
        own.std(),
        np.abs(ndimage.laplace(small))[1:-1, 1:-1].mean(),
        fine,
        np.percentile(np.abs(latents), 99.9),
        *latents.mean((1, 2)),
        slope,
        autocorrelation(own),
        mixed_directions(own),
    ]


def main():
    arguments = pack.arguments(__doc__).parse_args()
    golden = pack.Pack()
    for name in PLACES:
        dift(name, golden.put)
    latents = golden.put("looks.latents", pack.normal("looks.latents", (4, 8, 8))).double().numpy()
    shapes = {
        "penny": Image.open(EXAMPLES / "penny/10_penny/00.png").convert("RGB"),
        "stripes": pictures_golden.picture(104, 64),
    }
    noise = pack.uniform("looks.noise", (64, 72, 3), 0, 256).to(torch.int32)
    golden.put("looks.noise.pixels", noise)
    shapes["noise"] = Image.fromarray(noise.numpy().astype(np.uint8))
    for name, image in shapes.items():
        golden.put(f"looks.{name}", torch.tensor(looks(image, latents)))
    golden.write(arguments.out, {"oracle": "judge_golden.py", "dtype": "float64"})


if __name__ == "__main__":
    with torch.no_grad():
        main()
