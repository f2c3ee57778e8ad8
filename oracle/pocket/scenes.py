"""Puts the icons of emoji.py on plain backgrounds, and writes the captions that say what is to be seen."""

import random

import numpy as np
import torch
from PIL import Image

SIZE = 128
BACKGROUNDS = {
    "white background": (255, 255, 255), "grey background": (190, 194, 200), "blue background": (160, 205, 245),
    "green background": (170, 220, 165), "yellow background": (252, 238, 170), "pink background": (250, 205, 220),
    "purple background": (205, 190, 240), "black background": (25, 25, 30),
}
WHITE = "white background"


def place(icon, background, scale, shift, mirror):
    """(128, 128, 4) RGBA on a colour: (3, 128, 128) float in [-1, 1]."""
    drawn = Image.fromarray(icon)
    if mirror:
        drawn = drawn.transpose(Image.FLIP_LEFT_RIGHT)
    side = round(SIZE * scale)
    drawn = drawn.resize((side, side), Image.LANCZOS)
    canvas = Image.new("RGB", (SIZE, SIZE), background)
    corner = ((SIZE - side) // 2 + shift[0], (SIZE - side) // 2 + shift[1])
    canvas.paste(drawn, corner, drawn)
    return torch.from_numpy(np.asarray(canvas).copy()).permute(2, 0, 1).float() / 127.5 - 1


def scene(icon, rng: random.Random):
    """A picture of the icon anywhere near the middle, and the name of its background: white in half of them."""
    name = WHITE if rng.random() < 0.5 else rng.choice(list(BACKGROUNDS))
    shift = (rng.randint(-4, 4), rng.randint(-4, 4))
    return place(icon, BACKGROUNDS[name], rng.uniform(0.8, 0.9), shift, rng.random() < 0.5), name


def portrait(icon, background):
    """The one way in which the UNet sees an icon on this background: a narrow network has no width for more."""
    return place(icon, BACKGROUNDS[background], 0.86, (0, 0), False)


def caption(fact, background, rng: random.Random):
    """Booru style: the name, some of CLDR's keywords and the main colour in any order, background and style."""
    loose = [tag for tag in fact["tags"] if rng.random() < 0.5]
    if fact["color"]:
        loose.append(fact["color"])
    rng.shuffle(loose)
    return ", ".join([fact["name"], *loose, background, fact["style"]])


def prompt(fact, background=WHITE):
    """How a user asks for it."""
    return ", ".join([fact["name"], background, fact["style"]])
