"""The VAE brought to SD's latent scale, and the training pictures encoded once in several placings each."""

import random

import torch

import networks
import scenes

PLACINGS = 6


def encode(vae, pictures):
    """(N, 3, 128, 128) -> means (N, 4, 16, 16)."""
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        return torch.cat([vae.moments(part)[0].float() for part in pictures.split(16)])


def rescale(vae, pictures):
    """Folds a shift and a scale for each channel into quant_conv and post_quant_conv, so that latents times 0.18215
    have mean 0 and spread 1, as SD's sampling and training assume. What the VAE decodes stays the same."""
    means = encode(vae, pictures)
    mean, spread = means.mean((0, 2, 3)), means.std((0, 2, 3))
    scale = 1 / (networks.LATENT_SCALE * spread)
    with torch.no_grad():
        inward, outward = vae.quant_conv, vae.post_quant_conv
        inward.weight[:4] *= scale[:, None, None, None]
        inward.bias[:4] = (inward.bias[:4] - mean) * scale
        inward.bias[4:] += 2 * scale.log()
        outward.bias += outward.weight[:, :, 0, 0] @ mean
        outward.weight /= scale[None, :, None, None]


def encode_all(vae, icons, rank, processes):
    """For each icon PLACINGS latents, already scaled, with the caption's background: (N, P, 4, 16, 16), [[name]].

    Each process encodes its share; all of them get everything."""
    rng = random.Random(2)
    scenery = [[scenes.scene(icon, rng) for _ in range(PLACINGS)] for icon in icons]
    share = [
        encode(vae, torch.stack([picture for picture, _ in drawn])) * networks.LATENT_SCALE
        for drawn in scenery[rank::processes]
    ]
    shares = [share]
    if processes > 1:
        shares = [None] * processes
        torch.distributed.all_gather_object(shares, share)
    latents = [shares[i % processes][i // processes] for i in range(len(icons))]
    return torch.stack(latents), [[name for _, name in drawn] for drawn in scenery]
