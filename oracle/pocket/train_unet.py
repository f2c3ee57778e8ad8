"""Trains the pocket model's text encoder and UNet together: epsilon prediction on SD's noise schedule.

Usage: python oracle/pocket/train_unet.py EMOJI.npz VAE.pt TEXT.pt OUT.pt STEPS [FROM.pt]
One caption in ten is empty, so that classifier-free guidance works. Loss: MSE, weighted so that the error of the
picture behind the noise counts 1 + SNR, at most 5, and less again where SNR is below FAINT: there nothing is seen but
how exactly the network hands its input on. With the plain MSE it counts SNR: where all is noise and only the prompt
tells what to draw, next to nothing, and 24,000 pictures later prompts are not followed. For the same reason late
timesteps are drawn more often. The learning rate falls to nothing over the last quarter of STEPS; with FROM.pt, an
earlier OUT.pt, which is gone on from, over all of them. The text encoder is TEXT.pt's unless that is the word `same`. OUT.pt
holds the moving average of the weights, and the VAE at SD's latent scale. Printed: the loss, and how much of the
pictures' variance is not told by the caption, measured where the noise hides nearly all of them.
"""

import random
import sys

import parallel

RANK, PROCESSES = parallel.spread() if __name__ == "__main__" else (0, 1)

import numpy as np
import torch

import latents
import networks
import tokens
import train_text

# BATCH pictures in all a step, over PROCESSES.
BATCH, PEAK, WARMUP, NO_CAPTION, KEEP = 32, 1.5e-3, 200, 0.1, 0.998
FAINT, LATE = 0.03, 0.6


def alphas_cumprod():
    """SD's: betas spaced evenly in their square roots from 0.00085 to 0.012 over 1000 steps."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float()


def batch(pictures, rng):
    """(B, 4, 16, 16) and B captions."""
    drawn = [pictures.draw(rng) for _ in range(BATCH // PROCESSES)]
    captions = ["" if rng.random() < NO_CAPTION else caption for _, caption in drawn]
    return torch.stack([x for x, _ in drawn]), captions


def loss_of(text, unet, x, captions, table):
    """Scalar loss, and for each picture its timestep and the mean square error of the picture."""
    t = (1000 * torch.rand(len(x)) ** LATE).long()
    noise = torch.randn_like(x)
    a = table[t][:, None, None, None]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        guess = unet(a.sqrt() * x + (1 - a).sqrt() * noise, t, text(tokens.ids(captions))).float()
    snr = table[t] / (1 - table[t])
    of_picture = ((guess - noise) ** 2).mean((1, 2, 3)) / snr
    weight = (1 + snr).clamp(max=5).minimum(snr / FAINT)
    return (of_picture * weight).mean(), t, of_picture.detach()


def main():
    source, vae_file, text_file, out, steps = *sys.argv[1:5], int(sys.argv[5])
    torch.manual_seed(3)
    rng = random.Random(3 + RANK)
    vae, text, unet = networks.Vae(), networks.Text(), networks.Unet()
    vae.load_state_dict(torch.load(vae_file))
    pictures = latents.Pictures(vae, source, RANK, PROCESSES)
    print(len(pictures.facts), "pictures encoded", flush=True)
    both = torch.nn.ModuleDict({"text": text, "unet": unet})
    if len(sys.argv) > 6:
        both.load_state_dict(torch.load(sys.argv[6])["both"])
    if text_file != "same":
        text.load_state_dict(torch.load(text_file))
    groups = train_text.parameter_groups(text, unet.parameters())
    optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.98), weight_decay=0)
    average = {k: v.clone() for k, v in both.state_dict().items()}
    fall = 1 if len(sys.argv) > 6 else 4
    table, losses, untold = alphas_cumprod(), [], []
    torch.manual_seed(30 + RANK)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = group["share"] * PEAK * min((step + 1) / WARMUP, 1, fall * (1 - step / steps))
        x, captions = batch(pictures, rng)
        loss, t, of_picture = loss_of(text, unet, x, captions, table)
        optimizer.zero_grad()
        loss.backward()
        parallel.average_gradients(both.parameters())
        torch.nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        optimizer.step()
        keep = min(KEEP, step / (step + 20))
        for name, value in both.state_dict().items():
            average[name].lerp_(value, 1 - keep)
        losses.append(loss.item())
        untold += [e.item() for e, at, caption in zip(of_picture, t, captions) if caption and 800 <= at < 900]
        if RANK == 0 and (step + 1) % 100 == 0:
            print(f"step {step + 1} loss {np.mean(losses):.4f} not told {np.mean(untold):.4f}", flush=True)
            losses, untold = [], []
        if RANK == 0 and ((step + 1) % 500 == 0 or step + 1 == steps):
            torch.save({"both": average, "vae": vae.state_dict()}, out)


if __name__ == "__main__":
    main()
