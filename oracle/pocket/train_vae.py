"""Trains the pocket model's VAE: first on small crops, at the end on whole pictures.

Usage: python oracle/pocket/train_vae.py EMOJI.npz OUT.pt STEPS [FROM.pt]
Loss: L1 on pixels, on their differences between neighbours (so that outlines stay sharp) and on the colours of small
areas, and KL with weight 1e-6.
"""

import json
import random
import sys

import parallel

RANK, PROCESSES = parallel.spread() if __name__ == "__main__" else (0, 1)

import numpy as np
import torch
from torch.nn import functional as F

import networks
import scenes

PEAK = 2e-3
# Until this part of the steps is over: so many pictures a step in all, cut to so many pixels.
PHASES = [(0.5, 16, 32), (0.88, 8, 64), (1.0, 4, 128)]


def picture(icons, rng):
    """A scene whose colours are at times turned into others, so that the VAE does not depend on emoji's palette."""
    image, _ = scenes.scene(icons[rng.randrange(len(icons))], rng)
    if rng.random() < 0.4:
        image = image[torch.randperm(3)]
    if rng.random() < 0.2:
        image = image * rng.uniform(0.6, 1.0) + rng.uniform(-0.2, 0.2)
    return image.clamp(-1, 1)


def crop(image, side, rng):
    x, y = rng.randint(0, scenes.SIZE - side), rng.randint(0, scenes.SIZE - side)
    return image[:, y : y + side, x : x + side]


def several_crops(icons, count, side, rng):
    """Up to four crops from each picture, since drawing it costs more than a small crop's training."""
    each = min(4, scenes.SIZE // side)
    images = [picture(icons, rng) for _ in range(-(-count // each))]
    return torch.stack([crop(images[i // each], side, rng) for i in range(count)])


def edges(x):
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def loss_of(vae, x):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, mean, logvar = vae(x)
    y, mean, logvar = y.float(), mean.float(), logvar.float()
    sharp = sum(F.l1_loss(a, b) for a, b in zip(edges(y), edges(x)))
    kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum((1, 2, 3)).mean()
    return F.l1_loss(y, x) + 0.5 * F.mse_loss(y, x) + sharp + flat_colors(y, x) + 1e-6 * kl


def flat_colors(y, x):
    """Distance of the colours over 4 and 8 pixels. Without it the four channels drop the axis from green to magenta,
    which few emoji need, for sharper outlines."""
    far = 0
    for side in (4, 8):
        off = F.avg_pool2d(y - x, side)
        opponent = torch.stack([off[:, 0] - off[:, 1], off[:, 1] - off[:, 2], off[:, 2] - off[:, 0]])
        far = far + off.abs().mean() + opponent.abs().mean() + 2 * (opponent**2).mean()
    return far


def psnr(vae, held):
    with torch.no_grad():
        mean, _ = vae.moments(held)
        y = vae.decode(mean).clamp(-1, 1)
        return (10 * torch.log10(4 / ((y - held) ** 2).mean((1, 2, 3)))).mean().item(), mean.std().item()


def main():
    source, out, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
    torch.manual_seed(1)
    rng = random.Random(1 + RANK)
    data = np.load(source)
    icons, facts = data["icons"], json.loads(str(data["facts"]))
    seen = icons[[not fact["held_out"] for fact in facts]]
    unseen = icons[[fact["held_out"] for fact in facts]]
    white = scenes.BACKGROUNDS[scenes.WHITE]
    held = torch.stack([scenes.place(icon, white, 0.86, (0, 0), False) for icon in unseen])
    vae = networks.Vae()
    with torch.no_grad():  # Latents with little noise from the start: 0.14 beside means that grow to about 4.
        vae.quant_conv.bias[4:] = -4
    phases = PHASES
    if len(sys.argv) > 4:  # Small crops teach little more to one that has begun.
        vae.load_state_dict(torch.load(sys.argv[4]))
        phases = [(0.85, 8, 64), (1.0, 4, 128)]
    optimizer = torch.optim.AdamW(vae.parameters(), lr=PEAK, betas=(0.9, 0.98), weight_decay=0)
    average = {k: v.clone() for k, v in vae.state_dict().items()}
    torch.manual_seed(10 + RANK)
    for step in range(steps):
        done = step / steps
        count, side = next((count, side) for until, count, side in phases if done < until)
        for group in optimizer.param_groups:
            group["lr"] = PEAK * min((step + 1) / 200, 1.01 - done)
        loss = loss_of(vae, several_crops(seen, count // PROCESSES, side, rng))
        optimizer.zero_grad()
        loss.backward()
        parallel.average_gradients(vae.parameters())
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        keep = min(0.998, step / (step + 50))
        for name, value in vae.state_dict().items():
            average[name].lerp_(value, 1 - keep)
        if RANK == 0 and (step + 1) % 100 == 0:
            now = {k: v.clone() for k, v in vae.state_dict().items()}
            vae.load_state_dict(average)
            db, spread = psnr(vae, held)
            vae.load_state_dict(now)
            torch.save(average, out)
            print(f"step {step + 1} loss {loss.item():.4f} psnr {db:.2f} dB latents' spread {spread:.2f}", flush=True)
    if RANK == 0:
        torch.save(average, out)


if __name__ == "__main__":
    main()
