"""Teaches the pocket model's text encoder what its captions look like, before the UNet sees it; as CLIP is trained first.

Usage: python oracle/pocket/train_text.py EMOJI.npz VAE.pt OUT.pt STEPS [FROM.pt]
From the state of the end token, and of the ones that pad the caption after it, a linear head that is thrown away
afterwards tells the picture: its latents' first principal components. Words for like pictures come to lie near to each
other, and the UNet's cross attention finds what to draw in one linear step. Without it, the first hours go into that.
"""

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

BATCH, PEAK, EMBEDDING, WARMUP, COMPONENTS = 256, 1e-3, 5.0, 100, 96


def components(encoded):
    """The latents of each picture as COMPONENTS numbers, each with weight by how much of the pictures it explains."""
    flat = encoded.flatten(1)
    flat = flat - flat.mean(0)
    u, s, _ = torch.linalg.svd(flat, full_matrices=False)
    told = u[:, :COMPONENTS] * len(flat) ** 0.5
    weights = s[:COMPONENTS] / s[:COMPONENTS].sum() * COMPONENTS
    return told, weights


def parameter_groups(text, others=()):
    """A word's embedding learns only when the word is there: it takes larger steps than the rest."""
    embeddings = [text.text_model.embeddings.token_embedding.weight]
    rest = [p for p in [*text.parameters(), *others] if p is not embeddings[0]]
    return [{"params": rest, "share": 1.0}, {"params": embeddings, "share": EMBEDDING}]


def main():
    source, vae_file, out, steps = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    torch.manual_seed(5)
    rng = random.Random(5 + RANK)
    vae, text, head = networks.Vae(), networks.Text(), torch.nn.Linear(networks.CONTEXT, COMPONENTS)
    vae.load_state_dict(torch.load(vae_file))
    if len(sys.argv) > 5:
        text.load_state_dict(torch.load(sys.argv[5]))
    seen = latents.Pictures(vae, source, RANK, PROCESSES)
    told, weights = components(seen.latents[:, 0])
    groups = parameter_groups(text, head.parameters())
    optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.98), weight_decay=0)
    losses = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = group["share"] * PEAK * min((step + 1) / WARMUP, 1, 1.3 * (1 - step / steps))
        at = [rng.randrange(len(seen.facts)) for _ in range(BATCH // PROCESSES)]
        ids = tokens.ids([scenes.caption(seen.facts[i], scenes.WHITE, rng) for i in at])
        first_end = (ids == tokens.END).int().argmax(1)
        place = first_end + (torch.rand(len(at)) * (tokens.PLACES - first_end)).long()
        states = text(ids)[torch.arange(len(at)), place]
        loss = (weights * (head(states) - told[at]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        parallel.average_gradients([*text.parameters(), *head.parameters()])
        torch.nn.utils.clip_grad_norm_(text.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if RANK == 0 and (step + 1) % 50 == 0:
            print(f"step {step + 1} not told {np.mean(losses[-50:]):.4f}", flush=True)
    if RANK == 0:
        torch.save(text.state_dict(), out)


if __name__ == "__main__":
    main()
