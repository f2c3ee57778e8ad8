"""The VAE brought to SD's latent scale, and the training pictures encoded once on several backgrounds each."""

import json
import pathlib
import random

import numpy as np
import torch

import networks
import scenes

BACKGROUNDS_EACH, DRESSED_EACH, DRESSED = 4, 3, 0.35  # Pictures of an icon; the share of those with extras.


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


class Pictures:
    """The encoded pictures that the UNet is taught, and captions written anew for each use.

    `latents` (N, BACKGROUNDS_EACH + DRESSED_EACH, 4, 16, 16), scaled; the first of each is on white, the last ones have
    extras. `looks` [[(background, extras)]], in the same order.
    """

    def __init__(self, vae, source, rank, processes):
        data = np.load(source)
        icons, facts = data["icons"], json.loads(str(data["facts"]))
        kept = [i for i, fact in enumerate(facts) if fact["taught"]]
        self.facts = [facts[i] for i in kept]
        rescale(vae, torch.stack([scenes.portrait(icons[i], scenes.WHITE) for i in kept[::4]]))
        rng, others = random.Random(2), [name for name in scenes.BACKGROUNDS if name != scenes.WHITE]
        self.looks = [[(name, ()) for name in (scenes.WHITE, *rng.sample(others, BACKGROUNDS_EACH - 1))] for _ in kept]
        for of_icon in self.looks:
            of_icon += [(rng.choice([scenes.WHITE, *others]), extras(rng)) for _ in range(DRESSED_EACH)]

        share = [
            encode(vae, torch.stack([picture(icons[kept[i]], look, i) for look in self.looks[i]]))
            for i in range(rank, len(kept), processes)
        ]
        shares = [share]
        if processes > 1:
            shares = [None] * processes
            torch.distributed.all_gather_object(shares, share)
        encoded = [shares[i % processes][i // processes] for i in range(len(kept))]
        self.latents = torch.stack(encoded) * networks.LATENT_SCALE

    def draw(self, rng):
        """Latents and caption of any picture; of those without extras, half are on white."""
        i = rng.randrange(len(self.facts))
        plain = 0 if rng.random() < 0.5 else rng.randrange(1, BACKGROUNDS_EACH)
        j = BACKGROUNDS_EACH + rng.randrange(DRESSED_EACH) if rng.random() < DRESSED else plain
        background, worn = self.looks[i][j]
        return self.latents[i, j], scenes.caption(self.facts[i], background, rng, worn)


def extras(rng):
    """At least one of scenes.EXTRAS, mostly the hat."""
    shares = dict(zip(scenes.EXTRAS, (0.65, 0.25, 0.2)))
    return tuple(name for name, share in shares.items() if rng.random() < share) or ("hat",)


def picture(icon, look, seed):
    background, worn = look
    if worn:
        return scenes.dressed(icon, background, worn, random.Random(seed))
    return scenes.portrait(icon, background)
