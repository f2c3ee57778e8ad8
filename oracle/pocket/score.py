"""Shows and scores the pocket model: a grid of 64 prompts, and of 200 how many are nearest to the emoji asked for.

Usage: python oracle/pocket/score.py EMOJI.npz MODEL.pt GRID.png [COUNT]
Nearest: least squared distance of 32 x 32 pixel versions among all emoji of the training set in both styles, on white,
each as drawn and mirrored. Right: the name is the prompted one.
"""

import json
import random
import sys

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

import sample
import scenes


def small(pictures):
    return F.interpolate(pictures, size=32, mode="area").flatten(1)


def grid(pictures, across):
    """(N, 3, H, W) in [0, 1] as one image, row by row."""
    rows = [torch.cat(list(pictures[i : i + across]), 2) for i in range(0, len(pictures), across)]
    return Image.fromarray((torch.cat(rows, 1).permute(1, 2, 0) * 255).round().byte().numpy())


def main():
    source, model, out = sys.argv[1:4]
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 200
    data = np.load(source)
    icons, facts = data["icons"], json.loads(str(data["facts"]))
    seen = [i for i, fact in enumerate(facts) if fact["taught"]]
    random.Random(5).shuffle(seen)
    models = sample.load(model)
    held = [i for i, fact in enumerate(facts) if fact["held_out"]][:8]
    shown = sample.pictures(models, [scenes.prompt(facts[i]) for i in seen[:56] + held], seed=100)
    grid(shown, 8).save(out, optimize=True)
    print("in the grid, row by row; the last row was never seen:")
    print("; ".join(f"{facts[i]['name']} ({facts[i]['style'].split()[0]})" for i in seen[:56] + held))
    known = torch.stack([scenes.portrait(icons[i], scenes.WHITE) for i in seen]) / 2 + 0.5
    known = small(torch.cat([known, known.flip(3)]))
    names = [facts[i]["name"] for i in seen] * 2
    asked = [facts[i] for i in seen[:count]]
    made = small(sample.pictures(models, [scenes.prompt(fact) for fact in asked], seed=1000))
    order = torch.cdist(made, known).argsort(1)
    ranked = [list(dict.fromkeys(names[j] for j in row[:40])) for row in order]
    first = sum(fact["name"] == row[0] for fact, row in zip(asked, ranked))
    five = sum(fact["name"] in row[:5] for fact, row in zip(asked, ranked))
    print(f"of {count} prompts the nearest of {len(set(names))} names is the prompted one: {first}; among five: {five}")


if __name__ == "__main__":
    main()
