"""Trains the pocket model's text encoder and UNet together: epsilon prediction on SD's noise schedule.

Usage: python oracle/pocket/train_unet.py EMOJI.npz VAE.pt OUT.pt STEPS [FROM.pt]
One caption in ten is empty, so that classifier-free guidance works. Loss: MSE with min-SNR weights (gamma 5). The
learning rate falls to nothing over STEPS; FROM.pt, an earlier OUT.pt, is gone on from. OUT.pt holds the moving
average of the weights, and the VAE at SD's latent scale.
"""

import json
import random
import sys

import parallel

RANK, PROCESSES = parallel.spread() if __name__ == "__main__" else (0, 1)

import numpy as np
import torch

import latents
import networks
import scenes
import tokens

# BATCH pictures in all a step, over PROCESSES.
BATCH, PEAK, WARMUP, NO_CAPTION, KEEP = 16, 1.2e-3, 200, 0.1, 0.999


def alphas_cumprod():
    """SD's: betas spaced evenly in their square roots from 0.00085 to 0.012 over 1000 steps."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float()


class Set:
    """The encoded pictures, and captions written anew for each use."""

    def __init__(self, vae, source):
        data = np.load(source)
        icons, facts = data["icons"], json.loads(str(data["facts"]))
        kept = [i for i, fact in enumerate(facts) if not fact["held_out"]]
        self.facts = [facts[i] for i in kept]
        white = scenes.BACKGROUNDS[scenes.WHITE]
        plain = torch.stack([scenes.place(icons[i], white, 0.86, (0, 0), False) for i in kept[::4]])
        latents.rescale(vae, plain)
        self.latents, self.names = latents.encode_all(vae, icons[kept], RANK, PROCESSES)

    def batch(self, rng):
        """(B, 4, 16, 16) and B captions."""
        x, captions = [], []
        for _ in range(BATCH // PROCESSES):
            i, j = rng.randrange(len(self.facts)), rng.randrange(latents.PLACINGS)
            x.append(self.latents[i, j])
            text = scenes.caption(self.facts[i], self.names[i][j], rng)
            captions.append("" if rng.random() < NO_CAPTION else text)
        return torch.stack(x), captions


def loss_of(text, unet, x, captions, table):
    t = torch.randint(0, 1000, (len(x),))
    noise = torch.randn_like(x)
    a = table[t][:, None, None, None]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        guess = unet(a.sqrt() * x + (1 - a).sqrt() * noise, t, text(tokens.ids(captions))).float()
    snr = table[t] / (1 - table[t])
    return (((guess - noise) ** 2).mean((1, 2, 3)) * (5 / snr).clamp(max=1)).mean()


def main():
    source, vae_file, out, steps = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    torch.manual_seed(3)
    rng = random.Random(3 + RANK)
    vae, text, unet = networks.Vae(), networks.Text(), networks.Unet()
    vae.load_state_dict(torch.load(vae_file))
    pictures = Set(vae, source)
    print(len(pictures.facts), "pictures encoded", flush=True)
    both = torch.nn.ModuleDict({"text": text, "unet": unet})
    if len(sys.argv) > 5:
        both.load_state_dict(torch.load(sys.argv[5])["both"])
    optimizer = torch.optim.AdamW(both.parameters(), lr=PEAK, betas=(0.9, 0.98), weight_decay=0)
    average = {k: v.clone() for k, v in both.state_dict().items()}
    table, losses = alphas_cumprod(), []
    torch.manual_seed(30 + RANK)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = PEAK * min((step + 1) / WARMUP, 1, 1.3 * (1 - step / steps))
        x, captions = pictures.batch(rng)
        loss = loss_of(text, unet, x, captions, table)
        optimizer.zero_grad()
        loss.backward()
        parallel.average_gradients(both.parameters())
        torch.nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        optimizer.step()
        keep = min(KEEP, step / (step + 20))
        for name, value in both.state_dict().items():
            average[name].lerp_(value, 1 - keep)
        losses.append(loss.item())
        if RANK == 0 and (step + 1) % 100 == 0:
            print(f"step {step + 1} loss {np.mean(losses[-100:]):.4f}", flush=True)
        if RANK == 0 and ((step + 1) % 500 == 0 or step + 1 == steps):
            torch.save({"both": average, "vae": vae.state_dict()}, out)


if __name__ == "__main__":
    main()
